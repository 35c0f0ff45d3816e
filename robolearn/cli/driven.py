"""An environment that a person is to drive, and by what: for ``robolearn record``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from robolearn.agents.devices.device import HandDevice
    from robolearn.agents.devices.display import Display
    from robolearn.agents.devices.registry import Setting
    from robolearn.agents.devices.requests import Requests
    from robolearn.agents.person import PersonAgent
    from robolearn.cli.record import Record
    from robolearn.control.collecting import Pace
    from robolearn.control.keys import Keys
    from robolearn.environments.arms.environment import LeRobotEnvironment
    from robolearn.environments.arms.presence import Present
    from robolearn.environments.arms.profile import Arm
    from robolearn.environments.environment import Environment
    from robolearn.episodes.frames import EpisodeContext

type Say = Callable[[str], None]
"""Tells the person a line."""

JOINTS_LED: Mapping[str, str] = {
    "leader": "The arm goes where the leader's joints are.",
    "hand": "Hold the arm: its motors are limp from READY until the episode is over.",
}
"""Who drives an arm by its joints, and what the person has to know of it."""

_KEYS = "enter  begin   y  keep   n  keep as failed   x  throw away   z  once more   space  stop"

_LIMIT = 60.0
"""Seconds of an episode in a simulator: a script's horizon is too short for a person."""

_VIEW_SIZE = 180, 240
_HAND_VIEW = "robot0_eye_in_hand"


@dataclass(frozen=True)
class Driven:
    """An environment and who drives it.

    Attributes:
        environment: as it is recorded.
        agent: that the person is behind.
        help: lines that tell what does what.
        displays: that the person is shown on how it goes, beside the terminal.
        pace: of the environment.
        limit: seconds after which an episode ends by itself.
        attended: whether somebody can begin, judge and stop.
        put_back: whether the person puts things back before each reset.
        remarks: what the person should know before anything moves.
    """

    environment: Environment
    agent: PersonAgent
    help: Sequence[str]
    displays: Sequence[Display]
    pace: Pace
    limit: float
    attended: bool = True
    put_back: bool = False
    remarks: Sequence[str] = ()


def drive_task(command: Record, requests: Requests, say: Say, held: ExitStack) -> Driven:
    """A simulated task whose hands a device moves.

    Raises:
        ShelfError: it has no hands that a device could move.
        DeviceError: the device is not there.
    """
    from robolearn.agents.devices.views import VIEW
    from robolearn.agents.hand_teleoperator import HandTeleoperator
    from robolearn.cli.rendering import with_cameras
    from robolearn.control.collecting import Pace
    from robolearn.environments.targets import load_target, make_environment
    from robolearn.environments.task import SimTask
    from robolearn.environments.unrecorded import UnrecordedImages
    from robolearn.errors import ConfigurationError, MissingDependency, ShelfError

    if command.by in JOINTS_LED:
        raise ConfigurationError(
            f"--by {command.by} is for arms, real:NAME, and {command.target} is none: a person "
            "drives it with a device, or with the leader arm of a profile, --by real:NAME"
        )
    task = load_target(command.target)
    if not isinstance(task, SimTask):
        raise ShelfError(
            f"{command.target} has no hand that --by {command.by} could move: that is for tasks of "
            "robosuite with the controller OSC_POSE, and for arms with [pose]"
        )
    task = with_cameras(task, command)
    watched = not task.cameras.names
    try:
        environment = make_environment(
            task.with_cameras((VIEW, _HAND_VIEW), *_VIEW_SIZE) if watched else task
        )
    except MissingDependency as error:
        if not watched:
            raise
        say(f"no picture is shown: {error}")
        environment, watched = make_environment(task), False
    held.callback(environment.close)
    context = environment.context
    device, displays = _device(command, context, requests, say, held)
    agent = HandTeleoperator(device, context)
    _warm_up(environment)
    return Driven(
        UnrecordedImages(environment) if watched else environment,
        agent,
        device.help,
        displays,
        Pace.of_simulator(context.rate),
        command.seconds or max(_LIMIT, environment.horizon / context.rate),
    )


def drive_arm(command: Record, requests: Requests, say: Say, held: ExitStack) -> Driven:
    """An arm whose tool a device moves, or its joints a leader arm or a hand.

    Raises:
        ShelfError: its profile is not for that.
        DeviceError: the device is not there.
        ArmError: the arm or its leader is not there, or does not answer.
    """
    from robolearn.environments.arms.profile import load_arm
    from robolearn.errors import ConfigurationError

    if command.cameras:
        raise ConfigurationError("an arm's cameras are in its profile")
    arm = load_arm(command.target)
    by = _arm_by_joints if command.by in JOINTS_LED else _arm_by_device
    return by(command, arm, requests, say, held)


def _arm_by_joints(
    command: Record, arm: Arm, requests: Requests, say: Say, held: ExitStack
) -> Driven:
    from robolearn.agents.devices.registry import Setting
    from robolearn.agents.dragged import Dragged
    from robolearn.agents.teleoperator import TeleoperatorAgent
    from robolearn.environments.arms.environment import LeRobotEnvironment, context_of
    from robolearn.environments.arms.presence import present

    led = command.by == "leader"
    here = held.enter_context(present(arm, "leader" if led else "follower"))
    leader = TeleoperatorAgent(here.arm) if led else None
    if leader is not None:
        held.callback(leader.close)
    setting = Setting(context_of(here.arm, here.stage), requests.add, say)
    displays = _buttons(command, setting, held)
    keys = held.enter_context(_keys(requests))
    environment = LeRobotEnvironment(here.arm, stage=here.stage, dragged=not led)
    if leader is not None:
        environment.start, leader.towards = leader.pose, environment.towards
    return _of_arm(
        command,
        here,
        environment,
        leader or Dragged(),
        (JOINTS_LED[command.by], _KEYS),
        displays,
        requests,
        held,
        attended=not here.scripted and (keys.listening or bool(command.buttons)),
    )


def _arm_by_device(
    command: Record, arm: Arm, requests: Requests, say: Say, held: ExitStack
) -> Driven:
    """The device comes first: without it, the arm is not even switched on."""
    from robolearn.agents.hand_teleoperator import HandTeleoperator
    from robolearn.environments.arms.environment import LeRobotEnvironment, context_of
    from robolearn.environments.arms.presence import present
    from robolearn.errors import ShelfError

    if arm.profile.pose is None:
        raise ShelfError(
            f"--by {command.by} moves the hand, and the actions of {command.target} its joints: "
            "add [pose] to its profile, or record it --by leader or --by hand"
        )
    here = held.enter_context(present(arm))
    device, displays = _device(command, context_of(here.arm, here.stage), requests, say, held)
    environment = LeRobotEnvironment(here.arm, stage=here.stage)
    return _of_arm(
        command,
        here,
        environment,
        HandTeleoperator(device, environment.context),
        device.help,
        displays,
        requests,
        held,
        attended=True,
    )


def _of_arm(
    command: Record,
    here: Present,
    environment: LeRobotEnvironment,
    agent: PersonAgent,
    help_lines: Sequence[str],
    displays: Sequence[Display],
    requests: Requests,
    held: ExitStack,
    *,
    attended: bool,
) -> Driven:
    from robolearn.cli.deploy import cautions
    from robolearn.control.collecting import Pace
    from robolearn.control.driving import measure

    held.callback(environment.close)  # before what can stop it on its way home
    requests.stop_by(environment.stop_at_once)
    return Driven(
        environment,
        agent,
        help_lines,
        displays,
        Pace.of_arm(environment),
        command.seconds or environment.horizon / environment.context.rate,
        attended,
        attended and here.stage is None,
        (*cautions(here.arm), str(measure(environment))),
    )


def _device(
    command: Record, context: EpisodeContext, requests: Requests, say: Say, held: ExitStack
) -> tuple[HandDevice, list[Display]]:
    """The device and what shows how it goes; with the terminal's keys, where they are free."""
    from robolearn.agents.devices.display import Display
    from robolearn.agents.devices.registry import DEVICES, Setting, make_device

    setting = Setting(context, requests.add, say)
    if command.by in DEVICES:
        device = make_device(command.by, setting)
    else:
        from robolearn.agents.devices.leader import LeaderHand
        from robolearn.environments.arms.presence import present
        from robolearn.environments.arms.profile import load_arm

        here = held.enter_context(present(load_arm(command.by), "leader"))
        device = LeaderHand(here.arm, setting)
    held.callback(device.close)
    displays = _buttons(command, setting, held)
    if isinstance(device, Display):
        displays.append(device)
    if not device.reads_terminal:
        held.enter_context(_keys(requests))
    return device, displays


def _buttons(command: Record, setting: Setting, held: ExitStack) -> list[Display]:
    from robolearn.cli.buttons import open_buttons
    from robolearn.errors import ConfigurationError

    own = {"vr": "page", "vr-usb": "page", "gamepad": "gamepad"}.get(command.by)
    if own in command.buttons:
        raise ConfigurationError(f"--by {command.by} has these buttons: leave --buttons {own} out")
    return open_buttons(command.buttons, setting, held)


def _keys(requests: Requests) -> Keys:
    """The terminal's keys, which begin and end episodes; a context manager."""
    from robolearn.control.keys import Keys, request_keys

    return Keys(request_keys(requests.add))


def _warm_up(environment: Environment) -> None:
    """Do one control step that counts for nothing: the first one may compile for seconds."""
    action = environment.context.action
    environment.reset(0)
    environment.act((np.array(action.low) + action.high) / 2)
    environment.observe()
