"""A bus behind a real pseudo-terminal, driven by Feetech's own SDK."""

from __future__ import annotations

import os
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from robolearn.environments.virtual_arm.bus import Bus
from robolearn.environments.virtual_arm.port import Line, SerialPort, line_speed
from robolearn.environments.virtual_arm.protocol import status_bytes
from robolearn.environments.virtual_arm.servo import HALF_TURN, Servo

sdk = pytest.importorskip("scservo_sdk")
serial = pytest.importorskip("serial")

POSITION, GOAL = (56, 2), (42, 2)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[SerialPort]:
    servos = [Servo(number, 0) for number in range(1, 7)]
    for servo in servos:
        servo.table["Return_Delay_Time"] = 0
    port = SerialPort(Bus(servos), tmp_path / "port")
    yield port
    port.close()


@pytest.fixture
def wire(port: SerialPort, tmp_path: Path) -> Iterator[Any]:
    wire = sdk.PortHandler(str(tmp_path / "port"))
    assert wire.openPort()
    yield wire
    wire.ser.close()


@pytest.fixture
def handler() -> Any:
    return sdk.PacketHandler(0)


def patient(wire: Any) -> None:
    """The SDK waits 34 ms, which a busy machine may need."""
    wire.setPacketTimeout = lambda length: wire.setPacketTimeoutMillis(1000)


def test_ping_read_and_write(wire: Any, handler: Any) -> None:
    patient(wire)
    assert handler.ping(wire, 3) == (777, sdk.COMM_SUCCESS, 0)
    assert handler.read2ByteTxRx(wire, 3, POSITION[0]) == (HALF_TURN, sdk.COMM_SUCCESS, 0)
    assert handler.write2ByteTxRx(wire, 3, GOAL[0], 1234) == (sdk.COMM_SUCCESS, 0)
    assert handler.read2ByteTxRx(wire, 3, GOAL[0]) == (1234, sdk.COMM_SUCCESS, 0)
    assert handler.regWriteTxRx(wire, 3, GOAL[0], 2, [1, 2]) == (sdk.COMM_SUCCESS, 0)
    assert handler.action(wire, 3) == sdk.COMM_SUCCESS
    assert handler.read2ByteTxRx(wire, 3, GOAL[0]) == (0x0201, sdk.COMM_SUCCESS, 0)


def test_sync_read_and_write(wire: Any, handler: Any) -> None:
    patient(wire)
    writer = sdk.GroupSyncWrite(wire, handler, *GOAL)
    for number in range(1, 7):
        writer.addParam(number, [number, 4])
    assert writer.txPacket() == sdk.COMM_SUCCESS
    reader = sdk.GroupSyncRead(wire, handler, *GOAL)
    for number in range(1, 7):
        reader.addParam(number)
    assert reader.txRxPacket() == sdk.COMM_SUCCESS
    assert [reader.getData(n, *GOAL) for n in range(1, 7)] == [n + 4 * 256 for n in range(1, 7)]


def test_missing_servo_times_out(wire: Any, handler: Any) -> None:
    assert handler.ping(wire, 9)[1] == sdk.COMM_RX_TIMEOUT


@pytest.mark.parametrize("speed", [1_000_000, 500_000, 250_000, 128_000, 115_200, 38_400])
def test_speed_of_a_terminal(tmp_path: Path, speed: int) -> None:
    master, slave = os.openpty()
    with serial.Serial(os.ttyname(slave), baudrate=speed):
        assert line_speed(master) == speed
    os.close(master)
    os.close(slave)


def test_wrong_speed_hears_nothing_until_the_servo_is_set_to_it(wire: Any, handler: Any) -> None:
    patient(wire)
    assert handler.write1ByteTxRx(wire, 1, 6, 1) == (sdk.COMM_SUCCESS, 0)
    del wire.setPacketTimeout
    assert handler.ping(wire, 1)[1] == sdk.COMM_RX_TIMEOUT
    wire.setBaudRate(500_000)
    patient(wire)
    assert handler.ping(wire, 1)[:2] == (777, sdk.COMM_SUCCESS)


def test_answers_take_the_time_of_the_wire(wire: Any, handler: Any) -> None:
    patient(wire)
    handler.write1ByteTxRx(wire, 1, 6, 7)
    wire.setBaudRate(19_200)
    patient(wire)
    began = time.perf_counter()
    assert handler.read2ByteTxRx(wire, 1, POSITION[0])[1] == sdk.COMM_SUCCESS
    assert time.perf_counter() - began > 16 * 10 / 19_200  # eight bytes there and eight back


def test_return_delay(wire: Any, handler: Any) -> None:
    patient(wire)
    handler.write1ByteTxRx(wire, 1, 7, 254)
    began = time.perf_counter()
    handler.ping(wire, 1)
    assert time.perf_counter() - began > 2 * 254 * 2e-6  # a ping, and the model number's read


def test_late_answers(port: SerialPort, wire: Any, handler: Any) -> None:
    port.line.late = 0.2
    assert handler.ping(wire, 1)[1] == sdk.COMM_RX_TIMEOUT
    time.sleep(0.3)
    assert wire.getBytesAvailable() == 6  # it does come


def test_flipped_bits_are_found_by_the_checksum(port: SerialPort, wire: Any, handler: Any) -> None:
    port.line.flipped = 1.0
    results = [handler.read2ByteTxRx(wire, 1, POSITION[0])[1] for _ in range(5)]
    assert sdk.COMM_SUCCESS not in results


def test_lost_bytes(port: SerialPort, wire: Any, handler: Any) -> None:
    port.line.lost = 0.5
    results = {handler.read2ByteTxRx(wire, 1, POSITION[0])[1] for _ in range(5)}
    assert results & {sdk.COMM_RX_CORRUPT, sdk.COMM_RX_TIMEOUT}
    port.line.lost = 0.0
    wire.ser.reset_input_buffer()
    patient(wire)
    assert handler.ping(wire, 1)[1] == sdk.COMM_SUCCESS


def test_line_flips_one_bit_and_loses_bytes() -> None:
    line, answer = Line(), status_bytes(1, 0, b"\x12\x34")
    assert line.carried(answer) == answer
    line.flipped = 1.0
    wrong = line.carried(answer)
    assert sum((a ^ b).bit_count() for a, b in zip(wrong, answer, strict=True)) == 1
    line.flipped, line.lost = 0.0, 1.0
    assert line.carried(answer) == b""


def test_rest_of_a_packet_is_not_waited_for(wire: Any, handler: Any) -> None:
    patient(wire)
    wire.ser.write(bytes.fromhex("ff ff 01 04 02"))
    time.sleep(0.2)
    assert handler.ping(wire, 1)[1] == sdk.COMM_SUCCESS


def test_unplugged_and_plugged_in_again(
    port: SerialPort, wire: Any, handler: Any, tmp_path: Path
) -> None:
    patient(wire)
    port.unplug()
    assert not (tmp_path / "port").exists()
    with pytest.raises((OSError, serial.SerialException, termios.error)):
        handler.ping(wire, 1)
    port.plug()
    port.plug()  # it is
    again = sdk.PortHandler(str(tmp_path / "port"))
    again.openPort()
    patient(again)
    assert handler.ping(again, 1)[1] == sdk.COMM_SUCCESS
    again.closePort()


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    port = SerialPort(Bus([Servo(1, 0)]), tmp_path / "other")
    port.unplug()
    port.plug()
    port.close()
    assert set(Path("/proc/self/fd").iterdir()) == before
