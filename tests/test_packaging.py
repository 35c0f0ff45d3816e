"""What a user's environment depends on: side by side, from an installed wheel, with nothing foreign."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel


def test_lerobot_and_robosuite_live_side_by_side() -> None:
    program = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "import lerobot, robosuite, mujoco, numpy, torch\n"
        "from lerobot.robots import Robot\n"
        "print(lerobot.__version__, robosuite.__version__, int(numpy.__version__[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    lerobot, robosuite, numpy = done.stdout.split()
    assert lerobot.startswith("0.6.")
    assert robosuite == "1.5.1"
    assert int(numpy) >= 2


def test_the_shelves_do_not_become_importable(tmp_path: Path) -> None:
    """LeRobot looks for Hugging Face's package `datasets` and would find a folder of that name."""
    program = (
        "import importlib.util as u, robolearn\n"
        "print(all((u.find_spec(n) is None or 'site-packages' in str(u.find_spec(n).origin))"
        " for n in ('datasets', 'sim', 'benchmarks')))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"


def test_the_lock_names_no_address_and_pins_everything(repository: Path) -> None:
    lines = (repository / "requirements.lock").read_text().splitlines()
    requirements = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert len(requirements) > 50
    for line in requirements:
        assert re.match(r"[a-z0-9-]+==[\w.]+( ;.*)?$", line), line
    assert not any("://" in line or line.startswith("--") for line in lines)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    root = Path(__file__).parents[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return folder / build_wheel(str(folder))


def test_the_shelves_travel_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert "robolearn/shelves/sim/lift.toml" in names
    assert "robolearn/shelves/datasets/lift/index.hdf5" in names
    assert "robolearn/viewing/templates/report.html.jinja" in names
    assert "robolearn/py.typed" in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"robolearn"}
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import robolearn.shelf as s; from robolearn.environments.task import load_task\n"
        f"assert s.__file__.startswith({str(tmp_path)!r}), s.__file__\n"
        "print(load_task('sim:lift').simulator.robots[0])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "Panda\n"
