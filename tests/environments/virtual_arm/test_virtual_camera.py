"""Frames in shared memory, and LeRobot's camera that reads them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.environments.virtual_arm.faults import FreezeCamera
from robolearn.environments.virtual_arm.frames import FrameReader, FrameWriter
from robolearn.environments.virtual_arm.virtual_arm import VirtualArm
from robolearn.errors import ConfigurationError, SimulationError

SIZE = 12, 16


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[FrameWriter]:
    writer = FrameWriter(tmp_path / "front.frames", *SIZE)
    yield writer
    writer.close()


@pytest.fixture
def reader(writer: FrameWriter, tmp_path: Path) -> Iterator[FrameReader]:
    reader = FrameReader(tmp_path / "front.frames")
    yield reader
    reader.close()


def picture(value: int) -> np.ndarray:
    return np.full((*SIZE, 3), value, np.uint8)


def test_frames_arrive_with_their_numbers_and_times(
    writer: FrameWriter, reader: FrameReader
) -> None:
    assert reader.read() is None
    assert (reader.height, reader.width) == SIZE
    for number in range(1, 8):
        writer.write(picture(number), 10.0 + number)
        frame = reader.read()
        assert frame is not None
        assert (frame.number, frame.timestamp) == (number, pytest.approx(10.0 + number))
        np.testing.assert_array_equal(frame.image, picture(number))


def test_frames_are_whole_while_they_are_written(writer: FrameWriter, reader: FrameReader) -> None:
    writer.write(picture(0), 0.0)
    stop = threading.Event()

    def write() -> None:
        for number in range(1, 100_000):
            if stop.is_set():
                return
            writer.write(picture(number % 251), float(number))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        last = 0
        for _ in range(2000):
            frame = reader.read()
            assert frame is not None
            assert (frame.image == frame.image.flat[0]).all()
            assert frame.number >= last
            last = frame.number
    finally:
        stop.set()
        thread.join()


def test_files_that_are_no_camera(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="no virtual camera is there"):
        FrameReader(tmp_path / "none")
    for content in (b"", b"short", b"x" * 500):
        (tmp_path / "wrong").write_bytes(content)
        with pytest.raises(SimulationError, match="virtual camera"):
            FrameReader(tmp_path / "wrong")


@pytest.fixture
def camera(writer: FrameWriter, tmp_path: Path) -> Any:
    from lerobot.cameras.utils import make_cameras_from_configs

    from robolearn.environments.virtual_arm.config_virtual_camera import VirtualCameraConfig

    config = VirtualCameraConfig(frames=tmp_path / "front.frames", fps=30, height=12, width=16)
    assert config.type == "robolearn_virtual"
    return make_cameras_from_configs({"front": config})["front"]


def test_camera_reads_latest_and_next(camera: Any, writer: FrameWriter) -> None:
    writer.write(picture(5), time.monotonic())
    camera.connect()
    assert camera.is_connected
    assert camera.read_latest()[0, 0, 0] == 5
    assert camera.read_latest()[0, 0, 0] == 5
    with pytest.raises(TimeoutError, match="no new frame"):
        camera.async_read(timeout_ms=20)
    stamp = time.monotonic()
    writer.write(picture(6), stamp)
    assert camera.async_read(timeout_ms=20)[0, 0, 0] == 6
    assert camera.latest_timestamp == pytest.approx(stamp)
    threading.Timer(0.1, writer.write, (picture(7), time.monotonic())).start()
    assert camera.read()[0, 0, 0] == 7
    camera.disconnect()
    assert not camera.is_connected


def test_camera_says_that_its_frame_is_old(camera: Any, writer: FrameWriter) -> None:
    writer.write(picture(5), time.monotonic() - 1)
    camera.connect()
    with pytest.raises(TimeoutError, match="no newer frame"):
        camera.read_latest(max_age_ms=500)


def test_camera_that_is_not_there(
    camera: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

    from robolearn.environments.virtual_arm import virtual_camera

    with pytest.raises(DeviceNotConnectedError):
        camera.read_latest()
    with pytest.raises(DeviceNotConnectedError):
        camera.disconnect()
    monkeypatch.setattr(virtual_camera, "_FIRST_FRAME", 0.05)
    with pytest.raises(ConnectionError, match="no frames"):
        camera.connect()
    camera.connect(warmup=False)
    with pytest.raises(RuntimeError, match="no frame yet"):
        camera.read_latest()
    with pytest.raises(DeviceAlreadyConnectedError):
        camera.connect()
    camera.disconnect()
    camera.config.frames = tmp_path / "gone"
    with pytest.raises(ConnectionError, match="no virtual camera is there"):
        camera.connect()


def test_camera_of_another_size(camera: Any, writer: FrameWriter) -> None:
    camera.height = 13
    with pytest.raises(ConfigurationError, match="has frames of 16x12, not 16x13"):
        camera.connect()


@pytest.mark.rendering
def test_rendered_cameras_through_lerobot() -> None:
    pytest.importorskip("scservo_sdk")
    from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig

    with VirtualArm(height=60, width=80, fps=20) as arm:
        follower = SO101Follower(
            SO101FollowerConfig(
                port=arm.follower_port,
                id="follower",
                calibration_dir=arm.calibration_dir,
                cameras=arm.cameras,
            )
        )
        wire = follower.bus.port_handler  # a busy machine may need more than 50 ms
        wire.setPacketTimeout = lambda length: wire.setPacketTimeoutMillis(1000)
        assert follower.observation_features["front"] == (60, 80, 3)
        follower.connect(calibrate=False)
        observation = {
            **follower.bus.sync_read("Present_Position"),
            **{name: camera.read_latest(5000) for name, camera in follower.cameras.items()},
        }
        for name in ("front", "wrist"):
            assert observation[name].shape == (60, 80, 3)
            assert observation[name].std() > 5
        red = observation["front"].astype(int)
        assert ((red[..., 0] > 100) & (red[..., 1] < 60)).any()  # the cube
        front, wrist = follower.cameras["front"], follower.cameras["wrist"]
        first = front.read()
        stamp = front.latest_timestamp
        assert 0 <= time.monotonic() - stamp < 5
        arm.reset(11)
        until = time.monotonic() + 10
        while (front.read() == first).all():
            assert time.monotonic() < until
        arm.fault(FreezeCamera("front"))
        wrist.read()
        time.sleep(1.0)
        with contextlib.suppress(TimeoutError):  # one may have been under way
            front.async_read(timeout_ms=3000)
        with pytest.raises(TimeoutError):
            front.async_read(timeout_ms=3000)
        wrist.read()
        arm.repair()
        front.read()
        follower.disconnect()
