"""The reward that was learnt from demonstrations, along episodes."""

from __future__ import annotations

import numpy as np
import rerun as rr

from robolearn.learning.rewards.learnt import LearntReward
from robolearn.viewing import entities
from robolearn.viewing.layers.layer import Layer, name_series, send_scalars
from robolearn.viewing.palette import LEARNT
from robolearn.viewing.timeline import Clip


class LearntRewards(Layer):
    """What a discriminator says of each step.

    Args:
        recording: in which the series gets its name and colour.
        reward: to ask.
    """

    def __init__(self, recording: rr.RecordingStream, reward: LearntReward) -> None:
        self._reward = reward
        name_series(recording, entities.LEARNT_REWARD, ("learnt reward",), [LEARNT])

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        values = self._reward.along(clip.episode)
        frames = np.arange(len(values))  # what followed the last action is not recorded
        if len(values):
            columns = clip.columns(frames)
            send_scalars(recording, entities.LEARNT_REWARD, columns, values[:, None])
