from __future__ import annotations

import numpy as np

from robolearn.agents.greedy import GreedyAgent, QNetwork
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext, Observation

POLE, CART = "observation.state.pole", "observation.state.cart"
CONTEXT = EpisodeContext(
    features={POLE: Feature("float32", (1,)), CART: Feature("float32", (1,))},
    action=ActionFeature("int64", (1,), ("way",), low=(3,), high=(5,)),
    task="stand",
    rate=10.0,
    env_args={},
)
NETWORK = QNetwork(
    (CART, POLE),
    (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])),
    (np.array([0.0, -1.0]), np.array([0.0, 0.0, 0.5])),
)


def act(cart: float, pole: float) -> np.ndarray:
    agent = GreedyAgent(NETWORK, CONTEXT)
    agent.reset(seed=0)
    values = {POLE: np.array([pole], np.float32), CART: np.array([cart], np.float32)}
    return agent.act(Observation(values=values, timestamps={}, time=0.0))


def test_layers_are_followed_by_what_is_above_zero_but_for_the_last() -> None:
    assert NETWORK(np.array([2.0, 0.5])).tolist() == [2.0, 0.0, 0.5]
    assert NETWORK(np.array([-2.0, 4.0])).tolist() == [0.0, 3.0, 0.5]


def test_the_best_is_taken_and_counted_from_the_least_action() -> None:
    """The inputs are in the network's order, not in the observation's."""
    assert act(cart=2.0, pole=0.0).tolist() == [3]
    assert act(cart=0.0, pole=2.0).tolist() == [4]
    assert act(cart=0.0, pole=0.0).tolist() == [5]
