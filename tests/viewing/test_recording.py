"""Recordings hold the numbers of the episodes: they are read back by Rerun's own reader."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from robolearn.environments.rendering import select_gl
from robolearn.episodes.features import Feature
from robolearn.errors import DatasetError, FeatureMismatch
from robolearn.policies.action_heads.config import ActionHeadConfig
from robolearn.policies.policy import Policy
from robolearn.viewing.recording import save_recording


@pytest.fixture
def without_gl(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disable")


@pytest.fixture
def needs_gl():
    if select_gl() is None:
        pytest.skip("no GL library")


@pytest.fixture
def saved(make_dataset, tmp_path, read_back, without_gl):
    """Two episodes of 6 and 4 frames, without cameras."""
    dataset = make_dataset()
    save_recording(dataset, tmp_path / "r.rrd", title="two")
    return dataset, read_back(tmp_path / "r.rrd")


def concatenated(dataset, values):
    return np.concatenate([values(dataset.episode(number)) for number in range(len(dataset))])


def test_actions_states_reward_and_success_are_curves(saved):
    dataset, recording = saved
    expected = {
        "/action/arm": lambda episode: episode.actions[:, :4],
        "/action/gripper": lambda episode: episode.actions[:, 4:],
        "/state/robot0_eef_pos": lambda e: e.observations["observation.state.robot0_eef_pos"],
        "/state/environment_state": lambda e: e.observations["observation.environment_state"],
        "/outcome/success": lambda episode: episode.success[:, None].astype(float),
        "/outcome/reward": lambda episode: episode.rewards[:, None],
    }
    for entity, values in expected.items():
        rows = recording.rows(entity, "Scalars:scalars")
        assert rows.values == pytest.approx(concatenated(dataset, values)), entity
        assert rows.frame == list(range(10))


def test_series_are_named(saved):
    _, recording = saved
    assert recording.static("/action/arm", "SeriesLines:names") == ["x", "y", "z", "rz"]
    assert recording.static("/state/robot0_eef_pos", "SeriesLines:names") == ["x", "y", "z"]
    names = recording.static("/state/environment_state", "SeriesLines:names")
    assert names[0] == "cube_pos.x"
    assert names[-1] == "gripper_to_cube_pos.z"


def test_episodes_follow_each_other_with_a_pause(saved):
    _, recording = saved
    times = recording.rows("/action/arm", "Scalars:scalars").time
    # Six steps of 0.1 s, half a second, four steps: whatever the clocks of the episodes said.
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.1, 1.2, 1.3, 1.4])


def test_only_the_two_timelines(saved):
    assert saved[1].timelines == {"time", "frame"}


def test_words_say_how_each_episode_went(saved):
    _, recording = saved
    texts = recording.rows("/text/episodes", "TextLog:text")
    assert texts.values == [["episode 0: success after 0.5 s"], ["episode 1: failure"]]
    assert texts.frame == [0, 6]
    levels = recording.rows("/text/episodes", "TextLog:level").values
    assert levels == [["INFO"], ["WARN"]]
    document = recording.rows("/text/episode", "TextDocument:text").values[0][0]
    assert "Lift the <b>cube</b> & hold it." in document
    assert "seed 7" in document
    about = recording.static("/text/about", "TextDocument:text")[0]
    assert "2 episodes" in about
    assert "1 failed" in about


def test_hand_paths_of_this_and_of_all_episodes(saved):
    dataset, recording = saved
    paths = [
        dataset.episode(number).observations["observation.state.robot0_eef_pos"]
        for number in (0, 1)
    ]
    all_paths = recording.static("/world/all_paths", "LineStrips3D:strips")
    assert [len(path) for path in all_paths] == [6, 4]
    for path, shown in zip(paths, all_paths, strict=True):
        assert np.array(shown) == pytest.approx(path)
    rows = recording.rows("/world/path", "LineStrips3D:strips")
    assert rows.frame == [0, 6]
    assert np.array(rows.values[1][0]) == pytest.approx(paths[1])
    good, bad = (row[0] for row in recording.rows("/world/path", "LineStrips3D:colors").values)
    assert good != bad


def test_arrows_are_commanded_translations_in_metres(saved):
    dataset, recording = saved
    arrows = recording.rows("/world/command", "Arrows3D:vectors").values
    expected = concatenated(dataset, lambda episode: episode.actions[:, :3]) * [0.05, 0.04, 0.03]
    assert np.array(arrows)[:, 0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    "controller",
    [{}, {"type": "JOINT_POSITION", "output_max": 0.1}, {"type": "OSC_POSE"}],
    ids=["unknown", "joints", "no size"],
)
def test_no_arrows_where_an_action_is_no_known_translation(
    make_dataset, tmp_path, read_back, plain, policy, controller
):
    parts = {"env_kwargs": {"controller_configs": {"body_parts": {"right": controller}}}}
    dataset = make_dataset(**plain, env_args=parts)
    save_recording(dataset, tmp_path / "r.rrd", title="t", policy=policy)
    recording = read_back(tmp_path / "r.rrd")
    assert recording.rows("/world/command", "Arrows3D:vectors").values == []
    assert "/world/modes" not in recording.entities
    assert len(recording.rows("/policy/mode_weights", "Scalars:scalars").values) == 10


def test_bodies_move_as_in_the_states(saved):
    dataset, recording = saved
    states = concatenated(dataset, lambda episode: episode.observations["simulator_state"])
    heights = recording.rows("/world/bodies/gripper", "Transform3D:translation").values
    assert np.array(heights)[:, 0, 2] == pytest.approx(0.3 + states[:, 1], abs=1e-5)
    cube = recording.rows("/world/bodies/cube", "Transform3D:translation").values
    assert np.array(cube)[:, 0] == pytest.approx(states[:, 2:5], abs=1e-5)
    turned = recording.rows("/world/bodies/cube", "Transform3D:quaternion").values
    # MuJoCo's (w, x, y, z) has become Rerun's (x, y, z, w).
    assert np.array(turned)[:, 0] == pytest.approx(states[:, [6, 7, 8, 5]], abs=1e-5)


def test_what_cannot_move_is_static_and_walls_are_left_out(saved):
    _, recording = saved
    assert recording.static("/world/bodies/table", "Transform3D:translation") == [
        pytest.approx([0, 0, -0.1])
    ]
    bodies = {entity for entity in recording.entities if entity.startswith("/world/bodies")}
    assert bodies == {f"/world/bodies/{name}" for name in ("table", "gripper", "cube")}


def test_modes_are_where_the_policy_puts_them(
    make_dataset, tmp_path, read_back, without_gl, policy
):
    dataset = make_dataset()
    save_recording(dataset, tmp_path / "r.rrd", title="t", policy=policy)
    recording = read_back(tmp_path / "r.rrd")
    targets, weights, closed = [], [], []
    for number in (0, 1):
        episode = dataset.episode(number)
        hand = episode.observations["observation.state.robot0_eef_pos"]
        for frame in range(len(episode)):
            window = {
                name: torch.from_numpy(
                    np.stack(
                        [
                            episode.observations[name][max(frame - 1, 0)],
                            episode.observations[name][frame],
                        ]
                    )[None]
                )
                for name in policy.schema.inputs
            }
            with torch.inference_mode():
                answer = policy(window)
            means = answer.mode_actions[0, :, 0, :3].numpy()
            targets.append(hand[frame] + means * [0.05, 0.04, 0.03])
            weights.append(answer.mode_weights[0].numpy())
            closed.append(answer.gripper.probs[0, 0].numpy())
    shown = recording.rows("/world/modes", "Points3D:positions")
    assert shown.frame == list(range(10))
    assert np.array(shown.values) == pytest.approx(np.array(targets), abs=1e-5)
    curves = recording.rows("/policy/mode_weights", "Scalars:scalars").values
    assert np.array(curves) == pytest.approx(np.array(weights), abs=1e-5)
    assert np.array(curves).sum(1) == pytest.approx(1, abs=1e-5)
    shut = recording.rows("/policy/gripper_closed", "Scalars:scalars").values
    assert np.array(shut) == pytest.approx(np.array(closed), abs=1e-5)
    radii = np.array(recording.rows("/world/modes", "Points3D:radii").values)
    assert (radii.argmax(1) == np.array(weights).argmax(1)).all()


def test_the_layout_shows_what_there_is_and_nothing_else(
    make_dataset, tmp_path, read_back, plain, policy
):
    dataset = make_dataset(**plain)
    save_recording(dataset, tmp_path / "r.rrd", title="plain")
    views = read_back(tmp_path / "r.rrd").views
    assert views["Scene"] == "/world"
    assert views["This episode"] == "/text/episode"
    assert {"Action: arm", "Gripper", "Success and reward", "State: robot0_eef_pos"} <= set(views)
    assert "Weights of the policy's modes" not in views
    assert not any(origin.startswith("/cameras") for origin in views.values())
    save_recording(dataset, tmp_path / "p.rrd", title="with policy", policy=policy)
    assert "Weights of the policy's modes" in read_back(tmp_path / "p.rrd").views


def test_layouts_of_other_recordings_are_left_alone(make_dataset, tmp_path, read_back, plain):
    dataset = make_dataset(**plain)
    for title in ("one", "other"):
        save_recording(dataset, tmp_path / f"{title}.rrd", title=title)
    one, other = (read_back(tmp_path / f"{title}.rrd") for title in ("one", "other"))
    assert one.application != other.application


def test_without_a_world_the_arm_is_left_out_and_one_line_says_so(
    make_dataset, tmp_path, read_back, plain
):
    notices = save_recording(make_dataset(**plain), tmp_path / "r.rrd", title="t")
    assert notices == (
        "the arm is not shown: the episodes hold no simulated world (model_file and states)",
    )
    assert not any("bodies" in entity for entity in read_back(tmp_path / "r.rrd").entities)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("<mujoco><worldbody><geom type='mesh' mesh='no'/></worldbody></mujoco>", "cannot read"),
        ("<mujoco/>", "do not fit its model"),
        ("no XML", "cannot read"),
    ],
)
def test_a_broken_world_is_left_out_and_one_line_says_so(make_dataset, tmp_path, model, says):
    (notice,) = save_recording(make_dataset(model_file=model), tmp_path / "r.rrd", title="t")
    assert notice.startswith("the arm is not shown")
    assert says in notice
    assert "\n" not in notice
    assert (tmp_path / "r.rrd").is_file()


_MESH = """<mujoco><asset><mesh name="link" file="{}"/></asset><worldbody>
<body name="link"><geom type="mesh" mesh="link" group="1"/></body></worldbody></mujoco>"""
_LINK = "robosuite/models/assets/robots/panda/obj_meshes/link0_vis/link0_vis_0.obj"


@pytest.mark.parametrize("prefix", ["", "/somewhere/else/"], ids=["robolearn's", "robosuite's"])
def test_meshes_are_found_where_robosuite_is_installed(make_dataset, tmp_path, prefix, read_back):
    if importlib.util.find_spec("robosuite") is None:
        pytest.skip("robosuite is not installed")
    features = {"simulator_state": Feature("float64", (1,))}
    dataset = make_dataset(model_file=_MESH.format(prefix + _LINK), features=features)
    assert save_recording(dataset, tmp_path / "r.rrd", title="t", camera_episodes=0) == ()
    recording = read_back(tmp_path / "r.rrd")
    vertices = recording.static("/world/bodies/link", "Mesh3D:vertex_positions")
    assert len(vertices) > 100


def test_without_robosuite_one_line_says_how_to_get_its_meshes(make_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    features = {"simulator_state": Feature("float64", (1,))}
    dataset = make_dataset(model_file=_MESH.format(_LINK), features=features)
    (notice,) = save_recording(dataset, tmp_path / "r.rrd", title="t")
    assert "robolearn[sim]" in notice


def test_without_mujoco_one_line_says_how_to_get_it(make_dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    (notice,) = save_recording(make_dataset(), tmp_path / "r.rrd", title="t")
    assert notice.startswith("the arm is not shown")
    assert "robolearn[sim]" in notice
    assert "\n" not in notice


def test_without_gl_one_line_says_what_to_install(make_dataset, tmp_path, read_back, without_gl):
    (notice,) = save_recording(make_dataset(), tmp_path / "r.rrd", title="t")
    assert notice.startswith("no camera is shown")
    assert "apt-get install" in notice
    recording = read_back(tmp_path / "r.rrd")
    assert "/world/bodies/cube" in recording.entities
    assert not any("cameras" in entity for entity in recording.entities)


@pytest.mark.rendering
def test_the_first_episodes_and_the_first_failure_are_rendered(
    needs_gl, make_dataset, tmp_path, read_back
):
    dataset = make_dataset((5, 5, 5, 5), (True, True, False, False))
    assert save_recording(dataset, tmp_path / "r.rrd", title="t", camera_episodes=1) == ()
    recording = read_back(tmp_path / "r.rrd")
    for camera in ("agentview", "robot0_eye_in_hand"):
        pictures = recording.rows(f"/cameras/{camera}", "EncodedImage:blob")
        assert pictures.frame == [0, 2, 4, 10, 12, 14]
        image = Image.open(io.BytesIO(bytes(pictures.values[0][0])))
        assert image.size == (320, 240)
        assert np.asarray(image).std() > 5, "the picture is blank"
        gone = recording.rows(f"/cameras/{camera}", "Clear:is_recursive")
        assert gone.frame == [5, 15]
    assert "agentview (episodes 0, 2)" in recording.views


def test_recorded_images_are_shown(make_dataset, tmp_path, read_back, filmed):
    dataset = make_dataset(**filmed)
    save_recording(dataset, tmp_path / "r.rrd", title="t")
    recording = read_back(tmp_path / "r.rrd")
    pictures = recording.rows("/cameras/front", "EncodedImage:blob")
    assert pictures.frame == list(range(10))
    shown = np.asarray(Image.open(io.BytesIO(bytes(pictures.values[3][0]))), float)
    original = dataset.episode(0).images["observation.images.front"][3:4][0]
    assert shown.shape == original.shape
    assert shown.mean() == pytest.approx(original.mean(), abs=3)
    assert recording.views["front"] == "/cameras/front"


def test_chosen_episodes_only(make_dataset, tmp_path, read_back, plain):
    dataset = make_dataset(**plain)
    told = []
    save_recording(
        dataset,
        tmp_path / "r.rrd",
        title="t",
        episodes=[1],
        progress=lambda *args: told.append(args),
    )
    rows = read_back(tmp_path / "r.rrd").rows("/action/gripper", "Scalars:scalars")
    assert np.array(rows.values) == pytest.approx(dataset.episode(1).actions[:, 4:])
    assert told == [(1, 1, "episode 1")]


def test_an_episode_that_is_not_there(make_dataset, tmp_path, plain):
    with pytest.raises(DatasetError, match=r"no episode 2 .* it has 0 to 1"):
        save_recording(make_dataset(**plain), tmp_path / "r.rrd", title="t", episodes=[2])
    assert not (tmp_path / "r.rrd").exists()


def test_a_policy_that_does_not_fit(make_dataset, tmp_path, plain, policy):
    features = {"observation.state.robot0_eef_pos": Feature("float64", (1,))}
    dataset = make_dataset(**plain | {"features": features})
    with pytest.raises(FeatureMismatch, match="does not fit"):
        save_recording(dataset, tmp_path / "r.rrd", title="t", policy=policy)


def test_a_recording_that_fails_leaves_the_earlier_one(make_dataset, tmp_path, plain):
    dataset = make_dataset(**plain)
    path = tmp_path / "out" / "r.rrd"
    save_recording(dataset, path, title="t")
    before = path.read_bytes()
    (dataset.path / "episodes" / "episode_000001.hdf5").write_bytes(b"broken")
    with pytest.raises(DatasetError, match="episode_000001"):
        save_recording(dataset, path, title="t")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_policy_without_modes_is_said_to_have_none(
    make_dataset, tmp_path, read_back, plain, policy
):
    dataset = make_dataset(**plain)
    action = ActionHeadConfig(head="gaussian")
    without = Policy(policy.schema, dataclasses.replace(policy.config, action=action)).eval()
    notices = save_recording(dataset, tmp_path / "r.rrd", title="t", policy=without)
    assert "the policy's modes are not shown: only the head mixture has some" in notices
    assert "Weights of the policy's modes" not in read_back(tmp_path / "r.rrd").views
