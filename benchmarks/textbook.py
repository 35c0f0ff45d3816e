"""GAIL from scratch, as the textbooks have it: CartPole, REINFORCE, a categorical policy.

    python benchmarks/textbook.py [--seeds 5] [--episodes 50] [--processes 2] [--to runs/textbook]

An expert by DQN records ten demonstrations (`robolearn record --by dqn`); a policy that was trained
for a single step knows nothing; `robolearn finetune` lets it practise with no reward but what is
learnt from the demonstrations, and `robolearn evaluate` tries it on seeds that nothing was chosen
on. Each seed is a run of its own, from the same demonstrations.

Beside it stands GAIL of `imitation` 1.0.1, with PPO of Stable-Baselines3 and the settings of its
documentation, except that it collects 256 steps in each of 8 environments between updates instead
of 2048, so that it updates eight times as often. It has the same demonstrations and environment and
as many environment steps, to whole rounds (38,912; ours end with an iteration, after 40,000 or
more); its policy after the last of them is tried on the same seeds, ours as the trials chose it. It
refuses environments that end episodes early, as CartPole does, and is told to go on nevertheless:
what it then learns from is that episodes end. A control has robolearn's settings and a
discriminator that does not learn.

Needs robolearn[experts], and imitation in .peers, where `make test` puts it. What is done is kept
in --to: the same command goes on. Writes benchmarks/results/textbook.json and textbook.png.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
from peers_gail import shown, trainer
from sides import PEERS, RESULTS

from robolearn.cli.main import run as robolearn
from robolearn.control.seeds import FIRST_EVALUATION_SEED, FIRST_TRIAL_SEED
from robolearn.control.workers import available_cores
from robolearn.episodes.formats import open_dataset
from robolearn.learning.run import Run
from robolearn.learning.success import Evaluation

# Worker processes get the same path from multiprocessing.
sys.path.append(str(PEERS))

CHECKOUT = Path(__file__).parents[1]
TARGET = "sim:cartpole"
DEMONSTRATIONS = 10
STEPS = 40_000
TRIALS = 16
GOAL = 475.0
BOOTSTRAPS = 10_000

POLICY = (
    *("--steps", "1"),
    *("--policy.memory.history", "1"),
    *("--policy.memory.hidden", "64", "64"),
    *("--policy.memory.dropout", "0"),
    *("--policy.action.head", "categorical"),
)
PRACTICE = (
    *("--steps", str(STEPS)),
    *("--episodes", "8"),
    *("--warmup", "0"),
    *("--cloning", "0", "--cloning-at-end", "0"),
    *("--averaging", "100"),
    "--no-set-back",
    *("--validate-every", "3", "--validation-episodes", str(TRIALS)),
    *("--update.method", "reinforce"),
    *("--update.discount", "0.97"),
    *("--update.value-rate", "0.01"),
    *("--update.gradient.learning-rate", "0.01"),
    *("--reward.form", "logit"),
    *("--reward.discriminator.learning-rate", "0.001"),
)
NO_LEARNING = ("--reward.discriminator.learning-rate", "1e-12")

type Curve = list[tuple[int, float]]


def seconds_of_processor() -> float:
    """Of this process and all that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def timed(work: Callable[[], dict[str, object]], file: Path) -> dict[str, object]:
    """What the work gives and how long it took, from the file if it was done before."""
    if file.is_file():
        found: dict[str, object] = json.loads(file.read_text())
        return found
    began, used = time.perf_counter(), seconds_of_processor()
    found = work()
    found["seconds"] = round(time.perf_counter() - began, 1)
    found["processor_seconds"] = round(seconds_of_processor() - used, 1)
    file.write_text(json.dumps(found))
    return found


def command(*arguments: object) -> None:
    if status := robolearn(list(map(str, arguments))):
        raise SystemExit(status)


def recorded(folder: Path) -> dict[str, object]:
    shutil.rmtree(folder, ignore_errors=True)
    count = ["--episodes", DEMONSTRATIONS, "--processes", 1]
    command("record", TARGET, "--by", "dqn", "--to", folder, *count)
    dataset = open_dataset(folder)
    episodes = dataset.episodes(range(len(dataset)))
    return {"returns": [float(episode.rewards.sum()) for episode in episodes]}


def ours(demos: Path, folder: Path, options: Sequence[str], episodes: int, seed: int) -> dict:
    clone, practised = folder / f"scratch_{seed}", folder / f"practised_{seed}"
    for path in (clone, practised):
        shutil.rmtree(path, ignore_errors=True)
    command("train", demos, "--to", clone, "--seed", seed, *POLICY)
    where = ["--on", TARGET, "--processes", 1]
    command(
        *("finetune", clone, *where, "--demos", demos, "--to", practised, "--seed", seed),
        *(*PRACTICE, *options),
    )
    command("evaluate", practised, *where, "--episodes", episodes)
    rows = Run(practised).read_metrics()
    return {
        "seed": seed,
        "trials": [(row["step"], row["valid/return"]) for row in rows if "valid/return" in row],
        "returns": Evaluation.read(Run(practised).evaluation).returns,
    }


def peers(demos: Path, episodes: int, seed: int) -> dict:
    """GAIL of `imitation`."""
    import torch
    from imitation.util.logger import configure
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    dataset = open_dataset(demos)
    recorded_episodes = list(dataset.episodes(range(len(dataset))))
    demonstrations = shown(
        [episode.observations["observation.state"] for episode in recorded_episodes],
        [episode.actions[:, 0] for episode in recorded_episodes],
    )
    environments = DummyVecEnv([partial(gymnasium.make, "CartPole-v1")] * 8)
    environments.seed(seed)
    learner = PPO(
        "MlpPolicy",
        environments,
        batch_size=64,
        ent_coef=0.0,
        learning_rate=4e-4,
        gamma=0.95,
        n_epochs=5,
        n_steps=256,
        seed=seed,
        device="cpu",
    )
    gail = trainer(
        learner,
        demonstrations,
        configure(demos.parent / f"imitation_{seed}", []),
        batch=1024,
        capacity=512,
        variable_horizon=True,
    )

    def returns(first: int, count: int) -> list[float]:
        environment = gymnasium.make("CartPole-v1")
        found = []
        for at in range(first, first + count):
            observed, _ = environment.reset(seed=at)
            total, over = 0.0, False
            while not over:
                action, _ = learner.predict(observed, deterministic=True)
                observed, reward, terminated, truncated, _ = environment.step(int(action))
                total, over = total + float(reward), terminated or truncated
            found.append(total)
        return found

    trials = [(0, float(np.mean(returns(FIRST_TRIAL_SEED, TRIALS))))]

    def look(_: int) -> None:
        mean = float(np.mean(returns(FIRST_TRIAL_SEED, TRIALS)))
        trials.append((learner.num_timesteps, mean))

    gail.train(STEPS // gail.gen_train_timesteps * gail.gen_train_timesteps, look)
    return {
        "seed": seed,
        "trials": trials,
        "returns": returns(FIRST_EVALUATION_SEED, episodes),
    }


def steps_to(curve: Curve, goal: float) -> int | None:
    """Environment steps at the first trial with this mean return; None where it never was."""
    return next((step for step, score in curve if score >= goal), None)


def interval(runs: Sequence[Sequence[float]]) -> list[float]:
    """95 % of the mean, by bootstrap over runs and their episodes."""
    random = np.random.default_rng(0)
    table = np.array(runs)
    count, episodes = table.shape
    means = [
        table[chosen[:, None], random.integers(episodes, size=(count, episodes))].mean()
        for chosen in random.integers(count, size=(BOOTSTRAPS, count))
    ]
    return [round(float(bound), 1) for bound in np.percentile(means, [2.5, 97.5])]


def summary(runs: list[dict]) -> dict[str, object]:
    returns = [run["returns"] for run in runs]
    return {
        "mean_return": round(float(np.mean(returns)), 1),
        "bootstrap_95": interval(returns),
        "least_mean_of_a_seed": round(min(float(np.mean(each)) for each in returns), 1),
        "steps_to_goal": [steps_to(run["trials"], GOAL) for run in runs],
        "processor_seconds": [run["processor_seconds"] for run in runs],
        "runs": runs,
    }


def keep(expert: dict, sides: dict[str, list[dict]], seconds: float | None) -> None:
    """What is known so far, as JSON and a picture; seconds are of the textbook run, if known."""
    found = {name: summary(runs) for name, runs in sides.items()}
    mine = sides["robolearn"]
    results = {
        "machine": {"cores": available_cores(), "system": platform.platform()},
        "goal": GOAL,
        "environment_steps": STEPS,
        "policy": POLICY,
        "practice": PRACTICE,
        "expert": expert,
        "textbook_run_processor_seconds": round(
            expert["processor_seconds"] + sum(run["processor_seconds"] for run in mine), 1
        ),
        "textbook_run_seconds": seconds and round(seconds, 1),
        "sides": found,
    }
    (RESULTS / "textbook.json").write_text(json.dumps(results, indent=1) + "\n")
    figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for (name, runs), colour in zip(sides.items(), ("C0", "C1", "0.6"), strict=False):
        for run in runs:
            steps, scores = np.array(run["trials"]).T
            label = name if run is runs[0] else None
            axes.plot(steps / 1000, scores, color=colour, alpha=0.7, label=label)
    axes.axhline(float(np.mean(expert["returns"])), linestyle=":", color="black", label="expert")
    axes.axhline(GOAL, linestyle="--", linewidth=0.7, color="black", label="goal")
    axes.set(xlabel="thousand environment steps", ylabel=f"mean return of {TRIALS} trials")
    axes.set(xlim=(0, STEPS / 1000 * 1.15), ylim=(0, 515))
    axes.legend(fontsize="small", loc="lower right")
    figure.savefig(RESULTS / "textbook.png", dpi=110)
    plt.close(figure)
    for name, of in found.items():
        print(
            f"{name}: mean return {of['mean_return']}, 95 % {of['bootstrap_95']}, steps to "
            f"{GOAL:g}: {of['steps_to_goal']}, processor seconds {of['processor_seconds']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--processes", type=int, default=available_cores(), help="runs at once")
    parser.add_argument("--to", type=Path, default=CHECKOUT / "runs" / "textbook")
    arguments = parser.parse_args()
    try:
        import imitation  # noqa: F401
    except ImportError as error:
        raise SystemExit(
            f"imitation is missing ({error}): `make test` puts it into .peers"
        ) from error
    os.environ["OMP_NUM_THREADS"] = "1"
    root, demos, episodes = arguments.to, arguments.to / "demonstrations", arguments.episodes
    root.mkdir(parents=True, exist_ok=True)
    control = root / "control"
    control.mkdir(exist_ok=True)
    work = {
        "robolearn": (partial(ours, demos, root, (), episodes), range(arguments.seeds)),
        "imitation": (partial(peers, demos, episodes), range(arguments.seeds)),
        "robolearn, discriminator that does not learn": (
            partial(ours, demos, control, NO_LEARNING, episodes),
            range(1),
        ),
    }
    is_new, seconds = not (root / "expert.json").is_file(), None
    began = time.perf_counter()
    spawning = multiprocessing.get_context("spawn")
    sides: dict[str, list[dict]] = {}
    with ProcessPoolExecutor(arguments.processes, spawning) as pool:
        expert = pool.submit(timed, partial(recorded, demos), root / "expert.json").result()
        for place, (name, (learn, seeds)) in enumerate(work.items()):
            jobs = [
                pool.submit(timed, partial(learn, seed), root / f"side_{place}_{seed}.json")
                for seed in seeds
            ]
            sides[name] = [job.result() for job in jobs]
            if is_new and not place:
                seconds = time.perf_counter() - began
            keep(expert, sides, seconds)


if __name__ == "__main__":
    main()
