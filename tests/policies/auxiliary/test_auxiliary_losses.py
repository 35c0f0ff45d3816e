from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from robolearn.episodes.features import ENVIRONMENT_STATE, ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.loading.windows import Batch, Windows
from robolearn.errors import ConfigurationError, FeatureMismatch
from robolearn.learning.windows import learning_windows
from robolearn.policies.auxiliary.config import AuxiliaryConfig
from robolearn.policies.auxiliary.features import arm_features, learnt_features, object_features
from robolearn.policies.checkpoint import load_policy, save_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

HAND = "observation.state.hand"
NAMES = ("arm_pose", "final_pose", "object_pose", "next_observation", "inverse_dynamics")
ALL = AuxiliaryConfig(**dict.fromkeys(NAMES, 0.5), hidden=16)
KINDS = ("stack", "lstm", "transformer")
VECTOR = Feature("float32", (3,))


def config_of(kind: str = "stack", auxiliary: AuxiliaryConfig = ALL) -> PolicyConfig:
    memory = MemoryConfig(kind=kind, history=2, hidden=(16,), heads=2, dropout=0.0)
    return PolicyConfig(inputs=(HAND,), memory=memory, auxiliary=auxiliary)


def made(dataset: Path, config: PolicyConfig) -> tuple[Policy, Windows]:
    torch.manual_seed(0)
    context = open_dataset(dataset).context
    schema = PolicySchema.of(context, config.inputs, (), config.auxiliary)
    windows = learning_windows(open_dataset(dataset), schema, config, "train")
    policy = Policy(schema, config)
    policy.fit_normalization(windows)
    return policy, windows


def whole(windows: Windows) -> Batch:
    return windows.batch(torch.arange(len(windows)))


@pytest.mark.parametrize("kind", KINDS)
def test_each_has_its_curve_and_its_weight_in_the_total(line_dataset: Path, kind: str) -> None:
    policy, windows = made(line_dataset, config_of(kind))
    losses = policy.losses(whole(windows))
    assert set(losses) == {"total", "arm", "gripper", *NAMES}
    expected = losses["arm"] + losses["gripper"] + 0.5 * sum(losses[name] for name in NAMES)
    torch.testing.assert_close(losses["total"], expected)
    losses["total"].backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_known_is_learnt(line_dataset: Path, kind: str, name: str) -> None:
    """The hand moves straight to the goal at a steady pace, so two frames of it tell all."""
    auxiliary = AuxiliaryConfig(**{name: 1.0}, hidden=32)
    policy, windows = made(line_dataset, config_of(kind, auxiliary))
    batch = whole(windows)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    first = policy.losses(batch)[name].item()
    for _ in range(150):
        loss = policy.losses(batch)[name]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.35 * first


def test_the_errors_are_those_of_the_frames_named(line_dataset: Path) -> None:
    """With networks that say 0 always, each loss is the mean square of what is to be said."""
    policy, windows = made(line_dataset, config_of("lstm"))
    for prediction in policy.auxiliary.predictions.values():
        for parameter in prediction.network[-1].parameters():
            torch.nn.init.zeros_(parameter)
    batch = whole(windows)
    losses = policy.losses(batch)
    frames = ~batch.observation_is_pad
    hand = policy.encoder.state.normalizer
    seen = hand(batch.observations[HAND])
    ends = hand(batch.final_observations[HAND])[:, None].expand_as(seen)
    goal = batch.observations[ENVIRONMENT_STATE]
    everywhere = windows.observations[ENVIRONMENT_STATE]
    goal = (goal - everywhere.mean(0)) / everywhere.std(0, correction=0)
    between = policy.units.past(batch.past_actions)[:, -1:]
    for name, wanted, counted in (
        ("arm_pose", seen, frames),
        ("final_pose", ends, frames),
        ("object_pose", goal, frames),
        ("next_observation", seen[:, 1:], frames[:, :1]),
        ("inverse_dynamics", between, frames[:, :1]),
    ):
        torch.testing.assert_close(losses[name], wanted[counted].square().mean(), msg=name)


def test_the_end_is_that_of_the_same_episode(line_dataset: Path) -> None:
    dataset = open_dataset(line_dataset)
    windows = Windows(dataset, (HAND,), 2, "train", final=(HAND,))
    ends = whole(windows).final_observations[HAND]
    expected = [
        torch.from_numpy(episode.observations[HAND][-1:]).expand(len(episode), -1)
        for episode in dataset.episodes(dataset.split("train"))
    ]
    assert torch.equal(ends, torch.cat(expected))


def test_without_weights_nothing_is_made_and_nothing_more_is_loaded(line_dataset: Path) -> None:
    policy, windows = made(line_dataset, config_of(auxiliary=AuxiliaryConfig()))
    assert not any("auxiliary" in name for name in policy.state_dict())
    assert set(windows.observations) == {HAND}
    assert set(policy.losses(whole(windows))) == {"total", "arm", "gripper"}
    assert config_of().learning_frames == 3
    assert config_of(auxiliary=AuxiliaryConfig()).learning_frames == 2


def test_what_was_only_learnt_need_not_be_there_when_the_policy_decides(
    line_dataset: Path, tmp_path: Path
) -> None:
    policy, windows = made(line_dataset, config_of())
    save_policy(policy, tmp_path / "policy")
    loaded = load_policy(tmp_path / "policy")
    assert loaded.schema == policy.schema
    assert set(loaded.schema.inputs) == {HAND}
    assert set(loaded.schema.learnt) == {HAND, ENVIRONMENT_STATE}
    context = open_dataset(line_dataset).context
    alone = {HAND: context.features[HAND]}
    loaded.schema.require_fit(dataclasses.replace(context, features=alone), "it")
    seen = whole(windows).observations[HAND][:, -2:]
    torch.testing.assert_close(loaded({HAND: seen}).mode(), policy.eval()({HAND: seen}).mode())


def test_a_policy_of_images_predicts_where_the_arm_will_be() -> None:
    image = "observation.images.front"
    features = {image: Feature("uint8", (32, 32, 3)), HAND: VECTOR}
    action = ActionFeature("float32", (1,), low=(-1.0,), high=(1.0,))
    auxiliary = AuxiliaryConfig(next_observation=1.0)
    learnt = learnt_features(auxiliary, features, {})
    assert set(learnt) == {HAND}
    schema = PolicySchema({image: features[image]}, action, "look", 10.0, learnt=learnt)
    config = dataclasses.replace(config_of(auxiliary=auxiliary), inputs=(image,))
    policy = Policy(schema, config)
    batch = Batch(
        {image: torch.zeros(4, 3, 32, 32, 3, dtype=torch.uint8), HAND: torch.randn(4, 3, 3)},
        torch.randn(4, 1, 1),
        torch.randn(4, 1, 1),
        torch.zeros(4, 3, dtype=torch.bool),
        torch.zeros(4, 1, dtype=torch.bool),
        torch.zeros(4, 1, dtype=torch.bool),
    )
    assert policy.losses(batch)["next_observation"] > 0


def test_poses_are_found_by_their_names() -> None:
    poses = {f"observation.state.robot0_{end}": VECTOR for end in ("eef_pos", "joint_pos")}
    features = {
        **poses,
        ENVIRONMENT_STATE: VECTOR,
        "observation.images.front": Feature("uint8", (9, 9, 3)),
    }
    assert list(arm_features(ALL, features)) == ["observation.state.robot0_eef_pos"]
    assert list(arm_features(ALL, {"observation.state": VECTOR})) == ["observation.state"]
    assert list(object_features(ALL, features)) == [ENVIRONMENT_STATE]
    named = AuxiliaryConfig(arm_features=("observation.state.robot0_joint_pos",))
    assert list(arm_features(named, features)) == ["observation.state.robot0_joint_pos"]


@pytest.mark.parametrize(
    ("auxiliary", "features", "message"),
    [
        (AuxiliaryConfig(object_pose=1.0), {HAND: VECTOR}, "where the objects are; name some"),
        (AuxiliaryConfig(arm_pose=1.0), {ENVIRONMENT_STATE: VECTOR}, r"auxiliary\.arm_features"),
        (
            AuxiliaryConfig(final_pose=1.0, arm_features=("observation.state.foot",)),
            {HAND: VECTOR},
            "there is no observation.state.foot",
        ),
    ],
)
def test_what_a_loss_needs_and_is_not_there_is_named(auxiliary, features, message: str) -> None:
    with pytest.raises(FeatureMismatch, match=message):
        learnt_features(auxiliary, features, features)


@pytest.mark.parametrize("name", ["next_observation", "inverse_dynamics"])
def test_one_frame_of_a_sequence_has_no_transition(name: str) -> None:
    memory = MemoryConfig(kind="lstm", history=1, hidden=(8,))
    with pytest.raises(ConfigurationError, match=r"memory\.history is 2 or more"):
        PolicyConfig(memory=memory, auxiliary=AuxiliaryConfig(**{name: 1.0}))


@pytest.mark.parametrize(
    ("name", "option"), [("arm_pose", "arm_features"), ("object_pose", "object_features")]
)
def test_a_target_that_never_varies_is_told_as_a_target(
    line_dataset: Path, name: str, option: str
) -> None:
    policy, windows = made(line_dataset, config_of(auxiliary=AuxiliaryConfig(**{name: 1.0})))
    frames = {key: value.clone() for key, value in windows.observations.items()}
    target = HAND if name == "arm_pose" else ENVIRONMENT_STATE
    frames[target][:] = frames[target][0]
    with pytest.raises(
        FeatureMismatch,
        match=rf"^{target} is constant .* auxiliary\.{name}, .* auxiliary\.{option} ",
    ) as told:
        policy.auxiliary.fit(frames)
    assert "inputs" not in str(told.value)
