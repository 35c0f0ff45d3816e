"""Behaviour cloning: maximum likelihood of the demonstrated actions (Pomerleau 1989)."""

from __future__ import annotations

import logging
import math
import tempfile
from pathlib import Path
from typing import Protocol

import torch

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.loading.windows import Windows
from robolearn.errors import FeatureMismatch, TrainingError
from robolearn.interrupts import interrupt_held_back
from robolearn.learning.acceleration import make_accelerator
from robolearn.learning.config import CloningConfig
from robolearn.learning.learner import Learner
from robolearn.learning.progress import Progress
from robolearn.learning.run import Run
from robolearn.learning.windows import learning_windows
from robolearn.policies.checkpoint import load_policy, save_policy
from robolearn.policies.encoders.state import constant_vectors
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

_VALIDATION_BATCH = 4096
"""Windows of vectors that are looked at together; images take more memory."""

_log = logging.getLogger(__name__)


class Trial(Protocol):
    """What tries policies while they are trained."""

    def require_fit(self, schema: PolicySchema) -> None:
        """Raise unless policies of this schema can be tried.

        Raises:
            FeatureMismatch: names every difference.
        """

    def __call__(self, policy: Path) -> dict[str, float]:
        """Figures, by name, of the policy in a folder."""


def clone(
    dataset: Dataset,
    run: Run,
    config: CloningConfig,
    progress: Progress,
    trial: Trial | None = None,
) -> Policy:
    """Train a policy, from the run's newest checkpoint if it has one, and save it in the run.

    A run that is finished is left as it is. Stopped by Ctrl-C, it leaves a checkpoint of the last
    whole step. Resumed on the CPU, it gives the same weights as without the stop. Processes that
    ``torchrun`` or ``accelerate launch`` started train together; the first of them writes.

    Args:
        dataset: demonstrations.
        run: where everything is kept.
        config: how to train.
        progress: called each ``log_every`` steps.
        trial: of the policy as it then is, each ``evaluate_every`` steps. Its figures go beside the
            losses and decide nothing.

    Returns:
        The policy as saved: the moving average of the weights after the last step.

    Raises:
        DatasetError: the dataset cannot be read or is empty.
        FeatureMismatch: it lacks what the config's policy is to see, or the trial does.
        ConfigurationError: the batch cannot be shared out between the processes.
        TrainingError: a loss is not finite; the last checkpoint is kept.
    """
    if run.policy.is_dir():
        return load_policy(run.policy)
    accelerator = make_accelerator(config)
    tasks = tuple(dict.fromkeys(summary.task for summary in dataset.summaries))
    schema = PolicySchema.of(dataset.context, config.policy.inputs, tasks, config.policy.auxiliary)
    windows = learning_windows(dataset, schema, config.policy, "train")
    if not config.policy.inputs:
        schema = _without_constant(schema, windows)
    if trial is not None:
        trial.require_fit(schema)
    with torch.random.fork_rng():
        learner = Learner(schema, config, windows, accelerator)
        learner.load_state_dict(run.newest_checkpoint())
        if accelerator.is_main_process:
            valid = None
            if dataset.split("valid"):
                valid = learning_windows(
                    dataset, schema, config.policy, "valid", accelerator.device
                )
            _lead(learner, run, config, valid, progress, trial)
            run.save_policy(learner.average)
        else:
            _follow(learner, config)
    return learner.average


def _without_constant(schema: PolicySchema, windows: Windows) -> PolicySchema:
    """Leave out, of inputs that nobody chose, those that never vary."""
    constant = constant_vectors(schema.vectors, windows.observations)
    if not constant:
        return schema
    if len(constant) == len(schema.inputs):
        raise FeatureMismatch(
            f"nothing that the policy could see varies in the demonstrations: {', '.join(constant)}"
        )
    _log.warning("constant in all demonstrations, so no input: %s", ", ".join(constant))
    return schema.without(constant)


def _follow(learner: Learner, config: CloningConfig) -> None:
    """Compute this process's share of each step."""
    while learner.step < config.steps:
        with interrupt_held_back():
            learner.update()


def _lead(
    learner: Learner,
    run: Run,
    config: CloningConfig,
    valid: Windows | None,
    progress: Progress,
    trial: Trial | None,
) -> None:
    """Train, and keep what comes of it."""
    with run.metrics() as metrics:
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
                        if not (all(map(math.isfinite, values.values())) and learner.is_finite):
                            raise _diverged(learner, run)
                    if log:
                        values["train/learning_rate"] = rate
                        if valid is not None:
                            values |= _validation_losses(learner.average, valid, config.batch)
                        metrics.log(learner.step, values)
                        progress(learner.step, config.steps, f"loss {values['train/total']:.3f}")
                    if checkpoint:
                        run.save_checkpoint(learner.step, learner.state_dict())
                if trial is not None and learner.step % config.evaluate_every == 0:
                    metrics.log(learner.step, _tried(learner.average, run, trial))
        except KeyboardInterrupt:
            if not learner.is_finite:
                raise _diverged(learner, run) from None
            run.save_checkpoint(learner.step, learner.state_dict())
            raise


def _tried(policy: Policy, run: Run, trial: Trial) -> dict[str, float]:
    """Figures of a trial of the policy as it now is."""
    folders = tempfile.TemporaryDirectory(dir=run.path, prefix=".trial.")
    # What it draws in this process must not change what is drawn for training.
    with torch.random.fork_rng(), folders as folder:
        save_policy(policy, Path(folder) / "policy")
        return {f"trial/{name}": value for name, value in trial(Path(folder) / "policy").items()}


@torch.no_grad()
def _validation_losses(policy: Policy, windows: Windows, batch: int) -> dict[str, float]:
    """Mean over all windows; the noise that some heads need is the same each time."""
    sums: dict[str, float] = {}
    generator = torch.Generator(windows.device).manual_seed(0)
    for part in windows.batches(batch if policy.schema.images else _VALIDATION_BATCH):
        for name, loss in policy.losses(part, generator).items():
            sums[name] = sums.get(name, 0.0) + loss.item() * len(part.actions)
    return {f"valid/{name}": total / len(windows) for name, total in sums.items()}


def _diverged(learner: Learner, run: Run) -> TrainingError:
    kept = (
        f"earlier checkpoints in {run.path} are kept"
        if run.has_checkpoint
        else "there was no checkpoint before it"
    )
    return TrainingError(
        f"the loss or a weight is not finite at step {learner.step}; {kept}; train into another "
        "folder with a lower --learning-rate"
    )
