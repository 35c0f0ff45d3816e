"""Packets of Feetech's serial protocol 0, as STS servos speak it.

An instruction is ``FF FF ID LENGTH INSTRUCTION PARAMETERS… CHECKSUM``, a servo's answer
``FF FF ID LENGTH ERROR PARAMETERS… CHECKSUM``. LENGTH counts what follows it, and CHECKSUM is the
complement of the sum of everything between the header and it. Words are little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

HEADER = b"\xff\xff"
BROADCAST = 0xFE
_LONGEST = 250
"""LENGTH of the longest packet."""


class Instruction(IntEnum):
    """What a packet asks for."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83


class ErrorBit(IntFlag):
    """What a servo complains of in each of its answers."""

    VOLTAGE = 0x01
    ANGLE = 0x02
    OVERHEAT = 0x04
    OVERCURRENT = 0x08
    OVERLOAD = 0x20


@dataclass(frozen=True)
class Packet:
    """An instruction, with its checksum verified.

    Attributes:
        id: the servo that it is for, or `BROADCAST`.
        instruction: one of `Instruction`, or a number that no servo knows.
        parameters: the rest.
    """

    id: int
    instruction: int
    parameters: bytes


def checksum(body: bytes) -> int:
    """Of a packet's bytes between its header and its checksum."""
    return ~sum(body) & 0xFF


def instruction_bytes(packet: Packet) -> bytes:
    """An instruction as it is sent."""
    return _framed(packet.id, packet.instruction, packet.parameters)


def status_bytes(id_: int, error: int, parameters: bytes = b"") -> bytes:
    """A servo's answer as it is sent.

    Args:
        id_: the servo's own.
        error: bits of `ErrorBit`.
        parameters: what was read.
    """
    return _framed(id_, error, parameters)


def _framed(id_: int, kind: int, parameters: bytes) -> bytes:
    body = bytes((id_, len(parameters) + 2, kind)) + parameters
    return HEADER + body + bytes((checksum(body),))


class Decoder:
    """Finds instructions in a stream of bytes, and what follows a damaged one.

    Attributes:
        damaged: packets that were dropped because of their checksum.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._bytes = bytearray()

    @property
    def waiting(self) -> bool:
        """Whether a packet has begun and is not complete."""
        return bool(self._bytes)

    def forget(self) -> None:
        """Give up a packet whose rest does not come."""
        self._bytes.clear()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are complete with these bytes."""
        self._bytes += data
        while (start := self._bytes.find(HEADER)) >= 0:
            del self._bytes[:start]
            if len(self._bytes) < 4:
                return
            id_, length = self._bytes[2], self._bytes[3]
            if id_ == 0xFF or not 2 <= length <= _LONGEST:
                del self._bytes[0]  # the header begins one later, or is none
                continue
            end = 4 + length
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[2 : end - 1])
            if checksum(body) != self._bytes[end - 1]:
                self.damaged += 1
                del self._bytes[:2]
                continue
            del self._bytes[:end]
            yield Packet(id_, body[2], body[3:])
        # Half of a header may be there.
        del self._bytes[: len(self._bytes) - self._bytes.endswith(b"\xff")]
