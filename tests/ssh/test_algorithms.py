"""Lists of algorithms, and the advice when none is common."""

from __future__ import annotations

import pytest

from bsdcarp.ssh.algorithms import Offer, advice, allowed, signs_with_sha1_only

MODERN = Offer(kex=("curve25519-sha256",), host_keys=("ssh-ed25519",), ciphers=("aes128-ctr",), macs=("hmac-sha2-256",))


def test_known_types_come_first_and_bring_nothing_forbidden() -> None:
    names = allowed(legacy=False, known_key_types=("ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp384")).host_keys
    assert names[:3] == ("rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp384")
    assert len(names) == len(set(names))
    assert not {"ssh-rsa", "ssh-dss"} & set(names)
    assert allowed(legacy=True, known_key_types=("ssh-dss",)).host_keys[0] == "ssh-dss"


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("SSH-2.0-OpenSSH_5.1p1 FreeBSD-20080901", True),
        ("SSH-2.0-OpenSSH_6.6.1_hpn13v11 FreeBSD-20140420", True),
        ("SSH-2.0-OpenSSH_7.1", True),
        ("SSH-2.0-OpenSSH_7.2", False),
        ("SSH-2.0-OpenSSH_10.0", False),
        ("SSH-2.0-dropbear_2022.83", False),
    ],
)
def test_what_a_greeting_tells_about_rsa(version: str, old: bool) -> None:
    assert signs_with_sha1_only(version) is old


@pytest.mark.parametrize(
    ("offer", "legacy", "cause", "remedy"),
    [
        (
            Offer(("diffie-hellman-group1-sha1",), ("ssh-rsa",), ("aes128-ctr",), ("hmac-sha1",)),
            False,
            "SHA-1",
            "ssh: legacy",
        ),
        (Offer(MODERN.kex, ("ssh-dss",), MODERN.ciphers, MODERN.macs), False, "only ssh-dss", "DSA"),
        (Offer(("made-up",), ("ssh-rsa",), MODERN.ciphers, MODERN.macs), False, "only made-up", "sshd_config"),
        (Offer(("made-up",), MODERN.host_keys, MODERN.ciphers, MODERN.macs), True, "for key exchange", "sshd_config"),
        (MODERN, False, "the key exchange failed", "ssh -vv"),
    ],
)
def test_advice(offer: Offer, legacy: bool, cause: str, remedy: str) -> None:
    found = advice(offer, allowed(legacy=legacy), legacy=legacy)
    assert cause in found[0]
    assert remedy in found[1]
