"""Demonstrations for the benchmarks: the set that ships, varied until there are enough.

What is timed does not depend on the values, but their number must be realistic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION, SIMULATOR_STATE, Feature
from robolearn.episodes.formats import open_dataset

LIFT = Path(__file__).parents[1] / "datasets" / "lift"
SIZE = 84
LEROBOT_FPS = 20


def demonstrations(count: int, cameras: int = 0) -> Iterator[Episode]:
    """Episodes of Lift with a little noise, and with cameras that look at a moving pattern."""
    dataset = open_dataset(LIFT)
    for number in range(count):
        random = np.random.default_rng(number)
        episode = dataset.episode(number % len(dataset))
        images = {
            f"observation.images.camera{camera}": _film(len(episode), [number, camera])
            for camera in range(cameras)
        }
        features = {
            name: feature
            for name, feature in episode.context.features.items()
            if name != SIMULATOR_STATE
        }
        observations = {
            name: (
                episode.observations[name]
                + random.normal(0, 1e-3, episode.observations[name].shape)
            ).astype(feature.dtype)
            for name, feature in features.items()
        }
        pictures = {name: Feature("uint8", (SIZE, SIZE, 3)) for name in images}
        yield replace(
            episode,
            context=replace(episode.context, features={**features, **pictures}),
            observations=observations,
            images=images,
            timestamps=dict.fromkeys((*features, *images, ACTION), episode.timestamps[ACTION]),
        )


def _film(frames: int, seed: list[int]) -> np.ndarray:
    """(T, H, W, 3) a textured square that wanders over a smooth background."""
    random = np.random.default_rng(seed)
    grid = np.linspace(0, 2 * np.pi, SIZE)
    waves = random.uniform(0.5, 2, (3, 2))
    background = np.stack(
        [np.sin(a * grid)[:, None] + np.cos(b * grid)[None] for a, b in waves], axis=-1
    )
    film = np.repeat((127 + 50 * background)[None], frames, axis=0)
    texture = random.uniform(0, 255, (20, 20, 3))
    path = random.uniform(0, SIZE - 20, (2, 2))
    for frame, share in enumerate(np.linspace(0, 1, frames)):
        top, left = (path[0] * (1 - share) + path[1] * share).astype(int)
        film[frame, top : top + 20, left : left + 20] = texture
    return film.astype(np.uint8)


def write_lerobot(root: Path, episodes: Iterator[Episode], *, video: bool) -> None:
    """The same demonstrations as LeRobot writes them."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = None
    for episode in episodes:
        state = np.concatenate(list(episode.observations.values()), axis=1).astype(np.float32)
        if dataset is None:
            dataset = LeRobotDataset.create(
                "benchmark/lift",
                LEROBOT_FPS,
                {
                    "observation.state": _vector(state),
                    "action": _vector(episode.actions),
                    **{
                        name: {
                            "dtype": "video" if video else "image",
                            "shape": (SIZE, SIZE, 3),
                            "names": ["height", "width", "channels"],
                        }
                        for name in episode.images
                    },
                },
                root=root,
                use_videos=video,
                streaming_encoding=video,
                image_writer_threads=0 if video else 4,
            )
        for frame in range(len(episode)):
            dataset.add_frame(
                {
                    "observation.state": state[frame],
                    "action": episode.actions[frame].astype(np.float32),
                    "task": episode.context.task,
                    **{
                        name: images[frame : frame + 1][0]
                        for name, images in episode.images.items()
                    },
                }
            )
        dataset.save_episode()
    if dataset is not None:
        dataset.finalize()


def _vector(values: np.ndarray) -> dict[str, object]:
    size = values.shape[1]
    return {"dtype": "float32", "shape": (size,), "names": [str(i) for i in range(size)]}
