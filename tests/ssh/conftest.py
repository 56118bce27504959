"""Keys, an empty home, and servers for the tests of bsdcarp.ssh."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sshd_peer
from sshd_peer import Sshd, StartSshd, TargetFor

from bsdcarp.ssh import SshTarget


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with host and user keys, made once: host_ed25519, host_rsa, user_ed25519, user_rsa ..."""
    directory = tmp_path_factory.mktemp("keys")
    for who in ("host", "user"):
        for kind in ("ed25519", "ecdsa", "rsa"):
            sshd_peer.keygen(directory / f"{who}_{kind}", kind)
    sshd_peer.keygen(directory / "other_ed25519")
    sshd_peer.keygen(directory / "user_locked", "ed25519", "a passphrase")
    home = directory / "remote-home"
    home.mkdir()
    names = ("user_ed25519", "user_ecdsa", "user_rsa", "user_locked")
    (directory / "authorized_keys").write_text(
        "".join(f'environment="HOME={home}" {(directory / name).with_suffix(".pub").read_text()}' for name in names)
    )
    return directory


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory and no agent, so that nothing of the tester's own is used or changed."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return directory


@pytest.fixture
def start_sshd(tmp_path: Path, keys: Path) -> Iterator[StartSshd]:
    """``start_sshd(*config_lines, host_keys=("ed25519",))`` runs a server until the test ends."""
    running: list[Sshd] = []

    def start(*lines: str, host_keys: tuple[str, ...] = ("ed25519",), user_keys: Path | None = None) -> Sshd:
        server = sshd_peer.start(
            tmp_path / f"sshd{len(running)}",
            *lines,
            host_keys=tuple(keys / f"host_{kind}" for kind in host_keys),
            user_keys=user_keys or keys / "authorized_keys",
        )
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def shared_sshd(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Sshd]:
    """One server with the usual settings, for tests that only read from it."""
    server = sshd_peer.start(
        tmp_path_factory.mktemp("shared") / "sshd",
        "MaxStartups 100",
        host_keys=(keys / "host_ed25519",),
        user_keys=keys / "authorized_keys",
    )
    yield server
    server.stop()


@pytest.fixture
def known_hosts(home: Path) -> Path:
    """The user's known_hosts file, not there yet."""
    return home / ".ssh" / "known_hosts"


@pytest.fixture
def target_for(keys: Path, known_hosts: Path) -> TargetFor:
    """``target_for(server, **changes)``: a target whose host key is known (unless ``known=False``)."""

    def target(server: Sshd, *, known: bool = True, **changes: object) -> SshTarget:
        if known:
            known_hosts.parent.mkdir(exist_ok=True)
            with known_hosts.open("a") as file:
                file.write(server.known_line())
        return sshd_peer.target_for(server, known_hosts, keys / "user_ed25519", **changes)

    return target


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Every test has to leave no thread of a connection: those are what hangs an interpreter at its end."""
    before = set(threading.enumerate())
    yield
    # The one that watches time limits is everybody's, stays, and is a daemon: no interpreter waits for it.
    now = [thread for thread in threading.enumerate() if thread.name != "time limits"]
    left = [thread for thread in now if thread not in before and thread.is_alive()]
    for thread in left:
        thread.join(2)
    assert [thread for thread in left if thread.is_alive()] == []
