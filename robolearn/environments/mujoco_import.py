"""MuJoCo, imported with what it renders with: that is decided when it is first imported."""

from robolearn.environments.rendering import select_gl

select_gl()

import mujoco  # noqa: E402  not before it is decided

__all__ = ["mujoco"]
