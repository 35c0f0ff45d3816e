"""A registered Gymnasium environment as a task, from ``gym:ID`` or a TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from robolearn.environments.expert import Positive
from robolearn.environments.task import Cameras, Count, Quality
from robolearn.errors import ShelfError
from robolearn.shelf import STRICT

GYMNASIUM_TYPE = 2
"""robomimic's number of Gym environments, ``type`` in ``env_args``."""


@dataclass(frozen=True)
class Registered:
    """Which environment Gymnasium is asked to make.

    Attributes:
        id: as it is registered. Before a colon may stand the module that registers it, as
            Gymnasium has it (``gym_pusht:gym_pusht/PushT-v0``).
        rate: control steps a second, Hz; left out, the environment's own.
        horizon: control steps of an episode; left out, the environment's own.
        options: further arguments of the environment, by its names.
    """

    id: str
    rate: Positive | None = None
    horizon: Count | None = None
    options: dict[str, bool | int | float | str] = field(default_factory=dict)

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class GymnasiumTask:
    """One environment that is registered with Gymnasium.

    Attributes:
        text: the task in words, recorded with each episode.
        gymnasium: what is made.
        cameras: what is rendered: its only camera is called ``render``.
    """

    text: str
    gymnasium: Registered
    cameras: Cameras = field(default_factory=Cameras)

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.cameras.depth:
            raise ShelfError("a Gymnasium environment renders no distances: leave depth out")

    def with_cameras(
        self,
        names: tuple[str, ...],
        height: int,
        width: int,
        quality: Quality = "fast",
        *,
        depth: bool = False,
    ) -> GymnasiumTask:
        """The same task with these cameras rendered, in the one quality that there is.

        Raises:
            ShelfError: distances are asked for.
        """
        return replace(self, cameras=Cameras(names, height, width, quality, depth))
