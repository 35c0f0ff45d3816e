"""A policy drives many environments at once, and what came of it is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from robolearn.control.vector_environment import VectorEnvironment
from robolearn.episodes.features import Feature
from robolearn.episodes.frames import Array
from robolearn.learning.finetuning.trajectories import Trajectory
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy

type Choose = Callable[[PolicyDistribution], torch.Tensor]
"""From a policy's answer to the actions (N, 1, A) that are carried out."""


class Collected(NamedTuple):
    """What came of rollouts.

    Attributes:
        trajectories: of the episodes that were neither lost nor failed.
        physics: seconds in which the environments were reset or stepped.
    """

    trajectories: list[Trajectory]
    physics: float


class Rollouts:
    """Episodes of a policy, N at a time, in a thread of their own: while they wait for the
    simulation, something else can be learnt from.

    Args:
        environments: N, with the features of the policy.
        features: that are kept of each observation, by name.
    """

    def __init__(self, environments: VectorEnvironment, features: Mapping[str, Feature]) -> None:
        self._environments = environments
        self._features = features
        self._thread = ThreadPoolExecutor(1, "rollouts")
        self._closing = threading.Event()

    def close(self) -> None:
        """Break off what is under way. May be called twice."""
        self._closing.set()
        self._thread.shutdown(cancel_futures=True)

    def begin(self, policy: Policy, choose: Choose, seeds: Sequence[int]) -> Future[Collected]:
        """One episode for each seed, up to the horizon, after all that was begun before.

        Args:
            policy: that drives; not in training mode, and not to change until it is done.
            choose: what it does.
            seeds: of the episodes.
        """
        return self._thread.submit(self.collect, policy, choose, seeds)

    @torch.no_grad()
    def collect(self, policy: Policy, choose: Choose, seeds: Sequence[int]) -> Collected:
        """As `begin`, and here."""
        count = len(self._environments)
        parts = [
            self._episodes(policy, choose, seeds[first : first + count])
            for first in range(0, len(seeds), count)
        ]
        return Collected(
            [trajectory for part in parts for trajectory in part.trajectories],
            sum(part.physics for part in parts),
        )

    def _episodes(self, policy: Policy, choose: Choose, seeds: Sequence[int]) -> Collected:
        environments = self._environments
        idle = len(environments) - len(seeds)
        began = time.perf_counter()
        environments.reset([*seeds, *[seeds[-1]] * idle])  # they do an episode twice
        physics = time.perf_counter() - began
        observed = environments.observe()
        count, action = len(environments), environments.context.action
        memory = policy.config.memory
        seen = [self._kept(observed.values)]
        frames = policy.encoder(_as_frames(policy, observed.values)).repeat(1, memory.history, 1)
        past = torch.zeros(count, memory.past_actions, len(action.low))
        asked: list[torch.Tensor] = []
        sent: list[torch.Tensor] = []
        steps = np.full(count, environments.horizon)
        returns, success = np.zeros(count), np.zeros(count, bool)
        terminated, broken = np.zeros(count, bool), np.zeros(count, bool)
        for step in range(environments.horizon):
            if self._closing.is_set():
                raise CancelledError
            age = torch.arange(memory.history, 0, -1) > step + 1
            past_age = torch.arange(memory.past_actions, 0, -1) > step
            distribution = policy.decide(
                frames, past, age.expand(count, -1), past_age.expand(count, -1)
            )
            asked.append(choose(distribution)[:, 0])
            began = time.perf_counter()
            sent.append(torch.from_numpy(environments.act(asked[-1].numpy())).float())
            physics += time.perf_counter() - began
            observed = environments.observe()
            seen.append(self._kept(observed.values))
            going_on = steps > step
            returns += np.where(going_on, observed.reward, 0.0)
            success |= observed.success & going_on
            over = observed.terminated | observed.truncated | observed.failed | observed.lost
            ended = over & going_on
            steps[ended] = step + 1
            terminated |= observed.terminated & ended
            broken |= (observed.failed | observed.lost) & ended
            if (steps <= step + 1).all():
                break
            frame = policy.encoder(_as_frames(policy, observed.values))
            frames = torch.cat([frames[:, 1:], frame], 1)
            if memory.past_actions:
                past = torch.cat([past[:, 1:], policy.units.past(sent[-1])[:, None]], 1)
        knows_success = bool(observed.success_known.any())
        frames_of = {name: torch.stack([each[name] for each in seen], 1) for name in seen[0]}
        asked_of, sent_of = torch.stack(asked, 1), torch.stack(sent, 1)
        trajectories = [
            Trajectory(
                {name: rows[index, : steps[index] + 1] for name, rows in frames_of.items()},
                sent_of[index, : steps[index]],
                asked_of[index, : steps[index]],
                bool(terminated[index]),
                bool(success[index]) if knows_success else None,
                float(returns[index]),
            )
            for index in range(len(seeds))
            if not broken[index]
        ]
        return Collected(trajectories, physics)

    def _kept(self, values: Mapping[str, Array]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(values[name]) for name in self._features}


def _as_frames(policy: Policy, values: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values[name])[:, None] for name in policy.schema.inputs}
