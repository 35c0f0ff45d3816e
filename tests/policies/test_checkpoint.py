from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robolearn.agents.policy import PolicyAgent
from robolearn.episodes.frames import Observation
from robolearn.errors import PolicyError
from robolearn.policies.checkpoint import load_policy, save_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy


def observe(episode, frame: int) -> Observation:
    values = {name: values[frame] for name, values in episode.observations.items()}
    return Observation(values, dict.fromkeys(values, 0.0), time=0.0)


def test_a_policy_comes_back_from_its_folder(policy: Policy, make_episode, tmp_path: Path) -> None:
    save_policy(policy, tmp_path / "policy")
    assert {path.name for path in (tmp_path / "policy").iterdir()} == {
        "config.json",
        "model.safetensors",
    }
    loaded = load_policy(tmp_path / "policy")
    assert loaded.config == policy.config
    assert loaded.schema == policy.schema
    assert not loaded.training
    observation = observe(make_episode(), 5)
    np.testing.assert_array_equal(
        PolicyAgent(loaded).act(observation), PolicyAgent(policy).act(observation)
    )


def test_a_folder_without_a_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"no policy in .*nowhere"):
        load_policy(tmp_path / "nowhere")


@pytest.mark.parametrize("kept", [0, 7, 200])
def test_truncated_weights_are_named(policy: Policy, tmp_path: Path, kept: int) -> None:
    save_policy(policy, tmp_path / "policy")
    weights = tmp_path / "policy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(PolicyError, match=r"model\.safetensors: no readable weights"):
        load_policy(tmp_path / "policy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"policy": {"histori": 3}}, "no readable policy"),
        ({"schema": {}}, "no readable policy"),
    ],
)
def test_a_config_that_does_not_fit_is_named(
    policy: Policy, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    save_policy(policy, tmp_path / "policy")
    path = tmp_path / "policy" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PolicyError, match=message):
        load_policy(tmp_path / "policy")


def test_weights_of_another_network_are_refused(policy: Policy, tmp_path: Path, schema) -> None:
    save_policy(policy, tmp_path / "a")
    save_policy(Policy(schema, PolicyConfig(memory=MemoryConfig(hidden=(8,)))), tmp_path / "b")
    (tmp_path / "b" / "model.safetensors").write_bytes(
        (tmp_path / "a" / "model.safetensors").read_bytes()
    )
    with pytest.raises(PolicyError, match="no readable weights, they are of another network"):
        load_policy(tmp_path / "b")
