"""What a situation, or an action in it, is worth."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional

from robolearn.learning.finetuning.trajectories import Situation
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.policies.policy import Policy


class CriticInputs:
    """What critics see: what the policy sees, and what the reward is learnt from.

    In the simulator a critic may see more than the policy does (Pinto et al. 2018, "Asymmetric
    Actor Critic for Image-Based Robot Learning").

    Args:
        policy: whose encoder is used, as it is.
        seen: what the reward is learnt from.

    Attributes:
        width: C.
    """

    def __init__(self, policy: Policy, seen: SeenFeatures) -> None:
        self._policy = policy
        self._seen = seen
        self.width = policy.encoder.width * policy.config.memory.history + seen.width

    @torch.no_grad()
    def __call__(self, situation: Situation) -> torch.Tensor:
        """(B, C)."""
        frames = self._policy.encoder(situation.observations).flatten(1)
        return torch.cat([frames, self._seen(situation.present)], -1)


class Ensemble(nn.Module):
    """Networks of two layers side by side, with layer normalisation.

    The normalisation keeps what is said of actions far from the data from growing without bound
    (Ball et al. 2023, "Efficient Online Reinforcement Learning with Offline Data", section 4.2).

    Args:
        members: E.
        width: of the inputs.
        hidden: width of the layers.
    """

    def __init__(self, members: int, width: int, hidden: int) -> None:
        super().__init__()
        sizes = ((width, hidden), (hidden, hidden), (hidden, 1))
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(members, *size).uniform_(-1, 1) / size[0] ** 0.5)
            for size in sizes
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(members, 1, size[1])) for size in sizes
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, W) → (E, B)."""
        *inner, last = zip(self.biases, self.weights, strict=True)
        hidden = inputs.expand(len(last[0]), *inputs.shape)
        for bias, weight in inner:
            hidden = torch.baddbmm(bias, hidden, weight)
            hidden = functional.relu(functional.layer_norm(hidden, hidden.shape[-1:]))
        out: torch.Tensor = torch.baddbmm(last[0], hidden, last[1])
        return out[..., 0]


class Critics(nn.Module):
    """Q(s, a) by two networks, and slower copies of them for the targets (Fujimoto et al. 2018,
    "Addressing Function Approximation Error in Actor-Critic Methods", section 4.2).

    Args:
        width: C + A, of situation and action.
        hidden: of the layers.
        follow: share of the way that the copies go after each step.
    """

    def __init__(self, width: int, hidden: int, follow: float) -> None:
        super().__init__()
        self.online = Ensemble(2, width, hidden)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self._follow = follow

    def forward(self, situations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """(B, C) and (B, A) → (2, B)."""
        found: torch.Tensor = self.online(torch.cat([situations, actions], -1))
        return found

    @torch.no_grad()
    def pessimistic(self, situations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """(B,) the lower of what the copies say."""
        found: torch.Tensor = self.target(torch.cat([situations, actions], -1))
        return found.min(0).values

    @torch.no_grad()
    def follow(self) -> None:
        """Let the copies come after."""
        copies: list[torch.Tensor] = list(self.target.parameters())
        torch._foreach_lerp_(copies, list[torch.Tensor](self.online.parameters()), self._follow)
