from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from robolearn.cli.main import run
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import (
    FolderDataset,
    FolderWriter,
    count_episodes,
    episode_path,
)
from robolearn.policies.checkpoint import load_policy

STEPS = 45


@dataclass(frozen=True)
class Collected:
    """What robosuite's own collector made, and what it observed meanwhile."""

    folder: Path
    gathered: Path
    observed: list[list[dict[str, np.ndarray]]]


@pytest.fixture(scope="module")
def collected(
    lift_environment: RobosuiteEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Collected:
    """Three episodes of robosuite's `DataCollectionWrapper`, two of them successful."""
    import robosuite
    from robosuite.scripts.collect_human_demonstrations import gather_demonstrations_as_hdf5
    from robosuite.wrappers import DataCollectionWrapper

    folder = tmp_path_factory.mktemp("collected")
    arguments = dict(lift_environment.context.env_args["env_kwargs"]) | {"hard_reset": True}
    observed = []
    with contextlib.redirect_stdout(io.StringIO()):
        made = robosuite.make("Lift", **arguments)
        environment = DataCollectionWrapper(made, str(folder / "raw"), flush_freq=10)
        for succeeds in (True, False, True):
            frames = [environment.reset()]
            for step in range(STEPS):
                action = np.zeros(7)
                if succeeds:
                    away = frames[-1]["cube_pos"] - frames[-1]["robot0_eef_pos"]
                    action[:3] = np.clip(away * 12, -1, 1) if step < 30 else (0, 0, 1)
                    action[6] = 1 if step > 24 else -1
                frames.append(environment.step(action)[0])
            observed.append(frames[:-1])
        environment.close()
        robots = {"robots": "Panda", "controller_configs": arguments["controller_configs"]}
        gather_demonstrations_as_hdf5(
            str(folder / "raw"), str(folder), json.dumps({"env_name": "Lift", **robots})
        )
    return Collected(folder / "raw", folder / "demo.hdf5", observed)


def said(capsys: pytest.CaptureFixture[str], *arguments: object, expect: int = 0) -> str:
    assert run(["convert", *map(str, arguments)]) == expect
    output = capsys.readouterr()
    return output.out if expect == 0 else output.err


def test_what_robosuite_collected_becomes_a_policy(
    collected: Collected, tmp_path: Path, lift_task: SimTask, capsys: pytest.CaptureFixture[str]
) -> None:
    demos = tmp_path / "demos"
    text = said(capsys, collected.folder, demos, "--replay", "sim:lift")
    assert text.startswith(f"3 episodes, {3 * STEPS} frames copied")
    dataset = FolderDataset(demos)
    assert [summary.success for summary in dataset.summaries] == [True, False, True]
    for episode, frames in zip(dataset.episodes(range(3)), collected.observed, strict=True):
        assert len(episode) == STEPS
        for part in lift_task.observation.state:
            np.testing.assert_allclose(
                episode.observations[f"observation.state.{part}"],
                np.array([frame[part] for frame in frames]),
                atol=2e-6,  # the first frame was seen before robosuite rounded the model
                err_msg=part,
            )
        objects = [
            np.concatenate([frame[part] for part in lift_task.observation.objects])
            for frame in frames
        ]
        np.testing.assert_allclose(
            episode.observations["observation.environment_state"], objects, atol=2e-6
        )
    tiny = ["--policy.memory.hidden", "8", "--steps", "5", "--batch", "8"]
    assert run(["train", str(demos), "--to", str(tmp_path / "run"), *tiny]) == 0
    load_policy(tmp_path / "run" / "policy")


def test_what_robosuite_gathered_is_the_same_without_the_failures(
    collected: Collected, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, collected.gathered, tmp_path / "gathered", "--replay", "sim:lift")
    gathered = FolderDataset(tmp_path / "gathered")
    raw = open_dataset(collected.folder)
    assert len(gathered) == 2
    assert all(summary.success for summary in gathered.summaries)
    successful = [raw.episode(0), raw.episode(2)]
    for episode in gathered.episodes(range(2)):  # in the order of the file system
        same = [np.array_equal(episode.actions, other.actions) for other in successful]
        assert sum(same) == 1
        other = successful[same.index(True)]
        name = "simulator_state"
        np.testing.assert_array_equal(episode.observations[name], other.observations[name])
        np.testing.assert_array_equal(episode.success[-4:], True)
        assert episode.rewards[-1] == 1.0


@pytest.fixture
def lift(lift_demonstrations: Path, tmp_path: Path) -> Path:
    """Two of the demonstrations that ship, one of them for validation."""
    source = FolderDataset(lift_demonstrations)
    with FolderWriter(tmp_path / "lift") as writer:
        writer.add(source.episode(0), valid=False)
        writer.add(source.episode(1), valid=True)
    return tmp_path / "lift"


@pytest.mark.rendering
def test_cameras_are_filled_in(
    lift: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--split", "valid", "--replay", "sim:lift", "--cameras", "agentview"]
    options += ["--camera-height", "24", "--camera-width", "32", "--images", "raw"]
    said(capsys, lift, tmp_path / "seen", *options)
    seen, source = FolderDataset(tmp_path / "seen"), FolderDataset(lift)
    assert [summary.valid for summary in seen.summaries] == [True]
    episode = seen.episode(0)
    assert episode.images["observation.images.agentview"].shape == (80, 24, 32, 3)
    assert episode.images["observation.images.agentview"][0:1].std() > 10
    np.testing.assert_array_equal(episode.actions, source.episode(1).actions)


def test_the_result_for_machines(
    lift: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = json.loads(said(capsys, lift, tmp_path / "lift.hdf5", "--json"))
    assert (result["format"], result["episodes"], result["copied"]) == ("hdf5", 2, 2)
    assert result["frames"] == 160
    assert result["left_out"] == []
    assert result["bytes_after"] == (tmp_path / "lift.hdf5").stat().st_size
    assert [s.valid for s in open_dataset(tmp_path / "lift.hdf5").summaries] == [False, True]


def test_a_second_time_and_after_a_change(
    lift: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, lift, tmp_path / "copy", "--split", "train")
    assert "1 more had been copied before" in said(capsys, lift, tmp_path / "copy")
    assert said(capsys, lift, tmp_path / "copy").startswith("0 episodes, 0 frames copied (2 more")
    shutil.copy(episode_path(lift, 1), episode_path(tmp_path / "copy", 2))
    text = said(capsys, lift, tmp_path / "copy", expect=2)
    assert "are not those of" in text
    said(capsys, lift, tmp_path / "lift.hdf5")
    assert "exists" in said(capsys, lift, tmp_path / "lift.hdf5", expect=2)


def test_what_is_refused(lift: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new"
    for arguments, reason in (
        ((lift, lift), "is the dataset itself"),
        ((lift, lift / "in"), "lies in the other"),
        ((lift, new, "--cameras", "agentview"), "add --replay"),
        ((lift, new, "--replay", "sim:none"), "none"),
        ((lift, new, "--images", "png"), "folder keeps them as lossless, raw, jpeg, not png"),
        ((tmp_path / "none", new), "there is no dataset"),
    ):
        text = said(capsys, *arguments, expect=2)
        assert text.count("\n") == 1
        assert reason in text
    said(capsys, lift, tmp_path / "train", "--split", "train")
    text = said(capsys, tmp_path / "train", new, "--split", "valid", expect=2)
    assert "no episodes for --split valid" in text
    assert not new.exists()


def test_episodes_without_states(
    line_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, line_dataset, tmp_path / "new", "--replay", "sim:lift", expect=2)
    assert f"{line_dataset}, episode 0: it cannot be played back" in text
    assert not (tmp_path / "new").exists()


def test_ctrl_c_and_going_on(lift_demonstrations: Path, tmp_path: Path) -> None:
    target = tmp_path / "demos"
    command = [sys.executable, "-m", "robolearn", "convert", str(lift_demonstrations), str(target)]
    command += ["--replay", "sim:lift"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not count_episodes(target):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=60)[1].splitlines()[-1]
    assert process.returncode == 130
    kept = count_episodes(target)
    assert f"{kept} of 20 episodes are in {target}; run the same command again to go on" in text
    assert run(command[3:]) == 0
    whole, source = FolderDataset(target), FolderDataset(lift_demonstrations)
    assert [s.seed for s in whole.summaries] == [s.seed for s in source.summaries]
    assert [s.valid for s in whole.summaries] == [s.valid for s in source.summaries]
