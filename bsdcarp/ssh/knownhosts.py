"""known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): what is known of a host, and writing down a new key.

``paramiko.HostKeys`` is not used: it drops the markers (so a revoked key would pass), takes patterns literally and
cannot say in which line a key stands.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SshError
from bsdcarp.ssh.lines import read_lines
from bsdcarp.ssh.patterns import matches

__all__ = ["KnownKey", "append", "fingerprint", "host_name", "known_keys"]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line that speaks about the host asked for."""

    marker: str
    """Empty, ``@revoked`` or ``@cert-authority``."""
    key_type: str
    blob: bytes
    """The public key as it goes over the wire (RFC 4253, 6.6)."""
    place: str
    """``file:line``"""


def host_name(host: str, port: int) -> str:
    """The name known_hosts uses: the port is part of it unless it is 22."""
    host = host.lower()
    return host if port == 22 else f"[{host}]:{port}"


def fingerprint(blob: bytes) -> str:
    """``SHA256:...`` as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def known_keys(paths: Iterable[Path], name: str) -> tuple[KnownKey, ...]:
    """Return what the files say about ``name`` (as ``host_name`` gives it).

    Files that do not exist say nothing, and so do lines that are not of the format.  Raises ``SshError`` for a file
    that cannot be read.
    """
    return tuple(key for path in paths for key in _in_file(path, name))


def _in_file(path: Path, name: str) -> Iterator[KnownKey]:
    for number, marker, names, key_type, key in _entries(read_lines(path) or ()):
        if not _names(names, name):
            continue
        try:
            blob = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            continue
        yield KnownKey(marker, key_type, blob, f"{path}:{number}")


@lru_cache(maxsize=64)
def _entries(lines: tuple[str, ...]) -> tuple[tuple[int, str, tuple[str, ...], str, str], ...]:
    """Take the lines of a file apart: number, marker, names, type and key of each that is of the format."""
    found = []
    for number, line in enumerate(lines, 1):
        words = line.split(None, 4)
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) > 2:
            found.append((number, marker, tuple(words[0].split(",")), words[1], words[2]))
    return tuple(found)


def _names(names: tuple[str, ...], name: str) -> bool:
    if names[0].startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in ",".join(names)[3:].split("|"))
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.digest(salt, name.encode("utf-8", "surrogateescape"), "sha1"), digest)
    return matches(name, names)


def append(path: Path, name: str, key_type: str, blob: bytes) -> None:
    """Add one line for ``name`` to ``path``, unless another run has just done so.

    The file is created with mode 0600, its directory with 0700.  Raises ``SshError`` if it cannot be written, and
    if another run has meanwhile written down a different key of that type.
    """
    entry = f"{name} {key_type} {base64.b64encode(blob).decode()}\n".encode("utf-8", "surrogateescape")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "r+b", 0) as file:
            # The lock goes with the descriptor.  ssh(1) takes none, but one append of one line does not tear.
            fcntl.flock(file, fcntl.LOCK_EX)
            known = [key for key in known_keys([path], name) if key.key_type == key_type and not key.marker]
            if any(key.blob == blob for key in known):
                return
            if known:
                raise SshError(
                    f"two hosts answer as {name}: one presents {fingerprint(blob)}, "
                    f"another {fingerprint(known[0].blob)}",
                    place=known[0].place,
                    remedy="find out which is the right one",
                )
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                entry = entry if file.read(1) == b"\n" else b"\n" + entry
            file.write(entry)
    except OSError as error:
        raise SshError(
            f"a new host key cannot be written: {error.strerror}", place=str(path), remedy="check its owner and mode"
        ) from error
