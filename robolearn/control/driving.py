"""Episodes on a real arm: motors stop first, files are saved afterwards."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from robolearn.agents.agent import Agent
from robolearn.agents.devices.display import Display, Phase, Status
from robolearn.agents.devices.requests import Request
from robolearn.control.keys import Keys, request_keys
from robolearn.control.loop import Observer, run_episode
from robolearn.control.watch import Watch
from robolearn.environments.arms.environment import LeRobotEnvironment
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step
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
    """What the person beside an arm that drives by itself wants.

    STOP stops the arm at once; START ends an episode, and lets the next one begin; KEEP and
    KEEP_FAILURE end it and say that it succeeded or failed; what else can be asked is of those who
    record. t takes over from the policy, and gives back.

    Args:
        environment: whose arm it is.

    Attributes:
        stopped: the arm was stopped.
        driving: the person has taken over.
        success: what was said of the episode.
    """

    keys_told = "Space or Escape: halt   Enter: end the episode   y, n: it succeeded, failed"

    def __init__(self, environment: LeRobotEnvironment) -> None:
        self._environment = environment
        self.stopped = self.driving = self._said_so = False
        self.success: bool | None = None

    def keys(self) -> Keys:
        """The keyboard; a context manager."""
        return Keys({**request_keys(self.ask), "t": self._take_over})

    def ask(self, request: Request) -> None:
        """Do what was asked for by a key or a button, from any thread."""
        match request:
            case Request.STOP:
                self.stop()
            case Request.START:
                self._said_so = True
                self._end()
            case Request.KEEP | Request.KEEP_FAILURE:
                self._judge(success=request is Request.KEEP)
            case Request.DISCARD | Request.REDO:
                """Of those who record."""

    def await_word(self) -> None:
        """Until START, and nothing else, or the arm is stopped.

        Raises:
            ArmError: the process that holds the arm does not answer.
        """
        self._said_so = False
        while not (self._said_so or self.stopped):
            self._environment.wait()

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
        seed: that it was begun with.
        outcome: how it ended.
        kept: number in the dataset; None where it was not recorded.
        halted: why the arm was halted, if it was.
        success: what the person said of it, or else what is known of it.
        held: likewise, at its last step.
        late: control steps for which no action came in time.
        changed: control steps that the supervisor changed, by reason, in words.
        interventions: control steps that the person drove.
    """

    number: int
    seed: int
    outcome: Outcome
    kept: int | None
    halted: str
    success: bool | None
    held: bool | None
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
    seeds: Iterable[int],
    images: CodecName = "lossless",
    lookers_on: Sequence[Observer] = (),
    displays: Sequence[Display] = (),
    put_back: bool = False,
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
        seeds: of the episodes.
        images: how they are kept.
        lookers_on: observers that come after those that stop the motors and save.
        displays: that the person is shown on how it goes.
        put_back: before each episode, wait until the person says that things are in place.

    Raises:
        ArmError: the arm cannot go on.
        FeatureMismatch: its episodes do not fit the others of the dataset.
        Exception: whatever the agent raises; the arm is halted first, and what was recorded is
            kept in a journal.
    """
    if writer is not None:
        writer.require_same_features(environment.context)
    for number, seed in enumerate(seeds, 1):
        showing = _Showing(displays, environment, number, episodes)
        if put_back and number <= episodes:
            showing.await_word(person)
        if person.stopped or number > episodes:
            showing.end()
            return
        person.success = None
        counter = _Interventions()
        recorder = None if writer is None else Recorder(writer.journal(), agent_name, images=images)
        observers: list[Observer] = [MotorsFirst(environment), counter]
        if recorder is not None:
            observers.append(recorder)
        observers += lookers_on
        observers.append(showing.watch)
        outcome = run_episode(environment, agent, observers, seed=seed)
        kept = None
        said = person.success
        if recorder is not None and writer is not None and outcome.steps:
            recorder.label(replace(labels, success=said))
            kept = recorder.keep(writer)
        yield Driven(
            number=number,
            seed=seed,
            outcome=outcome,
            kept=kept,
            halted=environment.halted,
            success=outcome.success if said is None else said,
            held=outcome.success_at_end if said is None else said,
            late=environment.late,
            changed=environment.changed_in_words,
            interventions=counter.steps,
        )


class _Showing:
    """Displays that show how an episode goes.

    Args:
        displays: that the person is shown on how it goes.
        environment: the arm.
        number: of the episode, from 1.
        episodes: how many there are to be.

    Attributes:
        watch: an observer, by which they show it.
    """

    def __init__(
        self,
        displays: Sequence[Display],
        environment: LeRobotEnvironment,
        number: int,
        episodes: int,
    ) -> None:
        self._displays, self._environment = displays, environment
        self._number, self._episodes = number, episodes
        self.watch = Watch(lambda step: self._show("deploying", step.next_observation))

    def await_word(self, person: Person) -> None:
        """Show that things are to be put back, until the person says that they are."""
        self._show("resetting", self._environment.observe())
        person.await_word()

    def end(self) -> None:
        """Show that there are no more episodes."""
        self._show("ended", self._environment.observe())

    def _show(self, phase: Phase, observation: Observation) -> None:
        environment = self._environment
        rate = environment.context.rate
        status = Status(
            phase=phase,
            kept=self._number - 1,
            wanted=self._episodes,
            seconds=self.watch.seconds,
            limit=environment.horizon / rate,
            rate=self.watch.rate,
            wanted_rate=rate,
            missed=environment.late,
            dropped=0,
            success=observation.success,
            notice=environment.halted,
        )
        for display in self._displays:
            display.show(status, observation)


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
