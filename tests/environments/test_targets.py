from pathlib import Path

import pytest

from robolearn.environments.gymnasium import GymnasiumEnvironment
from robolearn.environments.gymnasium_task import GymnasiumTask
from robolearn.environments.targets import load_target, make_environment
from robolearn.environments.task import SimTask
from robolearn.errors import ShelfError


def test_each_entry_of_the_shelf_is_a_target(repository: Path) -> None:
    kinds = {path.stem: load_target(f"sim:{path.stem}") for path in repository.glob("sim/*.toml")}
    assert isinstance(kinds["lift"], SimTask)
    assert isinstance(kinds["cartpole"], GymnasiumTask)


def test_a_gymnasium_environment_needs_no_file() -> None:
    environment = make_environment(load_target("gym:CartPole-v1"))
    assert isinstance(environment, GymnasiumEnvironment)
    assert environment.horizon == 500
    assert environment.context.env_args["env_name"] == "CartPole-v1"


def test_the_shelfs_cartpole_is_gymnasiums() -> None:
    ours, theirs = (make_environment(load_target(t)) for t in ("sim:cartpole", "gym:CartPole-v1"))
    assert (ours.horizon, ours.context.rate) == (theirs.horizon, theirs.context.rate)


def test_what_is_no_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShelfError, match="gym:CartPole-v1"):
        load_target("gym:")
    with pytest.raises(ShelfError, match="gym:ID"):
        load_target("CartPole-v1")
    path = tmp_path / "pole.toml"
    path.write_text('text = "Balance."\n[gymnasium]\nid = "CartPole-v1"\nhorizn = 3\n')
    with pytest.raises(ShelfError, match=r"pole.toml, line 4: gymnasium.horizn: unknown key"):
        load_target(str(path))
