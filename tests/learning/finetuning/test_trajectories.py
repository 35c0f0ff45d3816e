import torch

from robolearn.episodes.features import Feature
from robolearn.learning.finetuning.trajectories import Trajectories, Trajectory

FEATURES = {
    "observation.state.x": Feature("float32", (1,)),
    "observation.images.front": Feature("uint8", (2, 2, 3)),
}


def trajectory(first: int, steps: int, *, terminated: bool = False) -> Trajectory:
    """An episode whose frame t shows ``first + t``, and whose action t is ten times that."""
    shown = torch.arange(first, first + steps + 1)
    actions = 10.0 * shown[:-1, None]
    return Trajectory(
        {
            "observation.state.x": shown[:, None].float(),
            "observation.images.front": shown[:, None, None, None].expand(-1, 2, 2, 3).byte(),
        },
        actions,
        actions + 1,
        terminated,
    )


def trajectories(history: int = 3, past: int = 2, horizon: int = 4) -> Trajectories:
    return Trajectories(FEATURES, 1, history, past, horizon)


def test_situations_hold_the_history_of_their_own_episode() -> None:
    held = trajectories()
    held.add(trajectory(0, 4))
    held.add(trajectory(100, 2))
    assert len(held) == 6
    found = held[torch.tensor([0, 3, 4, 5])]
    seen = found.before.observations["observation.state.x"][..., 0]
    assert seen.tolist() == [[0, 0, 0], [1, 2, 3], [100, 100, 100], [100, 100, 101]]
    then = found.after.observations["observation.state.x"][..., 0]
    assert then.tolist() == [[0, 0, 1], [2, 3, 4], [100, 100, 101], [100, 101, 102]]
    images = found.before.observations["observation.images.front"]
    assert images.dtype == torch.uint8
    assert images[:, :, 0, 0, 0].tolist() == seen.tolist()
    assert found.before.frame_is_pad.tolist() == [
        [True, True, False],
        [False, False, False],
        [True, True, False],
        [True, False, False],
    ]
    assert found.before.past_actions[..., 0].tolist() == [[0, 0], [10, 20], [0, 0], [0, 1000]]
    assert found.before.past_action_is_pad.tolist() == [
        [True, True],
        [False, False],
        [True, True],
        [True, False],
    ]
    assert found.actions[:, 0].tolist() == [0, 30, 1000, 1010]
    assert found.actions_asked[:, 0].tolist() == [1, 31, 1001, 1011]
    assert found.before.present["observation.state.x"][:, 0].tolist() == [0, 3, 100, 101]


def test_a_task_that_is_over_is_filled_up_with_the_absorbing_state() -> None:
    held = trajectories(horizon=4)
    held.add(trajectory(0, 2, terminated=True))
    held.add(trajectory(50, 4))
    found = held.all
    assert found.absorbing.tolist() == [False, False, True, True, *[False] * 4]
    assert found.terminated.tolist() == [False, True, *[False] * 6]
    assert held.real.tolist() == [0, 1, 4, 5, 6, 7]
    assert held.real_lengths.tolist() == [2, 4]
    drawn = held.sample(200, torch.Generator().manual_seed(0))
    assert not drawn.absorbing.any()
    assert held.absorbing_share() == 2 / 8
    assert held.absorbing_share(newest=4) == 0


def test_an_episode_that_was_cut_off_is_not_filled_up() -> None:
    held = trajectories(horizon=4)
    held.add(trajectory(0, 2))
    assert len(held) == 2
    assert not held.all.terminated.any()


def test_what_was_added_comes_back_from_a_checkpoint() -> None:
    held, again = trajectories(), trajectories()
    for first in range(0, 3000, 100):
        held.add(trajectory(first, 40, terminated=first == 200))
    again.load_state_dict(held.state_dict())
    for one, other in zip(
        held.all.before.observations.values(), again.all.before.observations.values(), strict=True
    ):
        assert torch.equal(one, other)
    assert torch.equal(held.real, again.real)
    again.add(trajectory(0, 3))
    assert len(again) == len(held) + 3


def test_recent_ones_can_be_drawn_alone() -> None:
    held = trajectories()
    held.add(trajectory(0, 2, terminated=True))
    held.add(trajectory(100, 4))
    drawn = held.sample(100, torch.Generator().manual_seed(0), newest=4)
    assert (drawn.actions >= 1000).all()
