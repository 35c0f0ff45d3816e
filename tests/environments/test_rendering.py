from __future__ import annotations

import dataclasses
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.environments import rendering
from robolearn.environments.fast_model import texture_bitmap
from robolearn.environments.rendering import CameraRenderer, gl_renderer, select_gl
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.targets import load_target
from robolearn.environments.task import Cameras, SimTask, load_task
from robolearn.episodes.episode import Episode, require_same_features
from robolearn.episodes.features import DEPTH, IMAGES, SIMULATOR_STATE
from robolearn.errors import FeatureMismatch, MissingDependency, ShelfError

pytestmark = [
    pytest.mark.rendering,
    pytest.mark.skipif(select_gl() is None, reason="no GL library"),
]
CAMERAS = ("agentview", "robot0_eye_in_hand")


def make(task: SimTask, quality: Any = "fast", size: int = 84) -> RobosuiteEnvironment:
    return RobosuiteEnvironment(task.with_cameras(CAMERAS, size, size, quality))


def images(environment: RobosuiteEnvironment) -> dict[str, np.ndarray]:
    return {camera: environment.image(f"{IMAGES}.{camera}") for camera in CAMERAS}


@pytest.mark.parametrize("name", ["lift", "can", "door"])
def test_a_fast_image_resembles_the_full_one(name: str) -> None:
    task = load_task(f"sim:{name}")
    seen = {}
    for quality in ("fast", "full"):
        environment = make(task, quality)
        environment.reset(seed=1)
        seen[quality] = images(environment)
        environment.close()
    for camera in CAMERAS:
        fast, full = (seen[quality][camera].astype(int) for quality in ("fast", "full"))
        assert 0 < np.abs(fast - full).mean() < 12
        # Blocks of 12 pixels hide edges, smooth or not: what is where, and its colour.
        blocks = [image.reshape(7, 12, 7, 12, 3).mean(axis=(1, 3)) for image in (fast, full)]
        assert np.abs(blocks[0] - blocks[1]).mean() < 8


TABLE = """
<mujoco>
  <visual><map znear="0.01" zfar="50"/></visual>
  <statistic extent="1"/>
  <worldbody>
    <camera name="above" pos="0 0 2" fovy="60"/>
    <geom type="plane" size="3 3 1" group="1"/>
    <geom type="box" size="0.2 0.2 0.25" pos="0.3 0 0.25" group="1"/>
  </worldbody>
</mujoco>
"""


def test_distances_are_metres_along_the_cameras_axis() -> None:
    import mujoco

    model = mujoco.MjModel.from_xml_string(TABLE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = CameraRenderer(model, ("above",), 64, 96, "full")
    distances = renderer.depth(data, "above")
    colours = renderer.image(data, "above")
    renderer.close()
    assert distances.shape == (64, 96, 1)
    assert distances.dtype == np.float32
    # The table is 2 m below, in the corners, too; the box, right of the middle, 1.5 m.
    np.testing.assert_allclose(distances[[0, -1, 32], [0, -1, 10], 0], 2.0, atol=1e-3)
    middle = 96 // 2 + round(0.3 / 1.5 * 32 / np.tan(np.deg2rad(30)))
    np.testing.assert_allclose(distances[28:36, middle - 3 : middle + 3], 1.5, atol=1e-3)
    assert colours.shape == (64, 96, 3)  # what is measured changes nothing of what is seen


def test_distances_are_observed_where_a_task_asks_for_them(lift_task: SimTask) -> None:
    environment = RobosuiteEnvironment(lift_task.with_cameras(("agentview",), 84, 84, depth=True))
    name = f"{IMAGES}.agentview{DEPTH}"
    environment.reset(seed=1)
    seen = environment.observe()
    assert environment.context.features[name].is_depth
    distances = seen.values[name]
    assert distances.shape == (84, 84, 1)
    # MuJoCo's own distances, by robosuite's camera.
    import mujoco

    env: Any = environment._env
    with mujoco.Renderer(env.sim.model._model, 84, 84) as own:
        own.enable_depth_rendering()
        options = mujoco.MjvOption()
        options.geomgroup[0] = 0
        own.update_scene(env.sim.data._data, "agentview", options)
        theirs = own.render()
    environment.close()
    assert np.median(np.abs(distances[..., 0] - theirs)) < 1e-3
    assert distances.min() > 0.3  # the arm is in front of the camera, and not in it


def test_gymnasium_renders_no_distances() -> None:
    task = load_target("gym:CartPole-v1")
    with pytest.raises(ShelfError, match="no distances"):
        task.with_cameras(("render",), 84, 84, depth=True)


def test_full_images_are_mujocos_own(lift_task: SimTask) -> None:
    import mujoco

    environment = make(lift_task, "full", size=64)
    environment.reset(seed=2)
    env: Any = environment._env
    options = mujoco.MjvOption()
    options.geomgroup[:] = 0
    options.geomgroup[1] = 1
    options.sitegroup[:] = 0
    with mujoco.Renderer(env.sim.model._model, 64, 64) as renderer:
        for camera, image in images(environment).items():
            renderer.update_scene(env.sim.data._data, camera, options)
            np.testing.assert_array_equal(image, renderer.render())
    environment.close()


def test_the_same_state_gives_the_same_image(lift_task: SimTask) -> None:
    one, other = make(lift_task), make(lift_task)
    for environment in (one, other, one):
        environment.reset(seed=3)
    first, second = images(one), images(other)  # drawn in turn, in one GL context
    again = images(one)
    other.close()
    last = images(one)
    for camera in CAMERAS:
        for image in (second, again, last):
            np.testing.assert_array_equal(first[camera], image[camera])
    one.close()


def test_cameras_do_not_touch_the_physics(
    lift_task: SimTask, lift_environment: RobosuiteEnvironment
) -> None:
    environment = make(lift_task)
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 7))
    states = []
    for driven in (environment, lift_environment):
        driven.reset(seed=4)
        for action in actions:
            driven.act(action)
            driven.observe()
        states.append(driven.vectors()[SIMULATOR_STATE])
    np.testing.assert_array_equal(*states)
    assert environment.context.model_file == lift_environment.context.model_file
    environment.close()


def test_only_the_cameras_asked_for_are_rendered(
    lift_task: SimTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = RobosuiteEnvironment(lift_task.with_cameras(("agentview",), 32, 48))
    drawn = []
    image = CameraRenderer.image
    monkeypatch.setattr(
        CameraRenderer,
        "image",
        lambda self, data, camera: drawn.append(camera) or image(self, data, camera),  # type: ignore[func-returns-value]
    )
    environment.reset(seed=0)
    environment.act(np.zeros(7))
    assert drawn == []
    environment.observe()
    assert drawn == ["agentview"]
    environment.close()


def test_closing_frees_the_context(lift_task: SimTask) -> None:
    import mujoco

    gc.collect()
    before = sum(isinstance(thing, mujoco.MjrContext) for thing in gc.get_objects())
    environment = make(lift_task, size=32)
    renderer = environment._world._renderer
    assert renderer is not None
    data = environment._env.sim.data._data
    environment.close()
    environment.close()
    renderer.close()
    assert renderer._context is None
    with pytest.raises(RuntimeError, match="closed"):
        renderer.image(data, "agentview")
    with pytest.raises(RuntimeError, match="closed"):
        renderer.set_texture(0, renderer.own_texture(0))
    gc.collect()
    assert sum(isinstance(thing, mujoco.MjrContext) for thing in gc.get_objects()) <= before


def test_the_simulated_model_keeps_its_meshes_and_textures(lift_task: SimTask) -> None:
    plain = RobosuiteEnvironment(lift_task)
    environment = make(lift_task)
    untouched, model = (each._env.sim.model._model for each in (plain, environment))
    for name in ("mesh_vert", "mesh_face", "mesh_normal", "mesh_facenum", "tex_data", "tex_width"):
        np.testing.assert_array_equal(getattr(model, name), getattr(untouched, name))
    assert model.vis.quality.shadowsize == untouched.vis.quality.shadowsize > 0
    assert environment._world._renderer is not None
    drawn = environment._world._renderer._drawn
    shown = model.geom_dataid[(model.geom_type == 7) & (model.geom_group == 1)]
    assert drawn.mesh_facenum[shown].sum() < 0.25 * model.mesh_facenum[shown].sum()
    for texture in range(model.ntex):
        whole, small = texture_bitmap(model, texture), texture_bitmap(drawn, texture)
        assert max(small.shape[1], 84) <= max(whole.shape[1], 84)
        np.testing.assert_allclose(whole.mean((0, 1)), small.mean((0, 1)), atol=2)
    plain.close()
    environment.close()


def test_a_texture_can_be_drawn_otherwise(lift_task: SimTask) -> None:
    environment = make(lift_task)
    environment.reset(seed=0)
    renderer = environment._world._renderer
    assert renderer is not None
    model = environment._env.sim.model._model
    before = images(environment)["agentview"]
    table = model.texture("tex-ceramic").id
    own = renderer.own_texture(table).copy()
    renderer.set_texture(table, np.zeros_like(own) + np.array([0, 0, 255], np.uint8))
    blue = images(environment)["agentview"]
    assert (blue[..., 2] > blue[..., 0] + 100).mean() > 0.3 > (before[..., 2] > 250).mean()
    np.testing.assert_array_equal(renderer.own_texture(table), own)
    with pytest.raises(ValueError, match="for a texture of"):
        renderer.set_texture(table, own[:-1])
    renderer.reset_textures()
    np.testing.assert_array_equal(before, images(environment)["agentview"])
    environment.close()


def test_the_quality_is_recorded_and_not_mixed(lift_task: SimTask, tmp_path: Path) -> None:
    contexts = {}
    for quality in ("fast", "full"):
        environment = make(lift_task, quality, size=16)
        contexts[quality] = environment.context
        environment.close()
        assert contexts[quality].env_args["image_quality"] == quality
        assert "image_quality" not in contexts[quality].env_args["env_kwargs"]
    with pytest.raises(FeatureMismatch, match="in image_quality; write into another dataset"):
        require_same_features(contexts["fast"], contexts["full"], tmp_path)
    old = dataclasses.replace(
        contexts["full"],
        env_args={k: v for k, v in contexts["full"].env_args.items() if k != "image_quality"},
    )
    require_same_features(contexts["full"], old, tmp_path)


def test_images_from_elsewhere_have_no_quality(make_episode: Any, tmp_path: Path) -> None:
    episode: Episode = make_episode(image=True)
    require_same_features(episode.context, episode.context, tmp_path)


def test_without_the_library_that_simplifies_it_is_named(
    lift_task: SimTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fast_simplification", None)
    with pytest.raises(MissingDependency, match=r"need fast-simplification: pip install"):
        make(lift_task, size=17)


def test_a_task_chooses_the_quality(tmp_path: Path) -> None:
    assert Cameras().quality == "fast"
    text = Path(__file__).parents[2].joinpath("sim", "lift.toml").read_text()
    path = tmp_path / "own.toml"
    path.write_text(text + '\n[cameras]\nnames = ["agentview"]\nquality = "full"\n')
    assert load_task(str(path)).cameras.quality == "full"
    path.write_text(text + '\n[cameras]\nquality = "best"\n')
    with pytest.raises(ShelfError, match="quality"):
        load_task(str(path))


def test_it_says_what_it_renders_with(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gl_renderer()
    assert found is not None
    backend, device = found
    assert backend == select_gl()
    assert device != "unknown"
    monkeypatch.setattr(rendering, "select_gl", lambda: None)
    assert gl_renderer() is None


@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_each_backend_renders_and_ends_quietly(backend: str) -> None:
    if not rendering._loads(rendering._LIBRARIES[backend]):
        pytest.skip(f"no {backend}")
    program = (
        f"import os; os.environ['MUJOCO_GL'] = {backend!r}\n"
        "os.environ.pop('PYOPENGL_PLATFORM', None)  # of the process that runs the tests\n"
        "from robolearn.environments.rendering import CameraRenderer, gl_renderer\n"
        "import mujoco\n"
        "model = mujoco.MjModel.from_xml_string(\"<mujoco><worldbody><light pos='0 0 3'/>"
        "<camera name='c' pos='0 0 2'/><geom size='.5' rgba='1 0 0 1' group='1'/></worldbody>"
        '</mujoco>")\n'
        "data = mujoco.MjData(model); mujoco.mj_forward(model, data)\n"
        "renderers = [CameraRenderer(model, ['c'], 8, 8, quality) for quality in ('fast', 'full')]\n"
        "print(gl_renderer()[0], *(r.image(data, 'c')[4, 4, 0] > 100 for r in renderers))\n"
    )
    # Where MuJoCo was imported, it says so to children, and refuses another backend there.
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [backend, "True", "True"]
    assert done.stderr == ""
