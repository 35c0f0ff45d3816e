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
from robolearn.policies.auxiliary.losses import AuxiliaryLosses
from robolearn.policies.config import PolicyConfig
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.encoders.observation import ObservationEncoder
from robolearn.policies.memory.kinds import memory_of
from robolearn.policies.schema import PolicySchema
from robolearn.policies.share import WHOLE, Share


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
        self.auxiliary = AuxiliaryLosses(
            config.auxiliary, width, len(action.low), schema.vectors, schema.learnt
        )

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
        self.auxiliary.fit(windows.observations)

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

    def counts(self, batch: Batch) -> torch.Tensor:
        """(3,) what losses are means over: actions, frames and transitions, as `Share` has them."""
        is_pad = batch.observation_is_pad[:, -self.config.learnt_frames :]
        masks = _chunk_padding(batch, self.config.learnt_frames), is_pad, is_pad[:, :-1]
        return torch.stack([(~mask).sum() for mask in masks])

    def losses(
        self, batch: Batch, generator: torch.Generator | None = None, share: Share = WHOLE
    ) -> dict[str, torch.Tensor]:
        """What to minimise, each a mean over what is no padding.

        Memories that go from frame to frame learn from each frame of a window, others from the
        present one; with auxiliary losses on transitions, from the one before it, too.

        Args:
            batch: of demonstrations: windows of ``config.learning_frames`` observations and
                ``config.learning_past_actions`` past actions.
            generator: of the noise that some heads train with; None means torch's own.
            share: what the batch counts for, where it is a part of one; losses are times that.

        Returns:
            ``arm`` (in nats of the normalised action where the head has a density) and ``gripper``
            (in nats), auxiliary losses by their names, and the sum of all with their weights,
            ``total``; further ones of the head to look at.
        """
        has_past = self.config.memory.past_actions > 0
        past = self.units.past(batch.past_actions)
        vectors = self.memory.each(
            self.encoder(batch.observations),
            past if has_past else None,
            batch.observation_is_pad,
            batch.past_action_is_pad if has_past else None,
        )
        count = vectors.shape[1]
        actions, is_pad = _chunks(batch, count), _chunk_padding(batch, count)
        flat = vectors.flatten(0, 1)
        losses = self.arm_head.losses(flat, self.units.arm(actions), is_pad, generator)
        losses |= self.gripper_head.losses(flat, self.units.closed(actions), is_pad)
        losses = {name: share.actions * loss for name, loss in losses.items()}
        arm, gripper = losses.pop("action"), losses.pop("gripper")
        total = arm + self.config.gripper_weight * gripper
        if self.auxiliary:
            weighted, auxiliary = self.auxiliary(vectors, batch, _last(past, count - 1), share)
            total, losses = total + weighted, {**losses, **auxiliary}
        return {"total": total, "arm": arm, "gripper": gripper, **losses}


def _chunks(batch: Batch, count: int) -> torch.Tensor:
    """The actions to learn at the last frames of windows.

    Args:
        batch: the windows.
        count: F, frames.

    Returns:
        (B · F, H, A) the chunk that begins at each frame.
    """
    if count == 1:
        return batch.actions
    actions = torch.cat([_last(batch.past_actions, count - 1), batch.actions], 1)
    return actions.unfold(1, batch.actions.shape[1], 1).transpose(2, 3).flatten(0, 1)


def _chunk_padding(batch: Batch, count: int) -> torch.Tensor:
    """(B · F, H) bool for `_chunks`: the action is padding, or the frame is."""
    if count == 1:
        return batch.action_is_pad
    is_pad = torch.cat([_last(batch.past_action_is_pad, count - 1), batch.action_is_pad], 1)
    is_pad = is_pad.unfold(1, batch.action_is_pad.shape[1], 1)
    return (is_pad | batch.observation_is_pad[:, -count:, None]).flatten(0, 1)


def _last(rows: torch.Tensor, count: int) -> torch.Tensor:
    """(B, N, ...) → (B, ``count``, ...).

    Raises:
        ValueError: there are not so many.
    """
    if rows.shape[1] < count:
        raise ValueError(f"there are {rows.shape[1]} past actions, and {count} are learnt from")
    return rows[:, rows.shape[1] - count :]
