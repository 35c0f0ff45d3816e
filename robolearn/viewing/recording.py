"""A dataset as a Rerun recording: a film of its episodes with everything that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rerun as rr

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.features import SAFETY
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import MissingDependency, SimulationError
from robolearn.learning.progress import Progress
from robolearn.learning.rewards.learnt import LearntReward
from robolearn.policies.policy import Policy
from robolearn.viewing.blueprint import Contents, build_blueprint
from robolearn.viewing.hand import Hand, find_hand
from robolearn.viewing.images import recorded_cameras
from robolearn.viewing.layers.curves import Actions, Outcomes, States, state_vectors
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.layers.learnt import LearntRewards
from robolearn.viewing.layers.marks import Marks
from robolearn.viewing.layers.mixture import Modes
from robolearn.viewing.layers.narration import Narration
from robolearn.viewing.layers.pictures import RecordedImages, RenderedImages
from robolearn.viewing.layers.scene import Arm, Commands, HandPaths
from robolearn.viewing.real import RealWorld
from robolearn.viewing.rrd import written
from robolearn.viewing.simulated import SimulatedWorld
from robolearn.viewing.timeline import lay_out
from robolearn.viewing.world import World
from robolearn.viewing.worlds import open_world

_CAMERA_EVERY = 2
"""Frames from one rendered picture to the next: 10 Hz of 20 Hz are enough to see what happens."""


def no_progress(done: int, total: int, text: str) -> None:
    """Say nothing."""


def save_recording(
    dataset: Dataset,
    path: Path,
    *,
    title: str,
    policy: Policy | None = None,
    reward: LearntReward | None = None,
    episodes: Sequence[int] | None = None,
    camera_episodes: int = 2,
    progress: Progress = no_progress,
) -> tuple[str, ...]:
    """Write episodes as a Rerun recording, with a layout that makes it readable at a glance.

    It shows the arm as it moved, the hand's path in this and in all episodes, what cameras saw, the
    actions, states, rewards and success as curves, who drove and which limits were met; with a
    policy, where its mixture puts its modes; with a learnt reward, what it says of each step. What
    cannot be shown here is left out.

    Args:
        dataset: that holds the episodes.
        path: of the ``.rrd`` file; one that is there is replaced.
        title: of the recording.
        policy: that is asked at each frame.
        reward: that is asked of each step.
        episodes: numbers of those to show; None shows all.
        camera_episodes: how many episodes are rendered, which takes most of the time, where no
            camera was recorded; beside them, the first one that failed. 0 renders none.
        progress: called after each episode.

    Returns:
        One line for each thing that was left out: what, why, and what to do about it.

    Raises:
        DatasetError: there is no such episode, or one cannot be read.
        FeatureMismatch: policy or reward do not fit the dataset.
        OSError: the file cannot be written.
    """
    summaries = dataset.summaries
    numbers = [summary.number for summary in summaries] if episodes is None else list(episodes)
    indices = dataset.indices(numbers)
    context = dataset.context
    if policy is not None:
        policy.schema.require_fit(context, str(dataset.path))
    if reward is not None:
        reward.require_fit(context, str(dataset.path))
    with written(path, title) as recording:
        stage = _Stage(recording, context)
        layers: list[Layer] = [
            Narration(title, len(dataset)),
            Actions(recording, context),
            States(recording, context),
            Outcomes(recording),
            Marks(
                recording,
                list(dict.fromkeys(summaries[index].agent for index in indices)),
                limits=SAFETY in context.features,
            ),
            *stage.layers(camera_episodes),
        ]
        if policy is not None and policy.modes:
            layers.append(Modes(recording, policy, stage.hand))
        elif policy is not None:
            stage.left_out.append(
                "the policy's modes are not shown: only the head mixture has some"
            )
        if reward is not None:
            layers.append(LearntRewards(recording, reward))
        hand: list[Array] = []
        seconds = 0.0
        episodes_read = (dataset.episode(index) for index in indices)
        for done, clip in enumerate(lay_out(zip(numbers, episodes_read, strict=True)), start=1):
            for layer in layers:
                layer.log(recording, clip)
            hand += [] if stage.hand is None else [stage.hand.path(clip.episode)]
            seconds = max(seconds, clip.end - clip.start)
            progress(done, len(numbers), f"episode {clip.number}")
        for layer in layers:
            layer.finish(recording)
        contents = Contents(
            cameras=stage.cameras,
            camera_episodes=None if stage.rendered is None else stage.rendered.shown,
            states=list(state_vectors(context)),
            action=context.action,
            scene=bool(hand) or stage.world is not None,
            grid=isinstance(stage.world, RealWorld),
            center=np.concatenate(hand).mean(0) if hand else np.zeros(3),
            modes=policy is not None and policy.modes > 0,
            learnt=reward is not None,
            limits=SAFETY in context.features,
            seconds=seconds,
        )
        recording.send_blueprint(build_blueprint(contents))
    return tuple(stage.left_out)


class _Stage:
    """What can be seen of episodes: the world that they are in, the hand, and cameras.

    Attributes:
        world: None where there is none.
        hand: None where nothing tells where it is.
        cameras: their names.
        rendered: what renders pictures, where no camera was recorded.
        left_out: what cannot be shown, and why.
    """

    def __init__(self, recording: rr.RecordingStream, context: EpisodeContext) -> None:
        self._recording = recording
        self._context = context
        self.left_out: list[str] = []
        self.world: World | None = None
        self.rendered: RenderedImages | None = None
        self.cameras = tuple(recorded_cameras(context))
        try:
            self.world = open_world(context)
        except (MissingDependency, SimulationError) as error:
            self.left_out.append(f"the arm is not shown: {error}")
        self.hand: Hand | None = find_hand(context, self.world)

    def layers(self, camera_episodes: int) -> list[Layer]:
        """Of pictures, the arm and its hand."""
        layers: list[Layer] = []
        if self.cameras:
            layers.append(RecordedImages(self._context))
        if self.world is not None:
            layers.append(Arm(self._recording, self.world))
        if not self.cameras and camera_episodes > 0 and isinstance(self.world, SimulatedWorld):
            try:
                self.rendered = RenderedImages(self.world, camera_episodes, _CAMERA_EVERY)
            except (MissingDependency, SimulationError) as error:
                self.left_out.append(f"no camera is shown: {error}")
            else:
                layers.append(self.rendered)
                self.cameras = self.rendered.cameras
        if self.hand is not None:
            layers += [
                HandPaths(self._recording, self.hand),
                Commands(self._recording, self.hand),
            ]
        return layers
