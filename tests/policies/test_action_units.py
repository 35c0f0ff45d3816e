from __future__ import annotations

import torch

from robolearn.episodes.features import ActionFeature
from robolearn.policies.action_units import ActionUnits

ACTION = ActionFeature(
    "float32",
    (4,),
    ("x", "gripper", "y", "still"),
    (-1.0, 0.0, -1.0, -1.0),
    (1.0, 0.08, 1.0, 1.0),
    (1,),
)


def actions() -> torch.Tensor:
    torch.manual_seed(0)
    x, y = torch.randn(2, 500)
    gripper = torch.where(torch.rand(500) < 0.5, 0.0, 0.08)
    return torch.stack([3 + 0.5 * x, gripper, 10 * y, torch.full((500,), 0.3)], -1)


def test_actions_are_taken_apart_and_put_together_again() -> None:
    units = ActionUnits(ACTION)
    units.fit(actions())
    arm = units.arm(actions())
    assert arm.shape == (500, 3)
    torch.testing.assert_close(arm.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(arm[:, :2].std(0), torch.ones(2), atol=1e-2, rtol=0)
    assert not arm[:, 2].any(), "what never varied is no number to learn"
    closed = units.closed(actions())
    joined = units.joined(units.arm_in_units(arm), closed)
    torch.testing.assert_close(joined, actions())


def test_the_past_is_the_arm_then_the_gripper_from_open_to_closed() -> None:
    units = ActionUnits(ACTION)
    units.fit(actions())
    past = units.past(actions().view(100, 5, 4))
    assert past.shape == (100, 5, 4)
    torch.testing.assert_close(past[..., :3].flatten(0, 1), units.arm(actions()))
    torch.testing.assert_close(past[..., 3].flatten(), actions()[:, 1] / 0.04 - 1)


def test_whole_numbers_stay_as_they_are_but_in_the_past() -> None:
    units = ActionUnits(ActionFeature("int64", (2,), low=(0.0, 3.0), high=(1.0, 7.0)))
    chosen = torch.tensor([[0, 3], [1, 7], [1, 5]])
    units.fit(chosen)
    assert torch.equal(units.arm(chosen), chosen)
    assert torch.equal(units.joined(units.arm_in_units(chosen), units.closed(chosen)), chosen)
    assert units.past(chosen.float()).tolist() == [[-1, -1], [1, 1], [1, 0]]
