"""The certificate by which a browser talks with this machine: made once, signed by itself.

WebXR is only given to pages that come encrypted, and in a laboratory nobody signs certificates.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from robolearn.folders import write_file

_LIFETIME = datetime.timedelta(days=820)  # Apple's devices refuse more than 825
_MARGIN = datetime.timedelta(days=7)


def state_folder() -> Path:
    """Where what was made on first use is kept, of this user alone."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "robolearn" / "web"


def server_context(folder: Path, addresses: Sequence[str]) -> ssl.SSLContext:
    """What a server encrypts with; the certificate is made if there is no good one.

    Args:
        folder: that holds certificate and key; made if it is not there.
        addresses: under which browsers find this machine.

    Raises:
        OSError: the folder cannot be written to.
    """
    certificate, key = certificate_path(folder), folder / "key.pem"
    if not _is_good(certificate, key, addresses):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(certificate, key, addresses)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def certificate_path(folder: Path) -> Path:
    """The certificate in that folder, PEM."""
    return folder / "certificate.pem"


def _is_good(certificate: Path, key: Path, addresses: Sequence[str]) -> bool:
    """Whether there is one for these addresses that holds, whose key nobody else could read."""
    try:
        if key.stat().st_mode & 0o077:
            return False
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), password=None)
        names = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    now = datetime.datetime.now(datetime.UTC)
    listed = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return (
        known.public_key() == secret.public_key()
        and known.not_valid_before_utc <= now < known.not_valid_after_utc - _MARGIN
        and set(addresses) <= listed
    )


def _make(certificate: Path, key: Path, addresses: Sequence[str]) -> None:
    host = socket.gethostname()
    names = [x509.DNSName(name) for name in dict.fromkeys((host, f"{host}.local", "localhost"))]
    numbers = [
        x509.IPAddress(ipaddress.ip_address(number))
        for number in dict.fromkeys((*addresses, "127.0.0.1"))
    ]
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"robolearn on {host}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # a headset's clock may be behind
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([*names, *numbers]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # Apple's devices trust authorities only; this one is none for anything but this machine.
        .add_extension(
            x509.NameConstraints(
                [
                    *names,
                    *(x509.IPAddress(ipaddress.ip_network(str(each.value))) for each in numbers),
                ],
                None,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    _write_secret(
        key,
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    write_file(certificate, made.public_bytes(serialization.Encoding.PEM))


def _write_secret(path: Path, content: bytes) -> None:
    """A file that at no time another user can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
