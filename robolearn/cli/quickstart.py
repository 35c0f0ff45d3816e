"""``robolearn quickstart``."""

from __future__ import annotations

import contextlib
import shlex
import shutil
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
from robolearn.control.seeds import FIRST_EVALUATION_SEED
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
    seed: Annotated[int, Field(ge=0, lt=FIRST_EVALUATION_SEED)] = 0
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
                raise Stopped(f"{what}the same quickstart goes on with {self.out}") from None
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
        program = "robolearn" if shutil.which("robolearn") else sys.argv[0]
        width = max(len(str(path)) for path in shown)
        for path, what in shown.items():
            self.console.say(f"  {program} view {path!s:{width}}   {what}")
        self.console.result(evaluation.to_json() | {"report": run.report, "run": run.path})
        return 0

    @property
    def _demonstrations(self) -> Path:
        return self.out / "demonstrations"

    @property
    def _demonstrations_recording(self) -> Path:
        return self.out / "demonstrations.rrd"

    @property
    def _evaluation_recording(self) -> Path:
        return self.out / "evaluation.rrd"

    def _do_steps(self, run: Run) -> int:
        """Do what is not yet done; returns how many steps that were."""
        from robolearn.episodes.formats.folder import count_episodes

        missing = self.demonstrations - count_episodes(self._demonstrations)
        done = (
            missing <= 0,
            run.policy.is_dir(),
            run.evaluation.is_file(),
            self._demonstrations_recording.is_file(),
            self._evaluation_recording.is_file(),
        )
        lines = self._command_lines(run, missing, resume=run.config.is_file())
        waiting = [line for line, is_done in zip(lines, done, strict=True) if not is_done]
        for number, line in enumerate(waiting, start=1 + len(lines) - len(waiting)):
            self.console.say(f"[{number}/{len(lines)}] robolearn {shlex.join(line)}")
            make_command(line[0], line[1:]).run()
        if waiting:
            from robolearn.cli.report import report

            whole = self._command_lines(run, self.demonstrations, resume=False)
            report(
                run,
                recordings=[self._demonstrations_recording, self._evaluation_recording],
                commands=[f"robolearn {shlex.join(line)}" for line in whole],
            )
        return len(waiting)

    def _command_lines(self, run: Run, missing: int, *, resume: bool) -> list[list[str]]:
        """The steps, as one would type them.

        Args:
            run: to train.
            missing: demonstrations still to record.
            resume: the training was begun before.
        """
        demonstrations, evaluation = str(self._demonstrations), str(run.evaluation_episodes)
        seed, folder = ["--seed", str(self.seed)], str(run.path)
        simulators = (
            [] if self.processes == available_cores() else ["--processes", str(self.processes)]
        )
        return [
            ["record", self.target, "--to", demonstrations, "--episodes", str(missing)]
            + [*seed, *simulators],
            ["train", demonstrations, "--to", folder, "--steps", str(self.steps), *seed]
            + (["--resume"] if resume else []),
            ["evaluate", folder, "--on", self.target, "--episodes", str(self.episodes)]
            + simulators,
            ["view", demonstrations, "--save", str(self._demonstrations_recording)],
            ["view", evaluation, "--save", str(self._evaluation_recording)],
        ]

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
