"""The agent whose policy is on another machine."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
import zmq

from robolearn.agents.agent import Agent
from robolearn.control.remote.messages import MOST_BYTES, VERSION, packed, unpacked
from robolearn.episodes.frames import Array, Observation
from robolearn.errors import PolicyError
from robolearn.policies.schema import PolicySchema

_SECONDS_TO_ANSWER = 10.0
_SHARE_OF_STEP = 0.7
"""Of a control step, for which an answer is waited for while an older chunk reaches further."""


class RemotePolicy(Agent):
    """Sends observations to a `PolicyServer`, and carries out the chunks that come back.

    An answer counts its actions from the step whose observation it answers: those for steps that
    have passed when it comes are dropped. While an answer is on its way, the last chunk goes on. A
    policy that remembers more than one frame sees those that it was asked about.

    Args:
        address: ``tcp://HOST:PORT``.
        token: that the server was given.
        task: in words.
        rate: of the arm, Hz.

    Raises:
        PolicyError: nobody answers there, the token is another, or it speaks another version.

    Attributes:
        schema: of the policy.
        dropped: actions that came too late.
    """

    def __init__(self, address: str, token: str, task: str, rate: float) -> None:
        self._address, self._token, self._task = address, token, task
        self._rate, self._patience = rate, _SHARE_OF_STEP / rate
        self._context = zmq.Context()
        self._socket: Any = None
        self._step = 0
        self._asked: int | None = None
        self._chunk: deque[tuple[int, Array]] = deque()
        self.dropped = 0
        try:
            said = self._ask({"ask": "describe"})
            if said.get("version") != VERSION:
                raise PolicyError(f"{address} speaks version {said.get('version')}, not {VERSION}")
            self.schema = PolicySchema.from_json(said["schema"])
        except BaseException:
            self.close()
            raise

    def reset(self, seed: int) -> None:
        if self._asked is not None:  # of the episode before
            self._collect(_SECONDS_TO_ANSWER)
        self._step = 0
        self._chunk.clear()
        self._ask({"ask": "begin", "task": self._task, "seed": seed})

    def act(self, observation: Observation) -> Array:
        """The action for this step.

        Raises:
            PolicyError: none came in time; the watchdog has long halted the arm.
        """
        if self._asked is None:
            values = {name: observation.values[name] for name in self.schema.inputs}
            self._send({"ask": "decide", "step": self._step, "values": values})
            self._asked = self._step
        entered = time.monotonic()
        has_one = any(step >= self._step for step, _ in self._chunk)
        self._collect(self._patience if has_one else _SECONDS_TO_ANSWER)
        waited = time.monotonic() - entered
        self._step += int(waited * self._rate)  # control steps that passed meanwhile
        while self._chunk and self._chunk[0][0] < self._step:
            self._chunk.popleft()
            self.dropped += 1
        if not self._chunk:
            raise PolicyError(
                f"the policy at {self._address} took {waited:.2f} s to answer, longer than what it "
                "decides reaches ahead"
            )
        _, action = self._chunk.popleft()
        self._step += 1
        return action

    def close(self) -> None:
        """Ask no more. May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._context.term()

    def _collect(self, seconds: float) -> None:
        """Take the answer if it comes within that time."""
        if self._asked is None or not self._socket.poll(int(1e3 * seconds)):
            if seconds == _SECONDS_TO_ANSWER:
                raise PolicyError(f"the policy at {self._address} does not answer")
            return
        answer = self._received()
        first, self._asked = self._asked, None
        actions = np.asarray(answer["actions"])
        self._chunk = deque((first + index, action) for index, action in enumerate(actions))

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self._send(message)
        if not self._socket.poll(int(1e3 * _SECONDS_TO_ANSWER)):
            self._drop()
            raise PolicyError(
                f"nobody answers at {self._address}: robolearn serve RUN starts a policy there"
            )
        return self._received()

    def _send(self, message: dict[str, Any]) -> None:
        if self._socket is None:
            self._socket = self._context.socket(zmq.REQ)
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
            try:
                self._socket.connect(self._address)
            except zmq.ZMQError as error:
                raise PolicyError(f"{self._address} is no address of a policy: {error}") from error
        self._socket.send(packed(message | {"token": self._token}))

    def _drop(self) -> None:
        self._socket.close()
        self._socket = None

    def _received(self) -> dict[str, Any]:
        answer = unpacked(self._socket.recv())
        if "error" in answer:
            self._asked = None
            raise PolicyError(f"{self._address} says: {answer['error']}")
        return answer
