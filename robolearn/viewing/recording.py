"""A dataset as a Rerun recording: a film of its episodes with everything that was measured."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rerun as rr

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import DatasetError, MissingDependency, SimulationError
from robolearn.learning.progress import Progress
from robolearn.policies.policy import Policy
from robolearn.viewing.blueprint import Contents, build_blueprint
from robolearn.viewing.hand import hand_feature, hand_path
from robolearn.viewing.images import recorded_cameras
from robolearn.viewing.layers.curves import Curves, state_vectors
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.layers.mixture import Modes
from robolearn.viewing.layers.narration import Narration
from robolearn.viewing.layers.pictures import RecordedImages, RenderedImages
from robolearn.viewing.layers.scene import Arm, HandPaths
from robolearn.viewing.timeline import lay_out
from robolearn.viewing.world import World

_LEAST_FREE = 1 << 20
_CAMERA_EVERY = 2
"""Frames from one rendered picture to the next: 10 Hz of 20 Hz are enough to see what happens."""


def _no_progress(done: int, total: int, text: str) -> None:
    """Say nothing."""


def save_recording(
    dataset: Dataset,
    path: Path,
    *,
    title: str,
    policy: Policy | None = None,
    episodes: Sequence[int] | None = None,
    camera_episodes: int = 2,
    progress: Progress = _no_progress,
) -> tuple[str, ...]:
    """Write episodes as a Rerun recording, with a layout that makes it readable at a glance.

    It shows the arm as it moved, the hand's path in this and in all episodes, what cameras saw, the
    actions, states, rewards and success as curves and, with a policy, where its mixture puts its
    modes. What cannot be shown here is left out.

    Args:
        dataset: that holds the episodes.
        path: of the ``.rrd`` file; one that is there is replaced.
        title: of the recording.
        policy: that is asked at each frame.
        episodes: numbers of those to show; None shows all.
        camera_episodes: how many episodes are rendered, which takes most of the time, where no
            camera was recorded; beside them, the first one that failed. 0 renders none.
        progress: called after each episode.

    Returns:
        One line for each thing that was left out: what, why, and what to do about it.

    Raises:
        DatasetError: there is no such episode, or one cannot be read.
        FeatureMismatch: the policy does not fit the dataset.
        OSError: the file cannot be written.
    """
    numbers = list(range(len(dataset)) if episodes is None else episodes)
    for number in numbers:
        if not 0 <= number < len(dataset):
            raise DatasetError(
                f"there is no episode {number} in {dataset.path}; it has 0 to {len(dataset) - 1}"
            )
    context = dataset.context
    if policy is not None:
        policy.schema.require_fit(context, str(dataset.path))
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.part")
    # The viewer keeps a layout for each application; recordings with other contents need another.
    recording = rr.RecordingStream(f"robolearn: {title}")
    try:
        recording.save(staged)
        recording.send_recording_name(title)
        notices, layers, cameras = _layers(
            recording, context, title, len(dataset), policy, camera_episodes
        )
        hand: list[Array] = []
        seconds = 0.0
        for done, clip in enumerate(lay_out((n, dataset.episode(n)) for n in numbers), start=1):
            for layer in layers:
                layer.log(recording, clip)
            positions = hand_path(clip.episode)
            hand += [] if positions is None else [positions]
            seconds = max(seconds, clip.end - clip.start)
            progress(done, len(numbers), f"episode {clip.number}")
        for layer in layers:
            layer.finish(recording)
        rendered = [layer for layer in layers if isinstance(layer, RenderedImages)]
        contents = Contents(
            cameras=cameras,
            camera_episodes=rendered[0].shown if rendered else None,
            states=list(state_vectors(context)),
            action=context.action,
            scene=bool(hand) or any(isinstance(layer, Arm) for layer in layers),
            center=np.concatenate(hand).mean(0) if hand else np.zeros(3),
            modes=policy is not None and policy.modes > 0,
            seconds=seconds,
        )
        recording.send_blueprint(build_blueprint(contents))
        recording.flush()
        recording.disconnect()
        staged.replace(path)
    except RuntimeError as error:
        if shutil.disk_usage(path.parent).free > _LEAST_FREE:
            raise
        # All that Rerun says of a full disk is that its writer stopped.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    finally:
        with contextlib.suppress(RuntimeError):
            recording.disconnect()
        staged.unlink(missing_ok=True)
    return notices


def _layers(
    recording: rr.RecordingStream,
    context: EpisodeContext,
    title: str,
    total: int,
    policy: Policy | None,
    camera_episodes: int,
) -> tuple[tuple[str, ...], list[Layer], tuple[str, ...]]:
    """What can be shown of episodes in this context.

    Returns:
        What cannot be shown and why, the layers, and the cameras' names.
    """
    layers: list[Layer] = [Narration(title, total), Curves(recording, context)]
    notices: list[str] = []
    cameras = tuple(recorded_cameras(context))
    if cameras:
        layers.append(RecordedImages(context))
    try:
        world = World(context)
    except (MissingDependency, SimulationError) as error:
        notices.append(f"the arm is not shown: {error}")
    else:
        layers.append(Arm(recording, world))
        if not cameras and camera_episodes > 0:
            try:
                rendered = RenderedImages(world, camera_episodes, _CAMERA_EVERY)
            except (MissingDependency, SimulationError) as error:
                notices.append(f"no camera is shown: {error}")
            else:
                layers.append(rendered)
                cameras = rendered.cameras
    if hand_feature(context) is not None:
        layers.append(HandPaths(recording))
    if policy is not None and policy.modes:
        layers.append(Modes(recording, policy))
    elif policy is not None:
        notices.append("the policy's modes are not shown: only the head mixture has some")
    return tuple(notices), layers, cameras
