from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import pytest
import torch

from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.loading.windows import Batch
from robolearn.errors import ConfigurationError, FeatureMismatch, NoDensity, PolicyError
from robolearn.learning.windows import learning_windows
from robolearn.policies.action_heads.config import ActionHeadConfig, Head
from robolearn.policies.auxiliary.config import AuxiliaryConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

REAL_HEADS = [name for name in get_args(Head.__value__) if name != "categorical"]
SMALL = MemoryConfig(history=2, hidden=(16,))
POSE = Feature("float32", (2,), ("x", "y"))
BUTTONS = ActionFeature("int64", (2,), low=(0.0, 3.0), high=(1.0, 5.0))


def made(dataset: Path, config: PolicyConfig) -> tuple[Policy, Batch]:
    """A policy and all windows."""
    torch.manual_seed(0)
    schema = PolicySchema.of(open_dataset(dataset).context, (), (), config.auxiliary)
    windows = learning_windows(open_dataset(dataset), schema, config, "train")
    policy = Policy(schema, config)
    policy.fit_normalization(windows)
    return policy.eval(), windows.batch(torch.arange(len(windows)))


def test_the_total_loss_is_the_weighted_sum(policy: Policy, line_dataset: Path) -> None:
    batch = learning_windows(
        open_dataset(line_dataset), policy.schema, policy.config, "train"
    ).batch(torch.arange(20))
    losses = policy.losses(batch)
    torch.testing.assert_close(losses["total"], losses["arm"] + losses["gripper"])
    log_prob = policy(batch.observations).log_prob(batch.actions)
    torch.testing.assert_close(losses["total"], -log_prob.mean())
    weighted = Policy(policy.schema, dataclasses.replace(policy.config, gripper_weight=0.5))
    weighted.load_state_dict(policy.state_dict())
    losses = weighted.eval().losses(batch)
    torch.testing.assert_close(losses["total"], losses["arm"] + 0.5 * losses["gripper"])


def test_the_gripper_is_open_or_closed_and_nothing_between(policy: Policy, line_dataset) -> None:
    windows = learning_windows(open_dataset(line_dataset), policy.schema, policy.config, "train")
    batch = windows.batch(torch.arange(len(windows)))
    distribution = policy(batch.observations)
    actions = distribution.mode()
    assert actions.shape == (len(windows), 1, 2)
    closed = distribution.gripper.probs[:, 0, 0] > 0.5
    torch.testing.assert_close(actions[:, 0, 1], torch.where(closed, 1.0, -1.0))
    heaviest = distribution.mode_weights.argmax(-1)
    rows = torch.arange(len(windows))
    torch.testing.assert_close(actions[:, 0, 0], distribution.mode_actions[rows, heaviest, 0, 0])
    torch.testing.assert_close(distribution.mode_weights.sum(-1), torch.ones(len(windows)))


@pytest.mark.parametrize("kind", ["stack", "lstm", "transformer"])
@pytest.mark.parametrize("head", REAL_HEADS)
def test_each_head_and_memory_predicts_chunks(line_dataset: Path, head: Head, kind) -> None:
    config = PolicyConfig(
        horizon=4,
        memory=MemoryConfig(kind=kind, history=3, past_actions=2, hidden=(16,), heads=2),
        action=ActionHeadConfig(head=head),
    )
    policy, batch = made(line_dataset, config)
    losses = policy.losses(batch, torch.Generator().manual_seed(0))
    assert {"total", "arm", "gripper"} <= losses.keys()
    losses["total"].backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(parameter.grad is not None for parameter in policy.memory.parameters())
    distribution = policy(
        batch.observations,
        batch.past_actions[:, -2:],
        batch.observation_is_pad,
        batch.past_action_is_pad[:, -2:],
    )
    for actions in (
        distribution.mode(),
        distribution.sample(torch.Generator().manual_seed(0)),
        distribution.sample(torch.Generator().manual_seed(0), low_noise=True),
    ):
        assert actions.shape == batch.actions.shape
        assert torch.isfinite(actions).all()
        assert (actions[..., 1].abs() == 1).all()
    if policy.arm_head.has_density:
        assert distribution.log_prob(batch.actions).shape == (len(batch.actions),)
    else:
        with pytest.raises(NoDensity):
            distribution.log_prob(batch.actions)
    assert (policy.modes > 0) == (head in {"auto", "mixture"})
    if not policy.modes:
        with pytest.raises(PolicyError, match="has no modes"):
            _ = distribution.mode_weights


def test_padding_changes_no_loss(line_dataset: Path) -> None:
    config = PolicyConfig(horizon=4, memory=MemoryConfig(kind="lstm", past_actions=2, hidden=(8,)))
    policy, batch = made(line_dataset, config)
    before = policy.losses(batch)["total"]
    other = dataclasses.replace(
        batch,
        observations={
            name: values.masked_fill(batch.observation_is_pad[..., None], 7.0)
            for name, values in batch.observations.items()
        },
        actions=batch.actions.masked_fill(batch.action_is_pad[..., None], 7.0),
        past_actions=batch.past_actions.masked_fill(batch.past_action_is_pad[..., None], 7.0),
    )
    torch.testing.assert_close(policy.losses(other)["total"], before)
    other = dataclasses.replace(batch, past_actions=batch.past_actions + 1)
    assert policy.losses(other)["total"] != before


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_what_goes_from_frame_to_frame_learns_the_chunk_of_each(line_dataset: Path, kind) -> None:
    memory = MemoryConfig(kind=kind, history=3, hidden=(8,), heads=2)
    policy, batch = made(line_dataset, PolicyConfig(horizon=2, memory=memory))
    vectors = policy.memory.each(
        policy.encoder(batch.observations), None, batch.observation_is_pad, None
    )
    done = torch.cat([batch.past_actions, batch.actions], 1)  # at the frames t - 2 to t + 1
    over = torch.cat([batch.past_action_is_pad, batch.action_is_pad], 1)
    sums, count = torch.zeros(()), 0
    for frame in range(3):
        for length in (1, 2):  # of chunks, without padding
            is_pad = over[:, frame : frame + 2]
            rows = ~batch.observation_is_pad[:, frame] & ((~is_pad).sum(1) == length)
            if not rows.any():
                continue
            chunks = done[rows, frame : frame + 2]
            chunk_is_pad = is_pad[rows]
            losses = policy.arm_head.losses(
                vectors[rows, frame], policy.units.arm(chunks), chunk_is_pad
            )
            closed = policy.units.closed(chunks)
            gripper = policy.gripper_head.losses(vectors[rows, frame], closed, chunk_is_pad)
            here = int((~chunk_is_pad).sum())
            sums, count = sums + here * (losses["action"] + gripper["gripper"]), count + here
    assert count > 2 * len(batch.actions)
    torch.testing.assert_close(policy.losses(batch)["total"], sums / count)


@pytest.mark.parametrize("kind", ["stack", "lstm", "transformer"])
def test_windows_that_are_too_short_to_learn_from_are_refused(line_dataset: Path, kind) -> None:
    auxiliary = AuxiliaryConfig(inverse_dynamics=1.0)
    memory = MemoryConfig(kind=kind, history=3, hidden=(8,), heads=2)
    policy, batch = made(line_dataset, PolicyConfig(memory=memory, auxiliary=auxiliary))
    assert torch.isfinite(policy.losses(batch)["inverse_dynamics"])
    none = dataclasses.replace(
        batch,
        past_actions=batch.past_actions[:, :0],
        past_action_is_pad=batch.past_action_is_pad[:, :0],
    )
    with pytest.raises(ValueError, match="0 past actions"):
        policy.losses(none)


def test_whole_numbers_are_told_by_their_category() -> None:
    schema = PolicySchema({"observation.state.pose": POSE}, BUTTONS, "press", 10.0)
    memory = MemoryConfig(history=2, past_actions=1, hidden=(8,))
    policy = Policy(schema, PolicyConfig(memory=memory)).eval()
    seen = {"observation.state.pose": torch.randn(50, 2, 2)}
    past = torch.tensor([[[1.0, 4.0]]]).expand(50, 1, 2)
    distribution = policy(seen, past)
    drawn = distribution.sample(torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.int64
    assert set(drawn[..., 0].flatten().tolist()) == {0, 1}
    assert set(drawn[..., 1].flatten().tolist()) == {3, 4, 5}
    sums = sum(
        distribution.log_prob(torch.tensor([a, b]).expand(50, 1, 2)).exp()
        for a in range(2)
        for b in range(3, 6)
    )
    torch.testing.assert_close(sums, torch.ones(50))
    with pytest.raises(ConfigurationError, match="use the head 'categorical'"):
        Policy(schema, PolicyConfig(action=ActionHeadConfig(head="diffusion")))
    with pytest.raises(ConfigurationError, match="mean of actions"):
        Policy(schema, PolicyConfig(horizon=4, ensemble=True))


def test_categories_are_refused_for_real_numbers(schema: PolicySchema) -> None:
    with pytest.raises(ConfigurationError, match="use the head 'autoregressive'"):
        Policy(schema, PolicyConfig(action=ActionHeadConfig(head="categorical")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 4, "execute": 5}, "execute is 1 to 4, not 5"),
        ({"horizon": 4, "execute": 2, "ensemble": True}, "execute is 1, not 2"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(options, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PolicyConfig(**options)


def test_a_history_longer_than_the_episodes_is_padded(line_dataset: Path) -> None:
    for kind in ("stack", "lstm", "transformer"):
        memory = MemoryConfig(kind=kind, history=40, past_actions=30, hidden=(8,), heads=2)
        policy, batch = made(line_dataset, PolicyConfig(horizon=20, memory=memory))
        assert batch.observation_is_pad.sum(1).min() == 28
        assert torch.isfinite(policy.losses(batch)["total"])


def test_a_missing_camera_is_named() -> None:
    images = [f"observation.images.{name}" for name in ("front", "wrist")]
    inputs = {name: Feature("uint8", (32, 32, 3)) for name in images}
    action = ActionFeature("float32", (1,), low=(-1.0,), high=(1.0,))
    policy = Policy(PolicySchema(inputs, action, "look", 10.0), PolicyConfig(memory=SMALL))
    seen = {name: torch.zeros(1, 2, 32, 32, 3, dtype=torch.uint8) for name in images}
    assert policy(seen).mode().shape == (1, 1, 1)
    del seen[images[1]]
    with pytest.raises(FeatureMismatch, match=r"observation\.images\.wrist is missing"):
        policy(seen)
