"""The agent that a policy drives."""

from __future__ import annotations

from collections import deque

import numpy as np
import torch

from robolearn.agents.agent import Agent
from robolearn.episodes.frames import Array, Observation
from robolearn.policies.policy import Policy


class PolicyAgent(Agent):
    """Asks a policy at each step, with the history that it was trained on.

    Args:
        policy: that decides. It always takes its most likely action, so nothing is random.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._history: deque[dict[str, Array]] = deque(maxlen=policy.config.history)

    def reset(self, seed: int) -> None:
        self._history.clear()

    def act(self, observation: Observation) -> Array:
        frame = {name: observation.values[name] for name in self._policy.schema.inputs}
        missing = (self._history.maxlen or 1) - len(self._history)
        self._history.extend([frame] * max(missing, 1))
        window = {
            name: torch.from_numpy(np.stack([past[name] for past in self._history])[None])
            for name in frame
        }
        with torch.inference_mode():
            action: Array = self._policy(window).most_likely()[0].numpy()
        return action
