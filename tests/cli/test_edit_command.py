from __future__ import annotations

import json
from pathlib import Path

import pytest

from robolearn.cli.main import run
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import Observation, Outcome, Step
from robolearn.episodes.recorder import Recorder


def lengths(dataset: Path) -> list[int]:
    return [summary.frames for summary in open_dataset(dataset).summaries]


def test_each_change_is_done_and_told(line_dataset: Path, capsys: pytest.CaptureFixture) -> None:
    dataset = str(line_dataset)
    for arguments, told in (
        (["trim", "3", "--first", "2", "--stop", "9"], "episode 3 has 7 frames now"),
        (["split", "0", "--at", "5"], "is episode 10 now; it has 11 episodes"),
        (["join", "0", "10"], "episodes 0, 10 are episode 0 now; it has 10"),
        (["delete", "1", "2"], "deleted episodes 1, 2; it has 8 episodes"),
        (["label", "4", "--success", "False", "--operator", "Grace"], "labelled episode 4"),
        (["label", "--notes", "all of them"], "labelled episodes 0, 3, 4, 5, 6, 7, 8, 9"),
        (["resplit", "8", "9"], "for validation: episodes 8, 9"),
        (["resplit", "--share", "0.5", "--seed", "3"], "for validation: episodes"),
        (["recover"], "no episode was in flight"),
        (["accept", "5"], "accepted episode 5"),
    ):
        assert run(["edit", dataset, *arguments]) == 0
        assert told in capsys.readouterr().out
    assert lengths(line_dataset) == [12, 7, 12, 12, 12, 12, 12, 12]
    assert len(open_dataset(line_dataset).split("valid")) == 4
    summaries = open_dataset(line_dataset).summaries
    assert (summaries[2].success, summaries[2].operator) == (False, "Grace")
    assert {summary.notes for summary in summaries} == {"all of them"}


def test_join_is_not_delete(line_dataset: Path) -> None:
    """Both take numbers only: what was asked for must stay what it was."""
    assert run(["edit", str(line_dataset), "split", "4", "--at", "5"]) == 0
    assert lengths(line_dataset)[4] == 5
    assert run(["edit", str(line_dataset), "join", "4", "10"]) == 0
    assert lengths(line_dataset) == [12] * 10


def test_merge_of_two_datasets(line_dataset: Path, tmp_path: Path, make_episode, capsys) -> None:
    with FolderWriter(tmp_path / "other") as writer:
        writer.add(make_episode(steps=5))
    assert run(["edit", str(line_dataset), "merge", str(tmp_path / "other"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 11
    assert lengths(line_dataset)[-1] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trim", "3", "--first", "5", "--stop", "5"], "no frames 5 to 5"),
        (["trim", "3", "--first", "-1", "--stop", "5"], "greater than or equal to 0"),
        (["trim", "99", "--first", "0", "--stop", "5"], "has no episode 99"),
        (["split", "3", "--at", "12"], "can be split at 1 to 11"),
        (["join", "3"], "two or more"),
        (["join", "3", "4"], "only parts of one episode can be joined"),
        (["delete"], "name the episodes"),
        (["delete", "3", "99"], "has no episode 99"),
        (["label"], "give --success"),
        (["label", "99", "--notes", "x"], "no readable episode 99"),
        (["resplit"], "either name the episodes for validation, or give --share"),
        (["resplit", "--share", "1.5"], "less than 1"),
        (["merge"], "name the datasets"),
        (["merge", "nowhere"], "there is no dataset nowhere"),
        (["rename", "3"], "rename"),
        ([], "delete"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    line_dataset: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    before = {path: path.read_bytes() for path in (line_dataset / "episodes").iterdir()}
    assert run(["edit", str(line_dataset), *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("robolearn: error: ")
    assert complaint.count("\n") == 1
    assert message in complaint
    assert {path: path.read_bytes() for path in (line_dataset / "episodes").iterdir()} == before


def test_only_folders_are_edited(line_dataset: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["edit", str(line_dataset / "index.hdf5"), "delete", "1"]) == 2
    assert "robolearn convert" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "kept"), [([], 11), (["--discard"], 10)])
def test_what_was_in_flight_is_kept_or_thrown_away(
    line_dataset: Path, make_episode, capsys: pytest.CaptureFixture, option: list[str], kept: int
) -> None:
    episode = make_episode()
    values = {name: array[0] for name, array in episode.observations.items()}
    now = Observation(values, dict.fromkeys(values, 1.0), 0.0)
    step = Step(0, now, episode.actions_asked[0], episode.actions[0], 1.0, now)
    with FolderWriter(line_dataset) as writer:
        recorder = Recorder(writer.journal(), "hand")
        recorder.on_reset(episode.context)
        recorder.on_step(step)
        recorder.on_end(Outcome(1, None, None, "interrupted"))
    assert run(["check", str(line_dataset)]) in {0, 1}
    assert "recover" in capsys.readouterr().out
    assert run(["edit", str(line_dataset), "recover", *option]) == 0
    assert len(open_dataset(line_dataset)) == kept
    if not option:
        assert open_dataset(line_dataset).episode(10).outcome.ended == "interrupted"
    assert not list(line_dataset.rglob("*.journal"))
