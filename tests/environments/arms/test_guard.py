"""What the process that holds an arm does, in this one: an arm that moves, or is limp, is watched."""

from __future__ import annotations

import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import paper
import pytest

from robolearn.environments.arms import guard
from robolearn.environments.arms.environment import LeRobotEnvironment
from robolearn.environments.arms.feeds import ImageSlots
from robolearn.environments.arms.kinematics import make_supervisor
from robolearn.environments.arms.messages import Order, packed_order, packed_target
from robolearn.environments.arms.profile import Arm
from robolearn.errors import ArmError


class LimpDriver:
    """Motors that can go limp, and at times do not want to hold."""

    def __init__(self) -> None:
        self.images: dict[str, tuple[int, ...]] = {}
        self.limp = False
        self.refuses = 0
        self.joints = np.zeros(4)

    def read(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.joints.copy(), {}

    def write(self, joints: np.ndarray) -> None:
        self.joints = joints.copy()

    def relax(self) -> None:
        self.limp = True

    def stiffen(self) -> np.ndarray:
        if self.refuses:
            self.refuses -= 1
            raise ConnectionError("There is no status packet!")
        self.limp = False
        return self.joints.copy()


class Held:
    """An arm that is held by a thread."""

    def __init__(self, arm: Arm) -> None:
        self.driver: Any = LimpDriver()
        self.channel, theirs = Pipe()
        supervisor = make_supervisor(arm)
        supervisor.reset(self.driver.joints)
        slots = ImageSlots({}, bytearray(ImageSlots.size({})))
        holding = guard._Holding(arm, self.driver, supervisor, {}, slots, theirs, moves=True)
        self.released: bool | None = None
        self._thread = threading.Thread(target=self._run, args=(holding, theirs))
        self._thread.start()

    def _run(self, holding: guard._Holding, theirs: Connection) -> None:
        try:
            self.released = holding.run(self.driver.joints)
        finally:
            theirs.close()

    def order(self, order: Order) -> None:
        self.channel.send_bytes(packed_order(order))

    def end(self) -> None:
        self.channel.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def held(tmp_path: Path) -> Any:
    made = Held(paper.load(tmp_path, paper.profile(tmp_path)))
    yield made
    made.end()


def until(true: Any) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_limp_arm_that_nobody_begins_to_record_holds_itself(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_LONGEST_LIMP", 0.3)
    began = time.monotonic()
    held.order("limp")
    until(lambda: held.driver.limp)
    until(lambda: not held.driver.limp)
    assert time.monotonic() - began > 0.3


def test_a_limp_arm_whose_agent_is_gone_is_made_to_hold_however_often_that_fails(
    held: Held,
) -> None:
    held.order("limp")
    until(lambda: held.driver.limp)
    held.driver.refuses = 6
    held.end()
    assert not held.driver.limp
    assert held.released is False


def test_a_limp_arm_whose_holder_breaks_down_holds_itself(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.order("limp")
    until(lambda: held.driver.limp)
    threading.excepthook, before = lambda _: None, threading.excepthook
    try:
        held.channel.send_bytes(b"\xc1")  # which is no message
        held.end()
    finally:
        threading.excepthook = before
    assert not held.driver.limp


def test_what_is_on_its_way_is_watched_outside_of_an_episode_too(held: Held) -> None:
    held.channel.send_bytes(packed_target(1, np.full(4, 1.0)))
    time.sleep(1.5)
    assert 0 < held.driver.joints[0] < 0.9  # it was braked on the way


def test_an_arm_at_rest_waits_for_nobody(held: Held) -> None:
    held.channel.send_bytes(packed_target(1, np.full(4, 0.01)))
    time.sleep(0.5)
    held.channel.send_bytes(packed_target(2, np.full(4, 0.02)))
    until(lambda: held.driver.joints[0] == 0.02)


def test_the_end_of_an_episode_stops_an_arm_on_its_way(tmp_path: Path) -> None:
    environment = LeRobotEnvironment(paper.load(tmp_path, paper.profile(tmp_path)))
    try:
        environment.reset(seed=0)
        far = environment.sent + [1.0, 0.0, 0.0, 0.0]
        for _ in range(5):
            environment.act(far.astype(np.float32))
        assert not environment.tick.at_rest
        environment.rest()
        for _ in range(20):
            environment.wait()
        assert environment.tick.at_rest
        assert environment.sent[0] < far[0] - 0.5
        assert not environment.halted
    finally:
        environment.close()


def test_an_arm_that_cannot_go_limp_is_not_dragged(tmp_path: Path) -> None:
    environment = LeRobotEnvironment(paper.load(tmp_path, paper.profile(tmp_path)), dragged=True)
    try:
        with pytest.raises(ArmError, match="paper cannot be dragged: its driver does not let"):
            environment.reset(seed=0)
    finally:
        environment.close()
