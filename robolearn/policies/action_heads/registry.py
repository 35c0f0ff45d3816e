"""The heads by their names in the config."""

from __future__ import annotations

from robolearn.episodes.features import ActionFeature
from robolearn.errors import ConfigurationError
from robolearn.policies.action_heads.autoregressive import AutoregressiveHead
from robolearn.policies.action_heads.base import ActionHead
from robolearn.policies.action_heads.categorical import CategoricalHead
from robolearn.policies.action_heads.config import ActionHeadConfig
from robolearn.policies.action_heads.deterministic import DeterministicHead
from robolearn.policies.action_heads.diffusion import DiffusionHead
from robolearn.policies.action_heads.flow import FlowHead
from robolearn.policies.action_heads.gaussian import GaussianHead
from robolearn.policies.action_heads.mixture import MixtureHead
from robolearn.policies.action_heads.realnvp import RealNvpHead
from robolearn.policies.action_heads.vae import VaeHead


def make_action_head(
    config: ActionHeadConfig, width: int, horizon: int, action: ActionFeature
) -> ActionHead:
    """The head that the config names, over the elements of the action that move the arm.

    Args:
        config: which head and how it is made.
        width: W, of the feature vector.
        horizon: H, actions in a chunk.
        action: what is decided; A counts its elements without the gripper's.

    Raises:
        ConfigurationError: the head is for whole numbers and the actions are none, or the reverse.
    """
    arm = list(action.arm)
    size = len(arm)
    whole = action.dtype.startswith("int")
    head = config.head
    if head == "auto":
        head = "categorical" if whole else "mixture"
    if whole and head != "categorical":
        raise ConfigurationError(
            f"the head {head!r} is for real numbers and these actions are whole ones: "
            "use the head 'categorical'"
        )
    if not whole and head == "categorical":
        raise ConfigurationError(
            f"the head 'categorical' is for whole numbers and these actions are {action.dtype}: "
            "use the head 'autoregressive', which makes bins of them"
        )
    match head:
        case "deterministic":
            return DeterministicHead(width, horizon, size, config.deterministic)
        case "gaussian":
            return GaussianHead(width, horizon, size, config.gaussian)
        case "mixture":
            return MixtureHead(width, horizon, size, config.mixture)
        case "categorical":
            low, high = ([limits[index] for index in arm] for limits in (action.low, action.high))
            return CategoricalHead(width, horizon, low, high)
        case "autoregressive":
            return AutoregressiveHead(width, horizon, size, config.autoregressive)
        case "vae":
            return VaeHead(width, horizon, size, config.vae)
        case "realnvp":
            return RealNvpHead(width, horizon, size, config.realnvp)
        case "diffusion":
            return DiffusionHead(width, horizon, size, config.diffusion)
        case "flow":
            return FlowHead(width, horizon, size, config.flow)
