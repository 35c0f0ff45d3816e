"""The environments that one worker holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Literal

from robolearn.control.environment_rows import ObservationRows
from robolearn.environments.environment import Environment
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import RobolearnError, SimulationError

type MakeEnvironment = Callable[[], Environment]
type Command = Literal["reset", "act"]
type Failures = list[tuple[int, str]]
"""Rows whose environment raised, and what."""


def error_of(error: Exception) -> RobolearnError:
    """The error in a form that any process can read, in one line."""
    if isinstance(error, RobolearnError):
        return type(error)(_one_line(str(error)))
    return SimulationError(f"an environment cannot be made: {_describe(error)}")


class EnvironmentShare:
    """Some environments, which do what is asked of them one after the other.

    One that raises is closed, and made anew at its next reset; the others go on. Call `attach` once
    before `do`.

    Args:
        make_environment: makes one.
        count: how many.

    Raises:
        Exception: whatever making one raises.
    """

    def __init__(self, make_environment: MakeEnvironment, count: int) -> None:
        self._make = make_environment
        self._environments: list[Environment | None] = []
        try:
            for _ in range(count):
                self._environments.append(make_environment())
        except BaseException:
            self.close()
            raise
        first = self._environments[0]
        if first is None:
            raise ValueError("a share needs an environment")
        self.context: EpisodeContext = first.context
        self.horizon: int = first.horizon

    def attach(self, rows: Array) -> None:
        """Say where commands are read and observations written.

        Args:
            rows: one for each environment, of `row_type`.
        """
        self._chosen, self._seeds = rows["chosen"], rows["seed"]
        self._actions, self._sent = rows["action"], rows["sent"]
        self._seen = ObservationRows(rows, self.context.features)

    def do(self, command: Command) -> Failures:
        """Do a command in each environment that is chosen, and write down what is observed then.

        Returns:
            What went wrong.
        """
        failures: Failures = []
        for index in self._chosen.nonzero()[0].tolist():
            try:
                environment = self._environment(index)
                if command == "reset":
                    environment.reset(int(self._seeds[index]))
                else:
                    self._sent[index] = environment.act(self._actions[index].copy())
                self._seen.write(index, environment.observe())
            except Exception as error:  # an environment may raise whatever its simulator does
                failures.append((index, f"it raised {_describe(error)}"))
                self._discard(index)
        return failures

    def close(self) -> None:
        """Close all environments."""
        for index in range(len(self._environments)):
            self._discard(index)

    def _environment(self, index: int) -> Environment:
        environment = self._environments[index]
        if environment is None:
            environment = self._environments[index] = self._make()
        return environment

    def _discard(self, index: int) -> None:
        environment = self._environments[index]
        self._environments[index] = None
        if environment is not None:
            with contextlib.suppress(Exception):  # it is broken, and its memory is all that is left
                environment.close()


def _describe(error: Exception) -> str:
    said = _one_line(str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())
