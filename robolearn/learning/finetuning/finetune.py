"""Practice from beginning to end, in a run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import torch

from robolearn.control.vector_environment import VectorEnvironment
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.features import TASK_INDEX
from robolearn.errors import ConfigurationError, DatasetError
from robolearn.interrupts import interrupt_held_back
from robolearn.learning.finetuning.account import as_text, measure_of
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.practice import Practising, what_reward_sees
from robolearn.learning.progress import Progress
from robolearn.learning.run import Run
from robolearn.policies.checkpoint import load_policy
from robolearn.policies.policy import Policy

type Tell = Callable[[str], None]


def finetune(
    policy: Policy,
    dataset: Dataset,
    environments: VectorEnvironment,
    relevant: tuple[str, ...],
    run: Run,
    config: FinetuningConfig,
    progress: Progress,
    tell: Tell = lambda text: None,
) -> Policy:
    """Let a policy practise, from the run's newest checkpoint if it has one, and keep the best.

    A run that is finished is left as it is. Stopped by Ctrl-C, it leaves a checkpoint of the last
    whole iteration.

    Args:
        policy: cloned, as a rule; it is changed.
        dataset: demonstrations.
        environments: of the task that they are of.
        relevant: elements that a reward is learnt from, where the config names none; none for all.
        run: where everything is kept.
        config: how.
        progress: called after each iteration.
        tell: called with what a person should know, once for each.

    Returns:
        The average of the weights that did best in its trial, on seeds of their own.

    Raises:
        FeatureMismatch: policy, demonstrations and environments do not fit each other.
        ConfigurationError: the policy decides on chunks, is of several tasks, or has no density;
            or what the reward is to see is not there.
        DatasetError: there are too few demonstrations, or a value in them is not finite.
        TrainingError: the checkpoint is another's.
        SimulationError: the simulators fail, or every episode breaks off, again and again.
    """
    if run.policy.is_dir():
        return load_policy(run.policy)
    require_practicable(policy, dataset, relevant, config)
    policy.schema.require_fit(environments.context, "the environment")
    warmup = config.warmup * config.episodes * environments.horizon
    if warmup >= config.steps:
        tell(
            f"warning: {config.steps} steps may be all warm-up, in which the policy stays as it "
            f"is: {config.warmup} iterations of {config.episodes} episodes of up to "
            f"{environments.horizon} steps; give more --steps or less --warmup"
        )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        with Practising(policy, dataset, environments, relevant, config) as practising:
            _practise(practising, run, config, progress, tell)
            practising.average.load_state_dict(practising.best.weights)
            run.save_policy(practising.average)
    return practising.average


def _practise(
    practising: Practising, run: Run, config: FinetuningConfig, progress: Progress, tell: Tell
) -> None:
    checkpoint = run.newest_checkpoint()
    practising.load_state_dict(checkpoint)
    told = False
    with run.metrics() as metrics:
        metrics.go_on_from(practising.steps if checkpoint else -1)
        try:
            began = time.perf_counter()
            if not practising.best.weights:
                with interrupt_held_back():
                    figures = practising.try_average()
                    began = _add_all(figures, began)
                    metrics.log(0, figures)
                tell(f"before practice: {_text(figures)}")
            while practising.steps < config.steps and not practising.gives_up:
                with interrupt_held_back():
                    figures = practising.iterate()
                    last = practising.steps >= config.steps
                    if last or practising.iteration % config.validate_every == 0:
                        figures |= practising.try_average()
                        run.save_checkpoint(practising.steps, practising.state_dict())
                        practising.save_reward(run.reward)
                    began = _add_all(figures, began)
                    metrics.log(practising.steps, _finite(figures))
                if not told and figures.get("practice/ended_early"):
                    tell(_ENDED_EARLY)
                    told = True
                done = min(practising.steps, config.steps)  # episodes are done to their end
                progress(done, config.steps, _text(figures, practising.best.score))
        except KeyboardInterrupt:
            if practising.best.weights:
                with interrupt_held_back():
                    run.save_checkpoint(practising.steps, practising.state_dict())
                    practising.save_reward(run.reward)
            raise


_ENDED_EARLY = (
    "warning: the environment ends episodes before the horizon; what is left of them is learnt "
    "from as an absorbing state, so that an early end is worth what the demonstrations say of it"
)


def require_practicable(
    policy: Policy, dataset: Dataset, relevant: tuple[str, ...], config: FinetuningConfig
) -> None:
    """Raise unless this policy can practise with these demonstrations, as far as that can be told
    without a simulator.

    Raises:
        FeatureMismatch: they do not fit each other.
        ConfigurationError: the policy decides on chunks, is of several tasks, or has no density;
            or the demonstrations do not hold what the reward is to see.
        DatasetError: there are too few demonstrations.
    """
    policy.schema.require_fit(dataset.context, "the demonstrations")
    if TASK_INDEX in policy.schema.inputs:
        raise ConfigurationError(
            "the policy is told which of several tasks it is to do, and practice is of one: clone "
            "one from demonstrations of this task alone"
        )
    if policy.config.horizon > 1:
        raise ConfigurationError(
            f"the policy decides on {policy.config.horizon} actions at once, and practice on each "
            "by itself: train one with --policy.horizon 1"
        )
    if not policy.arm_head.has_density:
        raise ConfigurationError(
            f"the head {policy.config.action.head!r} has no density, which practice needs: train "
            "one with mixture, gaussian, categorical, autoregressive or realnvp"
        )
    what_reward_sees(dataset.context.features, relevant, config)
    # What was seen after an episode's last action was not recorded.
    shown = sum(dataset.summaries[index].frames - 1 for index in dataset.split("train"))
    batch = config.reward.discriminator.batch
    if shown < batch:
        raise DatasetError(
            f"the demonstrations have {shown} steps, and the reward learns from {batch} at once: "
            "give more, or --reward.discriminator.batch"
        )


def _add_all(figures: dict[str, float], began: float) -> float:
    """Add how long all took since then; gives the time that it is now."""
    now = time.perf_counter()
    figures["seconds/all"] = now - began
    return now


def _finite(figures: dict[str, float]) -> dict[str, float]:
    """JSON has no NaN."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _text(figures: Mapping[str, float], best: float | None = None) -> str:
    measure = measure_of(figures)
    parts = [
        f"{as_text(figures[f'{side}/{measure}'], measure)} in {where}"
        for side, where in (("practice", "practice"), ("valid", "this trial"))
        if f"{side}/{measure}" in figures
    ]
    if not parts:
        return "every episode broke off"
    if best is not None:
        parts.append(f"{as_text(best, measure)} in the best trial")
    return f"{measure} {', '.join(parts)}"
