from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from robolearn.episodes.dataset import Dataset, DatasetWriter
from robolearn.episodes.windows import Windows
from robolearn.errors import DatasetError

HAND = "observation.state.hand"


def test_windows_are_the_frames_before_and_stop_at_the_episodes_first(
    tmp_path: Path, make_episode
) -> None:
    episodes = [make_episode(steps=steps, seed=steps) for steps in (4, 6)]
    with DatasetWriter(tmp_path / "d") as writer:
        for episode in episodes:
            writer.add(episode)
    windows = Windows(Dataset(tmp_path / "d"), [HAND], history=3, split="train")
    assert len(windows) == 10
    batch = windows.batch(torch.arange(10))
    assert batch.observations[HAND].shape == (10, 3, 2)
    row = 0
    for episode in episodes:
        hand = episode.observations[HAND]
        for frame in range(len(episode)):
            expected = hand[[max(frame - 2, 0), max(frame - 1, 0), frame]]
            np.testing.assert_array_equal(batch.observations[HAND][row], expected)
            np.testing.assert_array_equal(batch.actions[row], episode.actions[frame])
            row += 1


def test_batches_hold_each_window_once(line_dataset: Path) -> None:
    windows = Windows(Dataset(line_dataset), [HAND], history=2, split="valid")
    actions = torch.cat([batch.actions for batch in windows.batches(5)])
    torch.testing.assert_close(actions, windows.actions)


def test_an_empty_split_is_named(tmp_path: Path, make_episode) -> None:
    with DatasetWriter(tmp_path / "d") as writer:
        writer.add(make_episode())
    with pytest.raises(DatasetError, match="no episodes in its split 'valid'"):
        Windows(Dataset(tmp_path / "d"), [HAND], history=2, split="valid")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_named_with_its_place(
    tmp_path: Path, make_episode, bad: float
) -> None:
    episode = make_episode()
    hand = episode.observations[HAND].copy()
    hand[7, 1] = bad
    broken = dataclasses.replace(episode, observations=dict(episode.observations) | {HAND: hand})
    with DatasetWriter(tmp_path / "d") as writer:
        writer.add(episode)
        writer.add(broken)
    with pytest.raises(DatasetError, match=rf"episode 1, {HAND}, frame 7 is not finite"):
        Windows(Dataset(tmp_path / "d"), [HAND], history=2, split="train")
