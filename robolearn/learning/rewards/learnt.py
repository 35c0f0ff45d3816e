"""A reward that was learnt, on disk: safetensors and JSON, as a policy is; and along an episode.

::

    RUN/reward/
      model.safetensors   weights of the discriminator, and the normalisation of what it sees
      config.json         format version, how it was learnt, what it sees
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import Feature, all_differences
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import FeatureMismatch, TrainingError
from robolearn.folders import commit
from robolearn.learning.finetuning.demonstrations import observed
from robolearn.learning.finetuning.trajectories import Trajectories, Trajectory
from robolearn.learning.rewards.adversarial import AdversarialReward
from robolearn.learning.rewards.config import RewardConfig
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.learning.rewards.registry import make_reward
from robolearn.policies.policy import Policy

FORMAT_VERSION = 3
_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


@dataclass(frozen=True)
class Seen:
    """What a reward sees, to make its `SeenFeatures` again.

    Attributes:
        chosen: elements, as they were named.
        vectors: features that they are chosen from, by name.
        discount: γ of the update that it was learnt for.
    """

    chosen: tuple[str, ...]
    vectors: Mapping[str, Feature]
    discount: float


class LearntReward:
    """A reward that is asked of recorded episodes.

    Args:
        reward: the network and what becomes of its answer.
        seen: what it sees.
        policy: that practised with it, whose inputs an episode then needs, too.
    """

    def __init__(self, reward: AdversarialReward, seen: Seen, policy: Policy) -> None:
        self._reward = reward.eval()
        self._seen = seen
        self._memory = policy.config.memory
        features = dict(seen.vectors)
        if reward.asks_policy:
            features |= {name: policy.schema.inputs[name] for name in policy.schema.inputs}
        self._features = features
        self._action = policy.schema.action

    def require_fit(self, context: EpisodeContext, what: str) -> None:
        """Refuse episodes that do not hold what the reward sees.

        Raises:
            FeatureMismatch: names what is missing or differs.
        """
        differences = all_differences(self._features, context.features)
        if context.action.shape != self._action.shape:
            differences.append(f"action is {context.action.shape}, not {self._action.shape}")
        if differences:
            raise FeatureMismatch(
                f"the learnt reward does not fit {what}: {'; '.join(differences)}"
            )

    @torch.inference_mode()
    def along(self, episode: Episode) -> Array:
        """(T − 1,) r(s, a, s') of an episode's steps; after the last one nothing was recorded."""
        if len(episode) < 2:
            return np.zeros(0, np.float32)
        steps = Trajectories(
            self._features,
            self._action.shape[0],
            self._memory.history,
            self._memory.past_actions,
            len(episode),
        )
        actions = torch.from_numpy(episode.actions[:-1])
        seen = observed(episode, self._features)
        steps.add(Trajectory(seen, actions, actions, terminated=False))
        rewards: Array = self._reward.reward(steps.all).numpy()
        return rewards


def save_reward(
    reward: AdversarialReward,
    features: SeenFeatures,
    seen: Seen,
    config: RewardConfig,
    folder: Path,
) -> None:
    """Write a reward, in the place of one that is there.

    Raises:
        OSError: the disk is full.
    """
    staged = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    tensors = {f"network.{name}": value for name, value in reward.network.state_dict().items()}
    tensors |= {f"seen.{name}": value for name, value in features.state_dict().items()}
    (staged / _WEIGHTS).write_bytes(save({n: v.contiguous() for n, v in tensors.items()}))
    description = {
        "format_version": FORMAT_VERSION,
        "reward": dataclasses.asdict(config),
        "chosen": seen.chosen,
        "vectors": {name: feature.to_json() for name, feature in seen.vectors.items()},
        "discount": seen.discount,
    }
    (staged / _CONFIG).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    commit(staged, folder)


def load_reward(folder: Path, policy: Policy) -> LearntReward:
    """Read what `save_reward` wrote.

    Args:
        folder: of the reward.
        policy: of the same run.

    Raises:
        TrainingError: there is none, or it is damaged or of another version; names the file.
    """
    path = folder / _CONFIG
    if not path.is_file():
        raise TrainingError(
            f"there is no learnt reward in {folder}: robolearn finetune writes it there"
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if description["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {description['format_version']}")
        config = TypeAdapter(RewardConfig).validate_python(description["reward"])
        vectors = {n: Feature.from_json(f) for n, f in description["vectors"].items()}
        seen = Seen(_texts(description["chosen"]), vectors, float(description["discount"]))
        features = SeenFeatures(seen.chosen, vectors)
        reward = make_reward(config, features, policy, seen.discount)
        tensors = load_file(folder / _WEIGHTS)
        features.load_state_dict(_part(tensors, "seen."))
        reward.network.load_state_dict(_part(tensors, "network."))
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{folder / _WEIGHTS}: no readable weights: {error}") from error
    except Exception as error:  # whatever a damaged or hostile description leads to
        reason = " ".join(str(error).split())
        raise TrainingError(f"{path}: no readable reward: {reason}") from error
    return LearntReward(reward, seen, policy)


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
