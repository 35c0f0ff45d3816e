from __future__ import annotations

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.agents.takeover import Takeover
from robolearn.episodes.frames import Array, Observation


class Saying(Agent):
    def __init__(self) -> None:
        self.resets = 0

    def reset(self, seed: int) -> None:
        self.resets += 1

    def act(self, observation: Observation) -> Array:
        return np.full(2, 9.0, np.float32)


NOTHING = Observation({}, {}, 0.0)


def test_a_person_takes_over_without_a_jump_and_gives_back() -> None:
    policy, leader, wanted = Saying(), np.array([5.0, -5.0]), [False]
    told = np.array([1.0, 2.0])
    agent = Takeover(
        policy, lambda: leader.copy(), lambda: wanted[0], lambda: told, lambda joints: 10 * joints
    )
    agent.reset(3)
    np.testing.assert_array_equal(agent.act(NOTHING), [9, 9])
    assert not agent.intervening
    wanted[0] = True
    np.testing.assert_allclose(agent.act(NOTHING), [10, 20])
    assert agent.intervening
    leader += [0.1, 0.2]
    np.testing.assert_allclose(agent.act(NOTHING), [11, 22])
    wanted[0] = False
    resets = policy.resets
    np.testing.assert_array_equal(agent.act(NOTHING), [9, 9])
    assert not agent.intervening
    assert policy.resets == resets + 1
    wanted[0] = True
    told[:] = 3, 4
    np.testing.assert_allclose(agent.act(NOTHING), [30, 40])
