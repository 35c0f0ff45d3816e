"""The windows that a policy learns from."""

from __future__ import annotations

import torch

from robolearn.episodes.dataset import Dataset, Split
from robolearn.episodes.loading.image_cache import ImageCache
from robolearn.episodes.loading.windows import Windows
from robolearn.policies.auxiliary.features import arm_features
from robolearn.policies.config import PolicyConfig
from robolearn.policies.schema import PolicySchema


def learning_windows(
    dataset: Dataset,
    schema: PolicySchema,
    config: PolicyConfig,
    split: Split,
    device: torch.device | str = "cpu",
) -> Windows:
    """Windows of demonstrations with all that `Policy.losses` asks for.

    Args:
        dataset: demonstrations.
        schema: what goes into the policy and what is learnt.
        config: of the policy.
        split: which side of the dataset.
        device: where the vectors are held.

    Raises:
        DatasetError: the split is empty, or an episode cannot be read or does not fit.
    """
    auxiliary = config.auxiliary
    return Windows(
        dataset,
        tuple({**schema.inputs, **schema.learnt}),
        config.learning_frames,
        split,
        device,
        past_actions=config.learning_past_actions,
        horizon=config.horizon,
        cache=ImageCache() if schema.images else None,
        tasks=schema.tasks,
        final=tuple(arm_features(auxiliary, schema.learnt)) if auxiliary.final_pose else (),
    )
