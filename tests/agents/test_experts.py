"""The experts of the shelf. How often they succeed is measured by benchmarks/experts.py."""

from __future__ import annotations

import pytest

from robolearn.agents.scripted import ScriptedExpert
from robolearn.control.loop import run_episode
from robolearn.environments.expert import VARIATIONS
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import load_task


@pytest.mark.parametrize("name", ["stack", "can", "square", "round", "door", "two_arm_lift"])
def test_it_does_the_task_with_and_without_variation(name: str) -> None:
    task = load_task(f"sim:{name}")
    environment = RobosuiteEnvironment(task)
    try:
        for seed, variation in ((0, ()), (3, VARIATIONS)):
            agent = ScriptedExpert(task, environment.context, variation)
            assert run_episode(environment, agent, seed=seed).success_at_end
    finally:
        environment.close()
