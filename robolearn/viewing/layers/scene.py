"""The arm and the hand's paths, in 3-D."""

from __future__ import annotations

import numpy as np
import rerun as rr

from robolearn.episodes.frames import Array
from robolearn.viewing import entities
from robolearn.viewing.hand import hand_path, translation_scale
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.palette import (
    HAND,
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
    """The hand's path in this episode and in all of them, and where each action sends it.

    Args:
        recording: in which lines and arrows get their widths.
    """

    def __init__(self, recording: rr.RecordingStream) -> None:
        self._paths: list[tuple[Array, Color]] = []
        recording.log(
            entities.PATH,
            rr.LineStrips3D.from_fields(radii=rr.Radius.ui_points(1.5)),
            static=True,
        )
        recording.log(
            entities.COMMAND,
            rr.Arrows3D.from_fields(colors=[HAND], radii=rr.Radius.ui_points(2.0)),
            static=True,
        )

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        path = hand_path(clip.episode)
        if path is None:
            return
        color = outcome_color(clip.episode.outcome.success)
        self._paths.append((path, color))
        rr.send_columns(
            entities.PATH,
            clip.columns(np.array([0])),
            rr.LineStrips3D.columns(strips=[path], colors=[color]),
            recording=recording,
        )
        scale = translation_scale(clip.episode.context)
        if scale is not None:
            arm = list(clip.episode.context.action.arm[:3])
            rr.send_columns(
                entities.COMMAND,
                clip.columns(),
                rr.Arrows3D.columns(
                    origins=path.astype(np.float32),
                    vectors=(clip.episode.actions[:, arm] * scale).astype(np.float32),
                ),
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


def _tint(world: World, body: str) -> tuple[int, int, int, int]:
    """The hand and what it may hold are as if of glass: inside of them lie the modes."""
    opacity = 100 if any(part in body for part in _HAND_BODIES) else 255
    return 255, 255, 255, 190 if world.is_free(body) else opacity
