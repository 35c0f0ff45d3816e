"""What all commands share: their arguments' parsing and two options."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robolearn.cli.console import Console
from robolearn.errors import ConfigurationError
from robolearn.shelf import validate

if TYPE_CHECKING:
    from robolearn.learning.run import Run

_HELP_TEXT_INDENT = " " * 8


class Stopped(KeyboardInterrupt):
    """The user pressed Ctrl-C; the message says what is kept and how to go on."""

    @classmethod
    def with_kept(cls, run: Run) -> Stopped:
        """In the middle of a run."""
        if run.policy.is_dir():
            return cls(f"it was finished; the policy is in {run.policy}")
        if not run.has_checkpoint:
            return cls("nothing was done yet that could be kept")
        return cls(f"what was done is kept in {run.path}; the same command with --resume goes on")


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """One command with its arguments.

    Attributes:
        json: print the result as JSON on standard output, for machines.
        debug: show the traceback of an error.
    """

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    debug: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False

    @abstractmethod
    def run(self) -> int:
        """Do it and return the exit status."""

    @classmethod
    def defaults(cls, arguments: Sequence[str]) -> Any:  # noqa: ARG003  for those who look at them
        """An instance with what the command line leaves out; None for the class's own."""
        return None

    @property
    def console(self) -> Console:
        return Console(as_json=self.json)


def config_named(arguments: Sequence[str]) -> Path | None:
    """The file that the last ``--config`` of a command line names; None where there is none."""
    given = [
        Path(argument.removeprefix("--config="))
        if argument.startswith("--config=")
        else Path(following)
        for argument, following in itertools.pairwise([*arguments, ""])
        if argument.startswith("--config=") or (argument == "--config" and following)
    ]
    return given[-1] if given else None


def parse[C: Command](command: type[C], name: str, arguments: Sequence[str]) -> C:
    """A command from its command line.

    Args:
        command: its class.
        name: for the help.
        arguments: that follow the name.

    Raises:
        ConfigurationError: an argument is unknown, missing or out of its range.
        SystemExit: 0, after ``--help``.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            parsed: C = tyro.cli(
                command,
                args=list(arguments),
                prog=name,
                default=command.defaults(arguments),
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.CascadeSubcommandArgs),
            )
    except SystemExit as exit_:
        if exit_.code == 0:
            raise
        raise ConfigurationError(f"{_one_line(complaint.getvalue())} (see {name} --help)") from None
    try:
        return validate(parsed)
    except ConfigurationError as error:
        raise ConfigurationError(_option_names(str(error))) from error


def _option_names(message: str) -> str:
    """A message about a field as one about its option."""
    field, colon, reason = message.partition(": ")
    for group in ("cloning.", "change.", "finetuning."):
        field = field.removeprefix(group)
    option = field.replace("_", "-")
    return f"--{option}{colon}{reason}"


def _one_line(box: str) -> str:
    """What tyro says in its box, without the help texts that it repeats there, indented.

    Its lines are spaces and hyphens where the terminal's encoding has none.
    """
    rows = [line[2:].rstrip(" │╯") for line in box.splitlines()[1:]]
    sections: list[list[str]] = [[]]
    for row in rows:
        if row and set(row) <= {"─", "-"}:
            sections.append([])
        elif not row.startswith(_HELP_TEXT_INDENT):
            sections[-1].append(row.strip())
    messages = [" ".join(section) for section in sections]
    return "; ".join(
        re.sub(r"^Missing from .*?:", "missing:", message)
        for message in messages
        if message and not message.startswith(("For full helptext", "Argument helptext"))
    )
