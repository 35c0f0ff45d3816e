"""All that changes while a policy practises."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch

from robolearn.control.seeds import FIRST_PRACTICE_SEED, FIRST_TRIAL_SEED, PRACTICE_SEEDS
from robolearn.control.vector_environment import VectorEnvironment
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.features import SIMULATOR_STATE, Feature, all_differences
from robolearn.errors import (
    ConfigurationError,
    FeatureMismatch,
    SimulationError,
    TrainingError,
)
from robolearn.learning.finetuning.best import Best
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.demonstrations import add_demonstrations
from robolearn.learning.finetuning.rollouts import Collected, Rollouts
from robolearn.learning.finetuning.trajectories import Trajectories, Trajectory
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.learning.rewards.learnt import Seen, save_reward
from robolearn.learning.rewards.registry import make_reward
from robolearn.learning.updates.base import Practice
from robolearn.learning.updates.critics import CriticInputs
from robolearn.learning.updates.registry import make_update
from robolearn.learning.windows import learning_windows
from robolearn.policies.config import ActionChoice
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy

_SCALED_BY = 4096
"""Frames of either kind."""
_HOPELESS = 3
"""Iterations in a row in which every episode broke off."""


class Practising:
    """Rollouts → the reward learns → the policy learns, and the average of its weights is tried.

    A policy that learns from what others did, too, is at its next rollouts while it learns from the
    last: they are of the policy as it was before. Used in a ``with`` statement, what is under way
    is broken off at its end.

    Args:
        policy: that begins; it is changed.
        dataset: demonstrations.
        environments: to practise in.
        relevant: elements that a reward is learnt from, where the config names none; none for all.
        config: how.

    Raises:
        FeatureMismatch: the reward is to see what demonstrations and environments have not alike.
        ConfigurationError: what the reward is to see is not there.
        DatasetError: a value in the demonstrations is not finite.

    Attributes:
        policy: as it is.
        average: of its weights, the later ones the more.
        best: average that did best in its trial.
        steps: control steps of practice so far.
        iteration: how many were done.
        lost_episodes: that broke off because a simulator failed, and were not learnt from.
    """

    def __init__(
        self,
        policy: Policy,
        dataset: Dataset,
        environments: VectorEnvironment,
        relevant: tuple[str, ...],
        config: FinetuningConfig,
    ) -> None:
        self._config = config
        self.policy = policy.eval()
        self.policy.config = replace(policy.config, actions=_acts_by(policy))
        self.average = copy.deepcopy(policy)
        self.best = Best()
        self.steps = self.iteration = self.lost_episodes = 0
        self._generator = torch.Generator().manual_seed(config.seed)
        self._seeds = FIRST_PRACTICE_SEED + config.seed * PRACTICE_SEEDS
        self._sees = what_reward_sees(environments.context.features, relevant, config)
        self._seen = SeenFeatures(self._sees.chosen, self._sees.vectors)
        _require_alike(dataset, self._sees.vectors)
        kept = {
            name: feature
            for name, feature in environments.context.features.items()
            if name in policy.schema.inputs or name in self._seen.names
        }
        memory = policy.config.memory

        def trajectories() -> Trajectories:
            size = len(policy.schema.action.low)
            return Trajectories(
                kept, size, memory.history, memory.past_actions, environments.horizon
            )

        self._trajectories = trajectories
        self._demonstrations, self._held_out = trajectories(), trajectories()
        add_demonstrations(dataset, "train", self._demonstrations, list(kept))
        add_demonstrations(dataset, "valid", self._held_out, list(kept))
        self._rollouts = Rollouts(environments, kept)
        self._driver = copy.deepcopy(policy)
        self._under_way: Future[Collected] | None = None
        self._broken_off = 0
        self._replay = trajectories()
        self.reward = make_reward(config.reward, self._seen, self.policy, config.update.discount)
        self.update = make_update(
            self.policy,
            CriticInputs(self.policy, self._seen),
            self._demonstrations,
            self._replay,
            config.update,
        )
        self._windows = learning_windows(dataset, policy.schema, policy.config, "train")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._rollouts.close()

    def iterate(self) -> dict[str, float]:
        """One iteration; gives figures to look at, by name.

        Raises:
            SimulationError: every episode breaks off, again and again.
        """
        began = time.perf_counter()
        under_way, self._under_way = self._under_way or self._set_off(), None
        done, physics = under_way.result()
        seconds = {"physics": physics, "rollouts": time.perf_counter() - began}
        is_first = self.steps == 0
        self.steps += sum(map(len, done))
        self.iteration += 1
        self.lost_episodes += self._config.episodes - len(done)
        if self._looks_ahead:
            self._under_way = self._set_off()
        self._broken_off = 0 if done else self._broken_off + 1
        if self._broken_off == _HOPELESS:
            raise SimulationError(
                f"every episode of {_HOPELESS} iterations broke off; does what the policy does "
                "make the simulation unstable?"
            )
        if not done:
            return {"practice/lost_episodes": float(self.lost_episodes)}
        new = self._trajectories()
        for trajectory in done:
            new.add(trajectory)
            self._replay.add(trajectory)
        if is_first:
            self._fit_seen(new)
        figures = {f"practice/{name}": value for name, value in scores_of(done).items()}
        began = time.perf_counter()
        learnt = self.reward.update(self._demonstrations, self._replay, self._generator)
        seconds["reward"] = time.perf_counter() - began
        figures |= {f"reward/{name}": value for name, value in learnt.items()}
        if len(self._held_out):
            figures["reward/held_out_accuracy"] = self.reward.accuracy(self._held_out.all)
        practice = Practice(
            new,
            self.reward,
            self._cloning_loss,
            self._config.cloning_weight(self.steps),
            policy_stays=self.iteration <= self._config.warmup,
        )
        began = time.perf_counter()
        improved = self.update.improve(practice, self._generator)
        seconds["policy"] = time.perf_counter() - began
        figures |= {f"policy/{name}": value for name, value in improved.items()}
        self._follow()
        figures |= {f"seconds/{name}": value for name, value in seconds.items()}
        return figures | {"practice/lost_episodes": float(self.lost_episodes)}

    @property
    def _looks_ahead(self) -> bool:
        """The next rollouts can begin before the policy has learnt from the last."""
        more = self.steps < self._config.steps and not self.gives_up
        return self.update.learns_from_others and more

    def _set_off(self) -> Future[Collected]:
        """Begin the next rollouts, by the policy as it is now."""
        self._driver.load_state_dict(self.policy.state_dict())
        return self._drive()

    def _drive(self) -> Future[Collected]:
        first = self._seeds + self.iteration * self._config.episodes
        draws = torch.Generator().manual_seed(first)
        return self._rollouts.begin(
            self._driver,
            lambda of: self.update.choose(of, draws),
            range(first, first + self._config.episodes),
        )

    def _fit_seen(self, first: Trajectories) -> None:
        """Scale what rewards see by demonstrations and first rollouts, as much of the one as of the
        other.

        By demonstrations alone a policy from scratch would be far out where an expert hardly moves:
        all that it does would look alike to a reward, which could not tell better from worse.
        """
        frames = [
            of.sample(_SCALED_BY, self._generator).before.present
            for of in (self._demonstrations, first)
        ]
        self._seen.fit({name: torch.cat([of[name] for of in frames]) for name in frames[0]})

    @property
    def gives_up(self) -> bool:
        """Whether the policy was set back once more than there is patience for."""
        return self._config.set_back and self.best.fallen > self._config.patience

    def try_average(self) -> dict[str, float]:
        """Try the average on the validation seeds. Unless the config forbids it, practice goes on
        from what was tried (Zhang et al. 2019, "Lookahead Optimizer"; for two players, Chavdarova
        et al. 2021, "Taming GANs with Lookahead-Minmax"), or where that fell behind, from the best.

        Raises:
            SimulationError: every episode broke off.
        """
        count = self._config.validation_episodes
        seeds = range(FIRST_TRIAL_SEED, FIRST_TRIAL_SEED + count)
        if self._under_way is not None:
            wait([self._under_way])  # the trial's time is its own
        began = time.perf_counter()
        draws = torch.Generator().manual_seed(self._config.seed)
        acts_by_mode = self.average.config.actions == "mode"

        def choose(of: PolicyDistribution) -> torch.Tensor:
            return of.mode() if acts_by_mode else of.sample(draws, low_noise=True)

        tried, physics = self._rollouts.begin(self.average, choose, seeds).result()
        seconds = time.perf_counter() - began
        figures = scores_of(tried)
        knows = "success" in figures
        scores = [float(bool(of.success)) if knows else of.task_return for of in tried]
        if not tried:
            raise SimulationError("every episode of a trial broke off")
        scores += [0.0 if knows else min(scores)] * (count - len(tried))  # that broke off
        figures["success" if knows else "return"] = statistics.fmean(scores)
        before = self.best.weights
        fell_back = self.best.see(self.average, scores)
        if fell_back and self._config.set_back:
            self.average.load_state_dict(self.best.weights)
            if self.best.is_better:
                self.update.rate /= 2
        if self._config.set_back:
            self.policy.load_state_dict(self.average.state_dict())
        return {
            **{f"valid/{name}": value for name, value in figures.items()},
            "seconds/trials": seconds,
            "seconds/trials_physics": physics,
            "valid/best": self.best.score,
            "valid/kept": float(self.best.weights is not before),
            "valid/set_back": float(self.best.fallen * self._config.set_back),
        }

    def save_reward(self, folder: Path) -> None:
        """Write what the reward is now, to look at."""
        save_reward(self.reward, self._seen, self._sees, self._config.reward, folder)

    def _cloning_loss(self) -> torch.Tensor:
        chosen = torch.randint(
            len(self._windows), (self._config.cloning_batch,), generator=self._generator
        )
        self.policy.train()
        loss = self.policy.losses(self._windows.batch(chosen), self._generator)["total"]
        self.policy.eval()
        return loss

    @torch.no_grad()
    def _follow(self) -> None:
        averaged: list[torch.Tensor] = list(self.average.parameters())
        now = list[torch.Tensor](self.policy.parameters())
        power = self._config.averaging
        torch._foreach_lerp_(averaged, now, (1 + power) / (self.iteration + power))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Everything that `load_state_dict` needs to go on, as tensors by name."""
        counters = [self.steps, self.iteration, self.lost_episodes]
        parts = {
            "policy": self.policy.state_dict(),
            "average": self.average.state_dict(),
            "driver": self._driver.state_dict(),
            "best": self.best.state_dict(),
            "seen": self._seen.state_dict(),
            "reward": self.reward.state_tensors(),
            "update": self.update.state_dict(),
            "replay": self._replay.state_dict(),
        }
        return {
            **{f"{part}.{name}": value for part, of in parts.items() for name, value in of.items()},
            "counters": torch.tensor(counters),
            "rate": torch.tensor(self.update.rate, dtype=torch.float64),
            "generator": self._generator.get_state(),
            "dropout": torch.get_rng_state(),
        }

    def load_state_dict(self, state: Mapping[str, torch.Tensor] | None) -> None:
        """Go on from a `state_dict`; None changes nothing.

        Raises:
            TrainingError: it is of another policy, or incomplete.
        """
        if state is None:
            return
        try:
            self._load(state)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise TrainingError(
                "the checkpoint is of another policy or another task; resume with what it was "
                "begun with, or practise into another folder"
            ) from error

    def _load(self, state: Mapping[str, torch.Tensor]) -> None:
        self.policy.load_state_dict(_part(state, "policy"))
        self.average.load_state_dict(_part(state, "average"))
        if not (driver := _part(state, "driver")):
            raise TrainingError("the checkpoint is of an older robolearn; practise anew")
        self._driver.load_state_dict(driver)
        self.best.load_state_dict(_part(state, "best"))
        self._seen.load_state_dict(_part(state, "seen"))
        self.reward.load_state_tensors(_part(state, "reward"))
        self.update.load_state_dict(_part(state, "update"))
        self._replay.load_state_dict(_part(state, "replay"))
        self.steps, self.iteration, self.lost_episodes = state["counters"].tolist()
        self.update.rate = state["rate"].item()
        self._generator.set_state(state["generator"])
        torch.set_rng_state(state["dropout"])
        if self._looks_ahead:
            self._under_way = self._drive()


def _acts_by(policy: Policy) -> ActionChoice:
    """What a practised policy carries out: a way of going on is drawn, as in practice, but nothing
    else is. Always its best, a mixture stands still where a pause is likelier than each way on.
    """
    return "mode" if policy.arm_head.is_discrete else "low-noise"


def scores_of(trajectories: list[Trajectory]) -> dict[str, float]:
    """Means of ``success``, where it is known, of the environment's own ``return``, and of whether
    it ``ended_early``: the task was over before the horizon.
    """
    if not trajectories:
        return {}
    count = len(trajectories)
    figures = {
        "return": sum(of.task_return for of in trajectories) / count,
        "ended_early": sum(of.terminated for of in trajectories) / count,
    }
    if trajectories[0].success is not None:
        figures["success"] = sum(bool(of.success) for of in trajectories) / count
    return figures


def _require_alike(dataset: Dataset, features: Mapping[str, Feature]) -> None:
    if differences := all_differences(features, dataset.context.features):
        raise FeatureMismatch(
            "the reward is to see what the demonstrations do not hold as the environment does: "
            + "; ".join(differences)
        )


def what_reward_sees(
    features: Mapping[str, Feature], relevant: tuple[str, ...], config: FinetuningConfig
) -> Seen:
    """What a reward is learnt from, of the features of an environment or of demonstrations.

    Args:
        features: by name.
        relevant: elements, where the config names none; none for all vectors.
        config: of the practice.

    Raises:
        ConfigurationError: an element is not there, or there are no vectors.
    """
    vectors = {
        name: feature
        for name, feature in features.items()
        if len(feature.shape) == 1 and name != SIMULATOR_STATE
    }
    chosen = config.reward.features or relevant or tuple(vectors)
    try:
        names = SeenFeatures(chosen, vectors).names
    except ConfigurationError as error:
        if config.reward.features or not relevant:
            raise
        raise ConfigurationError(
            f"what the task names as relevant is not observed, is it another task's? {error}"
        ) from error
    return Seen(chosen, {name: vectors[name] for name in names}, config.update.discount)


def _part(state: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
    }
