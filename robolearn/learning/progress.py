"""How long work says how far it is, without knowing who looks."""

from collections.abc import Callable

type Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is to do, and a short text."""
