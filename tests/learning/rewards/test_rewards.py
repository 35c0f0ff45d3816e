from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from robolearn.episodes.features import ActionFeature, Feature
from robolearn.errors import ConfigurationError
from robolearn.learning.finetuning.trajectories import Trajectories, Trajectory
from robolearn.learning.rewards.adversarial import AdversarialReward, shaped
from robolearn.learning.rewards.airl import AirlReward
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.rewards.discriminator import (
    Discriminator,
    gradient_penalty,
    logit_entropy,
)
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.learning.rewards.gail import GailReward
from robolearn.learning.rewards.state_only import StateOnlyReward
from robolearn.policies.action_units import ActionUnits

X = "observation.state.x"
FEATURES = {X: Feature("float32", (2,), ("hand.x", "hand.y"))}
ACTION = ActionFeature("float32", (1,), ("x",), low=(-1,), high=(1,))
CONFIG = RewardConfig(
    discriminator=DiscriminatorConfig(hidden=(32,), batch=64, learning_rate=1e-2, updates=80)
)


def walks(sign: float, seed: int) -> Trajectories:
    """Walks to one side, with the action that leads there."""
    held = Trajectories(FEATURES, 1, history=1, past_actions=0, horizon=10)
    random = torch.Generator().manual_seed(seed)
    for _ in range(20):
        actions = sign * torch.rand(10, 1, generator=random)
        places = torch.cat([torch.zeros(1, 1), actions.cumsum(0)])
        seen = torch.cat([places, torch.randn(11, 1, generator=random)], 1)
        held.add(Trajectory({X: seen}, actions, actions, terminated=False))
    return held


def seen_features() -> SeenFeatures:
    seen = SeenFeatures(("hand",), FEATURES)
    both = [walks(sign, 0).all.before.present[X] for sign in (1, -1)]
    seen.fit({X: torch.cat(both)})
    return seen


def units() -> ActionUnits:
    made = ActionUnits(ACTION)
    made.fit(walks(1, 0).all.actions)
    return made


def make(method: str, config: RewardConfig = CONFIG) -> AdversarialReward:
    torch.manual_seed(0)
    if method == "gail":
        return GailReward(seen_features(), units(), 1, config)
    if method == "state-only":
        return StateOnlyReward(seen_features(), config)
    log_prob = math.log(0.5)  # even over the range of the action
    return AirlReward(
        seen_features(), units(), 1, config, 0.9, lambda of: torch.full((len(of),), log_prob)
    )


METHODS = ("gail", "airl", "state-only")


@pytest.mark.parametrize("method", METHODS)
def test_what_experts_do_is_worth_more_than_what_others_do(method: str) -> None:
    reward = make(method)
    figures = reward.update(walks(1, 1), walks(-1, 2), torch.Generator().manual_seed(0))
    expert, other = walks(1, 3).all, walks(-1, 4).all
    assert reward.reward(expert).mean() > reward.reward(other).mean() + 1
    assert reward.accuracy(expert) > 0.9
    assert figures["accuracy"] > 0.8


def test_state_only_does_not_look_at_actions() -> None:
    reward = make("state-only")
    transitions = walks(1, 0).all
    others = dataclasses.replace(transitions, actions=-transitions.actions)
    assert torch.equal(reward.reward(transitions), reward.reward(others))
    assert not torch.equal(make("gail").reward(transitions), make("gail").reward(others))


def test_airl_takes_the_policy_out_of_the_logit() -> None:
    reward, transitions = make("airl"), walks(1, 0).all
    logits = reward.expert_logits(transitions)
    inputs = torch.cat([reward.inputs(transitions), torch.zeros(len(transitions), 1)], -1)
    torch.testing.assert_close(logits, reward.network(inputs) - math.log(0.5))
    before, done, after, _ = inputs.split((2, 1, 2, 2), -1)
    network, mark = reward.network, torch.zeros(len(inputs), 1)
    f = network.reward(torch.cat([before, done, mark], -1))
    f = f + 0.9 * network.potential(torch.cat([after, mark], -1))
    f = f - network.potential(torch.cat([before, mark], -1))
    torch.testing.assert_close(network(inputs), f)


def test_after_the_end_of_a_task_airl_has_the_absorbing_states_potential() -> None:
    reward = make("airl")
    transitions = walks(1, 0).all[torch.arange(3)]
    over = dataclasses.replace(transitions, terminated=torch.ones(3, dtype=torch.bool))
    network, mark = reward.network, torch.zeros(3, 1)
    before, done, *_ = reward.inputs(over).split((2, 1, 2, 1), -1)
    absorbing = torch.tensor([[0.0, 0.0, 1.0]]).expand(3, -1)
    f = network.reward(torch.cat([before, done, mark], -1))
    f = f + 0.9 * network.potential(absorbing) - network.potential(torch.cat([before, mark], -1))
    torch.testing.assert_close(reward.expert_logits(over), f - math.log(0.5))


def test_what_the_policy_never_would_do_is_not_worth_infinitely_much() -> None:
    reward = make("airl")
    reward._log_prob = lambda of: torch.full((len(of),), -torch.inf)
    transitions = walks(1, 0).all
    logits = reward.expert_logits(transitions)
    assert logits.isfinite().all()
    assert reward.expert_logits(transitions).mean() > make("airl").expert_logits(transitions).mean()


def test_the_forms_are_those_of_the_probability() -> None:
    logits = torch.tensor([-3.0, -0.5, 0.0, 2.0])
    chance = logits.sigmoid()
    torch.testing.assert_close(shaped(logits, "-log(1-D)", 9), -(1 - chance).log())
    torch.testing.assert_close(shaped(logits, "log D", 9), chance.log())
    torch.testing.assert_close(shaped(logits, "logit", 9), chance.log() - (1 - chance).log())
    assert shaped(logits, "logit", 1).tolist() == [-1, -0.5, 0, 1]


def test_the_absorbing_state_is_told_by_its_mark() -> None:
    reward = make("gail")
    held = Trajectories(FEATURES, 1, history=1, past_actions=0, horizon=10)
    held.add(Trajectory({X: torch.randn(4, 2)}, torch.rand(3, 1), torch.rand(3, 1), True))
    rewards = reward.reward(held.all)
    assert len(held) == 10
    torch.testing.assert_close(rewards[3:], torch.full((7,), reward.of_absorbing))
    assert not (rewards[:3] == reward.of_absorbing).any()


def test_it_does_not_run_ahead_of_the_accuracy_it_may_have() -> None:
    held_back = dataclasses.replace(CONFIG.discriminator, accuracy_target=0.7)
    reward = make("gail", dataclasses.replace(CONFIG, discriminator=held_back))
    figures = reward.update(walks(1, 1), walks(-1, 2), torch.Generator().manual_seed(0))
    free = make("gail").update(walks(1, 1), walks(-1, 2), torch.Generator().manual_seed(0))
    assert figures["skipped"] > 0
    assert figures["accuracy"] < free["accuracy"]


def test_what_keeps_a_discriminator_smooth_does_so() -> None:
    torch.manual_seed(0)
    inputs = 3 * torch.randn(64, 4)
    bounded = Discriminator(4, DiscriminatorConfig(hidden=(32, 32), spectral_norm=True)).eval()
    for _ in range(50):  # the norm is estimated a little better at each call
        bounded.train()(inputs)
    bounded.eval()
    rise = (bounded(inputs[:32]) - bounded(inputs[32:])).abs()
    assert (rise <= 1.01 * (inputs[:32] - inputs[32:]).norm(dim=-1)).all()
    noisy = Discriminator(4, DiscriminatorConfig(hidden=(8,), input_noise=0.5))
    assert not torch.equal(noisy.train()(inputs), noisy(inputs))
    assert torch.equal(noisy.eval()(inputs), noisy(inputs))


def test_the_penalty_is_of_slopes_other_than_one() -> None:
    line = torch.nn.Linear(3, 1)
    flat = torch.nn.Sequential(line, torch.nn.Flatten(0))
    with torch.no_grad():
        line.weight.copy_(torch.tensor([[3.0, 4.0, 0.0]]))
    penalty = gradient_penalty(flat, torch.randn(5, 3), torch.randn(5, 3))
    assert penalty.item() == pytest.approx((5 - 1) ** 2)


def test_the_entropy_of_logits_is_that_of_their_coins() -> None:
    logits = torch.tensor([0.0, 2.0, -1.0])
    coins = torch.distributions.Bernoulli(logits=logits)
    assert logit_entropy(logits).item() == pytest.approx(coins.entropy().mean().item())


def test_elements_are_chosen_by_name() -> None:
    seen = SeenFeatures(("hand.y", X), FEATURES)
    assert (seen.names, seen.width) == ((X,), 3)
    with pytest.raises(ConfigurationError, match=r"called 'foot'; there are hand\.x, hand\.y"):
        SeenFeatures(("foot",), FEATURES)


@pytest.mark.parametrize("method", ["gail", "state-only"])
def test_what_nobody_did_is_worth_little(method: str) -> None:
    """Beyond the policy, on the side of the expert, a network goes on to be as sure as there."""
    told = dataclasses.replace(CONFIG.discriminator, elsewhere=0.25, updates=200)
    untold = dataclasses.replace(told, elsewhere=0.0)
    worth = []
    for discriminator in (told, untold):
        reward = make(method, dataclasses.replace(CONFIG, discriminator=discriminator))
        reward.update(walks(1, 1), walks(-1, 2), torch.Generator().manual_seed(0))
        beyond = reward._seen(walks(1, 3).all)
        places = beyond[:, :2] if method == "state-only" else beyond[:, :-1]
        places.copy_(4 * torch.randn(places.shape, generator=torch.Generator().manual_seed(3)))
        worth.append((reward.network(beyond) > 0).float().mean().item())
    assert worth[0] < 0.8 * worth[1], worth


def test_what_is_seen_is_told_apart_where_most_frames_are() -> None:
    """Most of an episode is spent within a centimetre of the cube, and the way there is long."""
    seen = SeenFeatures(("hand.x",), FEATURES)
    near = torch.linspace(-0.01, 0.01, 60)
    far = torch.linspace(-0.3, 0.3, 40)
    frames = torch.cat([near, far])[:, None].repeat(1, 3)
    seen.fit({X: frames})
    at = torch.tensor([0.0, 0.03, 0.25, 0.28])[:, None].repeat(1, 3)
    on_the_cube, beside_it, away, further = seen({X: at})[:, 0]
    assert beside_it - on_the_cube > 0.6  # by their deviation it would be 0.27
    assert further - away < 0.1 * (beside_it - on_the_cube)


def test_what_hardly_varies_is_not_blown_up() -> None:
    seen = SeenFeatures(("hand.x",), FEATURES)
    seen.fit({X: 0.5 + 1e-5 * torch.randn(100, 3, generator=torch.Generator().manual_seed(0))})
    (other,) = seen({X: torch.full((1, 3), 0.5001)})
    assert other.abs().max() < 0.2


def test_a_reward_goes_on_from_its_tensors() -> None:
    one, other = make("gail"), make("gail")
    one.update(walks(1, 1), walks(-1, 2), torch.Generator().manual_seed(0))
    other.load_state_tensors({name: of.clone() for name, of in one.state_tensors().items()})
    for reward in (one, other):
        torch.manual_seed(0)  # the penalty draws from torch's own generator
        reward.update(walks(1, 1), walks(-1, 2), torch.Generator().manual_seed(1))
    assert torch.equal(one.reward(walks(1, 3).all), other.reward(walks(1, 3).all))
