"""Environments that end episodes before the horizon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from points import CONTEXT, POINT, Points

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import Outcome
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.demonstrations import add_demonstrations
from robolearn.learning.finetuning.finetune import finetune
from robolearn.learning.finetuning.trajectories import Trajectories
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.run import Run
from robolearn.learning.updates.config import UpdateConfig

CONFIG = FinetuningConfig(
    reward=RewardConfig(discriminator=DiscriminatorConfig(hidden=(8,), batch=16, updates=1)),
    update=UpdateConfig(method="reinforce"),
    steps=200,
    validation_episodes=8,
)


@pytest.mark.parametrize(("edge", "count"), [(0.3, 1), (9.0, 0)])
def test_it_is_told_once_that_episodes_end_early(
    edge: float, count: int, untrained, points_dataset: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    dataset = open_dataset(points_dataset)
    with Run.train(tmp_path / "run", CONFIG, dataset, resume=False, command=("finetune",)) as run:
        environments = Points(8, edge=edge)
        finetune(untrained(), dataset, environments, (), run, CONFIG, lambda *_: None, told.append)
        rows = [row for row in run.read_metrics() if "practice/ended_early" in row]
    assert len(rows) > 1
    assert any(row["practice/ended_early"] > 0 for row in rows) == bool(count)
    assert sum("absorbing state" in text for text in told) == count


@pytest.mark.parametrize(("ended", "absorbing"), [("terminated", 20 - 11), ("horizon", 0)])
def test_a_demonstration_that_was_over_goes_on_in_the_absorbing_state(
    ended: str, absorbing: int, points_dataset: Path, tmp_path: Path
) -> None:
    """Twelve frames are eleven transitions, of a horizon of twenty steps."""
    episode = open_dataset(points_dataset).episode(0)
    with FolderWriter(tmp_path / "one") as writer:
        writer.add(replace(episode, outcome=Outcome(12, True, True, ended)))
    demonstrations = Trajectories(CONTEXT.features, 2, history=1, past_actions=0, horizon=20)
    dataset = open_dataset(tmp_path / "one")
    add_demonstrations(dataset, "train", demonstrations, [POINT])
    assert demonstrations.all.absorbing.sum() == absorbing
    assert demonstrations.all.terminated.sum() == bool(absorbing)
