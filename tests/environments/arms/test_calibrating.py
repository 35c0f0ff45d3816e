"""LeRobot's calibration of arms that were never calibrated, with a hand that moves them."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robolearn.environments.arms.calibrating import calibrate
from robolearn.environments.arms.driver import Driver
from robolearn.environments.arms.presence import present
from robolearn.environments.arms.profile import Device, load_arm
from robolearn.environments.virtual_arm.hand import Path as HandPath
from robolearn.environments.virtual_arm.virtual_arm import VirtualArm
from robolearn.errors import ArmError

pytest.importorskip("scservo_sdk")
pytest.importorskip("deepdiff")

MIDDLE = np.array([0.0, -0.6, 0.6, 0.3, 0.0, 0.8])


def test_an_arm_and_its_leader_are_calibrated_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    motors_bus = pytest.importorskip("lerobot.motors.motors_bus")
    asked: list[str] = []

    def wanted(name: str) -> bool:
        asked.append(name)
        return "follower" in name

    with VirtualArm(cameras=()) as running:
        arm = load_arm("real:virtual-so101")
        assert arm.profile.virtual is not None
        virtual = replace(arm.profile.virtual, folder=str(running.folder))
        arm = replace(arm, profile=replace(arm.profile, virtual=virtual))
        with present(arm) as here:
            new = {"calibration_dir": str(tmp_path), "id": "new"}

            def uncalibrated(device: Device) -> Device:
                return replace(device, options={**device.options, **new})

            leader = here.arm.profile.leader
            assert leader is not None
            profile = replace(
                here.arm.profile,
                robot=uncalibrated(here.arm.profile.robot),
                leader=replace(leader, device=uncalibrated(leader.device)),
            )
            never = replace(here.arm, profile=profile)
            with pytest.raises(ArmError, match="has no calibration"):
                Driver(never.profile)
            hand = running.hand_on("follower")

            def to_the_middle(question: str = "") -> str:
                assert "to the middle of its range" in question
                hand.go_to(MIDDLE, 1.0)
                hand.wait()
                sway = 0.4 * np.sin(np.linspace(0, 4 * np.pi, 80))
                hand.follow(HandPath(np.linspace(0, 3, 80), MIDDLE + sway[:, None]))
                return ""

            monkeypatch.setattr(builtins, "input", to_the_middle)
            monkeypatch.setattr(motors_bus, "enter_pressed", lambda: not hand.moving)
            (done,) = calibrate(never, wanted)
            assert done.endswith(str(tmp_path / "new.json"))
            hand.release()
            assert len(asked) == 2
            assert "new, which is not calibrated" in asked[0]
            driver = Driver(never.profile)
            try:
                joints = driver.connect()
            finally:
                driver.close(release=True)
            assert np.isfinite(joints).all()
