import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robolearn.environments.gymnasium import GymnasiumEnvironment
from robolearn.environments.gymnasium_task import GymnasiumTask
from robolearn.environments.targets import load_target, make_environment
from robolearn.environments.task import SimTask
from robolearn.errors import ShelfError

PEERS = Path(__file__).parents[2] / ".peers"


def test_each_entry_of_the_shelf_is_a_target(repository: Path) -> None:
    kinds = {path.stem: load_target(f"sim:{path.stem}") for path in repository.glob("sim/*.toml")}
    assert isinstance(kinds["lift"], SimTask)
    assert isinstance(kinds["cartpole"], GymnasiumTask)
    assert isinstance(kinds["pusht"], GymnasiumTask)


def test_a_gymnasium_environment_needs_no_file() -> None:
    environment = make_environment(load_target("gym:CartPole-v1"))
    assert isinstance(environment, GymnasiumEnvironment)
    assert environment.horizon == 500
    assert environment.context.env_args["env_name"] == "CartPole-v1"


def test_the_shelfs_cartpole_is_gymnasiums() -> None:
    ours, theirs = (make_environment(load_target(t)) for t in ("sim:cartpole", "gym:CartPole-v1"))
    assert (ours.horizon, ours.context.rate) == (theirs.horizon, theirs.context.rate)


def test_options_go_to_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "frozen.toml"
    path.write_text(
        'text = "Cross the lake."\n[gymnasium]\nid = "FrozenLake-v1"\n'
        '[gymnasium.options]\nmap_name = "8x8"\nis_slippery = false\n'
    )
    environment = make_environment(load_target(str(path)))
    assert environment.context.features["observation.state"].shape == (64,)
    assert environment.context.env_args["env_kwargs"] == {"map_name": "8x8", "is_slippery": False}
    for direction in (1, 2):  # down, then right, as it is not slippery
        environment.act(np.array([direction]))
    assert environment.observe().values["observation.state"].argmax() == 9


@pytest.mark.pusht
@pytest.mark.skipif(not (PEERS / "gym_pusht").is_dir(), reason="gym-pusht is not in .peers")
def test_pusht_is_driven_in_another_process(repository: Path) -> None:
    """Of its own, as PEERS holds more than gym-pusht."""
    program = """
import numpy as np
from robolearn.environments.targets import load_target, make_environment

environment = make_environment(load_target("sim:pusht"))
environment.reset(7)
sent = environment.act(np.array([600.0, 100.0]))
observation = environment.observe()
print(environment.horizon, environment.context.rate, sent.tolist(), observation.reward >= 0)
print({name: value.shape for name, value in observation.values.items()})
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=os.environ | {"PYTHONPATH": f"{repository}:{PEERS}", "PYGAME_HIDE_SUPPORT_PROMPT": "1"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert run.stdout.splitlines() == [
        "300 10.0 [512.0, 100.0] True",
        "{'observation.state.agent_pos': (2,), 'observation.state.environment_state': (16,)}",
    ]


def test_what_is_no_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShelfError, match="gym:CartPole-v1"):
        load_target("gym:")
    with pytest.raises(ShelfError, match="gym:ID"):
        load_target("CartPole-v1")
    path = tmp_path / "pole.toml"
    path.write_text('text = "Balance."\n[gymnasium]\nid = "CartPole-v1"\nhorizn = 3\n')
    with pytest.raises(ShelfError, match=r"pole.toml, line 4: gymnasium.horizn: unknown key"):
        load_target(str(path))
