"""``robolearn quickstart``."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tomli_w
from pydantic import Field

from robolearn.cli.command import Command, Stopped
from robolearn.cli.main import make_command
from robolearn.control.workers import available_cores
from robolearn.errors import FolderInUse
from robolearn.folders import claimed, write_file
from robolearn.learning.config import CloningConfig
from robolearn.shelf import STRICT, read_toml

if TYPE_CHECKING:
    from robolearn.learning.run import Run

_REQUEST = "quickstart.toml"
"""Marks a folder as a quickstart's, and says what was asked for."""


@dataclass(frozen=True)
class Request:
    """What a quickstart was asked for: with another request, its folder cannot be gone on with."""

    target: str
    demonstrations: int
    episodes: int
    steps: int
    seed: int

    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class Quickstart(Command):
    """Record demonstrations, clone a policy, try it in the simulator, and show what happened.

    Each step is a command of its own, and is named. Stopped in between, the same command goes on
    where it was; finished, it says where the report is.

    Example: robolearn quickstart --out quickstart

    Attributes:
        out: the folder for everything.
        target: the task: sim:NAME, or the path of its TOML file.
        demonstrations: to record.
        episodes: to evaluate.
        steps: of training.
        seed: of the demonstrations and the training; evaluation always uses the same other seeds.
        processes: simulators at once; they do not change the result.
    """

    out: Path = Path("quickstart")
    target: str = "sim:lift"
    demonstrations: Annotated[int, Field(ge=1)] = 50
    episodes: Annotated[int, Field(ge=1)] = 50
    steps: Annotated[int, Field(ge=1)] = CloningConfig().steps
    seed: Annotated[int, Field(ge=0)] = 0
    processes: Annotated[int, Field(ge=1)] = available_cores()

    def run(self) -> int:
        from robolearn.environments.task import load_task
        from robolearn.learning.run import Run
        from robolearn.learning.success import Evaluation

        load_task(self.target)  # before anything is made
        began = time.monotonic()
        run = Run(self.out / "run")
        with self._folder():
            try:
                with contextlib.redirect_stdout(sys.stderr if self.json else sys.stdout):
                    steps_done = self._do_steps(run)
            except (KeyboardInterrupt, Stopped) as stopped:
                what = f"{stopped}; " if isinstance(stopped, Stopped) else ""
                raise Stopped(f"{what}robolearn quickstart --out {self.out} goes on") from None
        evaluation = Evaluation.read(run.evaluation)
        if steps_done:
            self.console.say(f"\nDone in {time.monotonic() - began:.0f} s: {evaluation}")
        else:
            self.console.say(f"{self.out} is finished: {evaluation}")
        shown = {
            run.path: "the report",
            self._demonstrations_recording: "the demonstrations",
            self._evaluation_recording: "the policy at work",
        }
        width = max(len(str(path)) for path in shown)
        for path, what in shown.items():
            self.console.say(f"  robolearn view {path!s:{width}}   {what}")
        self.console.result(evaluation.to_json() | {"report": run.report, "run": run.path})
        return 0

    @property
    def _demonstrations_recording(self) -> Path:
        return self.out / "demonstrations.rrd"

    @property
    def _evaluation_recording(self) -> Path:
        return self.out / "evaluation.rrd"

    def _do_steps(self, run: Run) -> int:
        """Do what is not yet done; returns how many steps that were."""
        from robolearn.episodes.dataset import count_episodes

        dataset = self.out / "demonstrations"
        missing = self.demonstrations - count_episodes(dataset)
        simulators = (
            [] if self.processes == available_cores() else ["--processes", str(self.processes)]
        )
        training = ["--steps", str(self.steps), "--seed", str(self.seed)]
        steps = [
            (
                missing <= 0,
                ["record", self.target, "--to", str(dataset), "--episodes", str(missing)]
                + ["--seed", str(self.seed), *simulators],
            ),
            (
                run.policy.is_dir(),
                ["train", str(dataset), "--to", str(run.path), *training]
                + (["--resume"] if run.config.is_file() else []),
            ),
            (
                run.evaluation.is_file(),
                ["evaluate", str(run.path), "--on", self.target, "--episodes", str(self.episodes)]
                + simulators,
            ),
            (
                self._demonstrations_recording.is_file(),
                ["view", str(dataset), "--save", str(self._demonstrations_recording)],
            ),
            (
                self._evaluation_recording.is_file(),
                ["view", str(run.evaluation_episodes), "--save", str(self._evaluation_recording)],
            ),
        ]
        waiting = [arguments for done, arguments in steps if not done]
        for number, arguments in enumerate(waiting, start=1 + len(steps) - len(waiting)):
            self.console.say(f"[{number}/{len(steps)}] robolearn {shlex.join(arguments)}")
            make_command(arguments[0], arguments[1:]).run()
        if waiting:
            from robolearn.cli.report import report

            report(
                run,
                recordings=[self._demonstrations_recording, self._evaluation_recording],
                commands=[f"robolearn {shlex.join(arguments)}" for _, arguments in steps],
            )
        return len(waiting)

    @contextlib.contextmanager
    def _folder(self) -> Iterator[None]:
        """Make the folder, or find that it is this quickstart's, and keep others out meanwhile."""
        request = Request(self.target, self.demonstrations, self.episodes, self.steps, self.seed)
        marker = self.out / _REQUEST
        with claimed(self.out, "quickstart", marker=_REQUEST):
            if not marker.is_file():
                write_file(marker, tomli_w.dumps(asdict(request)))
            elif (before := read_toml(marker, Request)) != request:
                options = " ".join(f"--{key} {value}" for key, value in asdict(before).items())
                raise FolderInUse(
                    f"the folder {self.out} is in use by a quickstart with {options}; "
                    "ask for the same, or name another folder with --out"
                )
            yield
