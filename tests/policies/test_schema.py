from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.errors import FeatureMismatch
from robolearn.policies.schema import PolicySchema


def test_an_input_that_is_not_there_lists_those_that_are(line_dataset: Path) -> None:
    with pytest.raises(
        FeatureMismatch, match=r"'observation\.state\.foot' .* observation\.state\.hand"
    ):
        PolicySchema.of(open_dataset(line_dataset).context, ("observation.state.foot",))


def test_images_are_left_out_of_a_state_policy(make_episode) -> None:
    context = make_episode(image=True).context
    assert set(PolicySchema.of(context, ()).inputs) == {
        "observation.state.hand",
        "observation.environment_state",
    }


def test_each_difference_to_an_environment_is_named(schema: PolicySchema, make_episode) -> None:
    context = make_episode().context
    schema.require_fit(context, "the line")
    other = dataclasses.replace(
        context,
        features={"observation.state.hand": Feature("float32", (3,), ("a", "b", "c"))},
        action=ActionFeature("float32", (1,), ("x",), (-1.0,), (1.0,)),
        rate=50.0,
    )
    with pytest.raises(FeatureMismatch) as caught:
        schema.require_fit(other, "the line")
    message = str(caught.value)
    for part in (
        "does not fit the line",
        "hand is (3,), not (2,)",
        "observation.environment_state is missing",
        "action is (1,), not (2,)",
        "50 Hz, not 10 Hz",
    ):
        assert part in message


IMAGES = {
    "observation.images.front": Feature("uint8", (32, 32, 3)),
    "observation.images.wrist": Feature("uint8", (32, 32, 3)),
    "observation.images.wrist_depth": Feature("float32", (32, 32)),
}


def test_images_depth_and_text_are_seen_where_they_are_named(make_episode) -> None:
    context = make_episode().context
    context = dataclasses.replace(context, features={**context.features, **IMAGES})
    names = (*IMAGES, "task_index", "observation.state.hand")
    schema = PolicySchema.of(context, names, ("go there", "come back"))
    assert tuple(schema.inputs) == names
    assert schema.tasks == ("go there", "come back")
    assert schema.images == ("observation.images.front", "observation.images.wrist")
    assert tuple(schema.vectors) == ("observation.state.hand",)
    assert PolicySchema.from_json(schema.to_json()) == schema
    assert PolicySchema.of(context, names[:2], ("go there", "come back")).tasks == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("simulator_state", "which no robot can sense; there are observation.state.hand"),
        ("observation.cloud", r"of shape \(2, 3, 4, 5\), which is no vector"),
        ("task_index", "of no use where all demonstrations are of one task"),
    ],
)
def test_what_cannot_be_seen_is_named(make_episode, name: str, message: str) -> None:
    context = make_episode().context
    features = {
        **context.features,
        "simulator_state": Feature("float64", (9,)),
        "observation.cloud": Feature("float32", (2, 3, 4, 5)),
    }
    context = dataclasses.replace(context, features=features)
    with pytest.raises(FeatureMismatch, match=message):
        PolicySchema.of(context, (name,), ("go there",))
    assert name not in PolicySchema.of(context, ()).inputs


def test_a_dataset_of_images_only_says_which_to_name(make_episode) -> None:
    context = dataclasses.replace(make_episode().context, features=IMAGES)
    with pytest.raises(FeatureMismatch, match=r"name images .*: observation\.images\.front, "):
        PolicySchema.of(context, ())


def test_one_camera_where_two_are_seen_is_refused(make_episode) -> None:
    context = make_episode().context
    both = dataclasses.replace(context, features={**context.features, **IMAGES})
    schema = PolicySchema.of(both, ("observation.images.front", "observation.images.wrist"))
    features = {"observation.images.front": IMAGES["observation.images.front"]}
    one = dataclasses.replace(context, features=features)
    with pytest.raises(FeatureMismatch, match=r"^the policy does not fit one eye: .*wrist is miss"):
        schema.require_fit(one, "one eye")
    depth = {name: Feature("float32", (32, 32, 3)) for name in schema.inputs}
    with pytest.raises(FeatureMismatch, match="front is float32, not uint8"):
        schema.require_fit(dataclasses.replace(context, features=depth), "depth")


def test_a_task_that_it_does_not_know_is_refused(make_episode) -> None:
    context = make_episode().context
    schema = PolicySchema.of(context, ("task_index",), ("go there", "come back"))
    schema.require_fit(context, "the line")
    other = dataclasses.replace(context, task="dance")
    with pytest.raises(FeatureMismatch, match="'dance', and it knows 'go there', 'come back'"):
        schema.require_fit(other, "the line")
