"""What the sshd of each FreeBSD release offers, as far as paramiko's server side can imitate it.

Only the differences a client notices matter here: before OpenSSH 7.2 there are no RSA signatures but SHA-1, before
6.5 no ed25519, and 5.1 (FreeBSD 7.2) has nothing newer than finite-field key exchange.  The lists of 9.3 are recorded
on FreeBSD 9.3; the others are those of myproposal.h in OpenSSH 5.1, 7.3, 9.7 and 10.0, less what paramiko does not
know.  Group exchange is left out as well: it needs a moduli file on the machine the lab runs on, and so the lab's 7.2
knows SHA-1 key exchange only, where a real one has group exchange with SHA-256 too.  Which OpenSSH a release comes
with is taken from its version.h for 12.1 and is common knowledge for 10.4, 14.2 and 15.0; nothing depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bsdcarp.lab.keys import KeyType

__all__ = ["Algorithms", "algorithms"]

_ECDH = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521")
_DH_SHA1 = ("diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1")
_DH_SHA2 = ("diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256")
_CTR = ("aes128-ctr", "aes192-ctr", "aes256-ctr")
_CBC = ("aes128-cbc", "3des-cbc", "aes192-cbc", "aes256-cbc")
_GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_OLD_MACS = ("hmac-md5", "hmac-sha1", "hmac-sha1-96", "hmac-md5-96")
_SHA2_MACS = ("hmac-sha2-256", "hmac-sha2-512")
_ETM_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")
_ECDSA = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA_SHA2 = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True, slots=True)
class Algorithms:
    """One sshd's identification string and its proposals, each in the server's order."""

    software: str
    """What follows ``SSH-2.0-``."""
    kex: tuple[str, ...]
    host_keys: tuple[str, ...]
    """Signature algorithms for its own proof."""
    key_types: tuple[KeyType, ...]
    """Host key files it has."""
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    user_keys: tuple[str, ...]
    """Public key algorithms that may log in."""
    extensions: bool
    """Whether it sends ``server-sig-algs`` (RFC 8308; OpenSSH 7.2 and later)."""
    strict_kex: bool = False
    """Whether it knows strict key exchange (OpenSSH 9.6 and later)."""

    @property
    def legacy(self) -> bool:
        """True if a client of today refuses it unless told otherwise: nothing but SHA-1 signatures."""
        return set(self.host_keys) == {"ssh-rsa"}


_OPENSSH_5 = Algorithms(
    software="OpenSSH_5.1p1 FreeBSD-20080901",
    kex=_DH_SHA1,
    host_keys=("ssh-rsa",),
    key_types=("rsa",),
    ciphers=(*_CBC, *_CTR),
    macs=_OLD_MACS,
    user_keys=("ssh-rsa",),
    extensions=False,
)
_OPENSSH_6 = Algorithms(
    software="OpenSSH_6.6.1_hpn13v11 FreeBSD-20140420",
    kex=(*_ECDH, *_DH_SHA1),
    host_keys=("ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"),
    key_types=("rsa", "ecdsa", "ed25519"),
    ciphers=(*_CTR, *_CBC),
    macs=(*_ETM_MACS, *_SHA2_MACS, *_OLD_MACS),
    user_keys=("ssh-rsa", *_ECDSA, "ssh-ed25519"),
    extensions=False,
)
_OPENSSH_7 = Algorithms(
    software="OpenSSH_7.3 FreeBSD-20170902",
    kex=(*_ECDH, *_DH_SHA2, "diffie-hellman-group14-sha1"),
    host_keys=(*_RSA_SHA2, "ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"),
    key_types=("rsa", "ecdsa", "ed25519"),
    ciphers=(*_CTR, *_GCM),
    macs=(*_ETM_MACS, *_SHA2_MACS, "hmac-sha1"),
    user_keys=("ssh-ed25519", *_ECDSA, *_RSA_SHA2, "ssh-rsa"),
    extensions=True,
)
_OPENSSH_9 = Algorithms(
    software="OpenSSH_9.7 FreeBSD-20240806",
    kex=(*_ECDH, *_DH_SHA2),
    host_keys=(*_RSA_SHA2, "ecdsa-sha2-nistp256", "ssh-ed25519"),
    key_types=("rsa", "ecdsa", "ed25519"),
    ciphers=(*_CTR, *_GCM),
    macs=(*_ETM_MACS, *_SHA2_MACS, "hmac-sha1"),
    user_keys=("ssh-ed25519", *_ECDSA, *_RSA_SHA2),
    extensions=True,
    strict_kex=True,
)
# OpenSSH 10.0 no longer offers finite-field key exchange; clients may still propose it.
_OPENSSH_10 = replace(_OPENSSH_9, software="OpenSSH_10.0 FreeBSD-20250801", kex=_ECDH)

# Debian 12's 9.2p1 has strict key exchange since its security update of December 2023.
_OPENSSH_DEBIAN = replace(
    _OPENSSH_9,
    software="OpenSSH_9.2p1 Debian-2+deb12u2",
    kex=("curve25519-sha256@libssh.org", *_ECDH[1:], *_DH_SHA2),
)

_FIRST_MAJOR_OF = ((15, _OPENSSH_10), (14, _OPENSSH_9), (10, _OPENSSH_7), (9, _OPENSSH_6))


def algorithms(major: int, family: Literal["freebsd", "linux"] = "freebsd") -> Algorithms:
    """The sshd that FreeBSD ``major`` comes with, the newest of its line where releases differ; or Debian 12's."""
    if family == "linux":
        return _OPENSSH_DEBIAN
    return next((found for first, found in _FIRST_MAJOR_OF if major >= first), _OPENSSH_5)
