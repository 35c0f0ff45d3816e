"""Collecting demonstrations from a person, one episode after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from robolearn.agents.devices.display import Display, Phase, Status
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.person import PersonAgent
from robolearn.control.attended import AttendedEnvironment, StopRequested
from robolearn.control.clock import Clock
from robolearn.control.loop import Observer, run_episode
from robolearn.control.watch import Watch
from robolearn.environments.environment import Environment
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import Observation, Outcome, Step
from robolearn.episodes.images import CodecName
from robolearn.episodes.labels import NO_LABELS, Labels
from robolearn.episodes.recorder import Recorder
from robolearn.errors import ArmError, DeviceError

if TYPE_CHECKING:
    from robolearn.environments.arms.environment import LeRobotEnvironment

_GRACE = 2.0
"""Seconds in which a person may overrule the environment's word that an episode succeeded."""


@dataclass(frozen=True)
class Plan:
    """What is to be collected.

    Attributes:
        episodes: how many, those that are thrown away not counted.
        limit: seconds after which an episode ends by itself.
        hold: seconds for which success must last before an episode ends by itself.
        failures: whether an episode that failed is kept where the person does not say.
        labels: given to each episode.
        images: how they are kept.
        attended: whether somebody is there who can begin, judge and stop. Otherwise episodes begin
            at once, and what the environment says decides on them.
        put_back: whether to wait before each reset until the person has put things back and says
            so: the arm moves by itself then.
    """

    episodes: int
    limit: float
    hold: float
    failures: bool = False
    labels: Labels = NO_LABELS
    images: CodecName = "lossless"
    attended: bool = True
    put_back: bool = False


@dataclass(frozen=True)
class Pace:
    """What keeps the time of an environment.

    Attributes:
        clock: of the episodes' control steps; None where the environment itself waits.
        wait: for one control step in which nothing is done.
        missed: deadlines missed since the episode began, from then on.
        first: observers that come before all others.
        trouble: why no episode can begin or go on; empty while one can.
        changed: control steps of the episode that were not as they were asked for, by reason.
    """

    clock: Clock | None
    wait: Callable[[], object]
    missed: Callable[[], int]
    first: tuple[Observer, ...] = ()
    trouble: Callable[[], str] = lambda: ""
    changed: Callable[[], Mapping[str, int]] = dict

    @classmethod
    def of_simulator(cls, rate: float) -> Pace:
        """A simulator is as fast as it can be, and is slowed down to the rate, Hz."""
        clock, idle = Clock(rate), Clock(rate)
        return cls(clock, idle.wait, lambda: clock.missed)

    @classmethod
    def of_arm(cls, environment: LeRobotEnvironment) -> Pace:
        """An arm has a clock of its own, and is brought to rest before anything is saved."""
        from robolearn.control.driving import MotorsFirst  # arms' libraries take long to import

        return cls(
            None,
            environment.wait,
            lambda: environment.late,
            (MotorsFirst(environment),),
            lambda: environment.trouble,
            lambda: environment.changed_in_words,
        )


@dataclass(frozen=True)
class Collected:
    """One episode that a person drove to its end.

    Attributes:
        seed: that it was begun with.
        outcome: how it ended.
        success: what the person said, or else the environment; None where nobody knows.
        kept: its number in the dataset; None where it was thrown away.
        missed: deadlines missed.
        dropped: images that were left out.
        trouble: why the environment went no further; empty where it did.
        changed: control steps that were not as they were asked for, by reason.
    """

    seed: int
    outcome: Outcome
    success: bool | None
    kept: int | None
    missed: int
    dropped: int
    trouble: str = ""
    changed: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Dropping(Protocol):
    """An observer that rather leaves frames out than hold the loop up."""

    @property
    def dropped(self) -> int:
        """Frames left out in this episode."""


class Collection:
    """A person's session: resetting, ready, recording, judging, and again.

    Where the person is to put things back, *resetting* is until that is done. An episode then waits
    in *ready*, reset, until the person starts it or moves something. It is *recorded* until the
    person ends it, success was held, or time is up; who has not judged it by ending it *judges* it
    then, and what the environment calls a success is kept by itself after two seconds. What is
    thrown away does not count.

    Args:
        environment: that is driven.
        agent: that the person drives.
        agent_name: recorded with each episode.
        requests: of the person.
        displays: that the person is shown all of this on.
        observers: that look on beside the recorder.
        writer: of the dataset.
        pace: of the environment.
        plan: what is to be collected.

    Attributes:
        unfinished: frames of an episode that was stopped before the person had judged it, which are
            in a journal.

    Raises:
        FeatureMismatch: the environment's episodes do not fit the others of the dataset.
    """

    def __init__(
        self,
        environment: Environment,
        agent: PersonAgent,
        agent_name: str,
        requests: Requests,
        displays: Sequence[Display],
        observers: Sequence[Observer],
        writer: FolderWriter,
        pace: Pace,
        plan: Plan,
    ) -> None:
        writer.require_same_features(environment.context)
        self._environment = AttendedEnvironment(
            environment, requests, limit=plan.limit, hold=plan.hold
        )
        self._agent, self._agent_name = agent, agent_name
        self._requests, self._displays, self._observers = requests, displays, observers
        self._writer, self._pace, self._plan = writer, pace, plan
        self._kept = 0
        self._watch = Watch(self._show_step)
        self._recorder: Recorder | None = None
        self._stopped = False
        self.unfinished = 0

    def episodes(self, seeds: Iterable[int]) -> Iterator[Collected]:
        """Collect until there are enough, the person stops, or the seeds are used up.

        Raises:
            DeviceError: the device is gone; the episode up to there is kept in a journal.
            ArmError: the arm cannot go on.
            Exception: whatever environment and observers raise; what was recorded is kept in a
                journal.
        """
        try:
            for seed in seeds:
                again = True
                while again and not self._stopped:
                    collected, again = self._episode(seed)
                    if collected is not None:
                        yield collected
                if self._stopped or self._kept >= self._plan.episodes:
                    return
        except StopRequested:
            return
        finally:
            self._show("ended", None)

    def _episode(self, seed: int) -> tuple[Collected | None, bool]:
        """One episode, None where there was none; and whether the seed is to be used once more."""
        plan = self._plan
        self._watch.forget()
        if plan.attended and plan.put_back:
            self._await_word()
        self._recorder = Recorder(self._writer.journal(), self._agent_name, images=plan.images)
        observers = [*self._pace.first, self._recorder, *self._observers, self._watch]
        try:
            outcome = run_episode(
                self._environment,
                self._agent,
                observers,
                self._pace.clock,
                seed=seed,
                ready=self._ready,
            )
            if not outcome.steps:
                self._recorder.discard()
                return None, True
            request = self._environment.ending or self._judge(outcome)
        except _Skipped:
            return None, False
        except BaseException as error:
            self._leave_in_journal()
            if isinstance(error, DeviceError | ArmError) and self.unfinished:
                raise type(error)(f"{error}; {self.told_of_unfinished}") from error
            raise
        collected = self._decide(seed, outcome, request)
        self._stopped = request is Request.STOP
        return collected, request is Request.REDO

    @property
    def told_of_unfinished(self) -> str:
        """What became of an episode that was stopped in its middle, in words."""
        return (
            f"{self.unfinished} frames of an unfinished episode can be kept with: "
            f"robolearn edit {self._writer.path} recover"
        )

    def _await_word(self) -> None:
        """Wait until the person says that things are put back.

        Raises:
            StopRequested: the person ends.
        """
        while True:
            self._show("resetting", self._environment.sense())
            match self._requests.take():
                case Request.START:
                    return
                case Request.STOP:
                    raise StopRequested
            self._pace.wait()

    def _ready(self) -> None:
        """Wait until the person begins, where there is one, and nothing is in the way of it.

        Raises:
            StopRequested: the person ends.
            _Skipped: the person wants another scene.
        """
        while self._plan.attended:
            observation = self._environment.sense()
            self._show("ready", observation)
            begins = False
            match self._requests.take():
                case Request.START:
                    begins = True
                case Request.STOP:
                    raise StopRequested
                case Request.DISCARD:
                    raise _Skipped
            if (begins or self._agent.moved(observation)) and not self._pace.trouble():
                return
            self._pace.wait()

    def _judge(self, outcome: Outcome) -> Request:
        """What the person says of an episode that ended by itself."""
        began = time.monotonic()
        while self._plan.attended:
            self._show("judging", self._watch.last, outcome.success_at_end)
            match self._requests.take():
                case None | Request.START:
                    """The person thinks. Enter, pressed out of habit, is no judgement."""
                case request:
                    return request
            if outcome.success_at_end and time.monotonic() - began > _GRACE:
                return Request.START
            self._pace.wait()
        return Request.START

    def _decide(self, seed: int, outcome: Outcome, request: Request) -> Collected:
        """Keep the episode, or throw it away."""
        recorder, labels = self._require_recorder(), self._plan.labels
        said = {Request.KEEP: True, Request.KEEP_FAILURE: False}.get(request)
        success = outcome.success_at_end if said is None else said
        by_itself = self._plan.failures or success is not False
        kept, dropped = None, self._dropped
        if request not in _THROWN_AWAY and (said is not None or by_itself):
            recorder.label(replace(labels, success=said))
            kept = recorder.keep(self._writer)
            self._kept += 1
        else:
            recorder.discard()
        pace = self._pace
        return Collected(
            seed,
            outcome,
            success,
            kept,
            pace.missed(),
            dropped,
            pace.trouble(),
            dict(pace.changed()),
        )

    def _leave_in_journal(self) -> None:
        """Close what an episode that broke off has recorded, without deciding on it."""
        if self._watch.begun:
            episode = self._require_recorder().episode()
            self.unfinished = 0 if episode is None else len(episode)

    def _require_recorder(self) -> Recorder:
        if self._recorder is None:
            raise RuntimeError("no episode began")
        return self._recorder

    @property
    def _dropped(self) -> int:
        seen = sum(each.dropped for each in self._observers if isinstance(each, Dropping))
        return seen + sum(self._require_recorder().lost_images.values())

    def _show_step(self, step: Step) -> None:
        self._show("recording", step.next_observation)

    def _show(
        self, phase: Phase, observation: Observation | None, success: bool | None = None
    ) -> None:
        if observation is not None and success is None:
            success = observation.success
        begun = self._watch.begun
        status = Status(
            phase=phase,
            kept=self._kept,
            wanted=self._plan.episodes,
            seconds=self._watch.seconds,
            limit=self._plan.limit,
            rate=self._watch.rate,
            wanted_rate=self._environment.context.rate,
            missed=self._pace.missed() if begun else 0,
            dropped=self._dropped if begun else 0,
            success=success,
            notice=self._pace.trouble() or self._agent.notice,
        )
        for display in self._displays:
            display.show(status, observation)


_THROWN_AWAY = frozenset({Request.DISCARD, Request.REDO})


class _Skipped(Exception):
    """The person wants another scene than the one that waits."""
