"""The agent of a limp arm that a person drags."""

from __future__ import annotations

from robolearn.agents.person import PersonAgent, Rest
from robolearn.episodes.features import STATE
from robolearn.episodes.frames import Array, Observation


class Dragged(PersonAgent):
    """Asks the arm to be where it is: the person's hand decides.

    What becomes of it, the action that is recorded as sent, is where the hand has dragged the arm
    by the next step; `LeRobotEnvironment` tells that.
    """

    def __init__(self) -> None:
        self._rest = Rest()

    def reset(self, seed: int) -> None:
        self._rest.forget()

    def moved(self, observation: Observation) -> bool:
        return self._rest.left(observation.values[STATE])

    def act(self, observation: Observation) -> Array:
        return observation.values[STATE]
