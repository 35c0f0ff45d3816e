"""What describes an episode and is no array: JSON beside what a layout has a place for."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.episodes.labels import valid_text
from robolearn.errors import DatasetError


@dataclass(frozen=True)
class Description:
    """Of one episode. Read from a file, it is checked against these types.

    Attributes:
        features: of the observations, by name, as JSON.
        action: the action feature, as JSON.
        task: in words.
        rate: control steps a second, Hz.
        seed: what the episode was reset with.
        outcome: how it ended.
        agent: who drove.
        recorded_at: when it began, ISO 8601.
        operator: the person in charge.
        notes: free text.
        lost_images: how many images of each camera could not be kept.
        env_args: robomimic's description of the environment.
        model_file: MJCF of the simulated world.
    """

    features: dict[str, Any]
    action: dict[str, Any]
    task: str
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    seed: int | None
    outcome: Outcome
    agent: str
    recorded_at: str | None
    operator: str = ""
    notes: str = ""
    lost_images: dict[str, int] = field(default_factory=dict)
    env_args: dict[str, Any] = field(default_factory=dict)
    model_file: str | None = None

    @classmethod
    def of(cls, episode: Episode) -> Self:
        """The description of an episode."""
        return cls.of_context(
            episode.context,
            outcome=episode.outcome,
            agent=episode.agent,
            recorded_at=episode.recorded_at,
            operator=episode.operator,
            notes=episode.notes,
            lost_images={name: lost for name, lost in episode.lost_images.items() if lost},
        )

    @classmethod
    def of_context(cls, context: EpisodeContext, **rest: Any) -> Self:
        """The description of an episode in this context; ``rest`` are the other fields."""
        return cls(
            features={name: feature.to_json() for name, feature in context.features.items()},
            action=context.action.to_json(),
            task=context.task,
            rate=context.rate,
            seed=context.seed,
            env_args=dict(context.env_args),
            model_file=context.model_file,
            **rest,
        )

    def to_json(self) -> str:
        """What `from_json` reads."""
        return json_text(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` gave.

        Raises:
            DatasetError: it is damaged, or of other types.
        """
        try:
            description: Self = _adapter().validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise DatasetError(f"its description is damaged: {place}: {first['msg']}") from error
        return description

    @property
    def context(self) -> EpisodeContext:
        """What holds for the whole episode.

        Raises:
            DatasetError: a feature is described wrongly.
        """
        return EpisodeContext(
            features=_features(self.features),
            action=ActionFeature.from_json(self.action),
            task=self.task,
            rate=self.rate,
            env_args=self.env_args,
            model_file=self.model_file,
            seed=self.seed,
        )


def json_text(value: Any) -> str:
    """As one line of JSON that is valid UTF-8."""
    return valid_text(json.dumps(value, ensure_ascii=False))


@functools.cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Description)


def _features(described: Mapping[str, Any]) -> dict[str, Feature]:
    return {name: Feature.from_json(feature) for name, feature in described.items()}
