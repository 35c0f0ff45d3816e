"""Windows of 2 frames of two 84×84 cameras a second: robolearn, a bare gather, and LeRobot.

    python benchmarks/image_windows.py [--episodes 60] [--rounds 5]

Windows are drawn at random in batches of 64. Each side is a process of its own; they take turns.

- robolearn: from its cache of decoded images; or decoded by threads when they are asked for, from
  JPEG and from lossless images.
- NumPy: all images in memory, ``images[rows[frames]]`` for each camera: the same bytes.
- LeRobot: ``LeRobotDataset`` with ``delta_timestamps``, images as video and as PNG, as bytes
  (``return_uint8``) where that spares it work, in a ``DataLoader`` without workers and with 2.

Writes benchmarks/results/image_windows.json and image_windows.png.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from demonstrations import LEROBOT_FPS, SIZE, demonstrations, write_lerobot
from sides import Side, compare, report, serve

FRAMES = 2
BATCH = 64
CAMERAS = ("observation.images.camera0", "observation.images.camera1")
SAMPLED = 40
LOST = 6.0
"""What JPEG and video may differ from the images on average, of 255."""


def robolearn(data: Path, form: str, *, cached: bool) -> Side:
    from robolearn.episodes.formats import open_dataset
    from robolearn.episodes.loading.image_cache import ImageCache
    from robolearn.episodes.loading.loader import Loader
    from robolearn.episodes.loading.sampling import WindowOrder
    from robolearn.episodes.loading.windows import Windows

    cache = ImageCache(data / "cache") if cached else None
    windows = Windows(open_dataset(data / form), CAMERAS, FRAMES, "all", cache=cache)
    loader = Loader(windows, WindowOrder(windows.lengths, BATCH, seed=0))

    def sample() -> np.ndarray:
        batch = windows.batch(torch.tensor([SAMPLED]))
        return np.stack([batch.observations[name][0].numpy() for name in CAMERAS])

    return Side(lambda: loader, BATCH, timed=600 if cached else 60, sample=sample)


def numpy(data: Path) -> Side:
    from robolearn.episodes.formats import open_dataset

    dataset = open_dataset(data / "lossless")
    episodes = list(dataset.episodes(range(len(dataset))))
    images = [np.concatenate([e.images[name][:] for e in episodes]) for name in CAMERAS]
    lengths = [len(episode) for episode in episodes]
    firsts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = np.maximum(np.arange(len(firsts))[:, None] + np.arange(1 - FRAMES, 1), firsts[:, None])

    def batches() -> Iterator[list[np.ndarray]]:
        random = np.random.default_rng(0)
        while True:
            order = random.permutation(len(rows))
            for first in range(0, len(order) - BATCH, BATCH):
                window = rows[order[first : first + BATCH]]
                yield [camera[window] for camera in images]

    def sample() -> np.ndarray:
        return np.stack([camera[rows[SAMPLED]] for camera in images])

    return Side(batches, BATCH, timed=600, sample=sample)


def lerobot(data: Path, form: str, workers: int) -> Side:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    torch.set_num_threads(1)  # what it computes is small: more threads only wait for each other
    times = [frame / LEROBOT_FPS for frame in range(1 - FRAMES, 1)]
    dataset = LeRobotDataset(
        "benchmark/lift",
        root=data / f"lerobot {form}",
        delta_timestamps=dict.fromkeys(CAMERAS, times),
        return_uint8=True,
    )

    def batches() -> Iterator[object]:
        loader = torch.utils.data.DataLoader(
            dataset, BATCH, shuffle=True, num_workers=workers, drop_last=True
        )
        while True:
            yield from loader

    def sample() -> np.ndarray:
        images = torch.stack([dataset[SAMPLED][name] for name in CAMERAS]).movedim(2, -1).numpy()
        return images if images.dtype == np.uint8 else images * 255

    # What decodes in a parent cannot be forked: with workers, no sample is taken.
    return Side(batches, BATCH, timed=8, ready=1, sample=None if workers else sample)


SIDES = {
    "robolearn, cached": lambda data: robolearn(data, "lossless", cached=True),
    "robolearn, decoding JPEG": lambda data: robolearn(data, "jpeg", cached=False),
    "robolearn, decoding lossless": lambda data: robolearn(data, "lossless", cached=False),
    "NumPy, from memory": numpy,
    **{
        f"LeRobot {form}, {workers or 'no'} workers": (
            lambda data, form=form, workers=workers: lerobot(data, form, workers)
        )
        for form in ("video", "images")
        for workers in (0, 2)
    },
}
GOALS = {
    "NumPy, from memory": 0.5,
    "LeRobot video, no workers": 50,
    "LeRobot video, 2 workers": 50,
}


def write(data: Path, episodes: int) -> None:
    from robolearn.episodes.formats import open_writer

    for images in ("lossless", "jpeg"):
        with open_writer(data / images, images=images) as writer:
            for episode in demonstrations(episodes, len(CAMERAS)):
                writer.add(episode)
    for form in ("video", "images"):
        chosen = demonstrations(episodes, len(CAMERAS))
        write_lerobot(data / f"lerobot {form}", chosen, video=form == "video")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        serve(lambda: SIDES[arguments.side](arguments.data))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or Path(folder)
        if not (data / "lossless").exists():
            data.mkdir(exist_ok=True)
            write(data, arguments.episodes)
        speeds = compare(Path(__file__), list(SIDES), data, arguments.rounds, LOST)
    report(
        "image_windows",
        f"Windows of {FRAMES} frames, two {SIZE}×{SIZE} cameras",
        speeds,
        "robolearn, cached",
        GOALS,
        {
            "episodes": arguments.episodes,
            "batch": BATCH,
            "images": "a textured square that wanders over a smooth background",
            "torch": torch.__version__,
            "lerobot": version("lerobot"),
            "video": "decoded by PyAV, LeRobot's choice where torchcodec finds no FFmpeg",
        },
    )


if __name__ == "__main__":
    main()
