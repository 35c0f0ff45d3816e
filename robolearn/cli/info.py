"""``robolearn info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robolearn.cli.command import Command

if TYPE_CHECKING:
    from robolearn.episodes.curation.statistics import (
        DatasetStatistics,
        RunningStatistics,
        StreamStatistics,
    )
    from robolearn.episodes.dataset import Dataset, EpisodeSummary
    from robolearn.episodes.features import Feature
    from robolearn.episodes.frames import EpisodeContext

_SAMPLE = 32
_BAR = 30
_ELEMENTS = 12
_LABELS = 4


@dataclass(frozen=True, kw_only=True)
class Info(Command):
    """Say what a dataset holds.

    Example: robolearn info datasets/lift

    Attributes:
        dataset: a dataset of any form.
        all: read all episodes for the statistics of the streams, not 32 spread over the dataset.
    """

    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
    all: bool = False

    def run(self) -> int:
        from robolearn.episodes.curation.statistics import histogram, size_on_disk
        from robolearn.episodes.features import ACTION
        from robolearn.episodes.formats import open_dataset
        from robolearn.episodes.formats.folder import journals

        dataset = open_dataset(self.dataset)
        context, summaries = dataset.context, dataset.summaries
        features: dict[str, Feature] = {**context.features, ACTION: context.action}
        lengths = [summary.frames for summary in summaries]
        size = size_on_disk(self.dataset)
        for line in _overview(self.dataset, context, summaries, size):
            self.console.say(line)
        if left := len(journals(self.dataset)):
            self.console.say(
                f"in flight {left}: being recorded, or cut off by Ctrl-C or a kill; then "
                f"`robolearn edit {self.dataset} recover` keeps what there is"
            )
        statistics = self._statistics(dataset)
        for line in _content(features, context, statistics, len(summaries)):
            self.console.say(line)
        self.console.result(
            {
                "dataset": self.dataset,
                "episodes": len(summaries),
                "frames": sum(lengths),
                "seconds": sum(lengths) / context.rate,
                "bytes": size,
                "rate": context.rate,
                "task": context.task,
                "tasks": Counter(summary.task for summary in summaries),
                "agents": Counter(summary.agent for summary in summaries),
                "operators": Counter(summary.operator for summary in summaries),
                "successes": sum(summary.success is True for summary in summaries),
                "unknown": sum(summary.success is None for summary in summaries),
                "train": sum(not summary.valid for summary in summaries),
                "valid": sum(summary.valid for summary in summaries),
                "lengths": {
                    "min": min(lengths, default=0),
                    "max": max(lengths, default=0),
                    "histogram": histogram(lengths),
                },
                "features": {name: feature.shape for name, feature in features.items()},
                "schema": {name: feature.to_json() for name, feature in features.items()},
                "statistics": statistics.to_json(),
            }
        )
        return 0

    def _statistics(self, dataset: Dataset) -> DatasetStatistics:
        from robolearn.episodes.curation.statistics import (
            DatasetStatistics,
            read_statistics,
            spread,
        )

        count = len(dataset)
        indices = range(count) if self.all else spread(count, _SAMPLE)
        statistics = DatasetStatistics()
        with self.console.progress("read") as progress:
            for statistics in read_statistics(dataset, indices):
                done = statistics.episodes + len(statistics.unreadable)
                progress(done, len(indices), "episodes")
        return statistics


def _overview(
    path: Path, context: EpisodeContext, summaries: Sequence[EpisodeSummary], size: int
) -> Iterator[str]:
    """What is known without reading a frame."""
    count = len(summaries)
    frames = sum(summary.frames for summary in summaries)
    successes = sum(summary.success is True for summary in summaries)
    unknown = sum(summary.success is None for summary in summaries)
    valid = sum(summary.valid for summary in summaries)
    operators = [summary.operator for summary in summaries if summary.operator]
    yield (
        f"{path}: {count} episodes, {frames} frames at {context.rate:g} Hz, "
        f"{_duration(frames / context.rate)}, {_size(size)}"
    )
    yield f"  task      {_counts([summary.task for summary in summaries])}"
    yield f"  by        {_counts([summary.agent for summary in summaries])}"
    if operators:
        yield f"  operator  {_counts(operators)}"
    yield f"  success   {successes} of {count}" + f", {unknown} unknown" * bool(unknown)
    yield f"  split     {count - valid} train, {valid} valid"
    yield from _lengths([summary.frames for summary in summaries])


def _lengths(lengths: Sequence[int]) -> Iterator[str]:
    from robolearn.episodes.curation.statistics import histogram

    if len(set(lengths)) == 1:
        yield f"  length    {lengths[0]} frames each"
        return
    yield f"  length    {min(lengths, default=0)} to {max(lengths, default=0)} frames an episode"
    bins = histogram(lengths)
    most = max((count for _, _, count in bins), default=0)
    names = [f"{first}-{last}" if last > first else f"{first}" for first, last, _ in bins]
    width = max(map(len, names), default=0)
    for name, (_, _, count) in zip(names, bins, strict=True):
        bar = "█" * (max(1, round(_BAR * count / most)) if count else 0)
        yield f"            {name:>{width}}  {bar}{' ' * bool(bar)}{count}"


def _content(
    features: dict[str, Feature],
    context: EpisodeContext,
    statistics: DatasetStatistics,
    episodes: int,
) -> Iterator[str]:
    """What the frames hold."""
    frames = max(statistics.frames, 1)
    yield ""
    if statistics.unreadable:
        numbers = ", ".join(map(str, statistics.unreadable[:_LABELS]))
        yield f"  {len(statistics.unreadable)} could not be read (`robolearn check`): {numbers}"
    if statistics.episodes < episodes:
        yield f"  from {statistics.episodes} episodes of {episodes} (--all reads all):"
    if statistics.interventions:
        yield f"  interventions in {statistics.interventions / frames:.1%} of the frames"
    if statistics.asked_otherwise:
        share = statistics.asked_otherwise / frames
        yield f"  sent otherwise than asked for in {share:.1%} of the frames"
    width = max(
        len(label) for name, feature in features.items() for label in _labels(name, feature)
    )
    titles = "".join(f"{title:>10}" for title in ("min", "max", "mean", "std"))
    yield "  rates and jitter by the machine's clock; used: of the range that is allowed"
    yield f"  {'':{width + 3}}{titles}   used"
    for name, feature in features.items():
        stream = statistics.streams.get(name)
        shape = "x".join(map(str, feature.shape)) or "1"
        yield f"  {name}  {shape} {feature.dtype}{_pace(stream) if stream else ''}"
        if stream is None:
            continue
        if feature.is_image:
            yield from _image_lines(stream)
        limits = [*zip(context.action.low, context.action.high, strict=True)]
        allowed = limits if feature is context.action else None
        if feature.is_depth:
            yield _distance_line(width, stream.values)
        else:
            yield from _element_lines(_labels(name, feature), width, stream.values, allowed)


def _pace(stream: StreamStatistics) -> str:
    """How often it was sensed by the machine's clock, which a simulator need not keep to."""
    if stream.rate is None:
        return ""
    return f", {stream.rate:.4g} Hz, jitter {1e3 * (stream.jitter or 0):.2g} ms"


def _image_lines(stream: StreamStatistics) -> Iterator[str]:
    """How images are kept, and how many are lost."""
    if stream.codecs:
        size = f", {_size(stream.bytes / max(stream.frames, 1))} an image" if stream.bytes else ""
        yield f"    kept as {', '.join(sorted(stream.codecs))}{size}"
    if stream.lost:
        yield f"    {stream.lost} of {stream.frames} frames lost"


def _labels(name: str, feature: Feature) -> list[str]:
    """What elements are called, without the stream's own name before them; channels of images."""
    if feature.is_image:
        channels = feature.shape[-1]
        return ["red", "green", "blue"] if channels == 3 else [str(n) for n in range(channels)]
    own = f"{name.rsplit('.', 1)[-1]}."
    return [
        label.removeprefix(own) for label in feature.names or map(str, range(prod(feature.shape)))
    ]


def _distance_line(width: int, values: RunningStatistics) -> str:
    """All pixels of a camera's distances together."""
    if not values.count.any():
        return f"    {'distance':{width + 1}}{'no finite value':>20}"
    share = values.count / values.count.sum()
    mean = (share * values.mean).sum()
    variance = (share * (values.std**2 + (values.mean - mean) ** 2)).sum()
    numbers = (values.low.min(), values.high.max(), mean, variance**0.5)
    return f"    {'distance':{width + 1}}" + "".join(f"{number:>10.3g}" for number in numbers)


def _element_lines(
    labels: list[str],
    width: int,
    values: RunningStatistics,
    allowed: list[tuple[float, float]] | None,
) -> Iterator[str]:
    shown = labels[:_ELEMENTS]
    for place, label in enumerate(shown):
        if not values.count[place]:
            yield f"    {label:{width + 1}}{'no finite value':>20}"
            continue
        low, high = float(values.low[place]), float(values.high[place])
        numbers = (low, high, float(values.mean[place]), float(values.std[place]))
        line = f"    {label:{width + 1}}" + "".join(f"{number:>10.3g}" for number in numbers)
        if allowed:
            least, greatest = allowed[place]
            used = (high - low) / (greatest - least)
            line += f"{used:>7.0%}"
        yield line
    if len(labels) > len(shown):
        yield f"    and {len(labels) - len(shown)} more (--json has them)"


def _counts(labels: Sequence[str]) -> str:
    """The most frequent labels and how often they occur."""
    found = Counter(label or "unknown" for label in labels)
    if len(found) == 1:
        return next(iter(found))
    shown = [f"{label} ({count})" for label, count in found.most_common(_LABELS)]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
