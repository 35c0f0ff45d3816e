"""What each way to keep images costs: size, writing, and reading a frame at random.

    python benchmarks/image_forms.py

Moving pictures with edges, gradients and the noise of a sensor, 480×640 and 84×84, are written and
read back through robolearn in every form of every format, one after the other in one process.

Writes benchmarks/results/image_forms.json.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from recording import pictures

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION, ActionFeature, Feature
from robolearn.episodes.formats import open_dataset, open_writer
from robolearn.episodes.frames import EpisodeContext, Outcome

RESULTS = Path(__file__).parent / "results"
CAMERA = "observation.images.front"
FRAMES, READS = 30, 30
FORMS = {
    "folder": ("raw", "lossless", "jpeg"),
    "zarr": ("raw", "lossless", "jpegxl", "jpeg2k"),
    "lerobot": ("png", "video"),
}


def filmed(images: np.ndarray) -> Episode:
    steps = len(images)
    times = np.arange(steps) / 30
    actions = np.zeros((steps, 2), np.float32)
    state = np.zeros((steps, 3), np.float32)
    names = (CAMERA, "observation.state.hand", ACTION)
    return Episode(
        context=EpisodeContext(
            {
                "observation.state.hand": Feature("float32", (3,), ("x", "y", "z")),
                CAMERA: Feature("uint8", images.shape[1:]),
            },
            ActionFeature("float32", (2,), ("x", "y"), (-1.0, -1.0), (1.0, 1.0)),
            task="benchmark",
            rate=30.0,
        ),
        observations={"observation.state.hand": state},
        images={CAMERA: images},
        actions=actions,
        actions_asked=actions,
        rewards=np.zeros(steps, np.float32),
        success=np.zeros(steps, bool),
        interventions=np.zeros(steps, bool),
        time=times,
        timestamps=dict.fromkeys(names, times),
        outcome=Outcome(steps, None, None, "horizon"),
        agent="benchmark",
        recorded_at=None,
    )


def measured(format_name: Any, form: Any, images: np.ndarray) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset"
        began = time.perf_counter()
        with open_writer(path, format_name, form) as writer:
            writer.add(filmed(images))
        written = time.perf_counter() - began
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        read = open_dataset(path).episode(0).images[CAMERA]
        random, times = np.random.default_rng(0), []
        for frame in random.integers(0, len(images), READS):
            began = time.perf_counter()
            image = read[frame : frame + 1][0]
            times.append(time.perf_counter() - began)
        off = np.abs(image.astype(int) - images[frame]).mean()
    return {
        "kb_a_frame": round(size / len(images) / 1000, 1),
        "write_ms_a_frame": round(1000 * written / len(images), 2),
        "read_ms_a_frame": round(1000 * statistics.median(times), 2),
        "mean_error_of_255": round(float(off), 2),
    }


def main() -> None:
    logging.disable(logging.CRITICAL)
    large = np.stack((pictures() * (FRAMES // 30 + 1))[:FRAMES])
    sizes = {"480x640": large, "84x84": large[:, ::5, ::7][:, :84, :84].copy()}
    results: dict[str, dict[str, dict[str, float]]] = {}
    for size, images in sizes.items():
        for format_name, forms in FORMS.items():
            for form in forms:
                with contextlib.redirect_stdout(io.StringIO()):
                    row = measured(format_name, form, images)
                results.setdefault(size, {})[f"{format_name} {form}"] = row
                print(size, format_name, form, row)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "image_forms.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
