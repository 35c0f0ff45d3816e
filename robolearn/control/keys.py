"""Keys that a person presses while an arm moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from robolearn.agents.devices.keys import REQUESTS
from robolearn.agents.devices.requests import Request
from robolearn.agents.devices.terminal import ESCAPE, TerminalKeys


def request_keys(ask: Callable[[Request], None]) -> dict[str, Callable[[], None]]:
    """What to call for each key by which a person asks for something; space stops.

    Args:
        ask: told what was asked for.
    """
    asked = {**REQUESTS, "space": Request.STOP}
    return {key: partial(ask, request) for key, request in asked.items()}


class Keys(TerminalKeys):
    """Calls what a key stands for, from a thread of its own, at once.

    A context manager. Where standard input is no terminal, no key is ever pressed.

    Args:
        actions: what to call, by the key's name. What has none and is no single character, an
            arrow for example, does what Escape does; and so does a terminal that is gone.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        super().__init__(self._act, lambda: self._act(ESCAPE))
        self._actions = actions

    def _act(self, key: str) -> None:
        name = key if key in self._actions or len(key) == 1 else ESCAPE
        if name in self._actions:
            self._actions[name]()
