from __future__ import annotations

from pathlib import Path

import pytest

from robolearn.cli.main import run
from robolearn.episodes.formats.folder import FolderDataset

pytest.importorskip("scservo_sdk", reason="LeRobot's drivers come with the extra real")


@pytest.fixture
def arm(tmp_path: Path, repository: Path) -> str:
    """The virtual arm with one small camera, that minds no busy machine."""
    shelf = repository / "real"
    text = (shelf / "virtual-so101.toml").read_text()
    for old, new in (
        ('cameras = ["front", "wrist"]', 'cameras = ["front"]'),
        ("height = 240", "height = 48"),
        ("width = 320", "width = 64"),
        ("agent = 0.3", "agent = 10.0"),
        ("joints = 0.3", "joints = 10.0"),
        ("cameras = 0.5", "cameras = 10.0"),
        ('file = "so101.xml"', f'file = "{shelf / "so101.xml"}"'),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "arm.toml").write_text(text)
    return str(tmp_path / "arm.toml")


def test_what_was_dragged_by_hand_is_done_again_without_the_hand(tmp_path: Path, arm: str) -> None:
    """The second pass on the virtual arm: the same motion, and the cube is lifted again."""
    first, second = tmp_path / "dragged", tmp_path / "clean"
    recorded = ["record", arm, "--by", "hand", "--to", str(first)]
    assert run([*recorded, "--episodes", "1"]) == 0
    status = run(["replay", str(first), "--on", arm, "--to", str(second)])
    by_hand, again = FolderDataset(first).episode(0), FolderDataset(second).episode(0)
    assert again.agent == "replay"
    assert again.context.seed == by_hand.context.seed
    assert len(again) == len(by_hand)
    assert sorted(again.images) == sorted(by_hand.images)
    name = "observation.state"
    apart = abs(again.observations[name] - by_hand.observations[name])[:, :5]
    assert apart.mean() < 0.15
    assert status == (0 if again.outcome.success_at_end else 1)


def test_an_arm_needs_somewhere_to_record_to(
    capsys: pytest.CaptureFixture[str], line_dataset: Path
) -> None:
    assert run(["replay", str(line_dataset), "--on", "real:virtual-so101"]) == 2
    assert "--to: name a dataset" in capsys.readouterr().err


def test_a_simulator_records_nothing(
    capsys: pytest.CaptureFixture[str], line_dataset: Path, tmp_path: Path
) -> None:
    assert run(["replay", str(line_dataset), "--on", "sim:lift", "--to", str(tmp_path / "d")]) == 2
    assert "on an arm" in capsys.readouterr().err


def test_other_actions_are_refused(
    capsys: pytest.CaptureFixture[str], line_dataset: Path, tmp_path: Path
) -> None:
    to = tmp_path / "d"
    assert run(["replay", str(line_dataset), "--on", "real:virtual-so101", "--to", str(to)]) == 2
    message = capsys.readouterr().err.strip()
    assert "are not those of real:virtual-so101" in message
    assert not to.exists()
