"""How a collection is going, in words and with its picture."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from robolearn.agents.devices.display import Phase, Status
from robolearn.episodes.features import IMAGES
from robolearn.episodes.frames import Array, Observation

BANNERS: Mapping[Phase, str] = {
    "resetting": "PUT BACK   everything, step back, and press Enter: then the arm moves",
    "ready": "READY      move, or press Enter, to begin",
    "recording": "RECORDING  y keep   n keep as failed   x throw away   z once more",
    "judging": "KEEP IT?   y keep   n keep as failed   x throw away   z once more",
    "deploying": "DEPLOYING  y succeeded   n failed   Enter end the episode",
    "ended": "ENDED",
}


def progress(status: Status) -> str:
    """Which episode, for how long, and whether it succeeded."""
    success = {True: "success", False: "not yet", None: ""}[status.success]
    return (
        f"episode {min(status.kept + 1, status.wanted)} of {status.wanted}   "
        f"{status.seconds:5.1f} s of {status.limit:.0f} s   {success}"
    )


def health(status: Status, observation: Observation | None) -> str:
    """How well the loop and the cameras keep up."""
    parts = []
    if status.rate:
        parts.append(f"{status.rate:.1f} Hz of {status.wanted_rate:g}")
    parts.append(f"missed {status.missed}, dropped {status.dropped}")
    now = time.monotonic()
    for name, sensed in {} if observation is None else observation.timestamps.items():
        if name.startswith(f"{IMAGES}."):
            age = 1e3 * (now - sensed)
            parts.append(f"{name.removeprefix(f'{IMAGES}.')} {age:.0f} ms old")
    return ", ".join(parts)


def picture(observation: Observation | None) -> Array | None:
    """(H, W, 3) of the first camera, and beside it the second, if that is as high.

    None where there is no camera.
    """
    values = {} if observation is None else observation.values
    images = [image for name, image in values.items() if name.startswith(f"{IMAGES}.")]
    if not images:
        return None
    beside = [image for image in images[:2] if len(image) == len(images[0])]
    return np.concatenate(beside, axis=1)
