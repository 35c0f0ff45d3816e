"""One STS3215: what its registers do to its motor, and what its sensors put into them.

The motor is that of the 12 V kind (45 turns a minute, 30 kg cm). Feetech publishes no control law;
this one has the published figures and those that people have measured:

- The drive is a duty, a share of the supply's voltage: ``P · 0.25/rad`` of the position error. A
  servo with P = 32 that holds 1.04 N m was measured to be 20 to 30 steps off [1]. I and D are set
  so that LeRobot's gains (16, 0, 32) give a damped arm.
- The back-EMF takes the whole stall torque away at the speed without load.
- The goal is approached along a profile of limited acceleration and speed.

[1] https://github.com/TheRobotStudio/SO-ARM100/issues/134
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from robolearn.environments.virtual_arm.control_table import (
    STEPS_PER_TURN,
    ControlTable,
)
from robolearn.environments.virtual_arm.protocol import ErrorBit

STEP = 2 * math.pi / STEPS_PER_TURN
"""Radians."""

STALL_TORQUE = 2.94
"""N m, at 12 V and full duty."""

FREE_SPEED = 45 * 2 * math.pi / 60
"""rad/s, at 12 V without load."""

BACK_EMF = STALL_TORQUE / FREE_SPEED
"""N m s/rad by which a driven motor brakes itself."""

HALF_TURN = 2047
"""Present_Position of a calibrated joint at its zero: LeRobot's `set_half_turn_homings`."""

_STALL_CURRENT = 2.7
_CURRENT_STEP = 0.0065
_VOLTAGE = 12.0
_RESISTANCE = 0.25
"""Ohm, of the supply and its cables."""

_DUTY_PER_P = 0.25
_DUTY_PER_I = 0.25
_DUTY_PER_D = 0.0015
_AMBIENT = 28.0
_WARMTH = 45.0
"""Kelvin above the ambient that a stalled servo reaches in the end."""

_THERMAL_TIME = 300.0
_BAUD_RATES = (1_000_000, 500_000, 250_000, 128_000, 115_200, 57_600, 38_400, 19_200)
_OVERLOAD, _OVERCURRENT = int(ErrorBit.OVERLOAD), int(ErrorBit.OVERCURRENT)
_OVERHEAT, _UNDERVOLTAGE = int(ErrorBit.OVERHEAT), int(ErrorBit.VOLTAGE)
_SETTING_OUT = 128
"""Written to Torque_Enable, it makes the present position the middle."""


@dataclass(frozen=True)
class _Settings:
    """What the control loop needs of the registers, in SI units and shares of the full duty."""

    enabled: bool
    offset: float
    p: float
    i: float
    d: float
    dead_zone: tuple[float, float]
    startup: float
    limit: float
    goal: float
    speed: float
    acceleration: float
    overload: float
    overload_time: float
    protective: float
    overcurrent: float
    overcurrent_time: float
    hottest: float
    volts: tuple[float, float]
    unloading: int


class Servo:
    """One servo, driven by whoever steps the physics and read by the bus.

    Args:
        id_: its number on the bus.
        mounting: steps by which it was screwed on beside the middle of its encoder.

    Attributes:
        table: its registers.
        blocked: something keeps the joint from turning.
        temperature: °C.
        angle: of its joint, rad, as last stepped.
    """

    def __init__(self, id_: int, mounting: int) -> None:
        self.table = ControlTable()
        self.table["ID"] = id_
        self.blocked = False
        self.temperature = _AMBIENT
        self.powered = True
        self.angle = 0.0
        self._heat: float | None = None
        self._mounting = mounting
        self._velocity = 0.0
        self._duty = 0.0
        self._current = 0.0
        self._error = 0
        self._setpoint = 0.0
        self._setpoint_velocity = 0.0
        self._integral = 0.0
        self._overloaded = 0.0
        self._overcurrent = 0.0
        self._protecting_from = 0.0
        self._registered: tuple[int, bytes] | None = None
        self._apply()

    # What the bus does.

    @property
    def id(self) -> int:
        return self.table["ID"]

    @property
    def speed(self) -> int:
        """Bits a second at which it listens; 0 where the register holds nonsense."""
        rate = self.table["Baud_Rate"]
        return _BAUD_RATES[rate] if rate < len(_BAUD_RATES) else 0

    @property
    def error(self) -> int:
        """What it complains of: bits of `ErrorBit`."""
        return self._error

    @property
    def return_delay(self) -> float:
        """Seconds that it waits before it answers."""
        return self.table["Return_Delay_Time"] * 2e-6

    @property
    def answers_writes(self) -> bool:
        """Whether it answers what is neither a ping nor a read."""
        return self.table["Response_Status_Level"] != 0

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the table, with the sensors as they are now."""
        self._sense()
        return self.table.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Do what writing these registers does."""
        before = self.table["Torque_Enable"]
        self.table.write(address, data)
        torque = self.table["Torque_Enable"]
        if torque == _SETTING_OUT:
            self.table["Homing_Offset"] = self._raw_position() - HALF_TURN - 1
            self.table["Torque_Enable"] = before
            self.table.save()
        elif torque and not before:
            self._engage()
        elif before and not torque:
            self._relax()
        self._apply()

    def register(self, address: int, data: bytes) -> None:
        """Keep what is to be written for the ACTION that follows."""
        self._registered = address, data

    def act(self) -> None:
        """Write what was registered, if anything was."""
        if self._registered is not None:
            self.write(*self._registered)
            self._registered = None

    # What the physics does.

    @property
    def driven(self) -> bool:
        """Whether the motor is switched on, and so brakes itself."""
        settings = self._settings
        return settings.enabled and self.powered and not self._error & settings.unloading

    def drive(self, angle: float, velocity: float, period: float) -> float:
        """One turn of the control loop.

        Args:
            angle: of the joint, rad, zero at the middle of its range.
            velocity: rad/s.
            period: seconds since the last turn.

        Returns:
            Torque of the motor at standstill, N m; what the back-EMF takes is left to the physics.
        """
        self.angle, self._velocity = angle, velocity
        settings, driven = self._settings, self.driven
        duty = 0.0
        if driven:
            self._profile(settings, period)
            duty = self._control(settings, period)
            self._watch_load(settings, duty, period)
            if self._protecting_from:
                duty = max(-settings.protective, min(settings.protective, duty))
        self._duty = duty
        self._current = _current(duty, velocity) if driven else 0.0
        self._warm(period)
        self._watch(settings, period)
        return duty * STALL_TORQUE

    @property
    def goal(self) -> float:
        """Where it was told to bring its joint, rad, zero at the middle of its range."""
        return math.remainder(self._settings.goal - self._settings.offset, math.tau)

    @property
    def compliance(self) -> float:
        """Radians by which a driven joint gives way to one N m, in the end."""
        settings = self._settings
        if settings.i or not settings.p:
            return 0.0
        return 1 / (settings.p * STALL_TORQUE)

    def heat(self, temperature: float | None) -> None:
        """Hold the temperature at a value, in °C; with None it is cold again, and its own."""
        self._heat = temperature
        self.temperature = _AMBIENT if temperature is None else temperature

    def lose_power(self) -> None:
        """Go limp and mute."""
        self.powered = False
        self._relax()

    def regain_power(self) -> None:
        """Come back as a servo does that is switched on: limp, with what was saved."""
        self.table.power_on()
        self._relax()
        self.powered = True
        self._apply()

    def calibrate(self) -> None:
        """Hold and save the homing offset that puts the joint's zero at `HALF_TURN`."""
        self.table["Homing_Offset"] = self._mounting
        self.table.save()
        self._apply()

    # Inside.

    def _apply(self) -> None:
        """Decode the registers for the control loop."""
        table = self.table
        low, high = table["Min_Position_Limit"], table["Max_Position_Limit"]
        goal = table["Goal_Position"]
        if low < high:
            goal = min(max(goal, low), high)
        fastest = table["Maximum_Velocity_Limit"] * 50
        most = table["Maximum_Acceleration"]
        self._settings = _Settings(
            enabled=table["Torque_Enable"] == 1 and table["Operating_Mode"] == 0,
            offset=(HALF_TURN + self._mounting - table["Homing_Offset"]) * STEP,
            p=table["P_Coefficient"] * _DUTY_PER_P,
            i=table["I_Coefficient"] * _DUTY_PER_I,
            d=table["D_Coefficient"] * _DUTY_PER_D,
            dead_zone=(-table["CCW_Dead_Zone"] * STEP / 2, table["CW_Dead_Zone"] * STEP / 2),
            startup=table["Minimum_Startup_Force"] / 1000,
            limit=min(table["Max_Torque_Limit"], table["Torque_Limit"], 1000) / 1000,
            goal=goal * STEP,
            speed=min(abs(table["Goal_Velocity"]) or fastest, fastest) * STEP,
            acceleration=max(min(table["Acceleration"] or most, most), 1) * 100 * STEP,
            overload=table["Overload_Torque"] / 100,
            overload_time=table["Protection_Time"] * 0.01,
            protective=table["Protective_Torque"] / 100,
            overcurrent=table["Protection_Current"] * _CURRENT_STEP or math.inf,
            overcurrent_time=table["Over_Current_Protection_Time"] * 0.01,
            hottest=table["Max_Temperature_Limit"],
            volts=(table["Min_Voltage_Limit"] / 10, table["Max_Voltage_Limit"] / 10),
            unloading=table["Unloading_Condition"] & (ErrorBit.OVERHEAT | ErrorBit.OVERCURRENT),
        )

    def _position(self) -> float:
        """Of the joint in the frame of Present_Position, rad: a turn from 0 on."""
        return (self.angle + self._settings.offset) % math.tau

    def _raw_position(self) -> int:
        """Steps of the encoder itself."""
        return round(self.angle / STEP + HALF_TURN + self._mounting) % STEPS_PER_TURN

    def _engage(self) -> None:
        """Hold the arm where it is, until another goal comes."""
        position = self._position()
        self.table["Goal_Position"] = round(position / STEP) % STEPS_PER_TURN
        self._setpoint, self._setpoint_velocity = position, 0.0
        self._integral = 0.0

    def _relax(self) -> None:
        self._duty = self._current = self._integral = self._setpoint_velocity = 0.0
        self._overloaded = self._overcurrent = self._protecting_from = 0.0
        self._error = 0

    def _profile(self, settings: _Settings, period: float) -> None:
        """Move the setpoint towards the goal: limited acceleration and speed."""
        distance = settings.goal - self._setpoint
        change = settings.acceleration * period
        if abs(distance) <= change * period and abs(self._setpoint_velocity) <= change:
            self._setpoint, self._setpoint_velocity = settings.goal, 0.0
            return
        braking = math.sqrt(2 * settings.acceleration * abs(distance))
        wanted = math.copysign(min(settings.speed, braking, abs(distance) / period), distance)
        self._setpoint_velocity += max(-change, min(change, wanted - self._setpoint_velocity))
        self._setpoint += self._setpoint_velocity * period

    def _control(self, settings: _Settings, period: float) -> float:
        """The duty, −1 to 1."""
        error = self._setpoint - self._position()
        if settings.dead_zone[0] <= error <= settings.dead_zone[1]:
            error = 0.0
        duty = settings.p * error + self._integral - settings.d * self._velocity
        if error and abs(duty) < settings.startup:
            duty = math.copysign(settings.startup, error)
        if abs(duty) < settings.limit or duty * error < 0:  # else it would wind up
            self._integral += settings.i * error * period
        return max(-settings.limit, min(settings.limit, duty))

    def _watch_load(self, settings: _Settings, duty: float, period: float) -> None:
        """Overload: too much duty for too long, until it is asked to go the other way."""
        self._overloaded = self._overloaded + period if abs(duty) >= settings.overload else 0.0
        if self._overloaded >= settings.overload_time:
            self._protecting_from = math.copysign(1.0, duty)
        if self._protecting_from * duty < 0:
            self._protecting_from = 0.0

    def _watch(self, settings: _Settings, period: float) -> None:
        """Find what there is to complain of."""
        error = 0
        if self._protecting_from:
            error |= _OVERLOAD
        too_much = abs(self._current) > settings.overcurrent
        self._overcurrent = self._overcurrent + period if too_much else 0.0
        before = self._error & _OVERCURRENT  # which lasts until the torque is switched off
        if self._overcurrent >= settings.overcurrent_time or before:
            error |= _OVERCURRENT
        if self.temperature > settings.hottest:
            error |= _OVERHEAT
        if not settings.volts[0] <= self._volts() <= settings.volts[1]:
            error |= _UNDERVOLTAGE
        self._error = error

    def _volts(self) -> float:
        return _VOLTAGE - _RESISTANCE * abs(self._current)

    def _warm(self, period: float) -> None:
        if self._heat is not None:
            self.temperature = self._heat
            return
        share = self._current / _STALL_CURRENT
        final = _AMBIENT + _WARMTH * share * share
        self.temperature += (final - self.temperature) * period / _THERMAL_TIME

    def _sense(self) -> None:
        """Put what is measured into the registers."""
        table, velocity = self.table, round(self._velocity / STEP)
        present = int(self._position() / STEP) % STEPS_PER_TURN
        moving = self.driven and (
            self._setpoint_velocity != 0 or abs(velocity) > 50 * table["Moving_Velocity_Threshold"]
        )
        for name, value in (
            ("Present_Position", present),
            ("Present_Velocity", velocity),
            ("Present_Load", round(self._duty * 1000)),
            ("Present_Voltage", round(self._volts() * 10)),
            ("Present_Temperature", round(self.temperature)),
            ("Status", self._error),
            ("Moving", int(moving)),
            ("Present_Current", round(self._current / _CURRENT_STEP)),
            ("Goal_Position_2", table["Goal_Position"]),
        ):
            table[name] = value


def _current(duty: float, velocity: float) -> float:
    """Ampere from the supply, where it is measured, with the sign of the torque.

    The bridge passes the motor's current on for the share of the time that is the duty.
    """
    current = abs(duty) * _STALL_CURRENT * (duty - velocity / FREE_SPEED)
    return max(-_STALL_CURRENT, min(_STALL_CURRENT, current))
