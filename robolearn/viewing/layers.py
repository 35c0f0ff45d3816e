"""What a recording shows: one layer for each kind of thing, of which none knows the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import rerun as rr

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SIMULATOR_STATE, Feature
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.policies.policy import Policy
from robolearn.viewing import entities
from robolearn.viewing.hand import hand_path, translation_scale
from robolearn.viewing.images import WorldPictures, jpeg, recorded_cameras, scene_cameras
from robolearn.viewing.modes import trace_modes
from robolearn.viewing.palette import (
    HAND,
    SUCCESS,
    Color,
    dimmed,
    distinct,
    element_colors,
    outcome_color,
)
from robolearn.viewing.summary import success_time
from robolearn.viewing.timeline import Clip
from robolearn.viewing.world import World


class Layer(Protocol):
    """Something that is shown of every episode."""

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        """Write what is to be seen of one episode. Called for each, in order."""

    def finish(self, recording: rr.RecordingStream) -> None:
        """Write what could not be known before the last episode, and free what was held."""


class Curves:
    """Actions, states, reward and success over time.

    A vector is one entity with many series, which is a third of the time and half of the size of
    one entity an element.

    Args:
        recording: in which the series get their names and colours.
        context: of the episodes.
    """

    def __init__(self, recording: rr.RecordingStream, context: EpisodeContext) -> None:
        action = context.action
        names = action.names or tuple(str(index) for index in range(action.shape[0]))
        self._parts = {
            path: list(indices)
            for path, indices in (
                (entities.ARM_ACTION, action.arm),
                (entities.GRIPPER_ACTION, action.gripper),
            )
            if indices
        }
        for path, indices in self._parts.items():
            _name_series(recording, path, tuple(names[index] for index in indices))
        self._states = state_vectors(context)
        for name, feature in self._states.items():
            _name_series(recording, entities.state(name), short_names(feature))
        _name_series(recording, entities.SUCCESS, ("success",), [SUCCESS])
        _name_series(recording, entities.REWARD, ("reward",), [HAND])

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        episode, columns = clip.episode, clip.columns()
        for path, indices in self._parts.items():
            _send_scalars(recording, path, columns, episode.actions[:, indices])
        for name in self._states:
            _send_scalars(recording, entities.state(name), columns, episode.observations[name])
        _send_scalars(recording, entities.SUCCESS, columns, episode.success[:, None])
        _send_scalars(recording, entities.REWARD, columns, episode.rewards[:, None])

    def finish(self, recording: rr.RecordingStream) -> None:
        """Nothing is left to do."""


class Narration:
    """What happens, in words: the present episode, and the list of all."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._outcomes: list[bool | None] = []

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        self._outcomes.append(clip.episode.outcome.success)
        beginning = clip.columns(np.array([0]))
        rr.send_columns(
            entities.EPISODE,
            beginning,
            rr.TextDocument.columns(
                text=[describe_episode(clip.episode, clip.number, self._total)],
                media_type=[rr.MediaType.MARKDOWN],
            ),
            recording=recording,
        )
        level = (
            rr.TextLogLevel.WARN if clip.episode.outcome.success is False else rr.TextLogLevel.INFO
        )
        rr.send_columns(
            entities.EPISODES,
            beginning,
            rr.TextLog.columns(
                text=[f"episode {clip.number}: {outcome_words(clip.episode)}"],
                level=[level],
                color=[outcome_color(clip.episode.outcome.success)],
            ),
            recording=recording,
        )

    def finish(self, recording: rr.RecordingStream) -> None:
        """Write what the colours mean and how many episodes there are of each."""
        recording.log(
            entities.ABOUT,
            rr.TextDocument(self._about(), media_type=rr.MediaType.MARKDOWN),
            static=True,
        )

    def _about(self) -> str:
        succeeded, failed = self._outcomes.count(True), self._outcomes.count(False)
        counts = [f"**{len(self._outcomes)} episodes**"]
        counts += [f"{succeeded} succeeded"] if succeeded else []
        counts += [f"{failed} failed"] if failed else []
        return (
            f"# {self._title}\n\n{', '.join(counts)}, one after the other: press play.\n\n"
            "- Thin lines: the hand's path in every episode, green where it succeeded, red where "
            "it failed.\n"
            "- Thick line: the hand's path in this episode.\n"
            "- Yellow arrow: where the action sends the hand.\n"
            "- Coloured balls, with a policy: where each mode of its mixture would send the hand; "
            "the larger, the more weight. Their colours are those of the curve *mode weights*.\n\n"
            "A click on a line of the list *Episodes* goes there.\n"
        )


class Arm:
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

    def finish(self, recording: rr.RecordingStream) -> None:
        """Nothing is left to do."""


class HandPaths:
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


class RecordedImages:
    """What the cameras saw.

    Args:
        context: of the episodes.
    """

    def __init__(self, context: EpisodeContext) -> None:
        self._cameras = recorded_cameras(context)

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        for camera, name in self._cameras.items():
            images = clip.episode.observations[name]
            _send_images(recording, clip, camera, np.arange(len(images)), images)

    def finish(self, recording: rr.RecordingStream) -> None:
        """Nothing is left to do."""


class RenderedImages:
    """What cameras would have seen, rendered from the states.

    Args:
        world: to render.
        episodes: how many are rendered; after them, the first one that fails.
        every: frames from one picture to the next.

    Attributes:
        cameras: names of the cameras.
        shown: numbers of the episodes rendered so far.

    Raises:
        MissingDependency: nothing can render here.
        SimulationError: the model has no camera.
    """

    def __init__(self, world: World, episodes: int, every: int) -> None:
        self.cameras = scene_cameras(world)
        self.shown: list[int] = []
        self._left = episodes
        self._every = every
        self._failure_wanted = True
        self._pictures = WorldPictures(world, self.cameras, 240, 320)

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        failed = clip.episode.outcome.success is False
        if self._left <= 0 and not (failed and self._failure_wanted):
            return
        self.shown.append(clip.number)
        self._left -= 1
        self._failure_wanted &= not failed
        frames = np.arange(0, len(clip.episode), self._every)
        shots = [self._pictures.render(clip.episode, int(frame)) for frame in frames]
        for camera in self.cameras:
            _send_images(recording, clip, camera, frames, [shot[camera] for shot in shots])
            # Else the last picture would stand there through the episodes that follow.
            rr.send_columns(
                entities.camera(camera),
                clip.after(),
                rr.Clear.columns(is_recursive=[False]),
                recording=recording,
            )

    def finish(self, recording: rr.RecordingStream) -> None:
        """Free what renders."""
        self._pictures.close()


class Modes:
    """Where a policy's mixture puts its modes.

    Args:
        recording: in which the series get their names and colours.
        policy: to ask at each frame.
    """

    def __init__(self, recording: rr.RecordingStream, policy: Policy) -> None:
        self._policy = policy
        self._colors = distinct(policy.config.modes)
        names = tuple(f"mode {index + 1}" for index in range(policy.config.modes))
        _name_series(recording, entities.MODE_WEIGHTS, names, self._colors)
        action = policy.schema.action
        grippers = tuple(
            f"P({action.names[index] if action.names else index} closes)"
            for index in action.gripper
        )
        colors = distinct(len(grippers) + 1)[1:]  # the first is the recorded action's
        _name_series(recording, entities.GRIPPER_CLOSED, grippers, colors)

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        trace = trace_modes(self._policy, clip.episode)
        columns = clip.columns()
        _send_scalars(recording, entities.MODE_WEIGHTS, columns, trace.weights)
        if trace.closed.shape[1]:
            _send_scalars(recording, entities.GRIPPER_CLOSED, columns, trace.closed)
        hand = hand_path(clip.episode)
        scale = translation_scale(clip.episode.context)
        if hand is None or scale is None:
            return
        targets = hand[:, None] + trace.actions[..., :3] * scale
        steps, modes = trace.weights.shape
        colors = np.empty((steps, modes, 4), np.uint8)
        colors[..., :3] = self._colors
        colors[..., 3] = np.round(55 + 200 * trace.weights)
        rr.send_columns(
            entities.MODES,
            columns,
            rr.Points3D.columns(
                positions=targets.reshape(-1, 3).astype(np.float32),
                # Volumes are as the weights.
                radii=(_LARGEST_MODE * np.cbrt(trace.weights)).reshape(-1).astype(np.float32),
                colors=colors.reshape(-1, 4),
            ).partition([modes] * steps),
            recording=recording,
        )

    def finish(self, recording: rr.RecordingStream) -> None:
        """Nothing is left to do."""


_LARGEST_MODE = 0.017
"""Radius in m of a mode that has all the weight."""
_HAND_BODIES = ("gripper", "hand")
"""What robosuite calls the bodies of a hand."""


def _tint(world: World, body: str) -> tuple[int, int, int, int]:
    """The hand and what it may hold are as if of glass: inside of them lie the modes."""
    opacity = 100 if any(part in body for part in _HAND_BODIES) else 255
    return 255, 255, 255, 190 if world.is_free(body) else opacity


def state_vectors(context: EpisodeContext) -> dict[str, Feature]:
    """The observation's vectors, by feature name, but for the simulator's own state."""
    return {
        name: feature
        for name, feature in context.features.items()
        if name != SIMULATOR_STATE and len(feature.shape) == 1 and feature.shape[0] > 0
    }


def short_names(feature: Feature) -> tuple[str, ...]:
    """Of a vector's elements, without what all of them begin with."""
    names = feature.names or tuple(str(index) for index in range(feature.shape[0]))
    stems = {name.rpartition(".")[0] for name in names}
    return tuple(name.rpartition(".")[2] for name in names) if len(stems) == 1 else names


def outcome_words(episode: Episode) -> str:
    """How an episode went, in a few words."""
    if episode.outcome.success is None:
        return f"{len(episode)} steps"
    if not episode.outcome.success:
        return "failure"
    after = success_time(episode)
    if after is None:
        return "success"
    lost = " and lost again" if episode.outcome.success_at_end is False else ""
    return f"success after {after:.1f} s{lost}"


def describe_episode(episode: Episode, number: int, total: int) -> str:
    """An episode in Markdown."""
    context = episode.context
    facts = [
        f"one of {total}",
        f"driven by {episode.agent}",
        f"{len(episode)} steps at {context.rate:g} Hz",
    ]
    facts += [f"seed {context.seed}"] if context.seed is not None else []
    facts += [f"recorded {episode.recorded_at}"] if episode.recorded_at else []
    return (
        f"## Episode {number}: {outcome_words(episode)}\n\n"
        f"**{context.task}**\n\n{' · '.join(facts)}\n"
    )


def _name_series(
    recording: rr.RecordingStream,
    path: str,
    names: tuple[str, ...],
    colors: Sequence[Color] | None = None,
) -> None:
    recording.log(
        path,
        rr.SeriesLines(names=names, colors=element_colors(names) if colors is None else colors),
        static=True,
    )


def _send_scalars(
    recording: rr.RecordingStream, path: str, columns: list[rr.TimeColumn], values: Array
) -> None:
    """Write (T, N) values as N series of one entity."""
    rr.send_columns(
        path,
        columns,
        rr.Scalars.columns(scalars=values.astype(np.float64).reshape(-1)).partition(
            [values.shape[1]] * len(values)
        ),
        recording=recording,
    )


def _send_images(
    recording: rr.RecordingStream,
    clip: Clip,
    camera: str,
    frames: Array,
    images: Sequence[Array] | Array,
) -> None:
    rr.send_columns(
        entities.camera(camera),
        clip.columns(frames),
        rr.EncodedImage.columns(
            blob=[jpeg(image) for image in images], media_type=["image/jpeg"] * len(frames)
        ),
        recording=recording,
    )
