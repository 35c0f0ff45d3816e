"""A policy in training: its optimiser, the average of its weights, the order of its batches."""

from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from robolearn.episodes.loading.loader import Loader
from robolearn.episodes.loading.sampling import WindowOrder
from robolearn.episodes.loading.windows import Batch, Windows
from robolearn.errors import ConfigurationError, TrainingError
from robolearn.learning.config import CloningConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema
from robolearn.policies.share import WHOLE, Share

if TYPE_CHECKING:
    from accelerate import Accelerator


class Learner:
    """All that changes while a policy is trained.

    Where several processes train together, each computes its share of every batch, and all take the
    same step. Dropout draws from torch's own generator, which is seeded here and is part of the
    state.

    Args:
        schema: of the policy.
        config: how to train.
        windows: to train on; also gives the normalisation.
        accelerator: the device and the processes to train with.

    Raises:
        ConfigurationError: the batch cannot be shared out in equal parts.
    """

    def __init__(
        self,
        schema: PolicySchema,
        config: CloningConfig,
        windows: Windows,
        accelerator: Accelerator,
    ) -> None:
        self._config = config
        self._accelerator = accelerator
        parts = config.accumulate * accelerator.num_processes
        if config.batch % parts:
            raise ConfigurationError(
                f"a batch of {config.batch} windows cannot be shared out equally: it is computed "
                f"in {config.accumulate} parts by {accelerator.num_processes} processes"
            )
        torch.manual_seed(config.seed)
        self._policy = Policy(schema, config.policy).to(accelerator.device)
        self._policy.fit_normalization(windows)
        self.average = copy.deepcopy(self._policy).eval()
        # Computed with other windows, the same dropout would be no harm, but it would be the same.
        torch.manual_seed(config.seed + accelerator.process_index)
        objective: nn.Module = _Objective(self._policy)
        if config.compile:
            objective = torch.compile(objective)  # type: ignore[assignment]  # it behaves as one
        # In one pass over the weights: on a CPU that takes a tenth of the time.
        optimizer = torch.optim.AdamW(
            self._policy.parameters(), lr=0.0, weight_decay=config.weight_decay, fused=True
        )
        self._objective, self._optimizer = accelerator.prepare(objective, optimizer)
        order = WindowOrder(
            windows.lengths,
            config.batch // parts,
            config.seed,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        self._batches = Loader(windows, order, accelerator.device)
        self.step = 0

    @property
    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        config = self._config
        if self.step < config.warmup:
            return config.learning_rate * (self.step + 1) / config.warmup
        done = (self.step - config.warmup) / max(config.steps - config.warmup, 1)
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    def update(self) -> dict[str, torch.Tensor]:
        """One step of the optimiser.

        Returns:
            The losses before it, as `Policy.losses` names them: means over the whole batch, of all
            its parts and processes.

        Raises:
            DatasetError: on the CPU, the batch holds a value that is not finite; names the feature.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate
        sums: dict[str, torch.Tensor] = {}
        parts = [next(self._batches) for _ in range(self._config.accumulate)]
        for batch, share in zip(parts, self._shares(parts), strict=True):
            with self._accelerator.accumulate(self._objective):
                losses = self._objective(batch, share)
                # Elsewhere, to look at a loss is to wait for it: cloning does it now and then.
                if batch.actions.device.type == "cpu" and not math.isfinite(losses["total"].item()):
                    batch.require_finite()
                self._accelerator.backward(losses["total"])
                if self._accelerator.sync_gradients:
                    self._accelerator.clip_grad_norm_(
                        self._policy.parameters(), self._config.gradient_norm
                    )
                self._optimizer.step()
                self._optimizer.zero_grad()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach()
        self._update_average()
        self.step += 1
        means = torch.stack(list(sums.values())) / self._config.accumulate
        return dict(zip(sums, self._accelerator.reduce(means, "mean"), strict=True))

    def _shares(self, parts: list[Batch]) -> list[Share]:
        """What each part of this process counts for, in the batch of all processes."""
        processes = self._accelerator.num_processes
        if len(parts) * processes == 1:
            return [WHOLE]
        counts = torch.stack([self._policy.counts(part) for part in parts]).float()
        whole = self._accelerator.reduce(counts.sum(0), "sum").clamp_min(1)
        return [Share(*share) for share in counts * (len(parts) * processes / whole)]

    def _require_same_features(self, state: dict[str, torch.Tensor]) -> None:
        try:
            before = PolicySchema.from_json(json.loads(bytes(state["schema"].tolist())))
        except Exception as error:  # whatever a damaged or hostile description leads to
            raise TrainingError(
                "the checkpoint does not say which features it is of; train anew"
            ) from error
        differences = self._policy.schema.differences(before)
        if differences:
            raise TrainingError(
                f"the checkpoint is of other features: {'; '.join(differences)}; "
                "resume on what it was begun with, or train into another folder"
            )

    @property
    def is_finite(self) -> bool:
        """All weights, and their average, are numbers: a gradient that was none spoils them."""
        weights = [*self._policy.parameters(), *self.average.parameters()]
        return bool(torch.stack([weight.isfinite().all() for weight in weights]).all())

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on, the average follows the weights closely: it must not remember the random start.
        keep = min(self._config.average, (1 + self.step) / (10 + self.step))
        averaged: list[torch.Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(averaged, list[torch.Tensor](self._policy.parameters()), 1 - keep)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Everything that `load_state_dict` needs to go on, as tensors by name."""
        state = {f"policy.{name}": value for name, value in self._policy.state_dict().items()}
        state |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        state |= {
            f"order.{name}": torch.tensor(value)
            for name, value in self._batches.state_dict().items()
        }
        schema = json.dumps(self._policy.schema.to_json()).encode()
        state["schema"] = torch.tensor(list(schema), dtype=torch.uint8)
        state["dropout"] = torch.get_rng_state()
        state["step"] = torch.tensor(self.step)
        return state

    def load_state_dict(self, state: dict[str, torch.Tensor] | None) -> None:
        """Go on from a `state_dict`; None changes nothing.

        Raises:
            TrainingError: it is of another network, or of other features, which are named.
        """
        if state is None:
            return
        self._require_same_features(state)
        moments: dict[int, dict[str, torch.Tensor]] = {}
        try:
            for name, value in _below("optimizer.", state).items():
                index, _, moment = name.partition(".")
                moments.setdefault(int(index), {})[moment] = value
            self._policy.load_state_dict(_below("policy.", state))
            self.average.load_state_dict(_below("average.", state))
            optimizer_state = self._optimizer.state_dict() | {"state": moments}
            self._optimizer.load_state_dict(optimizer_state)
            order = {name: int(value) for name, value in _below("order.", state).items()}
            self._batches.load_state_dict(order)
            if self._accelerator.is_main_process:
                torch.set_rng_state(state["dropout"])
            self.step = int(state["step"])
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise TrainingError(f"the checkpoint is of another network: {error}") from error


class _Objective(nn.Module):
    """What is minimised, as a module: processes that train together meet in its gradients."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, batch: Batch, share: Share) -> dict[str, torch.Tensor]:
        return self.policy.losses(batch, share=share)


def _below(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
