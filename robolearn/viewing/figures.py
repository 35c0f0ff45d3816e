"""Plots as SVG that stands in a page, takes its colours of text from it and needs nothing else."""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from robolearn.episodes.frames import Array
from robolearn.learning.success import wilson_interval
from robolearn.viewing.palette import FAILURE, SUCCESS, UNKNOWN, Color
from robolearn.viewing.summary import EpisodeSummary

_INK = "#101112"
"""Stands for the page's own colour of text, which differs between light and dark."""
_BLUE: Color = (66, 133, 226)
DEMONSTRATIONS = "demonstrations"
"""Name of the group that is grey in every plot; what the policy does is coloured."""
_WIDTH, _HEIGHT = 5.4, 3.0

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
}


def loss_curves(metrics: Sequence[Mapping[str, float]], part: str, label: str) -> str:
    """One loss over the steps of training, for training and validation.

    Args:
        metrics: rows with ``step`` and ``<side>/<part>``.
        part: of the loss.
        label: what it is, in words, for those who cannot see it.
    """
    with _figure(f"losses {part}") as figure:
        axes = figure.subplots()
        sides = list(
            dict.fromkeys(
                key.split("/")[0] for row in metrics for key in row if _is_part(key, part)
            )
        )
        for side, color in zip(sides, (UNKNOWN, _BLUE, SUCCESS, FAILURE), strict=False):
            steps, losses = _column(metrics, f"{side}/{part}")
            axes.plot(steps, losses, color=_hex(color), label=_SIDES.get(side, side))
        axes.set_xlabel("step")
        axes.set_ylabel("nats")
        axes.legend()
        return _svg(figure, label)


_SIDES = {"train": "training", "valid": "validation"}


def practice_curves(metrics: Sequence[Mapping[str, float]], measure: str, label: str) -> str:
    """What the policy comes to in practice and in trials, over the control steps of practice.

    Args:
        metrics: rows with ``step``, ``practice/<measure>``, and in some ``valid/<measure>``, with
            ``valid/kept`` 1 where it was the best trial so far.
        measure: ``success``, shares of episodes, or ``return``.
        label: what it is, in words.
    """
    percent = measure == "success"
    factor = 100 if percent else 1
    with _figure(f"practice {measure}") as figure:
        axes = figure.subplots()
        steps, practised = _column(metrics, f"practice/{measure}")
        window = min(_SMOOTHED_OVER, max(len(steps), 1))
        smooth = practised
        if len(steps):
            smooth = np.convolve(practised, np.full(window, 1 / window), "valid")
        axes.plot(
            steps[len(steps) - len(smooth) :],
            factor * smooth,
            color=_hex(UNKNOWN),
            label=f"practice, mean of {window} iterations",
        )
        steps, tried = _column(metrics, f"valid/{measure}")
        axes.plot(steps, factor * tried, color=_hex(_BLUE), marker=".", label="trials")
        kept = [row for row in metrics if row.get("valid/kept")]
        if kept:
            axes.plot(
                kept[-1]["step"],
                factor * kept[-1][f"valid/{measure}"],
                color=_hex(SUCCESS),
                marker="o",
                linestyle="none",
                label="kept",
            )
        if percent:
            axes.set_ylim(-4, 104)
        _over_practice(axes)
        axes.set_ylabel("success, %" if percent else "return")
        axes.legend()
        return _svg(figure, label)


_SMOOTHED_OVER = 8


def accuracy_curves(metrics: Sequence[Mapping[str, float]], label: str) -> str:
    """How often the discriminator is right, over the control steps of practice.

    Args:
        metrics: rows with ``step``, ``reward/accuracy`` and ``reward/held_out_accuracy``.
        label: what it is, in words.
    """
    with _figure("discriminator") as figure:
        axes = figure.subplots()
        for name, side, color in (
            ("reward/accuracy", "what it learns from", UNKNOWN),
            ("reward/held_out_accuracy", "held-out demonstrations", _BLUE),
        ):
            steps, accuracy = _column(metrics, name)
            if len(steps):
                axes.plot(steps, 100 * accuracy, color=_hex(color), label=side)
        axes.axhline(50, color=_INK, linewidth=0.8, linestyle=":")
        axes.set_ylim(-4, 104)
        _over_practice(axes)
        axes.set_ylabel("right, %")
        axes.legend()
        return _svg(figure, label)


def _over_practice(axes: Axes) -> None:
    axes.set_xlabel("control steps of practice")
    axes.xaxis.set_major_locator(MaxNLocator(5))  # six figures each, that must not run together


def _column(metrics: Sequence[Mapping[str, float]], name: str) -> tuple[Array, Array]:
    """(N,) steps and values, where there is one."""
    points = [(row["step"], row[name]) for row in metrics if name in row]
    steps, values = np.array(points, float).reshape(-1, 2).T
    return steps, values


def success_so_far(successes: Sequence[bool], label: str) -> str:
    """Success rate after each episode with its interval, and how each of them ended."""
    counts = np.cumsum(successes)
    numbers = np.arange(1, len(successes) + 1)
    intervals = np.array(
        [wilson_interval(int(count), int(n)) for count, n in zip(counts, numbers, strict=True)]
    )
    outcome = np.array(successes)
    with _figure("success so far") as figure:
        axes = figure.subplots()
        axes.fill_between(
            numbers,
            *(100 * intervals.T),
            color=_hex(_BLUE),
            alpha=0.2,
            linewidth=0,
            label="95 % interval (Wilson)",
        )
        axes.plot(numbers, 100 * counts / numbers, color=_hex(_BLUE), label="success rate so far")
        axes.scatter(
            numbers[outcome], np.full(outcome.sum(), 104), s=9, color=_hex(SUCCESS), label="success"
        )
        axes.scatter(
            numbers[~outcome],
            np.full((~outcome).sum(), -4),
            s=16,
            marker="x",
            color=_hex(FAILURE),
            label="failure",
        )
        axes.set_ylim(-9, 109)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.set_xlabel("episodes tried")
        axes.set_ylabel("success, %")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.06), ncols=2)
        return _svg(figure, label)


def durations(groups: Mapping[str, Sequence[float]], step: float, label: str) -> str:
    """How often each duration occurs in each group, as shares of the group.

    Args:
        groups: seconds, by the group's name.
        step: of which all are multiples, s: the control period.
        label: what it is, in words.
    """
    values = [value for group in groups.values() for value in group]
    # Bins hold equally many possible values, else some would look emptier than they are.
    span = max(values) - min(values) + step
    width = step * max(1, round(span / step / 14))
    count = math.ceil(span / width - 1e-6)
    edges = min(values) - step / 2 + width * np.arange(count + 1)
    with _figure(f"durations {label}") as figure:
        axes = figure.subplots()
        for name, group in groups.items():
            axes.hist(
                group,
                bins=list(edges),
                weights=np.full(len(group), 100 / max(len(group), 1)),
                color=_hex(UNKNOWN if name == DEMONSTRATIONS else _BLUE),
                alpha=0.55,
                label=f"{name} ({len(group)})",
            )
        axes.set_xlabel("seconds")
        axes.set_ylabel("episodes, %")
        axes.legend()
        return _svg(figure, label)


def start_positions(
    name: str,
    demonstrations: Sequence[EpisodeSummary],
    trials: Sequence[EpisodeSummary],
    label: str,
) -> str:
    """Where an object stood at the beginning, in demonstrations, successes and failures."""
    groups: tuple[tuple[str, Sequence[EpisodeSummary], Color, str, float, float], ...] = (
        ("demonstration", demonstrations, UNKNOWN, "o", 34, 0.35),
        ("success", [trial for trial in trials if trial.success], SUCCESS, "o", 14, 1.0),
        ("failure", [trial for trial in trials if trial.success is False], FAILURE, "x", 44, 1.0),
    )
    with _figure(f"starts {name}", height=3.6) as figure:
        axes = figure.subplots()
        for title, episodes, color, marker, size, alpha in groups:
            points = np.array([e.starts[name] for e in episodes if name in e.starts]).reshape(-1, 2)
            if len(points):
                axes.scatter(
                    100 * points[:, 0],
                    100 * points[:, 1],
                    s=size,
                    marker=marker,
                    color=_hex(color),
                    alpha=alpha,
                    linewidths=1.8 if marker == "x" else 0,
                    label=f"{title} ({len(points)})",
                )
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("x, cm")
        axes.set_ylabel("y, cm")
        _legend_above(axes)
        return _svg(figure, label)


def _legend_above(axes: Axes) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, handletextpad=0.2, columnspacing=1
    )


@contextmanager
def _figure(salt: str, height: float = _HEIGHT) -> Iterator[Figure]:
    """A figure in the report's style, whose ids differ from those of a figure with another salt."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": salt}):
        yield Figure(figsize=(_WIDTH, height), layout="constrained")


def _svg(figure: Figure, label: str) -> str:
    """The figure as an element of HTML, with a text for those who cannot see it."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g) id="[^"]*"', r"\1", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = svg.replace(_INK, "currentColor")
    view_box = re.search(r'viewBox="[^"]*"', svg)
    attributes = view_box[0] if view_box else ""
    opening = f'<svg role="img" aria-label="{html.escape(label)}" {attributes}>'
    return re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1).strip()


def _is_part(key: str, part: str) -> bool:
    side, slash, rest = key.partition("/")
    return bool(side and slash) and rest == part


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
