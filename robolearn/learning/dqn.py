"""An expert by reinforcement learning, for environments that tell a reward."""

from __future__ import annotations

import itertools
import math
import statistics
from contextlib import closing
from typing import Any

from robolearn.agents.greedy import QNetwork
from robolearn.control.seeds import FIRST_PRACTICE_SEED, FIRST_TRIAL_SEED
from robolearn.environments.as_gymnasium import AsGymnasium
from robolearn.environments.gymnasium import GymnasiumEnvironment
from robolearn.environments.gymnasium_task import GymnasiumTask
from robolearn.errors import MissingDependency
from robolearn.learning.progress import Progress

STEPS = 50_000
_TRY_EVERY = 2_500
_TRIALS = 20

_SETTINGS: dict[str, Any] = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}
"""RL Baselines3 Zoo's for CartPole."""


def learn_q_network(
    task: GymnasiumTask, seed: int, progress: Progress, steps: int = STEPS
) -> QNetwork:
    """Deep Q-learning (Mnih et al. 2015) with Stable-Baselines3, in this process.

    Q-learning may forget what it could, so that the network is tried now and then, on seeds of
    their own; the best one is given. Where Gymnasium says at which return the task is solved, the
    first network that reaches it in every episode of a trial is good enough.

    Args:
        task: with vectors to observe and one discrete action.
        seed: of weights, exploration and episodes: the same gives the same network.
        progress: called now and then.
        steps: of practice.

    Raises:
        MissingDependency: Stable-Baselines3 is not installed.
        ConfigurationError: the task is of another kind.
        SimulationError: its environment cannot be made, or broke down.
    """
    try:
        from stable_baselines3 import DQN
    except ImportError as error:
        raise MissingDependency(
            f"an expert by dqn needs Stable-Baselines3: pip install 'robolearn[experts]' ({error})"
        ) from error
    with (
        closing(GymnasiumEnvironment(task)) as driven,
        closing(GymnasiumEnvironment(task)) as tried,
    ):
        environment = AsGymnasium(driven, itertools.count(FIRST_PRACTICE_SEED))
        enough = math.inf if driven.solved_return is None else driven.solved_return
        model = DQN("MlpPolicy", environment, seed=seed, device="cpu", **_SETTINGS)
        best, found, solved = -math.inf, _network_of(model, environment.inputs), False

        def look(*_: object) -> bool:
            """What Stable-Baselines3 calls after each step; False ends it."""
            nonlocal best, found, solved
            done = model.num_timesteps
            if done % _TRY_EVERY == 0 or done == steps:
                network = _network_of(model, environment.inputs)
                returns = _returns(AsGymnasium(tried, itertools.count(FIRST_TRIAL_SEED)), network)
                score, solved = statistics.fmean(returns), min(returns) >= enough
                if score > best:
                    best, found = score, network
            if done % 500 == 0 or done == steps:
                text = f"return {best:.4g} at best in trials" if done >= _TRY_EVERY else ""
                progress(done, steps, text)
            return not solved

        model.learn(steps, callback=look)
    return found


def _network_of(model: Any, inputs: tuple[str, ...]) -> QNetwork:
    from torch import nn

    layers = [layer for layer in model.q_net.q_net if isinstance(layer, nn.Linear)]
    return QNetwork(
        inputs,
        tuple(layer.weight.detach().numpy().copy() for layer in layers),
        tuple(layer.bias.detach().numpy().copy() for layer in layers),
    )


def _returns(environment: AsGymnasium, network: QNetwork) -> list[float]:
    return [_return(environment, network) for _ in range(_TRIALS)]


def _return(environment: AsGymnasium, network: QNetwork) -> float:
    """Of one episode, greedily."""
    seen, _ = environment.reset()
    total, over = 0.0, False
    while not over:
        seen, reward, terminated, truncated, _ = environment.step(network(seen).argmax())
        total += reward
        over = terminated or truncated
    return total
