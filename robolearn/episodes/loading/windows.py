"""Windows of frames for training: what was seen, what had been done, and what was done next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from robolearn.episodes.dataset import Dataset, Split
from robolearn.episodes.episode import Episode, differing_features
from robolearn.episodes.features import ACTION, TASK_FEATURE, TASK_INDEX, Feature
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.episodes.images import Images
from robolearn.episodes.loading.image_cache import ImageCache
from robolearn.episodes.loading.image_frames import DecodedImages, EncodedFrames, ImageFrames
from robolearn.episodes.loading.packing import Lane, PackedFrames, held_as
from robolearn.errors import ConfigurationError, DatasetError

_FINAL = "final "
"""Before the name of a feature: its value at the end of the episode."""


@dataclass(frozen=True)
class Batch:
    """What a policy learns from.

    What lies outside the episode is padding: observations before its first frame repeat that frame,
    actions after its last repeat the last, and past actions before its first are zero, because the
    first is what is to be learnt there.

    Attributes:
        observations: (B, K, ...) by feature name; frame K - 1 is the present. Floating-point
            vectors are float32; images are uint8 (B, K, H, W, C), as on the disk: a network makes
            float CHW of them where it runs.
        actions: (B, H, A) float32, the present frame's and those after it.
        past_actions: (B, P, A) float32, those before it; P - 1 is the last one.
        observation_is_pad: (B, K) bool, the frame is padding.
        action_is_pad: (B, H) bool.
        past_action_is_pad: (B, P) bool.
        final_observations: (B, ...) by feature name, those at the last frame of the episode.
    """

    observations: dict[str, torch.Tensor]
    actions: torch.Tensor
    past_actions: torch.Tensor
    observation_is_pad: torch.Tensor
    action_is_pad: torch.Tensor
    past_action_is_pad: torch.Tensor
    final_observations: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def action(self) -> torch.Tensor:
        """(B, A) what was done at the present frame."""
        return self.actions[:, 0]

    def require_finite(self) -> None:
        """Raise unless all numbers are finite.

        Raises:
            DatasetError: one is not; names the feature.
        """
        named = {**self.observations, ACTION: self.actions, "past actions": self.past_actions}
        for name, values in named.items():
            if values.is_floating_point() and not values.isfinite().all():
                raise DatasetError(f"a batch holds a value of {name} that is not finite")

    def tensors(self) -> list[torch.Tensor]:
        """All that it is made of."""
        return [
            *self.observations.values(),
            self.actions,
            self.past_actions,
            self.observation_is_pad,
            self.action_is_pad,
            self.past_action_is_pad,
            *self.final_observations.values(),
        ]


class Windows:
    """A window around every frame of a dataset's split. Windows are counted as the frames are.

    Vectors are held in memory. Images are read from a cache, or decoded when they are asked for.

    Args:
        dataset: to read.
        inputs: names of the observation features; `TASK_INDEX` is the place of each episode's text
            among ``tasks``.
        history: K, frames of observations in a window, the present one included.
        split: which side of the dataset.
        device: where the vectors are held; `to` moves the images, too.
        past_actions: P, actions before the present one in a window.
        horizon: H, actions from the present one on.
        cache: of decoded images; None decodes them each time.
        tasks: texts that `TASK_INDEX` counts.
        final: those of the inputs, vectors, that are also given as they are at the end of the
            episode.

    Attributes:
        lengths: windows of each episode of the split.

    Raises:
        ConfigurationError: history or horizon is below 1, or past_actions below 0.
        DatasetError: the split is empty, an episode cannot be read, has no frames or not the
            features of the first, or a value is not finite as float32.
    """

    def __init__(
        self,
        dataset: Dataset,
        inputs: Sequence[str],
        history: int,
        split: Split,
        device: torch.device | str = "cpu",
        *,
        past_actions: int = 0,
        horizon: int = 1,
        cache: ImageCache | None = None,
        tasks: Sequence[str] = (),
        final: Sequence[str] = (),
    ) -> None:
        for name, value, least in (
            ("history", history, 1),
            ("past_actions", past_actions, 0),
            ("horizon", horizon, 1),
        ):
            if value < least:
                raise ConfigurationError(f"{name} is {least} or more, not {value}")
        indices = dataset.split(split)
        if not indices:
            raise DatasetError(
                f"{dataset.path} has no episodes in its split {split!r}; record more"
            )
        frames = [summary.frames for summary in dataset.summaries]
        self.lengths = [frames[index] for index in indices]
        for index, length in zip(indices, self.lengths, strict=True):
            if length < 1:
                raise DatasetError(f"{dataset.path}: episode {index} has no frames; delete it")
        first = dataset.context
        features = _inputs(dataset, inputs)
        vectors = {name: of for name, of in features.items() if not of.is_image}
        self._cameras = [name for name in features if name not in vectors]
        action = replace(first.action, dtype="float32")
        # What was done before the first frame must not be the first action: it is to be learnt.
        self._packed = PackedFrames(
            self.lengths,
            [
                Lane(vectors, before=history - 1),
                Lane({ACTION: action}, past_actions, horizon - 1, repeat_first=False),
                Lane({_FINAL + name: vectors[name] for name in final}),
            ],
        )
        images: dict[str, list[Images]] = {name: [] for name in self._cameras}
        for place, (index, episode) in enumerate(
            zip(indices, dataset.episodes(indices), strict=True)
        ):
            where = f"{dataset.path}: episode {index}"
            _require_like(first, episode, (*inputs, ACTION, "rate"), where)
            if len(episode) != self.lengths[place]:
                raise DatasetError(f"{where} has {len(episode)} frames, not {self.lengths[place]}")
            values = {
                name: _held(episode.observations[name], feature.dtype, f"{where}, {name}")
                for name, feature in vectors.items()
                if name != TASK_INDEX
            }
            if TASK_INDEX in vectors:
                place_of_task = _task_index(episode.context.task, tasks, where)
                values[TASK_INDEX] = np.full((len(episode), 1), place_of_task)
            for name in final:
                values[_FINAL + name] = np.repeat(values[name][-1:], len(episode), axis=0)
            values[ACTION] = _held(episode.actions, action.dtype, f"{where}, {ACTION}")
            self._packed.fill(place, values)
            if cache is None:
                for name in self._cameras:
                    images[name].append(episode.images[name])
        self._names = tuple(vectors)
        self._final = tuple(final)
        self._history = history
        self._past_actions = past_actions
        ends = np.cumsum(self.lengths)
        firsts = ends - self.lengths
        self._firsts = torch.from_numpy(np.repeat(firsts, self.lengths))
        self._images: dict[str, ImageFrames]
        if cache is None:
            self._images = {name: EncodedFrames(images[name], firsts) for name in self._cameras}
        else:
            rows = torch.from_numpy(_rows(frames, indices))
            decoded = cache.open(dataset, self._cameras)
            self._images = {name: DecodedImages(decoded[name], rows) for name in self._cameras}
        self._packed.to(torch.device(device))

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def observations(self) -> dict[str, torch.Tensor]:
        """(N, ...) the vectors of all frames by feature name; a copy."""
        return {name: self._packed.frames(name) for name in self._names}

    @property
    def actions(self) -> torch.Tensor:
        """(N, A) float32 the actions of all frames; a copy."""
        return self._packed.frames(ACTION)

    @property
    def device(self) -> torch.device:
        """Where the vectors are held, and batches are made where nothing else is said."""
        return self._packed.device

    @property
    def nbytes(self) -> int:
        """Of memory that `to` takes on a device; images that are decoded each time take none."""
        images = sum(images.nbytes for images in self._images.values())
        return self._packed.nbytes + images

    def to(self, device: torch.device | str) -> None:
        """Hold everything on a device, but for images that are decoded each time."""
        device = torch.empty(0, device=device).device  # with its number
        self._packed.to(device)
        for images in self._images.values():
            images.to(device)

    def held_on(self, device: torch.device) -> bool:
        """Whether a batch there costs a gather in memory and nothing else."""
        return device == self.device and all(
            images.held_on(device) for images in self._images.values()
        )

    def batch(self, frames: torch.Tensor, to: torch.device | None = None) -> Batch:
        """The windows around these frames.

        Args:
            frames: (B,) positions from 0 to ``len(self) - 1``.
            to: where they are wanted; what is not held there is copied, to a GPU from pinned memory
                and without waiting. None is `device`.

        Raises:
            DatasetError: an image cannot be read or decoded.
            IndexError: there is no such frame.
        """
        to = to or self.device
        found, padded = self._packed.windows(frames, to)
        actions = found.pop(ACTION)
        ends = {name: found.pop(_FINAL + name)[:, 0] for name in self._final}
        if self._images:
            seen = self._seen(frames.cpu())
            found |= {name: images.frames(seen, to) for name, images in self._images.items()}
        history, past, present = self._history, self._past_actions, self._packed.before
        return Batch(
            observations=found,
            actions=actions[:, past:],
            past_actions=actions[:, :past],
            observation_is_pad=padded[:, present + 1 - history : present + 1],
            action_is_pad=padded[:, present:],
            past_action_is_pad=padded[:, present - past : present],
            final_observations=ends,
        )

    def _seen(self, frames: torch.Tensor) -> torch.Tensor:
        """(B,) → (B, K) the frames of each history; the first of an episode is repeated."""
        history = frames.unsqueeze(1) + torch.arange(1 - self._history, 1)
        return torch.maximum(history, self._firsts[frames].unsqueeze(1))

    def batches(self, size: int) -> Iterator[Batch]:
        """All windows once, in order, ``size`` at a time."""
        for frames in torch.arange(len(self)).split(size):
            yield self.batch(frames)


def history_rows(steps: int, history: int) -> Array:
    """Which frames of an episode a policy sees at each of its frames.

    Args:
        steps: T, frames of the episode.
        history: K.

    Returns:
        (T, K) positions in the episode; row t is t - K + 1 to t, and no less than 0.
    """
    return np.maximum(np.arange(steps)[:, None] + np.arange(1 - history, 1), 0)


def _inputs(dataset: Dataset, names: Sequence[str]) -> dict[str, Feature]:
    features = {**dataset.context.features, TASK_INDEX: TASK_FEATURE}
    for name in names:
        if name not in features:
            raise DatasetError(
                f"{dataset.path} has no {name}; there are "
                f"{', '.join(dataset.context.features) or 'none'}"
            )
    return {name: features[name] for name in names}


def _task_index(text: str, tasks: Sequence[str], where: str) -> int:
    if text not in tasks:
        raise DatasetError(
            f"{where} is of the task {text!r}, which is none of {', '.join(map(repr, tasks))}"
        )
    return tasks.index(text)


def _require_like(
    first: EpisodeContext, episode: Episode, names: Sequence[str], where: str
) -> None:
    """Raise unless what is to be learnt from is described as in the first episode."""
    differing = [name for name in differing_features(first, episode.context) if name in names]
    missing = [name for name in differing if name not in episode.context.features]
    missing = [name for name in missing if name in first.features]
    if missing:
        raise DatasetError(f"{where} has no {', '.join(missing)}, which the first has")
    if differing:
        raise DatasetError(f"{where} has another {', '.join(differing)} than the first")


def _held(values: Array, dtype: str, where: str) -> Array:
    """``values`` in the type in which they are held in memory, all finite."""
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        held = values.astype(held_as(dtype), copy=False)
    if not np.isfinite(held).all():
        frame = int(np.argwhere(~np.isfinite(held))[0][0])
        raise DatasetError(f"{where}, frame {frame} is not finite")
    return held


def _rows(lengths: Sequence[int], indices: Sequence[int]) -> Array:
    """Positions of the frames of these episodes among those of all episodes."""
    ends = np.cumsum(lengths)
    return np.concatenate([np.arange(ends[i] - lengths[i], ends[i]) for i in indices])
