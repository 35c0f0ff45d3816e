from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from typist import Typist

from robolearn.cli.main import run
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter

_SECONDS = 240.0


def remaining(typist: Typist) -> tuple[float, float, float] | None:
    """How far the cube is from the hand, cm, as the screen says."""
    found = re.findall(r"gripper_to_cube_pos: (\S+) (\S+) (\S+) cm", typist.read(0.1))
    if not found:
        return None
    x, y, z = map(float, found[-1])
    return x, y, z


def bring(typist: Typist, tolerance: float, keys: tuple[str, str, str]) -> None:
    """Press keys until the hand is there: towards −x or +x, −y or +y, down or up."""
    until = time.monotonic() + _SECONDS
    reached = 0
    while reached < 3:
        assert time.monotonic() < until, "the hand does not get there"
        way = remaining(typist)
        if way is None:
            continue
        wanted = [
            pair[distance > 0]
            for distance, pair in zip(way, keys, strict=True)
            if pair and abs(distance) > tolerance
        ]
        reached = 0 if wanted else reached + 1
        typist.type("".join(wanted))


def test_somebody_types_in_a_terminal_until_the_cube_is_lifted(tmp_path: Path) -> None:
    """Enter, arrows and letters in a pseudo-terminal; a successful episode on the disk."""
    arguments = ["record", "sim:lift", "--by", "keyboard", "--to", str(tmp_path / "demos")]
    with Typist([*arguments, "--episodes", "1", "--seconds", str(_SECONDS)]) as typist:
        typist.wait_for("READY")
        typist.type("\n")
        typist.wait_for("RECORDING")
        bring(typist, 3.0, ("ws", "ad", ""))
        typist.type("--")
        bring(typist, 1.0, ("ws", "ad", ""))
        typist.type("++")
        bring(typist, 1.5, ("", "", "fr"))
        typist.type(" ")
        closing = time.monotonic() + 2.0
        while time.monotonic() < closing:
            typist.read()
        while "RECORDING" in typist.read(0.2):
            typist.type("r")
        status, last = typist.end()
    assert status == 0, last[-2000:]
    assert "success; kept as episode 0" in last
    assert "\a" in typist.raw
    episode = FolderDataset(tmp_path / "demos").episode(0)
    assert episode.outcome.success_at_end
    assert episode.success[-15:].all()
    assert episode.agent == "keyboard"
    assert not episode.images  # the picture that was shown is no part of it


def test_a_terminal_that_hangs_up_leaves_the_episode_up_to_there(tmp_path: Path) -> None:
    arguments = ["record", "sim:lift", "--by", "keyboard", "--to", str(tmp_path / "demos")]
    with Typist(arguments) as typist:
        typist.wait_for("READY")
        typist.type("w")
        typist.wait_for("RECORDING")
        for _ in range(20):
            typist.read(0.1)
        typist.hang_up()
        assert typist.process.wait(timeout=100) != 0
    with FolderWriter(tmp_path / "demos") as writer:
        (episode,) = writer.in_flight().values()
        assert len(episode) > 10


def test_being_told_that_the_terminal_closes_ends_as_ctrl_c_does(tmp_path: Path) -> None:
    """So that an arm is halted, and viewers and whatever else was started are ended."""
    arguments = ["record", "sim:lift", "--by", "keyboard", "--to", str(tmp_path / "demos")]
    with Typist(arguments) as typist:
        typist.wait_for("READY")
        typist.type("w")
        typist.wait_for("RECORDING")
        typist.read(0.5)
        typist.process.send_signal(signal.SIGHUP)
        status, last = typist.end()
    assert status == 130
    assert re.search(r"\d+ frames of an unfinished episode .* robolearn edit \S+ recover", last)


def test_ending_in_the_middle_says_what_is_kept(tmp_path: Path) -> None:
    arguments = ["record", "sim:lift", "--by", "keyboard", "--to", str(tmp_path / "demos")]
    with Typist(arguments) as typist:
        typist.wait_for("READY")
        typist.type("w")
        typist.wait_for("RECORDING")
        typist.read(0.5)
        typist.type("q")
        status, last = typist.end()
    assert status == 0
    assert re.search(r"\d+ frames of an unfinished episode .* robolearn edit \S+ recover", last)
    assert "0 episodes recorded" in last


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["record", *arguments]) == 2
    message = capsys.readouterr().err.strip()
    assert message.count("\n") == 0, message
    return message


def test_a_keyboard_needs_a_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = refused(capsys, "sim:lift", "--by", "keyboard", "--to", str(tmp_path / "d"))
    assert "standard input is none" in message
    assert not (tmp_path / "d").exists()


def test_an_unknown_driver_is_told_who_there_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    message = refused(capsys, "sim:lift", "--by", "telepathy", "--to", str(tmp_path / "d"))
    assert all(name in message for name in ("telepathy", "keyboard", "gamepad", "scripted"))


@pytest.mark.parametrize("by", ["leader", "hand"])
def test_what_only_an_arm_has_is_not_asked_of_a_simulator(
    by: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    message = refused(capsys, "sim:lift", "--by", by, "--to", str(tmp_path / "d"))
    assert f"--by {by} is for arms, real:NAME, and sim:lift is none" in message


@pytest.mark.parametrize("target", ["sim:cartpole", "gym:CartPole-v1"])
def test_what_has_no_hand_cannot_be_driven_by_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, target: str
) -> None:
    message = refused(capsys, target, "--by", "keyboard", "--to", str(tmp_path / "d"))
    assert "OSC_POSE" in message


def test_joint_actions_cannot_be_driven_by_a_hand(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, repository: Path
) -> None:
    text = (repository / "sim" / "lift.toml").read_text()
    controller = 'type = "JOINT_POSITION"\nlimit = 0.1\n'
    text = re.sub(r'type = "OSC_POSE"\n.*\n.*\n', controller, text)
    text = text[: text.index("[expert]")]
    (tmp_path / "joints.toml").write_text(text)
    message = refused(
        capsys, str(tmp_path / "joints.toml"), "--by", "keyboard", "--to", str(tmp_path / "d")
    )
    assert "OSC_POSE" in message
    assert "joint_1" in message


def test_an_arm_that_is_driven_by_joints_is_refused_before_it_is_touched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    message = refused(capsys, "real:virtual-so101", "--by", "keyboard", "--to", str(tmp_path / "d"))
    assert "[pose]" in message
    assert "--by leader" in message


def test_two_collections_into_one_dataset(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with FolderWriter(tmp_path / "d"):
        message = refused(capsys, "sim:lift", "--by", "keyboard", "--to", str(tmp_path / "d"))
    assert "another" in message


def test_no_spacemouse_names_the_rule(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hid = pytest.importorskip("hid")
    monkeypatch.setattr(hid, "enumerate", lambda vendor, product: [])
    message = refused(capsys, "sim:lift", "--by", "spacemouse", "--to", str(tmp_path / "d"))
    assert "/etc/udev/rules.d/" in message
