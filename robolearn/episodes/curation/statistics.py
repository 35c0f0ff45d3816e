"""What a dataset's streams hold: values, rates, images, told from some of its episodes or all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION
from robolearn.episodes.frames import Array
from robolearn.episodes.images import EncodedImages, Images, Spans
from robolearn.errors import DatasetError

_IMAGES_AN_EPISODE = 8


class RunningStatistics:
    """Least, greatest, mean and standard deviation of elements, of which a block comes at a time.

    Blocks are put together by their means and summed squares (Chan, Golub and LeVeque 1979,
    "Updating formulae and a pairwise algorithm", eq. 2.1), in float64: values far from zero lose
    nothing. What is not finite is left out.

    Attributes:
        count: (D,) values of each element so far.
        mean: (D,) their means; 0 where there are none.
        low: (D,) least value; infinity where there are none.
        high: (D,) greatest value; minus infinity where there are none.
    """

    def __init__(self, size: int) -> None:
        self.count = np.zeros(size)
        self.mean = np.zeros(size)
        self.low = np.full(size, np.inf)
        self.high = np.full(size, -np.inf)
        self._squares = np.zeros(size)

    def add(self, values: Array) -> None:
        """Add a block of values, (N, D)."""
        block = values.astype(np.float64)
        finite = np.isfinite(block)
        count = finite.sum(axis=0)
        here = np.maximum(count, 1)
        mean = np.where(finite, block, 0).sum(axis=0) / here
        squares = np.where(finite, (block - mean) ** 2, 0).sum(axis=0) if len(block) else 0.0
        total = np.maximum(self.count + count, 1)
        apart = mean - self.mean
        self._squares += squares + apart**2 * self.count * count / total
        self.mean += apart * count / total
        self.count += count
        self.low = np.minimum(self.low, np.where(finite, block, np.inf).min(axis=0, initial=np.inf))
        self.high = np.maximum(
            self.high, np.where(finite, block, -np.inf).max(axis=0, initial=-np.inf)
        )

    @property
    def std(self) -> Array:
        """(D,) standard deviation, of all values and not of a sample."""
        deviation: Array = np.sqrt(self._squares / np.maximum(self.count, 1))
        return deviation

    def to_json(self) -> dict[str, list[float | None]]:
        """``min``, ``max``, ``mean`` and ``std`` of each element; None where there are none."""
        found = {"min": self.low, "max": self.high, "mean": self.mean, "std": self.std}
        return {
            name: [
                float(value) if count else None
                for value, count in zip(values, self.count, strict=True)
            ]
            for name, values in found.items()
        }


@dataclass
class StreamStatistics:
    """Of one stream.

    Attributes:
        values: of each element; of each channel of images, from some frames of each episode.
        rates: measured in each episode, Hz: frames that are new in the median time between them.
        jitters: 95 in 100 frames of the episode are no further off that time, s.
        frames: looked at.
        lost: of them, those with the timestamp of the one before: nothing new was sensed.
        codecs: how images are kept, where that is known.
        bytes: that images take, where that is known.
    """

    values: RunningStatistics
    rates: list[float] = field(default_factory=list)
    jitters: list[float] = field(default_factory=list)
    frames: int = 0
    lost: int = 0
    codecs: set[str] = field(default_factory=set)
    bytes: int | None = None

    @property
    def rate(self) -> float | None:
        """Median of the episodes' rates, Hz; None where none was measured."""
        return float(np.median(self.rates)) if self.rates else None

    @property
    def jitter(self) -> float | None:
        """Median of the episodes' jitters, s; None where none was measured."""
        return float(np.median(self.jitters)) if self.jitters else None

    def see_times(self, times: Array) -> None:
        """Add the timestamps of an episode, (T,)."""
        spacing = np.diff(times)
        self.frames += len(times)
        self.lost += int((spacing == 0).sum())
        spacing = spacing[spacing > 0]
        if len(spacing):
            period = float(np.median(spacing))
            self.rates.append(1 / period)
            self.jitters.append(float(np.percentile(np.abs(spacing - period), 95)))

    def see_images(self, images: Images) -> None:
        """Add images of an episode, (T, H, W, C): how they are kept, and a few of them."""
        count = min(len(images), _IMAGES_AN_EPISODE)
        for frame in np.linspace(0, len(images) - 1, count).astype(int) if count else ():
            self.values.add(images[frame : frame + 1].reshape(-1, images.shape[-1]))
        if isinstance(images, EncodedImages):
            self.codecs.add(images.codec.name)
            if isinstance(images.data, Spans):
                self.bytes = (self.bytes or 0) + int(images.data.sizes.sum())

    def to_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            **self.values.to_json(),
            "rate": self.rate,
            "jitter": self.jitter,
            "frames": self.frames,
            "lost": self.lost,
            "codecs": sorted(self.codecs),
            "bytes": self.bytes,
        }


class DatasetStatistics:
    """Of the episodes looked at so far.

    Attributes:
        episodes: looked at.
        unreadable: numbers of episodes that could not be read.
        frames: in those that could.
        interventions: frames in which a person or an expert drove instead of the policy.
        asked_otherwise: frames in which another action was sent than asked for.
        streams: by feature name, ``action`` included.
    """

    def __init__(self) -> None:
        self.episodes = 0
        self.unreadable: list[int] = []
        self.frames = 0
        self.interventions = 0
        self.asked_otherwise = 0
        self.streams: dict[str, StreamStatistics] = {}

    def see(self, episode: Episode) -> None:
        """Add an episode."""
        self.episodes += 1
        self.frames += len(episode)
        self.interventions += int(np.count_nonzero(episode.interventions))
        otherwise = episode.actions != episode.actions_asked
        elements = tuple(range(1, otherwise.ndim))
        self.asked_otherwise += int(np.count_nonzero(otherwise.any(axis=elements)))
        for name, values in (*episode.observations.items(), (ACTION, episode.actions)):
            rows = values.reshape(len(values), int(np.prod(values.shape[1:])))
            self._stream(name, rows.shape[1]).values.add(rows)
        for name, images in episode.images.items():
            self._stream(name, images.shape[-1]).see_images(images)
        for name, times in episode.timestamps.items():
            if name in self.streams:
                self.streams[name].see_times(times)

    def _stream(self, name: str, size: int) -> StreamStatistics:
        if name not in self.streams:
            self.streams[name] = StreamStatistics(RunningStatistics(size))
        return self.streams[name]

    def to_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "episodes": self.episodes,
            "unreadable": self.unreadable,
            "frames": self.frames,
            "interventions": self.interventions,
            "asked_otherwise": self.asked_otherwise,
            "streams": {name: stream.to_json() for name, stream in self.streams.items()},
        }


def read_statistics(dataset: Dataset, indices: Sequence[int]) -> Iterator[DatasetStatistics]:
    """Statistics of episodes, read one at a time; those that cannot be read are passed over.

    Args:
        dataset: to read.
        indices: of the episodes.

    Yields:
        The same object after each episode.
    """
    statistics = DatasetStatistics()
    for index in indices:
        try:
            statistics.see(dataset.episode(index))
        except DatasetError:
            statistics.unreadable.append(dataset.summaries[index].number)
        yield statistics


def spread(count: int, at_most: int) -> list[int]:
    """Indices of some episodes, evenly spread over all.

    Args:
        count: of episodes.
        at_most: as many as this.
    """
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, at_most))})


def size_on_disk(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def histogram(lengths: Iterable[int], bins: int = 8) -> list[tuple[int, int, int]]:
    """How many episodes have which length.

    Args:
        lengths: frames of each episode.
        bins: no more than so many, of one width in whole frames.

    Returns:
        (first, last, count) for each bin: episodes of ``first`` to ``last`` frames.
    """
    known = np.fromiter(lengths, int)
    if not len(known):
        return []
    low, high = int(known.min()), int(known.max())
    width = max(1, -(-(high - low + 1) // bins))
    counts: dict[int, int] = defaultdict(int)
    for length in known:
        counts[(int(length) - low) // width] += 1
    last = (high - low) // width
    return [
        (low + place * width, low + (place + 1) * width - 1, counts[place])
        for place in range(last + 1)
    ]
