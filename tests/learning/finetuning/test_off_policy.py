"""What is done at once, or left out, gives what is done one by one and in full."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from points import Points

from robolearn.episodes.formats import open_dataset
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.practice import Practising
from robolearn.learning.finetuning.trajectories import Transitions
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.updates.base import decide
from robolearn.learning.updates.config import OffPolicyConfig, UpdateConfig
from robolearn.learning.updates.off_policy import OffPolicy
from robolearn.policies.encoders.config import EncoderConfig
from robolearn.policies.policy import Policy

BATCH = 32
CONFIG = FinetuningConfig(
    reward=RewardConfig(discriminator=DiscriminatorConfig(hidden=(8,), batch=32, updates=2)),
    update=UpdateConfig(off_policy=OffPolicyConfig(batch=BATCH, hidden=16, actor_every=3)),
    warmup=0,
)


def practised(policy: Policy, dataset: Path) -> tuple[Practising, OffPolicy]:
    torch.manual_seed(0)
    practice = Practising(policy, open_dataset(dataset), Points(8), (), CONFIG)
    practice.iterate()
    assert isinstance(practice.update, OffPolicy)
    return practice, practice.update


def learning_encoder(policy: Policy) -> Policy:
    config = dataclasses.replace(policy.config, encoder=EncoderConfig(state_hidden=(8,)))
    with_layers = Policy(policy.schema, config)
    with_layers.encoder.state.normalizer.load_state_dict(
        policy.encoder.state.normalizer.state_dict()
    )
    with_layers.units.load_state_dict(policy.units.state_dict())
    return with_layers.eval()


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("past_actions", [0, 1])
def test_a_lesson_is_half_demonstrations_half_rollouts_as_networks_see_them(
    learns: bool,
    past_actions: int,
    untrained,
    points_dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = untrained("mixture", past_actions)
    practice, update = practised(learning_encoder(policy) if learns else policy, points_dataset)
    drawn: list[Transitions] = []
    sources = practice._demonstrations, practice._replay
    for source in sources:
        sample = source.sample

        def kept(count: int, generator: torch.Generator, sample=sample) -> Transitions:
            drawn.append(sample(count, generator))
            return drawn[-1]

        monkeypatch.setattr(source, "sample", kept)
    lessons = update._lessons(practice.reward, torch.Generator().manual_seed(1))
    assert len(lessons) == 3
    for place, (situations, actions, targets) in enumerate(lessons):
        for part in range(2):
            one = drawn[part][torch.arange(BATCH // 2) + place * BATCH // 2]
            of = slice(part * BATCH // 2, (part + 1) * BATCH // 2)
            torch.testing.assert_close(situations[of], update._inputs(one.before))
            torch.testing.assert_close(actions[of], policy.units.past(one.actions))
            then = update._inputs(one.after)
            following = [  # a way is drawn, with the gripper open or closed
                update.critics.following(then, update._seen(action))
                for action in alternatives(update, one)
            ]
            worth = (targets[of] - practice.reward.reward(one)) / CONFIG.update.discount
            away = torch.stack([(worth - each).abs() for each in following])
            assert away.min(0).values.max() < 1e-4


def alternatives(update: OffPolicy, transitions: Transitions) -> list[torch.Tensor]:
    """Actions (B, A) that the policy might do then, one for each way of going on."""
    decided = decide(update.policy, transitions.after)
    actions, _ = decided.alternatives(torch.Generator().manual_seed(0))
    return list(actions[:, :, 0].detach().unbind(1))


@pytest.mark.parametrize("head", ["mixture", "gaussian"])
def test_the_value_is_the_mean_over_what_might_be_done(
    head: str, untrained, points_dataset: Path
) -> None:
    practice, update = practised(untrained(head), points_dataset)
    with torch.no_grad():  # some grippers and modes are next to impossible
        practice.policy.gripper_head.closed.weight.mul_(40)
    generator = torch.Generator().manual_seed(1)
    situations = update._inputs.encode(practice._replay.sample(BATCH, generator).before)
    state = generator.get_state()
    found = update._value(situations, generator)
    generator.set_state(state)
    drawn = practice._replay.sample(BATCH, torch.Generator().manual_seed(1))
    actions, weights = decide(update.policy, drawn.before).alternatives(generator)
    count = weights.shape[1]
    inputs = situations.for_critics.repeat_interleave(count, 0)
    worth = update.critics(inputs, update._seen(actions[:, :, 0]).flatten(0, 1)).mean(0)
    expected = (weights * worth.view(weights.shape)).sum(-1)
    assert (weights < 1e-4).any() or head == "gaussian"
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    wanted = list(practice.policy.gripper_head.parameters())
    slopes = [torch.autograd.grad(of.sum(), wanted, retain_graph=True) for of in (found, expected)]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-3)
    assert all(weight.requires_grad for weight in update.critics.online.parameters())


def test_an_encoder_that_learns_is_taught_by_the_critics(untrained, points_dataset: Path) -> None:
    policy = learning_encoder(untrained())
    practice = Practising(policy, open_dataset(points_dataset), Points(8), (), CONFIG)
    practice._cloning_loss = lambda: torch.zeros(())  # type: ignore[method-assign]
    before = [weight.clone() for weight in policy.encoder.parameters()]
    practice.iterate()
    after = list(policy.encoder.parameters())
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))
