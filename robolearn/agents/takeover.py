"""A policy that a person may take over from at any moment (DAgger's expert)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.episodes.frames import Array, Observation


class Takeover(Agent):
    """Does what the policy says, or the person while the person wants to.

    When the person takes over, the leader need not stand where the arm does: what it moves from
    then on is added to where the arm was. Such steps are recorded as interventions (Ross et al.
    2011, "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
    Learning"; Kelly et al. 2019, "HG-DAgger", where it is the person who decides when).

    Args:
        policy: that drives otherwise.
        pose: gives (J,) where the person holds the leader.
        wanted: whether the person wants to drive now.
        told: gives (J,) where the arm was told to be last.
        towards: gives the action that brings the arm's joints to (J,).
    """

    def __init__(
        self,
        policy: Agent,
        pose: Callable[[], Array],
        wanted: Callable[[], bool],
        told: Callable[[], Array],
        towards: Callable[[Array], Array],
    ) -> None:
        self._policy, self._pose, self._wanted = policy, pose, wanted
        self._told, self._towards = told, towards
        self._offset: Array = np.zeros(0)
        self._seed = 0

    def reset(self, seed: int) -> None:
        self._seed = seed
        self.intervening = False
        self._policy.reset(seed)

    def act(self, observation: Observation) -> Array:
        if self._wanted():
            pose = self._pose()
            if not self.intervening:
                self._offset = self._told() - pose
            self.intervening = True
            return self._towards(pose + self._offset)
        if self.intervening:
            self._policy.reset(self._seed)  # what it remembers is not what led here
        self.intervening = False
        return self._policy.act(observation)
