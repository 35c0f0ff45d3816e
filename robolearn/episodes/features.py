"""Names, shapes and layouts of what an episode holds.

Feature names follow LeRobot inside robolearn and map to robomimic's HDF5 layout at its boundary, by
the one table below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robolearn.errors import DatasetError

STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"
IMAGES = "observation.images"
ACTION = "action"
SIMULATOR_STATE = "simulator_state"
"""Time, positions and velocities of all that is simulated: for replay, never a policy's input."""


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
        if self.names is not None and self.shape != (len(self.names),):
            raise DatasetError(
                f"{len(self.names)} names do not fit a feature of shape {self.shape}"
            )

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

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
        """In the form of LeRobot's ``info.json``."""
        return {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "names": None if self.names is None else list(self.names),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Feature:
        names = data["names"]
        return cls(data["dtype"], tuple(data["shape"]), None if names is None else tuple(names))

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


@dataclass(frozen=True)
class ActionFeature(Feature):
    """What an environment is driven by.

    Attributes:
        low: (A,) least value of each element that the environment accepts.
        high: (A,) greatest value.
        gripper: positions of the elements that open (``low``) and close (``high``) a gripper.
    """

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    gripper: tuple[int, ...] = ()

    @property
    def arm(self) -> tuple[int, ...]:
        """Positions of the elements that move the arm: all that are not the gripper's."""
        return tuple(index for index in range(self.shape[0]) if index not in self.gripper)

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {
            "low": list(self.low),
            "high": list(self.high),
            "gripper": list(self.gripper),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ActionFeature:
        plain = Feature.from_json(data)
        return cls(
            plain.dtype,
            plain.shape,
            plain.names,
            tuple(data["low"]),
            tuple(data["high"]),
            tuple(data["gripper"]),
        )


def robomimic_key(feature: str) -> str:
    """Name of a feature below ``data/demo_i`` in robomimic's HDF5 layout.

    =====================================  ==========================
    robolearn                              robomimic
    =====================================  ==========================
    ``action``                             ``actions``
    ``simulator_state``                    ``states``
    ``observation.environment_state``      ``obs/object``
    ``observation.images.<camera>``        ``obs/<camera>_image``
    ``observation.state.<part>``           ``obs/<part>``
    =====================================  ==========================

    Raises:
        DatasetError: the layout has no place for the feature.
    """
    match feature.split("."):
        case ["action"]:
            return "actions"
        case ["simulator_state"]:
            return "states"
        case ["observation", "environment_state"]:
            return "obs/object"
        case ["observation", "images", camera]:
            return f"obs/{camera}_image"
        case ["observation", "state", part]:
            return f"obs/{part}"
    raise DatasetError(f"robomimic's layout has no place for a feature called {feature!r}")


def feature_name(robomimic_key: str) -> str:
    """The inverse of `robomimic_key`.

    Raises:
        DatasetError: the key is none of the layout's per-frame arrays.
    """
    match robomimic_key.split("/"):
        case ["actions"]:
            return ACTION
        case ["states"]:
            return SIMULATOR_STATE
        case ["obs", "object"]:
            return ENVIRONMENT_STATE
        case ["obs", name] if name.endswith("_image"):
            return f"{IMAGES}.{name.removesuffix('_image')}"
        case ["obs", name]:
            return f"{STATE}.{name}"
    raise DatasetError(f"{robomimic_key!r} is none of the per-frame arrays of robomimic's layout")
