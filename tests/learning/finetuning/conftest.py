"""A policy that knows nothing but what its inputs and actions look like, and demonstrations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from points import record

from robolearn.episodes.formats import open_dataset
from robolearn.learning.windows import learning_windows
from robolearn.policies.action_heads.config import ActionHeadConfig, Head, MixtureConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

MakePolicy = Callable[..., Policy]


@pytest.fixture(scope="session")
def points_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("points") / "demonstrations")


@pytest.fixture
def untrained(points_dataset: Path) -> MakePolicy:
    def make(head: Head = "gaussian", past_actions: int = 1) -> Policy:
        dataset = open_dataset(points_dataset)
        torch.manual_seed(0)
        config = PolicyConfig(
            memory=MemoryConfig(history=2, past_actions=past_actions, hidden=(32,), dropout=0.0),
            action=ActionHeadConfig(head=head, mixture=MixtureConfig(modes=2)),
        )
        schema = PolicySchema.of(dataset.context, ())
        policy = Policy(schema, config)
        policy.fit_normalization(learning_windows(dataset, schema, config, "train"))
        return policy.eval()

    return make
