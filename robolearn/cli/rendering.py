"""What ``--cameras`` and the options that go with it ask to be rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from robolearn.environments.targets import Task
    from robolearn.environments.task import Quality


class AsksForCameras(Protocol):
    """A command with these options."""

    @property
    def cameras(self) -> tuple[str, ...]: ...
    @property
    def camera_height(self) -> int: ...
    @property
    def camera_width(self) -> int: ...
    @property
    def camera_depth(self) -> bool: ...
    @property
    def camera_quality(self) -> Quality: ...


def with_cameras[T: Task](task: T, asked: AsksForCameras) -> T:
    """The same task with the cameras that were asked for; with its own where none were.

    Raises:
        ConfigurationError: distances of no camera are asked for.
        ShelfError: its environment renders no distances.
    """
    from robolearn.errors import ConfigurationError

    if asked.cameras:
        return cast(
            "T",
            task.with_cameras(
                asked.cameras,
                asked.camera_height,
                asked.camera_width,
                asked.camera_quality,
                depth=asked.camera_depth,
            ),
        )
    if asked.camera_depth:
        raise ConfigurationError("--camera-depth is of the cameras that --cameras names")
    return task
