"""How a recording is laid out on the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import rerun.blueprint as rrb

from robolearn.episodes.features import ActionFeature
from robolearn.episodes.frames import Array
from robolearn.viewing import entities
from robolearn.viewing.palette import BACKGROUND
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
        center: (3,) about which the scene is looked at, m.
        modes: whether a policy's modes were recorded.
        seconds: of the longest episode.
    """

    cameras: Sequence[str]
    camera_episodes: Sequence[int] | None
    states: Sequence[str]
    action: ActionFeature
    scene: bool
    center: Array
    modes: bool
    seconds: float


def build_blueprint(contents: Contents) -> rrb.Blueprint:
    """The layout: the scene at the left with the words below, cameras and curves at the right."""
    words = rrb.Tabs(
        rrb.TextDocumentView(origin=entities.EPISODE, name="This episode"),
        rrb.TextLogView(origin=entities.EPISODES, name="Episodes"),
        rrb.TextDocumentView(origin=entities.ABOUT, name="What is this?"),
    )
    left: rrb.ContainerLike = words
    if contents.scene:
        left = rrb.Vertical(_scene(contents), words, row_shares=[4, 1])
    right = _right(contents)
    return rrb.Blueprint(
        rrb.Horizontal(left, right, column_shares=[6, 5]),
        rrb.TimePanel(timeline=TIME, state="collapsed", play_state="playing", loop_mode="all"),
        rrb.SelectionPanel(state="hidden"),
        rrb.BlueprintPanel(state="hidden"),
        auto_views=False,
        auto_layout=False,
    )


def _scene(contents: Contents) -> rrb.Spatial3DView:
    # Left to itself the viewer looks from outside of everything, far too far away.
    return rrb.Spatial3DView(
        origin=entities.WORLD,
        name="Scene",
        eye_controls=rrb.EyeControls3D(
            kind=rrb.Eye3DKind.Orbital,
            position=contents.center + [0.56, -0.5, 0.2],
            look_target=contents.center + [-0.07, 0.0, 0.06],
            eye_up=(0.0, 0.0, 1.0),
        ),
        line_grid=False,
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
    if contents.modes:
        rows.append(
            (
                2,
                _curves(
                    "Weights of the policy's modes",
                    [entities.MODE_WEIGHTS],
                    contents,
                    (-0.05, 1.05),
                ),
            )
        )
    if contents.action.arm:
        rows.append((2, _curves("Action: arm", [entities.ARM_ACTION], contents)))
    gripper = [entities.GRIPPER_ACTION] if contents.action.gripper else []
    gripper += [entities.GRIPPER_CLOSED] if gripper and contents.modes else []
    outcome = _curves("Success and reward", [entities.SUCCESS, entities.REWARD], contents)
    if gripper:
        outcome_row: rrb.ContainerLike = rrb.Horizontal(
            _curves("Gripper", gripper, contents, _gripper_limits(contents.action)), outcome
        )
    else:
        outcome_row = outcome
    rows.append((2, outcome_row))
    if contents.states:
        rows.append(
            (
                2,
                rrb.Tabs(
                    *(
                        _curves(
                            f"State: {entities.short_state(name)}", [entities.state(name)], contents
                        )
                        for name in contents.states
                    )
                ),
            )
        )
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
    name: str, paths: list[str], contents: Contents, limits: tuple[float, float] | None = None
) -> rrb.TimeSeriesView:
    """Curves of about one episode around the present; of all at once nothing could be read."""
    return rrb.TimeSeriesView(
        origin="/",
        contents=[f"+ {path}" for path in paths],
        name=name,
        axis_y=None if limits is None else rrb.ScalarAxis(range=limits),
        plot_legend=rrb.PlotLegend(corner=rrb.Corner2D.LeftTop),
        time_ranges=rrb.VisibleTimeRange(
            TIME,
            start=rrb.TimeRangeBoundary.cursor_relative(seconds=-contents.seconds),
            end=rrb.TimeRangeBoundary.cursor_relative(seconds=contents.seconds / 4),
        ),
    )
