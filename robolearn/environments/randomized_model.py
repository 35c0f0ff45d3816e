"""A simulated model that is another world in each episode.

Looks as Tobin et al. 2017, dynamics as Peng et al. 2018 randomise them. robosuite's modders are not
used: that of textures draws in a GL context of its own and knows MuJoCo's materials as they were
before 3.2; that of dynamics draws from NumPy's global generator, and leaves what MuJoCo derives
from masses as it was; that of lights finds them by names, which robosuite's arenas do not give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from robolearn.environments.model_text import WRITTEN, with_values
from robolearn.environments.randomization import (
    CameraPoses,
    Drawn,
    Dynamics,
    Lights,
    Pattern,
    Textures,
)
from robolearn.episodes.frames import Array

if TYPE_CHECKING:
    import mujoco

    from robolearn.environments.rendering import CameraRenderer

_DERIVED = (
    *("body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0", "actuator_acc0"),
    *("tendon_invweight0", "tendon_length0"),
    *("cam_pos0", "cam_poscom0", "cam_mat0", "light_pos0", "light_poscom0", "light_dir0"),
)
"""What MuJoCo derives from dynamics."""

_PLACES = ("body_pos", "body_quat")
"""Of fixed bodies."""

_KINDS = ("textures", "lights", "cameras", "dynamics")

_SQUARES = 8
"""Of a checkered texture, along each side."""

_GRAINS = 32
"""Of a noisy texture, along each side."""


class RandomizedModel:
    """A compiled model that becomes one world after the other, each drawn from the model's own.

    Args:
        model: simulated from now on, as it is at rest: what is in it now are its own values.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._own = {name: getattr(model, name).copy() for name in (*_PLACES, *WRITTEN, *_DERIVED)}
        self._mean_inertia = float(model.stat.meaninertia)
        self._randomized = False

    def restore(self) -> None:
        """Give the model its own values back."""
        for name, own in self._own.items():
            getattr(self._model, name)[:] = own
        self._model.stat.meaninertia = self._mean_inertia
        self._randomized = False

    def draw(self, drawn: Drawn) -> None:
        """Make the model one of its worlds. The same one is the same to the last bit.

        Fixed bodies, which tasks put elsewhere at each reset, are in their own places then: what
        MuJoCo derives from masses must not depend on the episode before.
        """
        self.restore()
        randomization = drawn.randomization
        self._randomized = bool(randomization)
        if randomization.textures:
            self._draw_colours(randomization.textures, _generator(drawn.seed, "textures"))
        if randomization.lights:
            self._draw_lights(randomization.lights, _generator(drawn.seed, "lights"))
        if randomization.cameras:
            self._draw_cameras(randomization.cameras, _generator(drawn.seed, "cameras"))
        if randomization.dynamics:
            self._draw_dynamics(randomization.dynamics, _generator(drawn.seed, "dynamics"))

    def text(self, xml: str) -> str:
        """The model as it is simulated now.

        Args:
            xml: MJCF of the model's own values, as MuJoCo saved it.
        """
        if not self._randomized:
            return xml  # what a task changes by itself (marks that are wiped off) is no world
        changed = {name: _rows(getattr(self._model, name) != self._own[name]) for name in WRITTEN}
        return with_values(xml, self._model, {k: rows for k, rows in changed.items() if rows})

    def _draw_colours(self, textures: Textures, random: np.random.Generator) -> None:
        model = self._model
        plain_materials = (model.mat_texid < 0).all(axis=1)
        plain_geoms = model.geom_matid < 0
        for colours, plain in ((model.mat_rgba, plain_materials), (model.geom_rgba, plain_geoms)):
            mixed = _mixed(
                colours[:, :3], random.uniform(size=(len(colours), 3)), textures.strength
            )
            colours[plain, :3] = mixed[plain]

    def _draw_lights(self, lights: Lights, random: np.random.Generator) -> None:
        import mujoco

        model = self._model
        for light in range(model.nlight):
            model.light_pos[light] += random.uniform(-lights.position, lights.position, 3)
            direction = np.empty(3)
            mujoco.mju_rotVecQuat(
                direction, model.light_dir[light], _small_rotation(lights.direction, random)
            )
            model.light_dir[light] = direction
            gain = 1 + random.uniform(-lights.brightness, lights.brightness)
            gains = gain * (1 + random.uniform(-lights.colour, lights.colour, 3))
            for colours in (model.light_diffuse, model.light_ambient, model.light_specular):
                colours[light] *= gains

    def _draw_cameras(self, cameras: CameraPoses, random: np.random.Generator) -> None:
        import mujoco

        model = self._model
        for camera in range(model.ncam):
            model.cam_pos[camera] += random.uniform(-cameras.position, cameras.position, 3)
            turned = np.empty(4)
            rotation = _small_rotation(cameras.rotation, random)
            mujoco.mju_mulQuat(turned, model.cam_quat[camera], rotation)
            model.cam_quat[camera] = turned
            widened = random.uniform(-cameras.field_of_view, cameras.field_of_view)
            model.cam_fovy[camera] = np.clip(model.cam_fovy[camera] + widened, 1.0, 170.0)

    def _draw_dynamics(self, dynamics: Dynamics, random: np.random.Generator) -> None:
        import mujoco

        model = self._model

        def factors(share: float, count: int) -> Array:
            # In six digits, so that each product is told by a short text, too.
            return np.round(1 + random.uniform(-share, share, count), 6)

        masses = factors(dynamics.mass, model.nbody)
        model.body_mass[:] *= masses
        model.body_inertia[:] *= masses[:, None]
        model.geom_friction[:] *= factors(dynamics.friction, model.ngeom)[:, None]
        joints = model.dof_jntid
        model.dof_damping[:] *= factors(dynamics.damping, model.njnt)[joints]
        model.dof_armature[:] *= factors(dynamics.armature, model.njnt)[joints]
        model.dof_frictionloss[:] *= factors(dynamics.friction_loss, model.njnt)[joints]
        extent, center = model.stat.extent, model.stat.center.copy()
        size, mass = model.stat.meansize, model.stat.meanmass
        mujoco.mj_setConst(model, mujoco.MjData(model))
        model.stat.extent, model.stat.meansize, model.stat.meanmass = extent, size, mass
        model.stat.center[:] = center  # these tell cameras and viewers how large the world is


def dress(renderer: CameraRenderer, model: mujoco.MjModel, drawn: Drawn) -> None:
    """Draw a model's textures as one of its worlds has them.

    Takes some 50 ms for fast images, and ten times as long for full ones, in software.

    Args:
        renderer: of the model.
        model: that is simulated.
        drawn: where it has no textures, they are the model's own.
    """
    settings = drawn.randomization.textures
    if settings is None:
        renderer.reset_textures()
        return
    for texture in _worn(model):
        random = _generator(drawn.seed, "textures", texture + 1)
        own = renderer.own_texture(texture)
        renderer.set_texture(texture, _patterned(own, settings, random))


def _worn(model: mujoco.MjModel) -> list[int]:
    """Textures that are seen: of materials, and the sky."""
    import mujoco

    worn = set(model.mat_texid[model.mat_texid >= 0].tolist())
    worn |= set(np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX).tolist())
    return sorted(worn)


def _patterned(own: Array, settings: Textures, random: np.random.Generator) -> Array:
    """(H, W, C) uint8 bitmap with a random pattern; the same one however many texels it has."""
    height, width, channels = own.shape
    sides = 6 if height == 6 * width else 1  # of a cube, which are stacked
    pattern = settings.patterns[random.integers(len(settings.patterns))]
    cells = _cells(pattern, random)[..., : min(channels, 3)]
    rows = np.arange(height // sides) * len(cells) // (height // sides)
    columns = np.arange(width) * cells.shape[1] // width
    drawn = np.tile(cells[rows][:, columns], (sides, 1, 1))
    share = np.uint16(round(256 * settings.strength))
    bitmap = own.copy()
    mixed: Array = own[..., :3] * (np.uint16(256) - share) + drawn * share
    bitmap[..., :3] = mixed >> 8
    return bitmap


def _cells(pattern: Pattern, random: np.random.Generator) -> Array:
    """(N, M, 3) uint8 colours of a pattern, which is stretched over a texture."""
    colours = random.integers(0, 256, (2, 3), np.uint8)
    upright = random.uniform() < 0.5
    noisy = random.uniform(size=(_GRAINS, _GRAINS)) < random.uniform(0.1, 0.9)
    if pattern == "gradient":
        shares = np.linspace(0, 1, 256)[:, None]
        steps: Array = np.round(_mixed(colours[0], colours[1], shares)).astype(np.uint8)
        return steps[:, None] if upright else steps[None]
    chosen: Array = np.zeros((1, 1), int)
    if pattern == "checker":
        chosen = np.indices((_SQUARES, _SQUARES)).sum(axis=0) % 2
    elif pattern == "noise":
        chosen = noisy.astype(int)
    cells: Array = colours[chosen]
    return cells


def _mixed(own: Array, other: Array, share: float | Array) -> Array:
    mixed: Array = (1 - share) * own + share * other
    return mixed


def _small_rotation(most: float, random: np.random.Generator) -> Array:
    """(4,) w, x, y, z of a turn about any axis by at most so many rad."""
    import mujoco

    axis = random.normal(size=3)
    quaternion = np.empty(4)
    angle = random.uniform(0, most)
    mujoco.mju_axisAngle2Quat(quaternion, axis / np.linalg.norm(axis), angle)
    return quaternion


def _generator(seed: int, kind: str, part: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, _KINDS.index(kind), part])


def _rows(differing: Array) -> list[int]:
    rows: list[int] = np.flatnonzero(differing.reshape(len(differing), -1).any(axis=1)).tolist()
    return rows
