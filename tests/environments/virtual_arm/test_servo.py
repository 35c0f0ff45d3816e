"""One servo's registers and control loop, and a bus of them."""

from __future__ import annotations

import math

import pytest

from robolearn.environments.virtual_arm.bus import Bus
from robolearn.environments.virtual_arm.control_table import REGISTERS, ControlTable
from robolearn.environments.virtual_arm.protocol import (
    BROADCAST,
    ErrorBit,
    Instruction,
    Packet,
    status_bytes,
)
from robolearn.environments.virtual_arm.servo import (
    BACK_EMF,
    FREE_SPEED,
    HALF_TURN,
    STALL_TORQUE,
    STEP,
    Servo,
)

PERIOD = 0.004
SPEED = 1_000_000


def write(servo: Servo, name: str, value: int) -> None:
    register = REGISTERS[name]
    servo.write(register.address, register.encode(value).to_bytes(register.size, "little"))


def read(servo: Servo, name: str) -> int:
    register = REGISTERS[name]
    return register.decode(int.from_bytes(servo.read(register.address, register.size), "little"))


class Joint:
    """A servo on a joint without weight."""

    def __init__(self, servo: Servo, inertia: float = 0.03) -> None:
        self.servo, self.inertia = servo, inertia
        self.angle = self.velocity = 0.0

    def run(self, seconds: float, load: float = 0.0) -> None:
        for _ in range(round(seconds / PERIOD)):
            torque = self.servo.drive(self.angle, self.velocity, PERIOD) + load
            damping = 0.05 + BACK_EMF * self.servo.driven
            self.velocity = (self.velocity + torque / self.inertia * PERIOD) / (
                1 + damping / self.inertia * PERIOD
            )
            self.angle += self.velocity * PERIOD


@pytest.fixture
def servo() -> Servo:
    servo = Servo(1, mounting=-300)
    servo.calibrate()
    servo.drive(0.0, 0.0, PERIOD)
    return servo


@pytest.fixture
def joint(servo: Servo) -> Joint:
    write(servo, "P_Coefficient", 16)
    write(servo, "Acceleration", 254)
    return Joint(servo)


def test_table_agrees_with_lerobot() -> None:
    tables = pytest.importorskip("lerobot.motors.feetech.tables")
    theirs = {name.strip(): place for name, place in tables.STS_SMS_SERIES_CONTROL_TABLE.items()}
    theirs.pop("Moving_Velocity")  # another name of the threshold
    assert {name: (r.address, r.size) for name, r in REGISTERS.items()} == theirs
    signs = tables.STS_SMS_SERIES_ENCODINGS_TABLE
    for name, register in REGISTERS.items():
        if name in signs:
            assert register.sign_bit == signs[name], name
    assert REGISTERS["Model_Number"].first == tables.MODEL_NUMBER_TABLE["sts3215"]


@pytest.mark.parametrize("value", [0, 1, -1, 2047, -2047])
def test_sign_magnitude(value: int) -> None:
    offset = REGISTERS["Homing_Offset"]
    assert offset.decode(offset.encode(value)) == value
    assert offset.encode(-1) == 1 << 11 | 1


def test_read_only_registers_stay() -> None:
    table = ControlTable()
    table.write(3, b"\x00\x00\x07")
    assert table["Model_Number"] == 777
    assert table["ID"] == 7


def test_what_is_written_locked_is_lost_with_the_power(servo: Servo) -> None:
    write(servo, "Lock", 0)
    write(servo, "P_Coefficient", 20)
    write(servo, "Lock", 1)
    write(servo, "P_Coefficient", 24)
    assert read(servo, "P_Coefficient") == 24
    servo.lose_power()
    servo.regain_power()
    assert read(servo, "P_Coefficient") == 20
    assert read(servo, "Torque_Enable") == 0


def test_position_is_corrected_by_the_homing_offset(servo: Servo) -> None:
    assert read(servo, "Present_Position") == HALF_TURN
    servo.drive(100.5 * STEP, 0.0, PERIOD)
    assert read(servo, "Present_Position") == HALF_TURN + 100
    write(servo, "Homing_Offset", 0)
    assert read(servo, "Present_Position") == HALF_TURN + 100 - 300


def test_half_turn_is_set_by_128(servo: Servo) -> None:
    servo.drive(0.7, 0.0, PERIOD)
    write(servo, "Torque_Enable", 128)
    assert read(servo, "Present_Position") == pytest.approx(HALF_TURN + 1, abs=1)
    assert read(servo, "Torque_Enable") == 0


def test_holds_where_it_is_when_it_is_switched_on(joint: Joint) -> None:
    joint.angle = 0.4
    joint.run(0.1)
    write(joint.servo, "Goal_Position", 500)
    write(joint.servo, "Torque_Enable", 1)
    joint.run(0.5)
    assert joint.angle == pytest.approx(0.4, abs=2 * STEP)


def test_goes_to_its_goal_no_faster_than_the_motor_can(joint: Joint) -> None:
    write(joint.servo, "Torque_Enable", 1)
    write(joint.servo, "Goal_Position", HALF_TURN + 1024)
    fastest = 0.0
    for _ in range(250):
        joint.run(PERIOD)
        fastest = max(fastest, joint.velocity)
    assert joint.angle == pytest.approx(math.pi / 2, abs=0.02)
    assert 0.7 * FREE_SPEED < fastest <= FREE_SPEED
    assert read(joint.servo, "Moving") == 0


def test_goal_velocity_and_position_limits_hold(joint: Joint) -> None:
    write(joint.servo, "Max_Position_Limit", HALF_TURN + 500)
    write(joint.servo, "Goal_Velocity", 300)
    write(joint.servo, "Torque_Enable", 1)
    write(joint.servo, "Goal_Position", 4000)
    joint.run(1.0)
    assert joint.velocity == pytest.approx(300 * STEP, rel=0.1)
    assert read(joint.servo, "Present_Velocity") == pytest.approx(300, rel=0.1)
    assert read(joint.servo, "Moving") == 1
    joint.run(2.0)
    assert joint.angle == pytest.approx(500 * STEP, abs=0.02)


def test_gives_way_as_its_gain_says_and_an_integral_brings_it_back(joint: Joint) -> None:
    write(joint.servo, "Torque_Enable", 1)
    joint.run(2.0, load=-0.5)
    assert joint.angle == pytest.approx(-0.5 * joint.servo.compliance, rel=0.1)
    assert read(joint.servo, "Present_Load") == pytest.approx(1000 * 0.5 / STALL_TORQUE, rel=0.1)
    write(joint.servo, "I_Coefficient", 16)
    joint.run(3.0, load=-0.5)
    assert joint.angle == pytest.approx(0.0, abs=0.01)
    assert joint.servo.compliance == 0


def test_torque_limit(joint: Joint) -> None:
    write(joint.servo, "Max_Torque_Limit", 300)
    write(joint.servo, "Torque_Enable", 1)
    write(joint.servo, "Goal_Position", HALF_TURN + 1000)
    assert joint.servo.drive(0.0, 0.0, 1.0) <= 0.3 * STALL_TORQUE
    assert joint.servo.drive(0.0, 0.0, 1.0) == pytest.approx(0.3 * STALL_TORQUE)


def test_limp_without_torque_and_in_other_modes(joint: Joint) -> None:
    write(joint.servo, "Goal_Position", HALF_TURN + 1000)
    assert joint.servo.drive(0.0, 0.0, PERIOD) == 0
    write(joint.servo, "Operating_Mode", 1)
    write(joint.servo, "Torque_Enable", 1)
    assert joint.servo.drive(0.0, 0.0, PERIOD) == 0


def stalled(servo: Servo, seconds: float) -> float:
    torque = 0.0
    for _ in range(round(seconds / PERIOD)):
        torque = servo.drive(0.0, 0.0, PERIOD)
    return torque


def test_overload_weakens_the_motor_until_it_is_asked_to_turn_back(joint: Joint) -> None:
    servo = joint.servo
    write(servo, "Torque_Enable", 1)
    write(servo, "Goal_Position", HALF_TURN + 1000)
    assert stalled(servo, 1.9) == pytest.approx(STALL_TORQUE)
    assert servo.error == 0
    assert stalled(servo, 0.3) == pytest.approx(0.2 * STALL_TORQUE)
    assert servo.error == ErrorBit.OVERLOAD
    assert read(servo, "Status") == ErrorBit.OVERLOAD
    write(servo, "Goal_Position", HALF_TURN - 1000)
    stalled(servo, 0.5)
    assert servo.error == 0


def test_torque_off_ends_an_overload(joint: Joint) -> None:
    servo = joint.servo
    write(servo, "Torque_Enable", 1)
    write(servo, "Goal_Position", HALF_TURN + 1000)
    stalled(servo, 2.5)
    write(servo, "Torque_Enable", 0)
    assert servo.error == 0


def test_too_much_current_switches_the_motor_off(joint: Joint) -> None:
    servo = joint.servo
    write(servo, "Overload_Torque", 254)
    write(servo, "Torque_Enable", 1)
    write(servo, "Goal_Position", HALF_TURN + 1000)
    assert stalled(servo, 1.9) == pytest.approx(STALL_TORQUE)
    assert read(servo, "Present_Current") > 310
    assert stalled(servo, 0.3) == 0
    assert servo.error == ErrorBit.OVERCURRENT
    write(servo, "Torque_Enable", 0)
    write(servo, "Torque_Enable", 1)
    assert servo.error == 0


def test_overheated_motor_is_off_until_it_has_cooled_down(joint: Joint) -> None:
    servo = joint.servo
    write(servo, "Torque_Enable", 1)
    write(servo, "Goal_Position", HALF_TURN + 1000)
    servo.heat(81.0)
    stalled(servo, 2 * PERIOD)
    assert servo.drive(0.0, 0.0, PERIOD) == 0
    assert servo.error == ErrorBit.OVERHEAT
    assert read(servo, "Present_Temperature") == 81
    servo.heat(40.0)
    stalled(servo, 0.5)
    assert servo.error == 0
    assert servo.drive(0.0, 0.0, PERIOD) > 0


def test_work_warms_it(joint: Joint) -> None:
    servo = joint.servo
    write(servo, "Torque_Enable", 1)
    write(servo, "Overload_Torque", 254)
    write(servo, "Protection_Current", 0)
    write(servo, "Goal_Position", HALF_TURN + 1000)
    before = servo.temperature
    stalled(servo, 20.0)
    assert before + 2 < servo.temperature < before + 5


# The bus.


@pytest.fixture
def bus() -> Bus:
    servos = [Servo(number, 0) for number in (1, 2, 3)]
    for each in servos:
        write(each, "Return_Delay_Time", 0)
    return Bus(servos)


def answers(
    bus: Bus, id_: int, instruction: int, *parameters: int, speed: int = SPEED
) -> list[bytes]:
    return [each.data for each in bus.answers(Packet(id_, instruction, bytes(parameters)), speed)]


def test_ping_and_broadcast_ping(bus: Bus) -> None:
    assert answers(bus, 2, Instruction.PING) == [status_bytes(2, 0)]
    assert answers(bus, 9, Instruction.PING) == []
    assert answers(bus, BROADCAST, Instruction.PING) == [status_bytes(n, 0) for n in (1, 2, 3)]


def test_sync_read_answers_in_the_order_asked(bus: Bus) -> None:
    found = answers(bus, BROADCAST, Instruction.SYNC_READ, 3, 2, 3, 9, 1)
    assert found == [status_bytes(n, 0, (777).to_bytes(2, "little")) for n in (3, 1)]


def test_sync_write_reaches_each_with_its_own(bus: Bus) -> None:
    assert answers(bus, BROADCAST, Instruction.SYNC_WRITE, 42, 2, 1, 0, 8, 3, 1, 4) == []
    assert answers(bus, 1, Instruction.READ, 42, 2) == [status_bytes(1, 0, b"\x00\x08")]
    assert answers(bus, 2, Instruction.READ, 42, 2) == [status_bytes(2, 0, b"\x00\x00")]
    assert answers(bus, 3, Instruction.READ, 42, 2) == [status_bytes(3, 0, b"\x01\x04")]


def test_registered_write_waits_for_the_action(bus: Bus) -> None:
    assert answers(bus, 1, Instruction.REG_WRITE, 42, 0, 4) == [status_bytes(1, 0)]
    assert answers(bus, 1, Instruction.READ, 42, 2) == [status_bytes(1, 0, b"\x00\x00")]
    assert answers(bus, BROADCAST, Instruction.ACTION) == []
    assert answers(bus, 1, Instruction.READ, 42, 2) == [status_bytes(1, 0, b"\x00\x04")]


def test_new_number_counts_from_the_next_packet(bus: Bus) -> None:
    assert answers(bus, 1, Instruction.WRITE, 5, 7) == [status_bytes(1, 0)]
    assert answers(bus, 1, Instruction.PING) == []
    assert answers(bus, 7, Instruction.PING) == [status_bytes(7, 0)]


def test_silent_but_for_reads(bus: Bus) -> None:
    assert answers(bus, 1, Instruction.WRITE, 8, 0) == []
    assert answers(bus, 1, Instruction.WRITE, 41, 5) == []
    assert answers(bus, 1, Instruction.READ, 41, 1) == [status_bytes(1, 0, b"\x05")]
    assert answers(bus, 1, Instruction.PING) == [status_bytes(1, 0)]


def test_another_speed_is_noise(bus: Bus) -> None:
    assert answers(bus, 1, Instruction.PING, speed=500_000) == []
    answers(bus, 1, Instruction.WRITE, 6, 1)
    assert answers(bus, 1, Instruction.PING, speed=500_000) == [status_bytes(1, 0)]


@pytest.mark.parametrize(
    ("instruction", "parameters"),
    [
        (0x55, ()),
        (Instruction.READ, ()),
        (Instruction.READ, (1,)),
        (Instruction.WRITE, ()),
        (Instruction.REG_WRITE, ()),
        (Instruction.SYNC_READ, (1,)),
        (Instruction.SYNC_WRITE, ()),
        (Instruction.SYNC_WRITE, (42, 0)),
        (Instruction.SYNC_WRITE, (42, 2, 1)),
    ],
)
def test_malformed_instructions_are_ignored(
    bus: Bus, instruction: int, parameters: tuple[int, ...]
) -> None:
    assert answers(bus, BROADCAST, instruction, *parameters) == []
    assert answers(bus, 1, instruction, *parameters) == []


def test_writing_and_reading_past_the_end(bus: Bus) -> None:
    assert answers(bus, 1, Instruction.WRITE, 254, 1, 2, 3, 4) == [status_bytes(1, 0)]
    assert answers(bus, 1, Instruction.READ, 254, 4) == [status_bytes(1, 0, b"\x01\x02\x00\x00")]
