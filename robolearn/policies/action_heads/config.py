"""What an action head is made of. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from robolearn.shelf import STRICT

type Count = Annotated[int, Field(ge=1)]
type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type Head = Literal[
    "auto",
    "deterministic",
    "gaussian",
    "mixture",
    "categorical",
    "autoregressive",
    "vae",
    "realnvp",
    "diffusion",
    "flow",
]


@dataclass(frozen=True)
class DeterministicConfig:
    """One chunk and no distribution.

    Attributes:
        loss: l2 takes the mean of the demonstrations, l1 their median, huber something between.
    """

    loss: Literal["l2", "l1", "huber"] = "l2"

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class GaussianConfig:
    """One Gaussian.

    Attributes:
        least_scale: least standard deviation, in units of the demonstrations' own.
    """

    least_scale: Positive = 0.05

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class MixtureConfig:
    """A mixture of Gaussians.

    Attributes:
        modes: Gaussians in it.
        least_scale: least standard deviation of each, in units of the demonstrations' own.
    """

    modes: Count = 5
    least_scale: Positive = 0.05

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class AutoregressiveConfig:
    """One element after the other, in bins.

    Attributes:
        bins: of equal width, over the range of each element in the demonstrations.
        hidden: width of the network's layers.
    """

    bins: Annotated[int, Field(ge=2)] = 64
    hidden: Count = 128

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class VaeConfig:
    """A conditional variational autoencoder.

    Attributes:
        latent: size of the latent variable.
        hidden: width of the two layers of encoder and decoder.
        scale: standard deviation about what is decoded, in units of the demonstrations' own.
        beta: weight of the latent's divergence from the prior; 1 is the bound on the likelihood.
        draws: latents drawn for each chunk while training; more than one leave fewer gaps between
            the ways, where samples would be neither.
        learnt_prior: the prior of the latent depends on what is seen.
    """

    latent: Count = 8
    hidden: Count = 256
    scale: Positive = 0.1
    beta: Annotated[float, Field(ge=0)] = 1.0
    draws: Count = 4
    learnt_prior: bool = False

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class RealNvpConfig:
    """A normalising flow of affine couplings.

    Attributes:
        couplings: one after the other.
        hidden: width of the network in each.
        modes: Gaussians in the mixture that is transformed; 1 is the flow of the paper, which
            joins separate modes by a thin bridge.
        noise: standard deviation of what is added to the demonstrations while training, and the
            least of each Gaussian, in units of the demonstrations' own.
    """

    couplings: Count = 6
    hidden: Count = 128
    modes: Count = 5
    noise: Positive = 0.05

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class DiffusionConfig:
    """Noise taken away in steps.

    Attributes:
        steps: from noise to a chunk, of the 100 levels of noise that are trained.
        width: of the denoiser's layers.
        depth: its residual blocks.
    """

    steps: Annotated[int, Field(ge=1, le=100)] = 10
    width: Count = 512
    depth: Count = 3

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class FlowConfig:
    """Noise moved to a chunk along a learnt velocity.

    Attributes:
        steps: from noise to a chunk.
        width: of the network's layers.
        depth: its residual blocks.
    """

    steps: Count = 10
    width: Count = 512
    depth: Count = 3

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class GripperConfig:
    """Whether grippers are to be closed.

    Attributes:
        closed_weight: of the loss where the gripper was closed, beside where it was open; above 1
            where the demonstrations close it seldom.
        close_above: probability of closed above which an open gripper closes.
        open_below: probability of closed below which a closed gripper opens.
    """

    closed_weight: Positive = 1.0
    close_above: Annotated[float, Field(ge=0.5, lt=1)] = 0.5
    open_below: Annotated[float, Field(gt=0, le=0.5)] = 0.5

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class ActionHeadConfig:
    """From what was seen to actions.

    Attributes:
        head: which it is; of the tables below, its own is used, and the gripper's. ``auto`` is
            ``categorical`` for actions that are whole numbers, and else ``mixture``.
        deterministic: one chunk and no distribution.
        gaussian: one Gaussian.
        mixture: several Gaussians.
        autoregressive: one element after the other, in bins.
        vae: a latent variable.
        realnvp: a normalising flow.
        diffusion: noise taken away in steps.
        flow: noise moved along a learnt velocity.
        gripper: whether grippers are to be closed, beside any head.
    """

    head: Head = "auto"
    deterministic: DeterministicConfig = field(default_factory=DeterministicConfig)
    gaussian: GaussianConfig = field(default_factory=GaussianConfig)
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    autoregressive: AutoregressiveConfig = field(default_factory=AutoregressiveConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    realnvp: RealNvpConfig = field(default_factory=RealNvpConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    gripper: GripperConfig = field(default_factory=GripperConfig)

    __pydantic_config__ = STRICT
