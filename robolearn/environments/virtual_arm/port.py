"""A serial port that is none: a pseudo-terminal, behind which a bus of servos answers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import struct
import threading
import time
import tty
from pathlib import Path

from robolearn.environments.virtual_arm.bus import Bus
from robolearn.environments.virtual_arm.protocol import Decoder, instruction_bytes

_BITS_PER_BYTE = 10
_PATIENCE = 0.02
"""Seconds after which the rest of a packet is no longer waited for."""

_SHORTEST_SLEEP = 60e-6
"""A shorter one takes as long."""

_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct("4I20x2I")
"""Flags, line discipline and control characters, and the two speeds as numbers."""


class Line:
    """What goes wrong on the wire, as a fault has it.

    Attributes:
        lost: probability with which each byte of an answer is lost.
        flipped: probability with which an answer has one wrong bit.
        late: seconds by which answers are late.
    """

    def __init__(self) -> None:
        self.lost = 0.0
        self.flipped = 0.0
        self.late = 0.0
        self._random = random.Random(0)

    def carried(self, data: bytes) -> bytes:
        """What arrives of one answer."""
        if self.flipped and self._random.random() < self.flipped:
            place = self._random.randrange(len(data) * 8)
            wrong = bytearray(data)
            wrong[place // 8] ^= 1 << place % 8
            data = bytes(wrong)
        if self.lost:
            data = bytes(byte for byte in data if self._random.random() >= self.lost)
        return data


class SerialPort:
    """Serves a bus at a path, by a thread, at the pace of the wire.

    Args:
        bus: that answers.
        path: where a link to the pseudo-terminal appears, as long as the cable is plugged in.

    Attributes:
        line: what goes wrong.
    """

    def __init__(self, bus: Bus, path: Path) -> None:
        self.line = Line()
        self._bus = bus
        self._path = path
        self._decoder = Decoder()
        self._wake, self._waker = os.pipe()
        self._master: int | None = None
        self._slave: int | None = None
        self._thread: threading.Thread | None = None
        self.plug()

    def plug(self) -> None:
        """Plug the cable in; does nothing where it is."""
        if self._master is not None:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(os.ttyname(self._slave))
        self._thread = threading.Thread(target=self._serve, args=(self._master,), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Pull the cable out: whoever has opened the port gets errors from now on."""
        if self._master is None or self._slave is None:
            return
        self._path.unlink(missing_ok=True)
        master, self._master = self._master, None
        os.write(self._waker, b"x")
        if self._thread is not None:
            self._thread.join()
        os.read(self._wake, 1)
        os.close(master)
        os.close(self._slave)
        self._slave = None
        self._decoder.forget()

    def close(self) -> None:
        """Unplug it for good."""
        self.unplug()
        os.close(self._wake)
        os.close(self._waker)

    def _serve(self, master: int) -> None:
        while self._master == master:
            patience = _PATIENCE if self._decoder.waiting else None
            ready, _, _ = select.select([master, self._wake], [], [], patience)
            if self._wake in ready:
                return
            if not ready:
                self._decoder.forget()
                continue
            try:
                data = os.read(master, 4096)
            except OSError:  # nothing there after all
                continue
            self._answer(master, data, time.perf_counter())

    def _answer(self, master: int, data: bytes, due: float) -> None:
        speed = line_speed(master)
        if not speed:
            return
        per_byte = _BITS_PER_BYTE / speed
        for packet in self._decoder.feed(data):
            due += len(instruction_bytes(packet)) * per_byte
            arrived = bytearray()
            for answer in self._bus.answers(packet, speed):
                due += answer.delay + len(answer.data) * per_byte
                arrived += self.line.carried(answer.data)
            if not arrived:
                continue
            if self._pulled_out_before(due):
                return
            with contextlib.suppress(OSError):  # full, as nobody reads
                os.write(master, arrived)

    def _pulled_out_before(self, due: float) -> bool:
        """Wait until an answer is due; True where the cable is pulled out meanwhile."""
        while (left := due + self.line.late - time.perf_counter()) > _SHORTEST_SLEEP:
            if left < _PATIENCE:
                time.sleep(left)
            elif select.select([self._wake], [], [], _PATIENCE)[0]:
                return True
        return False


def line_speed(terminal: int) -> int:
    """Bits a second that a terminal is set to; 0 where it is none that a servo knows."""
    try:
        settings = fcntl.ioctl(terminal, _TCGETS2, bytes(_TERMIOS2.size))
    except OSError:
        return 0
    return int(_TERMIOS2.unpack(settings)[-1])
