import numpy as np
import pytest

from robolearn.episodes.features import ActionFeature, Feature
from robolearn.errors import DatasetError


def test_elements_are_found_by_name() -> None:
    names = (
        "cube_pos.x",
        "cube_pos.y",
        "cube_quat.qx",
        "cube_quat.qy",
        "cube_quat.qz",
        "cube_quat.qw",
    )
    feature = Feature("float32", (6,), names)
    assert feature.indices("cube_pos") == [0, 1]
    assert feature.quaternions() == [2]
    with pytest.raises(DatasetError, match="'cube'"):
        feature.indices("cube")


def test_names_must_fit_the_shape() -> None:
    with pytest.raises(DatasetError, match="2 names"):
        Feature("float32", (3,), ("a", "b"))


def test_json_gives_the_feature_back() -> None:
    plain = Feature("uint8", (4, 5, 3))
    action = ActionFeature("float32", (2,), ("x", "g"), (-1.0, 0.0), (1.0, 2.0), (1,))
    assert Feature.from_json(plain.to_json()) == plain
    assert ActionFeature.from_json(action.to_json()) == action
    assert action.arm == (0,)


def test_a_frame_of_another_shape_is_refused() -> None:
    with pytest.raises(DatasetError, match="shape"):
        Feature("float32", (3,)).as_frame(np.zeros(4))
