"""A real arm is seen as its joints were, in the model of its profile."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest

from robolearn.environments.arms.kinematics import joint_map, load_model
from robolearn.environments.arms.profile import load_arm
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.errors import SimulationError
from robolearn.viewing.hand import find_hand
from robolearn.viewing.real import RealWorld
from robolearn.viewing.worlds import open_world

ARM = load_arm("real:virtual-so101")
STEPS = 5


def context_of(target="real:virtual-so101", joints=6):
    profile = ARM.profile
    names = profile.names[:joints]
    return EpisodeContext(
        {"observation.state": Feature("float32", (joints,), names)},
        ActionFeature(
            "float32",
            (6,),
            profile.names,
            tuple(profile.si("low").tolist()),
            tuple(profile.si("high").tolist()),
        ),
        "Pick the cube up.",
        30.0,
        {"env_name": "so101_follower", "type": 4, "env_kwargs": {"target": target}},
    )


@pytest.fixture
def episode():
    profile, draw = ARM.profile, np.random.default_rng(0)
    low, high = profile.si("low"), profile.si("high")
    joints, actions = (draw.uniform(low, high, (STEPS, 6)).astype(np.float32) for _ in range(2))
    time = np.arange(STEPS) / 30
    nothing = np.zeros(STEPS, bool)
    return Episode(
        context=context_of(),
        observations={"observation.state": joints},
        actions=actions,
        actions_asked=actions,
        rewards=np.zeros(STEPS),
        success=nothing,
        interventions=nothing,
        time=time,
        timestamps={"observation.state": time, "action": time},
        outcome=Outcome(STEPS, None, None, "horizon"),
        agent="leader",
        recorded_at=None,
    )


def tool_at(joints):
    """Where MuJoCo has the grasp site, without anything of the viewers."""
    model = load_model(ARM)
    data = mujoco.MjData(model)
    joint_map(ARM, model).write(np.asarray(joints, float), data.qpos)
    mujoco.mj_forward(model, data)
    return data.site("grasp").xpos.copy(), data.body("gripper").xpos.copy()


def test_the_arm_is_where_its_joints_were(episode):
    world = open_world(episode.context)
    poses = world.poses(episode)
    for frame in range(STEPS):
        _, gripper = tool_at(episode.observations["observation.state"][frame])
        assert poses["gripper"].positions[frame] == pytest.approx(gripper, abs=1e-5)
    assert set(world.meshes()) >= {"base", "gripper"}


def test_its_hand_is_its_tool_and_actions_send_it_to_their_joints(episode):
    hand = find_hand(episode.context, open_world(episode.context))
    path = hand.path(episode)
    targets = hand.targets(episode, episode.actions[:, None])
    for frame in range(STEPS):
        where, _ = tool_at(episode.observations["observation.state"][frame])
        sent, _ = tool_at(episode.actions[frame])
        assert path[frame] == pytest.approx(where, abs=1e-5)
        assert targets[frame, 0] == pytest.approx(sent, abs=1e-5)


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        (context_of("real:nowhere"), "nowhere"),
        (context_of("real:so101"), "real:so101 has no .model."),
        (context_of(joints=5), "other joints than the profile"),
    ],
    ids=["unknown", "without a model", "other joints"],
)
def test_an_arm_that_cannot_be_seen(context, reason):
    with pytest.raises(SimulationError, match=reason):
        open_world(context)


def test_a_path_is_no_arm():
    """A dataset of somebody else's names no file here."""
    with pytest.raises(SimulationError, match="no simulated world"):
        open_world(context_of("/etc/passwd.toml"))
    with pytest.raises(SimulationError, match="name no arm"):
        RealWorld(dataclasses.replace(context_of(), env_args={}))
