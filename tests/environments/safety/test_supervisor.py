from __future__ import annotations

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_arm import JOINTS, MODEL

from robolearn.environments.safety.geometry import Geometry, JointMap, Workspace
from robolearn.environments.safety.limiter import JointLimits
from robolearn.environments.safety.reasons import Reason, as_frame, counted
from robolearn.environments.safety.supervisor import Supervisor

DT = 1 / 30
LIMITS = JointLimits(
    low=[-2.5, -1.8, -2.9],
    high=[2.5, 1.8, 2.9],
    velocity=[2.0] * 3,
    acceleration=[20.0] * 3,
    jerk=[600.0] * 3,
    step=[0.2] * 3,
)
TOOL_SPEED = 0.6
BOX = (np.array([-0.35, -0.35, 0.02]), np.array([0.35, 0.35, 0.5]))
PLANE = np.array([[0.0, 0.0, 1.0, 0.05]])
BENT = np.array([0.0, 0.8, 1.2])


class Looking:
    """Where things are, by a MuJoCo of its own."""

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(MODEL)
        self.data = mujoco.MjData(self.model)

    def __call__(self, joints: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Tool, height of the lowest of tool and elbow, depth of contact."""
        self.data.qpos[:] = joints
        mujoco.mj_forward(self.model, self.data)
        tool = self.data.site("tool").xpos.copy()
        lowest = min(tool[2], self.data.body("lower").xpos[2])
        depth = max((-contact.dist for contact in self.data.contact), default=-1.0)
        return tool, lowest, depth


def make(**changes: object) -> Supervisor:
    model = mujoco.MjModel.from_xml_string(MODEL)
    workspace = Workspace(
        **{
            "low": BOX[0],
            "high": BOX[1],
            "planes": PLANE,
            "tool_speed": TOOL_SPEED,
            "self_collision": True,
            **changes,
        }
    )
    joints = JointMap(model, JOINTS, [1.0] * 3, [0.0] * 3)
    return Supervisor(LIMITS, DT, Geometry(model, joints, "tool", workspace, DT))


@pytest.fixture(scope="module")
def supervisor() -> Supervisor:
    return make()


@pytest.fixture(scope="module")
def looking() -> Looking:
    return Looking()


def follow(supervisor: Supervisor, start: np.ndarray, targets: list[np.ndarray]) -> np.ndarray:
    supervisor.reset(start)
    return np.array([start, *(supervisor.step(target)[0] for target in targets)])


def require_inside(sent: np.ndarray, looking: Looking) -> None:
    before = looking(sent[0])[0]
    for joints in sent:
        tool, lowest, depth = looking(joints)
        assert (tool >= BOX[0] - 1e-8).all()
        assert (tool <= BOX[1] + 1e-8).all()
        assert lowest >= PLANE[0, 3] - 1e-8
        assert depth <= 1e-3
        assert np.linalg.norm(tool - before) <= TOOL_SPEED * DT * (1 + 1e-6)
        before = tool


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3), st.integers(1, 25)),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_asked_the_arm_stays_where_it_may_be(
    supervisor: Supervisor, looking: Looking, targets: list[tuple[float, float, float, int]]
) -> None:
    asked = [np.array(target[:3]) for target in targets for _ in range(target[3])]
    require_inside(follow(supervisor, BENT, asked), looking)


def test_what_is_permitted_passes_unchanged(supervisor: Supervisor) -> None:
    swing = 0.3 * (1 - np.cos(np.arange(120) * DT))
    targets = [BENT + [turn, 0.1 * turn, 0] for turn in swing]
    supervisor.reset(targets[0])
    for target in targets:
        sent, reasons = supervisor.step(target)
        assert reasons == 0
        np.testing.assert_array_equal(sent, target)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ([0.0, 1.8, 0.0], Reason.WORKSPACE),
        ([2.4, 0.8, 1.2], Reason.TOOL_SPEED),
        ([0.0, 0.0, 2.9], Reason.COLLISION),
    ],
)
def test_space_has_reasons_of_its_own(target: list[float], reason: Reason) -> None:
    supervisor = make(**({"low": [], "high": [], "planes": []} if reason == 256 else {}))
    start = np.array([0.0, 0.8, 1.8]) if reason == Reason.COLLISION else BENT
    follow(supervisor, start, [np.array(target)] * 90)
    assert supervisor.counts[reason] > 0


def test_an_arm_that_begins_outside_may_come_in_and_not_leave_again(looking: Looking) -> None:
    supervisor = make(self_collision=False)
    outside = np.array([0.0, 0.0, 0.0])  # stretched upwards, above the box? 0.51 m
    assert looking(outside)[0][2] > BOX[1][2]
    sent = follow(supervisor, outside, [BENT] * 90)
    np.testing.assert_array_equal(sent[-1], BENT)
    heights = [looking(joints)[0][2] for joints in sent]
    assert max(heights) <= heights[0] + 1e-8
    back = np.array([supervisor.step(outside)[0] for _ in range(120)])
    assert max(looking(joints)[0][2] for joints in back) <= BOX[1][2] + 1e-8


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_brakes(supervisor: Supervisor, value: float) -> None:
    supervisor.reset(BENT)
    for _ in range(5):
        supervisor.step(BENT + [1.0, 0, 0])
    moving = supervisor.position.copy()
    asked = BENT.copy()
    asked[1] = value
    for _ in range(10):
        sent, reasons = supervisor.step(asked)
        assert np.isfinite(sent).all()
        assert reasons == Reason.NOT_FINITE
    assert supervisor.at_rest
    assert np.abs(sent - moving).max() < 0.2


def test_reasons_as_they_are_recorded() -> None:
    frames = np.stack([as_frame(0), as_frame(int(Reason.JERK | Reason.WORKSPACE)), as_frame(16)])
    assert counted(frames) == {"a joint's jerk": 2, "the workspace": 1}


def test_a_joint_that_the_model_does_not_have_is_named() -> None:
    model = mujoco.MjModel.from_xml_string(MODEL)
    with pytest.raises(ValueError, match="no joint 'wrist'; there are turn, shoulder, elbow"):
        JointMap(model, ["wrist"], [1.0], [0.0])
