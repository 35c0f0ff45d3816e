from __future__ import annotations

from typing import Literal

import pytest
import torch

from robolearn.policies.action_heads.config import DeterministicConfig
from robolearn.policies.action_heads.deterministic import DeterministicHead


@pytest.mark.parametrize(("loss", "expected"), [("l2", 4.5), ("l1", 1.5), ("huber", 1.5 - 0.375)])
def test_losses(loss: Literal["l2", "l1", "huber"], expected: float) -> None:
    head = DeterministicHead(1, 1, 2, DeterministicConfig(loss))
    with torch.no_grad():
        head.actions.weight.zero_()
        head.actions.bias.copy_(torch.tensor([3.0, 0.0]))
    actions, is_pad = torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.bool)
    # Errors 3 and 0: squares 9 and 0, absolutes 3 and 0, Huber's 2.5 and 0.
    found = head.losses(torch.zeros(1, 1), actions, is_pad)["action"].item()
    assert found == pytest.approx({"l2": 4.5, "l1": 1.5, "huber": 1.25}[loss])
