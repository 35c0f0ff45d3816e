"""``robolearn check``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robolearn.cli.command import Command


@dataclass(frozen=True, kw_only=True)
class Check(Command):
    """Say everything that is wrong with a dataset, naming episode, stream and frames.

    An error is what cannot be read or is wrong; a warning is what somebody should look at. The exit
    status is 1 where there is an error.

    Example: robolearn check datasets/lift

    Attributes:
        dataset: a dataset of any form.
        strict: the exit status is 1 where there is a warning, too.
    """

    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
    strict: bool = False

    def run(self) -> int:
        from robolearn.episodes.curation.check import Examination
        from robolearn.episodes.curation.problems import Problem, in_words, ranges_of, summarised

        examination = Examination.of(self.dataset)
        problems: list[Problem] = []
        with self.console.progress("check") as progress:
            done = 0
            for found in examination.run():
                problems += found
                if examination.episodes > done:
                    done = examination.episodes
                    progress(done, len(examination), "episodes")
        for line in summarised(problems):
            self.console.say(line)
        if unread := examination.unread:
            numbers = in_words(ranges_of(unread))
            self.console.say(f"unreadable, so their frames were not checked: episodes {numbers}")
        errors = sum(problem.severity == "error" for problem in problems)
        warnings = len(problems) - errors
        verdict = (
            f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}"
            if problems
            else "nothing is wrong"
        )
        self.console.say(
            f"{self.dataset}: {_counted(len(examination), 'episode')}, "
            f"{_counted(examination.frames, 'frame')}: {verdict}"
        )
        self.console.result(
            {
                "dataset": self.dataset,
                "episodes": len(examination),
                "frames": examination.frames,
                "unread": unread,
                "errors": errors,
                "warnings": warnings,
                "problems": [problem.to_json() for problem in problems],
            }
        )
        return int(bool(errors or (self.strict and warnings)))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
