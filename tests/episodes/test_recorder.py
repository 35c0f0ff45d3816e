from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from robolearn.episodes import journal as journal_module
from robolearn.episodes.episode import Episode
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import Observation, Outcome, Step
from robolearn.episodes.journal import read_journal
from robolearn.episodes.labels import Labels
from robolearn.episodes.recorder import Recorder
from robolearn.errors import DatasetError

FRONT = "observation.images.front"
DONE = Outcome(12, True, True, "horizon")


def steps_of(episode: Episode) -> list[Step]:
    """The loop's steps, of which an episode would be the record."""

    def observation(t: int) -> Observation:
        now = min(t, len(episode) - 1)
        return Observation(
            values={
                **{name: values[now] for name, values in episode.observations.items()},
                **{name: images[now] for name, images in episode.images.items()},
            },
            timestamps={name: float(times[now]) for name, times in episode.timestamps.items()},
            time=float(episode.time[now]),
            reward=None if t == 0 else float(episode.rewards[t - 1]),
            success=None if t == 0 else bool(episode.success[t - 1]),
        )

    return [
        Step(
            index=t,
            observation=observation(t),
            action_asked=episode.actions_asked[t],
            action=episode.actions[t],
            action_timestamp=float(episode.timestamps["action"][t]),
            next_observation=observation(t + 1),
            intervention=bool(episode.interventions[t]),
        )
        for t in range(len(episode))
    ]


def record(recorder: Recorder, episode: Episode, steps: int | None = None) -> None:
    recorder.on_reset(episode.context)
    for step in steps_of(episode)[:steps]:
        recorder.on_step(step)


def assert_same_frames(read: Episode, written: Episode, steps: int) -> None:
    assert len(read) == steps
    for name, values in written.observations.items():
        np.testing.assert_array_equal(read.observations[name], values[:steps])
    for name, images in written.images.items():
        np.testing.assert_array_equal(read.images[name][:], images[:steps])
    for name, times in written.timestamps.items():
        np.testing.assert_array_equal(read.timestamps[name], times[:steps])
    for field in ("actions", "actions_asked", "rewards", "success", "interventions", "time"):
        expected = getattr(written, field)
        assert getattr(read, field).dtype == expected.dtype
        np.testing.assert_array_equal(getattr(read, field), expected[:steps])


@pytest.mark.parametrize("images", ["raw", "lossless"])
def test_what_the_loop_saw_is_recorded_bit_for_bit(tmp_path: Path, make_episode, images) -> None:
    written = make_episode(image=True)
    recorder = Recorder(tmp_path / "journal", "numbers", images=images)
    record(recorder, written)
    recorder.on_end(DONE)
    read = recorder.episode()
    assert read is not None
    assert_same_frames(read, written, 12)
    assert (read.agent, read.outcome, read.context) == ("numbers", DONE, written.context)
    with FolderWriter(tmp_path / "kept", images=images) as writer:
        writer.add(read)
    recorder.discard()
    assert not (tmp_path / "journal").exists()
    assert_same_frames(open_dataset(tmp_path / "kept").episode(0), written, 12)


def test_an_image_is_encoded_once(tmp_path: Path, make_episode, monkeypatch) -> None:
    """JPEG loses a little each time: what the journal holds is copied as it is."""
    written = make_episode(image=True)
    recorder = Recorder(tmp_path / "journal", "numbers", images="jpeg")
    record(recorder, written)
    recorder.on_end(DONE)
    read = recorder.episode()
    assert read is not None
    before = read.images[FRONT][:]
    assert not np.array_equal(before, written.images[FRONT])
    assert np.abs(before.astype(int) - written.images[FRONT]).mean() < 64
    with FolderWriter(tmp_path / "kept", images="jpeg") as writer:
        writer.add(read)
    np.testing.assert_array_equal(
        open_dataset(tmp_path / "kept").episode(0).images[FRONT][:], before
    )


def test_labels_are_given_while_recording_and_afterwards(tmp_path: Path, make_episode) -> None:
    recorder = Recorder(tmp_path / "journal", "numbers")
    record(recorder, make_episode())
    recorder.label(Labels(success=False, operator="Grace", notes="slipped"))
    recorder.on_end(DONE)
    recorder.label(Labels(notes="slipped at the end", task="go back"))
    episode = recorder.episode()
    assert episode is not None
    assert (episode.operator, episode.notes) == ("Grace", "slipped at the end")
    assert episode.context.task == "go back"
    assert (episode.outcome.success, episode.outcome.success_at_end) == (False, False)


def test_an_episode_is_redone(tmp_path: Path, make_episode) -> None:
    with FolderWriter(tmp_path / "d") as writer:
        for seed in (1, 2):
            recorder = Recorder(writer.journal(), "numbers")
            record(recorder, make_episode(seed=seed))
            recorder.on_end(DONE)
            if seed == 1:
                recorder.discard()
        assert recorder.keep(writer) == 0
    dataset = open_dataset(tmp_path / "d")
    assert len(dataset) == 1
    assert_same_frames(dataset.episode(0), make_episode(seed=2), 12)
    assert not list((tmp_path / "d").rglob(".*"))


class SlowDisk:
    """Holds the writing thread back until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        writev = os.writev

        def held(*arguments):
            if threading.current_thread().name == "recorder":
                self.open.wait()
            return writev(*arguments)

        monkeypatch.setattr(journal_module.os, "writev", held)


def test_images_that_cannot_be_kept_are_counted_and_never_restamped(
    tmp_path: Path, make_episode, monkeypatch
) -> None:
    written = make_episode(image=True)
    disk = SlowDisk(monkeypatch)
    recorder = Recorder(tmp_path / "journal", "numbers", memory=1200)
    recorder.on_reset(written.context)
    for step in steps_of(written):
        recorder.on_step(step)  # does not wait, though nothing is written
    disk.open.set()
    recorder.on_end(DONE)
    read = recorder.episode()
    assert read is not None
    lost = recorder.lost_images[FRONT]
    assert 6 <= lost <= 9
    assert read.lost_images == {FRONT: lost}
    kept = 12 - lost
    shown = np.minimum(np.arange(12), kept - 1)
    np.testing.assert_array_equal(read.images[FRONT][:], written.images[FRONT][shown])
    np.testing.assert_array_equal(read.timestamps[FRONT], written.timestamps[FRONT][shown])
    np.testing.assert_array_equal(read.actions, written.actions)  # the rest is whole
    np.testing.assert_array_equal(read.timestamps["action"], written.timestamps["action"])
    with FolderWriter(tmp_path / "kept") as writer:
        writer.add(read)
    assert open_dataset(tmp_path / "kept").episode(0).lost_images == {FRONT: lost}


def test_a_simulator_waits_for_the_disk(tmp_path: Path, make_episode, monkeypatch) -> None:
    written = make_episode(image=True)
    disk = SlowDisk(monkeypatch)
    recorder = Recorder(tmp_path / "journal", "numbers", memory=1, wait=True)
    recorder.on_reset(written.context)
    threading.Timer(0.2, disk.open.set).start()
    for step in steps_of(written):
        recorder.on_step(step)
    recorder.on_end(DONE)
    read = recorder.episode()
    assert read is not None
    assert recorder.lost_images == {FRONT: 0}
    assert_same_frames(read, written, 12)


def test_a_camera_slower_than_the_loop_is_written_once_an_image(
    tmp_path: Path, make_episode
) -> None:
    written = make_episode(image=True)
    times = 1000 + np.arange(12) // 3 * 0.3
    slow = dataclasses.replace(
        written,
        images={FRONT: written.images[FRONT][np.arange(12) // 3 * 3]},
        timestamps=dict(written.timestamps) | {FRONT: times},
    )
    sizes = []
    for name, episode in (("slow", slow), ("fast", written)):
        recorder = Recorder(tmp_path / name, "numbers", images="raw")
        record(recorder, episode)
        recorder.on_end(DONE)
        read = recorder.episode()
        assert read is not None
        assert_same_frames(read, episode, 12)
        assert recorder.lost_images == {FRONT: 0}
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[1] - sizes[0] >= 8 * written.images[FRONT][0].nbytes


def test_a_full_disk_stops_the_loop_and_leaves_what_was_before(
    tmp_path: Path, make_episode, monkeypatch
) -> None:
    written = make_episode(image=True)
    with FolderWriter(tmp_path / "d") as writer:
        writer.add(make_episode(image=True, seed=5))
        recorder = Recorder(writer.journal(), "numbers")
        recorder.on_reset(written.context)
        writev, calls = os.writev, 0

        def full(descriptor, parts):
            nonlocal calls
            calls += 1
            if calls > 8:
                raise OSError(errno.ENOSPC, "No space left on device")
            return writev(descriptor, parts)

        monkeypatch.setattr(journal_module.os, "writev", full)

        def go_on() -> None:
            for step in steps_of(written):
                recorder.on_step(step)
                time.sleep(0.02)

        with pytest.raises(OSError, match="No space"):
            go_on()
        with pytest.raises(OSError, match="No space"):
            recorder.on_end(DONE)
        with pytest.raises(OSError, match="No space"):
            recorder.episode()
        monkeypatch.undo()
        ((_, cut_off),) = writer.in_flight().items()
        assert_same_frames(cut_off, written, 4)
    assert len(open_dataset(tmp_path / "d").episode(0)) == 12


def test_a_value_of_another_shape_is_refused_at_once(tmp_path: Path, make_episode) -> None:
    written = make_episode()
    recorder = Recorder(tmp_path / "journal", "numbers")
    recorder.on_reset(written.context)
    step = steps_of(written)[0]
    wrong = dataclasses.replace(
        step.observation, values=dict(step.observation.values) | {"observation.state.hand": [1.0]}
    )
    with pytest.raises(DatasetError, match="does not fit"):
        recorder.on_step(dataclasses.replace(step, observation=wrong))
    recorder.discard()


def test_a_recorder_that_was_not_reset_says_so(tmp_path: Path, make_episode) -> None:
    with pytest.raises(RuntimeError, match="holds no episode"):
        Recorder(tmp_path / "journal", "x").on_step(steps_of(make_episode())[0])


def test_a_journal_cut_off_anywhere_holds_its_whole_frames(tmp_path: Path, make_episode) -> None:
    written = make_episode(image=True)
    recorder = Recorder(tmp_path / "whole", "numbers")
    record(recorder, written)
    recorder.on_end(DONE)
    assert recorder.episode() is not None
    whole = (tmp_path / "whole").read_bytes()
    frames = []
    for length in [*range(0, len(whole), 97), len(whole)]:
        (tmp_path / "cut").write_bytes(whole[:length])
        read = read_journal(tmp_path / "cut")
        frames.append(0 if read is None else len(read))
        if read is not None:
            assert_same_frames(read, written, len(read))
            assert length == len(whole) or read.outcome.ended in {"interrupted", "horizon"}
    assert frames == sorted(frames)
    assert set(frames) == set(range(13))


def test_a_bit_that_flips_in_a_journal_costs_what_follows(tmp_path: Path, make_episode) -> None:
    written = make_episode(image=True)
    recorder = Recorder(tmp_path / "whole", "numbers")
    record(recorder, written)
    recorder.on_end(DONE)
    assert recorder.episode() is not None
    whole = (tmp_path / "whole").read_bytes()
    random = np.random.default_rng(0)
    lengths = set()
    for place in random.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(8)
        (tmp_path / "cut").write_bytes(damaged)
        try:
            read = read_journal(tmp_path / "cut")
        except DatasetError as error:
            assert "cut" in str(error)  # noqa: PT017
            continue
        if read is not None:
            lengths.add(len(read))
            assert_same_frames(read, written, len(read))
    assert len(lengths) > 5


def test_a_journal_of_someone_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"something else, longer than the first line of a journal")
    with pytest.raises(DatasetError, match="x: it is no journal"):
        read_journal(tmp_path / "x")


def test_an_episode_kept_in_the_last_moment_is_not_offered_again(
    tmp_path: Path, make_episode
) -> None:
    """Killed between keeping an episode and removing its journal."""
    with FolderWriter(tmp_path / "d") as writer:
        recorder = Recorder(writer.journal(), "numbers")
        record(recorder, make_episode())
        recorder.on_end(DONE)
        episode = recorder.episode()
        assert episode is not None
        writer.add(episode)
    with FolderWriter(tmp_path / "d") as writer:
        assert writer.in_flight() == {}
        assert not writer.journal().exists()


RECORDING = textwrap.dedent(
    """
    import itertools, sys, time
    from pathlib import Path
    import numpy as np
    from robolearn.episodes.features import ActionFeature, Feature
    from robolearn.episodes.formats.folder import FolderWriter
    from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step
    from robolearn.episodes.recorder import Recorder

    context = EpisodeContext(
        {"observation.state.t": Feature("float64", (1,)),
         "observation.images.c": Feature("uint8", (8, 8, 3))},
        ActionFeature("float32", (1,), ("x",), (-1e9,), (1e9,)), "count", 100.0)

    def observation(t):
        return Observation(
            {"observation.state.t": np.array([t], float),
             "observation.images.c": np.full((8, 8, 3), t % 256, np.uint8)},
            {"observation.state.t": 1.0 + t, "observation.images.c": 1.0 + t}, float(t))

    with FolderWriter(Path(sys.argv[1])) as writer:
        for journal in writer.in_flight():
            writer.recover(journal)
        for number in itertools.count(len(writer)):
            recorder = Recorder(writer.journal(), "counter")
            recorder.on_reset(context)
            for t in range(20):
                recorder.on_step(Step(t, observation(t), np.array([t]), np.array([t]), 1.5 + t,
                                      observation(t + 1)))
                time.sleep(0.0005)
                print("frame", t, flush=True)
            recorder.on_end(Outcome(20, None, None, "horizon"))
            print("kept", recorder.keep(writer), flush=True)
    """
)


def test_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    """`benchmarks/kills.py` does this a thousand times, with frames compared to the second."""
    random = np.random.default_rng(0)
    target = tmp_path / "d"
    least = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", RECORDING, str(target)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(random.integers(1, 70))]
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].splitlines()
        kept = [int(line.split()[1]) for line in told if line.startswith("kept")]
        least = max(least, kept[-1] + 1 if kept else 0)
        if target.is_dir() and (target / "episodes").is_dir():
            with FolderWriter(target) as writer:
                assert len(writer) >= least
                for episode in writer.in_flight().values():
                    np.testing.assert_array_equal(
                        episode.observations["observation.state.t"][:, 0], np.arange(len(episode))
                    )
    dataset = open_dataset(target)
    assert least >= 3
    for episode in dataset.episodes(range(len(dataset))):
        frames = np.arange(len(episode))
        np.testing.assert_array_equal(episode.observations["observation.state.t"][:, 0], frames)
        np.testing.assert_array_equal(episode.images["observation.images.c"][:][:, 0, 0, 0], frames)
        np.testing.assert_array_equal(episode.timestamps["action"], 1.5 + frames)


def test_a_journal_is_never_written_over(tmp_path: Path, make_episode) -> None:
    episode = make_episode()
    with FolderWriter(tmp_path / "d") as writer:
        journal = writer.journal()
        record(Recorder(journal, "one"), episode, steps=5)
        while read_journal(journal) is None:
            time.sleep(0.01)
        assert writer.journal() != journal
        other = Recorder(journal, "other")
        with pytest.raises(DatasetError, match="keep or discard it first"):
            other.on_reset(episode.context)
        other.discard()
        assert list(writer.in_flight()) == [journal]


def test_a_recorder_takes_the_next_episode_when_it_is_decided_on_this_one(
    tmp_path: Path, make_episode
) -> None:
    recorder = Recorder(tmp_path / "journal", "numbers")
    with FolderWriter(tmp_path / "d") as writer:
        record(recorder, make_episode(seed=1))
        with pytest.raises(DatasetError, match="keep or discard it first"):
            recorder.on_reset(make_episode(seed=2).context)
        assert recorder.keep(writer) == 0
        with pytest.raises(RuntimeError, match="holds no episode"):
            recorder.keep(writer)
        record(recorder, make_episode(seed=2))
        recorder.discard()
        recorder.discard()
        record(recorder, make_episode(seed=3))
        assert recorder.keep(writer) == 1
        assert [writer.episode(i).context.seed for i in range(2)] == [1, 3]


@pytest.mark.parametrize("place", ["head", "first image"])
def test_a_journal_damaged_before_its_first_frame_is_kept_and_named(
    tmp_path: Path, make_episode, place: str
) -> None:
    with FolderWriter(tmp_path / "d") as writer:
        writer.add(make_episode(image=True))
        journal = writer.journal()
        recorder = Recorder(journal, "numbers")
        record(recorder, make_episode(image=True))
        recorder.on_end(DONE)
        whole = bytearray(journal.read_bytes())
        head = len(journal_module._MAGIC) + journal_module._RECORD.size
        size = journal_module._RECORD.unpack_from(whole, len(journal_module._MAGIC))[2]
        whole[head + 9 if place == "head" else head + size + journal_module._RECORD.size + 9] ^= 1
        journal.write_bytes(whole)
    with FolderWriter(tmp_path / "d") as writer:
        assert writer.in_flight() == {}
        [(path, error)] = writer.unreadable_journals().items()
        assert path == journal
        assert "damaged" in str(error)
        assert journal.exists()


@pytest.mark.parametrize("wrong", ["hand", "action", "time", "reward"])
def test_what_could_not_be_kept_is_refused_at_once(
    tmp_path: Path, make_episode, wrong: str
) -> None:
    step = steps_of(make_episode())[0]
    match wrong:
        case "hand":
            times = dict(step.observation.timestamps) | {"observation.state.hand": np.nan}
            step = dataclasses.replace(
                step, observation=dataclasses.replace(step.observation, timestamps=times)
            )
        case "action":
            step = dataclasses.replace(step, action_timestamp=np.inf)
        case "time":
            step = dataclasses.replace(
                step, observation=dataclasses.replace(step.observation, time=np.nan)
            )
        case "reward":
            after = dataclasses.replace(step.next_observation, reward=np.inf)
            step = dataclasses.replace(step, next_observation=after)
    recorder = Recorder(tmp_path / "journal", "numbers")
    recorder.on_reset(make_episode().context)
    with pytest.raises(
        DatasetError, match=f"frame 0: the .*{'clock' if wrong == 'time' else wrong}.* is (nan|inf)"
    ):
        recorder.on_step(step)


def test_text_in_no_encoding_is_kept_with_question_marks(tmp_path: Path, make_episode) -> None:
    recorder = Recorder(tmp_path / "journal", "numbers")
    with FolderWriter(tmp_path / "d") as writer:
        record(recorder, make_episode())
        recorder.label(Labels(notes="caf\udce9"))
        recorder.keep(writer)
    assert open_dataset(tmp_path / "d").summaries[0].notes == "caf?"


def test_a_camera_may_write_into_the_same_array_again(tmp_path: Path, make_episode) -> None:
    written = make_episode(image=True)
    recorder = Recorder(tmp_path / "journal", "numbers")
    recorder.on_reset(written.context)
    buffer = np.empty_like(written.images[FRONT][0])
    for frame, step in enumerate(steps_of(written)):
        buffer[:] = written.images[FRONT][frame]
        step.observation.values[FRONT] = buffer
        recorder.on_step(step)
        buffer[:] = 0
    recorder.on_end(DONE)
    read = recorder.episode()
    assert read is not None
    np.testing.assert_array_equal(read.images[FRONT][:], written.images[FRONT])
