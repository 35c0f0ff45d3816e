"""What the person who collects demonstrations is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from robolearn.episodes.frames import Observation

type Phase = Literal["resetting", "ready", "recording", "judging", "deploying", "ended"]
"""Before a reset, until things are put back; after it, until the episode begins; in it; after it,
until it is kept or thrown away; in one that a policy drives; and after the last."""


@dataclass(frozen=True)
class Status:
    """How a collection is going.

    Attributes:
        phase: of the episode.
        kept: episodes kept so far.
        wanted: episodes to keep.
        seconds: since the episode began.
        limit: seconds after which it ends by itself.
        rate: control steps a second over the last seconds, Hz.
        wanted_rate: that they should be, Hz.
        missed: deadlines missed in this episode.
        dropped: frames that a live view or a slow disk left out in this episode.
        success: what the environment says, or the person, who overrules it; None where nobody does.
        notice: one line for the person, such as a hand that is held still; empty where all is well.
    """

    phase: Phase
    kept: int
    wanted: int
    seconds: float
    limit: float
    rate: float
    wanted_rate: float
    missed: int
    dropped: int
    success: bool | None
    notice: str


@runtime_checkable
class Display(Protocol):
    """Something that shows a collection to the person: a terminal, a page, a headset.

    It is called from the loop, and must take far less than a millisecond: it hands on and returns.
    A device that is one, too, is shown the collection that it drives.
    """

    def show(self, status: Status, observation: Observation | None) -> None:
        """Called at each control step, also while the hands wait in ``ready``, and when the phase
        changes. The observation is the newest one, with the cameras that were asked for.
        """
