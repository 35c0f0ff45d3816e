"""The `robolearn` command. Imports nothing slow: a command is imported when it is used."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from robolearn import __version__

if TYPE_CHECKING:
    from robolearn.cli.command import Command

DONE, ANSWER_IS_NO, WRONG_REQUEST, STOPPED = 0, 1, 2, 130
"""Exit status: done; done, and the answer is no; cannot be done as asked; stopped by Ctrl-C."""

COMMANDS = {
    "quickstart": ("Quickstart", "record, train, evaluate and look at a first policy"),
    "record": ("Record", "record demonstrations"),
    "info": ("Info", "say what a dataset holds"),
    "check": ("Check", "say everything that is wrong with a dataset"),
    "convert": ("Convert", "copy a dataset into another form, or fill in what states imply"),
    "edit": ("Edit", "delete, trim, split, join, merge, label or re-split episodes"),
    "train": ("Train", "clone a policy from demonstrations"),
    "finetune": ("Finetune", "let a policy practise in the simulator, guided by demonstrations"),
    "evaluate": ("Evaluate", "try a policy in the simulator and give its success rate"),
    "deploy": ("Deploy", "let a policy drive a real arm, safely"),
    "serve": ("Serve", "let a policy decide for an arm on another machine"),
    "replay": ("Replay", "do recorded actions again in the simulator and compare"),
    "view": ("View", "look at a dataset in Rerun, or at the report of a run"),
    "virtual-arm": ("VirtualArm", "start an SO-101 without hardware, for any program"),
    "doctor": ("Doctor", "say what this machine can do, and what to do about the rest"),
}
"""Class and summary of each command; its module has the command's name, ``_`` for ``-``."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # rather than fail at a folder's name
    # Being told to end, or a terminal that is closed, is to finish cleanly, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not so under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    sys.unraisablehook = _stop_all_the_same
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command, and turn what goes wrong into one line and a status.

    Args:
        arguments: what follows ``robolearn`` on the command line.

    Returns:
        The exit status.
    """
    try:
        return _run([argument for argument in arguments if argument != "--debug"])
    except KeyboardInterrupt as stop:
        # An instance of Stopped says more, but importing it here would slow --help down.
        return _fail(str(stop) or "what was finished before is intact", STOPPED, "stopped")
    except BrokenPipeError:
        # The reader of a pipe has gone; Python would complain of that once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG_REQUEST
    except Exception as error:
        if _came_of_ctrl_c(error):
            return _fail("what was finished before is intact", STOPPED, "stopped")
        if "--debug" in arguments:
            traceback.print_exc()
            return WRONG_REQUEST
        return _fail(_explain(error))


def _run(arguments: Sequence[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in {"-h", "--help", "help"}:
        sys.stdout.write(_help())
        sys.stdout.flush()
        return DONE
    if name == "--version":
        sys.stdout.write(f"robolearn {__version__}\n")
        return DONE
    if name not in COMMANDS:
        return _fail(f"there is no command {name!r}; the commands are {', '.join(COMMANDS)}")
    return make_command(name, rest).run()


def _stop_all_the_same(unraisable: sys.UnraisableHookArgs) -> None:
    """Press Ctrl-C again where it struck code that can raise nothing, such as a destructor.

    Python would say so and go on, and the user's Ctrl-C would be lost.
    """
    if unraisable.exc_type is KeyboardInterrupt:
        main_thread = threading.main_thread().ident
        # A little later, when this code is left.
        again = threading.Timer(0.01, signal.pthread_kill, (main_thread, signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _came_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether Ctrl-C is what failed, as where it strikes while a compiled module is imported.

    What failed while Ctrl-C was answered, because the disk is full for example, is an error.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _explain(error: Exception) -> str:
    from robolearn.errors import RobolearnError

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            "the disk is full; free some space and run the same command again, "
            "what was finished before is intact"
        )
    if _is_out_of_memory(error):
        return (
            "there is not enough memory; free some, or ask for less: to train, a smaller --batch, "
            "network or --policy.horizon, or --accumulate; to practise, fewer --episodes, or a "
            "smaller --update.off-policy.batch, --update.ppo.batch or --cloning-batch"
        )
    if isinstance(error, RobolearnError | OSError):
        return str(error)
    return f"this should not happen: {type(error).__name__}: {error} (--debug shows where)"


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, of the machine or of a GPU.

    torch tells it by a RuntimeError's words. Its class for GPUs is one, too, and says the first.
    """
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in said for words in ("out of memory", "allocate memory", "alloc_failed"))
    )


def make_command(name: str, arguments: Sequence[str]) -> Command:
    """A command from its command line.

    Args:
        name: one of `COMMANDS`.
        arguments: that follow the name.

    Raises:
        ConfigurationError: the arguments do not fit.
        SystemExit: 0, after ``--help``.
    """
    from robolearn.cli.command import parse

    command: type[Command] = getattr(
        importlib.import_module(f"robolearn.cli.{name.replace('-', '_')}"), COMMANDS[name][0]
    )
    return parse(command, f"robolearn {name}", arguments)


def _fail(message: str, status: int = WRONG_REQUEST, kind: str = "error") -> int:
    with contextlib.suppress(OSError):  # the terminal is gone
        sys.stderr.write(f"robolearn: {kind}: {' '.join(message.split())}\n")
    return status


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    return (
        "robolearn: a robot arm goes from demonstrations to a working policy\n\n"
        f"usage: robolearn COMMAND ...\n\n{lines}\n\n"
        "  robolearn COMMAND --help   says what a command takes, with an example\n"
        "  robolearn --version\n\n"
        "start here: robolearn quickstart\n"
    )
