"""MJCF that stands in an episode: its asset paths begin at the package that ships them."""

from __future__ import annotations

import re

_WHOLE_PATH = re.compile(r"""(\bfile\w*=["'])[^"'<>]*/(robosuite/)""")


def portable(xml: str) -> str:
    """A model whose asset paths begin at ``robosuite/``, which robosuite's own loader resolves.

    Args:
        xml: as MuJoCo saved it, with paths of the machine where it was made, or portable already.
    """
    return _WHOLE_PATH.sub(r"\1\2", xml)
