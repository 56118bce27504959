"""Logging in with a key: of the agent, or of a file that needs no passphrase.

Passwords and keyboard-interactive logins are not offered: a fleet is not typed into, and a password on twenty hosts
is one too many.  User certificates are not used either.  A key is offered with its signature at once, without asking
first whether it would do, and the likeliest is offered first, since sshd counts the tries (MaxAuthTries):

1. keys of the agent that ssh_config names (or that have the usual names in ~/.ssh),
2. key files that ssh_config names,
3. the agent's other keys, unless IdentitiesOnly says no,
4. key files with the usual names, if ssh_config names none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import paramiko

from bsdcarp.errors import SshError
from bsdcarp.ssh.agent import agent_keys
from bsdcarp.ssh.algorithms import signs_with_sha1_only
from bsdcarp.ssh.keyfiles import DEFAULT_NAMES, KeyFile, inspect
from bsdcarp.ssh.target import SshTarget
from bsdcarp.ssh.transport import Transport

__all__ = ["AUTH_SECONDS", "log_in"]

AUTH_SECONDS = 60.0
"""How long sshd may take for an answer.  Old ones look the client's name up first (UseDNS), which takes its time."""

_RSA_SHA2 = ("rsa-sha2-512", "rsa-sha2-256")
_ENCRYPTED = "is encrypted and not in the agent"


def log_in(transport: Transport, target: SshTarget) -> None:
    """Authenticate as ``target.user``.  Raises ``SshError`` that tells what was tried and what was passed over."""
    transport.auth_timeout = AUTH_SECONDS
    notes: list[str] = []
    refused: list[str] = []
    with agent_keys(target.agent, target.connect_timeout, notes) as agent:
        for label, key in _candidates(target, agent, notes):
            if key.get_name() == "ssh-rsa" and not _rsa_possible(transport, target):
                notes.append(f"{label}: this sshd takes RSA keys with SHA-1 signatures only")
            elif _accepted(transport, target, label, key):
                return
            else:
                refused.append(label)
    raise _refusal(target, refused, notes)


def _refusal(target: SshTarget, refused: list[str], notes: list[str]) -> SshError:
    tried = f"refused {', '.join(refused)}" if refused else "was offered no key"
    cause = "; ".join([f"{target.endpoint} {tried} for user {target.user}", *notes])
    if any("SHA-1" in note for note in notes):
        remedy = "use an Ed25519 or ECDSA key, or add 'ssh: legacy' to the host in the inventory"
    elif any(_ENCRYPTED in note for note in notes):
        remedy = "load the key into an agent with ssh-add"
    elif refused:
        remedy = f"add the public key to {target.user}'s authorized_keys there, and see PermitRootLogin for root"
    else:
        remedy = "load a key with ssh-add, or name one with IdentityFile in ssh_config"
    return SshError(cause, place=target.name, remedy=remedy)


def _announced(transport: Transport) -> frozenset[str]:
    """Signature algorithms the server says it takes (RFC 8308; OpenSSH 7.2 and later), empty if it does not say."""
    names: bytes | str = transport.server_extensions.get("server-sig-algs", b"")  # type: ignore[attr-defined]  # the stubs leave it out
    text = names.decode("ascii", "replace") if isinstance(names, bytes) else names
    return frozenset(text.split(",")) - {""}


def _rsa_possible(transport: Transport, target: SshTarget) -> bool:
    if target.legacy:
        return True
    announced = _announced(transport)
    if announced:
        return not announced.isdisjoint(_RSA_SHA2)
    return not signs_with_sha1_only(transport.remote_version)


def _candidates(
    target: SshTarget, agent: tuple[paramiko.AgentKey, ...], notes: list[str]
) -> Iterator[tuple[str, paramiko.PKey]]:
    named = bool(target.identity_files)
    paths = target.identity_files or tuple(Path.home() / ".ssh" / name for name in DEFAULT_NAMES)
    files = [file for file in map(inspect, paths) if named or not file.problem]
    mine = {file.blob: file for file in files if file.blob}
    held = {key.asbytes(): key for key in agent}
    for blob, file in mine.items():
        if blob in held:
            yield f"{file.path} (agent)", held[blob]
    loose = [file for file in files if file.blob not in held]
    if named:
        yield from _loaded(loose, notes)
    if not target.identities_only:
        for blob, key in held.items():
            if blob not in mine:
                yield f"agent key '{key.comment}'", key
    if not named:
        yield from _loaded(loose, notes)


def _loaded(files: list[KeyFile], notes: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    for file in files:
        if file.problem:
            notes.append(f"{file.path}: {file.problem}")
        elif file.public_only:
            notes.append(f"{file.path} is a public key whose private half is not in the agent")
        elif file.encrypted:
            notes.append(f"{file.path} {_ENCRYPTED}")
        else:
            try:
                stamp = file.path.stat()
                yield str(file.path), _load(file.path, file.key_type, stamp.st_mtime_ns, stamp.st_size)
            except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
                notes.append(f"{file.path} cannot be used: {error}")


# One key serves all hosts; reading an RSA key anew for each would cost more than the login.
@lru_cache(maxsize=16)
def _load(path: Path, key_type: str, _mtime: int, _size: int) -> paramiko.PKey:
    if key_type == "ssh-ed25519":
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    if key_type.startswith("ecdsa"):
        return paramiko.ECDSAKey.from_private_key_file(str(path))
    if key_type == "ssh-rsa":
        return paramiko.RSAKey.from_private_key_file(str(path))
    raise ValueError(f"keys of type {key_type or 'PKCS#8'} are not supported; ssh-keygen -t ed25519 makes one that is")


def _accepted(transport: Transport, target: SshTarget, label: str, key: paramiko.PKey) -> bool:
    with_sha1 = target.legacy and key.get_name() == "ssh-rsa"
    if not (with_sha1 and signs_with_sha1_only(transport.remote_version)):
        if _signed(transport, target, label, key):
            return True
        if not with_sha1 or (_announced(transport) and "ssh-rsa" not in _announced(transport)):
            return False
    # A server that takes SHA-1 only may not say so: OpenSSH announces what it knows, not what it is configured to take.
    transport.disabled_algorithms = {"pubkeys": _RSA_SHA2}
    try:
        return _signed(transport, target, label, key)
    finally:
        transport.disabled_algorithms = {"pubkeys": ()}


def _signed(transport: Transport, target: SshTarget, label: str, key: paramiko.PKey) -> bool:
    began = time.monotonic()
    try:
        further = transport.auth_publickey(target.user, key)
    except paramiko.BadAuthenticationType as error:
        raise SshError(
            f"{target.endpoint} takes no keys for user {target.user}, only {', '.join(error.allowed_types)}",
            place=target.name,
            remedy="set 'PubkeyAuthentication yes' in the host's sshd_config",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        if transport.is_active() and time.monotonic() - began < transport.auth_timeout:
            return False
        if transport.is_active():
            cause, remedy = f"no answer to {label} within {transport.auth_timeout:g} s", "see 'UseDNS' and PAM there"
        else:
            cause = (
                f"{target.endpoint} ended the connection when {label} was offered: {str(error) or 'no reason given'}"
            )
            remedy = "if the agent holds many keys, choose one with IdentityFile and 'IdentitiesOnly yes'"
        raise SshError(cause, place=target.name, remedy=remedy) from error
    if further:
        raise SshError(
            f"{target.endpoint} wants {' or '.join(further)} after the key, which is not supported",
            place=target.name,
            remedy="let this user in with a key alone",
        )
    return True
