"""The one loop: observe, decide, act, and let others look on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from robolearn.agents.agent import Agent
from robolearn.control.clock import Clock
from robolearn.environments.environment import Environment
from robolearn.episodes.frames import EpisodeContext, Outcome, Step


class Observer(Protocol):
    """Something that looks on: a recorder, a counter, a live view."""

    def on_reset(self, context: EpisodeContext) -> None:
        """An episode begins."""

    def on_step(self, step: Step) -> None:
        """A control step was done."""

    def on_end(self, outcome: Outcome) -> None:
        """The episode is over. Also called, with ``interrupted``, when it broke off."""


def run_episode(
    environment: Environment,
    agent: Agent,
    observers: Sequence[Observer] = (),
    clock: Clock | None = None,
    *,
    seed: int = 0,
    ready: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run one episode.

    Args:
        environment: what is driven.
        agent: what decides.
        observers: what looks on; called in the order given.
        clock: keeps the rate of the control steps; None goes as fast as the environment can.
        seed: of the environment's and the agent's randomness.
        ready: called when environment and agent are reset, and returns when the episode may begin.
            Where it raises, there was no episode, and no observer hears of it.

    Returns:
        How the episode ended.

    Raises:
        Exception: whatever the environment, the agent or an observer raises, KeyboardInterrupt
            included, after each observer's ``on_end`` was called.
    """
    environment.reset(seed)
    agent.reset(seed)
    ready()
    for observer in observers:
        observer.on_reset(environment.context)

    steps = 0
    success: bool | None = None
    success_at_end: bool | None = None
    ended: Literal["horizon", "terminated", "failed", "interrupted"] = "interrupted"
    try:
        if clock is not None:
            clock.begin()
        observation = environment.observe()
        while steps < environment.horizon and not observation.last:
            action_asked = agent.act(observation)
            action_timestamp = time.monotonic()
            action = environment.act(action_asked)
            if clock is not None:
                clock.wait()
            next_observation = environment.observe()
            step = Step(
                index=steps,
                observation=observation,
                action_asked=action_asked,
                action=action,
                action_timestamp=action_timestamp,
                next_observation=next_observation,
                intervention=agent.intervening,
            )
            for observer in observers:
                observer.on_step(step)
            steps += 1
            success_at_end = next_observation.success
            if success_at_end is not None:
                success = bool(success) or success_at_end
            observation = next_observation
        if observation.failed:
            ended, success, success_at_end = "failed", False, False
        else:
            ended = "terminated" if observation.terminated else "horizon"
    finally:
        outcome = Outcome(steps, success, success_at_end, ended)
        for observer in observers:
            observer.on_end(outcome)
    return outcome
