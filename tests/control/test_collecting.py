from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hand_world import RATE, UP, HandWorld, Held

from robolearn.agents.devices.display import Display, Status
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.hand_teleoperator import HandTeleoperator
from robolearn.control import collecting
from robolearn.control.collecting import Collected, Collection, Pace, Plan
from robolearn.control.simulation import seeds_after
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter
from robolearn.episodes.frames import Observation
from robolearn.episodes.labels import Labels
from robolearn.errors import ArmError, DeviceError, FeatureMismatch

SMALL = UP / 100


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "_GRACE", 0.0)


@dataclass
class Person:
    """Answers what is shown with requests: one for each step of a phase, None waits."""

    requests: Requests
    answers: dict[tuple[str, int], Sequence[Request]]
    shown: list[Status] = field(default_factory=list)
    episode: int = 0
    steps: int = 0

    def show(self, status: Status, observation: Observation | None) -> None:
        before = self.shown[-1].phase if self.shown else None
        self.shown.append(status)
        if status.phase != before:
            self.steps = 0
            self.episode += status.phase == "recording"
        self.steps += 1
        if self.steps == 2:
            number = self.episode + (status.phase in {"resetting", "ready"})
            for request in self.answers.get((status.phase, number), ()):
                self.requests.add(request)


@dataclass
class Session:
    collected: list[Collected]
    person: Person
    world: HandWorld
    collection: Collection
    device: Held


Collect = Callable[..., Session]


@pytest.fixture
def collect(tmp_path: Path) -> Collect:
    def run(
        answers: dict[tuple[str, int], Sequence[Request]],
        *,
        way: Callable[[int], np.ndarray] = lambda step: UP,
        episodes: int = 1,
        knows: bool = True,
        limit: float = 0.3,
        hold: float = 0.05,
        failures: bool = False,
        displays: Sequence[Display] = (),
        attended: bool = True,
        put_back: bool = False,
    ) -> Session:
        world, device, requests = HandWorld(knows=knows), Held(way), Requests()
        person = Person(requests, answers)
        with FolderWriter(tmp_path / "demos") as writer:
            collection = Collection(
                world,
                HandTeleoperator(device, world.context),
                "test",
                requests,
                [person, *displays],
                (),
                writer,
                Pace.of_simulator(RATE),
                Plan(
                    episodes,
                    limit,
                    hold,
                    failures,
                    Labels(operator="Ada"),
                    attended=attended,
                    put_back=put_back,
                ),
            )
            collected = list(collection.episodes(seeds_after(writer, 0)))
        return Session(collected, person, world, collection, device)

    return run


def phases(session: Session) -> list[str]:
    return [key for key, _ in itertools.groupby(status.phase for status in session.person.shown)]


def episodes(tmp_path: Path) -> FolderDataset:
    return FolderDataset(tmp_path / "demos")


def test_a_moved_hand_begins_and_held_success_ends(collect: Collect, tmp_path: Path) -> None:
    session = collect({}, way=lambda step: UP if step > 4 else np.zeros(6))
    (collected,) = session.collected
    assert collected.outcome.success_at_end
    assert collected.kept == 0
    assert phases(session) == ["ready", "recording", "judging", "ended"]
    assert sum(status.phase == "ready" for status in session.person.shown) == 5
    episode = episodes(tmp_path).episode(0)
    # The way that began it is the first action; success at 6 steps, and 5 more that it was held.
    assert len(episode) == 6 + 5
    assert episode.actions[0, 2] == pytest.approx(0.2)
    assert episode.operator == "Ada"
    assert episode.agent == "test"
    assert session.person.shown[-1].kept == 1


def test_enter_begins_and_the_hand_stands_still_until_it_is_moved(
    collect: Collect, tmp_path: Path
) -> None:
    still = np.zeros(6)
    collect(
        {("ready", 1): [Request.START], ("judging", 1): [Request.KEEP]},
        way=lambda step: still,
        limit=0.1,
    )
    episode = episodes(tmp_path).episode(0)
    assert len(episode) == 10
    assert not episode.actions[:, :6].any()


@pytest.mark.parametrize("request_", [Request.KEEP, Request.KEEP_FAILURE])
def test_the_person_overrules_the_environment(
    collect: Collect, tmp_path: Path, request_: Request
) -> None:
    """Ended by a word while it goes on, and judged by it, whatever the environment says."""
    session = collect({("recording", 1): [request_]}, way=lambda step: SMALL)
    assert session.collected[0].outcome.success is False
    assert session.collected[0].success is (request_ is Request.KEEP)
    assert len(episodes(tmp_path).episode(0)) < 30
    assert episodes(tmp_path).summaries[0].success is (request_ is Request.KEEP)


def test_success_is_overruled_after_the_end(
    collect: Collect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_GRACE", 60.0)
    session = collect({("judging", 1): [Request.KEEP_FAILURE]})
    assert session.collected[0].outcome.success_at_end is True
    assert episodes(tmp_path).summaries[0].success is False


def test_what_is_thrown_away_is_followed_by_another_scene_and_not_counted(
    collect: Collect, tmp_path: Path
) -> None:
    session = collect({("recording", 1): [Request.DISCARD]}, episodes=2)
    assert session.world.seeds == [0, 1, 2]
    assert [collected.kept for collected in session.collected] == [None, 0, 1]
    assert [summary.seed for summary in episodes(tmp_path).summaries] == [1, 2]


def test_once_more_is_the_same_scene(collect: Collect, tmp_path: Path) -> None:
    session = collect({("recording", 1): [Request.REDO], ("recording", 2): [Request.REDO]})
    assert session.world.seeds == [0, 0, 0]
    assert episodes(tmp_path).summaries[0].seed == 0
    assert len(episodes(tmp_path)) == 1


def test_another_scene_can_be_asked_for_before_it_begins(collect: Collect) -> None:
    waiting = lambda step: UP if step > 6 else np.zeros(6)  # noqa: E731
    session = collect({("ready", 1): [Request.DISCARD]}, way=waiting)
    assert session.world.seeds == [0, 1]
    assert len(session.collected) == 1


def test_a_failure_is_not_kept_unless_it_is_asked_for(collect: Collect, tmp_path: Path) -> None:
    answers = {("judging", 1): [Request.START, Request.STOP]}  # Enter says nothing
    still_then = lambda step: SMALL  # noqa: E731
    session = collect(answers, way=still_then, limit=0.1, episodes=2)
    assert session.collected[0].kept is None
    session = collect(answers, way=still_then, limit=0.1, failures=True)
    assert session.collected[0].kept == 0


def test_who_cannot_tell_success_asks(collect: Collect, tmp_path: Path) -> None:
    session = collect({("judging", 1): [Request.KEEP]}, knows=False, limit=0.1)
    assert session.collected[0].outcome.success is None
    assert episodes(tmp_path).summaries[0].success is True


def test_stop_ends_at_once_and_what_was_begun_can_be_recovered(
    collect: Collect, tmp_path: Path
) -> None:
    session = collect({("recording", 2): [Request.STOP]}, episodes=5)
    assert len(session.collected) == 1
    assert session.collection.unfinished >= 1
    with FolderWriter(tmp_path / "demos") as writer:
        assert len(writer) == 1
        (journal,) = writer.in_flight()
        writer.recover(journal)
    assert episodes(tmp_path).episode(1).outcome.ended == "interrupted"


def test_stop_after_an_episode_keeps_it(collect: Collect, tmp_path: Path) -> None:
    session = collect({("judging", 1): [Request.STOP]}, knows=False, limit=0.1, episodes=5)
    assert [collected.kept for collected in session.collected] == [0]
    assert len(episodes(tmp_path)) == 1


def test_stop_is_carried_out_in_the_thread_that_it_comes_from() -> None:
    stopped: list[str] = []
    requests = Requests()
    requests.stop_by(lambda: stopped.append("halted"))
    requests.add(Request.KEEP)
    assert stopped == []
    requests.add(Request.STOP)
    assert stopped == ["halted"]


def test_a_device_that_is_gone_leaves_the_episode_up_to_there(
    collect: Collect, tmp_path: Path
) -> None:
    def unplugged(step: int) -> np.ndarray:
        if step > 4:
            raise DeviceError("the cable is out")
        return UP

    with pytest.raises(DeviceError, match=r"the cable is out; 4 frames .*robolearn edit \S+ recov"):
        collect({}, way=unplugged)
    with FolderWriter(tmp_path / "demos") as writer:
        (episode,) = writer.in_flight().values()
        assert len(episode) == 4
        assert episode.outcome.ended == "interrupted"


def test_a_device_that_is_gone_before_it_begins(collect: Collect, tmp_path: Path) -> None:
    def unplugged(step: int) -> np.ndarray:
        raise DeviceError("the cable is out")

    with pytest.raises(DeviceError, match=r"^the cable is out$"):
        collect({}, way=unplugged)
    assert not (tmp_path / "demos").exists()


@pytest.mark.parametrize("way", [np.full(6, np.nan), np.full(6, np.inf), np.zeros(5)])
def test_what_is_no_way_is_never_sent(collect: Collect, tmp_path: Path, way: np.ndarray) -> None:
    with pytest.raises(DeviceError, match="no hand's way"):
        collect({}, way=lambda step: UP if step < 4 else way)


def test_a_collection_goes_on_where_it_was_ended(collect: Collect, tmp_path: Path) -> None:
    collect({}, episodes=2)
    session = collect({})
    assert session.world.seeds == [2]
    assert [summary.seed for summary in episodes(tmp_path).summaries] == [0, 1, 2]


def test_another_task_is_refused_before_anybody_moves(
    collect: Collect, tmp_path: Path, line_dataset: Path
) -> None:
    line_dataset.rename(tmp_path / "demos")
    with pytest.raises(FeatureMismatch, match="write into another dataset"):
        collect({})


def test_missed_deadlines_are_counted_and_shown(collect: Collect) -> None:
    class Slow:
        def show(self, status: Status, observation: Observation | None) -> None:
            time.sleep(0.03)

    session = collect({}, displays=[Slow()])
    assert session.collected[0].missed >= 5
    assert session.person.shown[-1].missed >= 5


def test_a_jump_is_told_and_the_hand_held(collect: Collect, tmp_path: Path) -> None:
    far = np.array([1.0, 0, 0, 0, 0, 0])
    session = collect(
        {("judging", 1): [Request.KEEP]}, way=lambda step: SMALL if step < 6 else far, limit=0.2
    )
    episode = episodes(tmp_path).episode(0)
    assert not episode.actions[6:, :6].any()
    assert "jumped" in session.person.shown[-1].notice


class _BreaksAtSecondReset(HandWorld):
    def reset(self, seed: int) -> None:
        if self.seeds:
            raise ArmError("the arm was brought to a halt")
        super().reset(seed)


def _collection(
    tmp_path: Path, world: HandWorld, writer: FolderWriter, displays: Sequence[Display]
) -> Collection:
    agent = HandTeleoperator(Held(), world.context)
    pace, plan = Pace.of_simulator(RATE), Plan(2, 0.3, 0.05)
    return Collection(world, agent, "test", Requests(), displays, (), writer, pace, plan)


def test_what_fails_between_two_episodes_is_told_as_it_is(tmp_path: Path) -> None:
    with FolderWriter(tmp_path / "demos") as writer:
        collection = _collection(tmp_path, _BreaksAtSecondReset(), writer, ())
        with pytest.raises(ArmError, match="brought to a halt"):
            list(collection.episodes(seeds_after(writer, 0)))
        assert collection.unfinished == 0
        assert len(writer) == 1


class _CtrlCWhileJudging:
    def show(self, status: Status, observation: Observation | None) -> None:
        if status.phase == "judging":
            raise KeyboardInterrupt


def test_ctrl_c_before_an_episode_is_judged_leaves_it_to_be_recovered(tmp_path: Path) -> None:
    with FolderWriter(tmp_path / "demos") as writer:
        collection = _collection(tmp_path, HandWorld(), writer, [_CtrlCWhileJudging()])
        with pytest.raises(KeyboardInterrupt):
            list(collection.episodes(seeds_after(writer, 0)))
        assert collection.unfinished > 0
        (episode,) = writer.in_flight().values()
        assert len(episode) == collection.unfinished


def test_where_nobody_is_there_episodes_begin_and_are_decided_on_by_themselves(
    collect: Collect, tmp_path: Path
) -> None:
    """The hand moves nothing before it begins, and no grace is waited for."""
    still_then = lambda step: UP if step > 3 else np.zeros(6)  # noqa: E731
    session = collect({}, way=still_then, episodes=2, attended=False, put_back=True)
    assert phases(session) == ["recording", "ended"]
    assert [summary.success for summary in episodes(tmp_path).summaries] == [True, True]


def test_nobody_judges_a_failure_where_nobody_is_there(collect: Collect, tmp_path: Path) -> None:
    session = collect({}, way=lambda step: UP, attended=False, limit=0.03, failures=True)
    assert [collected.success for collected in session.collected] == [False]
    assert not episodes(tmp_path).summaries[0].success


def test_nothing_is_reset_before_things_are_put_back(collect: Collect, tmp_path: Path) -> None:
    resets: list[int] = []

    class Looks:
        def show(self, status: Status, observation: Observation | None) -> None:
            if status.phase == "resetting":
                resets.append(len(session_world.seeds))

    session_world = HandWorld()
    with FolderWriter(tmp_path / "demos") as writer:
        requests = Requests()
        go_on = {("resetting", number): [Request.DISCARD, Request.START] for number in (1, 2)}
        person = Person(requests, go_on)
        collection = Collection(
            session_world,
            HandTeleoperator(Held(), session_world.context),
            "test",
            requests,
            [person, Looks()],
            (),
            writer,
            Pace.of_simulator(RATE),
            Plan(2, 0.3, 0.05, put_back=True),
        )
        collected = list(collection.episodes(seeds_after(writer, 0)))
    assert [each.kept for each in collected] == [0, 1]
    assert set(resets) == {0, 1}
    assert len(resets) >= 4  # at least two control steps each


def test_stop_while_things_are_put_back_moves_nothing(collect: Collect) -> None:
    session = collect({("resetting", 1): [Request.STOP]}, put_back=True)
    assert session.collected == []
    assert session.world.seeds == []


def test_nothing_begins_while_something_is_in_the_way(tmp_path: Path) -> None:
    """A camera that is out, for example: it is told, and neither Enter nor a motion begins."""
    world, requests = HandWorld(), Requests()
    person = Person(requests, {("ready", 1): [Request.START]})
    pace = replace(
        Pace.of_simulator(RATE),
        trouble=lambda: "no image" if len(person.shown) < 10 else "",
        changed=lambda: {"velocity": 3},
    )
    with FolderWriter(tmp_path / "demos") as writer:
        agent = HandTeleoperator(Held(), world.context)
        plan = Plan(1, 0.3, 0.05)
        collection = Collection(world, agent, "t", requests, [person], (), writer, pace, plan)
        (collected,) = collection.episodes([0])
    waited = [status.notice for status in person.shown if status.phase == "ready"]
    assert waited[:9] == ["no image"] * 9
    assert len(waited) == 10
    assert collected.changed == {"velocity": 3}
    assert collected.trouble == ""
