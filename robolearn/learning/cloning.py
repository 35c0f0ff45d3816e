"""Behaviour cloning: maximum likelihood of the demonstrated actions (Pomerleau 1989)."""

from __future__ import annotations

import copy
import math

import torch

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.loading.loader import Loader
from robolearn.episodes.loading.sampling import WindowOrder
from robolearn.episodes.loading.windows import Windows
from robolearn.errors import TrainingError
from robolearn.learning.config import CloningConfig
from robolearn.learning.interrupts import interrupt_held_back
from robolearn.learning.progress import Progress
from robolearn.learning.run import Run
from robolearn.policies.checkpoint import load_policy
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema


def clone(dataset: Dataset, run: Run, config: CloningConfig, progress: Progress) -> Policy:
    """Train a policy, from the run's newest checkpoint if it has one, and save it in the run.

    A run that is finished is left as it is. Stopped by Ctrl-C, it leaves a checkpoint of the last
    whole step. Resumed on the CPU, it gives the same weights as without the stop.

    Args:
        dataset: demonstrations.
        run: where everything is kept.
        config: how to train.
        progress: called each ``log_every`` steps.

    Returns:
        The policy as saved: the moving average of the weights after the last step.

    Raises:
        DatasetError: the dataset cannot be read or is empty.
        FeatureMismatch: it lacks what the config's policy is to see.
        TrainingError: a loss is not finite; the last checkpoint is kept.
    """
    if run.policy.is_dir():
        return load_policy(run.policy)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    schema = PolicySchema.of(dataset.context, config.policy.inputs)
    inputs, history = tuple(schema.inputs), config.policy.history
    train = Windows(dataset, inputs, history, "train")
    valid = Windows(dataset, inputs, history, "valid", device) if dataset.split("valid") else None

    with torch.random.fork_rng(), run.metrics() as metrics:
        learner = Learner(schema, config, train, device)
        learner.load_state_dict(run.newest_checkpoint())
        metrics.go_on_from(learner.step)
        try:
            while learner.step < config.steps:
                with interrupt_held_back():
                    rate = learner.learning_rate
                    losses = learner.update()
                    last = learner.step == config.steps
                    log = last or learner.step % config.log_every == 0
                    checkpoint = not last and learner.step % config.checkpoint_every == 0
                    if log or checkpoint:
                        values = {f"train/{name}": loss.item() for name, loss in losses.items()}
                        _require_finite(values, learner.step, run)
                    if log:
                        values["train/learning_rate"] = rate
                        if valid is not None:
                            values |= _validation_losses(learner.average, valid)
                        metrics.log(learner.step, values)
                        progress(learner.step, config.steps, f"loss {values['train/total']:.3f}")
                    if checkpoint:
                        run.save_checkpoint(learner.step, learner.state_dict())
        except KeyboardInterrupt:
            run.save_checkpoint(learner.step, learner.state_dict())
            raise
    run.save_policy(learner.average)
    return learner.average


class Learner:
    """A policy, its optimiser and the order of its batches: all that changes while training.

    Dropout draws from torch's own generator, which is seeded here and is part of the state.

    Args:
        schema: of the policy.
        config: how to train.
        windows: to train on; also gives the normalisation.
        device: where to train.
    """

    def __init__(
        self, schema: PolicySchema, config: CloningConfig, windows: Windows, device: torch.device
    ) -> None:
        self._config = config
        torch.manual_seed(config.seed)
        self._policy = Policy(schema, config.policy).to(device)
        self._policy.fit_normalization(windows)
        self.average = copy.deepcopy(self._policy).eval()
        self._optimizer = torch.optim.AdamW(
            self._policy.parameters(), lr=0.0, weight_decay=config.weight_decay
        )
        order = WindowOrder(windows.lengths, config.batch, config.seed)
        self._batches = Loader(windows, order, device)
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
            The losses before it, as `Policy.losses` names them.
        """
        losses = self._policy.losses(next(self._batches))
        self._optimizer.zero_grad()
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(self._policy.parameters(), self._config.gradient_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate
        self._optimizer.step()
        self._update_average()
        self.step += 1
        return losses

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
        state["dropout"] = torch.get_rng_state()
        state["step"] = torch.tensor(self.step)
        return state

    def load_state_dict(self, state: dict[str, torch.Tensor] | None) -> None:
        """Go on from a `state_dict`; None changes nothing.

        Raises:
            TrainingError: it is of another network.
        """
        if state is None:
            return
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _below("optimizer.", state).items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        try:
            self._policy.load_state_dict(_below("policy.", state))
            self.average.load_state_dict(_below("average.", state))
            optimizer_state = self._optimizer.state_dict() | {"state": moments}
            self._optimizer.load_state_dict(optimizer_state)
            order = {name: int(value) for name, value in _below("order.", state).items()}
            self._batches.load_state_dict(order)
            torch.set_rng_state(state["dropout"])
            self.step = int(state["step"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise TrainingError(f"the checkpoint is of another network: {error}") from error


def _below(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }


@torch.no_grad()
def _validation_losses(policy: Policy, windows: Windows) -> dict[str, float]:
    """Mean over all windows."""
    sums: dict[str, float] = {}
    for batch in windows.batches(4096):
        for name, loss in policy.losses(batch).items():
            sums[name] = sums.get(name, 0.0) + loss.item() * len(batch.actions)
    return {f"valid/{name}": total / len(windows) for name, total in sums.items()}


def _require_finite(values: dict[str, float], step: int, run: Run) -> None:
    if not all(map(math.isfinite, values.values())):
        raise TrainingError(
            f"the loss is not finite at step {step}; earlier checkpoints in {run.path} are kept; "
            "try a lower --learning-rate"
        )
