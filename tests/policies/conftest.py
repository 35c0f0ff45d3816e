"""A small policy for the arm on a line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.loading.windows import Windows
from robolearn.policies.action_heads.config import ActionHeadConfig, MixtureConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

CONFIG = PolicyConfig(
    memory=MemoryConfig(history=3, hidden=(16,)),
    action=ActionHeadConfig(mixture=MixtureConfig(modes=4)),
)


@pytest.fixture
def schema(line_dataset: Path) -> PolicySchema:
    return PolicySchema.of(open_dataset(line_dataset).context, ())


@pytest.fixture
def policy(line_dataset: Path, schema: PolicySchema) -> Policy:
    torch.manual_seed(0)
    policy = Policy(schema, CONFIG)
    policy.fit_normalization(Windows(open_dataset(line_dataset), tuple(schema.inputs), 3, "train"))
    return policy.eval()
