"""The shapes of a MuJoCo model as triangles, light enough for a viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robolearn.episodes.frames import Array

if TYPE_CHECKING:
    import mujoco

_VISUAL_GEOMS = 1
"""robosuite keeps what is seen in geom group 1 and what collides in group 0."""
_ROOM = 1.0
"""Shapes of the world itself with a larger radius, m, are walls and floor, which hide the arm."""
_CELL = 0.003
"""Vertices nearer than this, m, whose normals agree are merged: a quarter of them are left."""
_SEGMENTS = 32


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        positions: (V, 3) float32, m.
        normals: (V, 3) float32, of unit length.
        triangles: (F, 3) int32, indices of vertices.
        colors: (V, 4) uint8, RGBA.
    """

    positions: Array
    normals: Array
    triangles: Array
    colors: Array


def body_meshes(model: mujoco.MjModel) -> dict[int, Mesh]:
    """What is seen of each body, in the body's own frame, by the body's number.

    Walls and floor are left out: a viewer looks from outside the room.
    """
    parts: dict[int, list[Mesh]] = {}
    for geom in range(model.ngeom):
        if model.geom_group[geom] != _VISUAL_GEOMS:
            continue
        body = int(model.geom_bodyid[geom])
        if body == 0 and (model.geom_rbound[geom] == 0 or model.geom_rbound[geom] > _ROOM):
            continue
        mesh = _geom_mesh(model, geom)
        if mesh is not None:
            parts.setdefault(body, []).append(mesh)
    return {body: _merge(meshes) for body, meshes in parts.items()}


def _geom_mesh(model: mujoco.MjModel, geom: int) -> Mesh | None:
    color = _color(model, geom)
    shape = _shape(model, geom)
    if shape is None or color[3] == 0:
        return None
    positions, normals, triangles = shape
    rotation = _rotation(model.geom_quat[geom])
    return Mesh(
        positions=(positions @ rotation.T + model.geom_pos[geom]).astype(np.float32),
        normals=(normals @ rotation.T).astype(np.float32),
        triangles=triangles.astype(np.int32),
        colors=np.tile(color, (len(positions), 1)),
    )


def _shape(model: mujoco.MjModel, geom: int) -> tuple[Array, Array, Array] | None:
    """Positions, normals and triangles in the geom's frame; None for shapes that are left out."""
    import mujoco

    kinds = mujoco.mjtGeom
    kind, size = model.geom_type[geom], model.geom_size[geom]
    if kind == kinds.mjGEOM_MESH:
        return _mesh(model, int(model.geom_dataid[geom]))
    arc = np.linspace(np.pi / 2, -np.pi / 2, 17)
    sphere = np.stack([np.cos(arc), np.sin(arc)], 1)
    up, out, down = [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]
    shapes: Mapping[int, tuple[Array, Array]] = {
        int(kinds.mjGEOM_SPHERE): (sphere * size[0], sphere),
        int(kinds.mjGEOM_CAPSULE): (
            sphere * size[0] + np.outer(np.sign(arc), [0.0, size[1]]),
            sphere,
        ),
        int(kinds.mjGEOM_CYLINDER): (
            np.array([[0, 1], [1, 1], [1, 1], [1, -1], [1, -1], [0, -1]]) * size[:2],
            np.array([up, up, out, out, down, down]),
        ),
    }
    if kind in shapes:
        return _revolve(*shapes[int(kind)])
    if kind == kinds.mjGEOM_ELLIPSOID:
        positions, normals, triangles = _revolve(sphere, sphere)
        normals = normals / size
        return positions * size, normals / np.linalg.norm(normals, axis=1, keepdims=True), triangles
    if kind == kinds.mjGEOM_BOX:
        return _box(size)
    return None


def _mesh(model: mujoco.MjModel, mesh: int) -> tuple[Array, Array, Array]:
    """A mesh with its close vertices merged."""
    vertices = _slice(model.mesh_vert, model.mesh_vertadr[mesh], model.mesh_vertnum[mesh])
    normals = _slice(model.mesh_normal, model.mesh_normaladr[mesh], model.mesh_normalnum[mesh])
    faces = _slice(model.mesh_face, model.mesh_faceadr[mesh], model.mesh_facenum[mesh])
    normal_faces = _slice(model.mesh_facenormal, model.mesh_faceadr[mesh], model.mesh_facenum[mesh])
    corners, corner_normals = vertices[faces].reshape(-1, 3), normals[normal_faces].reshape(-1, 3)
    # One place for all that is merged, whatever its normal: else the surface would have cracks.
    places, place = _means(np.round(corners / _CELL).astype(np.int32), corners)
    leaning = np.round(corner_normals * 1.5).astype(np.int32)
    directions, vertex = _means(np.column_stack([place, leaning]), corner_normals)
    place_of_vertex = np.empty(len(directions), np.intp)
    place_of_vertex[vertex] = place
    positions = places[place_of_vertex]
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    triangles = vertex.reshape(-1, 3)
    corner_places = place.reshape(-1, 3)
    whole = (corner_places != np.roll(corner_places, 1, axis=1)).all(1)
    return positions, directions / np.maximum(lengths, 1e-9), triangles[whole]


def _means(keys: Array, values: Array) -> tuple[Array, Array]:
    """Means (G, 3) of the values with one key, and which of them (N,) each value went into."""
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    sums = np.stack([np.bincount(group, values[:, axis]) for axis in range(3)], 1)
    return sums / np.bincount(group)[:, None], group


def _revolve(profile: Array, normals: Array) -> tuple[Array, Array, Array]:
    """A profile of (radius, z) turned about the z axis."""
    angles = np.linspace(0, 2 * np.pi, _SEGMENTS + 1)
    turn = np.stack([np.cos(angles), np.sin(angles)], 1)

    def turned(points: Array) -> Array:
        rings = [np.column_stack([turn * r, np.full(len(turn), z)]) for r, z in points]
        return np.concatenate(rings)

    rows = len(turn)
    corner = (np.arange(len(profile) - 1)[:, None] * rows + np.arange(_SEGMENTS)).reshape(-1, 1)
    triangles = np.concatenate([corner + [0, rows, rows + 1], corner + [0, rows + 1, 1]])
    return turned(profile), turned(normals), triangles


def _box(half: Array) -> tuple[Array, Array, Array]:
    positions: list[Array] = []
    normals: list[Array] = []
    triangles: list[Array] = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = side
            u, v = np.roll(np.eye(3), -axis - 1, axis=0)[:2]
            first = len(positions) * 4
            positions.append(np.array([(normal + a * u + b * v) * half for a, b in _CORNERS]))
            normals.append(np.tile(normal, (4, 1)))
            quad = [[0, 1, 2], [0, 2, 3]] if side > 0 else [[0, 2, 1], [0, 3, 2]]
            triangles.append(np.array(quad) + first)
    return np.concatenate(positions), np.concatenate(normals), np.concatenate(triangles)


_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))


def _color(model: mujoco.MjModel, geom: int) -> Array:
    """RGBA of a geom, with a texture replaced by its mean."""
    import mujoco

    own, material = model.geom_rgba[geom], int(model.geom_matid[geom])
    if material < 0:
        rgba = np.array(own)
    else:
        rgba = np.array(model.mat_rgba[material])
        texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
        if texture >= 0:
            channels = int(model.tex_nchannel[texture])
            size = int(model.tex_height[texture]) * int(model.tex_width[texture]) * channels
            pixels = _slice(model.tex_data, model.tex_adr[texture], size).reshape(-1, channels)
            rgba[:3] *= pixels[:, :3].mean(0) / 255
    return np.round(np.clip(rgba, 0, 1) * 255).astype(np.uint8)


def _rotation(quaternion: Array) -> Array:
    """(4,) in MuJoCo's order (w, x, y, z) → (3, 3)."""
    import mujoco

    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def _merge(meshes: list[Mesh]) -> Mesh:
    firsts = np.cumsum([0] + [len(mesh.positions) for mesh in meshes[:-1]])
    return Mesh(
        positions=np.concatenate([mesh.positions for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        triangles=np.concatenate(
            [mesh.triangles + first for mesh, first in zip(meshes, firsts, strict=True)]
        ).astype(np.int32),
        colors=np.concatenate([mesh.colors for mesh in meshes]),
    )


def _slice(values: Array, first: int, count: int) -> Array:
    return values[int(first) : int(first) + int(count)]
