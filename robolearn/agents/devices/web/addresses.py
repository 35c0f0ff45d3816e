"""Where other machines reach this one."""

from __future__ import annotations

import socket

_TOWARDS = ("192.0.2.1", "10.255.255.254", "172.31.255.254", "192.168.255.254")
"""The internet (an address for documentation), and what private networks are numbered from."""

LOOPBACK = "127.0.0.1"


def local_addresses() -> tuple[str, ...]:
    """IPv4 addresses of this machine, that towards the internet first; loopback if there is none.

    Nothing is sent: connecting a datagram socket only chooses the network card.
    """
    found: list[str] = []
    for target in _TOWARDS:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 9))
            except OSError:
                continue  # no way there
            found.append(probe.getsockname()[0])
    return tuple(dict.fromkeys(address for address in found if address != LOOPBACK)) or (LOOPBACK,)
