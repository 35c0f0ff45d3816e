from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from robolearn.episodes.dataset import Dataset, EpisodeSummary
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import TASK_INDEX, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext
from robolearn.episodes.loading.image_cache import ImageCache
from robolearn.episodes.loading.windows import Windows, history_rows
from robolearn.errors import ConfigurationError, DatasetError

HAND = "observation.state.hand"
GOAL = "observation.environment_state"
FRONT = "observation.images.front"


class InMemory(Dataset):
    """Episodes as they are, for what no writer would write."""

    def __init__(self, episodes: Sequence[Episode], frames: Sequence[int] | None = None) -> None:
        super().__init__(Path("memory"))
        self._episodes = episodes
        self._frames = frames or [len(episode) for episode in episodes]

    @property
    def summaries(self) -> list[EpisodeSummary]:
        return [
            dataclasses.replace(EpisodeSummary.of(episode, i, valid=False), frames=frames)
            for i, (episode, frames) in enumerate(zip(self._episodes, self._frames, strict=True))
        ]

    @property
    def context(self) -> EpisodeContext:
        return self._episodes[0].context

    def episode(self, index: int) -> Episode:
        return self._episodes[index]


def with_feature(episode: Episode, name: str, values: np.ndarray) -> Episode:
    feature = Feature(values.dtype.name, values.shape[1:])
    features = {**episode.context.features, name: feature}
    return dataclasses.replace(
        episode,
        context=dataclasses.replace(episode.context, features=features),
        observations={**episode.observations, name: values},
    )


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Sequence[Episode]], Dataset]:
    def write(episodes: Sequence[Episode]) -> Dataset:
        with FolderWriter(tmp_path / "d") as writer:
            for episode in episodes:
                writer.add(episode)
        return open_dataset(tmp_path / "d")

    return write


@pytest.mark.parametrize(
    ("history", "past", "horizon"), [(1, 0, 1), (3, 0, 1), (2, 5, 4), (4, 1, 9), (1, 2, 3)]
)
def test_windows_hold_what_a_loop_over_the_frames_finds(
    written, make_episode, history: int, past: int, horizon: int
) -> None:
    """Some windows are longer than the shortest episode."""
    episodes = [make_episode(steps=steps, seed=steps) for steps in (4, 9, 5)]
    windows = Windows(
        written(episodes), [HAND, GOAL], history, "train", past_actions=past, horizon=horizon
    )
    assert len(windows) == 18
    assert windows.lengths == [4, 9, 5]
    frames = torch.randperm(18, generator=torch.Generator().manual_seed(0))
    batch = windows.batch(frames)
    assert batch.observations[GOAL].shape == (18, history, 1)
    places = [(episode, frame) for episode in episodes for frame in range(len(episode))]
    for row, place in enumerate(frames.tolist()):
        episode, present = places[place]
        last = len(episode) - 1
        for k, frame in enumerate(range(present - history + 1, present + 1)):
            for name in (HAND, GOAL):
                expected = episode.observations[name][max(frame, 0)]
                np.testing.assert_array_equal(batch.observations[name][row, k], expected)
            assert batch.observation_is_pad[row, k] == (frame < 0)
        for p, frame in enumerate(range(present - past, present)):
            expected = episode.actions[frame] if frame >= 0 else np.zeros(2)
            np.testing.assert_array_equal(batch.past_actions[row, p], expected)
            assert batch.past_action_is_pad[row, p] == (frame < 0)
        for h, frame in enumerate(range(present, present + horizon)):
            np.testing.assert_array_equal(batch.actions[row, h], episode.actions[min(frame, last)])
            assert batch.action_is_pad[row, h] == (frame > last)
        np.testing.assert_array_equal(batch.action[row], episode.actions[present])


def test_the_history_is_what_a_policy_is_shown(written, make_episode) -> None:
    episode = make_episode(steps=6)
    batch = Windows(written([episode]), [HAND], 4, "train").batch(torch.arange(6))
    expected = episode.observations[HAND][history_rows(6, 4)]
    np.testing.assert_array_equal(batch.observations[HAND], expected)


@pytest.mark.parametrize("cached", [True, False])
def test_images_are_those_of_their_frames(
    written, make_episode, tmp_path: Path, cached: bool
) -> None:
    episodes = [make_episode(steps=4 + i % 3, seed=i, image=True) for i in range(11)]
    cache = ImageCache(tmp_path / "cache") if cached else None
    dataset = written(episodes)
    for split, chosen in (
        ("train", [*episodes[:9], episodes[10]]),
        ("valid", episodes[9:10]),
        ("all", episodes),
    ):
        windows = Windows(dataset, [FRONT, HAND], 3, split, cache=cache)
        expected = np.concatenate(
            [episode.images[FRONT][:][history_rows(len(episode), 3)] for episode in chosen]
        )
        frames = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
        batch = windows.batch(frames)
        assert batch.observations[FRONT].dtype == torch.uint8
        np.testing.assert_array_equal(batch.observations[FRONT], expected[frames.numpy()])
        assert not batch.observation_is_pad[:, 2].any()


def test_images_alone_are_padded_as_vectors_are(written, make_episode) -> None:
    dataset = written([make_episode(steps=3, image=True)])
    batch = Windows(dataset, [FRONT], 2, "train").batch(torch.tensor([0, 1]))
    assert batch.observation_is_pad.tolist() == [[True, False], [False, False]]
    assert list(batch.observations) == [FRONT]


def test_each_kind_of_number_has_its_type(make_episode) -> None:
    kinds = {
        "bool": "bool",
        "uint8": "uint8",
        "int16": "int16",
        "int64": "int64",
        "uint16": "int32",
        "uint32": "int64",
        "float16": "float32",
        "float64": "float32",
    }
    episode = make_episode(steps=5)
    for kind in kinds:
        values = (np.arange(20).reshape(5, 2, 2) * 3).astype(kind)
        episode = with_feature(episode, f"observation.state.{kind}", values)
    names = [f"observation.state.{kind}" for kind in kinds]
    windows = Windows(InMemory([episode]), names, 2, "train")
    batch = windows.batch(torch.tensor([4, 0]))
    for name, held in zip(names, kinds.values(), strict=True):
        values = batch.observations[name]
        assert values.dtype == getattr(torch, held)
        np.testing.assert_array_equal(
            values, episode.observations[name][[[3, 4], [0, 0]]].astype(held)
        )
        np.testing.assert_array_equal(
            windows.observations[name], episode.observations[name].astype(held)
        )


def test_batches_hold_each_window_once(line_dataset: Path) -> None:
    windows = Windows(open_dataset(line_dataset), [HAND], history=2, split="valid")
    actions = torch.cat([batch.action for batch in windows.batches(5)])
    assert len(actions) == len(windows) == 12
    torch.testing.assert_close(actions, windows.actions)


def test_a_batch_is_a_copy(line_dataset: Path) -> None:
    windows = Windows(open_dataset(line_dataset), [HAND], history=2, split="train")
    before = windows.batch(torch.arange(5))
    changed = windows.batch(torch.arange(5))
    for tensor in changed.tensors():
        tensor.zero_()
    for one, other in zip(before.tensors(), windows.batch(torch.arange(5)).tensors(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("frame", [-1, 10])
def test_there_is_no_window_outside(written, make_episode, frame: int) -> None:
    windows = Windows(written([make_episode(steps=10)]), [HAND], 2, "train")
    with pytest.raises(IndexError):
        windows.batch(torch.tensor([frame]))


def test_batches_can_be_made_for_another_device(written, make_episode, tmp_path: Path) -> None:
    """torch's meta device stands for one: shapes are told, nothing is computed."""
    meta = torch.device("meta")
    dataset = written([make_episode(steps=5, image=True)])
    for cache in (None, ImageCache(tmp_path / "cache")):
        windows = Windows(dataset, [HAND, FRONT], 2, "train", horizon=3, cache=cache)
        batch = windows.batch(torch.arange(4), meta)
        assert {tensor.device for tensor in batch.tensors()} == {meta}
        assert batch.observations[FRONT].shape == (4, 2, 6, 8, 3)
        assert batch.actions.shape == (4, 3, 2)


def test_an_empty_split_is_named(written, make_episode) -> None:
    dataset = written([make_episode()])
    with pytest.raises(DatasetError, match="no episodes in its split 'valid'"):
        Windows(dataset, [HAND], history=2, split="valid")


def test_a_split_that_there_is_not_is_refused(line_dataset: Path) -> None:
    with pytest.raises(ConfigurationError, match="one of train, valid, all, not 'bogus'"):
        Windows(open_dataset(line_dataset), [HAND], 1, "bogus")  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_named_with_its_place(written, make_episode, bad: float) -> None:
    episode = make_episode()
    hand = episode.observations[HAND].copy()
    hand[7, 1] = bad
    broken = dataclasses.replace(episode, observations=dict(episode.observations) | {HAND: hand})
    dataset = written([episode, broken])
    with pytest.raises(DatasetError, match=rf"episode 1, {HAND}, frame 7 is not finite"):
        Windows(dataset, [HAND], history=2, split="train")


def test_what_is_too_large_for_float32_is_not_finite(make_episode) -> None:
    episode = with_feature(make_episode(steps=3), "far", np.array([[0.0], [0.0], [1e39]]))
    with pytest.raises(DatasetError, match="episode 0, far, frame 2 is not finite"):
        Windows(InMemory([episode]), ["far"], 1, "train")


def test_an_action_that_is_not_finite_is_named(make_episode) -> None:
    episode = make_episode()
    actions = episode.actions.copy()
    actions[3, 0] = np.nan
    broken = dataclasses.replace(episode, actions=actions)
    with pytest.raises(DatasetError, match="episode 1, action, frame 3 is not finite"):
        Windows(InMemory([episode, broken]), [HAND], 1, "train")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"history": 0}, "history is 1 or more, not 0"),
        ({"history": 1, "horizon": 0}, "horizon is 1 or more, not 0"),
        ({"history": 1, "past_actions": -1}, "past_actions is 0 or more, not -1"),
    ],
)
def test_a_window_of_no_size_is_refused(
    line_dataset: Path, sizes: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Windows(open_dataset(line_dataset), [HAND], split="train", **sizes)


def test_an_input_that_the_dataset_lacks_is_named(line_dataset: Path) -> None:
    with pytest.raises(DatasetError, match=rf"has no observation\.foot; there are {HAND}"):
        Windows(open_dataset(line_dataset), ["observation.foot"], 1, "train")


def test_an_episode_that_lacks_a_feature_or_has_another_is_named(make_episode) -> None:
    plain = make_episode(steps=3)
    one = with_feature(plain, "force", np.zeros((3, 2), np.float32))
    wide = with_feature(plain, "force", np.zeros((3, 4), np.float32))
    with pytest.raises(DatasetError, match="episode 1 has no force, which the first has"):
        Windows(InMemory([one, plain]), [HAND, "force"], 1, "train")
    with pytest.raises(DatasetError, match="episode 1 has another force than the first"):
        Windows(InMemory([one, wide]), ["force"], 1, "train")
    Windows(InMemory([one, wide]), [HAND], 1, "train")  # what is not looked at may differ
    action = dataclasses.replace(plain.context.action, high=(2.0, 2.0))
    other = dataclasses.replace(
        plain, context=dataclasses.replace(plain.context, action=action, rate=3.0)
    )
    with pytest.raises(DatasetError, match="episode 1 has another action, rate than the first"):
        Windows(InMemory([plain, other]), [HAND], 1, "train")


def test_an_index_that_is_wrong_about_an_episode_is_named(make_episode) -> None:
    episodes = [make_episode(steps=4), make_episode(steps=4)]
    with pytest.raises(DatasetError, match="episode 1 has 4 frames, not 5"):
        Windows(InMemory(episodes, frames=[4, 5]), [HAND], 1, "train")
    with pytest.raises(DatasetError, match="episode 1 has no frames"):
        Windows(InMemory(episodes, frames=[4, 0]), [HAND], 1, "train")


def test_the_place_of_the_tasks_text_is_in_each_frame(written, make_episode) -> None:
    episodes = []
    for task in ("a", "b", "a"):
        episode = make_episode(steps=4)
        context = dataclasses.replace(episode.context, task=task)
        episodes.append(dataclasses.replace(episode, context=context))
    dataset = written(episodes)
    windows = Windows(dataset, ("observation.state.hand", TASK_INDEX), 2, "all", tasks=("b", "a"))
    found = windows.batch(torch.arange(12)).observations[TASK_INDEX]
    assert found.dtype == torch.int64
    assert found[:, 0, 0].tolist() == found[:, 1, 0].tolist() == [1] * 4 + [0] * 4 + [1] * 4
    with pytest.raises(DatasetError, match="episode 1 is of the task 'b', which is none of 'a'"):
        Windows(dataset, (TASK_INDEX,), 1, "all", tasks=("a",))


def test_what_is_not_finite_in_a_batch_is_named(line_dataset: Path) -> None:
    windows = Windows(open_dataset(line_dataset), ("observation.state.hand",), 2, "train")
    batch = windows.batch(torch.arange(3))
    batch.require_finite()
    batch.observations["observation.state.hand"][1, 0, 1] = torch.inf
    with pytest.raises(
        DatasetError, match=r"a value of observation\.state\.hand that is not finite"
    ):
        batch.require_finite()
    batch = windows.batch(torch.arange(3))
    batch.actions[0] = torch.nan
    with pytest.raises(DatasetError, match="a value of action that"):
        batch.require_finite()
