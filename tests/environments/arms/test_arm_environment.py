from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paper
import pytest

from robolearn.environments.arms.environment import LeRobotEnvironment
from robolearn.environments.safety.reasons import Reason
from robolearn.errors import ArmError, ShelfError

type Make = Callable[..., LeRobotEnvironment]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[LeRobotEnvironment] = []

    def _make(content: dict[str, Any] | None = None, *, moves: bool = True) -> LeRobotEnvironment:
        arm = paper.load(tmp_path, content or paper.profile(tmp_path))
        made.append(LeRobotEnvironment(arm, moves=moves))
        return made[-1]

    yield _make
    for environment in made:
        environment.close()


def moved_within_limits(folder: Path) -> None:
    """Between any two targets the joints' limits hold, but where a busy machine lost time: the
    motors are at rest by then, wherever they were sent last."""
    times, targets = paper.sent(folder)
    velocity = np.diff(targets, axis=0) / paper.PERIOD
    acceleration = np.diff(velocity, axis=0) / paper.PERIOD
    assert np.abs(velocity).max() <= 120 * (1 + 1e-6)
    late = np.diff(times) > 1.2 * paper.PERIOD
    steady = ~np.convolve(late, np.ones(5), "same").astype(bool)[1:]
    assert np.abs(acceleration[steady]).max(initial=0) <= 1500 * (1 + 1e-6)


def test_an_episode(make: Make, tmp_path: Path) -> None:
    environment = make(paper.profile(tmp_path, cameras={"front": paper.camera(tmp_path)}))
    environment.reset(seed=3)
    context = environment.context
    assert context.action.names == paper.JOINTS
    assert context.seed == 3
    home = np.deg2rad([20.0, 20.0, 20.0, 0.0]) + [0, 0, 0, 0.1]
    observation = environment.observe()
    np.testing.assert_allclose(observation.values["observation.state"], home, atol=1e-6)
    for step in range(20):
        asked = (home + 0.002 * step).astype(np.float32)
        np.testing.assert_array_equal(environment.act(asked), asked)
        observation = environment.observe()
    np.testing.assert_allclose(observation.values["observation.state"], asked, atol=1e-6)
    assert observation.values["observation.images.front"].shape == (24, 32, 3)
    assert not observation.values["observation.safety"].any()
    assert 0 < time.monotonic() - observation.timestamps["observation.images.front"] < 0.2
    assert not observation.failed
    for name, value in observation.values.items():
        context.features[name].as_frame(value)
    environment.close()
    times, targets = paper.sent(tmp_path)
    np.testing.assert_allclose(targets[-1], [20, 20, 20, 10], atol=1e-9)
    assert paper.log(tmp_path)[-1][1] == "disconnected"
    assert np.median(np.diff(times)) == pytest.approx(paper.PERIOD, rel=0.2)
    moved_within_limits(tmp_path)


def test_what_is_too_much_is_limited_and_told(make: Make, tmp_path: Path) -> None:
    environment = make()
    environment.reset(seed=0)
    asked = environment.joints.astype(np.float32) + np.float32(0.5)
    sent = environment.act(asked)
    assert (sent < asked).all()
    assert environment.observe().values["observation.safety"][Reason.VELOCITY.bit_length() - 1]
    assert environment.changed[Reason.VELOCITY] == 1
    moved_within_limits(tmp_path)


def test_the_ends_of_a_range_are_not_lost_to_rounding(make: Make) -> None:
    environment = make()
    environment.reset(seed=0)
    for _ in range(120):
        sent = environment.act(np.array(environment.context.action.high))
    np.testing.assert_array_equal(sent, np.float32(environment.context.action.high))
    assert not environment.observe().values["observation.safety"].any()


def test_nothing_moves_when_it_is_only_tried_out(make: Make, tmp_path: Path) -> None:
    environment = make(moves=False)
    environment.reset(seed=0)
    environment.act(environment.sent + 0.01)
    environment.close()
    assert len(paper.sent(tmp_path)[1]) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(make: Make, value: float) -> None:
    environment = make()
    environment.reset(seed=0)
    asked = environment.sent.copy()
    asked[0] = value
    with pytest.raises(ValueError, match="not finite"):
        environment.act(asked)


def test_a_late_agent_halts_the_arm_and_the_next_episode_goes_on(
    make: Make, tmp_path: Path
) -> None:
    environment = make()
    environment.reset(seed=0)
    environment.act(environment.sent + 1.0)  # a long way
    time.sleep(0.6)
    observation_before = environment.observe()
    environment.act(environment.sent)
    assert environment.halted.startswith("no action for 0.2")
    assert environment.observe().failed
    assert not observation_before.failed
    times, targets = paper.sent(tmp_path)
    at_rest = times[np.flatnonzero(np.abs(np.diff(targets, axis=0)).max(axis=1) > 0)[-1] + 1]
    assert at_rest < times[-1] - 0.2
    environment.reset(seed=1)
    assert not environment.halted
    moved_within_limits(tmp_path)


@pytest.mark.parametrize(
    ("what", "because"),
    [
        ("unplugged", "the arm takes no target: ConnectionError: no such device"),
        ("frozen", "no image of the camera front for 0.5"),
    ],
)
def test_what_goes_wrong_halts_the_arm(make: Make, tmp_path: Path, what: str, because: str) -> None:
    environment = make(paper.profile(tmp_path, cameras={"front": paper.camera(tmp_path)}))
    environment.reset(seed=0)
    paper.fault(tmp_path, what)
    for _ in range(60):
        environment.act(environment.sent)
        if environment.observe().failed:
            break
    assert because in environment.halted
    if what == "unplugged":
        with pytest.raises(ArmError, match="brought to a halt"):
            environment.reset(seed=1)


def test_told_to_halt_it_does_and_does_not_go_home(make: Make, tmp_path: Path) -> None:
    environment = make()
    environment.reset(seed=0)
    for _ in range(10):
        environment.act(environment.sent + 0.5)
    environment.halt()
    there = environment.sent
    environment.close()
    np.testing.assert_allclose(np.deg2rad(paper.sent(tmp_path)[1][-1][:3]), there[:3])


SCRIPT = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
import paper
from robolearn.environments.arms.environment import LeRobotEnvironment
from robolearn.environments.arms.profile import load_arm
if __name__ == "__main__":
    environment = LeRobotEnvironment(load_arm(sys.argv[2]))
    environment.reset(seed=0)
    print(environment.process, flush=True)
    while True:
        environment.act(environment.sent + 0.5)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_an_agent_that_is_killed_or_stopped(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    wide = [paper.joint(name, low=-1e2, high=1e2, velocity=60.0) for name in paper.JOINTS[:3]]
    profile = paper.write(
        tmp_path, paper.profile(tmp_path, joints=[*wide, paper.joint("gripper.pos")])
    )
    paths = json.dumps([str(Path(paper.__file__).parent), str(paper.PLUGINS)])
    agent = subprocess.Popen(
        [sys.executable, str(script), paths, str(profile)], stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    holder = int(agent.stdout.readline())
    time.sleep(0.3)
    agent.send_signal(how)
    struck = time.monotonic()
    time.sleep(1.5)
    times, targets = paper.sent(tmp_path)
    moving = times[1:][np.abs(np.diff(targets, axis=0)).max(axis=1) > 0]
    assert moving.max() > struck - 0.1
    assert moving.max() < struck + 0.2 + 1.0  # how soon is measured by benchmarks/arm_loop.py
    moved_within_limits(tmp_path)
    agent.kill()
    agent.wait()
    for _ in range(100):
        if not _runs(holder):
            break
        time.sleep(0.05)
    assert not _runs(holder)
    assert paper.log(tmp_path)[-1][1] == "disconnected"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.is_file() or ") Z" not in state.read_text()


def test_the_process_that_holds_the_arm_is_killed(make: Make) -> None:
    environment = make()
    environment.reset(seed=0)
    assert environment.process is not None
    os.kill(environment.process, signal.SIGKILL)
    with pytest.raises(ArmError, match="the process that holds the arm has ended with -9"):
        _act_often(environment)


def _act_often(environment: LeRobotEnvironment) -> None:
    for _ in range(5):
        environment.act(environment.sent)


def test_one_program_at_a_time(make: Make) -> None:
    make()
    with pytest.raises(ArmError, match="another robolearn is driving the arm"):
        make()


def test_a_box_holds_through_the_whole_chain(make: Make, tmp_path: Path) -> None:
    workspace = {"low": [-0.4, -0.4, 0.2], "high": [0.4, 0.4, 0.6], "tool_speed": 0.5}
    environment = make(paper.with_model(tmp_path, workspace=workspace))
    environment.reset(seed=0)
    for _ in range(60):
        environment.act(np.deg2rad([20, 99, 99, 10]))
    assert environment.changed[Reason.WORKSPACE]
    assert _tool(environment.joints)[2] >= 0.2 - 1e-6


def _tool(joints: np.ndarray) -> np.ndarray:
    import mujoco

    model = mujoco.MjModel.from_xml_string(paper.MODEL)
    data = mujoco.MjData(model)
    data.qpos[:] = joints[:3]
    mujoco.mj_forward(model, data)
    return data.site("tool").xpos


POSE = {
    "translation": 0.02,
    "rotation": 0.2,
    "gripper": "gripper.pos",
    "open": 80.0,
    "closed": 5.0,
    "base": [0.0, 0.0, 0.9],
    "gripper_qpos": [0.04, -0.04],
}


def test_actions_that_move_the_tool(make: Make, tmp_path: Path) -> None:
    environment = make(paper.with_model(tmp_path, pose=POSE))
    assert environment.context.action.scale == (0.02,) * 3 + (0.2,) * 3 + (1.0,)
    environment.reset(seed=0)
    before = environment.observe().values["observation.state.robot0_eef_pos"]
    np.testing.assert_allclose(before, _tool(environment.joints) + [0, 0, 0.9], atol=1e-6)
    for _ in range(30):  # slowly: what is beyond a joint's limits changes the direction
        sent = environment.act(np.array([0.0, 0.0, -0.08, 0.0, 0.0, 0.0, 1.0]))
        environment.observe()
    after = environment.observe()
    moved = after.values["observation.state.robot0_eef_pos"] - before
    assert -0.06 < moved[2] < -0.02
    assert np.abs(moved[:2]).max() < 0.01
    assert environment.joints[3] < 0.12
    assert sent.shape == (7,)
    assert after.values["observation.state.robot0_eef_quat"].shape == (4,)


def test_joints_are_brought_somewhere_by_actions_that_move_the_tool(
    make: Make, tmp_path: Path
) -> None:
    environment = make(paper.with_model(tmp_path, pose=POSE))
    environment.reset(seed=0)
    wanted = environment.sent + [0.3, -0.2, 0.2, 0.4]
    first = environment.towards(wanted)
    assert first.shape == (7,)
    assert np.abs(first).max() == pytest.approx(1.0)  # it is too far for one action
    for _ in range(40):
        environment.act(environment.towards(wanted))
        environment.observe()
    np.testing.assert_allclose(environment.joints, wanted, atol=2e-3)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        (
            {"joints": [paper.joint(name) for name in ("turn.pos", "wrist.pos")]},
            ShelfError,
            r"paper has no joint wrist.pos; it has elbow.pos, gripper.pos, shoulder.pos, turn.pos",
        ),
        (
            {"joints": [paper.joint(name) for name in paper.JOINTS[:3]]},
            ShelfError,
            r"the profile says nothing of the joint gripper.pos",
        ),
        (
            {"joints": [paper.joint("turn.pos", low=10.0, high=-10.0)]},
            ShelfError,
            r"line \d+: joints\[0\].*the limits of turn.pos are the wrong way round",
        ),
        (
            {"joints": [paper.joint("turn.pos", unit="radians")]},
            ShelfError,
            r"turn.pos would turn 32 times round: its unit is hardly radians",
        ),
        (
            {"joints": [paper.joint("turn.pos", unit="grad")]},
            ShelfError,
            r"unit: input should be",
        ),
        (
            {"joints": [paper.joint("turn.pos", home=300.0)]},
            ShelfError,
            r"home of turn.pos lies outside of its limits",
        ),
        (
            {"joints": [paper.joint("turn.pos"), paper.joint("turn.pos")]},
            ShelfError,
            r"two joints have the same name",
        ),
        (
            {"joints": [paper.joint(name, torque=0.5) for name in paper.JOINTS]},
            ShelfError,
            r"turn.pos has a limit of torque, which paper does not know: leave it out",
        ),
        ({"robot": {"type": "tin"}}, ShelfError, r"there is no driver 'tin'; there are .*paper"),
        (
            {"robot": {"type": "paper", "options": {"ports": 3}}},
            ShelfError,
            r"the options of paper do not fit",
        ),
        (
            {"watchdog": {"agent": 0.01}},
            ShelfError,
            r"\[watchdog\] agent is 0.01 s, no longer than a control step at 50 Hz",
        ),
        ({"workspace": {"tool_speed": 1.0}}, ShelfError, r"\[workspace\] needs a \[model\]"),
        (
            {"model": {"file": "nothing.xml", "tool": "tool"}},
            ShelfError,
            r"there is no model .*nothing.xml",
        ),
        ({"modules": ["not_a_module"]}, Exception, r"the module not_a_module cannot be imported"),
        (
            {"cameras": {"front": {"type": "paper", "options": {"width": 3, "height": 3}}}},
            ShelfError,
            r"\[cameras.front.options\] needs fps",
        ),
    ],
)
def test_profiles_that_do_not_fit(
    make: Make, tmp_path: Path, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        make(paper.profile(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert not paper.log(tmp_path)


def options(folder: Path, **changes: Any) -> dict[str, Any]:
    robot = paper.profile(folder)["robot"]
    calibrated = changes.pop("calibrated", False)
    return {**robot, "calibrated": calibrated, "options": robot["options"] | changes}


def test_an_arm_that_is_absent(make: Make, tmp_path: Path) -> None:
    paper.fault(tmp_path, "absent")
    with pytest.raises(
        ArmError, match="paper does not connect: ConnectionError: nobody answers at"
    ):
        make()
    with pytest.raises(ArmError, match="there is no port /dev/no-such-arm: plug the arm in"):
        make(paper.profile(tmp_path, robot=options(tmp_path, port="/dev/no-such-arm")))


def test_an_arm_without_calibration(make: Make, tmp_path: Path) -> None:
    robot = options(tmp_path, calibrated=True, needs_calibration=True)
    with pytest.raises(ArmError, match=r"paper sheet has no calibration .*lerobot-calibrate"):
        make(paper.profile(tmp_path, robot=robot))
    (tmp_path / "sheet.json").write_text("{}")
    with pytest.raises(ArmError, match="calibrated otherwise than"):
        make(paper.profile(tmp_path, robot=robot))
    assert len(paper.sent(tmp_path)[1]) == 0


def test_an_arm_that_stands_where_it_cannot(make: Make, tmp_path: Path) -> None:
    robot = options(tmp_path, start={"elbow.pos": 170.0})
    with pytest.raises(ArmError, match=r"elbow.pos is at 170 degrees, far outside of its limits"):
        make(paper.profile(tmp_path, robot=robot))
    assert len(paper.sent(tmp_path)[1]) == 0


def test_a_port_that_another_program_has_open(make: Make, tmp_path: Path) -> None:
    _, terminal = os.openpty()
    name = os.ttyname(terminal)
    with Path(name).open("rb") as port:
        program = subprocess.Popen(["sleep", "60"], stdin=port)
    os.close(terminal)
    try:
        with pytest.raises(ArmError, match=rf"the port {name} is in use by .*\(process"):
            make(paper.profile(tmp_path, robot=options(tmp_path, port=name)))
    finally:
        program.kill()
        program.wait()
