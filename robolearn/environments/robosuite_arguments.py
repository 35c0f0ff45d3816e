"""What robosuite is asked for, from a task on the shelf ``sim/``, and what its actions mean."""

from __future__ import annotations

from typing import Any

from robolearn.environments.randomization import RANDOMIZATION
from robolearn.environments.task import HandController, SimTask
from robolearn.episodes.features import ActionFeature
from robolearn.episodes.frames import IMAGE_QUALITY
from robolearn.errors import SimulationError

_DECIDED = {
    *("robots", "controller_configs", "control_freq", "horizon", "seed", "use_object_obs"),
    *("ignore_done", "hard_reset", "lite_physics"),
    *("has_renderer", "has_offscreen_renderer", "use_camera_obs"),
}
"""robosuite's arguments that are no options: episodes would not be what their description says."""

_HAND = ("x", "y", "z", "rx", "ry", "rz")


def env_args(task: SimTask, version: str) -> dict[str, Any]:
    """The environment in robomimic's form, so that its tools can rebuild it.

    What robosuite does not know stands beside ``env_kwargs``, where these tools pass it over: how
    images are rendered, and what is randomised.

    Args:
        task: to be made.
        version: of robosuite.

    Raises:
        SimulationError: the task's options hold what is no option.
    """
    simulator = task.simulator
    decided = _DECIDED & simulator.options.keys()
    if decided:
        raise SimulationError(
            f"[simulator.options] cannot hold {', '.join(sorted(decided))}: that is said elsewhere "
            "in the task's file, or decided by robolearn"
        )
    controllers = [_controller(task, robot) for robot in simulator.robots]
    alone = len(controllers) == 1
    beside: dict[str, Any] = {}
    if task.cameras.names:
        beside[IMAGE_QUALITY] = task.cameras.quality
    if task.randomization:
        beside[RANDOMIZATION] = task.randomization.to_json()
    return {
        "env_name": simulator.environment,
        "env_version": version,
        "type": 1,
        "env_kwargs": {
            "robots": simulator.robots[0] if alone else list(simulator.robots),
            "controller_configs": controllers[0] if alone else controllers,
            "control_freq": simulator.rate,
            "has_renderer": False,
            "has_offscreen_renderer": False,
            "use_camera_obs": False,
            "use_object_obs": True,
            "reward_shaping": False,
            "ignore_done": True,
            "hard_reset": False,
        }
        | simulator.options,
        **beside,
    }


def action_feature(env: Any, task: SimTask) -> ActionFeature:
    """What a robosuite environment of this task is driven by.

    With one arm, elements are called ``x``, ``joint_1`` or ``gripper``; with several, each name
    begins with ``robot0_``, ``robot1_``, …
    """
    names: list[str] = []
    scale: list[float] = []
    grippers: list[int] = []
    controller = task.simulator.controller
    for place, robot in enumerate(env.robots):
        prefix = f"robot{place}_" if len(env.robots) > 1 else ""
        composite = robot.composite_controller
        for part, (first, stop) in composite._action_split_indexes.items():
            size = stop - first
            if part in composite.grippers:
                numbered = [f"gripper_{index}" for index in range(1, size + 1)]
                names += [f"{prefix}{name}" for name in (["gripper"] if size == 1 else numbered)]
                grippers += range(len(scale), len(scale) + size)
                scale += [1.0] * size
            else:
                joints = [f"joint_{index}" for index in range(1, size + 1)]
                moved = _HAND if isinstance(controller, HandController) else joints
                names += [f"{prefix}{name}" for name in moved]
                scale += controller.limits(size)
    low, high = env.action_spec
    return ActionFeature(
        dtype="float32",
        shape=(len(low),),
        names=tuple(names),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        gripper=tuple(grippers),
        scale=tuple(scale),
    )


def _controller(task: SimTask, robot: str) -> dict[str, Any]:
    from robosuite.controllers import load_composite_controller_config, load_part_controller_config

    composite: dict[str, Any] = load_composite_controller_config(controller="BASIC", robot=robot)
    arm = composite["body_parts"]["right"]
    controller = task.simulator.controller
    if isinstance(controller, HandController):
        limits = controller.limits(joints=0)
        arm |= {"output_max": list(limits), "output_min": [-limit for limit in limits]}
    else:
        limit = controller.limit
        arm = load_part_controller_config(default_controller=controller.type) | {
            "gripper": arm["gripper"],
            "output_max": limit,
            "output_min": -limit,
        }
        if controller.type == "JOINT_VELOCITY":
            arm["velocity_limits"] = [-limit, limit]
    composite["body_parts"] = {"right": arm | {"type": controller.type}}
    return composite
