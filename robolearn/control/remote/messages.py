"""What a client and a policy's server tell each other: msgpack with arrays as bytes, no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from robolearn.episodes.frames import Array
from robolearn.errors import PolicyError

VERSION = 1
MOST_BYTES = 64 << 20
_KINDS = "biuf"


def packed(message: Mapping[str, Any]) -> bytes:
    """A message; arrays may be values of it, or of a table in it."""
    packed_message: bytes = msgpack.packb(message, default=_as_table)
    return packed_message


def unpacked(message: bytes) -> dict[str, Any]:
    """What `packed` gave.

    Raises:
        PolicyError: it is anything else. What comes over a network may be hostile.
    """
    try:
        content = msgpack.unpackb(message, object_hook=_as_array)
    except Exception as error:  # msgpack, NumPy and the hook raise what they come across
        raise PolicyError(f"an unreadable message: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise PolicyError("an unreadable message: it is no table")
    return content


def _as_table(value: Any) -> dict[str, Any]:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot be sent")
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": value.tobytes()}


def _as_array(table: dict[str, Any]) -> Any:
    if table.keys() != {"dtype", "shape", "data"}:
        return table
    dtype = np.dtype(table["dtype"])
    if dtype.kind not in _KINDS:
        raise ValueError(f"no arrays of {dtype}")
    array: Array = np.frombuffer(table["data"], dtype).reshape(table["shape"])
    return array
