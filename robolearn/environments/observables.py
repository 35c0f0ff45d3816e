"""The observables of a robosuite task that somebody asks for, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


class Observables:
    """Reads some of robosuite's observables from the state that is simulated now.

    robosuite computes all that it has, two or three times as many as a task uses, and in an order
    in which some (`Can_to_robot0_eef_pos`) are computed from where the object was when it was
    observed last, and are zero after a reset. Here an observable is computed by robosuite's own
    sensor, after those that its sensor reads: it follows from the state alone, and is what
    robosuite says when it is asked twice.

    Args:
        env: a robosuite environment that was reset. It may be reset again.
        names: of observables that it has.
    """

    def __init__(self, env: Any, names: Iterable[str]) -> None:
        self._env = env
        self._names = tuple(names)
        self._needed = _needed(env, self._names)

    def read(self) -> dict[str, Any]:
        """What is observed now, by name."""
        observables, cache = self._env._observables, self._env._obs_cache
        for name in self._needed:
            # As robosuite's ``Observable.update`` does when it is forced, without its clock.
            observable = observables[name]
            value = np.array(
                observable._filter(observable._corrupter(observable._sensor(cache))), ndmin=1
            )
            cache[name] = value[0] if value.shape == (1,) else value
        return {name: cache[name] for name in self._names}


def _needed(env: Any, names: Iterable[str]) -> list[str]:
    """These observables and all that they are computed from, which come first."""
    env._update_observables(force=True)
    reads: dict[str, set[str]] = {}
    writers: dict[str, set[str]] = {}
    for name, observable in env._observables.items():
        watched = _WatchedCache(env._obs_cache)
        observable._sensor(watched)
        reads[name] = watched.read
        for key in (name, *watched.written):
            writers.setdefault(key, set()).add(name)
    needed: dict[str, None] = {}

    def need(name: str, behind: tuple[str, ...]) -> None:
        if name in needed or name in behind:
            return
        for key in sorted(reads[name]):
            for writer in sorted(writers.get(key, ())):
                need(writer, (*behind, name))
        needed[name] = None

    for name in names:
        need(name, ())
    return list(needed)


class _WatchedCache(dict[str, Any]):
    """robosuite's cache of readings, with what a sensor does to it."""

    def __init__(self, cache: dict[str, Any]) -> None:
        super().__init__(cache)
        self.read: set[str] = set()
        self.written: set[str] = set()

    def __contains__(self, key: object) -> bool:
        self.read.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.written.add(key)
        super().__setitem__(key, value)
