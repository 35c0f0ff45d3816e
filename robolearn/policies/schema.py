"""What goes into a policy and what comes out, and whether an environment or a dataset fits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robolearn.episodes.features import SIMULATOR_STATE, ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext
from robolearn.errors import FeatureMismatch


@dataclass(frozen=True)
class PolicySchema:
    """Features of a policy.

    Attributes:
        inputs: observation features by name, in the order in which they enter the network.
        action: what it decides.
        task: the task in words.
        rate: control steps a second that it was trained at, Hz.
    """

    inputs: Mapping[str, Feature]
    action: ActionFeature
    task: str
    rate: float

    @classmethod
    def of(cls, context: EpisodeContext, inputs: tuple[str, ...]) -> PolicySchema:
        """What a policy learns from demonstrations in this context.

        Args:
            context: of the demonstrations.
            inputs: features chosen; empty means every observation that is no image.

        Raises:
            FeatureMismatch: a chosen feature is not there or is an image.
        """
        vectors = {
            name: feature
            for name, feature in context.features.items()
            if name != SIMULATOR_STATE and len(feature.shape) == 1
        }
        for name in inputs:
            if name not in vectors:
                image = name in context.features and context.features[name].is_image
                what = "an image, which policies do not take yet" if image else "not in the dataset"
                raise FeatureMismatch(
                    f"the policy's input {name!r} is {what}; there are {', '.join(vectors)}"
                )
        chosen = {name: vectors[name] for name in inputs or vectors}
        if not chosen:
            raise FeatureMismatch(
                "the dataset has no observation vectors for the policy to see; from a simulator's "
                "states they are filled in by: robolearn convert DATASET NEW --replay sim:TASK"
            )
        return cls(chosen, context.action, context.task, context.rate)

    def require_fit(self, context: EpisodeContext, what: str) -> None:
        """Raise unless a policy of this schema can be used in that context.

        Args:
            context: of an environment or a dataset.
            what: it is, for the message.

        Raises:
            FeatureMismatch: names every difference.
        """
        differences = []
        for name, feature in self.inputs.items():
            offered = context.features.get(name)
            if offered is None:
                differences.append(f"{name} is missing")
            elif offered.shape != feature.shape:
                differences.append(f"{name} is {offered.shape}, not {feature.shape}")
            elif feature.names and offered.names and offered.names != feature.names:
                differences.append(
                    f"{name} has other elements: {offered.names}, not {feature.names}"
                )
        if context.action.shape != self.action.shape:
            differences.append(f"action is {context.action.shape}, not {self.action.shape}")
        elif not self.action.accepts(context.action):
            differences.append("action has other elements, limits or scales")
        if context.rate != self.rate:
            differences.append(f"the rate is {context.rate:g} Hz, not {self.rate:g} Hz")
        if differences:
            raise FeatureMismatch(f"the policy does not fit {what}: {'; '.join(differences)}")

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": {name: feature.to_json() for name, feature in self.inputs.items()},
            "action": self.action.to_json(),
            "task": self.task,
            "rate": self.rate,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PolicySchema:
        return cls(
            {name: Feature.from_json(feature) for name, feature in data["inputs"].items()},
            ActionFeature.from_json(data["action"]),
            data["task"],
            data["rate"],
        )
