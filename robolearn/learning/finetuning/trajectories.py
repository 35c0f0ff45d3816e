"""Episodes in memory, from which transitions with their histories are gathered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from robolearn.episodes.features import Feature
from robolearn.episodes.loading.packing import held_as


@dataclass(frozen=True)
class Trajectory:
    """One episode, or the beginning of one.

    Attributes:
        observations: (T + 1, ...) by feature name: before each action, and after the last.
        actions: (T, A) that were really sent.
        actions_asked: (T, A) that the policy asked for, before limits.
        terminated: the task was over after the last action. What would have followed, up to the
            horizon, is spent in the absorbing state.
        success: the task was accomplished at some step; None where that cannot be told.
        task_return: the sum of the environment's own rewards, to look at.
    """

    observations: Mapping[str, torch.Tensor]
    actions: torch.Tensor
    actions_asked: torch.Tensor
    terminated: bool
    success: bool | None = None
    task_return: float = 0.0

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class Situation:
    """What a policy decides on, B times.

    Attributes:
        observations: (B, K, ...) by feature name; frame K - 1 is the present. Frames before the
            episode's first repeat it.
        past_actions: (B, P, A), those before the present; P - 1 is the last one.
        frame_is_pad: (B, K) bool, the frame lies before the episode.
        past_action_is_pad: (B, P) bool, likewise.
    """

    observations: dict[str, torch.Tensor]
    past_actions: torch.Tensor
    frame_is_pad: torch.Tensor
    past_action_is_pad: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> Situation:
        """Some of them."""
        return Situation(
            {name: frames[index] for name, frames in self.observations.items()},
            self.past_actions[index],
            self.frame_is_pad[index],
            self.past_action_is_pad[index],
        )

    @classmethod
    def joined(cls, parts: Sequence[Situation]) -> Situation:
        """Those of all parts, one after the other."""
        names = parts[0].observations
        return cls(
            {name: torch.cat([of.observations[name] for of in parts]) for name in names},
            torch.cat([of.past_actions for of in parts]),
            torch.cat([of.frame_is_pad for of in parts]),
            torch.cat([of.past_action_is_pad for of in parts]),
        )

    @property
    def present(self) -> dict[str, torch.Tensor]:
        """(B, ...) by feature name."""
        return {name: frames[:, -1] for name, frames in self.observations.items()}


@dataclass(frozen=True)
class Transitions:
    """What was seen, done, and seen then, B times.

    Attributes:
        before: s.
        actions: (B, A) really sent.
        actions_asked: (B, A) as the policy asked for them.
        after: s'.
        terminated: (B,) bool: the task was over then, and the absorbing state follows s'.
        absorbing: (B,) bool: a step from the absorbing state to itself (Kostrikov et al. 2019,
            "Discriminator-Actor-Critic", section 4.2). What is seen and done there means nothing.
    """

    before: Situation
    actions: torch.Tensor
    actions_asked: torch.Tensor
    after: Situation
    terminated: torch.Tensor
    absorbing: torch.Tensor

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, index: torch.Tensor) -> Transitions:
        """Some of them."""
        return Transitions(
            self.before[index],
            self.actions[index],
            self.actions_asked[index],
            self.after[index],
            self.terminated[index],
            self.absorbing[index],
        )

    @classmethod
    def joined(cls, parts: Sequence[Transitions]) -> Transitions:
        """Those of all parts, one after the other."""
        return cls(
            Situation.joined([of.before for of in parts]),
            torch.cat([of.actions for of in parts]),
            torch.cat([of.actions_asked for of in parts]),
            Situation.joined([of.after for of in parts]),
            torch.cat([of.terminated for of in parts]),
            torch.cat([of.absorbing for of in parts]),
        )


class Trajectories:
    """Transitions of many episodes. Each frame is kept once.

    Args:
        features: of the observations, by name.
        size: A, elements of an action.
        history: K, frames of a `Situation`.
        past_actions: P.
        horizon: control steps of an episode; one that terminated before is filled up with steps in
            the absorbing state.
    """

    def __init__(
        self,
        features: Mapping[str, Feature],
        size: int,
        history: int,
        past_actions: int,
        horizon: int,
    ) -> None:
        self._vectors = {name: of for name, of in features.items() if len(of.shape) == 1}
        self._history = history
        self._past = past_actions
        self._horizon = horizon
        # All vectors side by side: one piece of memory a frame, and one look-up a batch.
        self._frames = _Rows(sum(of.shape[0] for of in self._vectors.values()))
        self._images = {
            name: _Rows(*of.shape, dtype=getattr(torch, held_as(of.dtype)))
            for name, of in features.items()
            if name not in self._vectors
        }
        self._actions, self._asked = _Rows(size), _Rows(size)
        self._at = _Rows(2, dtype=torch.int64)  # row of s, and the first of its episode
        self._flags = _Rows(2, dtype=torch.bool)  # terminated, absorbing
        self._real = _Rows(dtype=torch.int64)
        self._steps: list[int] = []

    def __len__(self) -> int:
        """Transitions."""
        return len(self._at)

    def add(self, trajectory: Trajectory) -> None:
        """Add an episode of one step or more."""
        steps = len(trajectory)
        first = len(self._frames)
        seen = trajectory.observations
        self._frames.add(torch.cat([seen[name].float() for name in self._vectors], -1))
        for name, rows in self._images.items():
            rows.add(seen[name])
        for rows, actions in (
            (self._actions, trajectory.actions),
            (self._asked, trajectory.actions_asked),
        ):
            rows.add(torch.cat([actions, actions.new_zeros(1, actions.shape[1])]))
        lacking = max(self._horizon - steps, 0) if trajectory.terminated else 0
        places = torch.arange(steps + lacking).clamp_max(steps)
        self._real.add(len(self) + torch.arange(steps))
        self._at.add(torch.stack([first + places, torch.full_like(places, first)], -1))
        absorbing = torch.arange(steps + lacking) >= steps
        over = (torch.arange(steps + lacking) == steps - 1) & trajectory.terminated
        self._flags.add(torch.stack([over, absorbing], -1))
        self._steps.append(steps)

    @property
    def all(self) -> Transitions:
        """Every transition."""
        return self[torch.arange(len(self))]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All that was added, as tensors by name."""
        return {
            **{name: rows.all_rows for name, rows in self._all_rows().items()},
            "steps": torch.tensor(self._steps, dtype=torch.int64),
        }

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Add what a `state_dict` holds; there must be nothing yet."""
        for name, rows in self._all_rows().items():
            rows.add(state[name])
        self._steps = state["steps"].tolist()
        self._real.add((~self._flags.all_rows[:, 1]).nonzero()[:, 0])

    def _all_rows(self) -> dict[str, _Rows]:
        return {
            "frames": self._frames,
            "actions": self._actions,
            "asked": self._asked,
            "at": self._at,
            "flags": self._flags,
            **{f"image.{name}": rows for name, rows in self._images.items()},
        }

    @property
    def real_lengths(self) -> torch.Tensor:
        """(E,) steps of each episode in which something was really done."""
        return torch.tensor(self._steps)

    @property
    def real(self) -> torch.Tensor:
        """Indices of the transitions in which something was really done."""
        return self._real.all_rows

    def sample(
        self, count: int, generator: torch.Generator, *, newest: int | None = None
    ) -> Transitions:
        """Draw transitions in which something was really done, all alike.

        Args:
            count: how many.
            generator: to draw from.
            newest: how many of those in the end may be drawn; None for all.
        """
        drawn = torch.randint(self._oldest(newest), len(self.real), (count,), generator=generator)
        return self[self.real[drawn]]

    def absorbing_share(self, newest: int | None = None) -> float:
        """Of all transitions, those in the absorbing state, which all are the same.

        Args:
            newest: as of `sample`.
        """
        first = int(self.real[self._oldest(newest)])
        return self._flags.all_rows[first:, 1].float().mean().item()

    def _oldest(self, newest: int | None) -> int:
        return 0 if newest is None else max(len(self.real) - newest, 0)

    def __getitem__(self, indices: torch.Tensor) -> Transitions:
        """The transitions of these indices, (B,)."""
        at, flags = self._at.all_rows[indices], self._flags.all_rows[indices]
        rows, first = at.unbind(-1)
        absorbing = flags[:, 1]
        return Transitions(
            self._situation(rows, first),
            self._actions.all_rows[rows],
            self._asked.all_rows[rows],
            self._situation(torch.where(absorbing, rows, rows + 1), first),
            flags[:, 0],
            absorbing,
        )

    def _situation(self, rows: torch.Tensor, first: torch.Tensor) -> Situation:
        back = rows[:, None] - torch.arange(self._history - 1, -1, -1)
        back_actions = rows[:, None] - torch.arange(self._past, 0, -1)
        frame_is_pad, action_is_pad = back < first[:, None], back_actions < first[:, None]
        seen = torch.maximum(back, first[:, None])
        vectors = self._frames.all_rows[seen].split(
            [of.shape[0] for of in self._vectors.values()], -1
        )
        observations = dict(zip(self._vectors, vectors, strict=True))
        for name, images in self._images.items():
            observations[name] = images.all_rows[seen]
        past = self._actions.all_rows[back_actions.clamp_min(0)]
        past = past.masked_fill(action_is_pad[..., None], 0.0)
        return Situation(observations, past, frame_is_pad, action_is_pad)


class _Rows:
    """A tensor that grows at its end."""

    def __init__(self, *shape: int, dtype: torch.dtype = torch.float32) -> None:
        self._held = torch.empty(1024, *shape, dtype=dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def all_rows(self) -> torch.Tensor:
        return self._held[: self._count]

    def add(self, rows: torch.Tensor) -> None:
        end = self._count + len(rows)
        if end > len(self._held):
            held = self._held.new_empty(max(end, 2 * len(self._held)), *self._held.shape[1:])
            held[: self._count] = self.all_rows
            self._held = held
        self._held[self._count : end] = rows
        self._count = end
