"""How a recording is laid out on the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import rerun.blueprint as rrb

from robolearn.episodes.features import ActionFeature
from robolearn.episodes.frames import Array
from robolearn.viewing import entities
from robolearn.viewing.palette import BACKGROUND, GRID
from robolearn.viewing.timeline import TIME


@dataclass(frozen=True)
class Contents:
    """What a recording has, so that nothing empty is shown.

    Attributes:
        cameras: names of the cameras.
        camera_episodes: numbers of the episodes that cameras show; None for all.
        states: names of the observation's vectors.
        action: that the episodes hold.
        scene: whether there is anything in three dimensions.
        grid: whether it has no floor of its own.
        center: (3,) about which the scene is looked at, m.
        modes: whether a policy's modes were recorded.
        learnt: whether a learnt reward was recorded.
        limits: whether limits that were met were recorded.
        seconds: of the longest episode, or of what is shown of one that goes on.
        live: whether it is recorded while one looks at it.
    """

    cameras: Sequence[str]
    camera_episodes: Sequence[int] | None
    states: Sequence[str]
    action: ActionFeature
    scene: bool
    grid: bool
    center: Array
    modes: bool
    learnt: bool
    limits: bool
    seconds: float
    live: bool = False


def build_blueprint(contents: Contents) -> rrb.Blueprint:
    """The layout: the scene at the left with the words below, cameras and curves at the right."""
    marks = rrb.StateTimelineView(origin=entities.MARKS, name="Who drove, and what was reached")
    below: list[rrb.ContainerLike] = [marks, _words(contents)]
    shares = [1.9 if contents.limits else 1.5, 1.4]
    if contents.scene:
        scene = scene_view(contents.center, grid=contents.grid)
        left = rrb.Vertical(scene, *below, row_shares=[5, *shares])
    else:
        left = rrb.Vertical(*below, row_shares=shares)
    return framed(left, _right(contents), live=contents.live)


def framed(
    left: rrb.ContainerLike, right: rrb.ContainerLike, *, live: bool = False
) -> rrb.Blueprint:
    """Two halves and the time below; the viewer's own panels are out of the way."""
    return rrb.Blueprint(
        rrb.Horizontal(left, right, column_shares=[6, 5]),
        rrb.TimePanel(
            timeline=TIME,
            state="collapsed",
            play_state="following" if live else "playing",
            loop_mode="off" if live else "all",
        ),
        rrb.SelectionPanel(state="hidden"),
        rrb.BlueprintPanel(state="hidden"),
        auto_views=False,
        auto_layout=False,
    )


def _words(contents: Contents) -> rrb.Tabs:
    episodes = rrb.TextLogView(origin=entities.EPISODES, name="Episodes")
    if contents.live:
        return rrb.Tabs(rrb.TextDocumentView(origin=entities.STATUS, name="Now"), episodes)
    return rrb.Tabs(
        rrb.TextDocumentView(origin=entities.EPISODE, name="This episode"),
        episodes,
        rrb.TextDocumentView(origin=entities.ABOUT, name="What is this?"),
    )


def scene_view(center: Array, *, grid: bool = False) -> rrb.Spatial3DView:
    """The scene, looked at from near.

    Args:
        center: (3,) about which it is looked at, m.
        grid: draw lines on the floor, 10 cm apart.
    """
    # Left to itself the viewer looks from outside of everything, far too far away.
    return rrb.Spatial3DView(
        origin=entities.WORLD,
        name="Scene",
        eye_controls=rrb.EyeControls3D(
            kind=rrb.Eye3DKind.Orbital,
            position=center + [0.56, -0.5, 0.2],
            look_target=center + [-0.07, 0.0, 0.06],
            eye_up=(0.0, 0.0, 1.0),
        ),
        line_grid=rrb.LineGrid3D(visible=grid, spacing=0.1, color=GRID),
        background=BACKGROUND,
    )


def _right(contents: Contents) -> rrb.Vertical:
    rows: list[tuple[float, rrb.ContainerLike]] = []
    if contents.cameras:
        only = contents.camera_episodes
        which = "" if only is None else f" (episodes {', '.join(map(str, only))})"
        views = [
            rrb.Spatial2DView(origin=entities.camera(name), name=f"{name}{'' if index else which}")
            for index, name in enumerate(contents.cameras)
        ]
        rows.append((3, rrb.Horizontal(*views) if len(views) < 4 else rrb.Grid(*views)))
    thoughts: list[rrb.ContainerLike] = []
    if contents.modes:
        weights = [entities.MODE_WEIGHTS]
        thoughts.append(
            _curves("Weights of the policy's modes", weights, contents, limits=(-0.05, 1.05))
        )
    if contents.learnt:
        thoughts.append(_curves("Learnt reward", [entities.LEARNT_REWARD], contents))
    if thoughts:
        rows.append((2, rrb.Horizontal(*thoughts) if len(thoughts) > 1 else thoughts[0]))
    if contents.action.arm:
        paths = [entities.ARM_ACTION, entities.ARM_ASKED]
        rows.append((2, _curves("Action: arm", paths, contents)))
    beside: list[rrb.ContainerLike] = []
    if contents.action.gripper:
        paths = [entities.GRIPPER_ACTION, entities.GRIPPER_ASKED]
        paths += [entities.GRIPPER_CLOSED] if contents.modes else []
        limits = _gripper_limits(contents.action)
        beside.append(_curves("Gripper", paths, contents, limits=limits))
    beside.append(_curves("Success and reward", [entities.SUCCESS, entities.REWARD], contents))
    if contents.live:
        beside.append(_curves("Rate", [entities.RATE], contents))
    rows.append((2, rrb.Horizontal(*beside) if len(beside) > 1 else beside[0]))
    if contents.states:
        plots = [
            _curves(f"State: {entities.short_state(name)}", [entities.state(name)], contents)
            for name in contents.states
        ]
        rows.append((2, rrb.Tabs(*plots)))
    return rrb.Vertical(*(view for _, view in rows), row_shares=[share for share, _ in rows])


def _gripper_limits(action: ActionFeature) -> tuple[float, float] | None:
    """Of the axis: all that a gripper can be told, and a probability; with a margin."""
    told = [(action.low[index], action.high[index]) for index in action.gripper]
    low, high = min(low for low, _ in told), max(high for _, high in told)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    margin = 0.1 * max(high - low, 1.0)
    return min(low, 0.0) - margin, max(high, 1.0) + margin


def _curves(
    name: str,
    paths: list[str],
    contents: Contents,
    *,
    limits: tuple[float, float] | None = None,
) -> rrb.TimeSeriesView:
    ahead = 0.0 if contents.live else contents.seconds / 4
    return curves_view(name, paths, contents.seconds, ahead, limits)


def curves_view(
    name: str,
    paths: list[str],
    seconds: float,
    ahead: float | None = None,
    limits: tuple[float, float] | None = None,
    *,
    legend: bool = True,
) -> rrb.TimeSeriesView:
    """Curves of about one episode around the present; of all at once nothing could be read.

    Args:
        name: of the view.
        paths: of the entities.
        seconds: before the present.
        ahead: seconds after the present; None for as many.
        limits: of the axis; None fits them to the curves.
        legend: whether the curves' names are shown.
    """
    return rrb.TimeSeriesView(
        origin="/",
        contents=[f"+ {path}" for path in paths],
        name=name,
        axis_y=None if limits is None else rrb.ScalarAxis(range=limits),
        plot_legend=rrb.PlotLegend(corner=rrb.Corner2D.LeftTop, visible=legend),
        time_ranges=rrb.VisibleTimeRange(
            TIME,
            start=rrb.TimeRangeBoundary.cursor_relative(seconds=-seconds),
            end=rrb.TimeRangeBoundary.cursor_relative(seconds=seconds if ahead is None else ahead),
        ),
    )
