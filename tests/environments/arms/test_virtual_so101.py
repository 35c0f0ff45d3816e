"""The whole way: agent → supervisor → LeRobot's driver → bytes of the servos → motion, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robolearn.agents.dragged import Dragged
from robolearn.agents.teleoperator import TeleoperatorAgent
from robolearn.control.loop import run_episode
from robolearn.environments.arms import devices
from robolearn.environments.arms.devices import patiently
from robolearn.environments.arms.dragging import DraggedTargets
from robolearn.environments.arms.driver import Driver
from robolearn.environments.arms.environment import LeRobotEnvironment, context_of
from robolearn.environments.arms.presence import present
from robolearn.environments.arms.profile import Arm, PoseActions, load_arm
from robolearn.environments.safety.reasons import Reason
from robolearn.environments.virtual_arm.faults import FreezeCamera, Stall, Unplug
from robolearn.environments.virtual_arm.model import JOINTS
from robolearn.environments.virtual_arm.stage import VirtualStage
from robolearn.environments.virtual_arm.virtual_arm import VirtualArm
from robolearn.episodes.features import ENVIRONMENT_STATE, STATE
from robolearn.errors import ArmError, FeatureMismatch, ShelfError, SimulationError

pytest.importorskip("scservo_sdk")
pytest.importorskip("deepdiff")

PATIENT = 5.0
"""s of the watchdog, where a busy machine is not to be taken for a broken one."""


@pytest.fixture(scope="module")
def running() -> Iterator[VirtualArm]:
    with VirtualArm(cameras=()) as arm:
        yield arm


@pytest.fixture
def sound(running: VirtualArm) -> Iterator[VirtualArm]:
    yield running
    running.repair()
    running.hand.release()
    running.hand_on("follower").release()


def arm_of(running: VirtualArm, agent: float = PATIENT, **changes: Any) -> Arm:
    """The profile on the shelf, on the arm that runs already."""
    arm = load_arm("real:virtual-so101")
    profile = arm.profile
    assert profile.virtual is not None
    virtual = replace(profile.virtual, folder=str(running.folder))
    watchdog = replace(profile.watchdog, agent=agent, joints=PATIENT, cameras=PATIENT)
    changes = {"approach": 1.0, "horizon": 30, "watchdog": watchdog, **changes}
    return replace(arm, profile=replace(profile, virtual=virtual, **changes))


def torque(running: VirtualArm, arm: Arm) -> dict[str, int]:
    """Of each motor, read by LeRobot's own bus."""
    driver = Driver(arm.profile)
    (bus,) = driver._buses()
    bus.connect()
    try:
        return dict(bus.sync_read("Torque_Enable", normalize=False, num_retry=5))
    finally:
        bus.disconnect(disable_torque=False)


def test_what_is_asked_becomes_motion_and_comes_back(sound: VirtualArm) -> None:
    with present(arm_of(sound)) as here:
        environment = LeRobotEnvironment(here.arm, stage=here.stage)
        try:
            environment.reset(seed=7)
            cube = sound.world().cube_position
            observation = environment.observe()
            np.testing.assert_allclose(observation.values[ENVIRONMENT_STATE][:3], cube, atol=2e-3)
            assert observation.success is False
            home = environment.sent
            goal = home + [0.3, 0.1, -0.1, 0.1, 0.2, 0.2]
            for step in range(1, 61):
                share = min(1.0, step / 30)
                asked = (home + share * (goal - home)).astype(np.float32)
                np.testing.assert_array_equal(environment.act(asked), asked)
            assert not environment.changed
            reached = environment.observe().values[STATE]
            np.testing.assert_allclose(reached[:5], goal[:5], atol=0.15)  # it sags
            np.testing.assert_allclose(
                sound.world().follower[:5], reached[:5], atol=np.radians(1.0)
            )
        finally:
            environment.close()
        assert set(torque(sound, here.arm).values()) == {0}


def test_the_supervisor_knows_the_table_and_the_arm_itself(sound: VirtualArm) -> None:
    with present(arm_of(sound)) as here:
        environment = LeRobotEnvironment(here.arm, stage=here.stage)
        try:
            environment.reset(seed=0)
            down = environment.sent
            down[1] += 1.2  # the shoulder leans forward: through the table
            for _ in range(90):
                environment.act(down.astype(np.float32))
            assert environment.changed[Reason.WORKSPACE]
            grasp = np.degrees(sound.world().follower)
            assert np.isfinite(grasp).all()
            assert environment.halted == ""
        finally:
            environment.close()


def test_a_leader_is_followed_and_the_cube_lifted(sound: VirtualArm) -> None:
    with present(arm_of(sound, horizon=240), "leader") as here:
        leader = TeleoperatorAgent(here.arm)
        environment = LeRobotEnvironment(here.arm, stage=here.stage)
        environment.start = leader.pose
        try:
            assert run_episode(environment, leader, seed=3).success_at_end
        finally:
            environment.close()
            leader.close()


def test_a_leader_is_followed_by_actions_that_move_the_tool(sound: VirtualArm) -> None:
    pose = PoseActions(
        translation=0.05, rotation=0.5, gripper="gripper.pos", open=100.0, closed=0.0
    )
    with present(arm_of(sound, horizon=240, pose=pose), "leader") as here:
        leader = TeleoperatorAgent(here.arm)
        environment = LeRobotEnvironment(here.arm, stage=here.stage)
        environment.start, leader.towards = leader.pose, environment.towards
        try:
            outcome = run_episode(environment, leader, seed=3)
            np.testing.assert_allclose(environment.sent, leader.pose(), atol=0.02)
            assert outcome.success_at_end
        finally:
            environment.close()
            leader.close()


def test_a_limp_arm_is_dragged_and_holds_itself_afterwards(sound: VirtualArm) -> None:
    class Watching:
        def __init__(self) -> None:
            self.steps: list[Any] = []
            self.limp: set[int] = set()

        def on_reset(self, context: Any) -> None: ...

        def on_step(self, step: Any) -> None:
            self.steps.append(step)

        def on_end(self, outcome: Any) -> None:
            environment.rest()

    seen = Watching()
    with present(arm_of(sound, horizon=240), "follower") as here:
        environment = LeRobotEnvironment(here.arm, stage=here.stage, dragged=True)
        try:
            outcome = run_episode(environment, Dragged(), [seen], seed=5)
            assert outcome.success_at_end
            targets, lag = DraggedTargets(here.arm), here.arm.profile.dragged.lag
            for step in seen.steps[::20]:
                # The action is where the hand has brought it by the next step.
                own, before = (
                    each.values[STATE].astype(np.float64)
                    for each in (step.next_observation, step.observation)
                )
                seconds = (
                    step.next_observation.timestamps[STATE] - step.observation.timestamps[STATE]
                )
                velocity = (own - before) / max(seconds, 1 / here.arm.profile.rate)
                np.testing.assert_allclose(step.action, targets(own, velocity), atol=1e-4)
                # Of what weighs nothing, that is the joint itself and what it moves while a motor
                # would lag; and a gripper holds tighter.
                led = own + lag * velocity
                assert step.action[0] == pytest.approx(led[0], abs=1e-3)
                assert step.action[5] == pytest.approx(max(led[5] - 0.026, 0.0), abs=1e-3)
            sound.hand_on("follower").release()
            environment._link.settle()
            before = sound.world().follower
            time.sleep(0.5)
            assert np.abs(sound.world().follower - before).max() < 0.3  # it did not fall
        finally:
            environment.close()


def test_weight_is_added_to_what_was_dragged(sound: VirtualArm) -> None:
    with present(arm_of(sound)) as here:
        stretched = np.array([0.0, 1.2, 0.0, 0.0, 0.0, 0.5])
        targets = DraggedTargets(here.arm)(stretched, np.zeros(6))
        # Stretched forwards, the shoulder is told to go back, up.
        assert targets[1] < stretched[1] - 0.03
        assert targets[0] == pytest.approx(0.0, abs=1e-9)
        bare = replace(here.arm.profile, dragged=replace(here.arm.profile.dragged, stiffness=None))
        np.testing.assert_array_equal(
            DraggedTargets(replace(here.arm, profile=bare))(stretched, np.zeros(6))[:5],
            stretched[:5],
        )


def test_an_agent_that_falls_silent_stops_the_limp_arm_too(sound: VirtualArm) -> None:
    with present(arm_of(sound, agent=0.3)) as here:
        environment = LeRobotEnvironment(here.arm, stage=here.stage, dragged=True)
        try:
            environment.reset(seed=0)
            environment.act(environment.joints.astype(np.float32))
            deadline = time.monotonic() + 20
            while not environment.halted:
                environment.wait()
                assert time.monotonic() < deadline
            assert "no action for" in environment.halted
        finally:
            environment.close()
        assert set(torque(sound, here.arm).values()) == {1}


def test_a_motor_pushes_no_harder_than_the_profile_says(sound: VirtualArm) -> None:
    joints = list(load_arm("real:virtual-so101").profile.joints)
    joints[1] = replace(joints[1], torque=0.4)
    with present(arm_of(sound, joints=tuple(joints))) as here:
        driver = Driver(here.arm.profile)
        driver.connect()
        limits = driver._robot.bus.sync_read("Torque_Limit", normalize=False, num_retry=5)
        driver.close(release=True)
        assert limits["shoulder_lift"] == 400
        assert limits["shoulder_pan"] == 1000


def test_a_gripper_that_reports_overload_is_let_go_of(sound: VirtualArm) -> None:
    with present(arm_of(sound)) as here:
        driver = Driver(here.arm.profile)
        driver.connect()
        sound.fault(Stall("gripper"))
        target = driver.read()[0]
        target[5] = min(target[5] + 0.5, 1.0)
        driver.write(target)
        deadline = time.monotonic() + 30
        bus = driver._robot.bus
        while True:  # until it answers with the error
            try:
                bus.read("Present_Position", "gripper", num_retry=2)
            except (RuntimeError, ConnectionError) as error:
                if "verload" in str(error):
                    break
            assert time.monotonic() < deadline, "it does not report overload"
            time.sleep(0.1)
        driver.close(release=True)
        assert not bus.is_connected
        sound.repair()
        assert set(torque(sound, here.arm).values()) == {0}


def test_what_goes_wrong_halts_the_arm_in_words(sound: VirtualArm) -> None:
    with present(arm_of(sound)) as here:
        environment = LeRobotEnvironment(here.arm, stage=here.stage)
        try:
            environment.reset(seed=0)
            sound.fault(Unplug())
            deadline = time.monotonic() + 20
            while not environment.halted:
                environment.wait()
                assert time.monotonic() < deadline
            assert "the arm takes no target" in environment.halted
            with pytest.raises(ArmError, match="brought to a halt"):
                environment.reset(seed=1)
        finally:
            environment.close()


def test_a_frozen_camera_halts_the_arm() -> None:
    pytest.importorskip("OpenGL")
    from robolearn.environments.rendering import require_gl
    from robolearn.errors import MissingDependency

    try:
        require_gl()
    except MissingDependency:
        pytest.skip("nothing renders here")
    with VirtualArm(cameras=("front",), height=48, width=64) as running:
        arm = arm_of(running)
        watchdog = replace(arm.profile.watchdog, cameras=2.0)
        arm = replace(arm, profile=replace(arm.profile, watchdog=watchdog))
        with present(arm) as here:
            environment = LeRobotEnvironment(here.arm, stage=here.stage)
            try:
                environment.reset(seed=0)
                home = environment.sent.astype(np.float32)
                running.fault(FreezeCamera("front"))
                deadline = time.monotonic() + 30
                while not environment.halted:
                    environment.act(home)
                    assert time.monotonic() < deadline
                assert "no image of the camera front for" in environment.halted
                assert environment.observe().failed
            finally:
                environment.close()


def test_a_busy_machine_is_given_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr(devices.time, "sleep", paused.append)

    def never() -> None:
        raise IndexError("list index out of range")

    with pytest.raises(IndexError):
        patiently(never, pause=0.2)
    assert paused == [0.2, 0.4, 0.8]
    paused.clear()
    with pytest.raises(IndexError):
        patiently(never)
    assert not any(paused)


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    tried: list[str] = []

    def connect() -> None:
        tried.append("connect")
        if tried.count("connect") < 3:
            raise ConnectionError("Failed to write 'Lock'. [TxRxResult] There is no status packet!")

    patiently(connect, lambda: tried.append("let go"))
    assert tried == ["connect", "let go", "connect", "let go", "connect"]

    def wrapped() -> None:
        tried.append("wrapped")
        if tried.count("wrapped") < 2:
            try:
                raise ConnectionError("There is no status packet!")
            except ConnectionError as error:
                raise ConnectionError("Could not connect on port '/x'.") from error

    patiently(wrapped)
    assert tried.count("wrapped") == 2

    def never() -> None:
        tried.append("never")
        raise ConnectionError("There is no status packet!")

    with pytest.raises(ConnectionError, match="no status packet"):
        patiently(never, lambda: None)
    assert tried.count("never") == 4

    def other() -> None:
        tried.append("other")
        raise ConnectionError("wrong port")

    with pytest.raises(ConnectionError, match="wrong port"):
        patiently(other, lambda: None)
    assert tried.count("other") == 1


def test_what_is_told_of_an_episode_fits_without_connecting(sound: VirtualArm) -> None:
    with present(arm_of(sound)) as here:
        assert isinstance(here.stage, VirtualStage)
        context = context_of(here.arm, here.stage)
        assert context.action.names == tuple(f"{joint}.pos" for joint in JOINTS)
        assert context.features[ENVIRONMENT_STATE].quaternions() == [3]


def test_profiles_of_a_virtual_arm_that_do_not_fit(sound: VirtualArm) -> None:
    arm = arm_of(sound)
    virtual = arm.profile.virtual
    assert virtual is not None
    nowhere = replace(virtual, folder="/nowhere/at/all")
    with pytest.raises(SimulationError, match="no virtual arm runs there"):
        with present(replace(arm, profile=replace(arm.profile, virtual=nowhere))):
            pass
    koch = replace(arm.profile.robot, type="koch_follower")
    with pytest.raises(ShelfError, match="virtual arm is an so101_follower, not koch_follower"):
        with present(replace(arm, profile=replace(arm.profile, robot=koch))):
            pass
    elbow = replace(arm.profile.joints[2], name="elbo_flex.pos")
    joints = (*arm.profile.joints[:2], elbow, *arm.profile.joints[3:])
    misspelt = replace(arm.profile, joints=joints)
    with pytest.raises(FeatureMismatch, match=r"has a joint elbow_flex\.pos, and the profile"):
        with present(replace(arm, profile=misspelt)):
            pass
    with pytest.raises(ValueError, match="there is no joint tail"):
        replace(arm.profile, dragged=replace(arm.profile.dragged, further={"tail.pos": 1.0}))
