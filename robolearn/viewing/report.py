"""A run as one page of HTML that needs nothing from outside, not even a script."""

from __future__ import annotations

import base64
import importlib.metadata
import os
import platform
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import Feature
from robolearn.errors import MissingDependency, SimulationError, TrainingError
from robolearn.learning.finetuning.account import Kept
from robolearn.learning.run import Run
from robolearn.learning.success import Evaluation
from robolearn.viewing import figures
from robolearn.viewing.images import film_strip, jpeg
from robolearn.viewing.summary import EpisodeSummary, summarize

_TEMPLATE = "report.html.jinja"
_PACKAGES = ("robolearn", "torch", "numpy", "lerobot", "robosuite", "mujoco", "rerun-sdk")
_LOSSES = {"arm": "Loss of the arm", "gripper": "Loss of the gripper", "total": "Loss"}
_MOST_OBJECTS = 2


@dataclass(frozen=True)
class Plot:
    """A figure of the report."""

    title: str
    svg: Markup
    caption: str


@dataclass(frozen=True)
class Strip:
    """An episode in pictures."""

    caption: str
    source: str
    alt: str


@dataclass(frozen=True)
class Table:
    """Names and values."""

    title: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Link:
    """To a file beside the report."""

    text: str
    address: str


def write_report(
    run: Run,
    demonstrations: Dataset | None = None,
    *,
    trials: Dataset | None = None,
    recordings: Sequence[Path] = (),
    commands: Sequence[str] = (),
) -> Path:
    """Write ``report.html`` of a run: how good the policy is, how it was trained, and on what.

    Whatever is not there yet is left out.

    Args:
        run: to report on.
        demonstrations: that it was trained on.
        trials: the recorded episodes of its evaluation.
        recordings: ``.rrd`` files to link to; those that are not there are left out.
        commands: that repeat the run; else those that its ``config.toml`` names.

    Returns:
        Path of the report.

    Raises:
        DatasetError: an episode cannot be read.
        TrainingError: the run's ``config.toml`` cannot be read.
        PolicyError: its ``evaluation.json`` cannot be read.
        OSError: the report cannot be written.
    """
    config, noted = _read_config(run)
    metrics = run.read_metrics()
    kept = Kept.of(metrics)
    evaluation = _read_evaluation(run)
    shown = summarize(demonstrations.episodes(range(len(demonstrations)))) if demonstrations else []
    tried = summarize(trials.episodes(range(len(trials)))) if trials else []
    context = next((data.context for data in (demonstrations, trials) if data is not None), None)
    period = 1 / context.rate if context else 1.0
    page = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            name=run.path.resolve().name,
            task=context.task if context else "",
            evaluation=_headline(evaluation),
            practised=str(kept or ""),
            strips=_strips(demonstrations, shown, trials, tried),
            plots=[
                *_success_plots(evaluation, shown, tried, period),
                *_practice_plots(metrics, kept),
                *_loss_plots(metrics),
            ],
            tables=[
                table
                for table in (
                    _dataset_table("Demonstrations", demonstrations, shown),
                    _dataset_table("Evaluation episodes", trials, tried),
                    Table("Configuration", [(key, _text(value)) for key, value in _flat(config)]),
                    Table("Versions", _versions()),
                )
                if table.rows
            ],
            commands=list(commands) or noted,
            links=[
                Link(path.name, quote(Path(os.path.relpath(path, run.path)).as_posix()))
                for path in recordings
                if path.is_file()
            ],
        )
    )
    run.path.mkdir(parents=True, exist_ok=True)
    staged = run.report.with_name(f".{run.report.name}.part")
    staged.write_text(page, encoding="utf-8")
    staged.replace(run.report)
    return run.report


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("robolearn.viewing"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _read_config(run: Run) -> tuple[dict[str, Any], list[str]]:
    """The settings, and the commands that stand as comments above them."""
    if not run.config.is_file():
        return {}, []
    text = run.config.read_text(encoding="utf-8")
    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"{run.config}: no readable TOML: {error}") from error
    comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    return config, [line for line in comments if line.startswith("robolearn ") and " --" in line]


def _read_evaluation(run: Run) -> Evaluation | None:
    return Evaluation.read(run.evaluation) if run.evaluation.is_file() else None


def _headline(evaluation: Evaluation | None) -> dict[str, Any] | None:
    if evaluation is None or not evaluation.seeds:
        return None
    seeds = sorted(evaluation.seeds)
    contiguous = seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    facts = {
        "task": evaluation.task,
        "seeds": f"{seeds[0]} to {seeds[-1]}" if contiguous else ", ".join(map(str, seeds)),
        "tried": len(seeds),
        "rewards": evaluation.rewards_text if evaluation.rewards_say_more else "",
        "broken_down": sum(evaluation.broken_down),
    }
    if not evaluation.successes:
        return facts
    low, high = evaluation.interval
    return facts | {
        "rate": f"{100 * evaluation.rate:.0f}",
        "low": f"{100 * low:.0f}",
        "high": f"{100 * high:.0f}",
        "low_exact": f"{100 * low:.2f}",
        "width_exact": f"{100 * (high - low):.2f}",
        "rate_exact": f"{100 * evaluation.rate:.2f}",
        "successes": sum(evaluation.successes),
        "episodes": len(evaluation.successes),
        "held": sum(evaluation.held),
    }


type Metrics = Sequence[Mapping[str, float]]
type _Wanted = tuple[str, Dataset | None, Sequence[EpisodeSummary], tuple[bool | None, ...]]


def _strips(
    demonstrations: Dataset | None,
    shown: Sequence[EpisodeSummary],
    trials: Dataset | None,
    tried: Sequence[EpisodeSummary],
) -> list[Strip]:
    """A demonstration, an episode in which the policy succeeded and one in which it failed."""
    wanted: list[_Wanted] = [("A demonstration", demonstrations, shown, (True, None, False))]
    wanted += [
        ("The policy", trials, tried, (True, None)),
        ("The policy fails", trials, tried, (False,)),
    ]
    strips = []
    for title, dataset, summaries, outcomes in wanted:
        number = next(
            (
                index
                for outcome in outcomes
                for index, summary in enumerate(summaries)
                if summary.success is outcome
            ),
            None,
        )
        if dataset is None or number is None:
            continue
        try:
            strips.append(_strip(title, number, dataset.episode(number)))
        except (MissingDependency, SimulationError):
            return strips  # there are no pictures here, and the report is complete without them
    return strips


def _strip(title: str, number: int, episode: Episode) -> Strip:
    data = base64.b64encode(jpeg(film_strip(episode))).decode()
    seconds = episode.time[-1] - episode.time[0]
    caption = f"{title}: episode {number}, driven by {episode.agent}, {seconds:.1f} s"
    return Strip(
        caption,
        f"data:image/jpeg;base64,{data}",
        f"{caption}. A row of pictures from its beginning to its end: {episode.context.task}",
    )


def _success_plots(
    evaluation: Evaluation | None,
    shown: Sequence[EpisodeSummary],
    tried: Sequence[EpisodeSummary],
    period: float,
) -> list[Plot]:
    plots = []
    if evaluation is not None and evaluation.successes:
        caption = (
            "The success rate after each episode, and in what range it may truly lie: "
            "the more episodes, the narrower."
        )
        svg = figures.success_so_far(evaluation.successes, f"{caption} In the end: {evaluation}.")
        plots.append(Plot("Success", Markup(svg), caption))
    times = {
        figures.DEMONSTRATIONS: [e.success_after for e in shown if e.success_after is not None],
        "policy": [e.success_after for e in tried if e.success_after is not None],
    }
    if any(times.values()):
        caption = "How long it took until the task was first accomplished."
        svg = figures.durations({k: v for k, v in times.items() if v}, period, caption)
        plots.append(Plot("Time to success", Markup(svg), caption))
    lengths = [e.seconds for e in shown]
    if lengths and max(lengths) - min(lengths) > period / 2:
        caption = "How long the demonstrations are."
        svg = figures.durations({figures.DEMONSTRATIONS: lengths}, period, caption)
        plots.append(Plot("Length of demonstrations", Markup(svg), caption))
    objects = list(dict.fromkeys(name for e in (*shown, *tried) for name in e.starts))
    for name in objects[:_MOST_OBJECTS]:
        caption = f"Where the {name} stood at the beginning, seen from above."
        svg = figures.start_positions(name, shown, tried, caption)
        plots.append(Plot(f"Start of the {name}", Markup(svg), caption))
    return plots


def _loss_plots(metrics: Metrics) -> list[Plot]:
    metrics = [row for row in metrics if "step" in row]
    parts = {key.partition("/")[2] for row in metrics for key in row}
    chosen = [
        part
        for part in _LOSSES
        if part in parts and (part != "total" or not {"arm", "gripper"} & parts)
    ]
    plots = []
    for part in chosen:
        caption = "Negative log-likelihood of the demonstrated actions; lower is better."
        last = metrics[-1].get(f"valid/{part}", metrics[-1].get(f"train/{part}"))
        end = "" if last is None else f" At the end: {last:.3g} nats."
        svg = figures.loss_curves(metrics, part, f"{_LOSSES[part]} over training. {caption}{end}")
        plots.append(Plot(_LOSSES[part], Markup(svg), caption))
    return plots


def _practice_plots(metrics: Metrics, kept: Kept | None) -> list[Plot]:
    if kept is None:
        return []
    told = str(kept)
    caption = (
        f"{told[0].upper()}{told[1:]}. Practice explores; trials are of the average of the "
        "weights, on seeds of their own."
    )
    svg = figures.practice_curves(metrics, kept.measure, f"Over practice: {caption}")
    plots = [Plot("Practice", Markup(svg), caption)]
    if any("reward/accuracy" in row for row in metrics):
        caption = (
            "How often the discriminator tells demonstrations from what the policy does. At 50 % "
            "they are alike to it; held-out demonstrations that it calls the policy's show that it "
            "has learnt the others by heart."
        )
        svg = figures.accuracy_curves(metrics, caption)
        plots.append(Plot("The learnt reward", Markup(svg), caption))
    return plots


def _dataset_table(
    title: str, dataset: Dataset | None, episodes: Sequence[EpisodeSummary]
) -> Table:
    if dataset is None or not episodes:
        return Table(title, [])
    context = dataset.context
    known = [episode.success for episode in episodes if episode.success is not None]
    return Table(
        title,
        [
            ("task", context.task),
            ("episodes", str(len(episodes))),
            *([("succeeded", f"{sum(known)} of {len(known)}")] if known else []),
            ("frames", f"{sum(episode.frames for episode in episodes):,}"),
            ("duration", f"{sum(episode.seconds for episode in episodes):.1f} s"),
            ("rate", f"{context.rate:g} Hz"),
            ("driven by", ", ".join(sorted({episode.agent for episode in episodes}))),
            *((name, _describe(feature)) for name, feature in context.features.items()),
            ("action", _describe(context.action)),
        ],
    )


def _describe(feature: Feature) -> str:
    names = f": {', '.join(feature.names)}" if feature.names else ""
    return f"{' x '.join(map(str, feature.shape))} {feature.dtype}{names}"


def _versions() -> list[tuple[str, str]]:
    versions = [("Python", platform.python_version()), ("system", platform.platform(terse=True))]
    for package in _PACKAGES:
        try:
            versions.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        rows += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return rows


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "all"
    return str(value)
