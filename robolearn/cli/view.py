"""``robolearn view``."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from pydantic import Field

from robolearn.cli.command import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    from robolearn.episodes.dataset import Dataset
    from robolearn.learning.rewards.learnt import LearntReward
    from robolearn.policies.policy import Policy

_FEW = 50
"""Episodes that are laid out where nobody says which: of thousands it would take minutes."""


@dataclass(frozen=True, kw_only=True)
class View(Command):
    """Look at a dataset or a recording in Rerun, or at the report of a run.

    In a window, with --web in a browser on this machine, or with --save in a file for later. What a
    run's evaluation left shows where the policy's mixture puts its modes and, if it was fine-tuned,
    what the reward that it learnt says of each step.

    Example: robolearn view datasets/lift --episode 3

    Example: robolearn view datasets/lift --episode 0 1 2 --overlay --web

    Example: robolearn view demos --all --save demos.rrd

    Attributes:
        path: a dataset of any form, a run or policy folder, an .rrd recording or a report.
        episode: numbers of the episodes to show; without them, the first fifty.
        all: show every episode.
        overlay: show episodes over each other, from one time zero, a colour each, to compare them.
        web: serve it to a browser on this machine, until Ctrl-C; the address is printed.
        port: of the page; the one after it is used, too.
        save: write the recording to this .rrd file instead of showing it.
        policy: a run or policy folder that is asked at each frame where its modes are.
        reward: a run of robolearn finetune whose learnt reward is asked of each step.
    """

    path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")]
    episode: tuple[Annotated[int, Field(ge=0)], ...] = ()
    all: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    overlay: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    web: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    port: Annotated[int, Field(ge=1024, lt=65535)] = 9090
    save: Path | None = None
    policy: Path | None = None
    reward: Path | None = None

    def run(self) -> int:
        from robolearn.errors import ConfigurationError, DatasetError
        from robolearn.learning.run import Run
        from robolearn.policies.checkpoint import is_policy
        from robolearn.viewing.screen import open_report

        if not self.path.exists():
            raise DatasetError(f"there is no {self.path}")
        has_report = Run(self.path).config.is_file() or is_policy(self.path)
        if self.save is not None and self.save.suffix != ".rrd":
            raise ConfigurationError(f"--save {self.save}: name a file that ends in .rrd")
        if self.save is not None and self.web:
            raise ConfigurationError("either --save a file or look at it in the --web browser")
        if self.all and self.episode:
            raise ConfigurationError("either --all or the numbers of some with --episode")
        if self.path.suffix in {".rrd", ".html"} or has_report:
            self._require_dataset()
            shown = Run(self.path).report if has_report else self.path
            if not shown.is_file():
                raise DatasetError(
                    f"there is no {shown}: train or finetune to its end, or evaluate, writes it"
                )
            if shown.suffix == ".rrd":
                self._show(shown)
            else:
                open_report(shown)
        else:
            self._lay_out_and_show()
        self.console.result({"shown": self.save or self.path})
        return 0

    def _lay_out_and_show(self) -> None:
        """Make a recording of a dataset, in the file asked for or in one that is shown."""
        from robolearn.viewing.viewer import require_display

        lay_out = self._laying_out()
        if self.save is not None:
            lay_out(self.save)
            self.console.say(f"recording in {self.save}")
        else:
            if not self.web:
                require_display(f"look in a browser with --web, or --save {self.path.stem}.rrd")
            with tempfile.TemporaryDirectory(prefix="robolearn-") as folder:
                file = Path(folder) / f"{self.path.stem}.rrd"
                lay_out(file)
                self._show(file)

    def _require_dataset(self) -> None:
        """Refuse options that only a dataset can have.

        Raises:
            ConfigurationError: there is one.
        """
        from robolearn.errors import ConfigurationError

        for name in ("save", "episode", "all", "overlay", "policy", "reward"):
            if getattr(self, name):
                raise ConfigurationError(f"--{name} needs a dataset, which {self.path} is not")

    def _show(self, file: Path) -> None:
        """Show a recording until its window is closed, or the page until Ctrl-C."""
        from robolearn.viewing.rrd import look_over
        from robolearn.viewing.viewer import in_browser, in_window

        if not look_over(file):
            self.console.say(f"{file} is cut off at its end; what is before that is shown")
        with in_browser(file, self.port) if self.web else in_window(file) as viewer:
            if viewer.address is not None:
                self.console.say(f"look at {viewer.address}   (Ctrl-C ends it)")
            with contextlib.suppress(KeyboardInterrupt):
                viewer.wait()

    def _laying_out(self) -> Callable[[Path], None]:
        """What writes the recording: all that can be refused is refused before.

        Raises:
            RobolearnError: the request is wrong, or does not fit the dataset.
        """
        from robolearn.episodes.formats import open_dataset
        from robolearn.errors import ConfigurationError
        from robolearn.viewing.comparison import save_comparison
        from robolearn.viewing.recording import save_recording

        dataset = open_dataset(self.path)
        numbers = self._chosen(dataset)
        if self.overlay and len(numbers) < 2:
            raise ConfigurationError("--overlay compares episodes: name two or more with --episode")
        policy, reward = self._learnt()
        if self.overlay and (self.policy or self.reward):
            raise ConfigurationError(
                "--policy and --reward are of one episode, not of an --overlay"
            )
        write = (
            partial(save_comparison, dataset)
            if self.overlay
            else partial(save_recording, dataset, policy=policy, reward=reward)
        )

        def lay_out(recording: Path) -> None:
            with self.console.progress(f"laying out {self.path}") as progress:
                notices = write(
                    recording, title=self.path.name, episodes=numbers, progress=progress
                )
            for notice in notices:
                self.console.say(notice)

        return lay_out

    def _chosen(self, dataset: Dataset) -> list[int]:
        """Numbers of the episodes to show.

        Raises:
            DatasetError: there is none, or no such one.
        """
        from robolearn.errors import DatasetError

        there = [summary.number for summary in dataset.summaries]
        if not there:
            raise DatasetError(f"there is no episode in {self.path}")
        if self.episode:
            dataset.indices(self.episode)
            return list(dict.fromkeys(self.episode))
        if not self.all and len(there) > _FEW:
            self.console.say(
                f"the first {_FEW} of {len(there)} episodes; --all for all, --episode for some"
            )
            return there[:_FEW]
        return there

    def _learnt(self) -> tuple[Policy | None, LearntReward | None]:
        """The policy and the reward that are asked, those of the run that left the episodes too."""
        from robolearn.learning.rewards.learnt import load_reward
        from robolearn.learning.run import Run
        from robolearn.policies.checkpoint import load_policy

        run = Run(self.path.parent)
        evaluated = run.policy.is_dir() and self.path.resolve() == run.evaluation_episodes.resolve()
        of_policy = self.policy or (run.path if evaluated else None)
        of_reward = self.reward or (run.path if evaluated and run.reward.is_dir() else None)
        policy = None if of_policy is None else load_policy(of_policy)
        if of_reward is None:
            return policy, None
        return policy, load_reward(Run(of_reward).reward, load_policy(of_reward))
