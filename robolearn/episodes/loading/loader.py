"""Batches for training, prepared while the one before them is in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from robolearn.episodes.loading.sampling import WindowOrder
from robolearn.episodes.loading.windows import Batch, Windows
from robolearn.errors import ConfigurationError

AHEAD = 2
"""Batches that are prepared before they are asked for."""

GPU_SHARE = 0.5
"""Of a GPU's free memory that a dataset may take; the rest is the training's."""


class Loader:
    """An endless iterator over batches in a given order, on the device where they are needed.

    A dataset that fits is held on the GPU as a whole. Otherwise, a thread prepares batches ahead
    and copies them there from pinned memory, beside the computation. The state is that of the
    batches handed out, whatever has been prepared: what follows after a resume is what would have
    followed.

    Args:
        windows: to take them from; moved to the device where they fit.
        order: in which to take them.
        device: where they are needed.

    Raises:
        ConfigurationError: the order is of another number of windows.
    """

    def __init__(
        self, windows: Windows, order: WindowOrder, device: torch.device | str = "cpu"
    ) -> None:
        if order.windows != len(windows):
            raise ConfigurationError(
                f"the order is of {order.windows} windows, and there are {len(windows)}"
            )
        self._windows = windows
        self._order = order
        self._device = torch.empty(0, device=device).device
        self._stream: torch.cuda.Stream | None = None
        if self._device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self._device)
            if windows.nbytes <= GPU_SHARE * free:
                windows.to(self._device)
        self._thread: ThreadPoolExecutor | None = None
        if not windows.held_on(self._device):
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="loader")
            if self._device.type == "cuda":
                self._stream = torch.cuda.Stream(self._device)
        self._prepared: deque[Future[tuple[Batch, torch.cuda.Event | None]]] = deque()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch.

        Raises:
            DatasetError: an image cannot be read or decoded. Asked again, it tries again.
        """
        drawn, step = self._order.drawn, self._order.step
        if self._thread is None:
            batch, copied = self._load(drawn)
        else:
            while len(self._prepared) <= AHEAD:
                ahead = drawn + step * len(self._prepared)
                self._prepared.append(self._thread.submit(self._load, ahead))
            try:
                batch, copied = self._prepared[0].result()
            except BaseException:
                self._forget()
                raise
            self._prepared.popleft()
        if copied is not None:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(copied)
            for tensor in batch.tensors():
                tensor.record_stream(stream)  # made on another stream, in use on this one
        self._order.drawn = drawn + step
        return batch

    def state_dict(self) -> dict[str, int]:
        """What `load_state_dict` needs to go on, see `WindowOrder.state_dict`."""
        return self._order.state_dict()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a `state_dict`.

        Raises:
            TrainingError: it is of another seed or of other windows.
        """
        self._forget()
        self._order.load_state_dict(state)

    def close(self) -> None:
        """End the thread, if there is one."""
        self._forget()
        if self._thread is not None:
            self._thread.shutdown()

    def _forget(self) -> None:
        """Let go of what was prepared."""
        for future in self._prepared:
            future.cancel()
        self._prepared.clear()

    def _load(self, drawn: int) -> tuple[Batch, torch.cuda.Event | None]:
        frames = self._order.after(drawn)
        if self._stream is None:
            return self._windows.batch(frames, self._device), None
        with torch.cuda.stream(self._stream):
            return self._windows.batch(frames, self._device), self._stream.record_event()
