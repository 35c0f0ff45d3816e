import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.layouts import feature_name, robomimic_key
from robolearn.errors import DatasetError

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name != "object" and not name.endswith("_image")
)


@given(NAMES, st.sampled_from(["observation.state.{}", "observation.images.{}"]))
def test_names_survive_robomimics_layout(name: str, pattern: str) -> None:
    feature = pattern.format(name)
    assert feature_name(robomimic_key(feature)) == feature


@pytest.mark.parametrize(
    ("feature", "key"),
    [
        ("action", "actions"),
        ("simulator_state", "states"),
        ("observation.environment_state", "obs/object"),
        ("observation.state.robot0_eef_pos", "obs/robot0_eef_pos"),
        ("observation.images.agentview", "obs/agentview_image"),
    ],
)
def test_the_table(feature: str, key: str) -> None:
    assert robomimic_key(feature) == key
    assert feature_name(key) == feature


@pytest.mark.parametrize("name", ["observation", "reward", "observation.sound.mic", ""])
def test_what_the_layout_has_no_place_for_is_refused(name: str) -> None:
    with pytest.raises(DatasetError, match="no place"):
        robomimic_key(name)


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
