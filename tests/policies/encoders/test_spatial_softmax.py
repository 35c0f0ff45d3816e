from __future__ import annotations

import pytest
import torch

from robolearn.policies.encoders.spatial_softmax import SpatialSoftmax, expected_positions


@pytest.mark.parametrize(
    ("row", "column", "x", "y"), [(0, 0, -1, -1), (0, 8, 1, -1), (4, 0, -1, 1), (2, 6, 0.5, 0)]
)
def test_a_bright_pixel_is_where_it_is(row: int, column: int, x: float, y: float) -> None:
    maps = torch.zeros(1, 2, 5, 9)
    maps[0, 1, row, column] = 100.0
    positions = expected_positions(maps)
    torch.testing.assert_close(positions, torch.tensor([[0.0, x, 0.0, y]]), atol=1e-5, rtol=0)


def test_it_is_the_formula() -> None:
    torch.manual_seed(0)
    softmax = SpatialSoftmax(channels=3, keypoints=4)
    images = torch.randn(2, 3, 6, 7)
    activations = softmax.mix(images)
    for image in range(2):
        for point in range(4):
            weights = activations[image, point].exp()
            weights = weights / weights.sum()
            x = sum(weights[i, j] * (2 * j / 6 - 1) for i in range(6) for j in range(7))
            y = sum(weights[i, j] * (2 * i / 5 - 1) for i in range(6) for j in range(7))
            found = softmax(images)[image, [point, 4 + point]]
            torch.testing.assert_close(found, torch.stack([x, y]))
