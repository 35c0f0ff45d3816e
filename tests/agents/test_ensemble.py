from __future__ import annotations

import math

import numpy as np
import pytest

from robolearn.agents.ensemble import TemporalEnsemble


def test_the_mean_is_weighted_from_the_oldest_on() -> None:
    """Worked by hand from ACT's formula, with chunks of three steps."""
    ensemble = TemporalEnsemble(3, decay=0.5)
    chunks = [np.array([[10.0 * made + ahead] for ahead in range(3)]) for made in range(5)]
    w = [math.exp(-0.5 * i) for i in range(3)]
    found = [ensemble.add(chunk)[0] for chunk in chunks]
    assert found[0] == 0
    assert found[1] == pytest.approx((w[0] * 1 + w[1] * 10) / (w[0] + w[1]))
    assert found[2] == pytest.approx((w[0] * 2 + w[1] * 11 + w[2] * 20) / sum(w))
    assert found[4] == pytest.approx((w[0] * 22 + w[1] * 31 + w[2] * 40) / sum(w))
    ensemble.clear()
    assert ensemble.add(chunks[3])[0] == 30


def test_without_decay_it_is_the_plain_mean() -> None:
    ensemble = TemporalEnsemble(2, decay=0)
    ensemble.add(np.array([[0.0, 1.0], [2.0, 4.0]]))
    np.testing.assert_allclose(ensemble.add(np.array([[4.0, 8.0], [0.0, 0.0]])), [3, 6])
