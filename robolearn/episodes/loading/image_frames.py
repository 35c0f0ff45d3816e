"""Where the images of a window come from: decoded beforehand, or when they are asked for."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from robolearn.episodes.frames import Array
from robolearn.episodes.images import Images
from robolearn.episodes.loading.image_cache import cores, in_parallel


class ImageFrames(Protocol):
    """The images of one camera at the frames of some episodes, counted through."""

    @property
    def nbytes(self) -> int:
        """Of memory that `to` takes on a device."""

    def to(self, device: torch.device) -> None:
        """Hold there what can be held."""

    def held_on(self, device: torch.device) -> bool:
        """Whether a batch costs a gather in that device's memory and nothing else."""

    def frames(self, frames: torch.Tensor, to: torch.device) -> torch.Tensor:
        """The images of some windows.

        Args:
            frames: (B, K) on the CPU; each row is of one episode and does not decrease.
            to: where they are wanted; copied there without waiting.

        Returns:
            (B, K, H, W, C) uint8.

        Raises:
            DatasetError: an image cannot be read or decoded.
        """


class DecodedImages:
    """Images in memory, or in a file that is mapped into it.

    Args:
        images: (N, H, W, C) uint8.
        rows: (M,) which of them is at each frame.
    """

    def __init__(self, images: Array, rows: torch.Tensor) -> None:
        self._shape = images.shape[1:]
        with warnings.catch_warnings():  # torch warns of a read-only array; nothing here writes
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._images = torch.from_numpy(images.reshape(len(images), -1))
        self._rows = rows

    @property
    def nbytes(self) -> int:
        return len(self._rows) * self._images.shape[1]

    def to(self, device: torch.device) -> None:
        if device != self._images.device:
            held = torch.empty(
                (len(self._rows), self._images.shape[1]), dtype=torch.uint8, device=device
            )
            for first, rows in _slices(self._rows):
                held[first : first + len(rows)] = self._images.index_select(0, rows).to(device)
            self._images = held
            self._rows = torch.arange(len(held), device=device)

    def held_on(self, device: torch.device) -> bool:
        return device == self._images.device and device.type != "cpu"

    def frames(self, frames: torch.Tensor, to: torch.device) -> torch.Tensor:
        rows = self._rows.index_select(0, frames.flatten().to(self._rows.device))
        if self._images.device.type != "cpu":
            found = self._images.index_select(0, rows)
        else:  # by NumPy in one thread, which does not depend on whether other cores are free
            found = _empty((len(rows), self._images.shape[1]), to)
            np.take(self._images.numpy(), rows.numpy(), axis=0, out=found.numpy(), mode="clip")
        return found.to(to, non_blocking=True).view(*frames.shape, *self._shape)


class EncodedFrames:
    """Images that threads decode when they are asked for; nothing is kept.

    Args:
        images: of each episode.
        firsts: (E,) the frame at which each of them begins.
    """

    def __init__(self, images: Sequence[Images], firsts: Array) -> None:
        self._images = images
        self._firsts = firsts
        self._threads = ThreadPoolExecutor(cores(), thread_name_prefix="decode")
        self._alone = threading.Lock()

    @property
    def nbytes(self) -> int:
        return 0

    def to(self, device: torch.device) -> None: ...

    def held_on(self, device: torch.device) -> bool:
        return False

    def frames(self, frames: torch.Tensor, to: torch.device) -> torch.Tensor:
        shape = (*frames.shape, *self._images[0].shape[1:])
        windows = frames.numpy()
        decoded = _empty(shape, to)
        places = np.array_split(np.arange(len(windows)), cores())

        def decode(part: Array) -> None:
            for place in part:
                self._decode(windows[place], decoded[place].numpy())

        for _ in self._threads.map(decode, places):  # raises what a thread raised
            pass
        return decoded.to(to, non_blocking=True)

    def _decode(self, window: Array, out: Array) -> None:
        episode = int(np.searchsorted(self._firsts, window[0], side="right")) - 1
        images = self._images[episode]
        first, last = int(window[0]), int(window[-1])
        begin = first - int(self._firsts[episode])
        with contextlib.nullcontext() if in_parallel(images) else self._alone:
            found = images[begin : begin + last - first + 1]
        np.take(found, window - first, axis=0, out=out, mode="clip")  # "raise" copies once more


def _empty(shape: tuple[int, ...], to: torch.device) -> torch.Tensor:
    """uint8 on the CPU; pinned where it goes on to a GPU, so that nothing waits for the copy.

    torch does not use pinned memory again before it has been copied.
    """
    return torch.empty(shape, dtype=torch.uint8, pin_memory=to.type == "cuda")


def _slices(rows: torch.Tensor, size: int = 1024) -> list[tuple[int, torch.Tensor]]:
    return [(first, rows[first : first + size]) for first in range(0, len(rows), size)]
