"""A dataset of ten thousand episodes: how long it takes to open, and what adding one more costs.

    python benchmarks/index.py [--episodes 10000]

The episodes are the first of ``datasets/lift``, under ten thousand names. Opening is measured in a
process of its own, from the import of the reader to the length, split and success of every episode;
in turn with it, robomimic's way: its index is opened and the length of every episode is read.
Adding is measured at 10, 100, ... episodes: everything that makes an episode part of the dataset
but the writing of its file.

Writes benchmarks/results/index.json and index.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt

from robolearn.episodes.formats.folder import FolderDataset, FolderWriter, episode_path

RESULTS = Path(__file__).parent / "results"
SOURCE = Path(__file__).parents[1] / "datasets" / "lift"
ROUNDS = 5
ADDED = 200

OPEN = """
import sys, time
from pathlib import Path
began = time.perf_counter()
from robolearn.episodes.formats import open_dataset
imported = time.perf_counter()
dataset = open_dataset(Path(sys.argv[1]))
frames = sum(summary.frames for summary in dataset.summaries)
successes = sum(bool(summary.success) for summary in dataset.summaries)
split = len(dataset.split("train")), len(dataset.split("valid"))
context = dataset.context
print(time.perf_counter() - imported, time.perf_counter() - began)
"""
OPEN_AS_ROBOMIMIC = """
import sys, time
import h5py
began = time.perf_counter()
with h5py.File(sys.argv[1] + "/index.hdf5") as file:
    frames = sum(file["data"][name].attrs["num_samples"] for name in file["data"])
    split = len(file["mask/train"][:]), len(file["mask/valid"][:])
print(time.perf_counter() - began, time.perf_counter() - began)
"""


def opened(program: str, dataset: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", program, str(dataset)], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.split()
    return float(first), float(second)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=10_000)
    arguments = parser.parse_args()
    source = FolderDataset(SOURCE)
    file, labels = episode_path(SOURCE, 0), source.summaries[0]
    adding: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        dataset = Path(folder)
        with FolderWriter(dataset) as writer:
            sizes = [size for size in (10, 100, 1000, arguments.episodes - ADDED) if size > 0]
            for size in sizes:
                while len(writer) < size:
                    writer.add_file(file, labels)
                began = time.perf_counter()
                for _ in range(ADDED):
                    writer.add_file(file, labels)
                adding[size] = 1000 * (time.perf_counter() - began) / ADDED
        ours, with_imports, peers = [], [], []
        for _ in range(ROUNDS):
            first, second = opened(OPEN, dataset)
            ours.append(first)
            with_imports.append(second)
            peers.append(opened(OPEN_AS_ROBOMIMIC, dataset)[0])
    result = {
        "episodes": arguments.episodes,
        "open_s": round(statistics.median(ours), 3),
        "open_with_imports_s": round(statistics.median(with_imports), 3),
        "open_as_robomimic_s": round(statistics.median(peers), 3),
        "add_ms_at": {size: round(spent, 2) for size, spent in adding.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "index.json").write_text(json.dumps(result, indent=2))
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(list(adding), list(adding.values()), "o-")
    axes.set_xscale("log")
    axes.set_ylim(0)
    axes.set_xlabel("episodes in the dataset")
    axes.set_ylabel(f"ms to add one, mean of {ADDED}")
    figure.savefig(RESULTS / "index.png", dpi=110)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
