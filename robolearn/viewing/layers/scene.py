"""The arm and the hand's paths, in 3-D."""

from __future__ import annotations

import numpy as np
import rerun as rr

from robolearn.episodes.frames import Array
from robolearn.viewing import entities
from robolearn.viewing.hand import Hand
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.palette import (
    HAND,
    PERSON,
    SUCCESS,
    Color,
    dimmed,
    outcome_color,
)
from robolearn.viewing.timeline import Clip
from robolearn.viewing.world import World

_HAND_BODIES = ("gripper", "hand")
"""What robosuite calls the bodies of a hand."""


class Arm(Layer):
    """The bodies of the simulated world as they moved.

    Args:
        recording: in which their shapes are written.
        world: of the first episode; later ones are shown with its shapes.
    """

    def __init__(self, recording: rr.RecordingStream, world: World) -> None:
        self._world = world
        meshes = world.meshes()
        self._moving = [body for body in meshes if not world.is_fixed(body)]
        self._fixed = [body for body in meshes if world.is_fixed(body)]
        for body, mesh in meshes.items():
            recording.log(
                entities.body(body),
                rr.Mesh3D(
                    vertex_positions=mesh.positions,
                    vertex_normals=mesh.normals,
                    vertex_colors=mesh.colors,
                    triangle_indices=mesh.triangles,
                    albedo_factor=_tint(world, body),
                ),
                static=True,
            )

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        poses = self._world.poses(clip.episode)
        for body in self._moving:
            rr.send_columns(
                entities.body(body),
                clip.columns(),
                rr.Transform3D.columns(
                    translation=poses[body].positions.astype(np.float32),
                    quaternion=poses[body].quaternions.astype(np.float32),
                ),
                recording=recording,
            )
        for body in self._fixed:
            recording.log(
                entities.body(body),
                rr.Transform3D(
                    translation=poses[body].positions[0],
                    quaternion=rr.Quaternion(xyzw=poses[body].quaternions[0]),
                ),
                static=True,
            )
        self._fixed = []


class HandPaths(Layer):
    """The hand's path in this episode and in all of them, and where the task was done.

    Args:
        recording: in which lines get their widths.
        hand: whose paths.
    """

    def __init__(self, recording: rr.RecordingStream, hand: Hand) -> None:
        self._hand = hand
        self._paths: list[tuple[Array, Color]] = []
        recording.log(
            entities.PATH,
            rr.LineStrips3D.from_fields(radii=rr.Radius.ui_points(1.5)),
            static=True,
        )
        recording.log(
            entities.REACHED,
            rr.Points3D.from_fields(colors=[SUCCESS], radii=rr.Radius.ui_points(6.0)),
            static=True,
        )

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        path = self._hand.path(clip.episode).astype(np.float32)
        color = outcome_color(clip.episode.outcome.success)
        self._paths.append((path, color))
        strips, colors = coloured(path, clip.episode.interventions, color)
        beginning = clip.columns([0])
        rr.send_columns(
            entities.PATH,
            beginning,
            rr.LineStrips3D.columns(strips=strips, colors=colors).partition([len(strips)]),
            recording=recording,
        )
        reached = np.flatnonzero(clip.episode.success)[:1]
        rr.send_columns(
            entities.REACHED,
            beginning,
            rr.Points3D.columns(positions=np.empty((0, 3), np.float32)).partition([0]),
            recording=recording,
        )
        if len(reached):
            rr.send_columns(
                entities.REACHED,
                clip.columns(reached),
                rr.Points3D.columns(positions=path[reached]),
                recording=recording,
            )

    def finish(self, recording: rr.RecordingStream) -> None:
        """Write all paths together."""
        if self._paths:
            recording.log(
                entities.PATHS,
                rr.LineStrips3D(
                    [path for path, _ in self._paths],
                    colors=[dimmed(color) for _, color in self._paths],
                    radii=rr.Radius.ui_points(0.5),
                ),
                static=True,
            )


class Trail(Layer):
    """The hand's path so far, in an episode that goes on.

    Args:
        recording: in which the line gets its width.
        hand: whose path.
        most: frames back to which it is drawn.
    """

    def __init__(self, recording: rr.RecordingStream, hand: Hand, most: int) -> None:
        self._hand = hand
        self._most = most
        self._path: Array = np.empty((0, 3), np.float32)
        self._taken: Array = np.empty(0, bool)
        recording.log(
            entities.PATH,
            rr.LineStrips3D.from_fields(radii=rr.Radius.ui_points(1.5)),
            static=True,
        )

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        if clip.begins:
            self._path, self._taken = self._path[:0], self._taken[:0]
        path = self._hand.path(clip.episode).astype(np.float32)
        self._path = np.concatenate([self._path, path])[-self._most :]
        self._taken = np.concatenate([self._taken, clip.episode.interventions])[-self._most :]
        strips, colors = coloured(self._path, self._taken, HAND)
        rr.send_columns(
            entities.PATH,
            clip.columns([len(clip.episode) - 1]),
            rr.LineStrips3D.columns(strips=strips, colors=colors).partition([len(strips)]),
            recording=recording,
        )


class Commands(Layer):
    """Where each action sends the hand.

    Args:
        recording: in which arrows get their width.
        hand: that is sent.
    """

    def __init__(self, recording: rr.RecordingStream, hand: Hand) -> None:
        self._hand = hand
        recording.log(
            entities.COMMAND,
            rr.Arrows3D.from_fields(colors=[HAND], radii=rr.Radius.ui_points(2.0)),
            static=True,
        )

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        arm = list(clip.episode.context.action.arm)
        targets = self._hand.targets(clip.episode, clip.episode.actions[:, None, arm])
        if targets is None:
            return
        path = self._hand.path(clip.episode)
        rr.send_columns(
            entities.COMMAND,
            clip.columns(),
            rr.Arrows3D.columns(
                origins=path.astype(np.float32),
                vectors=(targets[:, 0] - path).astype(np.float32),
            ),
            recording=recording,
        )


def coloured(path: Array, taken: Array, color: Color) -> tuple[list[Array], list[Color]]:
    """A path as strips that join: where a person drove, in the person's colour.

    Args:
        path: (T, 3) m.
        taken: (T,) whether a person had taken over.
        color: of the rest.
    """
    changes = np.flatnonzero(np.diff(taken)) + 1
    firsts, stops = [0, *changes], [*changes, len(path)]
    strips = [path[first : stop + 1] for first, stop in zip(firsts, stops, strict=True)]
    return strips, [PERSON if taken[first] else color for first in firsts]


def _tint(world: World, body: str) -> tuple[int, int, int, int]:
    """The hand and what it may hold are as if of glass: inside of them lie the modes."""
    opacity = 100 if any(part in body for part in _HAND_BODIES) else 255
    return 255, 255, 255, 190 if world.is_free(body) else opacity
