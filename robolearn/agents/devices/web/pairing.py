"""Who may drive: the one browser that showed the token of the address first."""

from __future__ import annotations

import hmac
import secrets

from robolearn.errors import DeviceError


class Pairing:
    """A token that is good once, and the secret that the browser which showed it keeps.

    Attributes:
        token: to be told to the person, out of reach of the network.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(16)
        self._secret: str | None = None

    def pair(self, token: str) -> str:
        """The secret for a browser that shows the token.

        Raises:
            DeviceError: it is another one, or was shown before.
        """
        if not _same(token, self.token):
            raise DeviceError(
                "This address is not the one that robolearn shows: scan its code again."
            )
        if self._secret is not None:
            raise DeviceError(
                "Another browser drives already: this address is good once. "
                "End robolearn and start it again to drive with this one."
            )
        self._secret = secrets.token_urlsafe(32)
        return self._secret

    def knows(self, secret: str) -> bool:
        """Whether that is the secret of the browser that was paired."""
        return self._secret is not None and _same(secret, self._secret)


def _same(one: str, other: str) -> bool:
    """Compares in a time that tells nothing."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())
