"""A person moves the tool of an arm, by a device that moves hands."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paper
import pytest

sys.path.append(str(Path(__file__).parents[2] / "control"))
from hand_world import Held

from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.hand_teleoperator import HandTeleoperator
from robolearn.control.collecting import Collected, Collection, Pace, Plan
from robolearn.environments.arms.environment import LeRobotEnvironment
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter
from robolearn.errors import DeviceError

POSE = {
    "translation": 0.02,
    "rotation": 0.2,
    "gripper": "gripper.pos",
    "open": 80.0,
    "closed": 5.0,
}
DOWN = np.array([0.0, 0.0, -0.0016, 0.0, 0.0, 0.0])


def collect(
    folder: Path,
    way: Callable[[int], np.ndarray],
    requests: Requests,
    inspect: Callable[[LeRobotEnvironment], None] = lambda environment: None,
) -> list[Collected]:
    arm = paper.load(folder, paper.with_model(folder, pose=POSE))
    environment = LeRobotEnvironment(arm)
    try:
        requests.stop_by(environment.stop_at_once)
        with FolderWriter(folder / "demos") as writer:
            collection = Collection(
                environment,
                HandTeleoperator(Held(way), environment.context),
                "test",
                requests,
                (),
                (),
                writer,
                Pace.of_arm(environment),
                Plan(episodes=1, limit=1.0, hold=1.0),
            )
            try:
                return list(collection.episodes([7]))
            finally:
                inspect(environment)
    finally:
        environment.close()


def test_the_tool_goes_where_the_hand_goes(tmp_path: Path) -> None:
    requests = Requests()

    def way(step: int) -> np.ndarray:
        if step == 35:
            requests.add(Request.KEEP)
        return DOWN if step > 5 else np.zeros(6)

    (collected,) = collect(tmp_path, way, requests)
    assert collected.success is True
    episode = FolderDataset(tmp_path / "demos").episode(0)
    height = episode.observations["observation.state.robot0_eef_pos"][:, 2]
    assert height[-1] < height[0] - 0.01
    assert episode.context.seed == 7


def test_stop_halts_the_arm_before_the_loop_hears_of_it(tmp_path: Path) -> None:
    requests = Requests()
    halted: list[str] = []

    def way(step: int) -> np.ndarray:
        if step == 12:
            requests.add(Request.STOP)
        return DOWN

    collected = collect(
        tmp_path,
        way,
        requests,
        lambda environment: halted.append(environment.halted),
    )
    assert collected == []
    assert halted[0]
    with FolderWriter(tmp_path / "demos") as writer:
        (episode,) = writer.in_flight().values()
    assert len(episode) > 2


def test_an_arm_whose_device_is_gone_is_halted_first(tmp_path: Path) -> None:
    def unplugged(step: int) -> np.ndarray:
        if step > 8:
            raise DeviceError("the cable is out")
        return DOWN

    halted: list[str] = []
    with pytest.raises(DeviceError, match=r"the cable is out; \d+ frames"):
        collect(
            tmp_path,
            unplugged,
            Requests(),
            lambda environment: halted.append(environment.halted),
        )
    assert halted[0]
    targets = paper.sent(tmp_path)[1]
    np.testing.assert_allclose(targets[-1], targets[-2], atol=1e-6)  # it stands


def test_waiting_for_the_person_is_no_silence_of_the_agent(tmp_path: Path) -> None:
    """However long it takes: the watchdog watches from the first action on."""
    requests = Requests()

    def way(step: int) -> np.ndarray:
        if step == 1:
            time.sleep(0.6)  # longer than the watchdog waits for an agent
        if step in {10, 20}:
            requests.add(Request.START if step == 10 else Request.KEEP)
        return np.zeros(6)

    (collected,) = collect(tmp_path, way, requests)
    assert collected.kept == 0
    assert collected.outcome.ended == "horizon"
