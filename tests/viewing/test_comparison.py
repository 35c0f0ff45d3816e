"""Episodes over each other begin at zero, each in its colour."""

from __future__ import annotations

import numpy as np
import pytest

from robolearn.errors import DatasetError
from robolearn.viewing.comparison import save_comparison


@pytest.fixture
def compared(make_dataset, tmp_path, read_back):
    dataset = make_dataset()
    save_comparison(dataset, tmp_path / "r.rrd", title="two", episodes=[0, 1])
    return dataset, read_back(tmp_path / "r.rrd")


def test_all_begin_at_zero(compared):
    dataset, recording = compared
    for number in (0, 1):
        episode = dataset.episode(number)
        rows = recording.rows(f"/compared/action/z/{number}", "Scalars:scalars")
        assert rows.time == pytest.approx(np.arange(len(episode)) / 10)
        assert np.array(rows.values)[:, 0] == pytest.approx(episode.actions[:, 2])


def test_a_colour_is_the_same_everywhere_and_no_other_episode_s(compared):
    _, recording = compared
    colors = []
    for number in (0, 1):
        curve = recording.static(f"/compared/hand/x/{number}", "SeriesLines:colors")
        path = recording.static(f"/world/compared/{number}/path", "LineStrips3D:colors")
        ball = recording.static(f"/world/compared/{number}/hand", "Points3D:colors")
        assert curve == path == ball
        colors.append(curve)
    assert colors[0] != colors[1]


def test_hands_move_along_their_paths(compared):
    dataset, recording = compared
    path = dataset.episode(1).observations["observation.state.robot0_eef_pos"]
    (strip,) = recording.static("/world/compared/1/path", "LineStrips3D:strips")
    assert np.array(strip) == pytest.approx(path)
    moved = recording.rows("/world/compared/1/hand", "Points3D:positions").values
    assert np.array(moved)[:, 0] == pytest.approx(path)


def test_the_arm_is_that_of_the_first(compared):
    dataset, recording = compared
    moved = recording.rows("/world/bodies/gripper", "Transform3D:translation").values
    assert len(moved) == len(dataset.episode(0))


def test_cameras_stand_side_by_side(make_dataset, tmp_path, read_back, filmed):
    dataset = make_dataset(**filmed)
    save_comparison(dataset, tmp_path / "r.rrd", title="t", episodes=[1, 0])
    recording = read_back(tmp_path / "r.rrd")
    assert recording.views["1: front"] == "/compared/cameras/front/1"
    assert len(recording.rows("/compared/cameras/front/1", "EncodedImage:blob").values) == 4


def test_an_episode_that_is_not_there(make_dataset, tmp_path, plain):
    with pytest.raises(DatasetError, match="no episode 7"):
        save_comparison(make_dataset(**plain), tmp_path / "r.rrd", title="t", episodes=[0, 7])
    assert not (tmp_path / "r.rrd").exists()
