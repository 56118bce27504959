"""The client's files for a lab: ``ssh_config`` and ``known_hosts``, for OpenSSH as well as for bsdcarp."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bsdcarp.lab.keys import KeyPair, known_hosts_lines

__all__ = ["Reached", "write_ssh_files"]

# For OpenSSH's own client; bsdcarp wants to read it in the inventory instead.  The older spelling of
# PubkeyAcceptedAlgorithms is the one that every release from 7.0 on understands (ssh_config(5)).
_LEGACY = """\
    HostKeyAlgorithms +ssh-rsa
    PubkeyAcceptedKeyTypes ssh-rsa
    KexAlgorithms +diffie-hellman-group14-sha1
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the sshd of the host ``name``, known to the inventory as ``address``, really listens, and its keys."""

    name: str
    address: str
    listen: str
    port: int
    proofs: Sequence[KeyPair]
    legacy: bool = False
    user: str = "root"


def write_ssh_files(directory: Path, hosts: Iterable[Reached]) -> None:
    """Write ``ssh_config`` and ``known_hosts`` into ``directory``, where the client's keys are."""
    hosts = list(hosts)
    (directory / "known_hosts").write_text(
        "".join(known_hosts_lines((host.name, host.address), host.listen, host.port, host.proofs) for host in hosts)
    )
    text = f"# Leads the hosts of the inventory to the lab.  Use it with: ssh -F {directory / 'ssh_config'} HOST\n"
    text += "".join(_stanza(directory, host) for host in hosts)
    (directory / "ssh_config").write_text(text)


def _stanza(directory: Path, host: Reached) -> str:
    patterns = " ".join(dict.fromkeys((host.name, host.address)))
    identity = directory / ("id_rsa" if host.legacy else "id_ed25519")
    return (
        f"\nHost {patterns}\n"
        f"    HostName {host.listen}\n"
        f"    Port {host.port}\n"
        f"    User {host.user}\n"
        f'    IdentityFile "{identity}"\n'
        "    IdentitiesOnly yes\n"
        f'    UserKnownHostsFile "{directory / "known_hosts"}"\n'
        "    GlobalKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking yes\n"
        f"{_LEGACY if host.legacy else ''}"
    )
