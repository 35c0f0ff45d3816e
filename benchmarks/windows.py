"""Windows of 10 frames a second: robolearn, a bare gather, robomimic and LeRobot on one dataset.

    python benchmarks/windows.py [--episodes 200] [--rounds 7]

A window is 10 frames of observations (5 vectors, 26 numbers) and of actions (7), drawn at random in
batches of 256. Each side is a process of its own; they take turns. robolearn's side is the whole of
it: the order of the epoch, the masks, the padding.

- torch: frames as a float32 matrix for each key, or one in all, and ``matrix[rows[frames]]``;
  with 2 threads, as torch does by itself here, and with 1, which other programs disturb less.
- robomimic: ``SequenceDataset`` with ``hdf5_cache_mode="all"`` in a ``DataLoader``.
- LeRobot: ``LeRobotDataset`` with ``delta_timestamps`` for state and action in a ``DataLoader``;
  without a camera, and with one 84×84 camera as images and as video, which LeRobot reads with each
  frame whether it is asked for or not.

Peers are timed without workers and with 2. Needs robomimic in .peers. Writes
benchmarks/results/windows.json and windows.png.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from demonstrations import LEROBOT_FPS, demonstrations, write_lerobot
from sides import Side, compare, report, serve

FRAMES = 10
BATCH = 256
SAMPLED = 40
"""The frame at which the window ends that all sides must agree on; in the first episode."""
KEYS = {
    "observation.state.robot0_eef_pos": "robot0_eef_pos",
    "observation.state.robot0_eef_quat": "robot0_eef_quat",
    "observation.state.robot0_gripper_qpos": "robot0_gripper_qpos",
    "observation.state.robot0_joint_pos": "robot0_joint_pos",
    "observation.environment_state": "object",
}
"""All observations, by robolearn's name and by robomimic's."""
LEROBOT_FORMS = ("no camera", "images", "video")


def robolearn(data: Path) -> Side:
    from robolearn.episodes.formats import open_dataset
    from robolearn.episodes.loading.loader import Loader
    from robolearn.episodes.loading.sampling import WindowOrder
    from robolearn.episodes.loading.windows import Windows

    dataset = open_dataset(data / "demos.hdf5")
    windows = Windows(dataset, tuple(KEYS), FRAMES, "all", past_actions=FRAMES - 1)
    loader = Loader(windows, WindowOrder(windows.lengths, BATCH, seed=0))

    def sample() -> torch.Tensor:
        batch = windows.batch(torch.tensor([SAMPLED]))
        actions = torch.cat([batch.past_actions, batch.actions], dim=1)
        return torch.cat([*(batch.observations[name] for name in KEYS), actions], dim=2)[0]

    return Side(lambda: loader, BATCH, timed=4000, sample=sample)


def bare_gather(data: Path, *, one_matrix: bool, threads: int) -> Side:
    from robolearn.episodes.formats import open_dataset

    torch.set_num_threads(threads)
    dataset = open_dataset(data / "demos.hdf5")
    episodes = list(dataset.episodes(range(len(dataset))))
    parts = [
        torch.from_numpy(np.concatenate([episode.observations[name] for episode in episodes]))
        for name in KEYS
    ]
    parts.append(torch.from_numpy(np.concatenate([episode.actions for episode in episodes])))
    if one_matrix:
        parts = [torch.cat(parts, dim=1)]
    lengths = [len(episode) for episode in episodes]
    firsts = torch.from_numpy(np.repeat(np.cumsum(lengths) - lengths, lengths))
    frames = torch.arange(len(firsts))
    rows = torch.maximum(frames[:, None] + torch.arange(1 - FRAMES, 1), firsts[:, None])

    def batches() -> Iterator[list[torch.Tensor]]:
        while True:
            for drawn in torch.randperm(len(rows)).split(BATCH)[:-1]:
                window = rows[drawn]
                yield [part[window] for part in parts]

    def sample() -> torch.Tensor:
        return torch.cat([part[rows[SAMPLED]] for part in parts], dim=1)

    return Side(batches, BATCH, timed=2000, sample=sample)


def robomimic(data: Path, workers: int) -> Side:
    import robomimic.utils.obs_utils as obs_utils
    from robomimic.utils.dataset import SequenceDataset

    keys = list(KEYS.values())
    obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": keys, "rgb": []}})
    dataset = SequenceDataset(
        hdf5_path=str(data / "demos.hdf5"),
        obs_keys=keys,
        dataset_keys=["actions"],
        load_next_obs=False,
        frame_stack=1,
        seq_length=FRAMES,
        pad_seq_length=True,
        hdf5_cache_mode="all",
    )

    def sample() -> np.ndarray:
        window = dataset[SAMPLED - FRAMES + 1]
        return np.concatenate([*(window["obs"][key] for key in keys), window["actions"]], axis=1)

    return Side(_loaded(dataset, workers), BATCH, timed=40, sample=sample)


def lerobot(data: Path, form: str, workers: int) -> Side:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    torch.set_num_threads(1)  # what it computes is small: more threads only wait for each other
    times = [frame / LEROBOT_FPS for frame in range(1 - FRAMES, 1)]
    dataset = LeRobotDataset(
        "benchmark/lift",
        root=data / f"lerobot {form}",
        delta_timestamps={"observation.state": times, "action": times},
    )

    def sample() -> torch.Tensor:
        window = dataset[SAMPLED]
        return torch.cat([window["observation.state"], window["action"]], dim=1)

    # What decodes in a parent cannot be forked: with workers, no sample is taken.
    return Side(
        _loaded(dataset, workers), BATCH, timed=4, ready=1, sample=None if workers else sample
    )


def _loaded(dataset: torch.utils.data.Dataset[object], workers: int):
    def batches() -> Iterator[object]:
        loader = torch.utils.data.DataLoader(
            dataset, BATCH, shuffle=True, num_workers=workers, drop_last=True
        )
        while True:
            yield from loader

    return batches


SIDES = {
    "robolearn": robolearn,
    **{
        f"torch, a matrix {'in all' if one_matrix else 'a key'}, threads: {threads}": (
            lambda data, one_matrix=one_matrix, threads=threads: bare_gather(
                data, one_matrix=one_matrix, threads=threads
            )
        )
        for one_matrix in (False, True)
        for threads in (2, 1)
    },
    "robomimic, no workers": lambda data: robomimic(data, 0),
    "robomimic, 2 workers": lambda data: robomimic(data, 2),
    **{
        f"LeRobot {form}, {workers or 'no'} workers": (
            lambda data, form=form, workers=workers: lerobot(data, form, workers)
        )
        for form in LEROBOT_FORMS
        for workers in (0, 2)
    },
}
GOALS = {
    **{name: 0.8 for name in SIDES if name.startswith("torch")},
    "robomimic, no workers": 25,
    "LeRobot images, no workers": 500,
    "LeRobot images, 2 workers": 500,
    "LeRobot video, no workers": 500,
    "LeRobot video, 2 workers": 500,
}


def write(data: Path, episodes: int) -> None:
    from robolearn.episodes.formats import open_writer

    with open_writer(data / "demos.hdf5") as writer:
        for episode in demonstrations(episodes):
            writer.add(episode)
    for form in LEROBOT_FORMS:
        cameras = int(form != "no camera")
        chosen = demonstrations(episodes, cameras)
        write_lerobot(data / f"lerobot {form}", chosen, video=form == "video")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        serve(lambda: SIDES[arguments.side](arguments.data))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or Path(folder)
        if not (data / "demos.hdf5").exists():
            data.mkdir(exist_ok=True)
            write(data, arguments.episodes)
        speeds = compare(Path(__file__), list(SIDES), data, arguments.rounds)
    report(
        "windows",
        f"Windows of {FRAMES} frames",
        speeds,
        "robolearn",
        GOALS,
        {
            "episodes": arguments.episodes,
            "batch": BATCH,
            "torch": torch.__version__,
            "lerobot": version("lerobot"),
            "video": "decoded by PyAV, LeRobot's choice where torchcodec finds no FFmpeg",
        },
    )


if __name__ == "__main__":
    main()
