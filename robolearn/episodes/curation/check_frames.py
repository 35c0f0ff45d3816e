"""What is wrong with an episode's frames. One function for each kind of problem.

A new check is a function from an episode to problems, with its place in `CHECKS`; one that can only
tell from several episodes is a `RunningCheck`, with its place in `RUNNING_CHECKS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from robolearn.episodes.curation.problems import Problem, Range, runs
from robolearn.episodes.episode import Episode, differing_features
from robolearn.episodes.features import ACTION, SIMULATOR_STATE, STATE, Feature
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.episodes.images import Images
from robolearn.errors import DatasetError

TIME = "time"
"""Stream name of the environment's own clock."""
ASKED = "actions_asked"
"""Stream name of the actions that the agent asked for."""

_QUATERNION_TOLERANCE = 1e-3
_RANGE_TOLERANCE = 1e-6
"""Of the range's width: what float32 rounds."""
_GAP_PERIODS = 1.75
_JITTER = 0.25
_RATE_TOLERANCE = 0.1
_LEAST_PERIODS = 10
"""Fewer say nothing about a rate."""
_SLICE_BYTES = 16 << 20
_FROZEN_SECONDS = 0.5
_FROZEN_FRAMES = 5
_MOVES = 0.1
"""Of what a stream covers in an episode: less is standing still."""
_SPEED = 0.25
"""Of the arm's faster frames: a camera sees no slower movement for sure."""
_JUMP = 2.0
_RARE = 0.2
_FEW_EPISODES = 5


def not_finite(episode: Episode) -> Iterator[Problem]:
    """NaN or infinity in an observation or an action."""
    for name, values in _vectors(episode).items():
        if values.dtype.kind != "f":
            continue
        bad = ~np.isfinite(_rows(values))
        if bad.any():
            found = "NaN" if np.isnan(values).any() else ""
            found += " and " * (bool(found) and bool(np.isinf(values).any()))
            found += "infinity" * bool(np.isinf(values).any())
            elements = np.flatnonzero(bad.any(axis=0))
            where = _elements(_feature(episode, name), elements)
            yield Problem("error", "not_finite", f"{found} in {where}", None, name, _frames(bad))


def outside_range(episode: Episode) -> Iterator[Problem]:
    """An action was sent that the environment does not accept."""
    action = episode.context.action
    low, high = np.asarray(action.low), np.asarray(action.high)
    slack = _RANGE_TOLERANCE * (high - low)
    outside = (episode.actions < low - slack) | (episode.actions > high + slack)
    for element in np.flatnonzero(outside.any(axis=0)):
        values = episode.actions[outside[:, element], element]
        worst = values[np.argmax(np.abs(values - (low[element] + high[element]) / 2))]
        yield Problem(
            "error",
            "outside_range",
            f"{_elements(action, [element])} reaches {worst:.4g}, "
            f"outside {low[element]:g} to {high[element]:g}",
            None,
            ACTION,
            runs(outside[:, element]),
        )


def altered_actions(episode: Episode) -> Iterator[Problem]:
    """What was sent is not what was asked for, where that lies within the limits."""
    action = episode.context.action
    low, high = np.asarray(action.low), np.asarray(action.high)
    limited = np.clip(episode.actions_asked, low, high)
    slack = _RANGE_TOLERANCE * (high - low)
    with np.errstate(invalid="ignore"):  # what is not finite is said elsewhere
        altered = np.abs(episode.actions - episode.actions_asked) > slack
        altered &= np.abs(episode.actions - limited) > slack
    if altered.any():
        elements = _elements(action, np.flatnonzero(altered.any(axis=0)))
        yield Problem(
            "warning",
            "altered_action",
            f"{elements} was sent otherwise than asked for, and not because of its limits",
            None,
            ACTION,
            _frames(altered),
        )


def unnormalised_quaternions(episode: Episode) -> Iterator[Problem]:
    """A rotation whose length is not 1."""
    for name, values in episode.observations.items():
        feature = episode.context.features.get(name)
        for start in _quaternions(name, feature) if feature else ():
            lengths = np.linalg.norm(values[:, start : start + 4].astype(np.float64), axis=1)
            wrong = np.isfinite(lengths) & (np.abs(lengths - 1) > _QUATERNION_TOLERANCE)
            if wrong.any():
                worst = lengths[np.argmax(np.where(wrong, np.abs(lengths - 1), 0))]
                yield Problem(
                    "error",
                    "quaternion",
                    f"the quaternion {_elements(feature, range(start, start + 4))} "
                    f"has a length of {worst:.4g}, not 1",
                    None,
                    name,
                    runs(wrong),
                )


def clocks_going_back(episode: Episode) -> Iterator[Problem]:
    """Time that does not go on."""
    steps = np.diff(episode.time)
    if (steps <= 0).any():
        yield Problem(
            "error",
            "clock",
            "the environment's clock stands still or goes back",
            None,
            TIME,
            runs(np.concatenate([[False], steps <= 0])),
        )
    for name, times in episode.timestamps.items():
        back = np.concatenate([[False], np.diff(times) < 0])[: len(times)]
        if back.any():
            yield Problem("error", "clock", "its timestamps go back", None, name, runs(back))


def lost_frames(episode: Episode) -> Iterator[Problem]:
    """Frames with the timestamp of the one before: they hold nothing new."""
    for name, times in episode.timestamps.items():
        same = np.concatenate([[False], np.diff(times) == 0])[: len(times)]
        if same.any():
            count = int(same.sum())
            if name in episode.images:
                kind, what = "lost", "lost: the camera's image before stands in their place"
            else:
                kind, what = "stale", "with the timestamp of the frame before"
            yield Problem(
                "warning",
                kind,
                f"{count} of {len(times)} frames {what}",
                None,
                name,
                runs(same),
            )


def uneven_pace(episode: Episode) -> Iterator[Problem]:
    """Gaps, jitter, and another rate than the one that is declared.

    A simulator's steps are as far apart as its own clock says, however fast it ran: where there
    is a simulated world, or where the clock and the timestamps go at different speeds, the clock is
    looked at, and otherwise the timestamps of each stream.
    """
    if is_simulated(episode):
        yield from _pace(episode.time, TIME, "", episode.context.rate)
        return
    together: list[tuple[Array, list[str]]] = []
    for name, times in episode.timestamps.items():
        for other, names in together:
            if np.array_equal(other, times):
                names.append(name)
                break
        else:
            together.append((times, [name]))
    for times, names in together:
        others = f" (as {len(names) - 1} other streams)" if len(names) > 1 else ""
        yield from _pace(times, names[0], others, episode.context.rate)


def is_simulated(episode: Episode) -> bool:
    """Whether the environment's clock is another one than that of the timestamps."""
    context = episode.context
    if context.model_file is not None or SIMULATOR_STATE in context.features:
        return True
    if len(episode) <= _LEAST_PERIODS or ACTION not in episode.timestamps:
        return False
    clock = float(np.median(np.diff(episode.time)))
    machine = float(np.median(np.diff(episode.timestamps[ACTION])))
    return clock > 0 and abs(machine / clock - 1) > _RATE_TOLERANCE


def _pace(times: Array, stream: str, others: str, rate: float) -> Iterator[Problem]:
    """Lost frames are passed over: the next one may be late by as many periods."""
    new = np.flatnonzero(np.concatenate([[True], np.diff(times) > 0])[: len(times)])
    if len(new) <= _LEAST_PERIODS:
        return
    spacing = np.diff(times[new]) / np.diff(new)
    period = float(np.median(spacing))
    if abs(period * rate - 1) > _RATE_TOLERANCE:
        yield Problem(
            "warning",
            "rate",
            f"runs at {1 / period:.4g} Hz, not at {rate:g} Hz{others}",
            None,
            stream,
        )
    late = spacing > _GAP_PERIODS * period
    if late.any():
        after = np.zeros(len(times), bool)
        after[new[1:][late]] = True
        longest = float((spacing * np.diff(new))[late].max())
        yield Problem(
            "warning",
            "gap",
            f"a gap of {longest:.3g} s before, where {period:.3g} s are usual{others}"
            if late.sum() == 1
            else f"gaps of up to {longest:.3g} s before, where {period:.3g} s are usual{others}",
            None,
            stream,
            runs(after),
        )
    jitter = float(np.percentile(np.abs(spacing[~late] - period), 95))
    if jitter > _JITTER * period:
        yield Problem(
            "warning",
            "jitter",
            f"one frame in twenty is {1e3 * jitter:.3g} ms or more off its time, "
            f"where {1e3 * period:.3g} ms are between frames{others}",
            None,
            stream,
        )


def bad_images(episode: Episode) -> Iterator[Problem]:
    """Images that cannot be decoded, and cameras that stand still while the arm moves.

    An image is a duplicate where it is byte for byte that of the frame before, its timestamp is
    not, and meanwhile the arm moves at a quarter of its faster frames' speed or more. Duplicates of
    half a second and longer, and five frames at least, are a frozen camera. Images of an arm at
    rest are the same in a simulator, and no problem.
    """
    moves = _arm_moves(episode)
    least = _frozen_frames(episode)
    for name, images in episode.images.items():
        same, unreadable = _compare_images(images)
        if unreadable.any():
            yield Problem(
                "error", "unreadable", "images cannot be decoded", None, name, runs(unreadable)
            )
        if name in episode.timestamps:
            same[1:] &= np.diff(episode.timestamps[name]) != 0
        found = [(a, b) for a, b in runs(same) if moves[a : b + 1].any()]
        frozen = tuple((a, b) for a, b in found if b - a + 1 >= least)
        single = tuple(
            span for a, b in found if b - a + 1 < least for span in _shifted(a, moves[a : b + 1])
        )
        if frozen:
            yield Problem(
                "warning",
                "frozen",
                f"the image stands still for {_longest(frozen)} frames while the arm moves",
                None,
                name,
                frozen,
            )
        if single:
            yield Problem(
                "warning",
                "duplicate",
                "the image of the frame before once more, while the arm moves",
                None,
                name,
                single,
            )


CHECKS: tuple[Callable[[Episode], Iterator[Problem]], ...] = (
    not_finite,
    outside_range,
    altered_actions,
    unnormalised_quaternions,
    clocks_going_back,
    lost_frames,
    uneven_pace,
    bad_images,
)


class RunningCheck(ABC):
    """Looks at one episode after the other."""

    @abstractmethod
    def see(self, number: int, episode: Episode) -> Iterator[Problem]:
        """What this episode has that those before have not."""

    def finish(self) -> Iterator[Problem]:
        """What only all of them together tell."""
        yield from ()


class SameFeatures(RunningCheck):
    """Features, action and rate are those of the first episode that can be read."""

    def __init__(self) -> None:
        self._first: tuple[int, EpisodeContext] | None = None

    def see(self, number: int, episode: Episode) -> Iterator[Problem]:
        if self._first is None:
            self._first = number, episode.context
        first, context = self._first
        for name in differing_features(context, episode.context):
            here, there = _described(episode.context, name), _described(context, name)
            if here == there:
                message = f"not described as in episode {first}"
            else:
                message = f"{here}, but {there} in episode {first}"
            yield Problem("error", "differs", message, number, name)


class FrozenStreams(RunningCheck):
    """A vector that stays bit for bit the same for a while, though the arm moves.

    A while is half a second, and five frames at least. The arm moves where its action, or another
    part of its state, covers a tenth of what it covers in the episode. What stands still may be
    meant to: an object before it is touched, a gripper, the other arm. So one of these must hold:

    - it goes on with a jump, more than twice as far as in any other of its frames;
    - it is a part of the arm's state (``observation.state``, and no gripper) and stands still in
      this way in no more than a fifth of the episodes; with fewer than five, in any.
    """

    def __init__(self) -> None:
        self._resting: dict[str, list[Problem]] = defaultdict(list)
        self._episodes = 0

    def see(self, number: int, episode: Episode) -> Iterator[Problem]:
        self._episodes += 1
        for name, values in episode.observations.items():
            arm = name in _arm_streams(episode)
            if "gripper" in name or not len(episode):
                continue
            still = _still(values, _frozen_frames(episode))
            moving = [span for span in still if _others_move(episode, name, *span)]
            jumping = [span for span in moving if _jumps(values, span, still)]
            if jumping:
                yield _frozen(number, name, moving, "and then jumps")
            elif moving and arm:
                self._resting[name].append(_frozen(number, name, moving, "while the arm moves"))

    def finish(self) -> Iterator[Problem]:
        for problems in self._resting.values():
            if self._episodes < _FEW_EPISODES or len(problems) <= _RARE * self._episodes:
                yield from problems


RUNNING_CHECKS: tuple[type[RunningCheck], ...] = (SameFeatures, FrozenStreams)


def check_frames(episode: Episode, number: int) -> Iterator[Problem]:
    """All that `CHECKS` find in one episode.

    Args:
        episode: its images are read a few at a time.
        number: what the problems call it.
    """
    if not len(episode):
        yield Problem("error", "empty", "it has no frames", number)
        return
    for check in CHECKS:
        for problem in check(episode):
            yield replace(problem, episode=number)


def _vectors(episode: Episode) -> dict[str, Array]:
    asked = (
        {} if np.array_equal(episode.actions, episode.actions_asked, equal_nan=True)
        else {ASKED: episode.actions_asked}
    )  # fmt: skip
    return {**episode.observations, ACTION: episode.actions, **asked}


def _feature(episode: Episode, name: str) -> Feature | None:
    action = episode.context.action
    return action if name in {ACTION, ASKED} else episode.context.features.get(name)


def _rows(values: Array) -> Array:
    return values.reshape(len(values), -1)


def _frames(bad: Array) -> tuple[Range, ...]:
    return runs(np.asarray(bad.any(axis=1)))


def _elements(feature: Feature | None, elements: Array | range | list[int]) -> str:
    names = feature.names if feature else None
    shown = [names[e] if names else f"element {e}" for e in list(elements)[:4]]
    more = len(elements) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _quaternions(name: str, feature: Feature) -> list[int]:
    if feature.names is not None:
        return feature.quaternions()
    if name.endswith("quat") and len(feature.shape) == 1 and feature.shape[0] % 4 == 0:
        return list(range(0, feature.shape[0], 4))
    return []


def _described(context: EpisodeContext, name: str) -> str:
    if name == "rate":
        return f"{context.rate:g} Hz"
    feature = context.action if name == ACTION else context.features.get(name)
    if feature is None:
        return "missing"
    return f"{feature.dtype} {'x'.join(map(str, feature.shape)) or 'number'}"


def _frozen_frames(episode: Episode) -> int:
    return max(_FROZEN_FRAMES, round(_FROZEN_SECONDS * episode.context.rate))


def _still(values: Array, least: int) -> list[Range]:
    """Stretches of at least so many frames that are the same, the first of them included."""
    same = (_rows(values)[1:] == _rows(values)[:-1]).all(axis=1)
    return [(a, b + 1) for a, b in runs(same) if b - a + 2 >= least]


def _arm_streams(episode: Episode) -> list[str]:
    return [
        name for name in episode.observations if name.startswith(STATE) and "gripper" not in name
    ]


def _others_move(episode: Episode, name: str, first: int, last: int) -> bool:
    action = episode.context.action
    others = [episode.observations[other] for other in _arm_streams(episode) if other != name]
    others.append(episode.actions[:, list(action.arm)])
    for values in map(_rows, others):
        inside = np.ptp(values[first : last + 1], axis=0)
        if (inside > _MOVES * np.ptp(values, axis=0)).any():
            return True
    return False


def _jumps(values: Array, span: Range, still: list[Range]) -> bool:
    """Whether it goes on further than twice as far as in any frame that follows no standstill."""
    moved = _movement(values)
    after = [last + 1 for _, last in still if last + 1 < len(values)]
    if span[1] + 1 not in after:
        return False
    others = np.delete(moved, after)
    others = others[others > 0]
    return len(others) >= _LEAST_PERIODS and bool(moved[span[1] + 1] > _JUMP * others.max())


def _movement(values: Array) -> Array:
    """(T,) how far it went since the frame before, as a part of what it covers in the episode."""
    rows = np.nan_to_num(_rows(values).astype(np.float64), posinf=0, neginf=0)
    covers = np.ptp(rows, axis=0)
    covers[covers == 0] = np.inf
    steps = np.zeros(len(rows))
    steps[1:] = np.max(np.abs(np.diff(rows, axis=0)) / covers, axis=1, initial=0)
    return steps


def _arm_moves(episode: Episode) -> Array:
    """(T,) whether the arm moves visibly; where nothing is known of the arm, always."""
    streams = _arm_streams(episode)
    if not streams:
        return np.ones(len(episode), bool)
    steps = np.max([_movement(episode.observations[name]) for name in streams], axis=0)
    fast = np.percentile(steps, 90) if len(steps) else 0.0
    moves: Array = (steps > 0) & (steps >= _SPEED * fast)
    return moves


def _compare_images(images: Images) -> tuple[Array, Array]:
    """(T,) whether each is the same as the one before, and (T,) whether it cannot be read."""
    same, unreadable = np.zeros(len(images), bool), np.zeros(len(images), bool)
    size = max(1, int(np.prod(images.shape[1:])))
    step = max(1, _SLICE_BYTES // size)
    before: Array | None = None
    for first in range(0, len(images), step):
        stop = min(first + step, len(images))
        try:
            slices = [(first, images[first:stop])]
        except DatasetError:
            slices = []
            for frame in range(first, stop):
                try:
                    slices.append((frame, images[frame : frame + 1]))
                except DatasetError:
                    unreadable[frame] = True
        for begin, block in slices:
            if before is not None and not unreadable[begin - 1]:
                same[begin] = np.array_equal(block[0], before)
            for place in range(1, len(block)):
                same[begin + place] = np.array_equal(block[place], block[place - 1])
            before = block[-1]
    return same, unreadable


def _shifted(first: int, mask: Array) -> tuple[Range, ...]:
    return tuple((a + first, b + first) for a, b in runs(mask))


def _longest(spans: tuple[Range, ...]) -> int:
    return max(b - a + 1 for a, b in spans)


def _frozen(number: int, name: str, spans: list[Range], how: str) -> Problem:
    message = f"stands still for {_longest(tuple(spans))} frames {how}"
    return Problem("warning", "frozen", message, number, name, tuple(spans))
