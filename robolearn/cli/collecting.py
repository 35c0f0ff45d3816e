"""What ``robolearn record`` does where a person drives."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from robolearn.cli.command import Stopped
from robolearn.cli.console import counted

if TYPE_CHECKING:
    from robolearn.agents.devices.display import Display
    from robolearn.cli.driven import Driven
    from robolearn.cli.record import Record
    from robolearn.cli.screen import Lines, Screen
    from robolearn.control.collecting import Collected
    from robolearn.control.loop import Observer

_HOPELESS = 30
"""Failures at the beginning after which nothing better is expected where nobody is there."""


def collect(command: Record) -> int:
    """Record what a person does: with a device, a leader arm, or the arm itself."""
    from robolearn.agents.devices.requests import Requests
    from robolearn.cli.cues import Cues
    from robolearn.cli.driven import drive_arm, drive_task
    from robolearn.control.collecting import Collection, Plan
    from robolearn.control.simulation import seeds_after
    from robolearn.environments.targets import names_arm
    from robolearn.episodes.formats.folder import FolderWriter
    from robolearn.episodes.labels import Labels
    from robolearn.errors import ArmError, ConfigurationError

    if command.variation:
        raise ConfigurationError("--variation is of a task's script: a person varies")
    console = command.console
    with ExitStack() as held:
        writer = held.enter_context(FolderWriter(command.to))
        command.tell_of_episodes_in_flight(writer)
        requests = Requests()
        shown: Screen | Lines | None = None

        def say(text: str) -> None:
            (console if shown is None else shown).say(text)

        drive = drive_arm if names_arm(command.target) else drive_task
        driven = drive(command, requests, say, held)
        context = driven.environment.context
        shown = _shown(command, driven, held)
        for remark in driven.remarks:
            say(remark)
        displays: list[Display] = [shown, *driven.displays]
        if command.cues == "beep" and sys.stderr.isatty():
            displays.append(held.enter_context(Cues(sys.stderr)))
        lookers_on: list[Observer] = []
        if command.view is not None:
            live = held.enter_context(command.looking_on(context))
            displays.append(live)
            lookers_on.append(live)
        collection = Collection(
            driven.environment,
            driven.agent,
            command.by,
            requests,
            displays,
            lookers_on,
            writer,
            driven.pace,
            Plan(
                episodes=command.episodes,
                limit=driven.limit,
                hold=command.hold if driven.attended else driven.limit,
                failures=command.failures,
                labels=Labels(operator=command.operator, notes=command.notes),
                images=command.images,
                attended=driven.attended,
                put_back=driven.put_back,
            ),
        )
        thrown_away = kept = 0
        try:
            for collected in collection.episodes(seeds_after(writer, command.seed)):
                kept += collected.kept is not None
                thrown_away += collected.kept is None
                say(_told(collected))
                if not (driven.attended or kept) and thrown_away == _HOPELESS:
                    raise ArmError(f"each of the first {_HOPELESS} episodes failed")
        except KeyboardInterrupt:
            raise Stopped(
                f"{counted(kept, 'new episode')} kept, {command.to} has {len(writer)}"
                + (f"; {collection.told_of_unfinished}" if collection.unfinished else "")
            ) from None
        if collection.unfinished:
            say(collection.told_of_unfinished)
        say(
            f"{counted(kept, 'episode')} recorded, {thrown_away} thrown away; {command.to} has "
            f"{len(writer)}"
        )
        console.result(
            {
                "dataset": command.to,
                "recorded": kept,
                "failed": thrown_away,
                "unfinished": collection.unfinished,
                "episodes": len(writer),
            }
        )
    return 0


def _shown(command: Record, driven: Driven, held: ExitStack) -> Screen | Lines:
    """Where the person sees how it goes: a screen in a terminal, lines elsewhere."""
    from robolearn.cli.screen import Lines, Screen

    if command.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return Lines(command.console.say)
    title = f"{command.target} by {command.by} → {command.to}"
    return held.enter_context(Screen(title, driven.environment.context, driven.help))


def _told(collected: Collected) -> str:
    """An episode in one line."""
    said = {True: "success", False: "failure", None: "not known whether it succeeded"}
    became = "thrown away" if collected.kept is None else f"kept as episode {collected.kept}"
    steps = counted(collected.outcome.steps, "step")
    line = f"seed {collected.seed}: {steps}, {said[collected.success]}; {became}"
    line += "".join(f"; {reason} changed {number}" for reason, number in collected.changed.items())
    if collected.trouble:
        line += f"; the arm was brought to a halt: {collected.trouble}"
    if collected.missed:
        line += f"; {counted(collected.missed, 'deadline')} missed"
    if collected.dropped:
        line += f"; {counted(collected.dropped, 'image')} left out"
    return line
