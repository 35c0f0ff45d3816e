"""What happens, in words."""

from __future__ import annotations

import numpy as np
import rerun as rr

from robolearn.episodes.episode import Episode
from robolearn.viewing import entities
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.palette import PERSON, outcome_color
from robolearn.viewing.summary import success_time
from robolearn.viewing.timeline import Clip


class Narration(Layer):
    """What happens, in words: the present episode, and the list of all."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._outcomes: list[bool | None] = []

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        self._outcomes.append(clip.episode.outcome.success)
        beginning = clip.columns(np.array([0]))
        rr.send_columns(
            entities.EPISODE,
            beginning,
            rr.TextDocument.columns(
                text=[describe_episode(clip.episode, clip.number, self._total)],
                media_type=[rr.MediaType.MARKDOWN],
            ),
            recording=recording,
        )
        failed = clip.episode.outcome.success is False
        level = rr.TextLogLevel.WARN if failed else rr.TextLogLevel.INFO
        color = outcome_color(clip.episode.outcome.success)
        lines = [(0, f"episode {clip.number}: {outcome_words(clip.episode)}", level, color)]
        lines += [(frame, text, rr.TextLogLevel.INFO, PERSON) for frame, text in _taken(clip)]
        frames, texts, levels, colors = zip(*lines, strict=True)
        rr.send_columns(
            entities.EPISODES,
            clip.columns(frames),
            rr.TextLog.columns(text=texts, level=levels, color=colors),
            recording=recording,
        )

    def finish(self, recording: rr.RecordingStream) -> None:
        """Write what the colours mean and how many episodes there are of each."""
        recording.log(
            entities.ABOUT,
            rr.TextDocument(self._about(), media_type=rr.MediaType.MARKDOWN),
            static=True,
        )

    def _about(self) -> str:
        succeeded, failed = self._outcomes.count(True), self._outcomes.count(False)
        counts = [f"**{len(self._outcomes)} episodes**"]
        counts += [f"{succeeded} succeeded"] if succeeded else []
        counts += [f"{failed} failed"] if failed else []
        return (
            f"# {self._title}\n\n{', '.join(counts)}, one after the other: press play.\n\n"
            "- Thin lines: the hand's path in every episode, green where it succeeded, red where "
            "it failed.\n"
            "- Thick line: the hand's path in this episode.\n"
            "- Thick violet line: there a person had taken over.\n"
            "- Green dot: there the task was accomplished.\n"
            "- Yellow arrow: where the action sends the hand.\n"
            "- Coloured balls, with a policy: where each mode of its mixture would send the hand; "
            "the larger, the more weight. Their colours are those of the curve *mode weights*.\n"
            "- Curves: saturated is what was sent; pale is what was asked for, where limits "
            "changed it.\n"
            "- Bands: who drove, whether the task was done, and on an arm which limit was met.\n\n"
            "A click on a line of the list *Episodes* goes there.\n"
        )


def _taken(clip: Clip) -> list[tuple[int, str]]:
    """Where a person took over and gave back: frames, and what happened there."""
    taken = clip.episode.interventions
    changes = np.flatnonzero(np.diff(taken, prepend=False))
    told = []
    for frame in changes:
        does = "takes over" if taken[frame] else "gives back"
        seconds = clip.episode.time[frame] - clip.episode.time[0]
        told.append((int(frame), f"episode {clip.number}: a person {does} after {seconds:.1f} s"))
    return told


def outcome_words(episode: Episode) -> str:
    """How an episode went, in a few words."""
    if episode.outcome.success is None:
        return f"{len(episode)} steps"
    if not episode.outcome.success:
        return "failure"
    after = success_time(episode)
    if after is None:
        return "success"
    lost = " and lost again" if episode.outcome.success_at_end is False else ""
    return f"success after {after:.1f} s{lost}"


def describe_episode(episode: Episode, number: int, total: int) -> str:
    """An episode in Markdown."""
    context = episode.context
    facts = [
        f"one of {total}",
        f"driven by {episode.agent}",
        f"{len(episode)} steps at {context.rate:g} Hz",
    ]
    facts += [f"seed {context.seed}"] if context.seed is not None else []
    facts += [f"recorded {episode.recorded_at}"] if episode.recorded_at else []
    return (
        f"## Episode {number}: {outcome_words(episode)}\n\n"
        f"**{context.task}**\n\n{' · '.join(facts)}\n"
    )
