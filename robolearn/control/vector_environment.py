"""The interface of many environments that are driven together, one control step at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from robolearn.episodes.frames import Array, EpisodeContext, Observation

type Indices = Sequence[int] | Array


@dataclass(frozen=True)
class VectorObservation:
    """What is sensed in N environments after the same control step, one row each.

    Its arrays are copies that belong to the caller: no later step writes to them. They are finite
    whatever happens to a worker, as long as what its environments observe is.

    Attributes:
        values: (N, ...) by feature name, of the features' element types.
        timestamps: (N,) float64 by feature name: when each was sensed, in seconds of the monotonic
            clock of the machine it was sensed on.
        time: (N,) float64 seconds of each environment's own clock since its reset.
        reward: (N,) float64 of the step that led here; 0 where it is not known.
        reward_known: (N,) bool; False after a reset, where an environment has no reward, and where
            no step was done because the episode is over.
        success: (N,) bool whether the task is accomplished now; False where it is not known.
        success_known: (N,) bool.
        terminated: (N,) bool: the task is over. The environment stands still until it is reset.
        truncated: (N,) bool: time is up by the environment's own count. It stands still, too.
        failed: (N,) bool: the environment broke down (a simulation became unstable): the episode
            ended, as failed. It stands still until it is reset.
        lost: (N,) bool: the episode broke off, because its worker died, hung or raised. The row
            repeats what was observed before (zeros if that was nothing) until the next reset.
    """

    values: Mapping[str, Array]
    timestamps: Mapping[str, Array]
    time: Array
    reward: Array
    reward_known: Array
    success: Array
    success_known: Array
    terminated: Array
    truncated: Array
    failed: Array
    lost: Array

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, index: int) -> Observation:
        """What one environment observed, as agents and observers of a single one take it."""
        return Observation(
            values={name: array[index] for name, array in self.values.items()},
            timestamps={name: float(array[index]) for name, array in self.timestamps.items()},
            time=float(self.time[index]),
            reward=float(self.reward[index]) if self.reward_known[index] else None,
            success=bool(self.success[index]) if self.success_known[index] else None,
            terminated=bool(self.terminated[index]),
            truncated=bool(self.truncated[index]),
            failed=bool(self.failed[index]),
        )


class VectorEnvironment(ABC):
    """N environments of one kind. Used in a ``with`` statement, it is closed at its end.

    Environment i gives the same trajectory, bit for bit, as a single `Environment` that is reset
    with the same seed and driven by the same actions, wherever it runs and whatever is beside it.

    Nothing is reset by itself: an episode that is over, because its environment terminated,
    truncated, failed or was lost, is over until the caller resets that environment. Horizons are
    the caller's, too.
    """

    @abstractmethod
    def __len__(self) -> int:
        """N."""

    @property
    @abstractmethod
    def context(self) -> EpisodeContext:
        """What holds for the episodes of all environments; it has no seed."""

    @property
    @abstractmethod
    def horizon(self) -> int:
        """Control steps of an episode."""

    @property
    @abstractmethod
    def lost_episodes(self) -> int:
        """How many episodes were lost since this was made."""

    @abstractmethod
    def reset(self, seeds: Sequence[int] | Array, which: Indices | None = None) -> None:
        """Begin an episode in some environments; the others stay where they are.

        An environment that cannot be reset is lost from the beginning: try another seed.

        Args:
            seeds: one for each environment that is reset.
            which: their indices; None resets all, which the first reset has to do.

        Raises:
            ValueError: there are not as many seeds as environments, an index is none of theirs or
                comes twice, or a seed is not within 0 … 2⁶³ − 1.
            SimulationError: an environment failed again and again, without a step between; the
                message says why it did the first time.
        """

    @abstractmethod
    def act(self, actions: Array) -> Array:
        """Drive all environments for one control step, and sense what is then observed.

        Those whose episode is over are left as they are. If it is broken off by Ctrl-C, some
        environments have done the step and others not: reset them, or close.

        Args:
            actions: (N, A) as ``context.action`` describes them.

        Returns:
            (N, A) the actions really sent, after limits; zeros where none was.

        Raises:
            ValueError: they have another shape, an action of an environment that goes on is not
                finite, or some environments were never reset. None is driven then.
            SimulationError: see `reset`.
        """

    @abstractmethod
    def observe(self) -> VectorObservation:
        """What the sensors said after the last `reset` or `act`.

        Raises:
            ValueError: some environments were never reset.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the environments and end their workers. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
