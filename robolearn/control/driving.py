"""Episodes on a real arm: motors stop first, files are saved afterwards."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from robolearn.agents.agent import Agent
from robolearn.control.keys import ESCAPE, Keys
from robolearn.control.loop import Observer, run_episode
from robolearn.environments.arms.environment import LeRobotEnvironment
from robolearn.episodes.episode import require_same_features
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter
from robolearn.episodes.frames import EpisodeContext, Outcome, Step
from robolearn.episodes.images import CodecName
from robolearn.episodes.labels import Labels
from robolearn.episodes.recorder import Recorder
from robolearn.errors import ArmError

_MEASURED = 20


class MotorsFirst:
    """The first of an episode's observers: brings the arm to rest before the others save anything.

    Args:
        environment: whose arm it is.
    """

    def __init__(self, environment: LeRobotEnvironment) -> None:
        self._environment = environment

    def on_reset(self, context: EpisodeContext) -> None:
        """Nothing is to be stopped yet."""

    def on_step(self, step: Step) -> None:
        """Nor here."""

    def on_end(self, outcome: Outcome) -> None:
        """Halt after what broke off; otherwise the arm rests where it was sent last."""
        try:
            if outcome.ended == "interrupted":
                self._environment.halt()
            else:
                self._environment.rest()
        except ArmError:
            """The process that holds the arm is gone: nothing can be stopped, but files saved."""


class Person:
    """What the person beside the arm wants, by keys.

    Space and Escape stop the arm at once; Enter ends the episode; s and f end it and say that it
    succeeded or failed; t takes over from the policy, and gives back.

    Args:
        environment: whose arm it is.

    Attributes:
        stopped: the arm was stopped.
        driving: the person has taken over.
        success: what was said of the episode.
    """

    def __init__(self, environment: LeRobotEnvironment) -> None:
        self._environment = environment
        self.stopped = self.driving = False
        self.success: bool | None = None

    def keys(self) -> Keys:
        """The keyboard; a context manager."""
        return Keys(
            {
                " ": self.stop,
                ESCAPE: self.stop,
                "\n": self._end,
                "s": lambda: self._judge(success=True),
                "f": lambda: self._judge(success=False),
                "t": self._take_over,
            }
        )

    def stop(self) -> None:
        """Stop the arm, and all that was to come."""
        self.stopped = True
        self._environment.stop_at_once()

    def _end(self) -> None:
        self._environment.stop = True

    def _judge(self, *, success: bool) -> None:
        self.success = success
        self._end()

    def _take_over(self) -> None:
        self.driving = not self.driving


@dataclass(frozen=True)
class Driven:
    """One episode on an arm.

    Attributes:
        number: counted from 1.
        outcome: how it ended.
        kept: number in the dataset; None where it was not recorded.
        halted: why the arm was halted, if it was.
        late: control steps for which no action came in time.
        changed: control steps that the supervisor changed, by reason, in words.
        interventions: control steps that the person drove.
    """

    number: int
    outcome: Outcome
    kept: int | None
    halted: str
    late: int
    changed: dict[str, int] = field(default_factory=dict)
    interventions: int = 0


def drive(
    environment: LeRobotEnvironment,
    agent: Agent,
    agent_name: str,
    episodes: int,
    person: Person,
    writer: FolderWriter | None,
    labels: Labels,
    images: CodecName = "lossless",
    first_seed: int = 0,
) -> Iterator[Driven]:
    """Drive an arm for some episodes, one after the other.

    Args:
        environment: the arm.
        agent: that drives it.
        agent_name: recorded with each episode.
        episodes: how many.
        person: who stands beside it.
        writer: of the dataset that episodes are added to; None for none.
        labels: given to each episode.
        images: how they are kept.
        first_seed: of the first episode.

    Raises:
        ArmError: the arm cannot go on.
        FeatureMismatch: its episodes do not fit the others of the dataset.
        Exception: whatever the agent raises; the arm is halted first, and what was recorded is
            kept in a journal.
    """
    if writer is not None and len(writer):
        recorded = FolderDataset(writer.path).context
        require_same_features(recorded, environment.context, writer.path)
    for number in range(1, episodes + 1):
        if person.stopped:
            return
        person.success = None
        counter = _Interventions()
        recorder = None if writer is None else Recorder(writer.journal(), agent_name, images=images)
        observers: list[Observer] = [MotorsFirst(environment), counter]
        if recorder is not None:
            observers.append(recorder)
        environment.changed.clear()
        environment.late = 0
        outcome = run_episode(environment, agent, observers, seed=first_seed + number - 1)
        kept = None
        if recorder is not None and writer is not None and outcome.steps:
            recorder.label(
                Labels(
                    success=person.success,
                    task=labels.task,
                    operator=labels.operator,
                    notes=labels.notes,
                )
            )
            kept = recorder.keep(writer)
        yield Driven(
            number=number,
            outcome=outcome,
            kept=kept,
            halted=environment.halted,
            late=environment.late,
            changed={reason.text: n for reason, n in environment.changed.items()},
            interventions=counter.steps,
        )


class _Interventions:
    """Counts the control steps that a person drove."""

    def __init__(self) -> None:
        self.steps = 0

    def on_reset(self, context: EpisodeContext) -> None:
        self.steps = 0

    def on_step(self, step: Step) -> None:
        self.steps += step.intervention

    def on_end(self, outcome: Outcome) -> None:
        """All is counted."""


@dataclass(frozen=True)
class Latencies:
    """What takes how long, in seconds: medians.

    Attributes:
        read: the arm's joints.
        write: a target.
        supervisor: a step of it.
        cameras: age of each camera's latest image at a control step.
        decide: the longest from an observation to its action; None where there is no agent.
        step: a control step, which is how long an action waits at most.
    """

    read: float
    write: float
    supervisor: float
    cameras: dict[str, float]
    decide: float | None
    step: float

    def __str__(self) -> str:
        cameras = "".join(
            f", image of {name} {1e3 * age:.0f} ms old" for name, age in self.cameras.items()
        )
        decide = "" if self.decide is None else f", policy {1e3 * self.decide:.1f} ms"
        return (
            f"latency: joints {1e3 * self.read:.1f} ms, target {1e3 * self.write:.1f} ms, "
            f"supervisor {1e3 * self.supervisor:.2f} ms{cameras}{decide}; a control step lasts "
            f"{1e3 * self.step:.1f} ms"
        )


def measure(environment: LeRobotEnvironment, agent: Agent | None = None) -> Latencies:
    """Time an arm that stands still, and an agent that is asked and not obeyed.

    Raises:
        ArmError: the arm does not answer.
    """
    costs: list[tuple[float, float, float]] = []
    ages: dict[str, list[float]] = {}
    for _ in range(_MEASURED):
        tick = environment.wait()
        costs.append(tick.costs)
        for name, (_, arrived) in tick.images.items():
            ages.setdefault(name, []).append(tick.time - arrived)
    decide = None
    if agent is not None:
        times = []
        observation = environment.observe()
        for _ in range(_MEASURED):
            agent.reset(0)  # so that it decides anew each time
            began = time.monotonic()
            agent.act(observation)
            times.append(time.monotonic() - began)
        agent.reset(0)
        decide = max(times[1:])
    supervisor, write, read = (statistics.median(each) for each in zip(*costs, strict=True))
    return Latencies(
        read=read,
        write=write,
        supervisor=supervisor,
        cameras={name: statistics.median(each) for name, each in ages.items()},
        decide=decide,
        step=1 / environment.context.rate,
    )
