"""What a situation, or an action in it, is worth."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from robolearn.learning.finetuning.trajectories import Situation
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.policies.policy import Policy


class Encoded(NamedTuple):
    """Situations as policy and critics see them, B times, encoded once for both.

    Attributes:
        frames: (B, K, W) from the policy's encoder.
        past: (B, P, A) from its units.
        frame_is_pad: (B, K) bool.
        past_is_pad: (B, P) bool.
        chosen: (B, D) what the reward is learnt from.
    """

    frames: torch.Tensor
    past: torch.Tensor
    frame_is_pad: torch.Tensor
    past_is_pad: torch.Tensor
    chosen: torch.Tensor

    @property
    def for_critics(self) -> torch.Tensor:
        """(B, C), without gradient."""
        return torch.cat([self.frames.detach().flatten(1), self.chosen], -1)


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

    def encode(self, situation: Situation) -> Encoded:
        """With the gradient of the encoder."""
        return Encoded(
            self._policy.encoder(situation.observations),
            self._policy.units.past(situation.past_actions),
            situation.frame_is_pad,
            situation.past_action_is_pad,
            self._seen(situation.present),
        )

    @torch.no_grad()
    def __call__(self, situation: Situation) -> torch.Tensor:
        """(B, C)."""
        return self.encode(situation).for_critics


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
        return self._after_first(_product(self.biases[0], inputs, self.weights[0]))

    def of_pairs(
        self, situations: torch.Tensor, which: torch.Tensor, actions: torch.Tensor
    ) -> torch.Tensor:
        """`forward` for many actions in each situation, whose share of the first layer is worked
        out once.

        Args:
            situations: (B, C), first part of the inputs.
            which: (N,) the situation of each action.
            actions: (N, W − C), second part.

        Returns:
            (E, N).
        """
        first, second = self.weights[0].split([situations.shape[1], actions.shape[1]], 1)
        of_situations = _product(self.biases[0], situations, first)
        return self._after_first(_product(of_situations[:, which], actions, second))

    def _after_first(self, hidden: torch.Tensor) -> torch.Tensor:
        for bias, weight in zip(self.biases[1:], self.weights[1:], strict=True):
            hidden = functional.layer_norm(hidden, hidden.shape[-1:]).relu_()
            hidden = torch.baddbmm(bias, hidden, weight)
        return hidden[..., 0]


def _product(bias: torch.Tensor, inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(B, W) times (E, W, H), and a bias that fits → (E, B, H)."""
    return torch.baddbmm(bias, inputs.expand(len(weight), *inputs.shape), weight)


class Critics(nn.Module):
    """Q(s, a) by two networks, and slower copies of them for the targets (Fujimoto et al. 2018,
    "Addressing Function Approximation Error in Actor-Critic Methods", section 4.2).

    Args:
        width: C + A, of situation and action.
        hidden: of the layers.
        follow: share of the way that the copies go each time.
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
    def following(self, situations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """(B,) the mean of what the copies say.

        Not the lower of both: that brought all values down for as long as practice went on, and
        what keeps them from growing is the normalisation.
        """
        found: torch.Tensor = self.target(torch.cat([situations, actions], -1))
        return found.mean(0)

    @torch.no_grad()
    def follow(self) -> None:
        """Let the copies come after."""
        copies: list[torch.Tensor] = list(self.target.parameters())
        torch._foreach_lerp_(copies, list[torch.Tensor](self.online.parameters()), self._follow)
