"""Vectors of many episodes in memory, packed so that each window of frames is one block of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from robolearn.episodes.features import Feature
from robolearn.episodes.frames import Array

_HELD_AS = {
    "float16": "float32",
    "float64": "float32",
    "uint16": "int32",
    "uint32": "int64",
    "uint64": "int64",
}
"""Networks compute in float32, and torch can do little with unsigned integers beyond a byte."""


def held_as(dtype: str | np.dtype[np.generic]) -> str:
    """The element type in which values of another are held in memory, by NumPy's names."""
    name = np.dtype(dtype).name
    return _HELD_AS.get(name, name)


@dataclass(frozen=True)
class Lane:
    """Features of which a window holds the same frames.

    Attributes:
        features: by name.
        before: rows of a window before its own frame.
        after: rows after it.
        repeat_first: what lies before an episode repeats its first frame; otherwise it is zero.
            What lies after it always repeats the last frame.
    """

    features: Mapping[str, Feature]
    before: int = 0
    after: int = 0
    repeat_first: bool = True


class PackedFrames:
    """Frames of several episodes, from which windows are copied as whole blocks.

    All features of a lane and of one element type are columns of one matrix. In it, each episode
    begins and ends with rows that belong to no frame, so that a window never leaves its episode and
    is one contiguous block: a batch costs one copy of B blocks for each matrix, which is several
    times faster than gathering frame by frame.

    Args:
        lengths: frames of each episode.
        lanes: of the values to come; no name is in two of them.

    Attributes:
        before: rows before a window's own frame in the longest lane.
        after: rows after it.
    """

    def __init__(self, lengths: Sequence[int], lanes: Sequence[Lane]) -> None:
        self.before = max(lane.before for lane in lanes)
        self.after = max(lane.after for lane in lanes)
        around = self.before + self.after
        ends = np.cumsum(np.asarray(lengths, np.int64) + around)
        self._stops = ends - self.after
        self._firsts = self._stops - np.asarray(lengths, np.int64)
        rows = int(ends[-1])
        padded = np.ones((rows, 1), bool)
        for first, stop in zip(self._firsts, self._stops, strict=True):
            padded[first:stop] = False
        # The first row of each frame's longest window.
        self._starts = torch.from_numpy(np.flatnonzero(~padded) - self.before)
        self._padded = _Blocks(torch.from_numpy(padded), 0, around + 1)
        self._columns = []
        for lane in lanes:
            by_type: dict[str, list[str]] = {}
            for name, feature in lane.features.items():
                by_type.setdefault(held_as(feature.dtype), []).append(name)
            for dtype, names in by_type.items():
                shapes = [lane.features[name].shape for name in names]
                widths = [int(np.prod(shape)) for shape in shapes]
                matrix = torch.from_numpy(np.zeros((rows, sum(widths)), dtype))
                blocks = _Blocks(matrix, self.before - lane.before, lane.before + 1 + lane.after)
                self._columns.append(_Columns(blocks, names, shapes, widths, lane.repeat_first))

    def fill(self, episode: int, values: Mapping[str, Array]) -> None:
        """Put an episode in its place.

        Args:
            episode: its place among the lengths.
            values: (T, ...) by name.
        """
        first, stop = int(self._firsts[episode]), int(self._stops[episode])
        for columns in self._columns:
            rows = columns.blocks.matrix.numpy()
            column = 0
            for name, width in zip(columns.names, columns.widths, strict=True):
                place = rows[:, column : column + width]
                place[first:stop] = values[name].reshape(stop - first, width)
                if columns.repeat_first:
                    place[first - self.before : first] = place[first]
                place[stop : stop + self.after] = place[stop - 1]
                column += width

    def __len__(self) -> int:
        """Frames, without the repeated ones."""
        return len(self._starts)

    @property
    def nbytes(self) -> int:
        """Of memory."""
        matrices = [columns.blocks.matrix for columns in self._columns]
        return sum(tensor.nbytes for tensor in (self._starts, self._padded.matrix, *matrices))

    @property
    def device(self) -> torch.device:
        """Where the frames are held."""
        return self._starts.device

    def to(self, device: torch.device) -> None:
        """Hold the frames on another device."""
        self._starts = self._starts.to(device)
        self._padded = self._padded.to(device)
        for columns in self._columns:
            columns.blocks = columns.blocks.to(device)

    def frames(self, name: str) -> torch.Tensor:
        """(N, ...) a feature at all frames of all episodes, each once; a copy."""
        for columns in self._columns:
            if name in columns.names:
                rows = self._starts + self.before
                return columns.by_name(columns.blocks.matrix.index_select(0, rows))[name]
        raise KeyError(name)

    def windows(
        self, frames: torch.Tensor, to: torch.device
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The windows around some frames.

        Args:
            frames: (B,) positions from 0 to ``len(self) - 1``.
            to: where the windows are wanted; copied there without waiting.

        Returns:
            (B, W, ...) by feature name, views of one block for each matrix, with W as its lane has
            it; and (B, before + 1 + after) whether a row is padding, no frame of its own.
        """
        starts = self._starts.index_select(0, frames.to(self.device))
        found: dict[str, torch.Tensor] = {}
        for columns in self._columns:
            found |= columns.by_name(columns.blocks.copied(starts, to))
        return found, self._padded.copied(starts, to).squeeze(2)


class _Blocks:
    """A matrix of which blocks of successive rows are copied.

    Args:
        matrix: (N', D).
        offset: rows from the one that is asked for to the first of its block.
        window: W, rows of a block.
    """

    def __init__(self, matrix: torch.Tensor, offset: int, window: int) -> None:
        self.matrix = matrix
        rows, width = matrix.shape
        self._offset = offset
        self._shape = (window, width)
        # All blocks, overlapping: element i is rows offset + i to offset + i + W - 1.
        count = rows - offset - window + 1
        self._blocks: torch.Tensor | Array
        if matrix.device.type == "cpu":
            # NumPy copies them as bytes, in one thread. torch would share the little work of a
            # batch among all cores, and wait for the slowest when other programs are at work, too.
            values = matrix.numpy()
            row_bytes = values.strides[0]
            self._dtype = values.dtype
            self._blocks = np.ndarray(
                count,
                np.dtype((np.void, window * row_bytes)),
                buffer=values,
                offset=offset * row_bytes,
                strides=(row_bytes,),
            )
        else:
            self._blocks = matrix.as_strided(
                (count, window * width), (width, 1), storage_offset=offset * width
            )

    def to(self, device: torch.device) -> _Blocks:
        """The same on another device."""
        return _Blocks(self.matrix.to(device), self._offset, self._shape[0])

    def copied(self, starts: torch.Tensor, to: torch.device) -> torch.Tensor:
        """(B,) rows → (B, W, D) on another device; from the CPU to a GPU without waiting."""
        if isinstance(self._blocks, torch.Tensor):
            return self._blocks.index_select(0, starts).view(-1, *self._shape).to(to)
        copied = self._blocks[starts.numpy()].view(self._dtype)
        found = torch.from_numpy(copied).view(-1, *self._shape)
        if to.type == "cpu":
            return found
        return (found.pin_memory() if to.type == "cuda" else found).to(to, non_blocking=True)


@dataclass
class _Columns:
    """Features of one lane and element type side by side.

    Attributes:
        blocks: of the (N', D) matrix that they make up.
        names: of the features.
        shapes: of one frame of each.
        widths: columns of each.
        repeat_first: see `Lane`.
    """

    blocks: _Blocks
    names: list[str]
    shapes: list[tuple[int, ...]]
    widths: list[int]
    repeat_first: bool

    def by_name(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        """(..., D) → (..., *shape) by feature name, views where it can be."""
        parts = values.split_with_sizes(self.widths, dim=-1)
        return {
            name: part if len(shape) == 1 else part.reshape(*part.shape[:-1], *shape)
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }
