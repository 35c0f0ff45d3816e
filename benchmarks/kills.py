"""Kill a recording at random moments, and look for what is lost.

    python benchmarks/kills.py [--kills 1000] [--seed 0]

Each trial records episodes into one dataset, in a process that is killed (SIGKILL) after a random
time: in the middle of frames, of keeping an episode, of writing an index. Every number of a frame
follows from its episode and its place, so that an altered frame is seen. Counted are episodes that
were kept and are not there or not the same, and frames that were handed to the recorder more than a
second before the kill and are not recovered.

Writes benchmarks/results/kills.json and kills.png.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step
from robolearn.episodes.recorder import Recorder

RESULTS = Path(__file__).parent / "results"
RATE = 100.0
STEPS = 15
LONGEST = 0.5
"""Seconds until a kill; an episode takes 0.15 s and a moment to be kept."""
TOLD = struct.Struct("<cdd")
STATE, CAMERAS = "observation.state.count", ("observation.images.a", "observation.images.b")
CONTEXT = EpisodeContext(
    features={
        STATE: Feature("float64", (6,)),
        **{c: Feature("uint8", (48, 64, 3)) for c in CAMERAS},
    },
    action=ActionFeature("float32", (2,), ("x", "y"), (-1e9, -1e9), (1e9, 1e9)),
    task="count",
    rate=RATE,
)


def observation(identity: float, frame: int) -> Observation:
    values = {STATE: np.full(6, identity + frame)}
    values |= {camera: np.full((48, 64, 3), frame, np.uint8) for camera in CAMERAS}
    return Observation(values, dict.fromkeys(values, time.monotonic()), frame / RATE)


def record(dataset: Path, identity: float, told: int) -> None:
    """Record episodes until killed; say through a pipe what was handed over and kept."""
    with FolderWriter(dataset) as writer:
        while True:
            identity += 1000
            recorder = Recorder(writer.journal(), "benchmark")
            recorder.on_reset(CONTEXT)
            now = observation(identity, 0)
            for frame in range(STEPS):
                time.sleep(1 / RATE)
                action = np.full(2, frame, np.float32)
                after = observation(identity, frame + 1)
                recorder.on_step(Step(frame, now, action, action, time.monotonic(), after))
                now = after
                os.write(told, TOLD.pack(b"f", identity, time.monotonic()))
            recorder.on_end(Outcome(STEPS, None, None, "horizon"))
            recorder.keep(writer)
            os.write(told, TOLD.pack(b"k", identity, time.monotonic()))


def identity_of(episode: Episode) -> float:
    """Which episode it is; raises where one of its frames is not as it was recorded."""
    frames = np.arange(len(episode))
    identity = float(episode.observations[STATE][0, 0])
    expected = np.repeat(identity + frames, 6).reshape(-1, 6)
    np.testing.assert_array_equal(episode.observations[STATE], expected)
    np.testing.assert_array_equal(episode.actions[:, 0], frames)
    for camera in CAMERAS:
        images = episode.images[camera][:]
        np.testing.assert_array_equal(
            images, np.broadcast_to(frames[:, None, None, None], images.shape)
        )
    return identity


def trial(
    dataset: Path, identity: float, seconds: float
) -> tuple[list[tuple[bytes, float, float]], float]:
    """Record in a child for a while and kill it; what it told, and when it was killed."""
    reading, telling = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with contextlib.suppress(BaseException):
            record(dataset, identity, telling)
        os._exit(1)
    os.close(telling)
    time.sleep(seconds)
    killed = time.monotonic()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    whole = len(said) - len(said) % TOLD.size
    return list(TOLD.iter_unpack(said[:whole])), killed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    kept: set[float] = set()
    lost = altered = recovered = late = 0
    missing_ms: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = Path(folder) / "dataset"
        seen: set[int] = set()
        there: set[float] = set()
        for number in range(arguments.kills):
            told, killed = trial(dataset, 1e6 * (number + 1), random.uniform(0.0, LONGEST))
            kept |= {identity for kind, identity, _ in told if kind == b"k"}
            with FolderWriter(dataset) as writer:
                for new in sorted(writer.summaries_by_number.keys() - seen):
                    try:
                        there.add(identity_of(writer.episode(new)))
                    except Exception as error:
                        altered += 1
                        print(f"kill {number}: episode {new}: {error}", file=sys.stderr)
                    seen.add(new)
                lost += len(kept - there)
                flights = {identity_of(e): e for e in writer.in_flight().values()}
                frames = [(i, t) for kind, i, t in told if kind == b"f" and i not in there]
                for identity in {i for i, _ in frames}:
                    times = [t for i, t in frames if i == identity]
                    found = len(flights[identity]) if identity in flights else 0
                    recovered += found > 0
                    gone = times[found:]
                    missing_ms.append(1000 * (killed - gone[0]) if gone else 0.0)
                    late += bool(gone) and killed - gone[0] > 1.0
                for journal in writer.in_flight():
                    journal.unlink()
            if (number + 1) % 50 == 0:
                print(f"{number + 1} kills: {len(kept)} kept, {lost} lost, {altered} altered")
        with FolderWriter(dataset) as writer:  # all of them once more, to the end
            for index in writer.summaries_by_number:
                identity_of(writer.episode(index))
    result = {
        "kills": arguments.kills,
        "seed": arguments.seed,
        "episodes_kept": len(kept),
        "kept_and_lost": lost,
        "kept_and_altered": altered,
        "in_flight": len(missing_ms),
        "in_flight_recovered": recovered,
        "in_flight_missing_more_than_a_second": late,
        "missing_before_the_kill_ms": {
            "median": round(statistics.median(missing_ms), 1),
            "max": round(max(missing_ms), 1),
        },
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "kills.json").write_text(json.dumps(result, indent=2))
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.hist(missing_ms, bins=60)
    axes.set_xlabel("what is missing of an episode in flight, ms before the kill")
    axes.set_ylabel(f"of {len(missing_ms)} episodes")
    figure.savefig(RESULTS / "kills.png", dpi=110)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
