from __future__ import annotations

import json
import subprocess
import sys

import pytest

from robolearn.cli.main import run
from robolearn.diagnosis import checks
from robolearn.diagnosis.finding import Finding, Status


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Status]:
    """A machine with two things, which are in the order of what they are called."""
    things: dict[str, Status] = {"arm": "ok", "camera": "ok"}

    def topic(name: str) -> tuple[checks.Check]:
        return (lambda: [Finding(name, things[name], f"a {name}", f"buy a {name}")],)

    monkeypatch.setattr(checks, "TOPICS", {name: topic(name) for name in things})
    return things


def test_lines_are_aligned_and_say_what_to_do(
    machine: dict[str, Status], capsys: pytest.CaptureFixture[str]
) -> None:
    machine["camera"] = "missing"
    assert run(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ok", "arm", "a", "arm"]
    assert lines[2].split() == ["missing", "camera", "a", "camera"]
    assert lines[0].index("a arm") == lines[2].index("a camera") == lines[3].index("→")
    assert lines[3].strip() == "→ buy a camera"
    assert lines[-1] == "what is needed works: 1 ok, 1 missing"


@pytest.mark.parametrize(
    ("status", "topics", "expected"),
    [
        ("warning", [], 0),
        ("missing", [], 0),
        ("missing", ["arm"], 0),
        ("missing", ["camera"], 1),
        ("missing", ["arm", "camera"], 1),
        ("error", [], 1),
        ("error", ["arm"], 0),
    ],
)
def test_the_exit_status(
    machine: dict[str, Status], status: Status, topics: list[str], expected: int
) -> None:
    machine["camera"] = status
    assert run(["doctor", *topics]) == expected


def test_json(machine: dict[str, Status], capsys: pytest.CaptureFixture[str]) -> None:
    machine["arm"] = "error"
    assert run(["doctor", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["works"] is False
    assert result["findings"][0] == {
        "name": "arm",
        "status": "error",
        "found": "a arm",
        "advice": "buy a arm",
    }


def test_a_terminal_has_colours(
    machine: dict[str, Status],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert run(["doctor", "arm"]) == 0
    text = capsys.readouterr().out
    assert "\x1b[32mok" in text
    assert "→ buy a arm" in text


def test_unknown_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "legs"]) == 2
    assert capsys.readouterr().err == (
        "robolearn: error: doctor knows nothing of 'legs': ask for installation, simulation, "
        "rendering, gpu, real, computer, real:NAME\n"
    )


def test_this_machine() -> None:
    """What needs no simulator, as a user runs it."""
    command = [sys.executable, "-m", "robolearn", "doctor", "installation", "computer"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    names = [line[9:23].strip() for line in done.stdout.splitlines()[:-1] if line[0] != " "]
    assert {"python", "libraries", "extra sim", "processor", "disk", "cache"} <= set(names)
    assert done.returncode == ("\nerror " in f"\n{done.stdout}")


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(["doctor", "--help"])
    assert end.value.code == 0
    assert "Example: robolearn doctor simulation rendering" in capsys.readouterr().out
