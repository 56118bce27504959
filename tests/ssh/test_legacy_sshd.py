"""Old servers: reached if the inventory marks them, and only then."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest
from odd_server import Odd, odd_server, odd_target
from sshd_peer import TIMEOUT, Sshd, StartSshd, TargetFor, needs_sshd

from bsdcarp.errors import SshError
from bsdcarp.ssh import connect
from bsdcarp.ssh.login import log_in
from bsdcarp.ssh.target import SshTarget

pytestmark = needs_sshd

# OpenSSH 5.1 on FreeBSD 7.2, as far as OpenSSH 9.2 can still be brought to it.
OPENSSH_5_1 = (
    "HostKeyAlgorithms ssh-rsa",
    "KexAlgorithms diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
    "PubkeyAcceptedAlgorithms ssh-rsa",
    "Ciphers aes128-ctr,aes128-cbc,3des-cbc",
    "MACs hmac-sha1,hmac-md5",
)
# Only what 9.3's sshd and 9.2 have in common (recorded on FreeBSD 9.3, OpenSSH 6.6.1); its RSA is SHA-1 only.
OPENSSH_6_6 = (
    "HostKeyAlgorithms ssh-rsa,ecdsa-sha2-nistp256,ssh-ed25519",
    "KexAlgorithms curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1",
    "PubkeyAcceptedAlgorithms ssh-rsa,ecdsa-sha2-nistp256,ssh-ed25519",
    "Ciphers aes128-ctr,aes192-ctr,aes256-ctr,chacha20-poly1305@openssh.com,aes128-cbc,3des-cbc",
    "MACs hmac-md5,hmac-sha1,hmac-sha2-256,hmac-sha2-512",
)


def reach(target: SshTarget) -> None:
    with connect(target) as session:
        assert session.run(b"echo here\n", timeout=TIMEOUT).stdout == b"here\n"


def test_an_old_server_is_reached_with_an_rsa_key_when_marked(
    start_sshd: StartSshd, target_for: TargetFor, keys: Path
) -> None:
    server = start_sshd(*OPENSSH_5_1, host_keys=("rsa",))
    reach(target_for(server, legacy=True, identity_files=(keys / "user_rsa",)))


def test_an_old_server_is_refused_with_advice_when_not_marked(
    start_sshd: StartSshd, target_for: TargetFor, keys: Path
) -> None:
    server = start_sshd(*OPENSSH_5_1, host_keys=("rsa",))
    with pytest.raises(SshError) as caught:
        connect(target_for(server, identity_files=(keys / "user_rsa",)))
    assert "for host keys the host offers only ssh-rsa" in caught.value.cause
    assert "(SHA-1 or older)" in caught.value.cause
    assert "'ssh: legacy'" in caught.value.remedy


@pytest.mark.parametrize(
    "line",
    [
        "KexAlgorithms diffie-hellman-group14-sha1",
        "KexAlgorithms diffie-hellman-group-exchange-sha1",
        "KexAlgorithms diffie-hellman-group1-sha1",
        "HostKeyAlgorithms ssh-rsa",
        "MACs hmac-sha1\nCiphers aes128-ctr",
        "MACs hmac-md5\nCiphers aes128-ctr",
        "Ciphers aes128-cbc",
        "Ciphers 3des-cbc",
    ],
)
def test_each_old_algorithm_alone_is_refused_and_reached(
    start_sshd: StartSshd, target_for: TargetFor, line: str
) -> None:
    server = start_sshd(line, host_keys=("rsa",))
    reach(target_for(server, legacy=True))
    with pytest.raises(SshError, match=r"the host offers only .*'ssh: legacy'"):
        connect(target_for(server))


@pytest.mark.parametrize(
    "line",
    [
        "KexAlgorithms curve25519-sha256",
        "KexAlgorithms curve25519-sha256@libssh.org",
        "KexAlgorithms ecdh-sha2-nistp521",
        "KexAlgorithms diffie-hellman-group-exchange-sha256",
        "KexAlgorithms diffie-hellman-group16-sha512",
        "Ciphers aes256-gcm@openssh.com",
        "Ciphers aes192-ctr\nMACs hmac-sha2-512",
        "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com",
        "HostKeyAlgorithms rsa-sha2-256",
    ],
)
def test_each_modern_algorithm_alone_will_do(start_sshd: StartSshd, target_for: TargetFor, line: str) -> None:
    reach(target_for(start_sshd(line, host_keys=("rsa",))))


def test_what_nobody_speaks_is_listed(start_sshd: StartSshd, target_for: TargetFor) -> None:
    server = start_sshd("Ciphers chacha20-poly1305@openssh.com")
    for legacy in (False, True):
        with pytest.raises(SshError, match="for ciphers the host offers only chacha20-poly1305@"):
            connect(target_for(server, legacy=legacy))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_9_3_server_needs_no_mark_unless_for_rsa_keys(
    start_sshd: StartSshd, target_for: TargetFor, keys: Path, kind: str
) -> None:
    server = start_sshd(*OPENSSH_6_6, host_keys=("rsa", "ecdsa", "ed25519"))
    reach(
        target_for(
            server, known=True, strict="accept-new", host_key_alias="new", identity_files=(keys / f"user_{kind}",)
        )
    )
    with pytest.raises(SshError, match=r"refused .*user_rsa"):
        connect(target_for(server, host_key_alias="new", identity_files=(keys / "user_rsa",)))
    reach(target_for(server, host_key_alias="new", identity_files=(keys / "user_rsa",), legacy=True))


class OldServer(Odd):
    """Runs nothing; that somebody got in is all there is to see."""


def old(version: str) -> Callable[[paramiko.Transport], None]:
    def prepare(transport: paramiko.Transport) -> None:
        transport.local_version = f"SSH-2.0-{version}"
        transport.server_sig_algs = False
        transport.disabled_algorithms = {"pubkeys": ["rsa-sha2-512", "rsa-sha2-256"]}

    return prepare


@pytest.mark.parametrize("version", ["OpenSSH_5.1p1 FreeBSD-20080901", "OpenSSH_6.6.1_hpn13v11 FreeBSD-20140420"])
def test_a_server_that_announces_no_signatures_gets_sha1_ones_only_when_marked(
    known_hosts: Path, keys: Path, version: str
) -> None:
    with odd_server(OldServer(), keys / "host_ed25519", prepare=old(version)) as port:
        target = odd_target(port, known_hosts, keys / "host_ed25519", keys / "user_rsa", legacy=True)
        connect(target).close()
        target = odd_target(port, known_hosts, keys / "host_ed25519", keys / "user_rsa")
        with pytest.raises(SshError) as caught:
            connect(target)
    assert "takes RSA keys with SHA-1 signatures only" in caught.value.cause
    assert "Ed25519" in caught.value.remedy


class Unheard:
    """Stands for a transport to a server that says neither what it is nor what it takes."""

    def __init__(self, announced: bytes, takes: str) -> None:
        self.server_extensions = {"server-sig-algs": announced} if announced else {}
        self.remote_version = "SSH-2.0-Unheard_1"
        self.disabled_algorithms: dict[str, tuple[str, ...]] = {"pubkeys": ()}
        self.auth_timeout = 10.0
        self.takes = takes
        self.offered: list[str] = []

    def is_active(self) -> bool:
        return True

    def auth_publickey(self, user: str, key: paramiko.PKey) -> list[str]:
        name = "rsa-sha2-512" if "rsa-sha2-512" not in self.disabled_algorithms["pubkeys"] else "ssh-rsa"
        self.offered.append(name)
        if name != self.takes:
            raise paramiko.AuthenticationException
        return []


@pytest.mark.parametrize(
    ("announced", "takes", "legacy", "offered"),
    [
        (b"", "ssh-rsa", True, ["rsa-sha2-512", "ssh-rsa"]),
        (b"", "rsa-sha2-512", True, ["rsa-sha2-512"]),
        (b"ssh-rsa,rsa-sha2-512", "ssh-rsa", True, ["rsa-sha2-512", "ssh-rsa"]),
        (b"rsa-sha2-512", "nothing", True, ["rsa-sha2-512"]),
        (b"", "nothing", True, ["rsa-sha2-512", "ssh-rsa"]),
        (b"", "ssh-rsa", False, ["rsa-sha2-512"]),
        (b"ssh-rsa", "ssh-rsa", False, []),
    ],
)
def test_sha1_signatures_come_second_and_only_when_marked(
    target_for: TargetFor, shared_sshd: Sshd, keys: Path, announced: bytes, takes: str, legacy: bool, offered: list[str]
) -> None:
    transport = Unheard(announced, takes)
    target = target_for(shared_sshd, legacy=legacy, identity_files=(keys / "user_rsa",))
    if takes in offered:
        log_in(transport, target)  # type: ignore[arg-type]  # as much of a transport as it takes
    else:
        with pytest.raises(SshError):
            log_in(transport, target)  # type: ignore[arg-type]  # as much of a transport as it takes
    assert transport.offered == offered
    assert transport.disabled_algorithms == {"pubkeys": ()}


def test_dsa_is_beyond_paramiko_4(
    start_sshd: StartSshd, target_for: TargetFor, known_hosts: Path, tmp_path: Path
) -> None:
    from sshd_peer import keygen, start
    from sshd_peer import target_for as plain

    key = keygen(tmp_path / "host_dsa", "dsa")
    server = start(tmp_path / "sshd", "HostKeyAlgorithms ssh-dss", host_keys=(key,), user_keys=tmp_path / "none")
    try:
        known_hosts.parent.mkdir()
        known_hosts.write_text(server.known_line())
        with pytest.raises(SshError, match="for host keys the host offers only ssh-dss"):
            connect(plain(server, known_hosts, tmp_path / "none"))
        # paramiko 3 gets as far as the login; 4 has no DSA at all.
        wanted = "was offered no key" if paramiko.__version__.startswith("3.") else "DSA needs"
        with pytest.raises(SshError, match=wanted):
            connect(plain(server, known_hosts, tmp_path / "none", legacy=True))
    finally:
        server.stop()


def test_no_old_algorithm_is_proposed_to_a_host_that_is_not_marked() -> None:
    import socket

    from bsdcarp.ssh.algorithms import allowed
    from bsdcarp.ssh.transport import Transport

    old_words = re.compile(r"sha1|cbc|md5|^ssh-rsa$|^ssh-dss$|arcfour")
    near, far = socket.socketpair()
    with near, far:
        transport = Transport(near, allowed(legacy=False, known_key_types=("ssh-rsa",)))
        proposed = [
            *transport.preferred_kex,
            *transport.preferred_ciphers,
            *transport.preferred_macs,
            *transport.preferred_pubkeys,
            *(name.removesuffix("-cert-v01@openssh.com") for name in transport.preferred_keys),
        ]
    assert [name for name in proposed if old_words.search(name)] == []
    assert transport.preferred_keys[0] == "rsa-sha2-512"
