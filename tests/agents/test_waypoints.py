"""Waypoints of the scripted expert, on numbers: no simulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robolearn.agents.scripted import ScriptedExpert
from robolearn.environments.expert import Expert, Waypoint
from robolearn.environments.task import (
    JointController,
    ObservationSpecification,
    SimTask,
    load_task,
)
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import ShelfError
from robolearn.shelf import find_on_shelf

HAND = (0.0, 0.0, 1.0)
DOWN = Rotation.from_rotvec([np.pi, 0, 0])


def features(robots: int, objects: tuple[str, ...]) -> dict[str, Feature]:
    found = {}
    for robot in range(robots):
        found[f"observation.state.robot{robot}_eef_pos"] = Feature("float32", (3,))
        found[f"observation.state.robot{robot}_eef_quat"] = Feature("float32", (4,))
    names = tuple(
        f"{name}.{element}"
        for name in objects
        for element in (("x", "y", "z") if name.endswith("pos") else ("qx", "qy", "qz", "qw"))
    )
    found["observation.environment_state"] = Feature("float32", (len(names),), names)
    return found


def context(
    robots: int = 1, objects: tuple[str, ...] = ("box_pos", "box_quat", "knob_pos")
) -> EpisodeContext:
    size = 7 * robots
    action = ActionFeature(
        "float32",
        (size,),
        low=(-1.0,) * size,
        high=(1.0,) * size,
        gripper=tuple(7 * robot + 6 for robot in range(robots)),
    )
    return EpisodeContext(features=features(robots, objects), action=action, task="", rate=20.0)


def task(lift_task: SimTask, *waypoints: Waypoint, robots: int = 1, **expert: object) -> SimTask:
    return replace(
        lift_task,
        simulator=replace(lift_task.simulator, robots=("Panda",) * robots),
        observation=ObservationSpecification((), ()),
        expert=replace(Expert(waypoints), **expert),  # type: ignore[arg-type]
    )


def sees(
    hand: tuple[float, ...] = HAND,
    turned: float = 0.0,
    box: tuple[float, ...] = (0.1, 0.2, 1.0),
    yaw: float = 0.0,
    knob: tuple[float, ...] = (0.0, 0.0, 1.1),
    robots: int = 1,
) -> Observation:
    hand_rotation = Rotation.from_rotvec([0, 0, turned]) * DOWN
    values: dict[str, Array] = {}
    for robot in range(robots):
        values[f"observation.state.robot{robot}_eef_pos"] = np.array(hand, np.float32)
        values[f"observation.state.robot{robot}_eef_quat"] = hand_rotation.as_quat()
    box_rotation = Rotation.from_rotvec([0, 0, yaw]).as_quat()
    values["observation.environment_state"] = np.concatenate([box, box_rotation, knob]).astype(
        np.float32
    )
    return Observation(values=values, timestamps={}, time=0.0)


def waypoint(relative_to: str = "box", **others: object) -> Waypoint:
    return replace(
        Waypoint("there", relative_to, (0.0, 0.0, 0.0), "open"),
        **others,  # type: ignore[arg-type]
    )


def asked(agent: ScriptedExpert, observation: Observation) -> Array:
    """(6,) the way asked for, m and rad."""
    action = agent.act(observation)[:6].astype(np.float64)
    return action * ([0.05] * 3 + [0.5] * 3) / 0.5


def test_an_offset_is_along_the_axes_of_its_frame(lift_task: SimTask) -> None:
    near = (0.001, 0.002, 1.0)
    for frame, expected in (("world", [0.004, 0, 0]), ("object", [0, 0.004, 0])):
        point = waypoint(offset=(0.004, 0.0, 0.0), frame=frame)
        agent = ScriptedExpert(task(lift_task, point), context())
        way = asked(agent, sees(hand=near, box=near, yaw=np.pi / 2))
        np.testing.assert_allclose(way[:3], expected, atol=1e-6)


def test_the_world_and_the_hand_are_places_too(lift_task: SimTask) -> None:
    there = waypoint("world", offset=(0.001, 0.002, 1.003))
    agent = ScriptedExpert(task(lift_task, there), context())
    np.testing.assert_allclose(asked(agent, sees())[:3], [0.001, 0.002, 0.003], atol=1e-6)

    agent = ScriptedExpert(task(lift_task, waypoint("hand", offset=(0.0, 0.0, 0.01))), context())
    np.testing.assert_allclose(asked(agent, sees())[:3], [0, 0, 0.01], atol=1e-6)
    moved = sees(hand=(0.0, 0.0, 1.004))
    np.testing.assert_allclose(asked(agent, moved)[:3], [0, 0, 0.006], atol=1e-6)


def test_what_is_moved_reaches_the_place_however_it_is_held(lift_task: SimTask) -> None:
    point = waypoint("world", offset=(0.1, 0.2, 1.01), moves="box")
    agent = ScriptedExpert(task(lift_task, point), context())
    held = sees(hand=(0.1, 0.25, 1.0))
    np.testing.assert_allclose(asked(agent, held)[:3], [0, 0, 0.01], atol=1e-6)
    slipped = sees(hand=(0.1, 0.25, 1.0), box=(0.098, 0.2, 1.0))
    np.testing.assert_allclose(asked(agent, slipped)[:3], [0.002, 0, 0.01], atol=1e-6)


def test_the_hand_swings_around_what_it_turns(lift_task: SimTask) -> None:
    point = waypoint("world", offset=(0.1, 0.2, 1.0), moves="box", align=True)
    agent = ScriptedExpert(task(lift_task, point), context())
    way = asked(agent, sees(hand=(0.15, 0.2, 1.0), yaw=-0.02))
    np.testing.assert_allclose(way[5], 0.02, atol=1e-4)
    np.testing.assert_allclose(way[:3], [0, 0.05 * 0.02, 0], atol=1e-4)


def test_what_is_moved_is_put_upright(lift_task: SimTask) -> None:
    point = waypoint("world", offset=(0.1, 0.2, 1.0), moves="box", align=True)
    agent = ScriptedExpert(task(lift_task, point), context())
    hanging = sees()
    hanging.values["observation.environment_state"][3:7] = Rotation.from_rotvec(
        [0.1, 0, 0]
    ).as_quat()
    np.testing.assert_allclose(asked(agent, hanging)[3:], [-0.1, 0, 0], atol=1e-5)


@pytest.mark.parametrize(("turned", "expected"), [(0.0, 0.2), (1.5, -0.3)])
def test_equivalent_turns_lead_back_to_where_the_hand_began(
    lift_task: SimTask, turned: float, expected: float
) -> None:
    """Half a quarter turn to the left or right is the same; the wrist has limits."""
    far = waypoint("hand", tolerance=1.0)
    align = waypoint(align=True, symmetry=0.5)
    agent = ScriptedExpert(task(lift_task, far, align), context())
    agent.act(sees())  # the hand begins unturned
    yaw = turned + 0.2
    way = asked(agent, sees(turned=turned, yaw=yaw))
    np.testing.assert_allclose(way[5], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("knob", "turns"),
    [((0.1, 0.26, 1.0), True), ((0.16, 0.2, 1.0), False), ((0.1, 0.4, 1.0), False)],
)
def test_fingers_open_across_the_way_to_what_stands_beside(
    lift_task: SimTask, knob: tuple[float, ...], turns: bool
) -> None:
    """They open along y: an object there is hit unless the hand is turned; one far away is not."""
    point = waypoint(align=True, symmetry=np.pi / 2, clear_of="knob")
    agent = ScriptedExpert(task(lift_task, point), context())
    way = asked(agent, sees(hand=(0.1, 0.2, 1.1), knob=knob))
    assert (abs(way[5]) > 0.5) == turns


def test_a_tilt_is_an_orientation_in_the_world(lift_task: SimTask) -> None:
    agent = ScriptedExpert(task(lift_task, waypoint(tilt=(-0.3, 0.0, 0.0))), context())
    np.testing.assert_allclose(asked(agent, sees())[3:], [-0.3, 0, 0], atol=1e-5)
    agent.reset(0)
    np.testing.assert_allclose(asked(agent, sees(turned=0.2))[5], -0.2, atol=0.01)


def test_a_hand_that_is_not_turned_has_not_arrived(lift_task: SimTask) -> None:
    here = waypoint("hand", align=True, angle=0.1)
    there = waypoint("world", gripper="close")
    for point, closes in ((replace(here, turn=0.3), False), (here, True)):
        agent = ScriptedExpert(task(lift_task, point, there), context())
        agent.act(sees())
        assert (agent.act(sees())[6] == 1.0) == closes


def test_arms_wait_for_each_other(lift_task: SimTask) -> None:
    near = waypoint("hand", tolerance=1.0)
    close = waypoint("hand", gripper="close")
    points = (near, close, replace(waypoint(), robot=1), replace(close, robot=1))
    agent = ScriptedExpert(task(lift_task, *points, robots=2), context(robots=2))
    away = sees(robots=2)
    for _ in range(3):
        np.testing.assert_array_equal(agent.act(away)[[6, 13]], [-1, -1])
    arrived = sees(robots=2, box=HAND)
    agent.reset(0)
    agent.act(arrived)
    np.testing.assert_array_equal(agent.act(arrived)[[6, 13]], [1, 1])


def test_each_arm_is_driven_in_the_frame_of_its_base(lift_task: SimTask) -> None:
    point = waypoint("hand", offset=(0.01, 0.0, 0.0))
    agent = ScriptedExpert(
        task(lift_task, point, replace(point, robot=1), robots=2, base_yaw=(0.0, np.pi / 2)),
        context(robots=2),
    )
    action = agent.act(sees(robots=2))
    np.testing.assert_allclose(action[:3], [0.1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(action[7:10], [0, -0.1, 0], atol=1e-6)


def test_it_begins_again_where_something_is_lost(lift_task: SimTask) -> None:
    grasp = waypoint("hand", gripper="open", tolerance=1.0)
    carry = waypoint("world", moves="box", gripper="close")
    agent = ScriptedExpert(task(lift_task, grasp, carry), context())
    held, lost = sees(box=HAND), sees(box=(0.0, 0.0, 0.8))
    grippers = [agent.act(seen)[6] for seen in (held, held, held, lost, held)]
    assert grippers == [-1, 1, 1, 1, -1]


def test_an_object_without_an_orientation_will_do_where_none_is_needed(lift_task: SimTask) -> None:
    agent = ScriptedExpert(task(lift_task, waypoint("knob")), context())
    assert asked(agent, sees())[2] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (waypoint("ball"), r"'there' needs ball_pos in \[observation\]"),
        (waypoint("knob", frame="object"), "'there' needs knob_quat"),
        (waypoint("knob", align=True), "'there' needs knob_quat"),
        (waypoint("knob", moves="knob", frame="object"), "'there' needs knob_quat"),
        (waypoint("world", moves="knob", align=True), "'there' needs knob_quat"),
        (waypoint("world", moves="hand"), "'there' needs hand_pos"),
        (waypoint(align=True, tilt=(0.0, 0.0, 0.0)), "'there' has align and tilt"),
        (waypoint(robot=1), "'there' is for robot 1, but the task has 1"),
    ],
)
def test_an_impossible_waypoint_is_named(lift_task: SimTask, point: Waypoint, message: str) -> None:
    with pytest.raises(ShelfError, match=message):
        ScriptedExpert(task(lift_task, waypoint(), point), context())


def test_each_arm_needs_waypoints_and_the_yaw_of_its_base(lift_task: SimTask) -> None:
    with pytest.raises(ShelfError, match="no waypoint for robot 1"):
        ScriptedExpert(task(lift_task, waypoint(), robots=2), context(robots=2))
    points = (waypoint(), waypoint(robot=1))
    with pytest.raises(ShelfError, match="one angle a robot: 2, not 1"):
        ScriptedExpert(task(lift_task, *points, robots=2, base_yaw=(0.0,)), context(robots=2))


def test_an_arm_whose_hand_is_not_observed_is_named(lift_task: SimTask) -> None:
    with pytest.raises(ShelfError, match="robot1_eef_pos in"):
        ScriptedExpert(
            task(lift_task, waypoint(), waypoint(robot=1), robots=2),
            replace(context(robots=2), features=features(1, ("box_pos", "box_quat"))),
        )


def test_a_controller_that_moves_joints_is_refused(lift_task: SimTask) -> None:
    simulator = replace(lift_task.simulator, controller=JointController("JOINT_VELOCITY", 1.0))
    with pytest.raises(ShelfError, match="needs the controller OSC_POSE, not JOINT_VELOCITY"):
        ScriptedExpert(replace(lift_task, simulator=simulator), context())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('fraem = "object"', r"waypoints\[0\]\.fraem: unknown key"),
        ('frame = "hand"', r"waypoints\[0\]\.frame: .*'world' or 'object'"),
        ("robot = -1", r"waypoints\[0\]\.robot: .*greater than or equal to 0"),
        ("tilt = [0.0, 1.0]", r"waypoints\[0\]\.tilt"),
        ("[expert.variation]\npause = 0.5", r"expert\.variation\.pause"),
        ("[expert.variation]\nwobble = 1", r"expert\.variation\.wobble: unknown key"),
    ],
)
def test_a_misspelt_key_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "task.toml"
    first = """[[expert.waypoints]]
name = "there"
relative_to = "cube"
offset = [0.0, 0.0, 0.0]
gripper = "open"
"""
    head = find_on_shelf("sim:lift").read_text().split("[expert]")[0]
    path.write_text(f"{head}{first}{line}\n")
    with pytest.raises(ShelfError, match=message):
        load_task(str(path))


def test_without_variation_it_acts_as_when_the_shipped_dataset_was_made(
    lift_task: SimTask, lift_demonstrations: Path
) -> None:
    dataset = open_dataset(lift_demonstrations)
    agent = ScriptedExpert(lift_task, dataset.context)
    for episode in dataset.episodes([0, 7]):
        assert episode.context.seed is not None
        agent.reset(episode.context.seed)
        for step, action in enumerate(episode.actions_asked):
            values = {name: rows[step] for name, rows in episode.observations.items()}
            asked_now = agent.act(Observation(values=values, timestamps={}, time=0.0))
            np.testing.assert_allclose(asked_now, action, atol=1e-6)
