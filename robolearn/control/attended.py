"""Episodes that last as long as the person who drives wants."""

from __future__ import annotations

from dataclasses import replace

from robolearn.agents.devices.requests import Request, Requests
from robolearn.environments.environment import Environment
from robolearn.episodes.frames import Array, EpisodeContext, Observation


class StopRequested(Exception):
    """The person wants to end, at once."""


class AttendedEnvironment(Environment):
    """An environment whose episodes end when the person says so, or has held success.

    The episode is told to be over in the way in which an environment says that time is up, so that
    the loop knows of no person.

    Args:
        environment: that is driven.
        requests: of the person.
        limit: seconds after which an episode ends by itself.
        hold: seconds for which success must last before the episode ends by itself.

    Attributes:
        ending: what the person ended the episode with; None while nothing did.
    """

    def __init__(
        self, environment: Environment, requests: Requests, *, limit: float, hold: float
    ) -> None:
        self._environment, self._requests = environment, requests
        rate = environment.context.rate
        self.ending: Request | None = None
        self._horizon = max(1, round(limit * rate))
        self._to_hold, self._held = max(1, round(hold * rate)), 0

    @property
    def context(self) -> EpisodeContext:
        return self._environment.context

    @property
    def horizon(self) -> int:
        return self._horizon

    def reset(self, seed: int) -> None:
        self._environment.reset(seed)
        self._forget()

    def sense(self) -> Observation:
        """What the sensors say before the episode begins, when nobody asks for its end."""
        return self._environment.observe()

    def observe(self) -> Observation:
        """What the sensors say.

        Raises:
            StopRequested: the person wants to end.
        """
        observation = self.sense()
        self._held = self._held + 1 if observation.success else 0
        self._listen()
        if self.ending is not None or self._held > self._to_hold:
            return replace(observation, truncated=True)
        return observation

    def act(self, action: Array) -> Array:
        return self._environment.act(action)

    def close(self) -> None:
        self._environment.close()

    def _listen(self) -> None:
        while not self.ending and (request := self._requests.take()) is not None:
            if request is Request.STOP:
                raise StopRequested
            if request is not Request.START:  # it has begun
                self.ending = request

    def _forget(self) -> None:
        self.ending = None
        self._held = 0
