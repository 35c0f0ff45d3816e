"""The observer that records an episode while it happens."""

from __future__ import annotations

import datetime
import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robolearn.episodes.dataset import DatasetWriter
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION
from robolearn.episodes.frames import Array, EpisodeContext, Outcome, Step
from robolearn.episodes.images import CODECS, CodecName
from robolearn.episodes.journal import UNKNOWN, JournalWriter, RowForm, read_journal
from robolearn.episodes.labels import Labels
from robolearn.errors import ConfigurationError, DatasetError

_SYNC_SECONDS = 1.0
_DEFAULT_MEMORY = 256 << 20


class Recorder:
    """Writes one episode into a journal, frame by frame, in a thread of its own.

    The control loop hands frames over and never waits for the disk: when ``memory`` is full of
    frames that are not yet written, images are given up and counted in ``lost_images``; vectors,
    actions and times are always kept. When the episode is over, `keep` adds it to a dataset, or
    `discard` forgets it; then the next one may begin. A journal that a kill left behind
    holds the episode up to the last frame that had reached the disk.

    Args:
        journal: path of the journal; `FolderWriter.journal` gives one that is found again.
        agent: who drives.
        images: how images are encoded.
        memory: bytes of images that may wait to be written.
        wait: rather wait for the disk than give up images: for simulators, which have time.

    Raises:
        ConfigurationError: there is no such way to encode images.

    Attributes:
        lost_images: how many images of each camera could not be kept, by feature name.
    """

    def __init__(
        self,
        journal: Path,
        agent: str,
        *,
        images: CodecName = "lossless",
        memory: int = _DEFAULT_MEMORY,
        wait: bool = False,
    ) -> None:
        self._path = journal
        self._agent = agent
        if images not in CODECS:
            raise ConfigurationError(f"images are kept as {', '.join(CODECS)}, not {images!r}")
        self._images: CodecName = images
        self._memory = memory
        self._wait = wait
        self._writing: _Writing | None = None
        self.lost_images: dict[str, int] = {}

    def on_reset(self, context: EpisodeContext) -> None:
        """Begin.

        Raises:
            DatasetError: an episode is in the journal that was neither kept nor discarded.
            OSError: the journal cannot be made.
        """
        recorded_at = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        journal = JournalWriter(self._path, context, self._agent, recorded_at, self._images)
        self._context = context
        self._form = RowForm(context)
        self._row = np.zeros((), self._form.dtype)
        self._shown: dict[str, tuple[int, float]] = dict.fromkeys(self._form.cameras, (-1, np.nan))
        self.lost_images = dict.fromkeys(self._form.cameras, 0)
        self._writing = _Writing(journal, self._memory, wait=self._wait)

    def on_step(self, step: Step) -> None:
        """Hand a frame over.

        Raises:
            OSError: an earlier frame could not be written, because the disk is full for example;
                the frames before it are in the journal.
            DatasetError: a value does not fit its feature, or a time or the reward is not finite.
        """
        writing = self._require_begun()
        _require_finite(step)
        images = {}
        for camera, name in enumerate(self._form.cameras):
            image = self._next_image(writing, name, step)
            if image is not None:
                images[camera] = image
        writing.put(_Frame(self._as_row(step), images))

    def label(self, labels: Labels) -> None:
        """Say something of the episode, while it is recorded or when it is over."""
        self._require_begun().put(labels)

    def on_end(self, outcome: Outcome) -> None:
        """Wait until all is on the disk.

        Raises:
            OSError: something could not be written.
        """
        writing = self._require_begun()
        writing.put(outcome)
        writing.drain()

    def episode(self) -> Episode | None:
        """What was recorded; None where there was no frame. Its images stay in the journal.

        Raises:
            OSError: something could not be written.
            DatasetError: the journal was damaged since.
        """
        writing = self._require_begun()
        writing.drain()
        writing.close()
        return read_journal(self._path)

    def keep(self, writer: DatasetWriter) -> int:
        """Add the episode to a dataset, and remove the journal.

        Returns:
            The episode's number.

        Raises:
            DatasetError: there was no frame.
            FeatureMismatch: its features, action or rate are not those of the dataset.
            OSError: the disk is full; the journal is still there.
        """
        episode = self.episode()
        if episode is None:
            raise DatasetError("nothing was recorded")
        number = writer.add(episode)
        self.discard()
        return number

    def discard(self) -> None:
        """Remove the journal: nobody wants the episode, or it was added to a dataset."""
        if self._writing is not None:
            self._writing.close(drop=True)
            self._writing = None
            self._path.unlink(missing_ok=True)

    def _require_begun(self) -> _Writing:
        if self._writing is None:
            raise RuntimeError("the recorder holds no episode: none began, or it was decided on")
        return self._writing

    def _next_image(self, writing: _Writing, name: str, step: Step) -> Array | None:
        """The image to be written with this frame, where it has one that was not written yet."""
        timestamp = step.observation.timestamps[name]
        number, shown = self._shown[name]
        row = self._row
        row[f"lost {name}"] = 0
        image: Array | None = None
        if timestamp != shown:  # a camera may be slower than the loop
            seen = self._context.features[name].as_frame(step.observation.values[name])
            if writing.room(seen.nbytes):
                image = seen.copy()  # a camera may write its next image into the same array
                number, shown = number + 1, timestamp
            else:
                row[f"lost {name}"] = 1
                self.lost_images[name] += 1
        self._shown[name] = number, shown
        row[f"image {name}"] = number
        row[f"timestamp {name}"] = shown if number >= 0 else timestamp
        return image

    def _as_row(self, step: Step) -> bytes:
        row, observation = self._row, step.observation
        for name in self._form.vectors:
            row[f"value {name}"] = self._context.features[name].as_frame(observation.values[name])
            row[f"timestamp {name}"] = observation.timestamps[name]
        row[f"timestamp {ACTION}"] = step.action_timestamp
        row["action"] = self._context.action.as_frame(step.action)
        row["action_asked"] = self._context.action.as_frame(step.action_asked)
        after = step.next_observation
        row["reward"] = np.nan if after.reward is None else after.reward
        row["success"] = UNKNOWN if after.success is None else after.success
        row["intervention"] = step.intervention
        row["time"] = observation.time
        return row.tobytes()


def _require_finite(step: Step) -> None:
    """Refuse at once what could not be kept when the episode is over."""
    seen, reward = step.observation, step.next_observation.reward
    if not math.isfinite(seen.time + step.action_timestamp + sum(seen.timestamps.values())):
        times = {"the clock": seen.time, **seen.timestamps, ACTION: step.action_timestamp}
        wrong = next(name for name, time in times.items() if not math.isfinite(time))
        raise DatasetError(f"frame {step.index}: the time of {wrong} is {times[wrong]}")
    if reward is not None and not math.isfinite(reward):
        raise DatasetError(f"frame {step.index}: the reward is {reward}")


@dataclass(frozen=True)
class _Frame:
    """A row, and the images that it brings, by their camera's place."""

    row: bytes
    images: Mapping[int, Array]

    @property
    def nbytes(self) -> int:
        return len(self.row) + sum(image.nbytes for image in self.images.values())


class _Writing:
    """The thread that writes a journal, and what waits for it."""

    def __init__(self, journal: JournalWriter, memory: int, *, wait: bool) -> None:
        self._journal = journal
        self._memory = memory
        self._wait = wait
        self._waiting: deque[_Frame | Labels | Outcome] = deque()
        self._bytes = 0
        self._busy = False
        self._closing = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def room(self, size: int) -> bool:
        """Whether ``size`` more bytes may wait; one frame always may."""
        with self._changed:
            return self._wait or self._has_room(size)

    def put(self, item: _Frame | Labels | Outcome) -> None:
        """Have something written after all that waits; a simulator waits for room.

        Raises:
            OSError: something before it could not be.
        """
        with self._changed:
            if self._wait:
                self._changed.wait_for(lambda: self._has_room(_size(item)))
            self._raise_failure()
            if self._bytes > 2 * self._memory:  # rows alone: the disk has hung for minutes
                raise OSError(f"{self._journal.path}: the disk takes nothing any more")
            self._waiting.append(item)
            self._bytes += _size(item)
            self._changed.notify_all()

    def drain(self) -> None:
        """Wait until all is on the disk.

        Raises:
            OSError: something could not be written.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: not (self._waiting or self._busy) or self._failure is not None
            )
            self._raise_failure()
        self._journal.sync()

    def close(self, *, drop: bool = False) -> None:
        """End the thread, after it has written what waits, or dropped it. May be called twice."""
        with self._changed:
            if drop:
                self._waiting.clear()
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._journal.close()

    def _has_room(self, size: int) -> bool:
        fits = self._bytes == 0 or self._bytes + size <= self._memory
        return fits or self._failure is not None

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        synced = time.monotonic()
        try:
            while (item := self._next()) is not None:
                self._write(item)
                with self._changed:
                    self._bytes -= _size(item)
                    self._busy = False
                    self._changed.notify_all()
                if time.monotonic() - synced > _SYNC_SECONDS:
                    self._journal.sync()
                    synced = time.monotonic()
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> _Frame | Labels | Outcome | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            self._busy = True
            return self._waiting.popleft()

    def _write(self, item: _Frame | Labels | Outcome) -> None:
        match item:
            case _Frame():
                for camera, image in item.images.items():
                    self._journal.image(camera, image)
                self._journal.row(item.row)
            case Labels():
                self._journal.labels(item)
            case Outcome():
                self._journal.end(item)


def _size(item: _Frame | Labels | Outcome) -> int:
    return item.nbytes if isinstance(item, _Frame) else 0
