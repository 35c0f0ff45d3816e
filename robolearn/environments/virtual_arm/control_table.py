"""The memory of an STS3215: registers by name, their addresses, and what they hold at first.

Names are those of LeRobot's table. The first values are those of a servo for 12 V as it is sold;
what the factory parameters from 80 on hold differs between firmwares.
"""

from __future__ import annotations

from dataclasses import dataclass

MODEL_NUMBER = 777
FIRMWARE = (3, 10)
STEPS_PER_TURN = 4096

SAVED_UNTIL = 40
"""Registers below this address outlast a loss of power, where they were written unlocked."""

TABLE_SIZE = 256


@dataclass(frozen=True)
class Register:
    """One entry of the table.

    Attributes:
        address: of its low byte.
        size: bytes.
        first: value of a new servo, or after power has come; encoded as on the wire.
        sign_bit: bit that says minus, in sign-magnitude; None for what has no sign.
        read_only: what is written to it is ignored.
    """

    address: int
    size: int
    first: int = 0
    sign_bit: int | None = None
    read_only: bool = False

    def decode(self, raw: int) -> int:
        """A raw value as a number with its sign."""
        if self.sign_bit is None or not raw >> self.sign_bit & 1:
            return raw
        return -(raw & ~(1 << self.sign_bit))

    def encode(self, value: int) -> int:
        """A number as a raw value, as near to it as the register can hold."""
        if self.sign_bit is None:
            return min(max(value, 0), (1 << 8 * self.size) - 1)
        magnitude = min(abs(value), (1 << self.sign_bit) - 1)
        return magnitude | (value < 0) << self.sign_bit


REGISTERS: dict[str, Register] = {
    "Firmware_Major_Version": Register(0, 1, FIRMWARE[0], read_only=True),
    "Firmware_Minor_Version": Register(1, 1, FIRMWARE[1], read_only=True),
    "Model_Number": Register(3, 2, MODEL_NUMBER, read_only=True),
    "ID": Register(5, 1, 1),
    "Baud_Rate": Register(6, 1, 0),
    "Return_Delay_Time": Register(7, 1, 250),
    "Response_Status_Level": Register(8, 1, 1),
    "Min_Position_Limit": Register(9, 2, 0),
    "Max_Position_Limit": Register(11, 2, 4095),
    "Max_Temperature_Limit": Register(13, 1, 70),
    "Max_Voltage_Limit": Register(14, 1, 140),
    "Min_Voltage_Limit": Register(15, 1, 40),
    "Max_Torque_Limit": Register(16, 2, 1000),
    "Phase": Register(18, 1, 12),
    "Unloading_Condition": Register(19, 1, 44),
    "LED_Alarm_Condition": Register(20, 1, 47),
    "P_Coefficient": Register(21, 1, 32),
    "D_Coefficient": Register(22, 1, 32),
    "I_Coefficient": Register(23, 1, 0),
    "Minimum_Startup_Force": Register(24, 2, 16),
    "CW_Dead_Zone": Register(26, 1, 1),
    "CCW_Dead_Zone": Register(27, 1, 1),
    "Protection_Current": Register(28, 2, 310),
    "Angular_Resolution": Register(30, 1, 1),
    "Homing_Offset": Register(31, 2, 0, sign_bit=11),
    "Operating_Mode": Register(33, 1, 0),
    "Protective_Torque": Register(34, 1, 20),
    "Protection_Time": Register(35, 1, 200),
    "Overload_Torque": Register(36, 1, 80),
    "Velocity_closed_loop_P_proportional_coefficient": Register(37, 1, 10),
    "Over_Current_Protection_Time": Register(38, 1, 200),
    "Velocity_closed_loop_I_integral_coefficient": Register(39, 1, 200),
    "Torque_Enable": Register(40, 1),
    "Acceleration": Register(41, 1),
    "Goal_Position": Register(42, 2, sign_bit=15),
    "Goal_Time": Register(44, 2),
    "Goal_Velocity": Register(46, 2, sign_bit=15),
    "Torque_Limit": Register(48, 2, 1000),
    "Lock": Register(55, 1, 1),
    "Present_Position": Register(56, 2, sign_bit=15, read_only=True),
    "Present_Velocity": Register(58, 2, sign_bit=15, read_only=True),
    "Present_Load": Register(60, 2, sign_bit=10, read_only=True),
    "Present_Voltage": Register(62, 1, read_only=True),
    "Present_Temperature": Register(63, 1, read_only=True),
    "Status": Register(65, 1, read_only=True),
    "Moving": Register(66, 1, read_only=True),
    "Present_Current": Register(69, 2, sign_bit=15, read_only=True),
    "Goal_Position_2": Register(71, 2, sign_bit=15, read_only=True),
    "Moving_Velocity_Threshold": Register(80, 1, 1),
    "DTs": Register(81, 1, 1),
    "Velocity_Unit_factor": Register(82, 1, 50),
    "Hts": Register(83, 1, 20),
    "Maximum_Velocity_Limit": Register(84, 1, 66),
    "Maximum_Acceleration": Register(85, 1, 254),
    "Acceleration_Multiplier": Register(86, 1, 100),
}

_NEVER_WRITTEN = bytearray(TABLE_SIZE)
for _register in REGISTERS.values():
    if _register.read_only:
        for _address in range(_register.address, _register.address + _register.size):
            _NEVER_WRITTEN[_address] = 1


class ControlTable:
    """A servo's registers, as bytes and by name."""

    def __init__(self) -> None:
        self._bytes = bytearray(TABLE_SIZE)
        for name, register in REGISTERS.items():
            self._put(name, register.first)
        self._saved = bytes(self._bytes[:SAVED_UNTIL])

    def __getitem__(self, name: str) -> int:
        """A register's value, with its sign."""
        register = REGISTERS[name]
        end = register.address + register.size
        return register.decode(int.from_bytes(self._bytes[register.address : end], "little"))

    def __setitem__(self, name: str, value: int) -> None:
        """Set a register, read-only or not, to what it can hold of a value."""
        self._put(name, REGISTERS[name].encode(value))

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the table; zeros where it has none."""
        data = bytes(self._bytes[address : address + size])
        return data + bytes(size - len(data))

    def write(self, address: int, data: bytes) -> None:
        """Write bytes as a program may: what is read-only stays as it is."""
        for place, byte in enumerate(data, start=address):
            if place < TABLE_SIZE and not _NEVER_WRITTEN[place]:
                self._bytes[place] = byte
        if not self["Lock"]:
            self.save()

    def save(self) -> None:
        """Have what the servo holds now outlast a loss of power."""
        self._saved = bytes(self._bytes[:SAVED_UNTIL])

    def power_on(self) -> None:
        """Be as after power has come: what was saved, and the first values of the rest."""
        for name, register in REGISTERS.items():
            self._put(name, register.first)
        self._bytes[:SAVED_UNTIL] = self._saved
        self["Torque_Limit"] = self["Max_Torque_Limit"]

    def _put(self, name: str, raw: int) -> None:
        register = REGISTERS[name]
        end = register.address + register.size
        self._bytes[register.address : end] = raw.to_bytes(register.size, "little")
