from __future__ import annotations

import queue
import struct
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "control"))
from hand_world import context

from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.devices.spacemouse import SpaceMouse
from robolearn.errors import DeviceError, MissingDependency

FOUND = {"path": b"/dev/hidraw3", "usage_page": 1, "usage": 8}


class Cap:
    """Stands in for hidapi's device: gives the reports that a test puts into it."""

    reports: queue.Queue[bytes | OSError]
    opens = True

    def __init__(self) -> None:
        type(self).reports = queue.Queue()

    def open_path(self, path: bytes) -> None:
        assert path == FOUND["path"]
        if not self.opens:
            raise OSError("open failed")

    def read(self, size: int, timeout: int) -> list[int]:
        try:
            report = self.reports.get(timeout=timeout / 1000)
        except queue.Empty:
            return []
        if isinstance(report, OSError):
            raise report
        return list(report[:size])

    def close(self) -> None: ...


@pytest.fixture
def hid(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    class Opening(Cap):
        pass

    mouse = {**FOUND, "usage": 2, "path": b"/dev/hidraw1"}
    module = SimpleNamespace(
        enumerate=lambda vendor, product: [mouse, FOUND] if vendor == 0x256F else [],
        device=Opening,
    )
    monkeypatch.setitem(sys.modules, "hid", module)
    return module


def setting(requests: Requests | None = None) -> Setting:
    return Setting(context(), (requests or Requests()).add, lambda line: None)


def soon(device: SpaceMouse, wanted: list[float]) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if np.allclose(device.rates(0.05), wanted, atol=1e-6):
            return
        time.sleep(0.01)
    np.testing.assert_allclose(device.rates(0.05), wanted)


def test_both_forms_of_reports(hid: SimpleNamespace) -> None:
    device = SpaceMouse(setting())
    reports = hid.device.reports
    reports.put(b"\x01" + struct.pack("<3h", 350, -350, 175))
    reports.put(b"\x02" + struct.pack("<3h", 0, 10, -350))
    soon(device, [1, 1, -0.5, 0, 0, 1])  # 10 of 350 are within the dead zone
    reports.put(b"\x01" + struct.pack("<6h", 0, 0, -350, 0, 0, 0))
    soon(device, [0, 0, 1, 0, 0, 0])
    device.close()
    device.close()


def test_its_buttons(hid: SimpleNamespace) -> None:
    requests = Requests()
    device = SpaceMouse(setting(requests))
    for buttons in (1, 0, 2, 0, 2):
        hid.device.reports.put(bytes([3, buttons, 0]))
    hid.device.reports.put(b"\x01" + struct.pack("<6h", 350, 0, 0, 0, 0, 0))
    soon(device, [1, 0, 0, 0, 0, 0])
    assert [requests.take() for _ in range(3)] == [Request.START, Request.KEEP, None]
    assert device._closed == [True]
    device.close()


def test_pulled_out(hid: SimpleNamespace) -> None:
    device = SpaceMouse(setting())
    hid.device.reports.put(OSError("read error"))
    device._thread.join(5)
    with pytest.raises(DeviceError, match="gone"):
        device.rates(0.05)
    device.close()


def test_broken_reports_move_nothing(hid: SimpleNamespace) -> None:
    device = SpaceMouse(setting())
    for report in (b"\x01", b"\x01abc", b"\x17" + bytes(12), b"\x03"):
        hid.device.reports.put(report)
    hid.device.reports.put(b"\x01" + struct.pack("<6h", 350, 0, 0, 0, 0, 0))
    soon(device, [1, 0, 0, 0, 0, 0])
    device.close()


def test_one_that_may_not_be_read_names_the_rule(hid: SimpleNamespace) -> None:
    hid.device.opens = False
    with pytest.raises(DeviceError, match=r"rules\.d.*open failed"):
        SpaceMouse(setting())


def test_none_there_names_the_rule(hid: SimpleNamespace) -> None:
    hid.enumerate = lambda vendor, product: []
    with pytest.raises(DeviceError, match=r"no SpaceMouse.*rules\.d"):
        SpaceMouse(setting())


def test_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hid", None)
    with pytest.raises(MissingDependency, match=r"robolearn\[teleop\]"):
        SpaceMouse(setting())
