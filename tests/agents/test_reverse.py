from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from robolearn.agents.reverse import PlacedObject, Retracing
from robolearn.control.loop import run_episode
from robolearn.control.simulation import record_episodes
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import Reverse, SimTask, load_task
from robolearn.episodes.features import ENVIRONMENT_STATE, SIMULATOR_STATE
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Outcome, Step
from robolearn.errors import ShelfError

GRIPPER = 6


class Seen:
    def on_reset(self, context: EpisodeContext) -> None:
        self.context = context
        self.steps: list[Step] = []

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_end(self, outcome: Outcome) -> None:
        pass

    def states(self) -> np.ndarray:
        return np.array([step.observation.values[SIMULATOR_STATE] for step in self.steps])

    def actions(self) -> np.ndarray:
        return np.array([step.action for step in self.steps])


class Reversed:
    def __init__(self, task: SimTask) -> None:
        self.simulated = RobosuiteEnvironment(task)
        self.agent = Retracing(task, self.simulated.context)
        self.environment = PlacedObject(task, self.simulated, self.agent)

    def run(self, seed: int) -> tuple[Seen, Outcome]:
        seen = Seen()
        return seen, run_episode(self.environment, self.agent, [seen], seed=seed)


@pytest.fixture(scope="module")
def reversed_lift(lift_task: SimTask) -> Iterator[Reversed]:
    driven = Reversed(lift_task)
    yield driven
    driven.environment.close()


@pytest.fixture(scope="module")
def episodes(reversed_lift: Reversed) -> list[tuple[Seen, Outcome]]:
    return [reversed_lift.run(seed) for seed in range(4)]


def test_it_picks_up_what_it_placed(episodes: list[tuple[Seen, Outcome]]) -> None:
    assert all(outcome.success_at_end for _, outcome in episodes)
    assert {outcome.ended for _, outcome in episodes} == {"horizon"}


def test_the_episode_begins_when_the_object_is_placed(
    episodes: list[tuple[Seen, Outcome]], lift_task: SimTask
) -> None:
    for seed, (seen, _) in enumerate(episodes):
        first = seen.steps[0].observation
        assert seen.context.seed == seed
        assert first.time == 0.0
        assert first.reward is None
        assert not first.success
        assert seen.steps[1].observation.time == pytest.approx(1 / lift_task.simulator.rate)
        hand = first.values["observation.state.robot0_eef_pos"]
        np.testing.assert_allclose(hand, [-0.1, 0, 1.0], atol=0.08)
        np.testing.assert_allclose(first.values[SIMULATOR_STATE][0], 0)
        closed = seen.actions()[:, GRIPPER]
        assert closed[0] == -1
        assert closed[-1] == 1
        assert (np.diff(closed) >= 0).all()  # it closes once, where the placing hand opened


def test_the_objects_places_are_drawn_from_the_whole_region(
    reversed_lift: Reversed, lift_task: SimTask
) -> None:
    assert lift_task.reverse is not None
    places = []
    for seed in range(10, 20):
        reversed_lift.environment.reset(seed)
        places.append(reversed_lift.simulated.vectors()[ENVIRONMENT_STATE][:2])
    places = np.array(places)
    assert (np.abs(places) < 0.17).all()
    assert (np.ptp(places, axis=0) > 0.15).all()  # where robosuite puts it within 0.06 m


def test_the_same_seed_gives_the_same_episode_in_another_environment(
    episodes: list[tuple[Seen, Outcome]], lift_task: SimTask
) -> None:
    other = Reversed(lift_task)
    try:
        other.environment.reset(7)
        seen, _ = other.run(2)
    finally:
        other.environment.close()
    np.testing.assert_array_equal(seen.states(), episodes[2][0].states())
    np.testing.assert_array_equal(seen.actions(), episodes[2][0].actions())
    assert not np.array_equal(seen.states()[0], episodes[1][0].states()[0])


def test_the_first_state_and_the_actions_repeat_the_episode(
    reversed_lift: Reversed, episodes: list[tuple[Seen, Outcome]]
) -> None:
    seen, _ = episodes[1]
    simulated = reversed_lift.simulated
    simulated.reset(seed=50)
    simulated.load_state(seen.states()[0])
    simulated.begin_here()
    states = []
    for action in seen.actions():
        states.append(simulated.vectors()[SIMULATOR_STATE])
        simulated.act(action)
    np.testing.assert_array_equal(states, seen.states())


def test_an_object_out_of_reach_fails_before_the_first_step(lift_task: SimTask) -> None:
    task = dataclasses.replace(lift_task, reverse=Reverse("cube", (0.6, 0.7), (0.6, 0.7)))
    driven = Reversed(task)
    try:
        seen, outcome = driven.run(0)
    finally:
        driven.environment.close()
    assert (outcome.steps, outcome.success_at_end, outcome.ended) == (0, False, "failed")
    assert seen.steps == []


def test_a_failed_placing_is_never_kept(lift_task: SimTask, tmp_path: Path) -> None:
    task = dataclasses.replace(lift_task, reverse=Reverse("cube", (0.6, 0.7), (0.6, 0.7)))
    with FolderWriter(tmp_path / "d") as writer:
        results = list(
            record_episodes(
                task,
                partial(Retracing, task),
                "reverse",
                [0],
                writer,
                keep=lambda outcome: True,
                processes=1,
                wrap=partial(PlacedObject, task),
            )
        )
        assert [result.kept for result in results] == [False]
        assert len(writer) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reverse": None}, "no \\[reverse\\]"),
        ({"expert": None}, "no \\[expert\\]"),
        ({"reverse": Reverse("ball", (0, 0.1), (0, 0.1))}, "ball_pos"),
    ],
)
def test_what_is_missing_in_the_task_is_named(
    lift_task: SimTask, lift_environment: RobosuiteEnvironment, change: dict, message: str
) -> None:
    task = dataclasses.replace(lift_task, **change)
    with pytest.raises(ShelfError, match=message):
        PlacedObject(task, lift_environment, Retracing(task, lift_environment.context))


def test_a_task_that_picking_up_does_not_accomplish_has_no_reverse() -> None:
    assert load_task("sim:stack").reverse is None
    assert load_task("sim:can").reverse is None
