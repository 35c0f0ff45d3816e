from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.append(str(Path(__file__).parents[2] / "control"))
from hand_world import context

from robolearn.agents.devices.keys import Keyboard
from robolearn.agents.devices.rates import FULL, SPEEDS, RateDevice
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.devices.views import camera_yaws, seen_from_camera
from robolearn.agents.hand import Pose

PERIOD = 0.05
AGENTVIEW = """<mujoco><worldbody>
<camera name="agentview" pos="0.5 0 1.35" quat="0.653 0.271 0.271 0.653"/>
</worldbody></mujoco>"""


class Pushed(RateDevice):
    """A device that a test pushes."""

    push = np.zeros(6)

    def rates(self, period: float) -> np.ndarray:
        return self.push

    def close(self) -> None: ...


def at(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Pose:
    return Pose(np.array([x, y, z]), Rotation.identity())


def push(*rates: float) -> np.ndarray:
    return np.array([*rates, *[0.0] * (6 - len(rates))])


def test_nothing_moves_before_something_is_pushed() -> None:
    device = Pushed(context())
    (motion,) = device.motions([at(0.3)], PERIOD)
    assert not motion.way.any()


def test_the_place_asked_for_moves_on_and_stays_when_nothing_is_pushed() -> None:
    device = Pushed(context())
    step = FULL[0] * SPEEDS[device.speed] * PERIOD
    device.push = push(0, 1)  # away: along x, where there is no camera
    for number in range(1, 4):
        (motion,) = device.motions([at()], PERIOD)
        np.testing.assert_allclose(motion.way[:3], [number * step, 0, 0], atol=1e-12)
    device.push = push()
    (motion,) = device.motions([at(2 * step)], PERIOD)
    np.testing.assert_allclose(motion.way[:3], [step, 0, 0], atol=1e-12)
    device.reset()
    (motion,) = device.motions([at(2 * step)], PERIOD)
    assert not motion.way.any()


def test_a_hand_that_is_held_up_is_not_run_away_from() -> None:
    device = Pushed(context())
    device.push = push(0, 0, -1)
    for _ in range(100):
        (motion,) = device.motions([at()], PERIOD)
    assert np.linalg.norm(motion.way[:3]) <= 0.05 + 1e-9
    device.push = push(0, 0, 1)
    for _ in range(20):
        (motion,) = device.motions([at()], PERIOD)
    assert motion.way[2] > 0


def test_right_and_away_are_as_the_camera_sees_them() -> None:
    """robosuite's camera stands before the robot and looks at it, along −x."""
    seen = seen_from_camera(AGENTVIEW)
    np.testing.assert_allclose(seen.apply([0, 1, 0]), [-1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(seen.apply([1, 0, 0]), [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(seen.apply([0, 0, 1]), [0, 0, 1], atol=1e-9)


def test_a_camera_that_looks_straight_down_has_no_direction() -> None:
    down = AGENTVIEW.replace("0.653 0.271 0.271 0.653", "1 0 0 0")
    assert camera_yaws(down) == {}
    np.testing.assert_allclose(seen_from_camera(down).apply([0, 1, 0]), [1, 0, 0], atol=1e-9)


def test_cameras_on_the_arm_have_no_yaw_in_the_world() -> None:
    on_arm = AGENTVIEW.replace(
        "</worldbody>",
        '<body><camera name="wrist" quat="0.653 0.271 0.271 0.653"/></body></worldbody>',
    )
    assert camera_yaws(on_arm) == {"agentview": pytest.approx(np.pi, abs=1e-3)}
    assert camera_yaws(None) == {}


def test_keys_of_one_hand_after_the_other() -> None:
    class Held(Keyboard):
        keys: frozenset[str] = frozenset()

        def rates(self, period: float) -> np.ndarray:
            return self.rates_of(self.keys)

        def close(self) -> None: ...

    requests = Requests()
    device = Held(context(2), requests.add)
    device.keys = frozenset({"w", "r", "up"})
    device.command("space")
    first, second = device.motions([at(), at(1)], PERIOD)
    assert first.way[0] > 0
    assert first.way[2] > 0
    assert first.closed
    assert not second.way.any()
    assert not second.closed
    device.command("tab")
    first, second = device.motions([at(), at(1)], PERIOD)
    assert second.way[0] > 0
    before = device.speed
    device.command("+")
    assert device.speed == before + 1
    for _ in range(10):
        device.command("-")
    assert device.speed == 0
    device.command("y")
    device.command("escape")
    device.command("f12")
    assert [requests.take() for _ in range(3)] == [Request.KEEP, Request.STOP, None]


@pytest.mark.parametrize("keys", [{"a", "d"}, {"q"}, set()])
def test_keys_that_cancel_or_move_nothing(keys: set[str]) -> None:
    assert not Keyboard.rates_of(keys).any()
