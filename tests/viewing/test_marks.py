"""Who drove, what was asked for and what was sent, limits, images as they are, learnt rewards."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robolearn.environments.safety.reasons import SAFETY_FEATURE, Reason, as_frame
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.images import CODECS, EncodedImages, encoded_frames
from robolearn.errors import FeatureMismatch
from robolearn.viewing.palette import PERSON
from robolearn.viewing.recording import save_recording


@pytest.fixture
def rewritten(make_dataset, tmp_path):
    """A dataset of one episode that a function has changed."""

    def make(change, **changes):
        episode = make_dataset((8,), (True,), **changes).episode(0)
        with FolderWriter(tmp_path / "changed") as writer:
            writer.add(change(episode))
        return open_dataset(tmp_path / "changed")

    return make


@pytest.fixture
def show(tmp_path, read_back):
    def save(dataset, **options):
        save_recording(dataset, tmp_path / "r.rrd", title="t", **options)
        return read_back(tmp_path / "r.rrd")

    return save


def taken_over(episode):
    flags = np.zeros(len(episode), bool)
    flags[3:5] = True
    return dataclasses.replace(episode, interventions=flags)


def test_who_drove_is_a_band_and_a_line_of_the_list(rewritten, show, plain):
    recording = show(rewritten(taken_over, **plain))
    drivers = recording.rows("/marks/driver", "StateChange:state")
    assert drivers.values == [["tester"], ["a person"], ["tester"]]
    assert drivers.frame == [0, 3, 5]
    lines = recording.rows("/text/episodes", "TextLog:text")
    assert [text for (text,) in lines.values[1:]] == [
        "episode 0: a person takes over after 0.3 s",
        "episode 0: a person gives back after 0.5 s",
    ]
    assert lines.frame[1:] == [3, 5]


def test_where_a_person_drove_the_path_has_another_colour(rewritten, show, plain):
    dataset = rewritten(taken_over, **plain)
    recording = show(dataset)
    (strips,) = recording.rows("/world/path", "LineStrips3D:strips").values
    (colors,) = recording.rows("/world/path", "LineStrips3D:colors").values
    assert [len(strip) for strip in strips] == [4, 3, 3]
    red, green, blue = PERSON
    assert colors[1] == red << 24 | green << 16 | blue << 8 | 255
    assert colors[0] == colors[2] != colors[1]
    # The pieces meet: nothing of the path is missing.
    assert strips[0][-1] == strips[1][0]
    assert strips[1][-1] == strips[2][0]


def test_success_is_a_band_and_a_place(rewritten, show, plain):
    dataset = rewritten(lambda episode: episode, **plain)
    recording = show(dataset)
    task = recording.rows("/marks/task", "StateChange:state")
    assert task.values == [["not yet"], ["done"]]
    assert task.frame == [0, 6]
    reached = recording.rows("/world/reached", "Points3D:positions")
    path = dataset.episode(0).observations["observation.state.robot0_eef_pos"]
    assert reached.frame == [0, 6]
    assert reached.values[0] == []
    assert np.array(reached.values[1][0]) == pytest.approx(path[6])


def test_where_success_is_not_known_nothing_is_claimed(make_dataset, show, plain):
    recording = show(make_dataset((4,), (None,), **plain))
    assert "/marks/task" not in {
        path for path in recording.entities if recording.rows(path, "StateChange:state").values
    }


def test_what_was_asked_for_is_shown_where_it_differs(rewritten, show, plain):
    same = show(rewritten(lambda episode: episode, **plain))
    assert same.rows("/action/arm_asked", "Scalars:scalars").values == []


def test_asked_and_sent(rewritten, show, plain):
    def limited(episode):
        asked = episode.actions.copy()
        asked[2, 0] += 0.5
        return dataclasses.replace(episode, actions_asked=asked)

    dataset = rewritten(limited, **plain)
    recording = show(dataset)
    episode = dataset.episode(0)
    asked = recording.rows("/action/arm_asked", "Scalars:scalars").values
    sent = recording.rows("/action/arm", "Scalars:scalars").values
    assert np.array(asked) == pytest.approx(episode.actions_asked[:, :4])
    assert np.array(sent) == pytest.approx(episode.actions[:, :4])
    assert recording.rows("/action/gripper_asked", "Scalars:scalars").values == []
    names = recording.static("/action/arm_asked", "SeriesLines:names")
    assert names == ["x asked", "y asked", "z asked", "rz asked"]


def test_limits_that_were_met_are_a_band(rewritten, show, plain):
    features = plain["features"] | {"observation.safety": SAFETY_FEATURE}

    def met(episode):
        frames = np.zeros((len(episode), SAFETY_FEATURE.shape[0]), np.uint8)
        frames[2:4] = as_frame(Reason.VELOCITY)
        return dataclasses.replace(
            episode, observations={**episode.observations, "observation.safety": frames}
        )

    recording = show(rewritten(met, **plain | {"features": features}))
    limits = recording.rows("/marks/limits", "StateChange:state")
    assert limits.values == [["none"], ["a joint's velocity"], ["none"]]
    assert limits.frame == [0, 2, 4]
    assert "/state/safety" not in recording.entities


def test_jpegs_are_taken_as_they_are(make_dataset, tmp_path, show, filmed):
    name = "observation.images.front"
    episode = make_dataset((5,), (True,), **filmed).episode(0)
    codec = CODECS["jpeg"]
    encoded = list(encoded_frames(episode.images[name], codec))
    kept = EncodedImages(encoded, codec, episode.images[name].shape[1:])
    with FolderWriter(tmp_path / "jpeg") as writer:
        writer.add(dataclasses.replace(episode, images={name: kept}))
    recording = show(open_dataset(tmp_path / "jpeg"))
    shown = recording.rows("/cameras/front", "EncodedImage:blob").values
    assert [bytes(blob) for (blob,) in shown] == encoded


def test_an_image_of_a_slow_camera_is_written_once(rewritten, show, filmed):
    name = "observation.images.front"

    def slow(episode):
        times = np.repeat(episode.timestamps[name][::2], 2)
        images = np.repeat(episode.images[name][:][::2], 2, axis=0)
        return dataclasses.replace(
            episode,
            images={name: images},
            timestamps={**episode.timestamps, name: times},
        )

    recording = show(rewritten(slow, **filmed))
    assert recording.rows("/cameras/front", "EncodedImage:blob").frame == [0, 2, 4, 6]


class Learnt:
    """A reward that counts the steps."""

    def require_fit(self, context, what):
        if "observation.state.robot0_eef_pos" not in context.features:
            raise FeatureMismatch(f"the learnt reward does not fit {what}")

    def along(self, episode):
        return np.arange(len(episode) - 1, dtype=np.float32)


def test_a_learnt_reward_is_a_curve(rewritten, show, plain):
    recording = show(rewritten(lambda episode: episode, **plain), reward=Learnt())
    rows = recording.rows("/policy/learnt_reward", "Scalars:scalars")
    assert np.array(rows.values)[:, 0] == pytest.approx(np.arange(7))
    assert "Learnt reward" in recording.views


def test_a_reward_that_does_not_fit(rewritten, tmp_path, plain):
    dataset = rewritten(lambda episode: episode, **plain | {"features": {}})
    with pytest.raises(FeatureMismatch, match="does not fit"):
        save_recording(dataset, tmp_path / "r.rrd", title="t", reward=Learnt())
    assert not (tmp_path / "r.rrd").exists()
