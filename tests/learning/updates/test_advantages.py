import torch

from robolearn.learning.updates.advantages import generalized_advantages

DISCOUNT, TRACE = 0.9, 0.8


def naive(rewards: list[float], values: list[float], bootstrap: float, trace: float) -> list[float]:
    """The sum of equation 16, term by term."""
    after = [*values[1:], bootstrap]
    errors = [
        r + DISCOUNT * v_next - v for r, v, v_next in zip(rewards, values, after, strict=True)
    ]
    return [
        sum((DISCOUNT * trace) ** later * error for later, error in enumerate(errors[step:]))
        for step in range(len(errors))
    ]


def test_it_is_the_sum_of_the_paper_for_episodes_of_any_length() -> None:
    random = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(3, 6, generator=random) for _ in range(2))
    bootstrap, lengths = torch.randn(3, generator=random), torch.tensor([6, 1, 4])
    found = generalized_advantages(rewards, values, bootstrap, lengths, DISCOUNT, TRACE)
    for row, length in enumerate(lengths.tolist()):
        expected = naive(
            rewards[row, :length].tolist(),
            values[row, :length].tolist(),
            bootstrap[row].item(),
            TRACE,
        )
        torch.testing.assert_close(found[row, :length], torch.tensor(expected))
        assert not found[row, length:].any()


def test_a_trace_of_one_gives_the_return_less_the_value() -> None:
    rewards, values = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.5, -1.0, 4.0]])
    bootstrap = torch.tensor([10.0])
    found = generalized_advantages(rewards, values, bootstrap, torch.tensor([3]), 0.5, 1.0)
    last = 3 + 0.5 * 10
    returns = [1 + 0.5 * (2 + 0.5 * last), 2 + 0.5 * last, last]
    torch.testing.assert_close(found[0], torch.tensor(returns) - values[0])
