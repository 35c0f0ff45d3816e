"""The servos on one wire: who answers what, and after which delay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robolearn.environments.virtual_arm.protocol import (
    BROADCAST,
    Instruction,
    Packet,
    status_bytes,
)
from robolearn.environments.virtual_arm.servo import Servo


@dataclass(frozen=True)
class Answer:
    """One servo's answer.

    Attributes:
        data: as it is sent.
        delay: seconds that the servo waits before it.
    """

    data: bytes
    delay: float


class Bus:
    """Hands instructions to the servos that they are for.

    Args:
        servos: in any order, with different numbers.
    """

    def __init__(self, servos: Sequence[Servo]) -> None:
        self._servos = servos
        self._actions: dict[int, Callable[[Packet, list[Servo]], list[Answer]]] = {
            Instruction.PING: self._ping,
            Instruction.READ: self._read,
            Instruction.WRITE: self._write,
            Instruction.REG_WRITE: self._reg_write,
            Instruction.ACTION: self._action,
            Instruction.SYNC_READ: self._sync_read,
            Instruction.SYNC_WRITE: self._sync_write,
        }

    def answers(self, packet: Packet, speed: int) -> list[Answer]:
        """Do what a packet asks for.

        Args:
            packet: from the wire.
            speed: bits a second at which it was sent; servos that listen at another hear noise.

        Returns:
            What comes back, in order; nothing for what no servo knows.
        """
        listening = [servo for servo in self._servos if servo.powered and servo.speed == speed]
        if packet.instruction not in self._actions:
            return []
        return self._actions[packet.instruction](packet, listening)

    def _ping(self, packet: Packet, listening: list[Servo]) -> list[Answer]:
        return [_answer(servo) for servo in _addressed(packet, listening)]

    def _read(self, packet: Packet, listening: list[Servo]) -> list[Answer]:
        if len(packet.parameters) != 2 or packet.id == BROADCAST:
            return []
        address, size = packet.parameters
        return [
            _answer(servo, servo.read(address, size)) for servo in _addressed(packet, listening)
        ]

    def _write(self, packet: Packet, listening: list[Servo]) -> list[Answer]:
        if not packet.parameters:
            return []
        return self._acknowledged(packet, listening, Servo.write)

    def _reg_write(self, packet: Packet, listening: list[Servo]) -> list[Answer]:
        if not packet.parameters:
            return []
        return self._acknowledged(packet, listening, Servo.register)

    def _acknowledged(
        self, packet: Packet, listening: list[Servo], do: Callable[[Servo, int, bytes], None]
    ) -> list[Answer]:
        """Do it, and answer under the number that the servo had before."""
        answers = []
        for servo in _addressed(packet, listening):
            id_ = servo.id
            do(servo, packet.parameters[0], packet.parameters[1:])
            if packet.id != BROADCAST and servo.answers_writes:
                answers.append(Answer(status_bytes(id_, servo.error), servo.return_delay))
        return answers

    def _action(self, packet: Packet, listening: list[Servo]) -> list[Answer]:
        answers = []
        for servo in _addressed(packet, listening):
            servo.act()
            if packet.id != BROADCAST and servo.answers_writes:
                answers.append(_answer(servo))
        return answers

    def _sync_read(self, packet: Packet, listening: list[Servo]) -> list[Answer]:
        """All that are named answer, one after the other in the order of their names."""
        if len(packet.parameters) < 2:
            return []
        address, size, *ids = packet.parameters
        by_id = {servo.id: servo for servo in listening}
        named = [by_id[id_] for id_ in ids if id_ in by_id]
        return [_answer(servo, servo.read(address, size)) for servo in named]

    def _sync_write(self, packet: Packet, listening: list[Servo]) -> list[Answer]:
        """Nobody answers."""
        if len(packet.parameters) < 2 or not packet.parameters[1]:
            return []
        address, size, *rest = packet.parameters
        by_id = {servo.id: servo for servo in listening}
        for place in range(0, len(rest) - size, size + 1):
            if rest[place] in by_id:
                by_id[rest[place]].write(address, bytes(rest[place + 1 : place + 1 + size]))
        return []


def _addressed(packet: Packet, listening: list[Servo]) -> list[Servo]:
    return [servo for servo in listening if packet.id in {BROADCAST, servo.id}]


def _answer(servo: Servo, parameters: bytes = b"") -> Answer:
    return Answer(status_bytes(servo.id, servo.error, parameters), servo.return_delay)
