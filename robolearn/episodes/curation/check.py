"""All that is wrong with a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from robolearn.episodes.curation.check_files import CheckedFiles, checked_files
from robolearn.episodes.curation.check_frames import RUNNING_CHECKS, check_frames
from robolearn.episodes.curation.problems import Problem
from robolearn.errors import DatasetError


class Examination:
    """Looks at a dataset's files, then at one episode after the other, and says what is wrong.

    It goes on whatever it finds; one episode is in memory at a time, and of its images a few.

    Args:
        files: of the dataset.

    Attributes:
        episodes: looked at so far.
        frames: in those that could be read.
        unread: numbers of the episodes that could not be read, whose frames nothing is said of.
    """

    def __init__(self, files: CheckedFiles) -> None:
        self._files = files
        self.episodes = 0
        self.frames = 0
        self.unread: list[int] = []

    @classmethod
    def of(cls, path: Path) -> Examination:
        """An examination of the dataset at this path.

        Raises:
            DatasetError: there is none.
        """
        return cls(checked_files(path))

    def __len__(self) -> int:
        """Episodes there are."""
        return len(self._files.numbers)

    def run(self) -> Iterator[list[Problem]]:
        """The problems of the files, then of each episode, then what only all episodes tell."""
        yield list(self._files.problems())
        running = [check() for check in RUNNING_CHECKS]
        for index, number in enumerate(self._files.numbers):
            try:
                found = list(self._files.layout(index))
                episode = self._files.episode(index)
            except DatasetError as error:
                found = self._refused(index, number, str(error))
            else:
                found += check_frames(episode, number)
                for check in running:
                    found += check.see(number, episode)
                self.frames += len(episode)
            self.episodes += 1
            yield found
        yield [problem for check in running for problem in check.finish()]

    def _refused(self, index: int, number: int, reason: str) -> list[Problem]:
        """Where the files say in detail why an episode cannot be read, the reader need not."""
        self.unread.append(number)
        found: list[Problem] = []
        for look in (self._files.layout, self._files.refused):
            with contextlib.suppress(DatasetError):
                found += look(index)
        if not any(problem.severity == "error" for problem in found):
            found.append(Problem("error", "unreadable", reason, number))
        return found
