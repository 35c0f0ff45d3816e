"""A whole episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from robolearn.episodes.features import ACTION, Feature
from robolearn.episodes.frames import IMAGE_QUALITY, Array, EpisodeContext, Outcome
from robolearn.episodes.images import ImageParts, Images
from robolearn.errors import DatasetError, FeatureMismatch


@dataclass(frozen=True)
class Episode:
    """T control steps, one after the other. Images are read when they are asked for.

    Attributes:
        context: what holds for all of them.
        observations: (T, ...) by feature name, as the agent saw them; all but the images.
        images: (T, H, W, C) by feature name.
        lost_images: how many images of each camera could not be kept while recording; in their
            frames the one before stands, with its own timestamp.
        actions: (T, A) what was really sent.
        actions_asked: (T, A) what the agent asked for.
        rewards: (T,) of each step.
        success: (T,) whether the task was accomplished after each step.
        interventions: (T,) whether a person or an expert drove instead of the policy.
        time: (T,) the environment's clock at each observation, s.
        timestamps: (T,) by feature name, ``action`` included; monotonic clock, s. Two frames of a
            camera with one timestamp show the same image.
        outcome: how it ended.
        agent: who drove.
        operator: the person in charge, empty where not known.
        notes: free text.
        recorded_at: when it began, ISO 8601 with the time zone; None where not known.

    Raises:
        DatasetError: an array does not fit its feature, or the lengths disagree.
    """

    context: EpisodeContext
    observations: Mapping[str, Array]
    actions: Array
    actions_asked: Array
    rewards: Array
    success: Array
    interventions: Array
    time: Array
    timestamps: Mapping[str, Array]
    outcome: Outcome
    agent: str
    recorded_at: str | None
    operator: str = ""
    notes: str = ""
    images: Mapping[str, Images] = field(default_factory=dict)
    lost_images: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        features = self.context.features
        for name, values in (
            *((name, self.observations.get(name)) for name in _vectors(features)),
            *((name, self.images.get(name)) for name in _cameras(features)),
            ("action", self.actions),
            ("actions_asked", self.actions_asked),
        ):
            feature = features.get(name, self.context.action)
            if values is None:
                raise DatasetError(f"{name} is missing")
            if values.shape[1:] != feature.shape or values.dtype != feature.dtype:
                raise DatasetError(
                    f"{name} has frames of {values.dtype} {values.shape[1:]}, "
                    f"not of {feature.dtype} {feature.shape}"
                )
        for name, values in self._scalars().items():
            if values.ndim != 1 or not np.isfinite(values).all():
                raise DatasetError(f"{name} is not one finite number a frame")
        lengths = {
            "actions_asked": len(self.actions_asked),
            **{name: len(values) for name, values in self.observations.items()},
            **{name: len(values) for name, values in self.images.items()},
            **{name: len(values) for name, values in self._scalars().items()},
        }
        for name, length in lengths.items():
            if length != len(self.actions):
                raise DatasetError(
                    f"{name} has {length} frames where actions has {len(self.actions)}"
                )

    def __len__(self) -> int:
        return int(np.shape(self.actions)[0])

    def _scalars(self) -> dict[str, Array]:
        return {
            "rewards": self.rewards,
            "success": self.success,
            "interventions": self.interventions,
            "time": self.time,
            **{f"timestamps of {name}": times for name, times in self.timestamps.items()},
        }

    def part(self, first: int, stop: int) -> Episode:
        """Frames ``first`` to ``stop - 1`` as an episode. Its outcome is told by its own success.

        Raises:
            DatasetError: there are no such frames.
        """
        if not 0 <= first < stop <= len(self):
            raise DatasetError(
                f"there are no frames {first} to {stop} in an episode of {len(self)} frames"
            )
        inside = slice(first, stop)
        success = self.success[inside]
        known = self.outcome.success is not None
        whole = stop == len(self)
        return replace(
            self,
            observations={name: values[inside] for name, values in self.observations.items()},
            images={name: ImageParts([(i, first, stop)]) for name, i in self.images.items()},
            actions=self.actions[inside],
            actions_asked=self.actions_asked[inside],
            rewards=self.rewards[inside],
            success=success,
            interventions=self.interventions[inside],
            time=self.time[inside],
            timestamps={name: times[inside] for name, times in self.timestamps.items()},
            outcome=Outcome(
                steps=stop - first,
                success=bool(success.any()) if known else None,
                success_at_end=bool(success[-1]) if known else None,
                ended=self.outcome.ended if whole else "horizon",
            ),
        )


def joined(episodes: Sequence[Episode]) -> Episode:
    """Episodes one after the other as one; what holds for a whole episode is the first one's.

    It succeeded if one of them did.

    Raises:
        DatasetError: their features, actions or rates differ, or one does not begin after the end
            of the one before it.
    """
    first, last = episodes[0], episodes[-1]
    for one, other in pairwise(episodes):
        if differing := differing_features(one.context, other.context):
            raise DatasetError(f"the episodes differ in {', '.join(differing)}")
        clocks = [(one.time, other.time)]
        clocks += [(times, other.timestamps[name]) for name, times in one.timestamps.items()]
        if not all(before[-1] <= after[0] for before, after in clocks):
            raise DatasetError(
                "only parts of one episode can be joined, in their order: by their clocks one does "
                "not begin after the end of the other"
            )
    known = [episode.outcome.success for episode in episodes if episode.outcome.success is not None]
    return replace(
        first,
        observations={
            name: np.concatenate([episode.observations[name] for episode in episodes])
            for name in first.observations
        },
        images={
            name: ImageParts([(e.images[name], 0, len(e)) for e in episodes])
            for name in first.images
        },
        actions=np.concatenate([episode.actions for episode in episodes]),
        actions_asked=np.concatenate([episode.actions_asked for episode in episodes]),
        rewards=np.concatenate([episode.rewards for episode in episodes]),
        success=np.concatenate([episode.success for episode in episodes]),
        interventions=np.concatenate([episode.interventions for episode in episodes]),
        time=np.concatenate([episode.time for episode in episodes]),
        timestamps={
            name: np.concatenate([episode.timestamps[name] for episode in episodes])
            for name in first.timestamps
        },
        outcome=Outcome(
            steps=sum(map(len, episodes)),
            success=any(known) if known else None,
            success_at_end=last.outcome.success_at_end,
            ended=last.outcome.ended,
        ),
    )


def differing_features(one: EpisodeContext, other: EpisodeContext) -> list[str]:
    """Names of the features, ``action`` and ``rate`` included, that are not the same in both.

    Images that were rendered in another quality differ in `IMAGE_QUALITY`.
    """
    names = sorted(one.features.keys() | other.features.keys())
    differing = [name for name in names if one.features.get(name) != other.features.get(name)]
    differing += [name for name in (ACTION, "rate") if getattr(one, name) != getattr(other, name)]
    qualities = {context.env_args.get(IMAGE_QUALITY, "full") for context in (one, other)}
    if len(qualities) > 1 and all(_cameras(context.features) for context in (one, other)):
        differing.append(IMAGE_QUALITY)
    return differing


def require_same_features(first: EpisodeContext, new: EpisodeContext, dataset: Path) -> None:
    """Refuse an episode that does not fit the others of its dataset.

    Raises:
        FeatureMismatch: names what differs.
    """
    if differing := differing_features(first, new):
        raise FeatureMismatch(
            f"the new episode does not fit the others of {dataset} in {', '.join(differing)}; "
            "write into another dataset"
        )


def _cameras(features: Mapping[str, Feature]) -> list[str]:
    return [name for name, feature in features.items() if feature.is_image]


def _vectors(features: Mapping[str, Feature]) -> list[str]:
    return [name for name, feature in features.items() if not feature.is_image]
