"""Real OpenSSH servers on loopback ports for tests, each with its own host keys and configuration."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bsdcarp.ssh import SshTarget

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(SSHD is None, reason="OpenSSH's sshd is not installed")
TIMEOUT = 20.0

StartSshd = Callable[..., "Sshd"]
TargetFor = Callable[..., SshTarget]


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "", *more: str) -> Path:
    """Make a key pair at ``path`` and ``path``.pub."""
    bits = ("-b", "2048") if kind == "rsa" else ()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", f"{kind} for tests", "-f", str(path), *more],
        check=True,
    )
    return path


def public(path: Path) -> tuple[str, str]:
    """Type and base64 of the public key beside ``path``."""
    kind, blob = path.with_name(path.name + ".pub").read_text().split()[:2]
    return kind, blob


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Sshd:
    """A running server."""

    port: int
    host_keys: tuple[Path, ...]
    process: subprocess.Popen[bytes]
    log: Path

    def known_line(self, name: str = "", key: int = 0) -> str:
        kind, blob = public(self.host_keys[key])
        return f"{name or f'[127.0.0.1]:{self.port}'} {kind} {blob}\n"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


def start(
    directory: Path, *lines: str, host_keys: tuple[Path, ...], user_keys: Path, wrap: list[str] | None = None
) -> Sshd:
    """Start a server in ``directory``; ``lines`` come first in its sshd_config, and the first value wins there."""
    if SSHD is None:
        pytest.skip("OpenSSH's sshd is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # privilege separation wants it
    directory.mkdir(exist_ok=True)
    port = free_port()
    log = directory / "log"
    log.touch()
    config = [
        *lines,
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        *(f"HostKey {key}" for key in host_keys),
        f"AuthorizedKeysFile {user_keys}",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        # The home directory of whoever runs the tests may hold slow or noisy start-up files.
        "PermitUserEnvironment yes",
        "PidFile none",
        "LogLevel VERBOSE",
    ]
    path = directory / "sshd_config"
    path.write_text("\n".join(config) + "\n")
    with log.open("wb") as complaints:
        process = subprocess.Popen(
            [*(wrap or []), SSHD, "-D", "-e", "-f", str(path)], stdin=subprocess.DEVNULL, stderr=complaints
        )
    server = Sshd(port, host_keys, process, log)
    until = time.monotonic() + 10
    while b"Server listening" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > until:
            server.stop()
            raise RuntimeError(log.read_text())
        time.sleep(0.01)
    return server


def target_for(server: Sshd, known_hosts: Path, identity: Path, **changes: Any) -> SshTarget:
    """A target as ``resolve`` would give it for ``server``."""
    target = SshTarget(
        name="server1",
        hostname="127.0.0.1",
        port=server.port,
        user=getpass.getuser(),
        identity_files=(identity,),
        identities_only=True,
        known_hosts_files=(known_hosts,),
        new_keys_file=known_hosts,
        connect_timeout=TIMEOUT,
    )
    return replace(target, **changes)
