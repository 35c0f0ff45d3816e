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

    Example: robolearn doctor simulation rendering

    Attributes:
        topics: what to look at: installation, simulation, rendering, gpu, computer. Without them,
            at all of it; then it is no error that something is not installed.
    """

    topics: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[TOPIC ...]")
    ] = ()

    def run(self) -> int:
        from robolearn.diagnosis.checks import examine

        findings: list[Finding] = []
        for finding in examine(self.topics):
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
