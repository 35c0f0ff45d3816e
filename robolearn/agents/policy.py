"""The agent that a policy drives."""

from __future__ import annotations

import copy

import numpy as np
import torch

from robolearn.agents.agent import Agent
from robolearn.agents.ensemble import TemporalEnsemble
from robolearn.agents.history import History
from robolearn.episodes.features import TASK_INDEX
from robolearn.episodes.frames import Array, Observation
from robolearn.episodes.loading.packing import held_as
from robolearn.errors import FeatureMismatch
from robolearn.policies.action_heads.gripper import GripperHysteresis
from robolearn.policies.config import ActionChoice
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy


class PolicyAgent(Agent):
    """Asks a policy, with the history that it was trained on, and carries out its chunks.

    Each frame is encoded once, and only if a decision will be made on it. What is random follows
    from the episode's seed.

    Args:
        policy: that decides.
        task: in words; one that the policy knows, where it sees the task's text.
        actions: which of the possible ones: ``mode``, the best; ``low-noise``, a way of going on is
            drawn, but no noise about it; ``sample``, drawn as it stands; ``auto``, as the policy's
            config says, or else the head (`ActionHead.acts_by`).
        execute: steps of a chunk that are carried out before it decides again; the policy's own
            where none is given.

    Raises:
        FeatureMismatch: the policy does not know the task.
    """

    def __init__(
        self,
        policy: Policy,
        task: str = "",
        actions: ActionChoice = "auto",
        execute: int | None = None,
    ) -> None:
        self._policy = policy
        config, schema = policy.config, policy.schema
        choices: tuple[ActionChoice, ...] = (actions, config.actions, policy.arm_head.acts_by)
        self._choice = next(choice for choice in choices if choice != "auto")
        self._size = len(schema.action.low)
        # All vectors lie side by side, as they enter the network: nothing is to be joined.
        sizes = [feature.shape[0] for feature in schema.vectors.values()]
        vectors = np.zeros((1, 1, sum(sizes)), np.float32)
        ends = np.cumsum(sizes)
        self._seen = {
            name: vectors[..., end - size : end]
            for name, size, end in zip(schema.vectors, sizes, ends, strict=True)
        }
        self._vectors = torch.from_numpy(vectors)
        others = {
            name: np.zeros((1, 1, *feature.shape), held_as(feature.dtype))
            for name, feature in schema.inputs.items()
            if name not in self._seen
        }
        self._others = {name: torch.from_numpy(values) for name, values in others.items()}
        self._seen |= others
        if TASK_INDEX in self._seen:
            if task not in schema.tasks:
                raise FeatureMismatch(
                    f"the policy does not know the task {task!r}; it knows "
                    f"{', '.join(map(repr, schema.tasks))}"
                )
            self._seen.pop(TASK_INDEX)[:] = schema.tasks.index(task)
        self._device = policy.device
        self._length = config.memory.history
        self._frames = History(self._length, policy.encoder.width, self._device)
        past = config.memory.past_actions
        self._past = History(past, self._size, self._device) if past else None
        self._execute = config.execute if execute is None else execute
        self._ensemble = (
            TemporalEnsemble(config.horizon, config.ensemble_decay) if config.ensemble else None
        )
        self._hysteresis: GripperHysteresis[Array] = GripperHysteresis(config.action.gripper)
        self._generator = torch.Generator(self._device)
        self._random = np.random.default_rng(0)
        self._arm = np.array(schema.action.arm, dtype=np.int64)
        self._gripper = np.array(schema.action.gripper, dtype=np.int64)
        low, high = np.array(schema.action.low), np.array(schema.action.high)
        self._closed_and_open = high[self._gripper], low[self._gripper]
        self._dtype = np.dtype("int64" if policy.units.is_discrete else "float32")
        self._begin()

    def reset(self, seed: int) -> None:
        self._generator.manual_seed(seed)
        self._random = np.random.default_rng(seed)
        self._begin()

    def _begin(self) -> None:
        self._frames.clear()
        if self._past is not None:
            self._past.clear()
        if self._ensemble is not None:
            self._ensemble.clear()
        self._hysteresis.reset()
        self._is_first = True
        self._step = self._left = 0

    def act(self, observation: Observation) -> Array:
        with torch.inference_mode():
            if self._left < self._length:  # else it is past when the policy decides again
                self._see(observation)
            if not self._left:
                self._decide()
            action = self._action(self._step)
            self._step += 1
            self._left -= 1
            if self._past is not None:
                sent = self._policy.schema.action.limited(action).astype(np.float32)
                past = self._policy.units.past(torch.from_numpy(sent[None, None]).to(self._device))
                self._past.append(past)
        return action

    def ahead(self) -> Array:
        """(N, A) what would follow the last action, as far as its chunk reaches.

        Where chunks are averaged there is nothing.
        """
        if self._ensemble is not None:
            return np.zeros((0, self._size), self._dtype)
        hysteresis, self._hysteresis = self._hysteresis, copy.copy(self._hysteresis)
        state = self._random.bit_generator.state
        try:
            steps = range(self._step, len(self._arm_chunk))
            following = [self._action(step) for step in steps]
        finally:
            self._hysteresis = hysteresis
            self._random.bit_generator.state = state
        return np.array(following, self._dtype).reshape(-1, self._size)

    def _see(self, observation: Observation) -> None:
        for name, values in self._seen.items():
            values[0, 0] = observation.values[name]
        vectors, others = self._vectors, self._others
        if self._device.type != "cpu":
            vectors = vectors.to(self._device)
            others = {name: values.to(self._device) for name, values in others.items()}
        code = self._policy.encoder.of_frame(vectors, others)
        if self._is_first:
            self._frames.fill(code)
            self._is_first = False
        self._frames.append(code)

    def _decide(self) -> None:
        distribution = self._policy.decide(
            self._frames.block,
            None if self._past is None else self._past.block,
            self._frames.is_pad,
            None if self._past is None else self._past.is_pad,
        )
        arm = self._policy.units.arm_in_units(self._chosen(distribution))
        self._arm_chunk: Array = arm.cpu().numpy()[0]
        if len(self._gripper):
            self._closed_chunk: Array = distribution.gripper.probs.cpu().numpy()[0]
        self._step, self._left = 0, self._execute
        if self._ensemble is not None:
            self._take_mean(self._ensemble)

    def _chosen(self, distribution: PolicyDistribution) -> torch.Tensor:
        """(1, H, A_arm) normalised."""
        if self._choice == "mode":
            return distribution.arm.mode()
        return distribution.arm.sample(self._generator, low_noise=self._choice == "low-noise")

    def _take_mean(self, ensemble: TemporalEnsemble) -> None:
        """Put the ensemble's mean in the place of the chunk's first step."""
        if not len(self._gripper):
            self._arm_chunk = ensemble.add(self._arm_chunk)[None]
            return
        mean = ensemble.add(np.concatenate([self._arm_chunk, self._closed_chunk], axis=1))
        self._arm_chunk = mean[None, : len(self._arm)]
        self._closed_chunk = mean[None, len(self._arm) :]

    def _action(self, step: int) -> Array:
        """(A,) of that step of the chunk."""
        if not len(self._gripper):
            only_arm: Array = self._arm_chunk[step].astype(self._dtype)
            return only_arm
        probs = self._closed_chunk[step]
        if self._choice == "sample":
            closed = self._random.random(len(probs)) < probs
        else:
            closed = self._hysteresis(probs)
        action: Array = np.empty(self._size, self._dtype)
        action[self._arm] = self._arm_chunk[step]
        action[self._gripper] = np.where(closed, *self._closed_and_open)
        return action
