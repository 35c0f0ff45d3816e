"""Which world an episode is seen in."""

from __future__ import annotations

from robolearn.episodes.features import STATE
from robolearn.episodes.frames import EpisodeContext
from robolearn.errors import SimulationError
from robolearn.viewing.real import RealWorld, arm_of
from robolearn.viewing.simulated import SimulatedWorld
from robolearn.viewing.world import World


def open_world(context: EpisodeContext) -> World:
    """The world of episodes in this context: simulated, or the arm of a profile.

    Raises:
        MissingDependency: a library that it needs is not installed.
        SimulationError: there is none, or it cannot be read.
    """
    if context.model_file is None and arm_of(context) is not None:
        return RealWorld(context)
    if context.model_file is None and STATE in context.features:
        raise SimulationError(
            "the episodes hold no simulated world (model_file and states), and name no arm of the "
            "shelf real/; what a dataset says of other files is not followed"
        )
    return SimulatedWorld(context)
