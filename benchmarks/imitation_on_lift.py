"""GAIL of `imitation` 1.0.1 on Lift, beside what `robolearn finetune` comes to.

    python benchmarks/imitation_on_lift.py [--seeds 0 1 2] [--to runs/finetuning]

On the demonstrations of benchmarks/finetuning.py (case lift-10, of the same folder), in the same
simulation, for as many control steps, tried in the same 50 episodes: BC of `imitation` makes a
policy of them, and its GAIL with PPO of Stable-Baselines3 lets that practise, with a reward network
that sees states and actions as they are recorded. Settings are those of its documentation, as in
benchmarks/textbook.py; with the learning rate there, and with a tenth of it, which spoils less of
what was cloned. Trials are on the validation seeds; what is reported is the policy after the last
step, and the trial that was best.

Needs robolearn[experts], and imitation in .peers, where `make test` puts it. Writes
benchmarks/results/imitation_on_lift.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium
import numpy as np
from finetuning import CHECKOUT, EPISODES, LIFT, recorded
from gymnasium import spaces
from peers_gail import shown, trainer
from sides import PEERS, RESULTS

from robolearn.control.seeds import (
    FIRST_EVALUATION_SEED,
    FIRST_PRACTICE_SEED,
    FIRST_TRIAL_SEED,
    PRACTICE_SEEDS,
)
from robolearn.environments.targets import load_target, make_environment
from robolearn.episodes.formats import open_dataset
from robolearn.learning.success import wilson_interval

sys.path.append(str(PEERS))

RATES = (4e-4, 4e-5)
ENVIRONMENTS = 8
TRIALS = 40
BC_EPOCHS = 50


class Lift(gymnasium.Env):
    """The task with all vectors side by side, and its continuous action."""

    def __init__(self, seeds: Iterator[int]) -> None:
        self._environment = make_environment(load_target(LIFT.task))
        self._seeds = seeds
        features = self._environment.context.features
        self.names = [name for name, of in features.items() if name.startswith("observation.")]
        width = sum(features[name].shape[0] for name in self.names)
        action = self._environment.context.action
        self.observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.action_space = spaces.Box(np.float32(action.low), np.float32(action.high))
        self._step, self.succeeded = 0, False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        self._environment.reset(next(self._seeds))
        self._step, self.succeeded = 0, False
        return self._seen(self._environment.observe().values), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._environment.act(np.asarray(action, np.float32))
        self._step += 1
        observed = self._environment.observe()
        self.succeeded |= bool(observed.success)
        over = self._step >= self._environment.horizon
        return self._seen(observed.values), 0.0, False, over, {}

    def _seen(self, values: Any) -> np.ndarray:
        return np.concatenate([values[name] for name in self.names]).astype(np.float32)


def practised(demos: Path, seed: int, rate: float) -> dict[str, Any]:
    import torch
    from imitation.algorithms.bc import BC
    from imitation.policies.base import NormalizeFeaturesExtractor
    from imitation.util.logger import configure
    from imitation.util.networks import RunningNorm
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    first = FIRST_PRACTICE_SEED + seed * PRACTICE_SEEDS
    environments = DummyVecEnv(
        [partial(Lift, count(first + place, ENVIRONMENTS)) for place in range(ENVIRONMENTS)]
    )
    dataset = open_dataset(demos)
    names = environments.envs[0].names
    episodes = list(dataset.episodes(range(len(dataset))))
    states = [np.concatenate([each.observations[n] for n in names], -1) for each in episodes]
    demonstrations = shown(states, [each.actions for each in episodes])
    learner = PPO(
        "MlpPolicy",
        environments,
        batch_size=64,
        ent_coef=0.0,
        learning_rate=rate,
        gamma=0.95,
        n_epochs=5,
        n_steps=160,
        seed=seed,
        device="cpu",
        policy_kwargs={
            "features_extractor_class": NormalizeFeaturesExtractor,
            "features_extractor_kwargs": {"normalize_class": RunningNorm},
        },
    )
    logger = configure(demos.parent / "imitation", [])
    BC(
        observation_space=environments.observation_space,
        action_space=environments.action_space,
        rng=np.random.default_rng(seed),
        demonstrations=demonstrations,
        policy=learner.policy,
        custom_logger=logger,
        device="cpu",
    ).train(n_epochs=BC_EPOCHS, progress_bar=False)
    gail = trainer(
        learner, demonstrations, logger, batch=min(512, len(demonstrations)), capacity=2560
    )

    def successes(start: int, episodes: int) -> int:
        environment = Lift(count(start))
        found = 0
        for _ in range(episodes):
            observed, _ = environment.reset()
            over = False
            while not over:
                action, _ = learner.predict(observed, deterministic=True)
                observed, _, _, over, _ = environment.step(action)
            found += environment.succeeded
        environment._environment.close()
        return found

    cloned = successes(FIRST_EVALUATION_SEED, EPISODES)
    trials = [(0, successes(FIRST_TRIAL_SEED, TRIALS) / TRIALS)]

    def look(round_number: int) -> None:
        if round_number % 4 == 3:
            trials.append((learner.num_timesteps, successes(FIRST_TRIAL_SEED, TRIALS) / TRIALS))

    gail.train(LIFT.steps // gail.gen_train_timesteps * gail.gen_train_timesteps, look)
    return {
        "seed": seed,
        "learning_rate": rate,
        "cloned": cloned,
        "practised": successes(FIRST_EVALUATION_SEED, EPISODES),
        "episodes": EPISODES,
        "trials": trials,
        "best_trial": max(score for _, score in trials),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--to", type=Path, default=CHECKOUT / "runs" / "finetuning")
    arguments = parser.parse_args()
    sides = {}
    for rate in RATES:
        runs = []
        for seed in arguments.seeds:
            runs.append(practised(recorded(LIFT, seed, arguments.to), seed, rate))
            print(json.dumps(runs[-1]), flush=True)
        done = sum(run["practised"] for run in runs)
        episodes = EPISODES * len(runs)
        sides[f"PPO's learning rate {rate:g}"] = {
            "cloned": sum(run["cloned"] for run in runs),
            "practised": done,
            "episodes": episodes,
            "wilson_95": [round(bound, 4) for bound in wilson_interval(done, episodes)],
            "runs": runs,
        }
    kept = {"peer": "imitation 1.0.1", "control_steps": LIFT.steps, "sides": sides}
    (RESULTS / "imitation_on_lift.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
