"""Private key files, looked at before anything is decrypted: whose key it is and whether it needs a passphrase.

OpenSSH's format (PROTOCOL.key in its source) holds the public half in the clear, so a file can be matched with a key
in the agent even if it is encrypted.  The older PEM forms need the ``.pub`` file beside them for that.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from pathlib import Path

from bsdcarp.dataclass import dataclass

__all__ = ["DEFAULT_NAMES", "KeyFile", "inspect"]

DEFAULT_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
"""What is tried in ~/.ssh if ssh_config names no IdentityFile."""

_ARMOUR = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----\r?\n(.*?)-----END", re.DOTALL)
_PUBLIC = re.compile(rb"(?:^|\n)((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+) ([A-Za-z0-9+/=]+)")
_MAGIC = b"openssh-key-v1\0"
_PEM_TYPES = {b"RSA PRIVATE KEY": "ssh-rsa", b"EC PRIVATE KEY": "ecdsa", b"DSA PRIVATE KEY": "ssh-dss"}


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What can be told about an identity file."""

    path: Path
    key_type: str = ""
    """As in a public key (``ssh-ed25519``); ``ecdsa`` if only that much is known; empty if nothing is."""
    blob: bytes | None = None
    """The public key as it goes over the wire, if it is readable."""
    encrypted: bool = False
    public_only: bool = False
    """The file is a public key: it chooses a key of the agent and is good for nothing else."""
    problem: str = ""
    """Why it cannot be used at all."""


def inspect(path: Path) -> KeyFile:
    """Read ``path`` as far as it goes without a passphrase; whatever is wrong is told in ``problem``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return KeyFile(path, problem=error.strerror or "unreadable")
    armour = _ARMOUR.search(data)
    if armour is None:
        key_type, blob = _public(data)
        return KeyFile(path, key_type, blob, public_only=True) if blob else KeyFile(path, problem="not a private key")
    kind, body = armour[1], armour[2]
    if kind == b"OPENSSH PRIVATE KEY":
        try:
            return _openssh(path, base64.b64decode(body))
        except (binascii.Error, ValueError, struct.error):
            return KeyFile(path, problem="a damaged private key")
    key_type, blob = _beside(path)
    encrypted = kind.startswith(b"ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in body
    return KeyFile(path, key_type or _PEM_TYPES.get(kind, ""), blob, encrypted)


def _openssh(path: Path, data: bytes) -> KeyFile:
    if not data.startswith(_MAGIC):
        raise ValueError("magic")
    cipher, rest = _string(data[len(_MAGIC) :])
    _kdf, rest = _string(rest)
    _options, rest = _string(rest)
    blob, _ = _string(rest[4:])  # after the number of keys, which is always 1
    key_type, _ = _string(blob)
    return KeyFile(path, key_type.decode("ascii"), blob, cipher != b"none")


def _string(data: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from(">I", data)
    if len(data) < 4 + length:
        raise ValueError("short")
    return data[4 : 4 + length], data[4 + length :]


def _beside(path: Path) -> tuple[str, bytes | None]:
    try:
        return _public(path.with_name(path.name + ".pub").read_bytes())
    except OSError:
        return "", None


def _public(data: bytes) -> tuple[str, bytes | None]:
    found = _PUBLIC.search(data)
    if found is None:
        return "", None
    try:
        blob = base64.b64decode(found[2], validate=True)
        key_type, _ = _string(blob)
    except (binascii.Error, ValueError, struct.error):
        return "", None
    return (key_type.decode("ascii"), blob) if key_type == found[1] else ("", None)
