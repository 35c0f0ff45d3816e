from __future__ import annotations

import torch

from robolearn.policies.action_heads.autoregressive import AutoregressiveHead
from robolearn.policies.action_heads.config import AutoregressiveConfig


def make(horizon: int = 3, size: int = 2) -> AutoregressiveHead:
    torch.manual_seed(0)
    head = AutoregressiveHead(4, horizon, size, AutoregressiveConfig(bins=8, hidden=16))
    head.fit(torch.tensor([[-1.0, 0.0], [3.0, 2.0]]))
    return head


def test_an_action_depends_on_those_before_it_only() -> None:
    head, features = make(), torch.randn(5, 4)
    actions = torch.rand(5, 3, 2)
    changed = actions.clone()
    changed[:, 1] = changed[:, 1] + 1
    before = head.log_density_of_steps(features, actions)
    after = head.log_density_of_steps(features, changed)
    assert torch.equal(before[:, 0], after[:, 0])
    assert (before[:, 2] != after[:, 2]).all()


def test_drawing_follows_the_same_conditionals_as_training() -> None:
    """A chunk drawn element by element has the density that one pass gives it."""
    head, features = make(), torch.randn(4, 4)
    taken = []

    def choose(logits: torch.Tensor) -> torch.Tensor:
        chosen = torch.multinomial(logits.softmax(-1), 1)
        taken.append(logits.log_softmax(-1).gather(-1, chosen).squeeze(-1))
        return chosen.squeeze(-1)

    actions = head.values(head.generate(features, choose), 0.5)
    widths = torch.tensor([4.0, 2.0]) / 8
    expected = torch.stack(taken).sum(0) - 3 * widths.log().sum()
    torch.testing.assert_close(head.distribution(features).log_prob(actions), expected)


def test_values_fill_the_range_and_nothing_outside_has_a_density() -> None:
    head = make()
    distribution = head.distribution(torch.randn(1, 4).expand(3000, -1))
    drawn = distribution.sample(torch.Generator().manual_seed(0))
    low, high = drawn.amin((0, 1)), drawn.amax((0, 1))
    torch.testing.assert_close(low, torch.tensor([-1.0, 0.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(high, torch.tensor([3.0, 2.0]), atol=0.02, rtol=0)
    assert distribution.log_prob(drawn).isfinite().all()
    assert (distribution.log_prob(drawn + 5) == -torch.inf).all()
    middles = distribution.sample(torch.Generator().manual_seed(0), low_noise=True)
    inside = (middles - torch.tensor([-1.0, 0.0])) / (torch.tensor([4.0, 2.0]) / 8)
    torch.testing.assert_close(inside % 1, torch.full_like(inside, 0.5))


def test_an_element_that_never_changes_keeps_a_finite_density() -> None:
    head = make(horizon=1)
    head.fit(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
    features, actions = torch.randn(2, 4), torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    assert head.distribution(features).log_prob(actions).isfinite().all()
    outside = head.losses(features, actions + 3, torch.zeros(2, 1, dtype=torch.bool))
    assert outside["action"].isfinite()
