"""The memory that a config names."""

from __future__ import annotations

from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.lstm import LSTMMemory
from robolearn.policies.memory.memory import Memory
from robolearn.policies.memory.stack import StackMemory
from robolearn.policies.memory.transformer import TransformerMemory

_KINDS: dict[str, type[Memory]] = {
    "stack": StackMemory,
    "lstm": LSTMMemory,
    "transformer": TransformerMemory,
}


def memory_of(config: MemoryConfig, width: int, actions: int) -> Memory:
    """Make a memory.

    Args:
        config: which, and how far back it looks.
        width: W, of the vector of each frame.
        actions: A, elements of an action.
    """
    return _KINDS[config.kind](width, actions, config)
