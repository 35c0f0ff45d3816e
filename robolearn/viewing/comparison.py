"""Several episodes over each other: one time zero, a colour each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import MissingDependency, SimulationError
from robolearn.learning.progress import Progress
from robolearn.viewing import entities
from robolearn.viewing.blueprint import curves_view, framed, scene_view
from robolearn.viewing.hand import Hand, find_hand
from robolearn.viewing.images import jpegs, recorded_cameras
from robolearn.viewing.layers.curves import short_names, state_vectors
from robolearn.viewing.layers.layer import name_series, send_scalars
from robolearn.viewing.layers.narration import outcome_words
from robolearn.viewing.layers.pictures import send_images
from robolearn.viewing.layers.scene import Arm
from robolearn.viewing.palette import Color, distinct
from robolearn.viewing.real import RealWorld
from robolearn.viewing.recording import no_progress
from robolearn.viewing.rrd import written
from robolearn.viewing.timeline import FRAME, TIME, Clip
from robolearn.viewing.worlds import open_world

_MOST_PICTURES = 4
"""Episodes whose cameras are shown side by side; more would be too small."""
_HAND, _ACTION, _OUTCOME = "hand", "action", "outcome"
_MOST_CURVES = 8
"""Elements of a vector above which there is no room for a plot of each."""


def save_comparison(
    dataset: Dataset,
    path: Path,
    *,
    title: str,
    episodes: Sequence[int],
    progress: Progress = no_progress,
) -> tuple[str, ...]:
    """Write episodes as a Rerun recording in which all of them begin at zero.

    Each has a colour, which is that of its hand, its path and its curves: one plot for each element
    of what was done and of what was sensed. The arm and the objects are those of the first.

    Args:
        dataset: that holds the episodes.
        path: of the ``.rrd`` file; one that is there is replaced.
        title: of the recording.
        episodes: numbers of those to show.
        progress: called after each episode.

    Returns:
        One line for each thing that was left out.

    Raises:
        DatasetError: there is no such episode, or one cannot be read.
        OSError: the file cannot be written.
    """
    indices = dataset.indices(episodes)
    context = dataset.context
    with written(path, f"{title}, compared") as recording:
        notices: list[str] = []
        world = None
        try:
            world = open_world(context)
        except (MissingDependency, SimulationError) as error:
            notices.append(f"the arm is not shown: {error}")
        hand = find_hand(context, world)
        camera = next(iter(recorded_cameras(context).items()), None)
        colors = distinct(len(episodes))
        paths: list[Array] = []
        seconds = 0.0
        for place, (number, index) in enumerate(zip(episodes, indices, strict=True)):
            clip = Clip(number, dataset.episode(index), 0.0, 0)
            if not len(clip.episode):
                continue
            if world is not None and not paths:
                Arm(recording, world).log(recording, clip)
            _log_curves(recording, clip, hand, colors[place])
            _log_words(recording, clip, colors[place])
            if hand is not None:
                paths.append(hand.path(clip.episode).astype(np.float32))
                _log_hand(recording, clip, paths[-1], colors[place])
            if camera is not None and place < _MOST_PICTURES:
                _log_camera(recording, clip, *camera)
            seconds = max(seconds, clip.end)
            progress(place + 1, len(episodes), f"episode {number}")
        center = np.concatenate(paths).mean(0) if paths else np.zeros(3)
        shown = episodes[:_MOST_PICTURES] if camera is not None else ()
        recording.send_blueprint(
            _blueprint(
                context,
                shown,
                has_hand=hand is not None,
                has_scene=bool(paths) or world is not None,
                grid=isinstance(world, RealWorld),
                center=center,
                seconds=seconds,
            )
        )
    return tuple(notices)


def _log_curves(recording: rr.RecordingStream, clip: Clip, hand: Hand | None, color: Color) -> None:
    for group, names, values in _vectors(clip.episode, hand):
        for name, column in zip(names, values.T, strict=True):
            path = entities.compared(group, name, clip.number)
            name_series(recording, path, (f"episode {clip.number}",), [color])
            send_scalars(recording, path, clip.columns(), column[:, None])


def _vectors(episode: Episode, hand: Hand | None) -> Iterator[tuple[str, tuple[str, ...], Array]]:
    """(group, names of elements, (T, N) values) of all that is compared."""
    context = episode.context
    if hand is not None:
        yield _HAND, ("x", "y", "z"), hand.path(episode)
    yield _OUTCOME, ("success",), episode.success[:, None]
    yield _ACTION, _action_names(context), episode.actions
    for name, feature in state_vectors(context).items():
        if feature.shape[0] <= _MOST_CURVES:
            group = entities.short_state(name)
            yield group, short_names(feature), episode.observations[name]


def _log_hand(recording: rr.RecordingStream, clip: Clip, path: Array, color: Color) -> None:
    recording.log(
        entities.compared_path(clip.number),
        rr.LineStrips3D([path], colors=[color], radii=rr.Radius.ui_points(1.5)),
        static=True,
    )
    ball = entities.compared_hand(clip.number)
    recording.log(
        ball,
        rr.Points3D.from_fields(
            colors=[color], radii=rr.Radius.ui_points(7.0), labels=[str(clip.number)]
        ),
        static=True,
    )
    rr.send_columns(ball, clip.columns(), rr.Points3D.columns(positions=path), recording=recording)


def _log_words(recording: rr.RecordingStream, clip: Clip, color: Color) -> None:
    recording.set_time(TIME, duration=0.0)
    recording.set_time(FRAME, sequence=0)
    recording.log(
        entities.EPISODES,
        rr.TextLog(f"episode {clip.number}: {outcome_words(clip.episode)}", color=color),
    )


def _log_camera(recording: rr.RecordingStream, clip: Clip, camera: str, feature: str) -> None:
    images = clip.episode.images[feature]
    frames = np.arange(len(images))
    path = entities.compared("cameras", camera, clip.number)
    send_images(recording, clip, path, frames, jpegs(images, frames))


def _blueprint(
    context: EpisodeContext,
    pictures: Sequence[int],
    *,
    has_hand: bool,
    has_scene: bool,
    grid: bool,
    center: Array,
    seconds: float,
) -> rrb.Blueprint:
    def plots(group: str, names: Sequence[str]) -> list[rrb.TimeSeriesView]:
        # One legend is enough: the colours are the same everywhere.
        return [
            curves_view(
                f"{group}: {name}",
                [f"{entities.compared_all(group, name)}/**"],
                seconds,
                legend=group == _OUTCOME,
            )
            for name in names
        ]

    arm = [_action_names(context)[index] for index in context.action.arm]
    gripper = [_action_names(context)[index] for index in context.action.gripper]
    first = plots(_HAND, ("x", "y", "z")) if has_hand else []
    first += plots(_ACTION, gripper or arm[:1]) + plots(_OUTCOME, ("success",))
    tabs: list[rrb.ContainerLike] = [
        rrb.Vertical(*first, name="Hand, gripper and success"),
        rrb.Grid(*plots(_ACTION, arm + gripper), grid_columns=2, name="Actions"),
    ]
    for name, feature in state_vectors(context).items():
        if feature.shape[0] <= _MOST_CURVES:
            group = entities.short_state(name)
            tabs.append(rrb.Grid(*plots(group, short_names(feature)), grid_columns=2, name=group))
    words = rrb.TextLogView(origin=entities.EPISODES, name="Episodes")
    left: list[rrb.ContainerLike] = [scene_view(center, grid=grid)] if has_scene else []
    shares = [4.0] if has_scene else []
    if pictures:
        (camera, _), *_ = recorded_cameras(context).items()
        views = [
            rrb.Spatial2DView(
                origin=entities.compared("cameras", camera, number), name=f"{number}: {camera}"
            )
            for number in pictures
        ]
        left.append(rrb.Horizontal(*views))
        shares.append(1.6)
    left.append(words)
    shares.append(1.0)
    return framed(rrb.Vertical(*left, row_shares=shares), rrb.Tabs(*tabs))


def _action_names(context: EpisodeContext) -> tuple[str, ...]:
    action = context.action
    return action.names or tuple(map(str, range(action.shape[0])))
