"""Policies cloned from human demonstrations of PushT: how much of the mark the T covers at best.

    python benchmarks/pusht.py [--data FOLDER] [--heads mixture flow flow-mirrored]
                               [--seeds 3] [--episodes 50]

A disc pushes a T-shaped block onto its mark, in an environment with contacts, by 206 demonstrations
that people gave for Diffusion Policy (Chi et al. 2023). FOLDER holds their replay buffer,
``pusht_cchi_v7_replay.zarr``; where none is named, ../shared/data/pusht beside the checkout.
Needs gym-pusht in .peers, where `make test` puts it.

The policy sees the eight corners of the T and where the disc is, as Diffusion Policy does with
states. An episode of 300 steps counts as the greatest reward of its steps, min(coverage / 0.95, 1).
The task is its own mirror image in the T's axis on its mark: x' = 512 - y, y' = 512 - x. What is
called mirrored was trained on each demonstration and its mirror image, which the environment acts
out as exactly as the demonstration.

Each head is trained with several seeds on all demonstrations. The moving average of the weights
after the last step is tried on seeds of `robolearn evaluate`: others for each policy, the same for
each head. Settings were chosen on further seeds.

What is done is kept in --to: broken off, the same command goes on, in the middle of a training,
too. Writes benchmarks/results/pusht.json and pusht.png, in which heads that are not named stay as
they are, if they were trained on these demonstrations with the settings of today.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
from pydantic import TypeAdapter, ValidationError
from sides import PEERS, RESULTS

from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.control.workers import available_cores
from robolearn.environments.gymnasium_task import GymnasiumTask
from robolearn.environments.targets import load_target, make_environment
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION, STATE
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.folders import write_file
from robolearn.learning.cloning import clone
from robolearn.learning.config import CloningConfig
from robolearn.learning.evaluation import evaluate
from robolearn.learning.run import Run
from robolearn.learning.success import Evaluation, wilson_interval
from robolearn.policies.action_heads.config import ActionHeadConfig, FlowConfig
from robolearn.policies.config import ActionChoice, PolicyConfig
from robolearn.policies.memory.config import MemoryConfig

# Worker processes get the same path from multiprocessing.
sys.path.append(str(PEERS))

TARGET = "sim:pusht"
CHECKOUT = Path(__file__).parents[1]
DATA = CHECKOUT.parent / "shared/data/pusht"
BUFFER = "pusht_cchi_v7_replay.zarr"
TOLERANCE = 1e-2
"""Pixels, of a usual demonstration. States are stored in single precision, and contacts make more
of the first one's rounding; few end further away."""
SIDE = 512
"""Pixels of the square in which all is."""
BOOTSTRAPS = 10_000
REPORT = RESULTS / "pusht.json"
PUBLISHED = {
    "LSTM-GMM (published)": 0.67,
    "BET (published)": 0.79,
    "IBC (published)": 0.90,
    "Diffusion Policy (published)": 0.95,
}
"""With states, best of the checkpoints (Chi et al. 2023, table 1)."""


class World:
    """The environment, put into the states of the demonstrations."""

    def __init__(self, task: GymnasiumTask) -> None:
        registered = task.gymnasium
        environment = make_environment(task)
        self.context: EpisodeContext = environment.context
        environment.close()
        self._env = gymnasium.make(registered.id, **registered.options).unwrapped
        self.reset()

    def reset(self) -> None:
        """Make disc and T anew: a world remembers what touched what."""
        self._env.reset(seed=0)

    def put(self, state: np.ndarray) -> None:
        """Put disc and T where they were.

        Args:
            state: (5,) x, y of the disc, x, y (pixels) and angle (rad) of the T.
        """
        disc, block = self._env.agent, self._env.block
        disc.position, disc.velocity = state[:2].tolist(), (0.0, 0.0)
        block.velocity, block.angular_velocity = (0.0, 0.0), 0.0
        block.angle = float(state[4])  # first: it turns the T about its centre of mass
        block.position = state[2:4].tolist()

    def act(self, action: np.ndarray) -> None:
        self._env.step(action)

    @property
    def state(self) -> np.ndarray:
        """(5,) as `put` takes it."""
        disc, block = self._env.agent, self._env.block
        return np.array([*disc.position, *block.position, block.angle])

    @property
    def observed(self) -> dict[str, np.ndarray]:
        """By feature name, as a policy sees it."""
        return {f"{STATE}.{key}": value for key, value in self._env.get_obs().items()}

    @property
    def reward(self) -> float:
        return min(self._env._get_coverage() / self._env.success_threshold, 1.0)


def demonstration(world: World, states: np.ndarray, actions: np.ndarray) -> tuple[Episode, float]:
    """An episode as it would have been recorded from the environment.

    What came of the last action was not stored: rewards are of the demonstration acted out again.

    Args:
        world: to act it out in.
        states: (T, 5).
        actions: (T, 2).

    Returns:
        The episode, and how far from where they were disc or T came at most, pixels.
    """
    world.reset()
    world.put(states[0])
    rewards, reached = [], []
    for action in actions:
        world.act(action)
        rewards.append(world.reward)
        reached.append(world.state)
    off = np.abs(np.array(reached)[:-1] - states[1:])[:, :4].max()
    seen = []
    for state in states:
        world.put(state)
        seen.append(world.observed)
    context = world.context
    actions = context.action.limited(actions)
    clock = np.arange(len(actions)) / context.rate
    success = np.array(rewards) >= 1
    episode = Episode(
        context=context,
        observations={
            name: np.stack([frame[name] for frame in seen]).astype(feature.dtype)
            for name, feature in context.features.items()
        },
        actions=actions,
        actions_asked=actions,
        rewards=np.array(rewards, np.float32),
        success=success,
        interventions=np.zeros(len(actions), bool),
        time=clock,
        timestamps=dict.fromkeys((*context.features, ACTION), clock),
        outcome=Outcome(len(actions), bool(success.any()), bool(success[-1]), "horizon"),
        agent="human",
        recorded_at=None,
    )
    return episode, float(off)


def mirrored(states: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What happened, seen in the axis of the T on its mark, which is x + y = 512.

    Args:
        states: (T, 5) as `World.put` takes them.
        actions: (T, 2) pixels.
    """
    places = SIDE - states[:, [1, 0, 3, 2]]
    return np.column_stack([places, np.pi / 2 - states[:, 4]]), SIDE - actions[:, ::-1]


def convert(data: Path, task: GymnasiumTask, out: Path, *, with_mirrored: bool) -> None:
    """Write the demonstrations as a dataset of robolearn, none of them kept back for validation.

    Args:
        data: folder of the replay buffer.
        task: the environment.
        out: folder of the dataset.
        with_mirrored: each is followed by its mirror image.

    Raises:
        SystemExit: acted out again, half of them go elsewhere than they went.
    """
    buffer = open_dataset(data / BUFFER)
    world = World(task)
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    offs = []
    with FolderWriter(unfinished) as writer:
        for recorded in buffer.episodes(range(len(buffer))):
            moves = [(recorded.observations[STATE].astype(np.float64), recorded.actions)]
            if with_mirrored:
                moves.append(mirrored(*moves[0]))
            for states, actions in moves:
                episode, off = demonstration(world, states, actions)
                writer.add(episode, valid=False)
                offs.append(off)
    if np.median(offs) > TOLERANCE:
        raise SystemExit(f"gym-pusht is another: demonstrations end {np.median(offs):.3g} px away")
    unfinished.rename(out)


@dataclass(frozen=True)
class Setting:
    """How a head is trained and run.

    Attributes:
        config: of the training.
        actions: which of the possible ones are carried out.
        mirrored: trained on mirror images of the demonstrations, too.
    """

    config: CloningConfig
    actions: ActionChoice
    mirrored: bool = False


def settings() -> dict[str, Setting]:
    """What is compared, by the name of its head."""
    chunks = PolicyConfig(horizon=16, execute=8)
    mixture = replace(
        chunks,
        memory=MemoryConfig(history=2, hidden=(512, 512), dropout=0.1),
        action=ActionHeadConfig(head="mixture"),
    )
    flow = replace(
        chunks,
        memory=MemoryConfig(history=2, hidden=(512,), dropout=0.0),
        action=ActionHeadConfig(head="flow", flow=FlowConfig(width=256)),
    )
    return {
        "mixture": Setting(CloningConfig(mixture, steps=5000, average=0.995), "mode"),
        "flow": Setting(CloningConfig(flow, steps=18000, batch=128, average=0.999), "sample"),
        "flow-mirrored": Setting(
            CloningConfig(flow, steps=36000, batch=256, average=0.999, precision="bfloat16"),
            "sample",
            mirrored=True,
        ),
    }


class Stopwatch:
    """Seconds of a training, added up over all its parts where it was broken off.

    Args:
        path: of the file in which they are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        before = json.loads(path.read_text()) if path.exists() else {}
        self._wall = before.get("wall_s", 0.0) - time.perf_counter()
        self._processor = before.get("processor_s", 0.0) - time.process_time()

    def __call__(self, step: int, steps: int, text: str) -> None:
        """As training calls its progress."""
        seconds = {
            "wall_s": round(self._wall + time.perf_counter(), 1),
            "processor_s": round(self._processor + time.process_time(), 1),
            "cores": available_cores(),
        }
        write_file(self._path, json.dumps(seconds))
        if step % 1000 == 0:
            print(f"  step {step} of {steps}, {text}, {seconds['wall_s']:.0f} s", flush=True)


def outcome(
    setting: Setting, dataset: Dataset, folder: Path, first_seed: int, episodes: int, processes: int
) -> dict[str, object]:
    """Train and try one policy, or as much of that as is not done yet."""
    with Run.train(folder, setting.config, dataset, resume=Run(folder).config.is_file()) as run:
        watch = folder / "seconds.json"
        clone(dataset, run, setting.config, Stopwatch(watch))
        seeds = tuple(range(first_seed, first_seed + episodes))
        if not run.evaluation.is_file() or Evaluation.read(run.evaluation).seeds != seeds:
            shutil.rmtree(run.unfinished_evaluation, ignore_errors=True)
            with FolderWriter(run.unfinished_evaluation) as record:
                evaluation = evaluate(
                    folder,
                    load_target(TARGET),
                    TARGET,
                    episodes,
                    first_seed,
                    processes,
                    record,
                    lambda *_: None,
                    setting.actions,
                )
            shutil.rmtree(run.evaluation_episodes, ignore_errors=True)
            run.unfinished_evaluation.rename(run.evaluation_episodes)
            evaluation.write(run.evaluation)
        evaluation = Evaluation.read(run.evaluation)
    return {
        "seed": setting.config.seed,
        "training": json.loads(watch.read_text()),
        "evaluation_seeds": [seeds[0], seeds[-1]],
        "mean_greatest_reward": round(float(np.mean(evaluation.greatest_rewards)), 4),
        "successes": sum(evaluation.successes),
        "greatest_rewards": [round(reward, 4) for reward in evaluation.greatest_rewards],
    }


def interval(rewards: list[list[float]]) -> list[float]:
    """Of the mean, 95 %, by bootstrap: policies are drawn, then episodes of each (Davison & Hinkley
    1997, section 3.8).

    Args:
        rewards: of each policy's episodes.
    """
    random = np.random.default_rng(0)
    table = np.array(rewards)
    policies, episodes = table.shape
    drawn = random.integers(policies, size=(BOOTSTRAPS, policies, 1))
    means = table[drawn, random.integers(episodes, size=(BOOTSTRAPS, policies, episodes))]
    low, high = np.quantile(means.mean((1, 2)), [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def summary(setting: Setting, runs: list[dict[str, object]]) -> dict[str, object]:
    """Of all policies of a head that are done."""
    rewards = [run["greatest_rewards"] for run in runs]
    successes = sum(run["successes"] for run in runs)
    episodes = sum(map(len, rewards))
    return {
        "mean_greatest_reward": round(float(np.mean(rewards)), 4),
        "bootstrap_95": interval(rewards),
        "policies": len(runs),
        "episodes": episodes,
        "successes": successes,
        "wilson_95": [round(bound, 4) for bound in wilson_interval(successes, episodes)],
        "actions": setting.actions,
        "mirrored": setting.mirrored,
        "config": asdict(setting.config) | {"seed": "as below"},
        "runs": runs,
    }


def is_of(setting: Setting, results: dict[str, object]) -> bool:
    """Whether a `summary` is of this setting; what was no option yet had its default."""
    config = results["config"] | {"seed": setting.config.seed}
    try:
        config = TypeAdapter(CloningConfig).validate_python(config)
    except ValidationError:
        return False
    return Setting(config, results["actions"], results.get("mirrored", False)) == setting


def written(
    others: dict[str, Setting], demonstrations: dict[str, object]
) -> dict[str, dict[str, object]]:
    """What is known of heads that are left alone.

    Args:
        others: these heads.
        demonstrations: as they are written down; results of other ones are of no use.
    """
    before = json.loads(REPORT.read_text()) if REPORT.is_file() else {}
    if before.get("demonstrations") != demonstrations:
        return {}
    return {
        head: results
        for head, results in before["heads"].items()
        if head in others and is_of(others[head], results)
    }


def described_demonstrations(greatest_rewards: list[float]) -> dict[str, object]:
    """Demonstrations as they are written down."""
    return {
        "episodes": len(greatest_rewards),
        "mean_greatest_reward": round(float(np.mean(greatest_rewards)), 4),
    }


def main() -> None:
    compared = settings()
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--to", type=Path, default=CHECKOUT / "runs/pusht")
    parser.add_argument("--heads", nargs="+", choices=compared, default=list(compared))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--processes", type=int, default=available_cores())
    arguments = parser.parse_args()
    if not (arguments.data / BUFFER).is_dir():
        raise SystemExit(f"{arguments.data} has no {BUFFER}: name its folder with --data")
    try:
        import gym_pusht  # noqa: F401
    except ImportError as error:
        raise SystemExit(
            f"gym-pusht is missing ({error}): `make test` puts it into .peers"
        ) from error
    arguments.to.mkdir(parents=True, exist_ok=True)

    def demonstrations(name: str, *, with_mirrored: bool) -> Dataset:
        folder = arguments.to / name
        if not folder.is_dir():
            convert(arguments.data, load_target(TARGET), folder, with_mirrored=with_mirrored)
        return open_dataset(folder)

    dataset = demonstrations("demonstrations", with_mirrored=False)
    best = [episode.rewards.max() for episode in dataset.episodes(range(len(dataset)))]
    others = {head: of for head, of in compared.items() if head not in arguments.heads}
    done = written(others, described_demonstrations(best))
    for head in arguments.heads:
        seen = dataset
        if compared[head].mirrored:
            seen = demonstrations("demonstrations_and_mirrored", with_mirrored=True)
        runs: list[dict[str, object]] = []
        for seed in range(arguments.seeds):
            setting = replace(compared[head], config=replace(compared[head].config, seed=seed))
            first = FIRST_EVALUATION_SEED + seed * arguments.episodes
            print(f"{head}, seed {seed}", flush=True)
            folder = arguments.to / f"{head}_{seed}"
            runs.append(
                outcome(setting, seen, folder, first, arguments.episodes, arguments.processes)
            )
            done[head] = summary(setting, runs)
            print(f"  {runs[-1]['mean_greatest_reward']}, {runs[-1]['training']}", flush=True)
            write(done, best)


def write(heads: dict[str, dict[str, object]], demonstrated: list[float]) -> None:
    """What is known so far, as JSON and a picture."""
    results = {
        "machine": {"cores": available_cores(), "system": platform.platform()},
        "demonstrations": described_demonstrations(demonstrated),
        "published_best_checkpoint": PUBLISHED,
        "heads": heads,
    }
    RESULTS.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(results, indent=2) + "\n")
    figure, (bars, curves) = plt.subplots(1, 2, figsize=(11, 3.2), layout="constrained")
    names = [*PUBLISHED, *heads]
    means = [*PUBLISHED.values(), *(of["mean_greatest_reward"] for of in heads.values())]
    colours = ["C7"] * len(PUBLISHED) + [f"C{place}" for place in range(len(heads))]
    bars.barh(names, means, color=colours)
    for place, (head, of) in enumerate(heads.items()):
        low, high = of["bootstrap_95"]
        mean = of["mean_greatest_reward"]
        bars.errorbar(mean, head, xerr=[[mean - low], [high - mean]], color="black", capsize=3)
        rewards = np.sort(np.ravel([run["greatest_rewards"] for run in of["runs"]]))
        curves.ecdf(rewards, color=f"C{place}", label=f"{head}, {of['episodes']} episodes")
    curves.ecdf(demonstrated, color="black", linestyle=":", label="demonstrations")
    bars.axvline(float(np.mean(demonstrated)), linestyle=":", color="black")
    bars.invert_yaxis()
    bars.set(xlim=(0, 1), xlabel="mean greatest reward (dotted: the demonstrations)")
    curves.set(
        xlim=(0, 1), xlabel="greatest reward of an episode", ylabel="share of episodes below"
    )
    curves.legend(fontsize="small", loc="upper left")
    figure.savefig(RESULTS / "pusht.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
