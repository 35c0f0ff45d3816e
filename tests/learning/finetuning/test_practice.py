from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from points import CONTEXT, POINT, Points, record, start
from torch.nn.utils import parameters_to_vector

from robolearn.control.seeds import FIRST_PRACTICE_SEED, FIRST_TRIAL_SEED, PRACTICE_SEEDS
from robolearn.episodes.features import Feature
from robolearn.episodes.formats import open_dataset
from robolearn.errors import DatasetError, FeatureMismatch, SimulationError
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.finetune import require_practicable
from robolearn.learning.finetuning.practice import Practising
from robolearn.learning.finetuning.rollouts import Collected, Rollouts
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.updates.config import (
    GradientConfig,
    OffPolicyConfig,
    PpoConfig,
    TrpoConfig,
    UpdateConfig,
)
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy

UPDATE = UpdateConfig(
    discount=0.9,
    off_policy=OffPolicyConfig(batch=64, hidden=32, critic_rate=3e-3, actor_rate=3e-3, updates=0.5),
    trpo=TrpoConfig(divergence=0.05),
    ppo=PpoConfig(learning_rate=3e-3, batch=64),
    gradient=GradientConfig(learning_rate=1e-2),
)
CONFIG = FinetuningConfig(
    reward=RewardConfig(
        discriminator=DiscriminatorConfig(
            hidden=(32,), batch=64, learning_rate=1e-2, updates=10, recent=800
        )
    ),
    update=UPDATE,
    episodes=8,
    warmup=2,
    cloning=0.0,
    cloning_at_end=0.0,
    validation_episodes=16,
)


def practising(
    policy: Policy, dataset: Path, config: FinetuningConfig = CONFIG, **points: object
) -> Practising:
    environments = Points(8, **points)  # type: ignore[arg-type]
    return Practising(policy, open_dataset(dataset), environments, (), config)


def without_seconds(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if not name.startswith("seconds/")}


def distance(practice: Practising) -> float:
    """From the middle in the second half of the episodes that were practised last."""
    transitions = practice._replay.all
    point = transitions.before.present[POINT][-96:, 0].view(8, 12)
    return point[:, 6:].abs().mean().item()


@pytest.mark.parametrize("method", ["gail", "airl", "state-only"])
def test_each_reward_brings_the_points_where_the_demonstrations_bring_them(
    method: str, untrained, points_dataset: Path
) -> None:
    # A reward and a potential are more to learn than one of them.
    learns = dataclasses.replace(
        CONFIG.reward.discriminator, updates=30 if method == "airl" else 10
    )
    reward = dataclasses.replace(CONFIG.reward, method=method, discriminator=learns)
    update = dataclasses.replace(UPDATE, method="ppo")
    config = dataclasses.replace(CONFIG, reward=reward, update=update, episodes=16)
    practice = practising(untrained(), points_dataset, config)
    before = 1.0
    for iteration in range(50):
        practice.iterate()
        if iteration == 1:
            before = distance(practice)
    assert distance(practice) < 0.2 < 0.3 < before


@pytest.mark.parametrize(
    ("method", "iterations"),
    [("off-policy", 30), ("trpo", 50), ("actor-critic", 60), ("reinforce", 60)],
)
def test_each_update_brings_the_points_where_the_demonstrations_bring_them(
    method: str, iterations: int, untrained, points_dataset: Path
) -> None:
    update = dataclasses.replace(UPDATE, method=method)
    config = dataclasses.replace(CONFIG, update=update, episodes=16)
    practice = practising(untrained(), points_dataset, config)
    before = 1.0
    for iteration in range(iterations):
        practice.iterate()
        if iteration == 1:
            before = distance(practice)
    assert distance(practice) < 0.6 * before


@pytest.mark.parametrize("head", ["mixture", "autoregressive", "realnvp"])
@pytest.mark.parametrize("method", ["off-policy", "trpo", "ppo"])
def test_heads_with_a_density_practise(
    head: str, method: str, untrained, points_dataset: Path
) -> None:
    config = dataclasses.replace(
        CONFIG, update=dataclasses.replace(UPDATE, method=method), warmup=0
    )
    policy = untrained(head)
    before = [weight.clone() for weight in policy.parameters()]
    practice = practising(policy, points_dataset, config)
    figures = [practice.iterate() for _ in range(2)][-1]
    assert all(np.isfinite(value) for value in figures.values())
    changed = [
        not torch.equal(old, new) for old, new in zip(before, policy.parameters(), strict=True)
    ]
    assert any(changed)


def test_in_the_warm_up_the_policy_stays_as_it_is(untrained, points_dataset: Path) -> None:
    policy = untrained()
    before = [weight.clone() for weight in policy.parameters()]
    practice = practising(policy, points_dataset)
    for _ in range(2):
        practice.iterate()
    assert all(torch.equal(old, new) for old, new in zip(before, policy.parameters(), strict=True))
    practice.iterate()
    assert not torch.equal(before[-1], list(policy.parameters())[-1])


@pytest.mark.parametrize("method", ["off-policy", "ppo"])
def test_practice_goes_on_to_the_bit(method: str, untrained, points_dataset: Path) -> None:
    config = dataclasses.replace(CONFIG, update=dataclasses.replace(UPDATE, method=method))
    whole = practising(untrained(), points_dataset, config)
    torch.manual_seed(1)
    for _ in range(5):  # beyond the warm-up, so that who drives is no longer who began
        whole.iterate()
    whole.try_average()
    state = {name: value.clone() for name, value in whole.state_dict().items()}
    expected = [without_seconds(whole.iterate()) for _ in range(2)]
    again = practising(untrained(), points_dataset, config)
    again.load_state_dict(state)
    assert [without_seconds(again.iterate()) for _ in range(2)] == expected
    for one, other in zip(whole.policy.parameters(), again.policy.parameters(), strict=True):
        assert torch.equal(one, other)
    assert (again.steps, again.iteration) == (whole.steps, whole.iteration)
    assert again.best.score == whole.best.score


@pytest.mark.parametrize("choice", ["low-noise", "mode"])
def test_a_practised_policy_is_tried_as_it_will_act(
    choice: str, untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    discrete = choice == "mode"
    policy = untrained()
    monkeypatch.setattr(type(policy.arm_head), "is_discrete", discrete)
    practice = practising(policy, points_dataset)
    assert practice.average.config.actions == practice.policy.config.actions == choice
    drawn = []
    sample = PolicyDistribution.sample

    def spied(of: PolicyDistribution, *arguments: Any, **options: Any) -> torch.Tensor:
        drawn.append(options.get("low_noise"))
        return sample(of, *arguments, **options)

    monkeypatch.setattr(PolicyDistribution, "sample", spied)
    first = practice.try_average()
    assert set(drawn) == (set() if discrete else {True})
    assert without_seconds(practice.try_average()) == without_seconds(first)


def test_practice_and_trials_have_seeds_of_their_own(untrained, points_dataset: Path) -> None:
    environments = Points(8)
    config = dataclasses.replace(CONFIG, seed=3)
    practice = Practising(untrained(), open_dataset(points_dataset), environments, (), config)
    practice.iterate()
    practice.iterate()
    practice.try_average()
    first = FIRST_PRACTICE_SEED + 3 * PRACTICE_SEEDS
    practised = range(first, first + 24)  # those of the third are begun while the second learns
    tried = range(FIRST_TRIAL_SEED, FIRST_TRIAL_SEED + 16)
    assert environments.seeds == [*practised, *tried]
    assert first + PRACTICE_SEEDS < 2**32


@pytest.mark.parametrize("method", ["ppo", "off-policy"])
def test_who_drives_is_the_policy_as_it_is_or_off_policy_as_it_was(
    method: str, untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, update=dataclasses.replace(UPDATE, method=method))
    drove: list[torch.Tensor] = []
    collect = Rollouts.collect

    def spied(of: Rollouts, policy: Policy, *arguments: Any) -> Collected:
        drove.append(parameters_to_vector(policy.parameters()).detach().clone())
        return collect(of, policy, *arguments)

    monkeypatch.setattr(Rollouts, "collect", spied)
    with practising(untrained(), points_dataset, config) as practice:
        before = []
        for _ in range(5):
            before.append(parameters_to_vector(practice.policy.parameters()).detach().clone())
            practice.iterate()
    assert not torch.equal(before[3], before[4])
    expected = before if method == "ppo" else [before[0], *before]
    assert len(drove) >= 5
    for weights, of in zip(drove, expected, strict=False):
        assert torch.equal(weights, of)


def test_what_is_under_way_is_broken_off_at_the_end(
    untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments, left = Points(8), threading.Event()
    acted, act = [], environments.act

    def waiting(actions: np.ndarray) -> np.ndarray:
        acted.append(actions)
        if len(acted) > 12:  # of the rollouts that are begun while the first are learnt from
            left.wait(30)
        return act(actions)

    monkeypatch.setattr(environments, "act", waiting)
    practice = Practising(untrained(), open_dataset(points_dataset), environments, (), CONFIG)
    closes = practice._rollouts._closing
    monkeypatch.setattr(closes, "set", lambda: (type(closes).set(closes), left.set()))
    with practice:
        practice.iterate()
    assert len(acted) <= 13
    assert not any(
        thread.name.startswith("rollouts")
        for thread in practice._rollouts._thread._threads
        if thread.is_alive()
    )


def test_a_failure_of_what_is_under_way_is_told_when_it_is_needed(
    untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = practising(untrained(), points_dataset)
    practice.iterate()

    def fail(of: Points, seeds: object, which: object = None) -> None:
        raise SimulationError("no simulator")

    monkeypatch.setattr(Points, "reset", fail)
    practice.iterate()
    with pytest.raises(SimulationError, match="no simulator"):
        practice.iterate()


def test_an_episode_that_broke_off_is_not_learnt_from(untrained, points_dataset: Path) -> None:
    practice = practising(untrained(), points_dataset, lost=2)
    figures = practice.iterate()
    assert figures["practice/lost_episodes"] == 1
    assert practice.steps == 7 * 12


def test_a_task_that_is_over_leads_to_the_absorbing_state(untrained, points_dataset: Path) -> None:
    practice = practising(untrained(), points_dataset, edge=1.05)
    for _ in range(4):
        practice.iterate()
    held = practice._replay.all
    assert held.terminated.any()
    assert held.absorbing.any()
    assert len(held) == 4 * 8 * 12  # filled up to the horizon
    assert (
        practice.reward.of_absorbing < practice.reward.reward(practice._demonstrations.all).mean()
    )


def test_a_policy_that_fell_behind_is_set_back(untrained, points_dataset: Path) -> None:
    practice = practising(untrained(), points_dataset)
    assert "valid/success" in practice.try_average()
    practice.best.score, practice.best.is_better = 1.0, True
    best = {name: value + 1 for name, value in practice.best.weights.items()}
    practice.best.weights = best
    figures = practice.try_average()
    assert figures["valid/set_back"] == 1
    assert practice.update.rate == 0.5
    for name, value in practice.policy.state_dict().items():
        assert torch.equal(value, best[name])


def test_too_few_demonstrations_are_refused(untrained, tmp_path: Path) -> None:
    few = record(tmp_path / "few", episodes=2)
    with pytest.raises(DatasetError, match="22 steps, and the reward learns from 64 at once"):
        require_practicable(untrained(), open_dataset(few), (), CONFIG)


def test_points_start_where_their_seed_says() -> None:
    points = Points(8)
    points.reset(range(8))
    assert points.observe().values[POINT][:, 0] == pytest.approx([start(n) for n in range(8)])


def test_the_average_is_of_all_iterations_and_the_later_ones_the_more(
    untrained, points_dataset: Path
) -> None:
    config = dataclasses.replace(CONFIG, warmup=0, averaging=2.0)
    practice = practising(untrained(), points_dataset, config)
    sums, total = [torch.zeros_like(each) for each in practice.policy.parameters()], 0
    for iteration in range(1, 5):
        practice.iterate()
        # The weights that give (1 + η) / (t + η) of the way: t (t + 1) for η = 2.
        weight = iteration * (iteration + 1)
        total += weight
        for each, now in zip(sums, practice.policy.parameters(), strict=True):
            each += weight * now.detach()
    for each, averaged in zip(sums, practice.average.parameters(), strict=True):
        torch.testing.assert_close(averaged, each / total)


def test_after_a_trial_practice_goes_on_from_what_was_tried(
    untrained, points_dataset: Path
) -> None:
    practice = practising(untrained(), points_dataset)
    for _ in range(4):
        practice.iterate()
    policy, average = list(practice.policy.parameters()), list(practice.average.parameters())
    assert not all(map(torch.equal, policy, average))
    tried = [each.clone() for each in average]
    practice.try_average()
    assert all(map(torch.equal, policy, tried))


def test_a_lost_episode_of_a_trial_is_as_bad_as_the_worst(
    untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = practising(untrained(), points_dataset, lost=2)
    collect = practice._rollouts.collect

    def without_success(*arguments: Any) -> Collected:
        found, physics = collect(*arguments)
        unknown = [
            dataclasses.replace(of, success=None, task_return=-100.0 - place)
            for place, of in enumerate(found)
        ]
        return Collected(unknown, physics)

    monkeypatch.setattr(practice._rollouts, "collect", without_success)
    practice.try_average()
    returns = [-100.0 - place for place in range(14)]
    assert practice.best.score == pytest.approx(np.mean([*returns, *[min(returns)] * 2]))


def test_practice_ends_where_every_episode_breaks_off(
    untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = practising(untrained(), points_dataset)
    monkeypatch.setattr(practice._rollouts, "collect", lambda *arguments: Collected([], 0.0))
    for _ in range(2):
        assert practice.iterate() == {"practice/lost_episodes": practice.lost_episodes}
    with pytest.raises(SimulationError, match="every episode of 3 iterations broke off"):
        practice.iterate()
    with pytest.raises(SimulationError, match="every episode of a trial"):
        practice.try_average()


@pytest.mark.parametrize("method", ["off-policy", "ppo", "reinforce", "trpo"])
def test_every_method_counts_the_steps_that_it_rejects(
    method: str, untrained, points_dataset: Path
) -> None:
    update = dataclasses.replace(UPDATE, method=method)
    config = dataclasses.replace(CONFIG, update=update, warmup=0)
    policy = untrained()
    practice = practising(policy, points_dataset, config)
    losses = practice._cloning_loss
    practice._cloning_loss = lambda: losses() * torch.nan  # type: ignore[method-assign]
    assert practice.iterate()["policy/steps_rejected"] > 0
    assert all(weight.isfinite().all() for weight in policy.parameters())


@pytest.mark.parametrize(
    ("name", "feature", "said"),
    [
        (POINT, Feature("float32", (2,), ("point.closed", "point.x")), "has other elements"),
        ("observation.state.wind", Feature("float32", (1,), ("wind.x",)), "wind is missing"),
    ],
)
def test_demonstrations_without_what_the_reward_is_to_see_are_refused(
    name: str,
    feature: Feature,
    said: str,
    untrained,
    points_dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = dataclasses.replace(CONTEXT, features={**CONTEXT.features, name: feature})
    monkeypatch.setattr(Points, "context", context)
    with pytest.raises(FeatureMismatch, match=said):
        practising(untrained(), points_dataset)


def test_demonstrations_that_are_not_finite_are_refused_by_name(untrained, tmp_path: Path) -> None:
    broken = record(tmp_path / "broken", broken=3)
    with pytest.raises(DatasetError, match=r"episode 3: observation\.state\.point is not finite"):
        practising(untrained(), broken)
