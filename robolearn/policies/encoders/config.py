"""What observation encoders are made of. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from robolearn.policies.scaling import Scaling
from robolearn.shelf import STRICT

type Width = Annotated[int, Field(ge=1)]
type Strength = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class CameraConfig:
    """How images are seen.

    Attributes:
        network: ``small``, three convolutions for training on a CPU, or ``resnet18`` (He et al.
            2016).
        weights: file of a ResNet-18's first weights (``.safetensors``, or ``.pth`` as torchvision
            offers it); empty starts from random ones. Read once, when training begins.
        pooling: ``keypoints``, the mean position of each of a few features in the image (spatial
            softmax), or ``average`` over the image.
        keypoints: how many of them.
        width: of the vector for each image.
        shared: all cameras are seen with the same weights.
        crop: share of height and width that is seen: a place at random while training, the middle
            otherwise.
        brightness: while training, colours are multiplied by 1 ± up to this.
        contrast: likewise, their distance to the image's mean grey.
        saturation: likewise, their distance to their own grey.
        near: depth that is 0 to the network, m.
        far: depth that is 1 to the network, m; what is further away is 1, too.
        depth_unit: metres of a count, where depth is held in integers.
    """

    network: Literal["small", "resnet18"] = "small"
    weights: str = ""
    pooling: Literal["keypoints", "average"] = "keypoints"
    keypoints: Width = 32
    width: Width = 64
    shared: bool = False
    crop: Annotated[float, Field(gt=0, le=1)] = 0.9
    brightness: Strength = 0.0
    contrast: Strength = 0.0
    saturation: Strength = 0.0
    near: Annotated[float, Field(ge=0)] = 0.0
    far: Annotated[float, Field(gt=0)] = 2.0
    depth_unit: Annotated[float, Field(gt=0)] = 0.001

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class EncoderConfig:
    """From the observations of a frame to one vector.

    Attributes:
        scaling: of each element of the state: ``standard`` to zero mean and unit deviation,
            ``range`` to [−1, 1], ``none``.
        least_scale: in the values' own units (1 cm, 0.01 rad); what varies less is not blown up to
            unit size.
        state_noise: deviation of the noise that is added in training to what a robot senses of
            itself (``observation.state…``), as a share of each element's own. A policy that cannot
            trust where it is looks where it has to go, and finds back there when it has drifted
            off (Ke et al. 2021, "Grasping with Chopsticks").
        state_hidden: widths of an MLP over the state before it joins the images; none hands the
            normalised state on.
        task_width: of the vector for each task's text.
        camera: how images are seen.
    """

    scaling: Scaling = "standard"
    least_scale: Annotated[float, Field(ge=0)] = 0.01
    state_noise: Annotated[float, Field(ge=0)] = 0.0
    state_hidden: tuple[Width, ...] = ()
    task_width: Width = 16
    camera: CameraConfig = field(default_factory=CameraConfig)

    __pydantic_config__ = STRICT
