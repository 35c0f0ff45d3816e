from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save

from robolearn.errors import ConfigurationError
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.kinds import memory_of
from robolearn.policies.memory.lstm import LSTMMemory
from robolearn.policies.memory.memory import Memory
from robolearn.policies.memory.stack import StackMemory
from robolearn.policies.memory.transformer import TransformerMemory

WIDTH, ACTIONS, HISTORY = 5, 2, 4
KINDS = ("stack", "lstm", "transformer")
SEQUENCES = ("lstm", "transformer")


def make(kind: str, past_actions: int = 0, hidden=(8, 8), **options) -> Memory:
    torch.manual_seed(0)
    config = MemoryConfig(kind, HISTORY, past_actions, hidden, **options)
    return memory_of(config, WIDTH, ACTIONS)


def pads(*counts: int, of: int = HISTORY) -> torch.Tensor:
    """So many first places are padding."""
    return torch.arange(of) < torch.tensor(counts).unsqueeze(1)


@pytest.mark.parametrize("past_actions", [0, 1, HISTORY - 1, HISTORY])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_one_vector_and_every_weight_learns(kind: str, past_actions: int) -> None:
    memory = make(kind, past_actions).train()
    frames = torch.randn(6, HISTORY, WIDTH)
    past = torch.randn(6, past_actions, ACTIONS) if past_actions else None
    vector = memory(frames, past)
    assert vector.shape == (6, memory.width) == (6, 8)
    (vector * torch.randn(6, 8)).sum().backward()
    for name, parameter in memory.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_config_picks_the_kind() -> None:
    kinds = [type(make(kind)) for kind in KINDS]
    assert kinds == [StackMemory, LSTMMemory, TransformerMemory]


@pytest.mark.parametrize("kind", KINDS)
def test_the_vector_depends_on_every_frame_and_action(kind: str) -> None:
    memory = make(kind, HISTORY).eval()
    frames = torch.randn(1, HISTORY, WIDTH, requires_grad=True)
    past = torch.randn(1, HISTORY, ACTIONS, requires_grad=True)
    (memory(frames, past) * torch.randn(8)).sum().backward()
    assert (frames.grad.abs().sum(-1) > 0).all()
    assert (past.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_random_but_while_training(kind: str) -> None:
    memory = make(kind, 2, dropout=0.5, past_action_dropout=0.5)
    frames, past = torch.randn(6, HISTORY, WIDTH), torch.randn(6, 2, ACTIONS)
    assert torch.equal(memory.eval()(frames, past), memory(frames, past))
    assert not torch.equal(memory.train()(frames, past), memory(frames, past))


@pytest.mark.parametrize("kind", SEQUENCES)
def test_padded_frames_have_no_influence(kind: str) -> None:
    memory = make(kind, HISTORY).eval()
    frames, past = torch.randn(HISTORY, HISTORY, WIDTH), torch.randn(HISTORY, HISTORY, ACTIONS)
    is_pad = pads(*range(HISTORY))
    other = frames + 3 * is_pad.unsqueeze(-1)
    one = memory(frames, past, frame_is_pad=is_pad, past_action_is_pad=is_pad)
    same = memory(other, past, frame_is_pad=is_pad, past_action_is_pad=is_pad)
    torch.testing.assert_close(one, same, atol=0, rtol=0)
    unmasked = memory(other, past)
    assert not torch.isclose(one[1:], unmasked[1:]).all(1).any()
    torch.testing.assert_close(one[0], memory(frames, past)[0])


def test_an_lstm_begins_with_the_episode() -> None:
    memory = make("lstm").eval()
    frames = torch.randn(1, HISTORY, WIDTH)
    seen = memory(frames, frame_is_pad=pads(2))
    expected = memory.cells(frames[:, 2:])[0][:, -1]
    torch.testing.assert_close(seen, expected)


def test_a_transformer_sees_what_comes_first_in_the_first_place() -> None:
    memory = make("transformer").eval()
    frames = torch.randn(1, HISTORY, WIDTH)
    seen = memory(frames, frame_is_pad=pads(1))
    tokens = memory.embed(frames[:, 1:]) + memory.positions[:-1]
    hidden = torch.ones(HISTORY - 1, HISTORY - 1, dtype=torch.bool).triu(1)
    expected = memory.blocks(tokens, mask=hidden)[:, -1]
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("past_actions", [0, HISTORY])
@pytest.mark.parametrize("kind", SEQUENCES)
def test_each_frame_of_a_sequence_is_what_it_would_be_without_later_ones(
    kind: str, past_actions: int
) -> None:
    memory = make(kind, past_actions).eval()
    frames, is_pad = torch.randn(HISTORY, HISTORY, WIDTH), pads(*range(HISTORY))
    past = torch.randn(HISTORY, HISTORY, ACTIONS) if past_actions else None
    past_pad = is_pad if past_actions else None
    each = memory.each(frames, past, is_pad, past_pad)
    assert each.shape == (HISTORY, HISTORY, memory.width)
    for frame in range(HISTORY):
        later = HISTORY - 1 - frame  # the window as it was then: what came later is not in it
        then = memory(
            frames.roll(later, 1),
            None if past is None else past.roll(later, 1),
            frame_is_pad=is_pad.roll(later, 1) | (torch.arange(HISTORY) < later),
            past_action_is_pad=None if past_pad is None else past_pad.roll(later, 1),
        )
        began = ~is_pad[:, frame]
        torch.testing.assert_close(each[began, frame], then[began], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("past_actions", [0, 2])
def test_a_stack_has_a_vector_for_each_frame_with_a_whole_history(past_actions: int) -> None:
    memory = make("stack", past_actions).eval()
    frames, is_pad = torch.randn(3, HISTORY + 2, WIDTH), pads(0, 1, 3, of=HISTORY + 2)
    past = torch.randn(3, past_actions + 2, ACTIONS) if past_actions else None
    past_pad = pads(0, 1, 2, of=past_actions + 2) if past_actions else None
    each = memory.each(frames, past, is_pad, past_pad)
    assert each.shape == (3, 3, memory.width)
    for frame in range(3):
        expected = memory(
            frames[:, frame : frame + HISTORY],
            None if past is None else past[:, frame : frame + past_actions],
            past_action_is_pad=None
            if past_pad is None
            else past_pad[:, frame : frame + past_actions],
        )
        torch.testing.assert_close(each[:, frame], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sequence_matters(kind: str) -> None:
    memory = make(kind).eval()
    frames = torch.randn(1, HISTORY, WIDTH)
    swapped = frames[:, [1, 0, 2, 3]]
    assert not torch.allclose(memory(frames), memory(swapped))


@pytest.mark.parametrize("kind", SEQUENCES)
def test_each_frame_is_seen_with_the_action_that_led_to_it(kind: str) -> None:
    memory = make(kind, 3).eval()
    frames, past = torch.randn(1, HISTORY, WIDTH), torch.randn(1, 3, ACTIONS)
    one = memory(frames, past, frame_is_pad=pads(2), past_action_is_pad=pads(1, of=3))
    past[:, 1] += 1.0  # led to frame 2, the first of the episode that is no padding
    other = memory(frames, past, frame_is_pad=pads(2), past_action_is_pad=pads(1, of=3))
    assert not torch.allclose(one, other)
    past[:, 0] += 1.0  # led to padding
    same = memory(frames, past, frame_is_pad=pads(2), past_action_is_pad=pads(1, of=3))
    torch.testing.assert_close(other, same, atol=0, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_and_left_out_pasts_are_one_and_the_same(kind: str) -> None:
    memory = make(kind, 2).eval()
    frames, past = torch.randn(3, HISTORY, WIDTH), torch.randn(3, 2, ACTIONS)
    left_out = memory(frames)
    all_padding = memory(frames, past, past_action_is_pad=pads(2, 2, 2, of=2))
    torch.testing.assert_close(left_out, all_padding)
    zeros = memory(frames, torch.zeros(3, 2, ACTIONS))
    assert not torch.allclose(left_out, zeros), "an action of zero is not an unknown one"


def test_a_stack_without_past_is_an_mlp_over_all_frames() -> None:
    memory = make("stack", dropout=0.3).eval()
    frames = torch.randn(3, HISTORY, WIDTH)
    first, second = (layer for layer in memory.layers if isinstance(layer, torch.nn.Linear))
    expected = second(first(frames.reshape(3, HISTORY * WIDTH)).relu()).relu()
    torch.testing.assert_close(memory(frames), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_back_from_safetensors(kind: str) -> None:
    memory = make(kind, 2).eval()
    stored = save(memory.state_dict())
    other = make(kind, 2).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    frames, past = torch.randn(3, HISTORY, WIDTH), torch.randn(3, 2, ACTIONS)
    assert not torch.allclose(other(frames, past), memory(frames, past))
    other.load_state_dict(load(stored))
    torch.testing.assert_close(other(frames, past), memory(frames, past), atol=0, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_histories_of_another_length_are_refused(kind: str) -> None:
    memory = make(kind, 2)
    with pytest.raises(ValueError, match="3 frames, not 4"):
        memory(torch.randn(1, 3, WIDTH))
    with pytest.raises(ValueError, match=r"\(3, 2\), not \(2, 2\)"):
        memory(torch.randn(1, HISTORY, WIDTH), torch.randn(1, 3, ACTIONS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "lstm", "hidden": (8, 16)}, r"one width, not \(8, 16\)"),
        ({"kind": "lstm", "past_actions": 5}, "at most 4, not 5"),
        ({"kind": "transformer", "hidden": (6,)}, "4 heads do not divide"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(options, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MemoryConfig(history=HISTORY, **options)
    MemoryConfig(history=HISTORY, **(options | {"kind": "stack"}))
