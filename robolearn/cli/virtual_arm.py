"""``robolearn virtual-arm``."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from annotated_types import Ge, Le

from robolearn.cli.command import Command
from robolearn.cli.main import DONE

if TYPE_CHECKING:
    from robolearn.environments.virtual_arm.virtual_arm import RunningArm

_POLL = 0.2


@dataclass(frozen=True, kw_only=True)
class VirtualArm(Command):
    """Start an SO-101 follower and leader without hardware, until Ctrl-C.

    Their servos speak Feetech's protocol at the ports that are printed, so that any program that
    drives an SO-101 can connect; physics moves the arm, and a cube lies on its table.

    Example: robolearn virtual-arm --folder /tmp/arm --hand

    Attributes:
        folder: that is made for ports, cameras and calibration; a temporary one without it.
        seed: of the cube's place.
        hand: have a hand move the leader: it picks the cube up again and again.
        no_cameras: render nothing.
        height: of the cameras' images, pixels.
        width: pixels.
        fps: frames a second.
    """

    folder: Path | None = None
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    hand: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    no_cameras: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    height: Annotated[int, Ge(16), Le(2160)] = 240
    width: Annotated[int, Ge(16), Le(3840)] = 320
    fps: Annotated[int, Ge(1), Le(240)] = 30

    def run(self) -> int:
        from robolearn.environments.virtual_arm import virtual_arm
        from robolearn.environments.virtual_arm.model import CAMERAS

        cameras = () if self.no_cameras else tuple(CAMERAS)
        with (
            virtual_arm.VirtualArm(
                self.seed, cameras, self.height, self.width, self.fps, self.folder
            ) as arm,
            # While it tells, too: whoever reads the places may end it at once.
            contextlib.suppress(KeyboardInterrupt),
        ):
            self._tell(arm, cameras)
            self._wait(arm)
        return DONE

    def _tell(self, arm: RunningArm, cameras: tuple[str, ...]) -> None:
        places = {
            "follower": arm.follower_port,
            "leader": arm.leader_port,
            "calibration": str(arm.calibration_dir),
            **{name: str(arm.folder / f"{name}.frames") for name in cameras},
        }
        for name, place in places.items():
            self.console.say(f"{name:12} {place}")
        self.console.say("the calibrations' ids are follower and leader; Ctrl-C ends it")
        self.console.result(places)
        sys.stdout.flush()  # whoever waits for it in a pipe

    def _wait(self, arm: RunningArm) -> None:
        """Until Ctrl-C, or the emulator is gone."""
        seed = self.seed
        while True:
            if self.hand and not arm.hand.moving:
                arm.reset(seed)
                arm.hand.pick(seed)
                seed += 1
            arm.world()  # raises where the emulator is gone
            time.sleep(_POLL)
