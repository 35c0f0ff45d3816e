"""``robolearn replay``."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from pydantic import Field

from robolearn.cli.command import Command, Stopped
from robolearn.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from robolearn.control.replay import Comparison, Difference
    from robolearn.episodes.dataset import Dataset


@dataclass(frozen=True)
class _Replayed:
    """What became of one episode: a comparison, or why there is none."""

    number: int
    comparison: Comparison | None
    refused: str = ""

    @property
    def same(self) -> bool:
        """It is within the tolerance."""
        return self.comparison is not None and self.comparison.first is None

    def in_words(self, tolerance: float) -> str:
        """What came out."""
        found = self.comparison
        if found is None:
            return f"cannot be replayed: {self.refused}"
        if found.largest is None:
            return f"the same to the last bit in {found.frames} frames"
        text = f"{found.frames} frames, largest difference {found.largest}"
        if found.first is not None:
            text += f"; above {tolerance:g} from frame {found.first.frame} on"
            if found.first != found.largest:
                text += f" ({found.first})"
        if not found.own_model:
            text += "; its model is none of today's task, and is stored with six digits"
        return text

    def to_json(self) -> dict[str, Any]:
        found = self.comparison

        def described(difference: Difference | None) -> dict[str, Any] | None:
            return difference.to_json() if difference is not None else None

        return {
            "episode": self.number,
            "refused": self.refused or None,
            "same": self.same,
            "exact": found is not None and found.largest is None,
            "frames": found.frames if found else None,
            "largest": described(found.largest) if found else None,
            "first": described(found.first) if found else None,
            "own_model": found.own_model if found else None,
        }


@dataclass(frozen=True, kw_only=True)
class Replay(Command):
    """Do the recorded actions again in the simulator, and say whether the same comes out.

    Each episode begins with the simulator state of its first frame in the model that it was
    recorded in. States, observations, rewards and success are compared frame by frame. On the
    machine that recorded them they are the same to the last bit; on another one, last bits may
    differ, and what touches something makes more of them: give a --tolerance. The exit status is 1
    where an episode differs by more, or cannot be replayed.

    On a real arm it is the second pass of a recording by hand: the arm goes where each episode
    began, does what was done, and what its cameras see of that, without the hand, is recorded into
    another dataset. Space or Escape bring it to a halt at once; Enter ends an episode, and s and f
    say that it succeeded or failed. Exit status 1: one failed, or was broken off.

    Example: robolearn replay demos --episodes 0 3

    Example: robolearn replay dragged --on real:so101 --to clean

    Attributes:
        dataset: of any form that holds simulator states; for an arm, joint targets.
        on: task to replay on: sim:NAME, real:NAME, or the path of its TOML file. Without it, the
            task of the shelf that the dataset says it was recorded on.
        to: folder of the dataset that is recorded on an arm.
        episodes: their numbers, as `robolearn view` has them; without it, all.
        from_seed: begin by resetting the task with the recorded seed, instead of with the recorded
            state and model.
        tolerance: largest difference that counts as none, in the unit of what differs (m, rad, m/s,
            rad/s). The default is ten times the rounding of single precision near 1, in which
            observations are kept; 0 asks for the same bits.
    """

    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
    on: str | None = None
    to: Path | None = None
    episodes: tuple[int, ...] = ()
    from_seed: bool = False
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-6

    def run(self) -> int:
        from robolearn.control import replay
        from robolearn.control.recorded_task import recorded_target
        from robolearn.environments.targets import names_arm
        from robolearn.environments.task import load_task
        from robolearn.episodes.formats import open_dataset
        from robolearn.errors import ConfigurationError

        dataset = open_dataset(self.dataset)
        indices = self._indices(dataset)
        if self.on is not None and names_arm(self.on):
            from robolearn.cli.replaying import replay_on_arm

            return replay_on_arm(self, self.on, dataset, indices)
        if self.to is not None:
            raise ConfigurationError("--to: only what is replayed on an arm is recorded")
        target = self.on or recorded_target(dataset.context)
        task = load_task(target).with_cameras((), 1, 1)
        replayed: list[_Replayed] = []
        try:
            with (
                self.console.progress(f"replaying on {target}") as progress,
                closing(
                    replay.Replay(task, from_seed=self.from_seed, tolerance=self.tolerance)
                ) as player,
            ):
                for index in indices:
                    replayed.append(_replay(player, dataset, index))
                    differing = sum(not episode.same for episode in replayed)
                    progress(len(replayed), len(indices), f"{differing} differ")
        except KeyboardInterrupt:
            self._say(replayed)
            raise Stopped(f"{len(replayed)} of {len(indices)} episodes were replayed") from None
        return self._conclude(target, replayed, player.left_out)

    def _indices(self, dataset: Dataset) -> list[int]:
        from robolearn.errors import ConfigurationError

        places = {summary.number: index for index, summary in enumerate(dataset.summaries)}
        if not places:
            raise ConfigurationError(f"{self.dataset} has no episodes")
        for number in self.episodes:
            if number not in places:
                raise ConfigurationError(
                    f"{self.dataset} has no episode {number}; it has {len(places)}, from "
                    f"{min(places)} to {max(places)}"
                )
        chosen = dict.fromkeys(self.episodes) or places
        return [places[number] for number in chosen]

    def _say(self, replayed: list[_Replayed]) -> None:
        """A line for each episode, and one for those in a row of which the same is to be said."""
        from robolearn.episodes.curation.problems import in_words, ranges_of

        for text, alike in groupby(replayed, lambda episode: episode.in_words(self.tolerance)):
            numbers = [episode.number for episode in alike]
            many = "s" * (len(numbers) > 1)
            each = " each" * (len(numbers) > 1 and text.endswith("frames"))
            self.console.say(f"episode{many} {in_words(ranges_of(numbers))}: {text}{each}")

    def _conclude(self, target: str, replayed: list[_Replayed], left_out: set[str]) -> int:
        from robolearn.errors import SimulationError

        if all(episode.comparison is None for episode in replayed):
            raise SimulationError(
                f"{self.dataset}: none of {len(replayed)} episodes can be replayed on {target}: "
                f"{replayed[0].refused}"
            )
        self._say(replayed)
        found = [episode.comparison for episode in replayed if episode.comparison is not None]
        compared = sorted({name for comparison in found for name in comparison.compared})
        exact = sum(comparison.largest is None for comparison in found)
        same = sum(episode.same for episode in replayed)
        worst = max(
            (episode for episode in replayed if episode.comparison and episode.comparison.largest),
            key=_size,
            default=None,
        )
        if compared:
            self.console.say(f"compared: {', '.join(compared)}")
        for what in sorted(left_out):
            self.console.say(f"not compared: {what}")
        line = (
            f"{self.dataset} on {target}{', from the seeds' * self.from_seed}: {len(replayed)} "
            f"episodes, {sum(comparison.frames for comparison in found)} frames: "
            f"{exact} the same to the last bit"
        )
        if same > exact:
            line += f", {same - exact} within {self.tolerance:g}"
        if differing := len(found) - same:
            line += f", {differing} not within {self.tolerance:g}"
        if refused := len(replayed) - len(found):
            line += f", {refused} cannot be replayed"
        if worst is not None and worst.comparison is not None:
            line += (
                f"; the largest difference is {worst.comparison.largest}, episode {worst.number}"
            )
        self.console.say(line)
        self.console.result(
            {
                "dataset": self.dataset,
                "on": target,
                "from_seed": self.from_seed,
                "tolerance": self.tolerance,
                "same": same == len(replayed),
                "exact": exact == len(replayed),
                "compared": compared,
                "left_out": sorted(left_out),
                "episodes": [episode.to_json() for episode in replayed],
            }
        )
        return DONE if same == len(replayed) else ANSWER_IS_NO


def _replay(player: Any, dataset: Dataset, index: int) -> _Replayed:
    from robolearn.errors import DatasetError, SimulationError

    number = dataset.summaries[index].number
    try:
        return _Replayed(number, player.episode(dataset.episode(index)))
    except (DatasetError, SimulationError) as error:
        return _Replayed(number, None, str(error))


def _size(episode: _Replayed) -> float:
    largest = episode.comparison.largest if episode.comparison else None
    return largest.size if largest is not None else 0.0
