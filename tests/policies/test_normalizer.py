from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from robolearn.errors import ConfigurationError, DatasetError, FeatureMismatch
from robolearn.policies.normalizer import Normalizer, require_varying


@pytest.fixture
def values() -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.normal(size=(500, 3)) * [1, 40, 1e-3] + [0, 300, 2]).astype(np.float32)


def test_standard_is_numpys_mean_and_deviation(values: np.ndarray) -> None:
    normalizer = Normalizer(3)
    assert not normalizer.fit(torch.from_numpy(values)).any()
    expected = (values - values.mean(0, dtype=float)) / values.std(0, dtype=float)
    np.testing.assert_allclose(normalizer(torch.from_numpy(values)), expected, rtol=1e-3, atol=1e-3)


def test_the_range_becomes_minus_one_to_one(values: np.ndarray) -> None:
    normalizer = Normalizer(3, "range")
    normalizer.fit(torch.from_numpy(values))
    normalized = normalizer(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(normalized.min(0), -1, atol=1e-3)
    np.testing.assert_allclose(normalized.max(0), 1, atol=1e-3)
    expected = 2 * (values - values.min(0)) / np.ptp(values, axis=0) - 1
    np.testing.assert_allclose(normalized, expected, atol=1e-3)


def test_none_changes_nothing(values: np.ndarray) -> None:
    normalizer = Normalizer(3, "none")
    normalizer.fit(torch.from_numpy(values))
    np.testing.assert_array_equal(normalizer(torch.from_numpy(values)), values)


@pytest.mark.parametrize("scaling", ["standard", "range", "none"])
def test_the_inverse_undoes_it(values: np.ndarray, scaling) -> None:
    normalizer = Normalizer(3, scaling)
    normalizer.fit(torch.from_numpy(values))
    there_and_back = normalizer.inverse(normalizer(torch.from_numpy(values)))
    np.testing.assert_allclose(there_and_back, values, rtol=1e-5, atol=1e-6)


def test_what_hardly_varies_is_not_blown_up(values: np.ndarray) -> None:
    normalizer = Normalizer(3, least_scale=0.01)
    normalizer.fit(torch.from_numpy(values))
    assert normalizer.scale[2] == pytest.approx(0.01)
    assert normalizer(torch.from_numpy(values))[:, 2].std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("scaling", ["standard", "range"])
def test_a_constant_is_zero_whatever_comes_and_comes_back(values: np.ndarray, scaling) -> None:
    values[:, 1] = 7.3
    normalizer = Normalizer(3, scaling)
    constant = normalizer.fit(torch.from_numpy(values))
    assert constant.tolist() == [False, True, False]
    moved = torch.from_numpy(values) + 1.0
    assert (normalizer(moved)[:, 1] == 0).all()
    torch.testing.assert_close(normalizer.inverse(normalizer(moved))[:, 1], torch.full((500,), 7.3))


def test_the_rounding_of_float32_does_not_vary() -> None:
    values = torch.full((100, 2), 800.0)
    values[::2, 0] = torch.nextafter(values[0, 0], torch.tensor(900.0))
    values[::2, 1] = 801.0
    assert Normalizer(2).fit(values).tolist() == [True, False]


def test_values_that_are_missing_or_not_finite_are_refused() -> None:
    with pytest.raises(DatasetError, match="no frames"):
        Normalizer(2).fit(torch.empty(0, 2))
    for bad in (torch.nan, torch.inf):
        with pytest.raises(DatasetError, match="not finite"):
            Normalizer(2).fit(torch.tensor([[0.0, 1.0], [bad, 2.0]]))
    with pytest.raises(ConfigurationError, match="not unit"):
        Normalizer(2, "unit")


def test_constant_elements_are_named_and_a_constant_feature_refused(caplog) -> None:
    names = ("x", "y", "z")
    with caplog.at_level(logging.WARNING):
        require_varying("hand", names, torch.tensor([False, False, False]), "leave it")
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        require_varying("hand", names, torch.tensor([True, False, True]), "leave it")
    assert [record.getMessage() for record in caplog.records] == [
        "hand: constant in all demonstrations, so ignored: x, z"
    ]
    with pytest.raises(FeatureMismatch, match=r"^hand is constant .*; leave it$"):
        require_varying("hand", names, torch.tensor([True, True, True]), "leave it")
