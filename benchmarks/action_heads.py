"""Each action head: two ways round an obstacle, and the time of a training step and of a decision.

    python benchmarks/action_heads.py [--steps 2500] [--rounds 15]

Two ways: a demonstration is a chunk of 12 positions (24 numbers) from a start, whose place the
heads are shown, round a disc to a goal; each way is taken as often. Every head is trained in the
same way, with its own options as they are by themselves, and draws 400 chunks for as many starts.
Counted are those that touch the disc, at a point or between two; ``samples`` draws as the head
models, ``low_noise`` leaves the noise about a way out, ``mode`` is the best single chunk.

Times: one thread, features of 256 elements, of the head alone: loss and gradients of a batch of 256
chunks, and one decision (`mode`, and `sample`) for one feature vector. They are the processor's
time, medians over rounds in which the heads take turns, which other programs disturb less than the
clock on the wall.

Writes benchmarks/results/action_heads.json and docs/images/action_heads.png.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from PIL import Image
from torch import nn

from robolearn.episodes.features import ActionFeature
from robolearn.policies.action_heads.base import ActionHead
from robolearn.policies.action_heads.config import ActionHeadConfig, Head
from robolearn.policies.action_heads.registry import make_action_head

RESULTS = Path(__file__).parent / "results" / "action_heads.json"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "action_heads.png"

CONTINUOUS: tuple[Head, ...] = (
    "deterministic",
    "gaussian",
    "mixture",
    "autoregressive",
    "vae",
    "realnvp",
    "diffusion",
    "flow",
)
HORIZON = 12
RADIUS = 0.4
WIDTH = 256
BATCH = 256
"""Chunks in a step that is timed."""

LEARNT = 64
"""Chunks in a step of learning the two ways."""

SHAPES = {"H = 1, A = 7": (1, 7), "H = 16, A = 2": (16, 2)}


def starts(count: int, generator: torch.Generator) -> torch.Tensor:
    """(count, 1) sideways places at which a path begins."""
    return 0.6 * torch.rand(count, 1, generator=generator) - 0.3


def demonstrations(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Starts (count, 1), and paths (count, 12, 2) from y = −1 round the disc to (0, 1)."""
    start = starts(count, generator)
    side = 2.0 * torch.randint(2, (count, 1), generator=generator) - 1
    reach = side * (0.75 + 0.08 * torch.randn(count, 1, generator=generator))
    along = torch.linspace(0, 1, HORIZON)
    x = start * (1 - along) + reach * (math.pi * along).sin()
    return start, torch.stack([x, (2 * along - 1).expand_as(x)], -1)


def touching(paths: torch.Tensor) -> float:
    """Share of the paths (N, 12, 2) that come into the disc."""
    between = torch.linspace(0, 1, 11)[:, None, None, None]
    points = torch.lerp(paths[:, :-1], paths[:, 1:], between)
    return (points.norm(dim=-1) < RADIUS).any(0).any(-1).float().mean().item()


def action(size: int) -> ActionFeature:
    return ActionFeature("float32", (size,), low=(-1.0,) * size, high=(1.0,) * size)


def learn(name: Head, steps: int) -> tuple[nn.Module, ActionHead]:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    encoder = nn.Sequential(nn.Linear(1, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
    head = make_action_head(ActionHeadConfig(head=name), WIDTH, HORIZON, action(2))
    mean, deviation = normalization()
    head.fit(((demonstrations(2000, generator)[1] - mean) / deviation).flatten(0, 1))
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    is_pad = torch.zeros(LEARNT, HORIZON, dtype=torch.bool)
    for _ in range(steps):
        start, paths = demonstrations(LEARNT, generator)
        losses = head.losses(encoder(start), (paths - mean) / deviation, is_pad)
        optimizer.zero_grad()
        losses["action"].backward()
        nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
        schedule.step()
    return encoder, head.eval()


def normalization() -> tuple[torch.Tensor, torch.Tensor]:
    paths = demonstrations(10000, torch.Generator().manual_seed(1))[1]
    return paths.mean((0, 1)), paths.std((0, 1))


@torch.no_grad()
def drawn(encoder: nn.Module, head: ActionHead) -> dict[str, torch.Tensor]:
    """Paths (400, 12, 2) of each kind."""
    generator = torch.Generator().manual_seed(2)
    distribution = head.distribution(encoder(starts(400, generator)))
    chunks = {
        "samples": distribution.sample(generator),
        "low_noise": distribution.sample(generator, low_noise=True),
        "mode": distribution.mode(),
    }
    mean, deviation = normalization()
    return {kind: chunk * deviation + mean for kind, chunk in chunks.items()}


def draw(paths: dict[Head, dict[str, torch.Tensor]], figures: dict[Head, dict[str, float]]) -> None:
    figure, axes = plt.subplots(3, 3, figsize=(8, 9.2), layout="constrained")
    shown = demonstrations(40, torch.Generator().manual_seed(3))[1]
    panels = [("demonstrations", shown, "0.35")]
    panels += [(name, paths[name]["low_noise"][:40], "tab:blue") for name in CONTINUOUS]
    for axis, (title, lines, colour) in zip(axes.flat, panels, strict=True):
        axis.add_patch(plt.Circle((0, 0), RADIUS, color="tab:red", alpha=0.5, linewidth=0))
        axis.plot(*lines.permute(2, 1, 0), color=colour, linewidth=0.5, alpha=0.6)
        if title in paths:
            axis.plot(*paths[title]["mode"][0].T, color="black", linewidth=2)
            title += f"\n{1 - figures[title]['low_noise']:.0%} get round"
        axis.set(title=title, xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), xticks=[], yticks=[])
        axis.set_aspect("equal")
    drawn_at_full_depth = io.BytesIO()
    figure.savefig(drawn_at_full_depth, dpi=80)
    with Image.open(drawn_at_full_depth) as image:  # 64 colours are enough, and a third of the size
        image.convert("RGB").quantize(64).save(PICTURE, optimize=True)


def seconds(call: Callable[[], object], repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - began) / repeats


def timed(horizon: int, size: int, rounds: int) -> dict[Head, dict[str, float]]:
    """Milliseconds of each head."""
    calls: dict[tuple[Head, str], tuple[Callable[[], object], int]] = {}
    for name in CONTINUOUS:
        torch.manual_seed(0)
        head = make_action_head(ActionHeadConfig(head=name), WIDTH, horizon, action(size))
        features = torch.randn(BATCH, WIDTH, requires_grad=True)
        actions = torch.randn(BATCH, horizon, size)
        is_pad = torch.zeros(BATCH, horizon, dtype=torch.bool)
        one = torch.randn(1, WIDTH)

        def train(head=head, features=features, actions=actions, is_pad=is_pad) -> None:
            head.zero_grad()
            head.losses(features, actions, is_pad)["action"].backward()

        def mode(head=head, one=one) -> None:
            with torch.inference_mode():
                head.distribution(one).mode()

        def sample(head=head, one=one) -> None:
            with torch.inference_mode():
                head.distribution(one).sample()

        calls |= {
            (name, "training_step_ms"): (train, 5),
            (name, "mode_ms"): (mode, 20),
            (name, "sample_ms"): (sample, 20),
        }
    for call, _ in calls.values():
        seconds(call, 3)
    found: dict[tuple[Head, str], list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, (call, repeats) in calls.items():
            found[key].append(1000 * seconds(call, repeats))
    return {
        name: {
            what: round(statistics.median(found[name, what]), 3)
            for what in ("training_step_ms", "mode_ms", "sample_ms")
        }
        for name in CONTINUOUS
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times = {shape: timed(*sizes, arguments.rounds) for shape, sizes in SHAPES.items()}
    for shape, heads in times.items():
        print(shape, *(f"{name}: {figures}" for name, figures in heads.items()), sep="\n  ")
    paths, figures = {}, {}
    for name in CONTINUOUS:
        paths[name] = drawn(*learn(name, arguments.steps))
        figures[name] = {kind: round(touching(each), 4) for kind, each in paths[name].items()}
        print(f"{name} touches the disc: {figures[name]}", flush=True)
    draw(paths, figures)
    result = {
        "machine": f"{platform.machine()}, one thread, torch {torch.__version__}",
        "training_steps": arguments.steps,
        "touching_the_disc": figures,
        "times": times,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
