"""With a policy and its answers as version 1 wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from robolearn.errors import PolicyError
from robolearn.policies.checkpoint import load_policy, save_policy

VERSION_1 = Path(__file__).parent / "version_1"


def test_a_policy_of_version_1_answers_as_it_did(tmp_path: Path) -> None:
    answers = json.loads((VERSION_1 / "answers.json").read_text())
    policy = load_policy(VERSION_1 / "policy")
    seen = {name: torch.tensor(values) for name, values in answers["observations"].items()}
    with torch.inference_mode():
        distribution = policy(seen)
        actions = torch.tensor(answers["actions"])[:, None]
        found = {
            "log_prob": distribution.log_prob(actions),
            "most_likely": distribution.mode()[:, 0],
            "closed": distribution.gripper.probs[:, 0],
            "mode_weights": distribution.mode_weights,
        }
    for name, values in found.items():
        torch.testing.assert_close(values, torch.tensor(answers[name]), rtol=1e-4, atol=1e-5)
    save_policy(policy, tmp_path / "policy")
    assert json.loads((tmp_path / "policy" / "config.json").read_text())["format_version"] == 2
    again = load_policy(tmp_path / "policy")
    assert again.config == policy.config
    with torch.inference_mode():
        assert torch.equal(again(seen).mode(), policy(seen).mode())


def test_a_damaged_policy_of_version_1_is_named(tmp_path: Path) -> None:
    shutil.copytree(VERSION_1 / "policy", tmp_path / "policy")
    path = tmp_path / "policy" / "config.json"
    description = json.loads(path.read_text())
    del description["policy"]["hidden"]
    path.write_text(json.dumps(description))
    with pytest.raises(PolicyError, match=r"config\.json: no readable policy: 'hidden'"):
        load_policy(tmp_path / "policy")
