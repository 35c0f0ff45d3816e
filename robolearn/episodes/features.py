"""Names and shapes of what an episode holds. Names follow LeRobot."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError

from robolearn.errors import DatasetError

STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"
IMAGES = "observation.images"
DEPTH = "_depth"
"""Follows a camera's name in the feature that has its distances."""
ACTION = "action"
SIMULATOR_STATE = "simulator_state"
"""Time, positions and velocities of all that is simulated: for replay, never a policy's input."""
SAFETY = "observation.safety"
"""Which limits changed the action that led to a frame: for people, never a policy's input."""
TASK_INDEX = "task_index"
"""Which of several tasks' texts holds for a frame; LeRobot's name for it."""


@dataclass(frozen=True)
class Feature:
    """One stream of an episode.

    Attributes:
        dtype: NumPy's name of the element type on disk (``float32``, ``float64``, ``uint8``).
        shape: of one frame; images are (height, width, channels).
        names: of the elements, for vectors. Four names that end in ``.qx .qy .qz .qw`` are a
            unit quaternion.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if np.dtype(self.dtype).kind not in "biuf":
            raise DatasetError(f"a feature cannot be of type {self.dtype}")
        if any(size < 1 for size in self.shape):
            raise DatasetError(f"a feature cannot have the shape {self.shape}")
        if self.names is not None and self.shape != (len(self.names),):
            raise DatasetError(
                f"{len(self.names)} names do not fit a feature of shape {self.shape}"
            )

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3 and self.dtype == "uint8"

    @property
    def is_depth(self) -> bool:
        """Whether it is an image of distances: (H, W) of any type, or (H, W, 1) but of uint8."""
        one_channel = len(self.shape) == 3 and self.shape[2] == 1
        return len(self.shape) == 2 or (one_channel and not self.is_image)

    def differences(self, name: str, offered: Feature | None) -> list[str]:
        """What is different in this feature as it is offered, in words.

        Args:
            name: of the feature.
            offered: in its place; None where there is none.
        """
        if offered is None:
            return [f"{name} is missing"]
        if offered.shape != self.shape:
            return [f"{name} is {offered.shape}, not {self.shape}"]
        if self.is_image != offered.is_image:
            return [f"{name} is {offered.dtype}, not {self.dtype}"]
        if self.names and offered.names and offered.names != self.names:
            return [f"{name} has other elements: {offered.names}, not {self.names}"]
        return []

    def indices(self, stem: str) -> list[int]:
        """Positions of the elements called ``stem`` or ``stem.<something>``, in order.

        Raises:
            DatasetError: the feature has no such element.
        """
        found = [
            index
            for index, name in enumerate(self.names or ())
            if name == stem or name.startswith(f"{stem}.")
        ]
        if not found:
            raise DatasetError(
                f"no element is called {stem!r}; there are {', '.join(self.names or ())}"
            )
        return found

    def quaternions(self) -> list[int]:
        """Where each unit quaternion (x, y, z, w) begins."""
        suffixes = [name.rsplit(".", 1)[-1] for name in self.names or ()]
        return [
            start
            for start in range(len(suffixes) - 3)
            if suffixes[start : start + 4] == ["qx", "qy", "qz", "qw"]
        ]

    def to_json(self) -> dict[str, Any]:
        """Begins as in LeRobot's ``info.json``: ``dtype``, ``shape``, ``names``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """What `to_json` gave.

        Raises:
            DatasetError: it is anything else.
        """
        try:
            kind: Any = cls
            feature: Self = _adapter(kind).validate_python(data)
        except (ValidationError, TypeError) as error:
            raise DatasetError(f"no description of a feature: {data!r:.80}") from error
        return feature

    def as_frame(self, value: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """``value`` with this feature's dtype.

        Raises:
            DatasetError: it has another shape.
        """
        array = np.asarray(value, dtype=self.dtype)
        if array.shape != self.shape:
            raise DatasetError(
                f"a frame of shape {array.shape} does not fit the feature's {self.shape}"
            )
        return array


TASK_FEATURE = Feature("int64", (1,), (TASK_INDEX,))


@functools.cache
def _adapter(cls: type[Feature]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def all_differences(features: Mapping[str, Feature], offered: Mapping[str, Feature]) -> list[str]:
    """What is different in these features as they are offered, in words."""
    return [
        difference
        for name, feature in features.items()
        for difference in feature.differences(name, offered.get(name))
    ]


@dataclass(frozen=True)
class ActionFeature(Feature):
    """What an environment is driven by.

    Attributes:
        low: (A,) least value of each element that the environment accepts.
        high: (A,) greatest value.
        gripper: positions of the elements that open (``low``) and close (``high``) a gripper.
        scale: (A,) what an action of 1 asks for, in SI units (m, rad); empty where not known.
    """

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    gripper: tuple[int, ...] = ()
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.shape[0] if len(self.shape) == 1 else -1
        if not len(self.low) == len(self.high) == size or not all(
            math.isfinite(low) and math.isfinite(high) and low < high
            for low, high in zip(self.low, self.high, strict=True)
        ):
            raise DatasetError("an action needs a finite range, low < high, for each element")
        if self.scale and len(self.scale) != size:
            raise DatasetError(f"an action of {size} elements has no {len(self.scale)} scales")
        if any(not 0 <= index < size for index in self.gripper):
            raise DatasetError(f"an action of {size} elements has no grippers {self.gripper}")

    def accepts(self, other: ActionFeature) -> bool:
        """Whether the same numbers mean the same in both, as far as names and scales are known."""
        return (self.low, self.high, self.gripper) == (
            other.low,
            other.high,
            other.gripper,
        ) and all(
            not mine or not theirs or mine == theirs
            for mine, theirs in ((self.names, other.names), (self.scale, other.scale))
        )

    def limited(self, actions: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """Actions as they can be sent: within the range, and whole where elements are whole.

        Args:
            actions: (..., A).

        Raises:
            ValueError: they have another shape, or are not finite.
        """
        asked = np.asarray(actions)
        if asked.shape[-1:] != self.shape:
            raise ValueError(
                f"an action of shape {asked.shape} does not fit the feature's {self.shape}"
            )
        if not np.isfinite(asked).all():
            raise ValueError(f"the action is not finite: {asked}")
        whole = np.issubdtype(self.dtype, np.integer)
        asked = np.rint(asked) if whole else asked.astype(self.dtype)
        low, high = self._range
        within: np.ndarray[Any, np.dtype[Any]] = np.minimum(np.maximum(asked, low), high)
        return within.astype(self.dtype, copy=False)

    @functools.cached_property
    def _range(self) -> np.ndarray[Any, np.dtype[Any]]:
        return np.array([self.low, self.high], self.dtype)

    @property
    def arm(self) -> tuple[int, ...]:
        """Positions of the elements that move the arm: all that are not the gripper's."""
        return tuple(index for index in range(self.shape[0]) if index not in self.gripper)
