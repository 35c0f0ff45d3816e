"""One program at a time on an arm: ports that are there, free, and held."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robolearn.errors import ArmError

_ADDRESSES = re.compile(r"(^|_)(port|ip|host|hostname|address|remote_ip|robot_ip)$")

_TERMINALS = Path("/dev/pts")
_MASTERS = {Path("/dev/ptmx"), Path("/dev/pts/ptmx")}


def addresses(options: Mapping[str, Any]) -> list[str]:
    """Ports and network addresses among a driver's options, those of its parts included."""
    found: list[str] = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            found += addresses(value)
        elif isinstance(value, str) and _ADDRESSES.search(key):
            found.append(value)
    return found


@contextlib.contextmanager
def claimed_ports(options: Mapping[str, Any]) -> Iterator[None]:
    """Hold the ports of an arm, so that no other robolearn moves it meanwhile.

    Raises:
        ArmError: a port is absent, may not be used, or is in use; says by whom, where that can be
            told.
    """
    with contextlib.ExitStack() as held:
        for address in addresses(options):
            if address.startswith("/"):
                _require_usable(Path(address))
            held.enter_context(_locked(address))
        yield


def users_of(port: Path) -> list[str]:
    """Processes that have a port open, as far as this user may see them (on Linux).

    Of a pseudo-terminal the other end is no user: it is what is being talked with.
    """
    found = []
    real = port.resolve()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            links = {entry.readlink() for entry in (folder / "fd").iterdir()}
            is_other_end = real.parent == _TERMINALS and not _MASTERS.isdisjoint(links)
            if folder.name != str(os.getpid()) and real in links and not is_other_end:
                name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
                found.append(f"{name} (process {folder.name})")
    return found


def _require_usable(port: Path) -> None:
    try:
        mode = port.stat().st_mode
    except OSError as error:
        raise ArmError(
            f"there is no port {port}: plug the arm in and switch it on; robolearn doctor real "
            "lists the ports that there are"
        ) from error
    if not stat.S_ISCHR(mode):
        raise ArmError(f"{port} is no port")
    if not os.access(port, os.R_OK | os.W_OK):
        raise ArmError(
            f"you may not use {port}: sudo usermod -aG {port.group()} $USER, and log in again"
        )


@contextlib.contextmanager
def _locked(address: str) -> Iterator[None]:
    real = os.path.realpath(address) if address.startswith("/") else address
    name = hashlib.sha256(real.encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"robolearn-arm-{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ArmError(
                f"another robolearn is driving the arm at {address}: stop it first"
            ) from error
        if address.startswith("/") and (users := users_of(Path(address))):
            raise ArmError(f"the port {address} is in use by {', '.join(users)}: stop it first")
        yield
    finally:
        os.close(descriptor)
