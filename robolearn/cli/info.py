"""``robolearn info``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robolearn.cli.command import Command


@dataclass(frozen=True, kw_only=True)
class Info(Command):
    """Say what a dataset holds.

    Example: robolearn info datasets/lift

    Attributes:
        dataset: a dataset folder, or an HDF5 file in robomimic's layout.
    """

    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]

    def run(self) -> int:
        from robolearn.episodes.formats import open_dataset

        dataset = open_dataset(self.dataset)
        context = dataset.context
        lengths, successes, unknown, agents = [], 0, 0, Counter[str]()
        for episode in dataset.episodes(dataset.split("all")):
            lengths.append(len(episode))
            successes += bool(episode.outcome.success)
            unknown += episode.outcome.success is None
            agents[episode.agent] += 1
        features = {name: feature.shape for name, feature in context.features.items()}
        features["action"] = context.action.shape
        frames = sum(lengths)
        say = self.console.say
        say(f"{self.dataset}: {len(dataset)} episodes, {frames} frames at {context.rate:g} Hz")
        say(f"  task      {context.task}")
        say(f"  by        {', '.join(f'{agent} ({count})' for agent, count in agents.items())}")
        say(f"  success   {successes} of {len(dataset)}" + f", {unknown} unknown" * bool(unknown))
        say(f"  length    {min(lengths)} to {max(lengths)} frames an episode")
        say(f"  split     {len(dataset.split('train'))} train, {len(dataset.split('valid'))} valid")
        for name, shape in features.items():
            say(f"  {name}  {'x'.join(map(str, shape))}")
        self.console.result(
            {
                "dataset": self.dataset,
                "episodes": len(dataset),
                "frames": frames,
                "rate": context.rate,
                "task": context.task,
                "agents": agents,
                "successes": successes,
                "unknown": unknown,
                "train": len(dataset.split("train")),
                "valid": len(dataset.split("valid")),
                "features": features,
            }
        )
        return 0
