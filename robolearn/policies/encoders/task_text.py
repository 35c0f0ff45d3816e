"""What is to be done, in words: a vector learnt for each text of the demonstrations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from robolearn.episodes.features import TASK_INDEX
from robolearn.errors import FeatureMismatch


class TaskTextEncoder(nn.Module):
    """Looks up the vector of a text, so that one policy learns several tasks.

    Texts that mean alike are not alike to it: it knows those that it was trained with, as they are
    written.

    Args:
        texts: of the demonstrations, in the order in which they are counted.
        width: of each vector.

    Raises:
        FeatureMismatch: there are less than two texts, or one is there twice.
    """

    def __init__(self, texts: Sequence[str], width: int) -> None:
        super().__init__()
        if len(texts) < 2:
            raise FeatureMismatch(
                f"{TASK_INDEX} tells nothing where there are not several tasks; leave it out of "
                "the policy's inputs"
            )
        if len(set(texts)) < len(texts):
            raise FeatureMismatch(f"a task is there twice: {_listed(texts)}")
        self._indices = {text: index for index, text in enumerate(texts)}
        self.vectors = nn.Embedding(len(texts), width)
        self.width = width

    def index(self, text: str) -> int:
        """Of a text.

        Raises:
            FeatureMismatch: it is not known; names those that are.
        """
        if text not in self._indices:
            raise FeatureMismatch(
                f"the policy does not know the task {text!r}; it knows {_listed(self._indices)}"
            )
        return self._indices[text]

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """(B, K, 1) int64 → (B, K, ``width``)."""
        vectors: torch.Tensor = self.vectors(indices.squeeze(-1).long())
        return vectors


def _listed(texts: Sequence[str] | dict[str, int]) -> str:
    return ", ".join(map(repr, texts))
