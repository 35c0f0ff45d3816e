"""A hand in an empty room, and a device that a test holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from robolearn.agents.devices.device import HandDevice, HandMotion
from robolearn.agents.hand import Pose
from robolearn.environments.environment import Environment
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext, Observation

NAMES = ("x", "y", "z", "rx", "ry", "rz", "gripper")
UP = np.array([0.0, 0.0, 0.01, 0.0, 0.0, 0.0])
RATE = 100.0


def context(hands: int = 1, model_file: str | None = None) -> EpisodeContext:
    prefixes = [""] if hands == 1 else [f"robot{number}_" for number in range(hands)]
    names = tuple(f"{prefix}{name}" for prefix in prefixes for name in NAMES)
    features = {}
    for number in range(hands):
        features[f"observation.state.robot{number}_eef_pos"] = Feature("float32", (3,))
        features[f"observation.state.robot{number}_eef_quat"] = Feature("float32", (4,))
    return EpisodeContext(
        features=features,
        action=ActionFeature(
            "float32",
            (7 * hands,),
            names,
            (-1.0,) * 7 * hands,
            (1.0,) * 7 * hands,
            gripper=tuple(range(6, 7 * hands, 7)),
            scale=((0.05,) * 3 + (0.5,) * 3 + (1.0,)) * hands,
        ),
        task="rise",
        rate=RATE,
        model_file=model_file,
    )


def seen(*positions: Sequence[float], success: bool | None = None) -> Observation:
    values = {}
    for number, position in enumerate(positions):
        values[f"observation.state.robot{number}_eef_pos"] = np.array(position, np.float32)
        values[f"observation.state.robot{number}_eef_quat"] = np.array([0, 0, 0, 1], np.float32)
    now = time.monotonic()
    return Observation(values, dict.fromkeys(values, now), time=0.0, success=success)


class HandWorld(Environment):
    """The hand goes where it is asked to go; it succeeds 5 cm above where it began.

    The seeds that it was reset with are kept in `seeds`.
    """

    horizon = 3

    def __init__(self, *, knows: bool = True) -> None:
        self._knows = knows
        self.seeds: list[int] = []
        self.position = np.zeros(3)

    @property
    def context(self) -> EpisodeContext:
        return replace(context(), seed=self.seeds[-1] if self.seeds else None)

    def reset(self, seed: int) -> None:
        self.seeds.append(seed)
        self.position = np.zeros(3)

    def observe(self) -> Observation:
        success = bool(self.position[2] > 0.055) if self._knows else None
        return seen(self.position, success=success)

    def act(self, action: np.ndarray) -> np.ndarray:
        sent = self.context.action.limited(action)
        self.position = self.position + 0.05 * sent[:3]
        return sent

    def close(self) -> None: ...


class Held(HandDevice):
    """Asks for a way, by step since its reset."""

    def __init__(self, way: Callable[[int], np.ndarray] = lambda step: UP) -> None:
        self._way = way
        self.steps = self.resets = 0

    def reset(self) -> None:
        self.steps = 0
        self.resets += 1

    def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
        self.steps += 1
        return [HandMotion(self._way(self.steps), closed=False) for _ in hands]

    def close(self) -> None: ...
