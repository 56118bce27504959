"""The lab's own SSH keys: one pair for whoever logs in, a few for each simulated host.

They are made once for a directory and then reused, so that a second start costs nothing and ``known_hosts`` stays
true.  RSA is there because an old sshd knows nothing newer; the keys protect loopback ports only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import paramiko
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from bsdcarp.errors import LabError

__all__ = ["HostKeys", "KeyPair", "KeyType", "client_keys", "host_keys", "known_hosts_lines"]

KeyType = Literal["ed25519", "ecdsa", "rsa"]


@dataclass(frozen=True)
class KeyPair:
    """A private key file (mode 0600, OpenSSH format) with its public line beside it in ``PATH.pub``."""

    kind: KeyType
    path: Path

    @cached_property
    def key(self) -> paramiko.PKey:
        """The key as paramiko wants it; raises ``LabError`` if the file is not what was written."""
        try:
            if self.kind == "rsa":
                # Checking an RSA key's numbers takes longer than a whole login; the lab has made this one itself.
                private = load_ssh_private_key(self.path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
                if isinstance(private, rsa.RSAPrivateKey):
                    return paramiko.RSAKey(key=private)
            return (paramiko.Ed25519Key if self.kind == "ed25519" else paramiko.ECDSAKey)(filename=str(self.path))
        except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
            raise LabError(
                f"cannot read this key: {error}", place=str(self.path), remedy="remove it; it is made again"
            ) from error

    @property
    def public(self) -> str:
        """``TYPE BASE64``, as in ``authorized_keys`` and ``known_hosts``."""
        kind, blob, *_ = self.path.with_name(f"{self.path.name}.pub").read_text().split()
        return f"{kind} {blob}"


@dataclass(frozen=True)
class HostKeys:
    """The keys that prove a host to be itself."""

    pairs: tuple[KeyPair, ...]

    def of(self, kinds: Iterable[KeyType]) -> tuple[KeyPair, ...]:
        """Only those of ``kinds``: an old sshd has no ed25519 key."""
        wanted = frozenset(kinds)
        return tuple(pair for pair in self.pairs if pair.kind in wanted)


def _generate(kind: KeyType) -> ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ecdsa":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _make(pair: KeyPair, comment: str) -> None:
    if pair.path.exists():
        return
    private = _generate(pair.kind)
    # Created private from its first byte on, and renamed so that an interrupted start leaves no half a key.
    unfinished = pair.path.with_name(f".{pair.path.name}.{os.getpid()}")
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    pair.path.with_name(f"{pair.path.name}.pub").write_text(f"{public.decode()} {comment}\n")
    unfinished.replace(pair.path)


def _make_all(wanted: Iterable[tuple[KeyPair, str]]) -> None:
    # RSA takes about a tenth of a second each and lets go of the interpreter lock meanwhile.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for done in [pool.submit(_make, pair, comment) for pair, comment in wanted]:
            done.result()


def client_keys(directory: Path) -> tuple[KeyPair, KeyPair]:
    """``id_ed25519`` and ``id_rsa`` in ``directory``, made if missing."""
    pairs = (KeyPair("ed25519", directory / "id_ed25519"), KeyPair("rsa", directory / "id_rsa"))
    _make_all((pair, "bsdcarp-lab") for pair in pairs)
    return pairs


def host_keys(directory: Path, names: Iterable[str]) -> dict[str, HostKeys]:
    """Keys for each of ``names`` in ``directory/NAME/ssh_host_TYPE_key``, made if missing."""
    kinds: tuple[KeyType, ...] = ("ed25519", "ecdsa", "rsa")
    made = {
        name: HostKeys(tuple(KeyPair(kind, directory / name / f"ssh_host_{kind}_key") for kind in kinds))
        for name in names
    }
    for name in made:
        (directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_all((pair, f"root@{name}") for name, keys in made.items() for pair in keys.pairs)
    return made


def known_hosts_lines(names: Iterable[str], address: str, port: int, pairs: Iterable[KeyPair]) -> str:
    """Lines of ``known_hosts`` that vouch for ``pairs`` at ``address`` and ``port`` and under each of ``names``."""
    # sshd(8): a host on another port than 22 is written in brackets with its port.
    place = address if port == 22 else f"[{address}]:{port}"
    places = ",".join(dict.fromkeys([place, *names]))
    return "".join(f"{places} {pair.public}\n" for pair in pairs)
