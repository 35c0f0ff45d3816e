"""What holds for every head."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from robolearn.episodes.features import ActionFeature
from robolearn.errors import NoDensity
from robolearn.policies.action_heads.base import ActionHead
from robolearn.policies.action_heads.config import (
    ActionHeadConfig,
    AutoregressiveConfig,
    DiffusionConfig,
    FlowConfig,
    GripperConfig,
    Head,
    MixtureConfig,
    RealNvpConfig,
    VaeConfig,
)
from robolearn.policies.action_heads.gripper import GripperHead
from robolearn.policies.action_heads.registry import make_action_head

HEADS: tuple[str, ...] = tuple(name for name in get_args(Head.__value__) if name != "auto")
WITH_DENSITY = {"gaussian", "mixture", "categorical", "autoregressive", "realnvp"}
DENSITIES = sorted(WITH_DENSITY - {"categorical"})


WIDTH = 8
SMALL = ActionHeadConfig(
    mixture=MixtureConfig(modes=3),
    autoregressive=AutoregressiveConfig(bins=16, hidden=32),
    vae=VaeConfig(latent=2, hidden=32),
    realnvp=RealNvpConfig(couplings=4, hidden=16, modes=2),
    diffusion=DiffusionConfig(steps=5, width=32, depth=2),
    flow=FlowConfig(steps=5, width=32, depth=2),
)


def make_head(name: str, horizon: int, size: int) -> ActionHead:
    """A small one, whose weights are not those of a fresh network."""
    torch.manual_seed(0)
    whole = name == "categorical"
    action = ActionFeature(
        dtype="int64" if whole else "float32",
        shape=(size,),
        low=tuple(range(size)) if whole else (-1.0,) * size,
        high=tuple(3.0 + 2 * index for index in range(size)) if whole else (1.0,) * size,
    )
    config = ActionHeadConfig(**{**vars(SMALL), "head": name})
    head = make_action_head(config, WIDTH, horizon, action)
    with torch.no_grad():
        for parameter in head.parameters():  # some are zero at first
            parameter.add_(0.1 * torch.randn_like(parameter))
    return head.eval()


def some_actions(head: ActionHead, count: int) -> torch.Tensor:
    """(count, H, A) that the head could learn from."""
    chunk = (count, head.horizon, head.size)
    if head.is_discrete:
        steps = [torch.randint(index, 4 + 2 * index, chunk[:2]) for index in range(head.size)]
        return torch.stack(steps, -1).float()
    return torch.randn(chunk)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def no_padding(count: int, horizon: int) -> torch.Tensor:
    return torch.zeros(count, horizon, dtype=torch.bool)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(("horizon", "size"), [(1, 1), (1, 3), (4, 1), (4, 3)])
def test_shapes_and_gradients(name: str, horizon: int, size: int) -> None:
    head = make_head(name, horizon, size).train()
    features = torch.randn(6, WIDTH, requires_grad=True)
    actions = some_actions(head, 6)
    distribution = head.distribution(features)
    for chunk in (
        distribution.sample(),
        distribution.sample(low_noise=True),
        distribution.mode(),
    ):
        assert chunk.shape == (6, horizon, size)
        assert chunk.isfinite().all()
    losses = head.losses(features, actions, no_padding(6, horizon))
    assert all(loss.shape == () and loss.isfinite() for loss in losses.values())
    losses["action"].backward()
    assert features.grad.isfinite().all()
    assert features.grad.abs().sum() > 0
    for parameter in head.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
    assert sum(parameter.grad is None for parameter in head.parameters()) == 0


@pytest.mark.parametrize("name", HEADS)
def test_a_density_or_a_clear_error(name: str) -> None:
    head = make_head(name, 4, 3)
    distribution = head.distribution(torch.randn(5, WIDTH))
    assert head.has_density == (name in WITH_DENSITY)
    assert head.is_discrete == (name == "categorical")
    if head.has_density:
        assert distribution.log_prob(some_actions(head, 5)).shape == (5,)
    else:
        with pytest.raises(NoDensity, match="has no density: take the head gaussian"):
            distribution.log_prob(some_actions(head, 5))


@pytest.mark.parametrize("name", sorted(WITH_DENSITY))
def test_the_loss_is_the_negative_log_likelihood_of_an_action(name: str) -> None:
    head = make_head(name, 4, 3)
    features, actions = torch.randn(7, WIDTH), some_actions(head, 7)
    loss = head.losses(features, actions, no_padding(7, 4))["action"]
    log_prob = head.distribution(features).log_prob(actions)
    torch.testing.assert_close(loss, -log_prob.mean() / 4)


@pytest.mark.parametrize("name", sorted(WITH_DENSITY))
def test_log_probabilities_can_be_climbed(name: str) -> None:
    """As policy gradients do."""
    head = make_head(name, 2, 2)
    features = torch.randn(3, WIDTH, requires_grad=True)
    distribution = head.distribution(features)
    drawn = distribution.sample(seeded(0))
    assert not drawn.requires_grad
    distribution.log_prob(drawn).sum().backward()
    assert features.grad.isfinite().all()
    assert features.grad.abs().sum() > 0


def worth(actions: torch.Tensor) -> torch.Tensor:
    """(..., 1, 2) → (...), as a critic would say it."""
    return (actions - torch.tensor([2.0, 1.0])).square().sum((-1, -2))


def slope_by_alternatives(head: ActionHead, middle: torch.Tensor, direction: torch.Tensor) -> float:
    """Of the mean worth of what is done, as an actor climbs it."""
    along = torch.zeros((), requires_grad=True)
    features = (middle + along * direction).expand(100_000, -1)
    actions, weights = head.distribution(features).alternatives(seeded(5))
    torch.testing.assert_close(weights.sum(1), torch.ones(100_000))
    (found,) = torch.autograd.grad((weights * worth(actions)).sum(1).mean(), along)
    return float(found)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "realnvp"])
def test_alternatives_climb_the_mean_of_what_is_drawn(name: str) -> None:
    head = make_head(name, 1, 2)
    middle, direction = torch.randn(2, 1, WIDTH, generator=seeded(6))

    def mean(offset: float) -> float:
        features = (middle + offset * direction).expand(100_000, -1)
        drawn = head.distribution(features).sample(seeded(4), low_noise=True)
        return worth(drawn).mean().item()

    expected = (mean(0.05) - mean(-0.05)) / 0.1
    assert slope_by_alternatives(head, middle, direction) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", ["categorical", "autoregressive"])
def test_alternatives_climb_the_mean_over_all_that_can_be_drawn(name: str) -> None:
    head = make_head(name, 1, 2)
    middle, direction = torch.randn(2, 1, WIDTH, generator=seeded(6))
    drawn = head.distribution(middle.expand(20_000, -1)).sample(seeded(4), low_noise=True)
    possible = torch.cartesian_prod(*[each.unique() for each in drawn[:, 0].unbind(-1)])[:, None]
    along = torch.zeros((), requires_grad=True)
    features = (middle + along * direction).expand(len(possible), -1)
    # Bins are equally wide, so that their probabilities are as their densities.
    probabilities = head.distribution(features).log_prob(possible).softmax(0)
    (expected,) = torch.autograd.grad((probabilities * worth(possible)).sum(), along)
    found = slope_by_alternatives(head, middle, direction)
    assert found == pytest.approx(expected.item(), rel=0.05)


@pytest.mark.parametrize("name", HEADS)
def test_padding_has_no_influence(name: str) -> None:
    head = make_head(name, 4, 2).train()
    features, actions = torch.randn(5, WIDTH), some_actions(head, 5)
    is_pad = torch.arange(4) >= torch.tensor([4, 3, 2, 1, 4])[:, None]
    padded = torch.where(is_pad[..., None], actions.flip(0) + 1, actions)
    assert not torch.equal(padded, actions)

    def losses(chunk: torch.Tensor) -> list[torch.Tensor]:
        found = head.losses(features, chunk, is_pad, seeded(0))
        found["action"].backward()
        gradients = [parameter.grad.clone() for parameter in head.parameters()]
        head.zero_grad()
        return [*found.values(), *gradients]

    for before, after in zip(losses(actions), losses(padded), strict=True):
        assert torch.equal(before, after)
    changed = actions.clone()
    changed[3, 0, 0] = 3 - changed[3, 0, 0] if head.is_discrete else changed[3, 0, 0] + 1
    assert not torch.equal(losses(changed)[0], losses(actions)[0])


@pytest.mark.parametrize("name", HEADS)
def test_the_same_generator_gives_the_same(name: str) -> None:
    head = make_head(name, 4, 2).train()
    features, actions = torch.randn(50, WIDTH), some_actions(head, 50)
    distribution = head.distribution(features)
    torch.testing.assert_close(distribution.sample(seeded(3)), distribution.sample(seeded(3)))
    torch.testing.assert_close(distribution.mode(), distribution.mode())
    if name != "deterministic":
        assert not torch.equal(distribution.sample(seeded(3)), distribution.sample(seeded(4)))
    state = torch.get_rng_state()
    pad = no_padding(50, 4)
    first, second = (head.losses(features, actions, pad, seeded(5)) for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(state, torch.get_rng_state())  # all was drawn from what was passed


@pytest.mark.parametrize("name", HEADS)
def test_the_state_is_all_there_is(name: str) -> None:
    head, other = make_head(name, 2, 2), make_head(name, 2, 2)
    head.fit(10 * torch.randn(100, 2))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1)
    other.load_state_dict(head.state_dict())
    features = torch.randn(4, WIDTH)
    expected = head.distribution(features)
    found = other.distribution(features)
    assert torch.equal(found.mode(), expected.mode())
    assert torch.equal(found.sample(seeded(0)), expected.sample(seeded(0)))


@pytest.mark.parametrize("name", HEADS)
def test_densities_stay_exact_in_half_precision(name: str) -> None:
    head = make_head(name, 4, 2).train()
    with torch.autocast("cpu", torch.bfloat16):
        features = nn.Linear(WIDTH, WIDTH)(torch.randn(5, WIDTH))
        loss = head.losses(features, some_actions(head, 5), no_padding(5, 4))["action"]
        chunk = head.distribution(features).sample()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert chunk.dtype == (torch.int64 if head.is_discrete else torch.float32)


@pytest.mark.parametrize("name", HEADS)
def test_the_gripper_joins_each_head(name: str) -> None:
    head, gripper = make_head(name, 4, 2), GripperHead(WIDTH, 4, 1, GripperConfig())
    features = torch.randn(5, WIDTH, requires_grad=True)
    is_pad = no_padding(5, 4)
    closed = torch.rand(5, 4, 1) > 0.5
    losses = head.losses(features, some_actions(head, 5), is_pad)
    losses |= gripper.losses(features, closed, is_pad)
    (losses["action"] + 0.5 * losses["gripper"]).backward()
    assert features.grad.isfinite().all()
    assert gripper.closed.weight.grad.abs().sum() > 0


def axis(drawn: torch.Tensor, points: int) -> torch.Tensor:
    """A little further than the samples go."""
    low, high = drawn.min(), drawn.max()
    return torch.linspace(low - 0.2 * (high - low), high + 0.2 * (high - low), points)


@pytest.mark.parametrize("name", DENSITIES)
def test_the_density_of_one_element_integrates_to_one(name: str) -> None:
    head = make_head(name, 1, 1)
    features = torch.randn(1, WIDTH).expand(40000, -1)
    drawn = head.distribution(features).sample(seeded(0))
    values = axis(drawn, 40000)
    density = head.distribution(features).log_prob(values[:, None, None]).exp()
    assert torch.trapezoid(density, values).item() == pytest.approx(1, abs=2e-3)
    mean = torch.trapezoid(density * values, values).item()
    deviation = torch.trapezoid(density * (values - mean) ** 2, values).sqrt().item()
    assert drawn.mean().item() == pytest.approx(mean, abs=0.02 * deviation)
    assert drawn.std().item() == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize(("horizon", "size"), [(1, 2), (2, 1)])
def test_the_density_of_two_elements_integrates_to_one(name: str, horizon: int, size: int) -> None:
    head = make_head(name, horizon, size)
    features = torch.randn(1, WIDTH).expand(300**2, -1)
    drawn = head.distribution(features).sample(seeded(0)).flatten(1)
    first, second = axis(drawn[:, 0], 300), axis(drawn[:, 1], 300)
    pairs = torch.cartesian_prod(first, second)
    log_density = head.distribution(features).log_prob(pairs.view(-1, horizon, size))
    mass = log_density.exp() * (first[1] - first[0]) * (second[1] - second[0])
    assert mass.sum().item() == pytest.approx(1, abs=0.02)
    mean = mass @ pairs / mass.sum()
    covariance = (mass[:, None] * (pairs - mean)).T @ (pairs - mean) / mass.sum()
    scale = covariance.diagonal().sqrt()
    torch.testing.assert_close((drawn.mean(0) - mean) / scale, torch.zeros(2), atol=0.02, rtol=0)
    difference = (drawn.T.cov() - covariance) / (scale[:, None] * scale)
    torch.testing.assert_close(difference, torch.zeros(2, 2), atol=0.03, rtol=0)
