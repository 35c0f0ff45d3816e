"""GAIL of `imitation`, as the benchmarks that stand beside it set it up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.data.types import Transitions
    from imitation.util.logger import HierarchicalLogger
    from stable_baselines3 import PPO


def shown(states: Sequence[np.ndarray], actions: Sequence[np.ndarray]) -> Transitions:
    """Demonstrations, (T, D) and (T, ...) for each episode.

    Without each one's last action: what was seen after it is not recorded.
    """
    from imitation.data.types import Transitions

    seen = np.concatenate([each[:-1] for each in states])
    return Transitions(
        obs=seen,
        acts=np.concatenate([each[:-1] for each in actions]),
        infos=np.array([{}] * len(seen)),
        next_obs=np.concatenate([each[1:] for each in states]),
        dones=np.zeros(len(seen), bool),
    )


def trainer(
    learner: PPO,
    demonstrations: Transitions,
    logger: HierarchicalLogger,
    *,
    batch: int,
    capacity: int,
    variable_horizon: bool = False,
) -> GAIL:
    """Of a learner in its environments, with the reward network of the documentation."""
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.rewards.reward_nets import BasicRewardNet
    from imitation.util.networks import RunningNorm

    environments = learner.get_env()
    return GAIL(
        demonstrations=demonstrations,
        demo_batch_size=batch,
        gen_replay_buffer_capacity=capacity,
        n_disc_updates_per_round=8,
        venv=environments,
        gen_algo=learner,
        reward_net=BasicRewardNet(
            environments.observation_space,
            environments.action_space,
            normalize_input_layer=RunningNorm,
        ),
        allow_variable_horizon=variable_horizon,
        custom_logger=logger,
    )
