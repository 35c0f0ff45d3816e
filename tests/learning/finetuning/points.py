"""Points on a line that are to be brought to the middle, where the gripper closes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robolearn.control.vector_environment import Indices, VectorEnvironment, VectorObservation
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import Array, EpisodeContext, Outcome

POINT = "observation.state.point"
STEP = 0.2
NEAR = 0.15
CONTEXT = EpisodeContext(
    features={POINT: Feature("float32", (2,), ("point.x", "point.closed"))},
    action=ActionFeature(
        "float32", (2,), ("x", "gripper"), low=(-1, -1), high=(1, 1), gripper=(1,)
    ),
    task="to the middle",
    rate=10.0,
    env_args={"env_name": "Points", "type": 1, "env_kwargs": {}},
)


class Points(VectorEnvironment):
    """N points.

    Args:
        count: N.
        horizon: steps of an episode.
        edge: beyond which the task is over.
        lost: index of one that breaks off in its third step.
    """

    def __init__(
        self, count: int = 8, horizon: int = 12, edge: float = 9.0, lost: int | None = None
    ) -> None:
        self._horizon, self._edge, self._lost = horizon, edge, lost
        self._x, self._closed = np.zeros(count), np.zeros(count)
        self._step = np.zeros(count, int)
        self._over = np.zeros(count, bool)
        self.seeds: list[int] = []

    def __len__(self) -> int:
        return len(self._x)

    @property
    def context(self) -> EpisodeContext:
        return CONTEXT

    @property
    def horizon(self) -> int:
        return self._horizon

    @property
    def lost_episodes(self) -> int:
        return 0

    def reset(self, seeds: Sequence[int] | Array, which: Indices | None = None) -> None:
        assert which is None
        self.seeds += map(int, seeds)
        self._x = np.array([start(int(seed)) for seed in seeds])
        self._closed = np.zeros(len(self))
        self._step[:] = 0
        self._over[:] = False

    def act(self, actions: Array) -> Array:
        sent = np.clip(actions, -1, 1)
        self._x = np.where(self._over, self._x, self._x + STEP * sent[:, 0])
        self._closed = np.where(self._over, self._closed, sent[:, 1] > 0)
        self._step += ~self._over
        self._over |= np.abs(self._x) > self._edge
        return sent.astype(np.float32)

    def observe(self) -> VectorObservation:
        count, known = len(self), np.ones(len(self), bool)
        lost = np.zeros(count, bool)
        if self._lost is not None:
            lost[self._lost] = self._step[self._lost] >= 3
        return VectorObservation(
            values={POINT: np.stack([self._x, self._closed], 1).astype(np.float32)},
            timestamps={POINT: np.zeros(count)},
            time=self._step / 10,
            reward=np.zeros(count),
            reward_known=known,
            success=(np.abs(self._x) < NEAR) & (self._closed > 0),
            success_known=known,
            terminated=self._over & ~lost,
            truncated=~known,
            failed=~known,
            lost=lost,
        )

    def close(self) -> None: ...


def start(seed: int) -> float:
    """Where the point of this seed begins."""
    return float(np.random.default_rng(seed).uniform(-1, 1))


def record(
    folder: Path,
    episodes: int = 10,
    horizon: int = 12,
    scale: float = 1.0,
    broken: int | None = None,
) -> Path:
    """Demonstrations: straight to the middle, the gripper closed when there.

    Args:
        folder: of the dataset.
        episodes: how many.
        horizon: steps of each.
        scale: 0.5 goes half as fast.
        broken: number of one in which the point is once not a number.
    """
    with FolderWriter(folder) as writer:
        for seed in range(episodes):
            x, closed = start(seed), 0.0
            seen, done = [], []
            for _ in range(horizon):
                seen.append([x, closed])
                action = np.clip(-x / STEP, -scale, scale), 1.0 if abs(x) < NEAR else -1.0
                done.append(action)
                x, closed = x + STEP * action[0], float(action[1] > 0)
            if seed == broken:
                seen[5] = [np.nan, 0.0]
            writer.add(_episode(seed, np.array(seen, np.float32), np.array(done, np.float32)))
    return folder


def _episode(seed: int, seen: Array, actions: Array) -> Episode:
    steps = len(actions)
    times = np.arange(steps) * 0.1
    return Episode(
        context=CONTEXT,
        observations={POINT: seen},
        actions=actions,
        actions_asked=actions,
        rewards=np.zeros(steps, np.float32),
        success=np.arange(steps) == steps - 1,
        interventions=np.zeros(steps, bool),
        time=times,
        timestamps=dict.fromkeys((POINT, "action"), times),
        outcome=Outcome(steps, True, True, "horizon"),
        agent=f"numbers {seed}",
        recorded_at=None,
    )
