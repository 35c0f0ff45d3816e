"""Real arms, and whatever answers like one."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from robolearn.environments.arms.dragging import DraggedTargets
from robolearn.environments.arms.link import ArmLink, look_over, sent_joints
from robolearn.environments.arms.messages import Tick, joints_of
from robolearn.environments.arms.pose import PoseControl
from robolearn.environments.arms.profile import Arm
from robolearn.environments.arms.stage import Stage
from robolearn.environments.environment import Environment
from robolearn.environments.safety.reasons import SAFETY_FEATURE, Reason, as_frame, reasons_in
from robolearn.episodes.features import IMAGES, SAFETY, STATE, ActionFeature, Feature
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import ArmError, ShelfError

REAL_TYPE = 4
"""``type`` in ``env_args`` of an arm; robomimic knows 1 to 3."""


class LeRobotEnvironment(Environment):
    """An arm that a LeRobot driver moves, through the process that holds it and its supervisor.

    Each `act` waits for the arm's next control step, so that the loop needs no clock of its own.
    Joint positions are rad, m, and shares of a gripper's way; an action is the joints' targets, or
    the change of the tool's pose where the profile has ``[pose]``. `reset` approaches the first
    pose slowly, and `close` the home pose, if the arm is not halted.

    Args:
        arm: which.
        moves: whether anything is sent to the motors.
        stage: what lies before the arm, where that is known.
        dragged: the motors are limp in an episode, and a person drags the arm: whatever is asked,
            `act` returns the targets that would have brought it where it is at the next step.
            `reset` goes nowhere, and the arm holds where it is as soon as the episode is over.

    Raises:
        ShelfError: the profile fits neither driver nor model, or its actions move the tool, which
            nobody can drag.
        MissingDependency: a library is not installed.
        ArmError: the arm is absent, busy, calibrated otherwise, or does not answer.

    Attributes:
        start: gives (J,) where an episode begins; the profile's home unless it is set.
        changed: control steps of the episode that the supervisor changed, by reason.
        late: control steps of the episode for which no new action had come.
        stop: ends the episode at the next observation, as at its horizon.
    """

    def __init__(
        self, arm: Arm, *, moves: bool = True, stage: Stage | None = None, dragged: bool = False
    ) -> None:
        self._arm, self._profile, self._stage = arm, arm.profile, stage
        if dragged and arm.profile.pose is not None:
            raise ShelfError(
                f"{arm.path}: a hand drags joints, and the actions of this profile move the tool: "
                "record with a profile without [pose]"
            )
        self._dragged = DraggedTargets(arm) if dragged else None
        self._pose = None if arm.profile.pose is None else PoseControl(arm)
        self._home = self._profile.si("home")
        self._ends = np.stack([self._profile.si("low"), self._profile.si("high")])
        self._rounded_ends = self._ends.astype(np.float32)
        self.start: Callable[[], Array] = lambda: self._home
        self.changed: Counter[Reason] = Counter()
        self.late = 0
        self.stop = False
        self._seed: int | None = None
        self._in_episode = self._watched = self._closed = False
        self._steps = 0
        self._began = time.monotonic()
        self._link = ArmLink(arm, moves=moves)
        self._context = _context(arm, self._pose, self._link.shapes, stage)

    @property
    def context(self) -> EpisodeContext:
        return replace(self._context, seed=self._seed)

    @property
    def action(self) -> ActionFeature:
        """What drives it."""
        return self._context.action

    @property
    def horizon(self) -> int:
        return self._profile.horizon

    @property
    def joints(self) -> Array:
        """(J,) where the joints are; rad, m and shares."""
        return np.array(joints_of(self._link.tick.joints))

    @property
    def sent(self) -> Array:
        """(J,) what was sent to them last."""
        return sent_joints(self._link.tick)

    @property
    def tick(self) -> Tick:
        """The arm's last control step."""
        return self._link.tick

    @property
    def process(self) -> int | None:
        """Number of the process that holds the arm."""
        return self._link.process

    @property
    def halted(self) -> str:
        """Why the arm was brought to a halt; empty while it is not."""
        return self._link.tick.halted

    @property
    def changed_in_words(self) -> dict[str, int]:
        """`changed`, for people."""
        return {reason.text: steps for reason, steps in self.changed.items()}

    @property
    def trouble(self) -> str:
        """Why an episode cannot begin or go on: a halt, a camera without images; or empty."""
        if self.halted:
            return self.halted
        tick, patience = self._link.tick, self._profile.watchdog.cameras
        for camera, (_, arrived) in tick.images.items():
            if tick.time - arrived > patience:
                return f"no image of the camera {camera} for {tick.time - arrived:.1f} s"
        return ""

    def reset(self, seed: int) -> None:
        """Approach the first pose, slowly; or go limp.

        Raises:
            ArmError: the arm was halted, and what halted it is still so; or is halted on the way.
        """
        self._seed, self._in_episode = seed, False
        self._link.order("rest")
        self._link.settle()
        if self.halted:
            self._link.order("resume")
            self._link.settle()
        if self._dragged is not None:
            self._link.order("limp")
            self._link.settle()
            self._require_going()
        if self._stage is not None:
            self._stage.clear()
        if self._dragged is None:
            self.approach(self.start())
        if self._stage is not None:
            self._stage.set_up(seed)
        self._steps, self.stop = 0, False
        self.changed.clear()
        self.late = 0
        self._began = time.monotonic()
        self._link.wait()
        self._in_episode, self._watched = True, False

    def observe(self) -> Observation:
        tick = self._link.tick
        joints = self.joints
        values: dict[str, Array] = {SAFETY: as_frame(tick.reasons)}
        timestamps = {SAFETY: tick.time}
        if self._pose is None:
            values[STATE] = joints.astype(np.float32)
            timestamps[STATE] = tick.joints_time
        else:
            poses = self._pose.observed(joints)
            values |= poses
            timestamps |= dict.fromkeys(poses, tick.joints_time)
        for camera in self._link.shapes:
            name = f"{IMAGES}.{camera}"
            values[name], timestamps[name] = self._link.image(camera)
        success = None
        if self._stage is not None:
            seen = self._stage.look()
            values |= seen.values
            timestamps |= dict.fromkeys(seen.values, seen.time)
            success = seen.success
        return Observation(
            values=values,
            timestamps=timestamps,
            time=tick.time - self._began,
            success=success,
            truncated=self.stop,
            failed=bool(tick.halted),
        )

    def act(self, action: Array) -> Array:
        """Send an action, and wait until the arm was sent what became of it.

        Raises:
            ValueError: the action has another shape, or is not finite.
            ArmError: the process that holds the arm does not answer.
        """
        asked = self.action.limited(action)  # refuses what has another shape, or is not finite
        before = self._link.tick
        if self._dragged is not None:
            target = self.joints  # by which the arm knows that somebody is there
        elif self._pose is None:
            target = self._exactly(np.asarray(action, self.action.dtype))
        else:
            target = self._pose.target(asked, self.joints, sent_joints(before))
        joints = self.joints
        if self._in_episode and not self._watched:
            # From the first action on the next one is waited for: until then the arm is at rest,
            # and whoever records may take time to open a file.
            self._link.order("begin")
        tick = self._link.send(target)
        self._steps += 1
        if self._watched:
            missed = round((tick.time - before.time) * self._profile.rate) - 1
            self.late += max(missed, 0)
        self._watched = self._in_episode
        self.changed.update(reasons_in(tick.reasons))
        if self._dragged is not None:
            seconds = max(tick.joints_time - before.joints_time, 1 / self._profile.rate)
            velocities = (self.joints - joints) / seconds
            return self._dragged(self.joints, velocities).astype(self.action.dtype)
        sent = sent_joints(tick)
        if self._pose is None:
            return sent.astype(self.action.dtype)
        return asked if not tick.reasons else self._pose.achieved(joints, sent)

    def towards(self, joints: Array) -> Array:
        """The action that brings the joints to (J,), or as far as one action may."""
        if self._pose is None:
            return joints.astype(self.action.dtype)
        return self._pose.towards(self.joints, joints)

    def approach(self, joints: Array) -> None:
        """Go somewhere slowly: each joint along a minimum-jerk curve (Flash and Hogan 1985).

        Args:
            joints: (J,); what lies outside of the limits is not reached.

        Raises:
            ArmError: the arm was halted.
        """
        self._require_going()
        tick = self._link.tick
        while not tick.at_rest:
            tick = self._link.wait()
        goal = np.clip(joints, *self._ends)
        begin = self.sent
        way, profile = np.abs(goal - begin), self._profile
        # The curve's greatest velocity is 15/8 way/T, its acceleration 5.78 way/T², its jerk
        # 60 way/T³.
        seconds = max(
            (15 / 8 * way / (profile.approach * profile.si("velocity"))).max(),
            np.sqrt(5.78 * way / (0.5 * profile.si("acceleration"))).max(),
            np.cbrt(60.0 * way / (0.5 * profile.si("jerk"))).max(),
        )
        steps = max(1, int(np.ceil(seconds * self._profile.rate)))
        for step in range(1, steps + 1):
            s = step / steps
            share = s**3 * (10 + s * (6 * s - 15))
            tick = self._link.send(goal if step == steps else begin + share * (goal - begin))
            self._require_going()
        while not tick.at_rest:  # limits in space may have held it up
            tick = self._link.send(goal)
            self._require_going()

    def halt(self) -> None:
        """Bring the arm to rest and hold it there, until the next `reset`."""
        self._in_episode = False
        if not self._closed:
            self._link.halt()

    def stop_at_once(self) -> None:
        """Bring the arm to rest, without waiting for it; from any thread.

        Where the process that holds the arm is gone, nothing can be stopped, and the loop is told.
        """
        if not self._closed:
            with contextlib.suppress(ArmError):
                self._link.order("halt")

    def wait(self) -> Tick:
        """The arm's next control step, without an action.

        Raises:
            ArmError: the process that holds the arm does not answer.
        """
        return self._link.wait()

    def rest(self) -> None:
        """No episode is going on: it is no fault that no action comes."""
        self._in_episode = False
        self._link.order("rest")

    def close(self) -> None:
        """Go home, slowly, and let go of the arm; where it was halted, it stays and holds."""
        if self._closed:
            return
        release = False
        try:
            self._link.order("rest")
            if not self.halted:
                self.approach(self._home)
                release = True
        except ArmError:
            release = False  # what stopped it was told when it happened, or is told by the process
        finally:
            self._closed = True
            self._link.close(release=release)

    def _require_going(self) -> None:
        if self.halted:
            raise ArmError(f"the arm was brought to a halt: {self.halted}")

    def _exactly(self, action: Array) -> Array:
        """(J,) in double precision: the end of a range is that, though it was rounded."""
        target: Array = action.astype(np.float64)
        for ends, rounded in zip(self._ends, self._rounded_ends, strict=True):
            target = np.where(action == rounded, ends, target)
        return target


def context_of(arm: Arm, stage: Stage | None = None) -> EpisodeContext:
    """What holds for the episodes of an arm, found out without connecting to it.

    Args:
        arm: which.
        stage: what lies before it, where that is known.

    Raises:
        ShelfError: the profile fits neither driver nor model.
        MissingDependency: a library is not installed.
        ArmError: the driver cannot be made, or there is no calibration.
    """
    pose = None if arm.profile.pose is None else PoseControl(arm)
    return _context(arm, pose, look_over(arm), stage)


def _context(
    arm: Arm,
    pose: PoseControl | None,
    cameras: Mapping[str, tuple[int, ...]],
    stage: Stage | None,
) -> EpisodeContext:
    profile = arm.profile
    names = profile.names
    state = {STATE: Feature("float32", (len(names),), names)} if pose is None else pose.features
    images = {f"{IMAGES}.{camera}": Feature("uint8", shape) for camera, shape in cameras.items()}
    return EpisodeContext(
        features=state
        | images
        | {SAFETY: SAFETY_FEATURE}
        | dict({} if stage is None else stage.features),
        action=_joint_action(arm) if pose is None else pose.action,
        task=profile.text,
        rate=profile.rate,
        env_args={
            "env_name": profile.robot.type,
            "type": REAL_TYPE,
            "env_kwargs": {"target": arm.target, "tried_on": profile.tried_on},
        },
    )


def _joint_action(arm: Arm) -> ActionFeature:
    profile = arm.profile
    return ActionFeature(
        dtype="float32",
        shape=(len(profile.joints),),
        names=profile.names,
        low=tuple(profile.si("low").tolist()),
        high=tuple(profile.si("high").tolist()),
    )
