from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "environments" / "arms"))

import paper

from robolearn.cli.main import run
from robolearn.episodes.formats import open_dataset


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROBOLEARN_TOKEN", raising=False)


PATIENT = {"agent": 10.0, "joints": 10.0, "cameras": 10.0}
"""A watchdog that does not mind a busy machine."""


def profile(folder: Path, **changes: object) -> Path:
    settings: dict[str, object] = {"horizon": 20, "watchdog": PATIENT, **changes}
    return paper.write(folder, paper.profile(folder, leader=paper.leader(folder), **settings))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_recorded_by_the_leader_learnt_and_deployed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = profile(tmp_path)
    (tmp_path / "hand").write_text(json.dumps([30.0, -20.0, 10.0, 50.0]))
    demos, learnt, again = tmp_path / "demos", tmp_path / "run", tmp_path / "again"
    record = ["record", str(arm), "--by", "leader", "--to", str(demos), "--episodes", "2"]
    assert run(record) == 0
    out = capsys.readouterr().out
    assert "latency: joints" in out
    assert "paper.toml was tried on emulator: be ready to stop the arm by its own switch" in out
    assert "paper.toml has no [workspace]: its joints are limited, and nothing is known of" in out
    assert "seed 1: 20 steps, not known whether it succeeded; kept as episode 1" in out
    dataset = open_dataset(demos)
    episode = dataset.episode(0)
    np.testing.assert_allclose(episode.actions[:, 0], np.deg2rad(30), atol=np.deg2rad(4))
    # What was sent at one step is where the arm is at the next.
    reached = episode.observations["observation.state"][1:]
    np.testing.assert_allclose(reached, episode.actions[:-1], atol=1e-6)
    unchanged = ~episode.observations["observation.safety"][1:].any(axis=1)
    np.testing.assert_array_equal(
        episode.actions[:-1][unchanged], episode.actions_asked[:-1][unchanged]
    )
    assert episode.agent == "leader"
    tiny = ["--steps", "3", "--batch", "8", "--policy.memory.hidden", "8"]
    train = ["train", str(demos), "--to", str(learnt), *tiny]
    assert run(train) == 0, said(capsys)
    capsys.readouterr()
    deploy = ["deploy", str(learnt), "--on", str(arm)]
    before = len(paper.sent(tmp_path)[1])
    assert run([*deploy, "--dry-run"]) in {0, 1}
    assert len(paper.sent(tmp_path)[1]) == before
    out = capsys.readouterr().out
    assert "dry run: nothing is sent" in out
    assert not re.search("succeeded|failed|success", out)
    assert run([*deploy, "--to", str(again), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["episodes"] == 1
    assert result["halted"] == []
    corrections = open_dataset(again).episode(0)
    assert corrections.agent == "policy"
    # Another arm: another range of a joint.
    other = [paper.joint(name) for name in paper.JOINTS[:3]]
    other[0]["high"] = 99.0
    profile(tmp_path, joints=[*other, paper.joint("gripper.pos")])
    before = len(paper.log(tmp_path))
    assert run(deploy) == 2
    assert "the policy does not fit" in said(capsys)
    assert len(paper.log(tmp_path)) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["deploy", "--on", "real:so101"], "name either a run, or --policy"),
        (["deploy", "x", "--on", "real:nothing"], "unknown target 'real:nothing': use one of .*"),
        (["deploy", "x", "--on", "sim:lift"], "unknown target 'sim:lift'"),
        (["deploy", "x"], "missing: --on"),
        (["evaluate", "x", "--on", "real:so101"], "real:so101 is an arm: it is driven by"),
        (["record", "real:so101", "--to", "x"], "is an arm: record it --by leader"),
        (["record", "sim:lift", "--by", "leader", "--to", "x"], "leader is for arms, real:NAME"),
        (["serve", "nowhere"], "there is no policy in nowhere"),
    ],
)
def test_wrong_requests(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert re.search(says, said(capsys))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["nowhere"], "there is no policy in nowhere"),
        (["--policy", "tcp://127.0.0.1:9", "--to", __file__], "is a file"),
    ],
)
def test_what_cannot_be_is_refused_before_an_arm_is_there(
    asked: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from robolearn.environments.arms import presence

    monkeypatch.setattr(presence, "present", None)
    assert run(["deploy", *asked, "--on", str(profile(tmp_path))]) == 2
    assert says in said(capsys)


def test_a_server_needs_its_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arm = profile(tmp_path)
    assert run(["deploy", "--policy", "tcp://127.0.0.1:9", "--on", str(arm)]) == 2
    assert "set ROBOLEARN_TOKEN to what robolearn serve shows" in said(capsys)


def test_the_doctor_looks_at_a_profile_and_moves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arm = profile(tmp_path)
    run(["doctor", str(arm)])
    out = capsys.readouterr().out
    assert "paper.toml: paper, turn.pos, shoulder.pos" in out
    assert "the arm itself is not looked at without --yes" in out
    assert not paper.log(tmp_path)
    run(["doctor", str(arm), "--yes"])
    assert "turn.pos is at 0 degrees, limits -100 to 100" in capsys.readouterr().out
    assert len(paper.sent(tmp_path)[1]) == 0
    profile(tmp_path, joints=[paper.joint("wrist.pos")])
    assert run(["doctor", str(arm)]) == 1
    assert "paper has no joint wrist.pos" in capsys.readouterr().out
    assert run(["doctor", "real:nothing"]) == 1
    assert "unknown target 'real:nothing'" in capsys.readouterr().out


def test_each_profile_of_the_shelf_is_sound(repository: Path) -> None:
    from robolearn.environments.arms.kinematics import joint_limits
    from robolearn.environments.arms.profile import load_arm

    shelf = sorted((repository / "real").glob("*.toml"))
    assert len(shelf) >= 6
    for path in shelf:
        arm = load_arm(f"real:{path.stem}")
        limits = joint_limits(arm)
        # A motor that is at full speed is at rest within a tenth of a second.
        ramp = limits.velocity / limits.acceleration + limits.acceleration / limits.jerk
        assert (ramp < 0.2).all(), path


@pytest.mark.parametrize(
    ("topics", "says"),
    [
        (["real"], "name the arm to calibrate: real:NAME"),
        (["real:so101"], "calibrating asks what to do: run it in a terminal"),
    ],
)
def test_calibrating_needs_an_arm_and_a_person(
    topics: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", *topics, "--calibrate"]) == 2
    assert says in said(capsys)
