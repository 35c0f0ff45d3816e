from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.control.loop import run_episode
from robolearn.control.recorded_task import recorded_target
from robolearn.control.replay import REWARD, SUCCESS, Comparison, Replay, _distances
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SIMULATOR_STATE, Feature
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.episodes.recorder import Recorder
from robolearn.errors import ConfigurationError, SimulationError

STEPS = 20
POSITION = "observation.state.robot0_eef_pos"


class Wander:
    """An agent that draws its actions."""

    intervening = False

    def reset(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def act(self, observation: object) -> Array:
        return self._random.uniform(-1.2, 1.2, 7).astype(np.float32)


@pytest.fixture(scope="module")
def recorded(lift_task: SimTask, tmp_path_factory: pytest.TempPathFactory) -> Episode:
    simulator = dataclasses.replace(lift_task.simulator, horizon=STEPS)
    with closing(
        RobosuiteEnvironment(dataclasses.replace(lift_task, simulator=simulator))
    ) as environment:
        recorder = Recorder(tmp_path_factory.mktemp("journal") / "journal", "wander", wait=True)
        agent: Any = Wander()
        run_episode(environment, agent, [recorder], seed=4)
        episode = recorder.episode()
        recorder.discard()
    assert episode is not None
    return episode


@pytest.fixture(scope="module")
def replay(lift_task: SimTask) -> Iterator[Replay]:
    with closing(Replay(lift_task, from_seed=False, tolerance=1e-6)) as replay:
        yield replay


@pytest.fixture(scope="module")
def seeded(lift_task: SimTask) -> Iterator[Replay]:
    with closing(Replay(lift_task, from_seed=True, tolerance=1e-6)) as replay:
        yield replay


def described(episode: Episode, **context: Any) -> Episode:
    return dataclasses.replace(episode, context=dataclasses.replace(episode.context, **context))


def with_action(episode: Episode, frame: int, element: int, value: float) -> Episode:
    actions = episode.actions.copy()
    actions[frame, element] = value
    return dataclasses.replace(episode, actions=actions)


def with_values(episode: Episode, name: str, values: Array) -> Episode:
    return dataclasses.replace(episode, observations={**episode.observations, name: values})


def test_the_same_bits_come_out(replay: Replay, seeded: Replay, recorded: Episode) -> None:
    for player in (replay, seeded, replay):
        found = player.episode(recorded)
        assert found == Comparison(
            frames=STEPS,
            largest=None,
            first=None,
            compared=(*recorded.observations, REWARD, SUCCESS),
            own_model=True,
        )
        assert player.left_out == set()


def test_the_demonstrations_that_ship(replay: Replay, lift_demonstrations: Path) -> None:
    """On another machine, their last bits may differ."""
    from robolearn.episodes.formats import open_dataset

    found = replay.episode(open_dataset(lift_demonstrations).episode(14))
    assert found.largest is None or found.largest.size < 1e-5
    assert found.own_model


def test_a_simulation_that_becomes_unstable(replay: Replay, recorded: Episode) -> None:
    states = recorded.observations["simulator_state"].copy()
    states[0, -13:] = 1e9
    with pytest.raises(SimulationError, match=r"frame \d+: the simulation became unstable"):
        replay.episode(with_values(recorded, "simulator_state", states))


def test_an_episode_in_reverse_began_from_no_seed(seeded: Replay, recorded: Episode) -> None:
    with pytest.raises(SimulationError, match="no reset does"):
        seeded.episode(dataclasses.replace(recorded, agent="reverse"))


def test_an_action_that_was_tampered_with(replay: Replay, recorded: Episode) -> None:
    other = with_action(recorded, 7, 2, float(-np.sign(recorded.actions[7, 2])))
    found = replay.episode(other)
    assert found.first is not None
    assert found.largest is not None
    assert found.first.feature == SIMULATOR_STATE  # which is seen a frame after the action
    assert found.first.frame == 8
    assert found.first.element.startswith("velocity of robot0_joint")
    assert found.largest.size >= found.first.size > 1e-3
    assert found.largest.frame >= 8


@pytest.mark.parametrize(
    ("name", "element"), [(POSITION, "robot0_eef_pos.y"), (SIMULATOR_STATE, "position of robot0_")]
)
def test_an_observation_that_was_tampered_with(
    replay: Replay, recorded: Episode, name: str, element: str
) -> None:
    values = recorded.observations[name].copy()
    values[5, 1] += 0.25
    found = replay.episode(with_values(recorded, name, values))
    assert found.largest is not None
    assert found.first == found.largest
    assert (found.first.feature, found.first.frame) == (name, 5)
    assert found.first.element.startswith(element)
    assert found.first.size == pytest.approx(0.25)
    assert str(found.first) == f"0.25 in {name} ({found.first.element}), frame 5"


def test_rewards_and_success(replay: Replay, recorded: Episode) -> None:
    other = dataclasses.replace(recorded, rewards=recorded.rewards + np.float32(2))
    found = replay.episode(other)
    assert found.largest is not None
    assert (found.largest.feature, found.largest.frame, found.largest.size) == (REWARD, 0, 2)
    success = recorded.success.copy()
    success[11] = True
    found = replay.episode(dataclasses.replace(recorded, success=success))
    assert found.first is not None
    assert str(found.first) == "1 in success, frame 11"


def test_a_difference_within_the_tolerance(replay: Replay, recorded: Episode) -> None:
    values = recorded.observations[SIMULATOR_STATE].copy()
    values[6, 20] += 5e-7
    found = replay.episode(with_values(recorded, SIMULATOR_STATE, values))
    assert found.first is None
    assert found.largest is not None
    assert found.largest.size == pytest.approx(5e-7)
    assert found.largest.frame == 6


def test_what_is_not_finite_differs_infinitely(replay: Replay, recorded: Episode) -> None:
    values = recorded.observations[POSITION].copy()
    values[3, 0] = np.nan
    found = replay.episode(with_values(recorded, POSITION, values))
    assert found.first is not None
    assert (found.first.size, found.first.frame) == (np.inf, 3)
    assert found.first.to_json()["size"] is None
    one = np.array([[np.inf], [np.inf], [1.0]])
    np.testing.assert_array_equal(_distances(one, -one).ravel(), [np.inf, np.inf, 2])
    np.testing.assert_array_equal(_distances(one, one).ravel(), [0, 0, 0])


def test_states_and_actions_alone(replay: Replay, recorded: Episode) -> None:
    features = {SIMULATOR_STATE: recorded.context.features[SIMULATOR_STATE]}
    alone = dataclasses.replace(
        recorded,
        context=dataclasses.replace(recorded.context, features=features),
        observations={SIMULATOR_STATE: recorded.observations[SIMULATOR_STATE]},
        rewards=np.full(STEPS, 7, np.float32),
    )
    found = replay.episode(alone)
    assert found.compared == (SIMULATOR_STATE,)
    assert found.largest is None


def test_a_model_of_another_version(replay: Replay, recorded: Episode) -> None:
    model_file = recorded.context.model_file
    assert model_file is not None
    other = model_file.replace('damping="0.1', 'damping="0.2', 1)
    assert other != model_file
    found = replay.episode(described(recorded, model_file=other))
    assert not found.own_model
    assert found.largest is not None  # if only because the text is rounded
    assert replay.episode(recorded).largest is None


def test_what_is_not_compared(lift_task: SimTask, recorded: Episode) -> None:
    features = {**recorded.context.features, "observation.state.mood": Feature("float32", (2,))}
    images = {"observation.images.front": Feature("uint8", (4, 4, 3))}
    other: Any = dataclasses.replace(
        recorded,
        context=dataclasses.replace(recorded.context, features=features | images),
        observations={**recorded.observations, "observation.state.mood": np.zeros((STEPS, 2), "f")},
        images={"observation.images.front": np.zeros((STEPS, 4, 4, 3), np.uint8)},
    )
    with closing(Replay(lift_task, from_seed=False, tolerance=0)) as player:
        assert player.episode(other).largest is None
        assert [what.split(",")[0] for what in sorted(player.left_out)] == [
            "observation.images.front",
            "observation.state.mood",
        ]


def refused(player: Replay, episode: Episode, reason: str) -> None:
    with pytest.raises(SimulationError, match=reason) as error:
        player.episode(episode)
    assert "\n" not in str(error.value)


def test_what_cannot_be_replayed(replay: Replay, seeded: Replay, recorded: Episode) -> None:
    none: Any = {}
    no_states = dataclasses.replace(described(recorded, features=none), observations=none)
    refused(replay, no_states, "no simulator states")
    refused(replay, described(recorded, model_file=None), "no model")
    refused(seeded, described(recorded, seed=None), "which seed")
    refused(replay, described(recorded, seed=None), "another program than robolearn")
    for player in (replay, seeded):
        refused(player, with_action(recorded, 9, 0, np.nan), "frame 9: its action is not finite")
        refused(player, recorded.part(6, 12), r"begins 0\.3 s after a reset")
        another = described(recorded, env_args={"env_name": "Stack"})
        refused(player, another, "another environment than the task's: Stack, not Lift")
    values = recorded.observations[SIMULATOR_STATE].copy()
    values[0, 4] = np.nan
    refused(replay, with_values(recorded, SIMULATOR_STATE, values), "not finite")
    model_file = str(recorded.context.model_file)
    refused(replay, described(recorded, model_file=model_file[:99]), "no MJCF")
    old = model_file.replace("gripper0_right_", "gripper0_")  # as robosuite 1.4 called it
    refused(replay, described(recorded, model_file=old), "the joints differ in .*gripper0_finger")
    assert replay.episode(recorded).largest is None
    assert seeded.episode(recorded).largest is None


def test_the_task_that_a_recording_is_of(recorded: Episode) -> None:
    context = recorded.context
    assert recorded_target(context) == "sim:lift"

    def of(**env_args: Any) -> EpisodeContext:
        return dataclasses.replace(context, env_args={**context.env_args, **env_args})

    assert recorded_target(of(env_name="Door")) == "sim:door"
    arguments = context.env_args["env_kwargs"]
    two = dict.fromkeys(("robots", "controller_configs"))
    two = {name: [arguments[name]] * 2 for name in two}
    assert (
        recorded_target(of(env_name="TwoArmLift", env_kwargs=arguments | two)) == "sim:two_arm_lift"
    )
    for changed, reason in (
        (of(env_name="Kitchen"), r"no task of the shelf .*Kitchen"),
        (of(env_kwargs=arguments | {"robots": "Sawyer"}), "no task of the shelf .*Sawyer"),
        (dataclasses.replace(context, env_args={}), "does not say which task"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            recorded_target(changed)


def test_several_tasks_of_one_description(
    recorded: Episode, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repository / "sim" / "lift.toml").read_text()
    dense = text.replace("[simulator.controller]", "options.reward_shaping = true\n$&", 1)
    dense = dense.replace("$&", "[simulator.controller]")
    for name, content in (("one", text), ("dense", dense)):
        (tmp_path / f"{name}.toml").write_text(content)
    monkeypatch.setattr("robolearn.shelf.shelf_folder", lambda name: tmp_path)
    assert recorded_target(recorded.context) == "sim:one"  # by its options
    (tmp_path / "two.toml").write_text(text)
    with pytest.raises(ConfigurationError, match="may be of sim:one, sim:two: name one"):
        recorded_target(recorded.context)
