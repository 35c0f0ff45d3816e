"""Names go over into each layout and come back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robolearn.episodes.features import Feature
from robolearn.episodes.formats.layouts import (
    feature_name,
    lerobot_keys,
    replay_buffer_feature,
    replay_buffer_key,
    replay_buffer_keys,
    robomimic_key,
)
from robolearn.errors import DatasetError

PIECES = st.sampled_from(
    ["image", "images", "state", "object", "img", "action", "environment_state", "front", "a_image"]
    + ["_image", "robot0_eef_pos", "simulator_state", "observation", "camera0_rgb", "states", "ü x"]
)
NAMES = st.lists(PIECES, min_size=1, max_size=3).map(lambda rest: ".".join(["observation", *rest]))
FEATURES = NAMES | st.sampled_from(["action", "simulator_state"])
KEYS = st.lists(PIECES, min_size=1, max_size=3).map(".".join)


def is_held(call) -> bool:
    try:
        call()
    except DatasetError:
        return False
    return True


@given(FEATURES)
def test_each_feature_comes_back_from_robomimics_layout(name):
    assert feature_name(robomimic_key(name)) == name


@given(KEYS.map("obs/{}".format))
def test_each_key_of_robomimics_layout_comes_back(key):
    if is_held(lambda: feature_name(key)):
        assert robomimic_key(feature_name(key)) == key


@given(FEATURES, st.booleans())
def test_each_feature_comes_back_from_a_replay_buffer(name, image):
    if is_held(lambda: replay_buffer_key(name, image)):
        assert replay_buffer_feature(replay_buffer_key(name, image), image) == name


@given(KEYS, st.booleans())
def test_each_key_of_a_replay_buffer_comes_back(key, image):
    if is_held(lambda: replay_buffer_feature(key, image)):
        assert replay_buffer_key(replay_buffer_feature(key, image), image) == key


@pytest.mark.parametrize(
    ("feature", "key"),
    [
        ("action", "actions"),
        ("simulator_state", "states"),
        ("observation.environment_state", "obs/object"),
        ("observation.state", "obs/state"),
        ("observation.images.front", "obs/front_image"),
        ("observation.state.robot0_eef_pos", "obs/robot0_eef_pos"),
        ("observation.image", "obs/observation.image"),
        ("observation.state.object", "obs/observation.state.object"),
        ("observation.state.a_image", "obs/observation.state.a_image"),
    ],
)
def test_robomimics_names(feature, key):
    assert robomimic_key(feature) == key


@pytest.mark.parametrize(
    ("feature", "image", "key"),
    [
        ("action", False, "action"),
        ("observation.state", False, "state"),
        ("observation.image", True, "img"),
        ("observation.images.camera0_rgb", True, "camera0_rgb"),
        ("observation.state.keypoint", False, "keypoint"),
        ("observation.state.action", False, "observation.state.action"),
        ("observation.velocity", False, "observation.velocity"),
    ],
)
def test_a_replay_buffers_names(feature, image, key):
    assert replay_buffer_key(feature, image) == key


@pytest.mark.parametrize(
    "name", ["observation.a/b", "observation.", "reward", "observation.\n", ""]
)
def test_what_is_no_name_in_a_file_is_refused(name):
    with pytest.raises(DatasetError, match="no place"):
        robomimic_key(name)
    with pytest.raises(DatasetError, match="no place"):
        replay_buffer_key(name, False)


@pytest.mark.parametrize("key", ["..", "a/b", "", ".zarray", "a\0"])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(DatasetError, match="cannot be the name"):
        replay_buffer_feature(key, False)
    with pytest.raises(DatasetError, match="none of"):
        feature_name(f"obs/{key}")


def test_a_name_that_has_a_place_of_its_own_stands_nowhere_else():
    with pytest.raises(DatasetError, match="it is called 'obs/front_image'"):
        feature_name("obs/observation.images.front")
    with pytest.raises(DatasetError, match="it is called 'state'"):
        replay_buffer_feature("observation.state", False)


def test_two_features_of_one_name_are_refused():
    features = {
        "observation.state.front": Feature("float32", (2,)),
        "observation.images.front": Feature("uint8", (4, 4, 3)),
    }
    with pytest.raises(DatasetError, match="both be data/front"):
        replay_buffer_keys(features)


def test_parts_of_the_state_are_one_vector_in_lerobot():
    features = {
        "observation.state.arm": Feature("float32", (2,)),
        "observation.images.front": Feature("uint8", (4, 4, 3)),
        "observation.state.hand": Feature("float64", (1,)),
        "observation.state.touched": Feature("bool", (1,)),
    }
    assert lerobot_keys(features) == {
        "observation.state": ["observation.state.arm", "observation.state.hand"],
        "observation.images.front": ["observation.images.front"],
        "observation.state.touched": ["observation.state.touched"],
    }


def test_parts_stay_apart_beside_a_state_of_its_own():
    names = ["observation.state", "observation.state.arm"]
    features = dict.fromkeys(names, Feature("float32", (2,)))
    assert lerobot_keys(features) == {name: [name] for name in names}


@pytest.mark.parametrize("name", ["index", "next.reward", "observation.a/b", "robolearn.time"])
def test_lerobots_own_names_are_refused(name):
    with pytest.raises(DatasetError, match="no place"):
        lerobot_keys({name: Feature("float32", (1,))})
