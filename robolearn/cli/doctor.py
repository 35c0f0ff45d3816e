"""``robolearn doctor``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from robolearn.cli.command import Command
from robolearn.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from robolearn.diagnosis.finding import Finding

_STATUS = 8
_NAME = 14
_COLOURS = {"ok": "green", "warning": "yellow", "missing": "cyan", "error": "bold red"}


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Say what this machine can do, and what to do about what is missing.

    Tries a control step of the simulator and a picture of a camera. The exit status is 1 where
    something does not work that is needed, or that was asked for by name.

    Of an arm, real:NAME, it looks at ports, cameras, permissions and the profile, and asks before
    it connects: connecting switches the motors on where they stand, and moves nothing. --calibrate
    walks you through LeRobot's calibration of the arm and its leader before.

    Example: robolearn doctor simulation rendering

    Example: robolearn doctor real:so101

    Example: robolearn doctor real:so101 --calibrate

    Attributes:
        topics: what to look at: installation, simulation, rendering, gpu, real, computer, or an
            arm. Without them, at all but arms; then it is no error that something is not
            installed.
        yes: connect to the arm without asking.
        calibrate: the arm and its leader, first; asks before each, since its motors go limp.
    """

    topics: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[TOPIC ...]")
    ] = ()
    yes: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    calibrate: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False

    def run(self) -> int:
        from robolearn.diagnosis.checks import examine

        if self.calibrate:
            self._calibrate()
        findings: list[Finding] = []
        for finding in examine(self.topics, connect=self._may_connect()):
            findings.append(finding)
            self._show(finding)
        count = {
            status: sum(finding.status == status for finding in findings) for status in _COLOURS
        }
        failed = count["error"] > 0
        amounts = ", ".join(f"{number} {status}" for status, number in count.items() if number)
        self.console.say(
            f"{'something does not work' if failed else 'what is needed works'}: {amounts}"
        )
        self.console.result(
            {"works": not failed, "findings": [finding.to_json() for finding in findings]}
        )
        return ANSWER_IS_NO if failed else DONE

    def _calibrate(self) -> None:
        from robolearn.environments.arms.calibrating import calibrate
        from robolearn.environments.arms.presence import present
        from robolearn.environments.arms.profile import load_arm
        from robolearn.environments.targets import names_arm
        from robolearn.errors import ConfigurationError

        arms = [topic for topic in self.topics if names_arm(topic)]
        if not arms:
            raise ConfigurationError("name the arm to calibrate: real:NAME, or its profile")
        if not sys.stdin.isatty():
            raise ConfigurationError("calibrating asks what to do: run it in a terminal")
        for target in arms:
            with present(load_arm(target)) as here:
                for done in calibrate(here.arm, self._wants_calibrated):
                    self.console.say(f"calibrated {done}")

    def _wants_calibrated(self, name: str) -> bool:
        return self._agrees(f"Calibrate {name}? Its motors go limp: hold the arm.")

    def _agrees(self, question: str) -> bool:
        self.console.say(f"{question} [y/N]")
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def _may_connect(self) -> bool:
        """Ask, where an arm is named and somebody can answer."""
        from robolearn.environments.targets import names_arm

        if self.yes or not any(names_arm(topic) for topic in self.topics):
            return self.yes
        if not sys.stdin.isatty():
            self.console.say("the arm itself is not looked at without --yes")
            return False
        return self._agrees("Connect to the arm? Its motors are switched on and do not move.")

    def _show(self, finding: Finding) -> None:
        rest = f"{finding.name:{_NAME}} {finding.found}"
        advice = f"{'':{_STATUS + _NAME + 1}} → {finding.advice}" if finding.advice else ""
        if self.json or not sys.stdout.isatty():
            self.console.say(f"{finding.status:{_STATUS}} {rest}" + f"\n{advice}" * bool(advice))
            return
        from rich import console
        from rich.text import Text

        line = Text.assemble((f"{finding.status:{_STATUS}} ", _COLOURS[finding.status]), rest)
        if advice:
            line.append(f"\n{advice}", style="dim")
        console.Console().print(line, soft_wrap=True)
