"""Shapes turned into triangles are closed and have the right size."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from robolearn.viewing.meshes import body_meshes


def volume(mesh):
    """By the divergence theorem; right only for a closed surface whose triangles face outwards."""
    a, b, c = (mesh.positions[mesh.triangles[:, corner]].astype(float) for corner in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def meshes_of(geom, extra=""):
    xml = f"<mujoco>{extra}<worldbody><body><freejoint/>{geom}</body></worldbody></mujoco>"
    return body_meshes(mujoco.MjModel.from_xml_string(xml))


@pytest.mark.parametrize(
    ("geom", "expected"),
    [
        ("type='box' size='.1 .2 .3'", 8 * 0.1 * 0.2 * 0.3),
        ("type='sphere' size='.1'", 4 / 3 * np.pi * 0.1**3),
        ("type='cylinder' size='.1 .2'", np.pi * 0.1**2 * 0.4),
        ("type='capsule' size='.1 .2'", np.pi * 0.1**2 * 0.4 + 4 / 3 * np.pi * 0.1**3),
        ("type='ellipsoid' size='.1 .2 .3'", 4 / 3 * np.pi * 0.1 * 0.2 * 0.3),
    ],
)
def test_volume_and_normals(geom, expected):
    (mesh,) = meshes_of(f"<geom {geom} group='1' pos='.5 0 0' euler='30 40 50'/>").values()
    assert volume(mesh) == pytest.approx(expected, rel=0.03)
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1, abs=1e-5)
    assert ((mesh.positions - [0.5, 0, 0]) * mesh.normals).sum(1).min() >= -1e-6, "outwards"


def test_a_mesh_stays_closed_when_its_vertices_are_merged():
    draw = np.random.default_rng(0)
    points = draw.normal(size=(2000, 3))
    points *= 0.02 / np.linalg.norm(points, axis=1, keepdims=True)
    vertices = " ".join(f"{value:.6f}" for value in points.reshape(-1))
    asset = f"<asset><mesh name='ball' vertex='{vertices}'/></asset>"
    (mesh,) = meshes_of("<geom type='mesh' mesh='ball' group='1'/>", asset).values()
    assert len(mesh.positions) < 1500
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * 0.02**3, rel=0.05)


def test_collision_shapes_and_invisible_ones_are_left_out():
    assert meshes_of("<geom type='sphere' size='.1'/>") == {}
    assert meshes_of("<geom type='sphere' size='.1' group='1' rgba='1 1 1 0'/>") == {}


def test_a_texture_gives_its_mean_colour():
    asset = (
        "<asset><texture name='t' type='2d' builtin='flat' rgb1='.2 .4 .6' width='4' height='4'/>"
        "<material name='m' texture='t'/></asset>"
    )
    (mesh,) = meshes_of("<geom type='box' size='.1 .1 .1' group='1' material='m'/>", asset).values()
    assert mesh.colors[0] == pytest.approx([51, 102, 153, 255], abs=2)
