from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch

from robolearn.episodes.features import ActionFeature
from robolearn.errors import ConfigurationError, ShelfError
from robolearn.policies.action_heads.config import ActionHeadConfig, Head, MixtureConfig
from robolearn.policies.action_heads.registry import make_action_head
from robolearn.shelf import read_toml, validate

ARM_AND_GRIPPER = ActionFeature("float32", (3,), low=(-1.0,) * 3, high=(1.0,) * 3, gripper=(1,))
BUTTONS = ActionFeature("int64", (2,), low=(0.0, 0.0), high=(1.0, 6.0))


@pytest.mark.parametrize("name", get_args(Head.__value__))
def test_each_name_makes_a_head_of_the_arm(name: Head) -> None:
    action = BUTTONS if name == "categorical" else ARM_AND_GRIPPER
    head = make_action_head(ActionHeadConfig(head=name), 8, 4, action)
    expected = "mixture" if name == "auto" else name
    assert type(head).__name__.lower() == f"{expected}head"
    assert head.distribution(torch.randn(2, 8)).mode().shape == (2, 4, 2)


def test_only_the_chosen_heads_options_are_used() -> None:
    config = ActionHeadConfig(head="mixture", mixture=MixtureConfig(modes=7))
    distribution = make_action_head(config, 8, 1, ARM_AND_GRIPPER).distribution(torch.randn(2, 8))
    assert distribution.mode_weights.shape == (2, 7)


def test_whole_numbers_need_the_head_that_is_made_for_them() -> None:
    with pytest.raises(ConfigurationError, match="whole ones: use the head 'categorical'"):
        make_action_head(ActionHeadConfig(head="mixture"), 8, 1, BUTTONS)
    head = make_action_head(ActionHeadConfig(), 8, 1, BUTTONS)
    assert type(head).__name__ == "CategoricalHead"
    with pytest.raises(ConfigurationError, match="float32: use the head 'autoregressive'"):
        make_action_head(ActionHeadConfig(head="categorical"), 8, 1, ARM_AND_GRIPPER)


def test_the_config_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "head.toml"
    path.write_text('head = "diffusion"\n[diffusion]\nsteps = 50\n')
    config = read_toml(path, ActionHeadConfig)
    assert config.head == "diffusion"
    assert config.diffusion.steps == 50
    path.write_text("[diffusion]\nsteps = 101\n")
    with pytest.raises(ShelfError, match=r"line 2: diffusion\.steps"):
        read_toml(path, ActionHeadConfig)
    with pytest.raises(ConfigurationError, match=r"mixture\.modes"):
        validate(ActionHeadConfig(mixture=MixtureConfig(modes=0)))
