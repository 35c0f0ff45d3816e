"""The policy: encoder, memory, a head for the arm and one for the gripper."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from robolearn.episodes.loading.windows import Batch, Windows
from robolearn.errors import ConfigurationError
from robolearn.policies.action_heads.gripper import GripperHead
from robolearn.policies.action_heads.mixture import MixtureHead
from robolearn.policies.action_heads.registry import make_action_head
from robolearn.policies.action_units import ActionUnits
from robolearn.policies.config import PolicyConfig
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.encoders.observation import ObservationEncoder
from robolearn.policies.memory.kinds import memory_of
from robolearn.policies.schema import PolicySchema


class Policy(nn.Module):
    """Decides on H actions from the last K observations, and the P actions before.

    Args:
        schema: what goes in and out.
        config: the network.

    Raises:
        FeatureMismatch: an input is of no kind that can be seen.
        ConfigurationError: the config does not fit the features, or contradicts itself.
    """

    def __init__(self, schema: PolicySchema, config: PolicyConfig) -> None:
        super().__init__()
        self.schema = schema
        self.config = config
        action = schema.action
        self.units = ActionUnits(action)
        if config.ensemble and self.units.is_discrete:
            raise ConfigurationError(
                "ensemble takes the mean of actions, and these actions are whole numbers"
            )
        self.encoder = ObservationEncoder(schema.inputs, config.encoder, schema.tasks)
        self.memory = memory_of(config.memory, self.encoder.width, len(action.low))
        width, horizon = self.memory.width, config.horizon
        self.arm_head = make_action_head(config.action, width, horizon, action)
        self.gripper_head = GripperHead(width, horizon, len(action.gripper), config.action.gripper)

    @property
    def modes(self) -> int:
        """Gaussians in the mixture over the arm's action; 0 where the head is none."""
        return self.config.action.mixture.modes if isinstance(self.arm_head, MixtureHead) else 0

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    def fit_normalization(self, windows: Windows) -> None:
        """Take the normalisation of observations and actions from demonstrations.

        Raises:
            FeatureMismatch: an input is constant in all demonstrations, or missing.
            DatasetError: a value is not finite.
            PolicyError: a camera's weights file cannot be read.
        """
        self.encoder.fit(windows.observations)
        self.units.fit(windows.actions)
        self.arm_head.fit(self.units.arm(windows.actions))

    def forward(
        self,
        observations: Mapping[str, torch.Tensor],
        past_actions: torch.Tensor | None = None,
        frame_is_pad: torch.Tensor | None = None,
        past_action_is_pad: torch.Tensor | None = None,
    ) -> PolicyDistribution:
        """Decide.

        Args:
            observations: (B, K, ...) by feature name, as `Batch.observations`.
            past_actions: (B, P, A) in the environment's units, the last one last; None hides them.
            frame_is_pad: (B, K) bool, the frame lies before the episode; None means that none does.
            past_action_is_pad: (B, P) bool, likewise.

        Returns:
            The distribution over (B, H, A).

        Raises:
            FeatureMismatch: a feature is missing or of another shape.
        """
        return self.decide(
            self.encoder(observations),
            None if past_actions is None else self.units.past(past_actions),
            frame_is_pad,
            past_action_is_pad,
        )

    def decide(
        self,
        frames: torch.Tensor,
        past: torch.Tensor | None,
        frame_is_pad: torch.Tensor | None,
        past_is_pad: torch.Tensor | None,
    ) -> PolicyDistribution:
        """`forward` for frames that were encoded before.

        Args:
            frames: (B, K, W) from ``encoder``.
            past: (B, P, A) from ``units.past``.
            frame_is_pad: (B, K) bool.
            past_is_pad: (B, P) bool.
        """
        features = self.memory(
            frames, past, frame_is_pad=frame_is_pad, past_action_is_pad=past_is_pad
        )
        return PolicyDistribution(
            self.arm_head.distribution(features),
            self.gripper_head.distribution(features),
            self.units,
        )

    def losses(
        self, batch: Batch, generator: torch.Generator | None = None
    ) -> dict[str, torch.Tensor]:
        """What to minimise, each a mean over the actions that are no padding.

        Args:
            batch: of demonstrations.
            generator: of the noise that some heads train with; None means torch's own.

        Returns:
            ``arm`` (in nats of the normalised action where the head has a density) and ``gripper``
            (in nats), and their sum ``total``, L = L_arm + λ L_gripper with λ = ``gripper_weight``;
            further ones of the head to look at.
        """
        has_past = self.config.memory.past_actions > 0
        features = self.memory(
            self.encoder(batch.observations),
            self.units.past(batch.past_actions) if has_past else None,
            frame_is_pad=batch.observation_is_pad,
            past_action_is_pad=batch.past_action_is_pad if has_past else None,
        )
        is_pad = batch.action_is_pad
        losses = self.arm_head.losses(features, self.units.arm(batch.actions), is_pad, generator)
        arm = losses.pop("action")
        closed = self.units.closed(batch.actions)
        gripper = self.gripper_head.losses(features, closed, is_pad)["gripper"]
        total = arm + self.config.gripper_weight * gripper
        return {"total": total, "arm": arm, "gripper": gripper, **losses}
