"""What the page says is strictly checked, and its directions become the robot's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robolearn.agents.devices.requests import Request
from robolearn.agents.devices.web import messages
from robolearn.errors import DeviceError


def hands() -> dict[str, Any]:
    return {
        "type": "hands",
        "time": 1234.5,
        "turn": 0.0,
        "scale": 1.0,
        "left": None,
        "right": {
            "position": [0.1, 1.2, -0.3],
            "rotation": [0.0, 0.0, 0.0, 1.0],
            "squeeze": 1.0,
            "trigger": 0.25,
        },
    }


def test_hands_become_samples_along_the_robots_axes() -> None:
    said = messages.read(json.dumps(hands()))
    assert isinstance(said, messages.HandsMessage)
    samples = said.samples(7.0)
    right = samples["right"]
    assert right.pose is not None
    # x to the right, y up, z backwards → x ahead, y to the left, z up.
    np.testing.assert_allclose(right.pose.position, [0.3, -0.1, 1.2])
    assert (right.time, right.squeeze, right.trigger) == (7.0, 1.0, 0.25)
    assert samples["left"].pose is None


def test_the_turn_is_about_the_vertical() -> None:
    said = messages.read(json.dumps(hands() | {"turn": np.pi}))
    assert isinstance(said, messages.HandsMessage)
    pose = said.samples(0.0)["right"].pose
    assert pose is not None
    np.testing.assert_allclose(pose.position, [-0.3, 0.1, 1.2], atol=1e-12)


def test_a_turn_of_the_hand_is_about_the_robots_axes() -> None:
    angle = 0.4  # about WebXR's y, which is up
    turned = hands()
    turned["right"]["rotation"] = [0.0, np.sin(angle / 2), 0.0, np.cos(angle / 2)]
    poses = [
        messages.read(json.dumps(each)).samples(0.0)["right"].pose for each in (hands(), turned)
    ]
    way = (poses[1].rotation * poses[0].rotation.inv()).as_rotvec()
    np.testing.assert_allclose(way, [0, 0, angle], atol=1e-12)


def test_every_request_is_understood() -> None:
    for request in Request:
        said = messages.read(json.dumps({"type": "request", "request": request.value}))
        assert isinstance(said, messages.RequestMessage)
        assert said.request is request


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(message: dict[str, Any]) -> None:
        place: Any = message
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("type", value="other"), "Input tag 'other'"),
        (put("time", value=float("nan")), "hands.time"),
        (put("time", value=-1.0), "hands.time"),
        (put("turn", value=float("inf")), "hands.turn"),
        (put("scale", value=100.0), "hands.scale"),
        (put("extra", value=1), "hands.extra: Extra inputs"),
        (put("right", "position", value=[0.0, 0.0]), "hands.right.position"),
        (put("right", "position", 1, value=float("nan")), "hands.right.position.1"),
        (put("right", "position", 1, value=1e9), "hands.right.position.1"),
        (put("right", "rotation", value=[0.0, 0.0, 0.0, 0.0]), "a quaternion has the length 1"),
        (put("right", "squeeze", value="1"), "hands.right.squeeze"),
        (put("right", "trigger", value=1.5), "hands.right.trigger"),
        (put("right", value=[]), "hands.right"),
    ],
)
def test_a_malformed_message_says_what_is_wrong_in_a_line(
    change: Callable[[dict[str, Any]], None], says: str
) -> None:
    message = hands()
    change(message)
    with pytest.raises(DeviceError, match=says) as raised:
        messages.read(json.dumps(message))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 120


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_nothing_else_than_a_device_error_comes_of_any_text(text: str) -> None:
    with pytest.raises(DeviceError):
        messages.read(text)


def test_a_message_with_both_hands_is_within_the_limit() -> None:
    both = hands()
    both["left"] = both["right"] = {
        "position": [-0.12345678901234567] * 3,
        "rotation": [-0.5000000000000001] * 4,
        "squeeze": 0.12345678901234567,
        "trigger": 0.12345678901234567,
    }
    text = json.dumps(both)
    assert len(text) < messages.MOST_BYTES
    messages.read(text)
