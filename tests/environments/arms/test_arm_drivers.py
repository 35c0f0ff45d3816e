"""The drivers of arms that LeRobot does not have, on libraries that only look like the real ones.

Their functions are those that the libraries' documentation names; no arm was there.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from robolearn.environments.arms.driver import Driver
from robolearn.environments.arms.profile import load_arm
from robolearn.errors import ArmError, MissingDependency

CALLS = list[tuple[str, Any]]


@pytest.fixture
def franky(monkeypatch: pytest.MonkeyPatch) -> CALLS:
    calls: CALLS = []
    home = load_arm("real:franka").profile.si("home")

    class Robot:
        def __init__(self, address: str) -> None:
            calls.append(("connect", address))
            self.relative_dynamics_factor = 1.0

        def recover_from_errors(self) -> None:
            calls.append(("recover", None))

        @property
        def current_joint_state(self) -> Any:
            return types.SimpleNamespace(position=home[:7])

        def move(self, motion: Any, asynchronous: bool = False) -> None:
            assert asynchronous
            calls.append(("move", (motion, self.relative_dynamics_factor)))

        def join_motion(self) -> None:
            calls.append(("join", None))

    class Gripper:
        width = 0.08

        def __init__(self, address: str) -> None: ...

        def move_async(self, width: float, speed: float) -> None:
            calls.append(("gripper", width))

    library = types.SimpleNamespace(Robot=Robot, Gripper=Gripper, JointMotion=list)
    monkeypatch.setitem(sys.modules, "franky", library)
    return calls


def test_a_franka(franky: CALLS) -> None:
    profile = load_arm("real:franka").profile
    driver = Driver(profile)
    joints = driver.connect()
    np.testing.assert_allclose(joints[:7], profile.si("home")[:7])
    assert joints[7] == 0.08
    goal = joints + 0.01
    driver.write(goal)
    driver.write(goal)
    driver.close(release=True)
    names = [name for name, _ in franky]
    assert names == ["connect", "recover", "move", "gripper", "move", "join"]
    motion, dynamics = franky[2][1]
    np.testing.assert_allclose(motion, goal[:7])
    assert 0 < dynamics <= 0.5


class Rtde:
    def __init__(self) -> None:
        self.calls: CALLS = []
        self.takes, self.emergency, self.protective = True, False, False
        self.home = load_arm("real:ur").profile.si("home")
        outer = self

        class Receive:
            def __init__(self, address: str) -> None: ...

            def getActualQ(self) -> list[float]:  # noqa: N802
                return outer.home.tolist()

            def isEmergencyStopped(self) -> bool:  # noqa: N802
                return outer.emergency

            def isProtectiveStopped(self) -> bool:  # noqa: N802
                return outer.protective

            def disconnect(self) -> None: ...

        class Control:
            def __init__(self, address: str) -> None:
                outer.calls.append(("connect", address))

            def isConnected(self) -> bool:  # noqa: N802
                return True

            def servoJ(self, *arguments: Any) -> bool:  # noqa: N802
                outer.calls.append(("servoJ", arguments))
                return outer.takes

            def servoStop(self, a: float) -> bool:  # noqa: N802
                outer.calls.append(("servoStop", a))
                return True

            def stopScript(self) -> None:  # noqa: N802
                outer.calls.append(("stopScript", None))

            def disconnect(self) -> None: ...

        self.Receive, self.Control = Receive, Control


@pytest.fixture
def rtde(monkeypatch: pytest.MonkeyPatch) -> Rtde:
    made = Rtde()
    receive = types.SimpleNamespace(RTDEReceiveInterface=made.Receive)
    control = types.SimpleNamespace(RTDEControlInterface=made.Control)
    monkeypatch.setitem(sys.modules, "rtde_receive", receive)
    monkeypatch.setitem(sys.modules, "rtde_control", control)
    return made


def test_a_ur(rtde: Rtde) -> None:
    profile = load_arm("real:ur").profile
    driver = Driver(profile)
    joints = driver.connect()
    np.testing.assert_allclose(joints, rtde.home)
    driver.write(joints + 0.01)
    goal, _, _, period, lookahead, gain = rtde.calls[1][1]
    np.testing.assert_allclose(goal, joints + 0.01)
    assert period == pytest.approx(1 / profile.rate)
    assert 0.03 <= lookahead <= 0.2
    assert 100 <= gain <= 2000
    rtde.takes = False
    with pytest.raises(ConnectionError, match="does not take targets"):
        driver.write(joints)
    driver.close(release=True)
    assert [name for name, _ in rtde.calls[-2:]] == ["servoStop", "stopScript"]


@pytest.mark.parametrize(
    ("state", "says"), [("emergency", "emergency stop is pressed"), ("protective", "protective")]
)
def test_a_ur_that_is_stopped(rtde: Rtde, state: str, says: str) -> None:
    setattr(rtde, state, True)
    with pytest.raises(ArmError, match=says):
        Driver(load_arm("real:ur").profile).connect()


@pytest.mark.parametrize(
    ("target", "module", "extra"),
    [("real:franka", "franky", "franka"), ("real:ur", "rtde_control", "ur")],
)
def test_without_their_libraries(
    monkeypatch: pytest.MonkeyPatch, target: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=rf"pip install 'robolearn\[{extra}\]'"):
        Driver(load_arm(target).profile)
