from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import msgpack
import numpy as np
import pytest
import zmq

from robolearn.control.remote.client import RemotePolicy
from robolearn.control.remote.messages import packed, unpacked
from robolearn.control.remote.server import PolicyServer
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import Observation
from robolearn.errors import ConfigurationError, PolicyError
from robolearn.policies.schema import PolicySchema

RATE = 20.0
SCHEMA = PolicySchema(
    inputs={"observation.state": Feature("float32", (1,), ("step",))},
    action=ActionFeature("float32", (1,), ("step",), low=(-1e6,), high=(1e6,)),
    task="Count.",
    rate=RATE,
)


class Counting:
    """Says of each step its number, and as much for a while ahead."""

    def __init__(self, delay: float = 0.0, horizon: int = 10) -> None:
        self.delay, self.horizon = delay, horizon
        self.resets: list[int] = []

    def reset(self, seed: int) -> None:
        self.resets.append(seed)

    def act(self, observation: Observation) -> np.ndarray:
        time.sleep(self.delay)
        self._seen = float(observation.values["observation.state"][0])
        return np.array([self._seen], np.float32)

    def ahead(self) -> np.ndarray:
        return self._seen + np.arange(1, self.horizon, dtype=np.float32)[:, None]


type Serve = Callable[[Counting], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    ending = threading.Event()
    threads: list[threading.Thread] = []

    def _serve(agent: Counting) -> str:
        server = PolicyServer(lambda task: agent, SCHEMA, "secret", "tcp://127.0.0.1:*")
        address = server.address

        def run() -> None:
            server.serve(lambda: not ending.is_set())
            server.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return address

    yield _serve
    ending.set()
    for thread in threads:
        thread.join()


def seen(step: int) -> Observation:
    values = {"observation.state": np.array([step], np.float32)}
    return Observation(values, dict.fromkeys(values, 0.0), 0.0)


def drive(remote: RemotePolicy, steps: int) -> list[float]:
    """As the arm does: a step each period, whether the policy was late or not."""
    said = []
    began = time.monotonic()
    step = 0
    while step < steps:
        said.append((step, float(remote.act(seen(step))[0])))
        time.sleep(max(0.0, began + (len(said)) / RATE - time.monotonic()))
        step = max(step + 1, round((time.monotonic() - began) * RATE))
    return said


def test_a_quick_policy_answers_each_step(serve: Serve) -> None:
    agent = Counting()
    remote = RemotePolicy(serve(agent), "secret", "Count.", RATE)
    assert remote.schema == SCHEMA
    remote.reset(7)
    assert agent.resets == [7]
    said = drive(remote, 10)
    assert all(abs(value - step) <= 1 for step, value in said)
    remote.close()


def test_of_a_slow_policy_late_actions_are_dropped(serve: Serve) -> None:
    remote = RemotePolicy(serve(Counting(delay=0.17)), "secret", "Count.", RATE)
    remote.reset(0)
    said = drive(remote, 20)
    # It decides on observations from three steps ago, and its actions are for now all the same.
    assert all(abs(value - step) <= 1 for step, value in said[1:])
    assert remote.dropped > 5
    remote.close()


def test_a_policy_that_does_not_reach_ahead_far_enough(serve: Serve) -> None:
    remote = RemotePolicy(serve(Counting(delay=0.3, horizon=3)), "secret", "Count.", RATE)
    remote.reset(0)
    with pytest.raises(PolicyError, match=r"took 0.3\d s to answer, longer than what it decides"):
        remote.act(seen(0))
    remote.close()


def test_another_token_is_not_answered(serve: Serve) -> None:
    with pytest.raises(PolicyError, match="the token is not that of robolearn serve"):
        RemotePolicy(serve(Counting()), "guessed", "Count.", RATE)


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robolearn.control.remote.client._SECONDS_TO_ANSWER", 0.3)
    with pytest.raises(PolicyError, match=r"nobody answers at tcp://127.0.0.1:9"):
        RemotePolicy("tcp://127.0.0.1:9", "secret", "Count.", RATE)


def test_an_address_that_is_none() -> None:
    with pytest.raises(PolicyError, match="is no address of a policy"):
        RemotePolicy("somewhere", "secret", "Count.", RATE)
    with pytest.raises(ConfigurationError, match=r"nothing can listen at tcp://1.2.3.4.5:1"):
        PolicyServer(lambda task: Counting(), SCHEMA, "secret", "tcp://1.2.3.4.5:1")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x80\x04]\x94.",
        msgpack.packb([1, 2]),
        msgpack.packb({"dtype": "O", "shape": [1], "data": b"x" * 8}),
        msgpack.packb({"a": {"dtype": "<f4", "shape": [3], "data": b"x" * 8}}),
    ],
)
def test_what_comes_over_the_network_may_be_hostile(message: bytes) -> None:
    with pytest.raises(PolicyError, match="an unreadable message"):
        unpacked(message)


def test_a_wrong_question_is_answered_and_the_next_one_too(serve: Serve) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.connect(serve(Counting()))
    for message, says in [
        (b"nonsense", "unreadable"),
        (packed({"token": "secret", "ask": "dance"}), "KeyError"),
        (packed({"token": "secret", "ask": "decide", "step": 0}), "no episode has begun"),
        (packed({"token": "secret", "ask": "begin", "task": "", "seed": 0}), None),
        (
            packed(
                {
                    "token": "secret",
                    "ask": "decide",
                    "step": 0,
                    "values": {"observation.state": np.zeros(3, np.float32)},
                }
            ),
            r"observation.state is (3,), not (1,)",
        ),
    ]:
        socket.send(message)
        assert socket.poll(5000)
        answer = unpacked(socket.recv())
        assert (says is None) == ("error" not in answer)
        assert says is None or says in answer["error"]
    socket.close()
    context.term()
