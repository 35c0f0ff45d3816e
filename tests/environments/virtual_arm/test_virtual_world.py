"""Physics of the virtual arm, step by step and without a clock."""

from __future__ import annotations

import numpy as np
import pytest

from robolearn.environments.virtual_arm.control_table import REGISTERS
from robolearn.environments.virtual_arm.hand import Hand, Path
from robolearn.environments.virtual_arm.model import CUBE_HALF, JOINTS, arm_model
from robolearn.environments.virtual_arm.picking import Manner, Picker
from robolearn.environments.virtual_arm.servo import HALF_TURN, STEP, Servo
from robolearn.environments.virtual_arm.world import CUBE_DISTANCE, REST, SHOULDER_X, World
from robolearn.errors import ConfigurationError, SimulationError


def write(servo: Servo, name: str, value: int) -> None:
    register = REGISTERS[name]
    servo.write(register.address, register.encode(value).to_bytes(register.size, "little"))


def engage(world: World) -> None:
    """Configure and switch on the follower as LeRobot does."""
    for servo in world.arms["follower"].servos:
        write(servo, "P_Coefficient", 16)
        write(servo, "Acceleration", 254)
        write(servo, "Torque_Enable", 1)
    gripper = world.arms["follower"].servos[-1]
    write(gripper, "Max_Torque_Limit", 500)
    write(gripper, "Overload_Torque", 25)


def command(world: World, joints: np.ndarray) -> None:
    for servo, angle in zip(world.arms["follower"].servos, joints, strict=True):
        write(servo, "Goal_Position", round(angle / STEP) + HALF_TURN)


def run(world: World, seconds: float) -> None:
    for _ in range(round(seconds / world.period)):
        world.step()


def teleoperate(world: World, path: Path, rate: float = 30.0) -> None:
    """Lead the leader along a path; the follower is told the leader's pose at a rate."""
    world.arms["leader"].hand.follow(path, world.time)
    for _ in range(int(path.duration * rate)):
        command(world, world.state().leader)
        run(world, 1 / rate)


@pytest.fixture(scope="module")
def picker() -> Picker:
    pytest.importorskip("mink")
    return Picker()


@pytest.fixture
def world() -> World:
    return World(seed=1)


def compliance(world: World) -> np.ndarray:
    return np.array([servo.compliance for servo in world.arms["follower"].servos])


def test_arms_rest_limp(world: World) -> None:
    before = world.state()
    run(world, 2.0)
    after = world.state()
    np.testing.assert_allclose(after.follower, REST, atol=0.1)
    np.testing.assert_allclose(after.follower, before.follower, atol=0.02)
    np.testing.assert_allclose(after.leader, before.leader, atol=0.02)
    assert after.cube_height == pytest.approx(0, abs=1e-3)
    assert not after.lifted


def test_limp_arm_falls(world: World) -> None:
    engage(world)
    command(world, np.zeros(6))
    run(world, 2.0)
    np.testing.assert_allclose(world.state().follower, 0, atol=0.15)  # it sags a little
    for servo in world.arms["follower"].servos:
        write(servo, "Torque_Enable", 0)
    run(world, 2.0)
    assert world.state().follower[1] > 0.3


def test_seed_places_the_cube(world: World) -> None:
    places = []
    for seed in range(30):
        world.reset(seed)
        place = world.state().cube_position
        distance = np.hypot(place[0] - SHOULDER_X, place[1])
        assert CUBE_DISTANCE[0] <= distance <= CUBE_DISTANCE[1]
        assert place[2] == CUBE_HALF
        places.append(tuple(place))
    assert len(set(places)) == 30
    world.reset(3)
    assert tuple(world.state().cube_position) == places[3]


def test_same_orders_same_motion() -> None:
    ends = []
    for _ in range(2):
        world = World(seed=4)
        engage(world)
        command(world, np.array([0.3, -0.2, 0.3, 0.5, 0.2, 0.8]))
        run(world, 0.5)
        ends.append(world.positions())
    np.testing.assert_array_equal(ends[0], ends[1])


@pytest.mark.parametrize("joint", range(6))
def test_blocked_joint_stays_and_the_others_move(world: World, joint: int) -> None:
    engage(world)
    command(world, np.array([0.0, -0.9, 0.9, 0.9, 0.0, 0.3]))  # off the table
    run(world, 1.5)
    before = world.state().follower
    world.arms["follower"].servos[joint].blocked = True
    goal = before + np.array([0.4, 0.4, -0.4, -0.4, 0.4, 0.4])
    command(world, goal)
    run(world, 1.5)
    moved = np.abs(world.state().follower - before)
    assert moved[joint] < 0.04
    assert (np.delete(moved, joint) > 0.2).all()


def test_stalled_servo_complains_of_overload(world: World) -> None:
    engage(world)
    servo = world.arms["follower"].servos[0]
    servo.blocked = True
    command(world, world.state().follower + np.array([1.0, 0, 0, 0, 0, 0]))
    run(world, 2.5)
    assert servo.error


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scripted_hand_lifts_the_cube_by_the_leader(picker: Picker, seed: int) -> None:
    world = World(seed)
    engage(world)
    state = world.state()
    path = picker.path(state.leader, state, Manner.drawn(seed), 0.05, compliance(world))
    teleoperate(world, path)
    assert world.state().lifted
    assert world.arms["follower"].servos[-1].error == 0


def test_follower_is_dragged_to_lift_the_cube(picker: Picker) -> None:
    world = World(seed=5)
    state = world.state()
    path = picker.path(state.follower, state, Manner(), 0.02, np.zeros(6))
    world.arms["follower"].hand.follow(path, world.time)
    run(world, path.duration)
    assert world.state().lifted
    np.testing.assert_allclose(world.state().follower[:5], path.joints[-1, :5], atol=0.05)
    assert not any(servo.driven for servo in world.arms["follower"].servos)
    world.arms["follower"].hand.release()
    run(world, 2.0)
    assert not world.state().lifted


def test_dragging_against_the_motors_does_not_win_easily(world: World) -> None:
    engage(world)
    run(world, 0.2)
    there = world.state().follower
    goal = np.stack([there, there + np.array([0.5, 0, 0, 0, 0, 0])])
    world.arms["follower"].hand.follow(Path(np.array([0.0, 0.5]), goal), world.time)
    run(world, 1.0)
    turned = world.state().follower[0] - there[0]
    assert 0.1 < turned < 0.49


def test_cube_out_of_reach(picker: Picker, world: World) -> None:
    state = world.state()
    state.cube_position[:] = (0.6, 0.0, CUBE_HALF)
    with pytest.raises(SimulationError, match="cannot reach the cube"):
        picker.path(state.leader, state, Manner(), 0.05, np.zeros(6))


def test_path_begins_where_the_arm_is_and_keeps_to_its_ranges(picker: Picker, world: World) -> None:
    ranges = arm_model().jnt_range
    for seed in range(5):
        world.reset(seed)
        state = world.state()
        path = picker.path(state.leader, state, Manner.drawn(seed), 0.05, np.zeros(6))
        np.testing.assert_allclose(path.joints[0], state.leader)
        inside = path.joints[20:]  # an arm may rest a little past its range
        assert (inside >= ranges[:, 0] - 0.01).all()
        assert (inside <= ranges[:, 1] + 0.01).all()
        speed = np.abs(np.diff(path.joints, axis=0)).max() * 50
        assert speed < 4.0


def test_same_seed_same_manner() -> None:
    assert Manner.drawn(3) == Manner.drawn(3) != Manner.drawn(4)


def test_model_has_the_joints_of_the_arm() -> None:
    model = arm_model()
    assert [model.joint(index).name for index in range(model.njnt)] == list(JOINTS)


@pytest.mark.parametrize(
    ("times", "joints", "message"),
    [
        ([], np.zeros((0, 6)), "at least one"),
        ([0.0, 1.0], np.zeros((2, 5)), r"\(2, 6\)"),
        ([0.0, 0.0], np.zeros((2, 6)), "increase"),
        ([1.0, 2.0], np.zeros((2, 6)), "begin with zero"),
        ([0.0, 1.0], np.full((2, 6), np.nan), "not finite"),
    ],
)
def test_wrong_paths(times: list[float], joints: np.ndarray, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Path(np.array(times), joints)


def test_hand_that_holds_nothing() -> None:
    hand = Hand()
    assert not hand.holds
    assert not hand.moving(0.0)
    np.testing.assert_array_equal(hand.torque(np.ones(6), np.ones(6), np.ones(6), 0.0), np.zeros(6))
