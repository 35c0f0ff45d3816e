"""What is drawn in fast images: models with fewer triangles and smaller textures."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from robolearn.episodes.frames import Array
from robolearn.errors import MissingDependency

if TYPE_CHECKING:
    import mujoco

_FACES_PER_PIXEL = 12_000 / 84**2
"""Triangles that a square metre of surface keeps, for each pixel of an image."""

_LEAST_FACES = 500
_MOST_FACES_PER_PIXEL = 6000 / 84**2
"""Of one mesh: a large one is not seen from close by."""

_SMOOTH = float(np.cos(np.radians(40.0)))
"""Triangles that meet at a smaller angle are shaded as one round surface."""

_TEXELS_PER_PIXEL = 4
"""The longer side of a texture, in those of an image."""


def fast_model(model: mujoco.MjModel, height: int, width: int) -> mujoco.MjModel:
    """A copy to make a GL context of, whose pictures of this size look nearly the same.

    Meshes have fewer triangles, by quadric error metrics (Garland and Heckbert 1997), and textures
    fewer texels; the smaller the images, the fewer. There are no shadow map and no multisampling.
    Numbers and order of meshes and textures are the model's, so that a scene of the model can be
    drawn with the context. It is for drawing only: nothing else of it is fit for simulation.

    Args:
        model: that is simulated. It is left as it is.
        height: of the images, pixels.
        width: of the images, pixels.

    Raises:
        MissingDependency: fast-simplification is not installed.
    """
    fast: mujoco.MjModel = copy.copy(model)
    fast.vis.quality.shadowsize = 0
    fast.vis.quality.offsamples = 0
    fast.mesh_graphadr[:] = -1  # convex hulls, which are never drawn
    textured = _textured(model)
    for mesh in range(model.nmesh):
        if mesh not in textured:
            _simplify(fast, mesh, height * width)
    for texture in range(model.ntex):
        _shrink(fast, texture, _TEXELS_PER_PIXEL * max(height, width))
    return fast


def texture_shape(model: mujoco.MjModel, texture: int) -> tuple[int, int, int]:
    """(height, width, channels) of one texture's bitmap."""
    return (
        int(model.tex_height[texture]),
        int(model.tex_width[texture]),
        int(model.tex_nchannel[texture]),
    )


def texture_bitmap(model: mujoco.MjModel, texture: int) -> Array:
    """(H, W, C) uint8 of one texture: a view into the model. A cube's six sides may be stacked."""
    shape = texture_shape(model, texture)
    first = int(model.tex_adr[texture])
    bitmap: Array = model.tex_data[first : first + int(np.prod(shape))].reshape(shape)
    return bitmap


def _textured(model: mujoco.MjModel) -> set[int]:
    """Meshes that wear a texture by coordinates of their own, which belong to their vertices."""
    import mujoco

    meshes = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
    dressed = np.flatnonzero(meshes & (model.geom_matid >= 0))
    return {
        int(model.geom_dataid[geom])
        for geom in dressed
        if (model.mat_texid[model.geom_matid[geom]] >= 0).any()
        and model.mesh_texcoordadr[model.geom_dataid[geom]] >= 0
    }


def _simplify(model: mujoco.MjModel, mesh: int, pixels: int) -> None:
    """Leave one mesh fewer triangles, in its own place of the model's memory."""
    vertex, face, normal = (
        int(places[mesh])
        for places in (model.mesh_vertadr, model.mesh_faceadr, model.mesh_normaladr)
    )
    vertices = model.mesh_vert[vertex : vertex + model.mesh_vertnum[mesh]]
    faces = model.mesh_face[face : face + model.mesh_facenum[mesh]]
    most = int(model.mesh_normalnum[mesh]) // 3  # there is room for normals of so many
    simplified = _simplified(vertices.tobytes(), faces.tobytes(), pixels, most)
    if simplified is None:
        return
    positions, corners, normals = simplified
    model.mesh_vertnum[mesh], model.mesh_facenum[mesh] = len(positions), len(corners)
    model.mesh_vert[vertex : vertex + len(positions)] = positions
    model.mesh_face[face : face + len(corners)] = corners
    model.mesh_normal[normal : normal + len(normals)] = normals
    model.mesh_facenormal[face : face + len(corners)] = np.arange(len(normals)).reshape(-1, 3)


@functools.cache  # each takes 1 to 50 ms, and robots are always the same
def _simplified(
    vertices: bytes, faces: bytes, pixels: int, most: int
) -> tuple[Array, Array, Array] | None:
    """A mesh with fewer triangles, where that can be had.

    Args:
        vertices: (V, 3) float32, m.
        faces: (F, 3) int32 corners of the triangles.
        pixels: of an image.
        most: triangles that may be left.

    Returns:
        (V, 3) float32 positions, m, (F, 3) int32 corners and (3 F, 3) float32 normals of these.
    """
    try:
        import fast_simplification
    except ImportError as error:
        raise MissingDependency(
            f"fast images need fast-simplification: pip install 'robolearn[sim]' ({error})"
        ) from error
    positions = np.frombuffer(vertices, np.float32).reshape(-1, 3)
    corners = np.frombuffer(faces, np.int32).reshape(-1, 3)
    area = 0.5 * float(np.linalg.norm(_cross(positions, corners), axis=1).sum())
    wanted = max(min(_FACES_PER_PIXEL * area, _MOST_FACES_PER_PIXEL) * pixels, _LEAST_FACES)
    count = min(int(wanted), most)
    if len(corners) <= count or most < _LEAST_FACES:
        return None
    # Half a pixel where the mesh fills the image.
    cell = float(np.linalg.norm(np.ptp(positions, axis=0))) / (2 * np.sqrt(pixels))
    few_positions, few_corners = _welded(positions, corners, cell)
    if len(few_corners) > count:
        few_positions, few_corners = fast_simplification.simplify(
            few_positions.astype(np.float64), few_corners, target_count=count, preserve_border=True
        )
    if len(few_corners) > most or len(few_positions) > len(positions):
        return None  # of so many separate pieces that little is saved
    return few_positions, few_corners, _normals(few_positions, few_corners)


def _welded(positions: Array, corners: Array, edge: float) -> tuple[Array, Array]:
    """A mesh with one vertex in each cell of a grid, and without triangles that vanish so.

    Pieces that only touched belong together then, so that no gap opens when each is simplified.
    """
    cells = np.round(positions / edge).astype(np.int64)
    cells -= cells.min(axis=0)
    sizes = cells.max(axis=0) + 1
    numbers = (cells[:, 0] * sizes[1] + cells[:, 1]) * sizes[2] + cells[:, 2]
    _, first, cell = np.unique(numbers, return_index=True, return_inverse=True)
    welded = cell[corners].astype(np.int32)
    a, b, c = welded.T
    return positions[first], np.ascontiguousarray(welded[(a != b) & (b != c) & (c != a)])


def _normals(positions: Array, corners: Array) -> Array:
    """(3 F, 3) float32 unit normals of the corners of the triangles.

    A corner's is the mean of the triangles around it that its own triangle continues smoothly, by
    their areas.
    """
    areas = _cross(positions, corners)
    units = areas / np.maximum(np.linalg.norm(areas, axis=1, keepdims=True), 1e-12)
    # Each corner beside each other corner at the same vertex.
    vertices = corners.ravel()
    order = np.argsort(vertices, kind="stable")
    counts = np.bincount(vertices, minlength=len(positions))
    starts = np.cumsum(counts) - counts
    own = np.repeat(np.arange(len(vertices)), counts[vertices])
    within = np.arange(len(own)) - np.repeat(
        np.cumsum(counts[vertices]) - counts[vertices], counts[vertices]
    )
    other = order[starts[vertices[own]] + within]
    smooth = np.einsum("ij,ij->i", units[own // 3], units[other // 3]) > _SMOOTH
    sums = units[np.arange(len(vertices)) // 3] * 1e-12
    np.add.at(sums, own[smooth], areas[other[smooth] // 3])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    normals: Array = (sums / np.maximum(lengths, 1e-30)).astype(np.float32)
    return normals


def _cross(positions: Array, corners: Array) -> Array:
    """(F, 3) normals of triangles, as long as twice their areas."""
    a, b, c = (positions[corners[:, place]].astype(np.float64) for place in range(3))
    normals: Array = np.cross(b - a, c - a)
    return normals


def _shrink(model: mujoco.MjModel, texture: int, longest: int) -> None:
    """Leave one texture means of squares of its texels, in its own place of the memory."""
    bitmap = texture_bitmap(model, texture)
    height, width, channels = bitmap.shape
    sides = 6 if height == 6 * width else 1  # of a cube, which are stacked
    factor = -(-max(height // sides, width) // longest)
    if factor == 1:
        return
    stacked = bitmap.reshape(sides, height // sides, width, channels)
    small = np.concatenate([np.asarray(Image.fromarray(side).reduce(factor)) for side in stacked])
    model.tex_height[texture], model.tex_width[texture] = small.shape[:2]
    texture_bitmap(model, texture)[:] = small.reshape(*small.shape[:2], channels)
