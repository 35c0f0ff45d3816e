from __future__ import annotations

import time

import numpy as np

from robolearn.environments.arms.feeds import CameraFeed, ImageSlots


class _Passing:
    """A camera that fails once between two images."""

    def __init__(self) -> None:
        self._asked = 0

    def async_read(self, timeout_ms: float) -> np.ndarray:
        self._asked += 1
        if self._asked == 2:
            raise RuntimeError("no frame\nyet")
        time.sleep(0.01)
        return np.zeros((2, 3, 3), np.uint8)

    def disconnect(self) -> None: ...


def test_a_camera_that_failed_is_asked_again() -> None:
    shapes = {"front": (2, 3, 3)}
    feed = CameraFeed("front", _Passing(), ImageSlots(shapes, bytearray(ImageSlots.size(shapes))))
    seen: set[str] = set()
    until = time.monotonic() + 10
    while feed.latest[0] < 3 and time.monotonic() < until:
        seen.add(feed.failure)
        time.sleep(0.005)
    feed.close()
    assert feed.latest[0] >= 3
    assert seen == {"", "no frame yet"}
    assert feed.failure == ""
