from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.loading.loader import Loader
from robolearn.episodes.loading.sampling import WindowOrder
from robolearn.episodes.loading.windows import Batch, Windows
from robolearn.errors import ConfigurationError, DatasetError

HAND = "observation.state.hand"
FRONT = "observation.images.front"


@pytest.fixture
def dataset(tmp_path: Path, make_episode) -> Dataset:
    with FolderWriter(tmp_path / "d") as writer:
        for seed in range(4):
            writer.add(make_episode(steps=5 + seed, seed=seed, image=True))
    return open_dataset(tmp_path / "d")


@pytest.fixture(params=[[HAND], [HAND, FRONT]], ids=["vectors", "images"])
def windows(dataset: Dataset, request) -> Windows:
    return Windows(dataset, request.param, 2, "train", horizon=3)


def loader_of(windows: Windows) -> Loader:
    return Loader(windows, WindowOrder(windows.lengths, batch=4, seed=0))


def assert_same(one: Batch, other: Batch) -> None:
    for mine, theirs in zip(one.tensors(), other.tensors(), strict=True):
        assert torch.equal(mine, theirs)


def decoders() -> Iterator[threading.Thread]:
    return (thread for thread in threading.enumerate() if thread.name.startswith("loader"))


def test_batches_are_the_windows_in_their_order(windows: Windows) -> None:
    order = WindowOrder(windows.lengths, batch=4, seed=0)
    loader = loader_of(windows)
    for _ in range(12):
        assert_same(next(loader), windows.batch(next(order)))
    loader.close()


def test_a_resumed_loader_goes_on_whatever_it_had_prepared(windows: Windows) -> None:
    expected = [batch for batch, _ in zip(loader_of(windows), range(15), strict=False)]
    stopped = loader_of(windows)
    for _ in range(6):
        next(stopped)
    state = json.loads(json.dumps(stopped.state_dict()))
    assert state["drawn"] == 24
    stopped.close()
    resumed = loader_of(windows)
    next(resumed)  # what was prepared before the state was loaded is let go
    resumed.load_state_dict(state)
    for batch in expected[6:]:
        assert_same(next(resumed), batch)


def test_vectors_in_memory_need_no_thread_and_a_closed_loader_has_none(dataset: Dataset) -> None:
    before = set(decoders())
    next(loader_of(Windows(dataset, [HAND], 2, "train")))
    assert set(decoders()) == before
    loader = loader_of(Windows(dataset, [HAND, FRONT], 2, "train"))
    next(loader)
    assert len(set(decoders()) - before) == 1
    loader.close()
    assert set(decoders()) == before


def test_what_a_thread_cannot_read_is_raised_and_tried_again(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [batch for batch, _ in zip(loader_of(windows), range(8), strict=False)]
    loader = loader_of(windows)
    for batch in expected[:2]:
        assert_same(next(loader), batch)

    def fail(frames: torch.Tensor, to: torch.device) -> Batch:
        raise DatasetError("the image of frame 3 cannot be decoded")

    with monkeypatch.context() as broken:
        broken.setattr(windows, "batch", fail)
        with pytest.raises(DatasetError, match="frame 3"):
            list(loader)  # what is prepared already is still handed out
    done = loader.state_dict()["drawn"] // 4
    for batch in expected[done:]:
        assert_same(next(loader), batch)
    loader.close()


def test_an_order_of_other_windows_is_refused(line_dataset: Path) -> None:
    windows = Windows(open_dataset(line_dataset), [HAND], 1, "train")
    with pytest.raises(ConfigurationError, match="of 3 windows, and there are 108"):
        Loader(windows, WindowOrder([1, 2], batch=2, seed=0))
