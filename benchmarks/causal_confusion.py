"""A policy that only repeats its last action, and past-action dropout against it.

    python benchmarks/causal_confusion.py [--seeds 3] [--episodes 50]

The task is made to provoke it. A train is to go the way that a signal shows, for 120 steps; the
signal changes twice. It is seen by sensors so noisy that one frame tells little and twenty tell
enough. The driver of the demonstrations knows the signal, so that his action is his last one at 118
of 120 steps. A policy that sees its last action learns that it knows better than all sensors
together; but at run time the last action is its own, and what it missed once it goes on missing.

Each policy is the same network (a stack of 20 frames, two layers of 64), trained on the same 100
demonstrations by squared error with the same number of steps: without the last action, with it, and
with it where it is hidden from a share of the samples while training, which is run with the last
action and without. An episode succeeds if the train goes the right way on at least three quarters
of its steps. Nothing is chosen after a look at the episodes: the policy of the last step is run.
Writes benchmarks/results/causal_confusion.json and causal_confusion.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from sides import RESULTS
from torch import nn

from robolearn.episodes.features import Feature
from robolearn.episodes.loading.windows import history_rows
from robolearn.learning.success import wilson_interval
from robolearn.policies.encoders.config import EncoderConfig
from robolearn.policies.encoders.observation import ObservationEncoder
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.kinds import memory_of
from robolearn.policies.normalizer import Normalizer

STEPS = 120
CHANGES = ((25, 50), (70, 95))
"""The signal changes at a step of each of these ranges."""
SENSORS = 4
SEPARATION = 1.0
"""Distance between the two signals over the noise, in all sensors of a frame together."""
RIGHT = 0.75
"""Share of the steps that makes an episode succeed."""
DEMONSTRATIONS = 100
HISTORY = 20
UPDATES = 1500
BATCH = 128
SENSED = "observation.environment_state"
FEATURES = {SENSED: Feature("float32", (SENSORS,))}


@dataclass(frozen=True)
class Signals:
    """What happens in N episodes, whatever the train does.

    Attributes:
        shown: (N, T) −1 or 1, which is also what the driver does.
        seen: (N, T, K, SENSORS) the last frames at each step.
    """

    shown: torch.Tensor
    seen: torch.Tensor

    @classmethod
    def drawn(cls, episodes: int, seed: int) -> Signals:
        random = np.random.default_rng(seed)
        turns = np.ones((episodes, STEPS))
        turns[:, 0] = random.choice([-1, 1], episodes)
        for first, stop in CHANGES:
            turns[np.arange(episodes), random.integers(first, stop, episodes)] = -1
        shown = np.cumprod(turns, axis=1)
        noise = random.normal(size=(episodes, STEPS, SENSORS))
        sensed = shown[..., None] * SEPARATION / 2 / SENSORS**0.5 + noise
        seen = sensed[:, history_rows(STEPS, HISTORY)]
        return cls(torch.from_numpy(shown).float(), torch.from_numpy(seen).float())


class Driver(nn.Module):
    """From sensors and the last action to an action."""

    def __init__(self, past_actions: int, dropout: float) -> None:
        super().__init__()
        self.encoder = ObservationEncoder(FEATURES, EncoderConfig())
        config = MemoryConfig(
            history=HISTORY,
            past_actions=past_actions,
            hidden=(64, 64),
            dropout=0.0,
            past_action_dropout=dropout,
        )
        self.memory = memory_of(config, self.encoder.width, 1)
        self.head = nn.Linear(self.memory.width, 1)
        self.normalizer = Normalizer(1)

    def forward(
        self, seen: torch.Tensor, last: torch.Tensor | None, is_pad: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, K, SENSORS), (B, 1, 1) as the train takes it, (B, 1) → (B, 1) normalised."""
        features = self.encoder({SENSED: seen})
        if last is not None:
            last = self.normalizer(last)
        return self.head(self.memory(features, last, past_action_is_pad=is_pad))


@dataclass(frozen=True)
class Samples:
    """What is learnt from: all steps of all demonstrations."""

    seen: torch.Tensor
    last: torch.Tensor
    is_pad: torch.Tensor
    actions: torch.Tensor

    @classmethod
    def of(cls, signals: Signals) -> Samples:
        last = nn.functional.pad(signals.shown[:, :-1], (1, 0))
        is_pad = (torch.arange(STEPS) == 0).expand(len(last), -1)
        return cls(
            signals.seen.flatten(0, 1),
            last.reshape(-1, 1, 1),
            is_pad.reshape(-1, 1),
            signals.shown.reshape(-1, 1),
        )


def trained(seed: int, past_actions: int, dropout: float) -> Driver:
    torch.manual_seed(seed)
    samples = Samples.of(Signals.drawn(DEMONSTRATIONS, seed))
    driver = Driver(past_actions, dropout).train()
    driver.encoder.fit({SENSED: samples.seen[:, -1]})
    driver.normalizer.fit(samples.actions)
    optimizer = torch.optim.AdamW(driver.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, UPDATES)
    for _ in range(UPDATES):
        at = torch.randint(len(samples.seen), (BATCH,))
        last = (samples.last[at], samples.is_pad[at]) if past_actions else (None, None)
        asked = driver.normalizer(samples.actions[at])
        loss = nn.functional.mse_loss(driver(samples.seen[at], *last), asked)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return driver.eval()


@torch.inference_mode()
def error(driver: Driver, seed: int, given: bool) -> float:
    """Mean squared error on other demonstrations, where the last action is the demonstrator's."""
    samples = Samples.of(Signals.drawn(DEMONSTRATIONS, seed))
    last = (samples.last, samples.is_pad) if given else (None, None)
    predicted = driver.normalizer.inverse(driver(samples.seen, *last))
    return float((predicted - samples.actions).square().mean())


@torch.inference_mode()
def run(driver: Driver, signals: Signals, given: bool) -> torch.Tensor:
    """(N, T) what the policy does, where the last action is its own."""
    action = torch.zeros(len(signals.shown), 1)
    actions = []
    for step, seen in enumerate(signals.seen.unbind(1)):
        is_pad = torch.full((len(action), 1), step == 0)
        last = (action.unsqueeze(-1), is_pad) if given else (None, None)
        action = driver.normalizer.inverse(driver(seen, *last)).clamp(-1, 1)
        actions.append(action)
    return torch.cat(actions, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=50)
    arguments = parser.parse_args()
    policies = {
        "without the last action": (0, 0.0, False),
        "with it": (1, 0.0, True),
        "with it, dropout 0.25": (1, 0.25, True),
        "with it, dropout 0.5": (1, 0.5, True),
        "dropout 0.5,\nleft out at run time": (1, 0.5, False),
    }
    began = time.perf_counter()
    rows, shown = [], {}
    for name, (past_actions, dropout, given) in policies.items():
        successes, right, errors = [], [], []
        for seed in range(arguments.seeds):
            driver = trained(seed, past_actions, dropout)
            signals = Signals.drawn(arguments.episodes, 1_000_000 + seed)
            actions = run(driver, signals, given)
            follows = (actions * signals.shown > 0).float().mean(1)
            successes.append(int((follows >= RIGHT).sum()))
            right.append(float(follows.mean()))
            errors.append(error(driver, 2_000_000 + seed, given))
            shown.setdefault(name, (signals, actions) if seed == 0 else shown.get(name))
        episodes = arguments.seeds * arguments.episodes
        rows.append(
            {
                "policy": name.replace("\n", " "),
                "successes": sum(successes),
                "episodes": episodes,
                "wilson_95": [round(b, 4) for b in wilson_interval(sum(successes), episodes)],
                "successes_by_seed": successes,
                "right_steps": round(float(np.mean(right)), 4),
                "squared_error_on_demonstrations": round(float(np.mean(errors)), 5),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    summary = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "system": platform.platform()},
        "seconds": round(time.perf_counter() - began, 1),
        "seeds": arguments.seeds,
        "policies": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "causal_confusion.json").write_text(json.dumps(summary, indent=2) + "\n")
    plot(rows, shown)


def plot(rows: list[dict[str, object]], shown: dict[str, tuple[Signals, torch.Tensor]]) -> None:
    figure, (bars, lines) = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
    for place, (row, name) in enumerate(zip(rows, shown, strict=True)):
        rate = row["successes"] / row["episodes"]
        low, high = row["wilson_95"]
        around = [[max(rate - low, 0)], [max(high - rate, 0)]]
        bars.barh(name, rate, xerr=around, capsize=3, color=f"C{place}")
    bars.invert_yaxis()
    bars.set(xlim=(0, 1.02), xlabel="episodes that succeed (95 % Wilson interval)")
    signals = next(iter(shown.values()))[0]
    lines.step(range(STEPS), signals.shown[0], color="black", label="signal", where="post")
    for place, name in enumerate(shown):
        if name in ("with it", "with it, dropout 0.5"):
            lines.plot(shown[name][1][0], color=f"C{place}", label=name)
    lines.set(xlabel="step of the first episode", ylabel="action")
    lines.legend(fontsize="small")
    figure.savefig(RESULTS / "causal_confusion.png", dpi=110)


if __name__ == "__main__":
    main()
