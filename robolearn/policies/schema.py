"""What goes into a policy and what comes out, and whether an environment or a dataset fits it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from robolearn.episodes.features import (
    SAFETY,
    SIMULATOR_STATE,
    TASK_FEATURE,
    TASK_INDEX,
    ActionFeature,
    Feature,
)
from robolearn.episodes.frames import EpisodeContext
from robolearn.errors import FeatureMismatch
from robolearn.policies.auxiliary.config import AuxiliaryConfig
from robolearn.policies.auxiliary.features import learnt_features


@dataclass(frozen=True)
class PolicySchema:
    """Features of a policy.

    Attributes:
        inputs: observation features by name, in the order in which they enter the network.
        action: what it decides.
        task: the task in words.
        rate: control steps a second that it was trained at, Hz.
        tasks: the texts that `TASK_INDEX` counts, where that is an input.
        learnt: features that auxiliary losses are of, by name; where the policy is used they need
            not be there.
    """

    inputs: Mapping[str, Feature]
    action: ActionFeature
    task: str
    rate: float
    tasks: tuple[str, ...] = ()
    learnt: Mapping[str, Feature] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        context: EpisodeContext,
        inputs: Sequence[str],
        tasks: Sequence[str] = (),
        auxiliary: AuxiliaryConfig | None = None,
    ) -> PolicySchema:
        """What a policy learns from demonstrations in this context.

        Args:
            context: of the demonstrations.
            inputs: features chosen; empty means every observation that is a vector.
            tasks: texts of the demonstrations, each once; of use where `TASK_INDEX` is chosen.
            auxiliary: losses, that may be of features which are not seen; None for none.

        Raises:
            FeatureMismatch: a chosen feature is not there, or cannot be seen; or one that an
                auxiliary loss is of.
        """
        offered = dict(context.features)
        if len(tasks) > 1:
            offered[TASK_INDEX] = TASK_FEATURE
        for name in inputs:
            if (problem := _problem(name, offered)) is not None:
                there = [name for name in offered if _problem(name, offered) is None]
                raise FeatureMismatch(
                    f"the policy's input {name!r} is {problem}; there are {', '.join(there)}"
                )
        chosen = {name: offered[name] for name in inputs}
        if not inputs:
            chosen = {
                name: feature
                for name, feature in context.features.items()
                if name not in {SIMULATOR_STATE, SAFETY} and len(feature.shape) == 1
            }
        if not chosen:
            images = [name for name, feature in offered.items() if feature.is_image]
            raise FeatureMismatch(
                f"the dataset has no observation vectors for the policy to see; {_remedy(images)}"
            )
        texts = tuple(tasks) if TASK_INDEX in chosen else ()
        seen = cls(chosen, context.action, context.task, context.rate, texts)
        if auxiliary is None:
            return seen
        return replace(seen, learnt=learnt_features(auxiliary, context.features, seen.vectors))

    @property
    def vectors(self) -> dict[str, Feature]:
        """The inputs that are vectors."""
        return {
            name: feature
            for name, feature in self.inputs.items()
            if len(feature.shape) == 1 and name != TASK_INDEX
        }

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the inputs that are colour images."""
        return tuple(name for name, feature in self.inputs.items() if feature.is_image)

    @property
    def depths(self) -> tuple[str, ...]:
        """Names of the inputs that are images of distances."""
        return tuple(name for name, feature in self.inputs.items() if feature.is_depth)

    def without(self, names: Collection[str]) -> PolicySchema:
        """The same with fewer inputs."""
        inputs = {name: of for name, of in self.inputs.items() if name not in names}
        return replace(self, inputs=inputs)

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
            if name != TASK_INDEX:
                differences += feature.differences(name, context.features.get(name))
            elif context.task not in self.tasks:
                known = ", ".join(map(repr, self.tasks))
                differences.append(f"the task is {context.task!r}, and it knows {known}")
        if context.action.shape != self.action.shape:
            differences.append(f"action is {context.action.shape}, not {self.action.shape}")
        elif not self.action.accepts(context.action):
            differences.append("action has other elements, limits or scales")
        if context.rate != self.rate:
            differences.append(f"the rate is {context.rate:g} Hz, not {self.rate:g} Hz")
        if differences:
            raise FeatureMismatch(f"the policy does not fit {what}: {'; '.join(differences)}")

    def differences(self, before: PolicySchema) -> list[str]:
        """What is not as in an earlier schema, in words."""
        found = [f"{name} is new" for name in self.inputs if name not in before.inputs]
        for name, feature in before.inputs.items():
            found += feature.differences(name, self.inputs.get(name))
        if not found and list(self.inputs) != list(before.inputs):
            found.append(f"the inputs stood in the order {', '.join(before.inputs)}")
        for name, feature in before.learnt.items():
            found += feature.differences(name, self.learnt.get(name))
        if self.action != before.action:
            found.append("action has other elements, limits or scales")
        if self.rate != before.rate:
            found.append(f"the rate is {self.rate:g} Hz, not {before.rate:g} Hz")
        if self.tasks != before.tasks:
            found.append(f"the tasks were {', '.join(map(repr, before.tasks)) or 'none'}")
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": {name: feature.to_json() for name, feature in self.inputs.items()},
            "action": self.action.to_json(),
            "task": self.task,
            "rate": self.rate,
            "tasks": list(self.tasks),
            "learnt": {name: feature.to_json() for name, feature in self.learnt.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PolicySchema:
        return cls(
            {name: Feature.from_json(feature) for name, feature in data["inputs"].items()},
            ActionFeature.from_json(data["action"]),
            data["task"],
            data["rate"],
            tuple(data["tasks"]),
            {name: Feature.from_json(feature) for name, feature in data["learnt"].items()},
        )


def _problem(name: str, offered: Mapping[str, Feature]) -> str | None:
    """Why a policy cannot see a feature; None if it can."""
    if name == TASK_INDEX and name not in offered:
        return "of no use where all demonstrations are of one task"
    if name not in offered:
        return "not in the dataset"
    feature = offered[name]
    if name == SIMULATOR_STATE:
        return "the simulator's own, which no robot can sense"
    if name == SAFETY:
        return "what the safety supervisor did, which no robot senses"
    if len(feature.shape) == 1 or feature.is_image or feature.is_depth:
        return None
    return f"of shape {feature.shape}, which is no vector, image or depth image"


def _remedy(images: Sequence[str]) -> str:
    if images:
        return f"name images for it to see: {', '.join(images)}"
    return (
        "from a simulator's states they are filled in by: "
        "robolearn convert DATASET NEW --replay sim:TASK"
    )
