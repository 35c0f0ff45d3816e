"""``robolearn view``."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robolearn.cli.command import Command


@dataclass(frozen=True, kw_only=True)
class View(Command):
    """Look at a dataset or a recording in Rerun, or at the report of a run.

    A dataset that a run's evaluation left shows where the policy's mixture puts its modes.

    Example: robolearn view datasets/lift

    Attributes:
        path: a dataset of any form, a run or policy folder, an .rrd recording or a report.
        save: write the dataset's recording to this .rrd file instead of opening it.
    """

    path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")]
    save: Path | None = None

    def run(self) -> int:
        from robolearn.errors import ConfigurationError, DatasetError
        from robolearn.learning.run import Run
        from robolearn.policies.checkpoint import is_policy
        from robolearn.viewing.screen import open_recording, open_report, require_display

        if not self.path.exists():
            raise DatasetError(f"there is no {self.path}")
        has_report = Run(self.path).config.is_file() or is_policy(self.path)
        if self.save is not None and self.save.suffix != ".rrd":
            raise ConfigurationError(f"--save {self.save}: name a file that ends in .rrd")
        if self.path.suffix in {".rrd", ".html"} or has_report:
            if self.save is not None:
                raise ConfigurationError(f"--save needs a dataset, which {self.path} is not")
            shown = Run(self.path).report if has_report else self.path
            if not shown.is_file():
                raise DatasetError(f"there is no {shown}: train --resume or evaluate writes it")
            (open_recording if shown.suffix == ".rrd" else open_report)(shown)
        elif self.save is not None:
            self._save(self.save)
        else:
            require_display(f"add --save {self.path.stem}.rrd to lay it out in a file")
            with tempfile.TemporaryDirectory(prefix="robolearn-") as folder:
                self._save(Path(folder) / f"{self.path.stem}.rrd")
                open_recording(Path(folder) / f"{self.path.stem}.rrd")
            return 0
        self.console.result({"shown": self.save or self.path})
        return 0

    def _save(self, recording: Path) -> None:
        from robolearn.episodes.formats import open_dataset
        from robolearn.learning.run import Run
        from robolearn.policies.checkpoint import load_policy
        from robolearn.viewing.recording import save_recording

        run = Run(self.path.parent)
        evaluated = run.policy.is_dir() and self.path.resolve() == run.evaluation_episodes.resolve()
        with self.console.progress(f"laying out {self.path}") as progress:
            notices = save_recording(
                open_dataset(self.path),
                recording,
                title=self.path.name,
                policy=load_policy(run.path) if evaluated else None,
                progress=progress,
            )
        for notice in notices:
            self.console.say(notice)
        self.console.say(f"recording in {recording}")
