"""The whole virtual arm, driven by LeRobot's own unmodified drivers over real pseudo-terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.environments.virtual_arm.control_table import REGISTERS
from robolearn.environments.virtual_arm.faults import (
    AnswerLate,
    DropBytes,
    Fault,
    FlipBits,
    FreezeCamera,
    LosePower,
    Overheat,
    Stall,
    Unplug,
    fault_from,
    fault_message,
)
from robolearn.environments.virtual_arm.model import JOINTS
from robolearn.environments.virtual_arm.virtual_arm import RunningArm, VirtualArm
from robolearn.errors import ConfigurationError, FolderInUse, SimulationError

pytest.importorskip("scservo_sdk")
pytest.importorskip("deepdiff")

BUSY = 20.0
"""Seconds that a busy machine may take for what takes a moment."""


def until(condition: Callable[[], Any], seconds: float = BUSY) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shared_arm() -> Iterator[VirtualArm]:
    with VirtualArm(cameras=()) as arm:
        yield arm


@pytest.fixture
def arm(shared_arm: VirtualArm) -> Iterator[VirtualArm]:
    """The one arm, sound and at rest."""
    yield shared_arm
    shared_arm.repair()
    shared_arm.hand.release()
    shared_arm.hand_on("follower").release()
    shared_arm.reset(0)


def patient(device: Any) -> Any:
    """Have LeRobot wait a second for each answer, as a busy machine may set either side aside.

    It is 50 ms otherwise. Nothing else of the driver is touched.
    """
    wire = device.bus.port_handler
    wire.setPacketTimeout = lambda length: wire.setPacketTimeoutMillis(1000)
    return device


def connect(device: Any) -> None:
    """Connect, again where an answer was late: the servos' library then raises this and that."""
    for _ in range(3):
        try:
            device.connect(calibrate=False)
            return
        except (IndexError, ConnectionError):
            if device.bus.is_connected:
                device.bus.disconnect(disable_torque=False)
            time.sleep(0.2)  # in which what was late arrives
    device.connect(calibrate=False)


def make_follower(arm: VirtualArm, **options: Any) -> Any:
    from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig

    return patient(
        SO101Follower(
            SO101FollowerConfig(
                port=arm.follower_port,
                id="follower",
                calibration_dir=arm.calibration_dir,
                **options,
            )
        )
    )


@pytest.fixture
def follower(arm: VirtualArm) -> Iterator[Any]:
    """LeRobot's driver, connected. Closed without a word on the wire, which may be broken."""
    follower = make_follower(arm)
    connect(follower)
    yield follower
    if follower.bus.is_connected:
        arm.repair()
        arm.fault(LosePower())  # limp, whatever state the driver is in
        arm.repair()
        follower.bus.port_handler.ser.close()
        follower.bus.port_handler.is_open = False


@pytest.fixture
def leader(arm: VirtualArm) -> Iterator[Any]:
    from lerobot.teleoperators.so_leader import SO101Leader, SO101LeaderConfig

    leader = patient(
        SO101Leader(
            SO101LeaderConfig(
                port=arm.leader_port, id="leader", calibration_dir=arm.calibration_dir
            )
        )
    )
    connect(leader)
    yield leader
    leader.disconnect()


def degrees(observation: dict[str, float]) -> np.ndarray:
    """(5,) of the joints but the gripper."""
    return np.array([observation[f"{joint}.pos"] for joint in JOINTS[:5]])


# Drivers.


def test_follower_connects_calibrated_reads_and_disconnects(arm: VirtualArm) -> None:
    follower = make_follower(arm)
    connect(follower)
    assert follower.is_calibrated
    assert follower.bus.sync_read("Torque_Enable", normalize=False) == dict.fromkeys(JOINTS, 1)
    assert follower.bus.read("P_Coefficient", "elbow_flex") == 16
    observation = follower.get_observation()
    state = arm.world()
    np.testing.assert_allclose(degrees(observation), np.degrees(state.follower[:5]), atol=0.5)
    low, high = np.radians(-10), np.radians(100)
    share = 100 * (state.follower[5] - low) / (high - low)
    assert observation["gripper.pos"] == pytest.approx(share, abs=0.5)
    follower.disconnect()
    connect(follower)
    follower.disconnect()
    assert not follower.is_connected


def test_follower_goes_where_it_is_sent(arm: VirtualArm, follower: Any) -> None:
    goal = {
        "shoulder_pan": 20,
        "shoulder_lift": -70,
        "elbow_flex": 70,
        "wrist_flex": 40,
        "wrist_roll": -30,
    }
    action = {f"{joint}.pos": float(value) for joint, value in goal.items()} | {"gripper.pos": 50.0}
    follower.send_action(action)
    wanted = np.array(list(goal.values()))
    until(lambda: np.abs(np.degrees(arm.world().follower[:5]) - wanted).max() < 5)
    seen = follower.get_observation()
    assert np.abs(degrees(seen) - wanted).max() < 5.5
    until(lambda: abs(follower.get_observation()["gripper.pos"] - 50) < 3)


def test_every_register_that_lerobot_knows_can_be_read(follower: Any) -> None:
    for name, register in REGISTERS.items():
        if name == "Acceleration_Multiplier":
            name += " "  # LeRobot's table has a space there
        values = follower.bus.sync_read(name, normalize=False)
        assert len(values) == 6, register


def test_all_motors_answer_a_broadcast(follower: Any) -> None:
    assert follower.bus.broadcast_ping() == dict.fromkeys(range(1, 7), 777)


def test_leader_shows_what_the_hand_does(arm: VirtualArm, leader: Any) -> None:
    goal = np.radians([30, -60, 60, 20, 45, 40])
    arm.hand.go_to(goal, 0.5)
    arm.hand.wait()
    until(lambda: np.abs(arm.world().leader - goal).max() < 0.05)
    np.testing.assert_allclose(degrees(leader.get_action()), np.degrees(goal[:5]), atol=4)
    assert leader.bus.sync_read("Torque_Enable", normalize=False) == dict.fromkeys(JOINTS, 0)
    arm.hand.release()
    until(lambda: np.abs(arm.world().leader - goal).max() > 0.3)


def test_teleoperated_follower_lifts_the_cube(arm: VirtualArm, follower: Any, leader: Any) -> None:
    pytest.importorskip("mink")
    arm.reset(2)
    arm.hand.pick(2)
    while arm.hand.moving:
        follower.send_action(leader.get_action())
        time.sleep(1 / 30)
    until(lambda: arm.world().lifted, 5.0)


def test_limp_follower_is_dragged_and_read(arm: VirtualArm, follower: Any) -> None:
    follower.bus.disable_torque()
    goal = np.radians([-20, -50, 50, 30, 0, 60])
    hand = arm.hand_on("follower")
    hand.go_to(goal, 0.5)
    hand.wait()
    until(lambda: np.abs(arm.world().follower - goal).max() < 0.05)
    np.testing.assert_allclose(degrees(follower.get_observation()), np.degrees(goal[:5]), atol=4)


def test_calibration_goes_through_lerobot(arm: VirtualArm, follower: Any) -> None:
    bus = follower.bus
    hand = arm.hand_on("follower")
    hand.go_to(hand.joints(), 0.1)  # hold it, or it falls
    bus.disable_torque()
    saved = bus.read_calibration()
    bus.set_half_turn_homings()
    middle = bus.sync_read("Present_Position", normalize=False)
    assert all(abs(value - 2047) <= 3 for value in middle.values())
    assert not follower.is_calibrated
    bus.write_calibration(saved)
    assert follower.is_calibrated


# Faults.


def refuse(follower: Any) -> None:
    """Reading once, with no retries."""
    follower.bus.sync_read("Present_Position")


def test_dropped_bytes(arm: VirtualArm, follower: Any) -> None:
    arm.fault(DropBytes(0.5))
    with pytest.raises(ConnectionError):
        refuse(follower)


def test_flipped_bits_and_retries(arm: VirtualArm, follower: Any) -> None:
    arm.fault(FlipBits(1.0))
    with pytest.raises(ConnectionError):
        refuse(follower)
    arm.repair()
    arm.fault(FlipBits(0.05))
    for _ in range(3):
        assert len(follower.bus.sync_read("Present_Position", num_retry=20)) == 6


def test_late_answers(arm: VirtualArm, follower: Any) -> None:
    arm.fault(AnswerLate(5.0))
    with pytest.raises(ConnectionError):
        refuse(follower)


def test_overheated_servo(arm: VirtualArm, follower: Any) -> None:
    arm.fault(Overheat("elbow_flex", 85))
    bus = follower.bus
    until(lambda: bus.sync_read("Present_Temperature", normalize=False)["elbow_flex"] == 85)
    until(lambda: bus.sync_read("Status", normalize=False)["elbow_flex"] == 4)
    with pytest.raises(RuntimeError, match="Overheat"):
        bus.read("Present_Position", "elbow_flex")


def test_stalled_joint(arm: VirtualArm, follower: Any) -> None:
    arm.fault(Stall("shoulder_pan"))
    before = arm.world().follower[0]
    follower.bus.sync_write("Goal_Position", {"shoulder_pan": 80.0})
    until(lambda: follower.bus.sync_read("Status", normalize=False)["shoulder_pan"] & 0x28)
    assert abs(arm.world().follower[0] - before) < 0.02


def test_unplugged_cable(arm: VirtualArm, follower: Any) -> None:
    follower.get_observation()
    arm.fault(Unplug())
    with pytest.raises(Exception, match=r"(?i)input/output|disconnected|status packet|readiness"):
        refuse(follower)
    assert not Path(arm.follower_port).exists()
    with pytest.raises(ConnectionError):
        make_follower(arm).connect(calibrate=False)
    arm.repair()
    again = make_follower(arm)
    connect(again)
    again.disconnect()


def test_servos_hold_while_the_cable_is_out(arm: VirtualArm, follower: Any) -> None:
    follower.send_action(dict.fromkeys((f"{joint}.pos" for joint in JOINTS), 0.0))
    until(lambda: np.abs(arm.world().follower[:5]).max() < 0.15)
    until(lambda: follower.bus.sync_read("Moving", normalize=False) == dict.fromkeys(JOINTS, 0))
    arm.fault(Unplug())
    began = arm.world()
    until(lambda: arm.world().time > began.time + 1)
    assert np.abs(arm.world().follower - began.follower).max() < 0.1


def test_lost_power(arm: VirtualArm, follower: Any) -> None:
    arm.fault(LosePower())
    with pytest.raises(ConnectionError):
        refuse(follower)
    arm.repair()
    torque = follower.bus.sync_read("Torque_Enable", normalize=False)
    assert torque == dict.fromkeys(JOINTS, 0)
    assert follower.is_calibrated


def test_faults_of_the_leader_are_its_own(arm: VirtualArm, follower: Any, leader: Any) -> None:
    arm.fault(FlipBits(1.0, arm="leader"))
    follower.get_observation()
    with pytest.raises(ConnectionError):
        leader.bus.sync_read("Present_Position")
    arm.repair()


@pytest.mark.parametrize(
    "fault",
    [
        DropBytes(0.0),
        FlipBits(1.5),
        AnswerLate(-1),
        AnswerLate(float("nan")),
        Overheat("knee"),  # type: ignore[arg-type]
        Stall("elbow_flex", arm="third"),  # type: ignore[arg-type]
        FreezeCamera("ceiling"),  # type: ignore[arg-type]
    ],
)
def test_wrong_faults(arm: VirtualArm, fault: Fault) -> None:
    with pytest.raises(ConfigurationError):
        arm.fault(fault)


def test_faults_travel() -> None:
    fault = Overheat("gripper", 90.0, "leader")
    assert fault_from(fault_message(fault)) == fault
    with pytest.raises(ConfigurationError, match="there is no fault 'Explode'"):
        fault_from({"kind": "Explode"})
    with pytest.raises(ConfigurationError, match="Stall"):
        fault_from({"kind": "Stall", "knee": 1})


# Orders.


def test_unknown_orders_are_refused(arm: VirtualArm) -> None:
    with pytest.raises(SimulationError, match="refuses 'dance'"):
        arm._orders.give("dance")
    with pytest.raises(SimulationError, match="refuses 'reset'"):
        arm._orders.give("reset", sed=3)
    arm.world()


def test_second_program_sees_the_same_arm(arm: VirtualArm) -> None:
    arm.reset(7)
    with RunningArm(arm.folder) as other:
        np.testing.assert_allclose(
            other.world().cube_position, arm.world().cube_position, atol=1e-4
        )
        assert other.follower_port == arm.follower_port
        assert other.cameras == {}


def test_physics_goes_on_with_the_clock(arm: VirtualArm) -> None:
    before, began = arm.pace(), time.monotonic()
    time.sleep(1.0)
    after, seconds = arm.pace(), time.monotonic() - began
    done = after["physics"] - before["physics"] + after["given_up"] - before["given_up"]
    assert done == pytest.approx(seconds, abs=0.3)


# Beginning and end.


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with VirtualArm(cameras=(), folder=tmp_path / "arm") as arm:
        pid = arm.pid
        terminal = Path(arm.follower_port).resolve()
        assert (tmp_path / "arm").stat().st_mode & 0o777 == 0o700
        assert terminal.exists()
    assert gone(pid)
    assert not (tmp_path / "arm").exists()
    with pytest.raises(SimulationError, match="no virtual arm runs there"):
        RunningArm(tmp_path / "arm")
    with pytest.raises(SimulationError, match="gone"):
        arm.world()
    arm.close()


START = """
import sys, time
from pathlib import Path
from robolearn.environments.virtual_arm.virtual_arm import VirtualArm
arm = VirtualArm(cameras=(), folder=Path(sys.argv[1]))
print(arm.pid, flush=True)
time.sleep(600)
"""


def test_dies_with_its_parent(tmp_path: Path) -> None:
    folder = tmp_path / "arm"
    parent = subprocess.Popen(
        [sys.executable, "-c", START, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: gone(pid))
    assert not folder.exists()


def test_killed_emulator_is_noticed_and_its_folder_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "arm"
    with VirtualArm(cameras=(), folder=folder) as arm:
        with pytest.raises(FolderInUse, match="a virtual arm runs there"):
            VirtualArm(cameras=(), folder=folder)
        os.kill(arm.pid, signal.SIGKILL)
        os.waitid(os.P_PID, arm.pid, os.WEXITED | os.WNOWAIT)  # all of its threads
        with pytest.raises(SimulationError, match="gone"):
            arm.world()
        with VirtualArm(cameras=(), folder=folder) as second:
            second.world()
    assert not folder.exists()


def test_other_peoples_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FolderInUse, match="choose another"):
        VirtualArm(cameras=(), folder=tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": ("ceiling",)}, "no camera 'ceiling'; it has front, wrist"),
        ({"fps": 0}, "fps: must be 1 to 240"),
        ({"height": 5}, "height: must be 16 to 2160"),
        ({"seed": -1}, "seed: must be 0 to"),
        ({"folder": Path("/tmp") / ("x" * 120)}, "too long a path for a socket"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        VirtualArm(**options)
