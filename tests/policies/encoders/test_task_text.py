from __future__ import annotations

import pytest
import torch

from robolearn.errors import FeatureMismatch
from robolearn.policies.encoders.task_text import TaskTextEncoder

TEXTS = ("lift the cube", "open the door", "wipe the table")


def test_each_text_has_its_vector() -> None:
    encoder = TaskTextEncoder(TEXTS, 5)
    indices = torch.tensor([[[0], [2]], [[1], [1]]])
    vectors = encoder(indices)
    assert vectors.shape == (2, 2, 5)
    torch.testing.assert_close(vectors[0, 1], encoder.vectors.weight[2])
    torch.testing.assert_close(vectors[1, 0], encoder.vectors.weight[1])
    assert [encoder.index(text) for text in TEXTS] == [0, 1, 2]


def test_an_unknown_text_is_named_with_those_that_are_known() -> None:
    with pytest.raises(
        FeatureMismatch, match="know the task 'sing'; it knows 'lift the cube', 'open the door', "
    ):
        TaskTextEncoder(TEXTS, 5).index("sing")


@pytest.mark.parametrize("texts", [(), ("lift the cube",)])
def test_one_text_tells_nothing(texts: tuple[str, ...]) -> None:
    with pytest.raises(FeatureMismatch, match="leave it out"):
        TaskTextEncoder(texts, 5)


def test_a_text_is_there_once() -> None:
    with pytest.raises(FeatureMismatch, match="twice: 'a', 'b', 'a'"):
        TaskTextEncoder(("a", "b", "a"), 5)
