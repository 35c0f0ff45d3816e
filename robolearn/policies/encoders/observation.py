"""Everything that is observed at a frame as one vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import nn

from robolearn.episodes.features import DEPTH, TASK_INDEX, Feature
from robolearn.errors import FeatureMismatch
from robolearn.policies.encoders.camera import CameraEncoder
from robolearn.policies.encoders.config import EncoderConfig
from robolearn.policies.encoders.state import StateEncoder
from robolearn.policies.encoders.task_text import TaskTextEncoder


class ObservationEncoder(nn.Module):
    """Vectors, images, depth and the task's text, each frame by itself.

    So frames that were encoded once may be kept: of a history only the newest is to be encoded.

    A feature is seen by what it is: uint8 (H, W, C) is an image; any other type (H, W) or
    (H, W, 1) a depth image, in metres if floating-point, which becomes a further channel of the
    camera that it is called after (``observation.images.front_depth`` of
    ``observation.images.front``), or is seen alone if there is none; `TASK_INDEX` picks the task's
    text; all else are vectors.

    Args:
        inputs: the features by name, in the order in which they enter the network.
        config: the network.
        tasks: the texts that `TASK_INDEX` counts.

    Attributes:
        width: W.

    Raises:
        FeatureMismatch: there are no inputs, one is of no known kind, colour and depth of a camera
            differ in size, or shared cameras in channels.
        ConfigurationError: an image is too small for the network, or the config contradicts itself.
    """

    def __init__(
        self, inputs: Mapping[str, Feature], config: EncoderConfig, tasks: Sequence[str] = ()
    ) -> None:
        super().__init__()
        if not inputs:
            raise FeatureMismatch("there is nothing for the policy to see: name its inputs")
        self._shapes = {name: feature.shape for name, feature in inputs.items()}
        self._pairs = _cameras(inputs)
        seen = {name for pair in self._pairs for name in pair if name}
        vectors = {
            name: feature
            for name, feature in inputs.items()
            if name not in seen and name != TASK_INDEX
        }
        self.state = StateEncoder(vectors, config) if vectors else None
        self.cameras = _camera_encoders(inputs, self._pairs, config)
        has_task = TASK_INDEX in inputs
        self.task = TaskTextEncoder(tasks, config.task_width) if has_task else None
        self.width = len(self._pairs) * config.camera.width
        self.width += self.state.width if self.state else 0
        self.width += self.task.width if self.task else 0

    def fit(self, observations: Mapping[str, torch.Tensor]) -> None:
        """Begin: take the normalisation from demonstrations, and a weights file's weights.

        Args:
            observations: (N, D) all frames by feature name, as `Windows.observations` has them.

        Raises:
            FeatureMismatch: a vector is missing, or constant in all frames.
            DatasetError: there are no frames, or a value is not finite.
            PolicyError: the weights file cannot be read, or is of another network.
        """
        if self.state:
            self.state.fit(observations)
        for camera in cast("Iterable[CameraEncoder]", self.cameras):
            camera.load_first_weights()

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, K, ...) by feature name → (B, K, ``width``).

        Raises:
            FeatureMismatch: a feature is missing or of another shape.
        """
        for name, shape in self._shapes.items():
            if name not in observations or observations[name].shape[2:] != shape:
                raise _mismatch(name, shape, observations)
        return self._joined(self.state(observations) if self.state else None, observations)

    def of_frame(
        self, vectors: torch.Tensor, observations: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """`forward` at run time, where time is short: nothing is checked.

        Args:
            vectors: (1, 1, D) float32, all vectors side by side, in the order of the inputs.
            observations: (1, 1, ...) by feature name, all else.

        Returns:
            (1, 1, ``width``).
        """
        return self._joined(self.state.of_vector(vectors) if self.state else None, observations)

    def _joined(
        self, state: torch.Tensor | None, observations: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        parts = [] if state is None else [state]
        for index, (colour, depth) in enumerate(self._pairs):
            camera = self.cameras[index % len(self.cameras)]
            pixels = observations[colour] if colour else None
            metres = observations[depth] if depth else None
            parts.append(camera(pixels, metres))
        if self.task:
            parts.append(self.task(observations[TASK_INDEX]))
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]


def _cameras(inputs: Mapping[str, Feature]) -> list[tuple[str | None, str | None]]:
    """Names of the colour and the depth image of each camera."""
    pairs: list[tuple[str | None, str | None]] = []
    for name, feature in inputs.items():
        if feature.is_image:
            depth = name + DEPTH
            if depth not in inputs or not inputs[depth].is_depth:
                pairs.append((name, None))
                continue
            if inputs[depth].shape[:2] != feature.shape[:2]:
                raise FeatureMismatch(
                    f"{depth} is {_by(inputs[depth].shape)}, and {name} is {_by(feature.shape)}: "
                    "colour and depth of a camera have one height and width"
                )
            pairs.append((name, depth))
        elif feature.is_depth:
            colour = inputs.get(name.removesuffix(DEPTH))
            if not (name.endswith(DEPTH) and colour and colour.is_image):
                pairs.append((None, name))
    return pairs


def _camera_encoders(
    inputs: Mapping[str, Feature],
    pairs: Sequence[tuple[str | None, str | None]],
    config: EncoderConfig,
) -> nn.ModuleList:
    """One for each camera, or one for all."""
    channels = [
        (inputs[colour].shape[2] if colour else 0, depth is not None) for colour, depth in pairs
    ]
    if config.camera.shared and len(set(channels)) > 1:
        listed = ", ".join(f"{colour or depth}" for colour, depth in pairs)
        raise FeatureMismatch(f"cameras that share weights have the same channels: {listed}")
    made = channels[:1] if config.camera.shared else channels
    encoders = [CameraEncoder(colours, depth, config.camera) for colours, depth in made]
    for index, (colour, depth) in enumerate(pairs):
        name = colour or depth or ""
        height, width = inputs[name].shape[:2]
        encoders[index % len(encoders)].require_size(name, height, width)
    return nn.ModuleList(encoders)


def _mismatch(
    name: str, shape: tuple[int, ...], observations: Mapping[str, torch.Tensor]
) -> FeatureMismatch:
    if name not in observations:
        return FeatureMismatch(
            f"{name} is missing, which the policy sees; there are "
            f"{', '.join(observations) or 'no observations'}"
        )
    found = tuple(observations[name].shape)
    if len(found) < 2:
        return FeatureMismatch(f"{name} is of shape {found}, without axes for windows and frames")
    return FeatureMismatch(f"{name} is {_by(found[2:])}, and the policy was made for {_by(shape)}")


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single number"
