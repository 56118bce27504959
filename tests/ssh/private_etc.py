"""A server that sees its own /etc: accounts, sudoers and doas.conf of a test, invisible to the rest of the machine.

The server runs in a mount namespace with an overlay over /etc, so nothing has to be restored, and two test runs at
the same time do not meet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shlex import quote

import sshd_peer
from sshd_peer import Sshd

PASSWORD = "correct horse $HOME `x` \"quoted\" 'too' !1 \\ é"
ROOT_PASSWORD = "root's own"


@cache
def unavailable() -> str:
    """Why such a server cannot be had here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root for accounts and mount namespaces"
    missing = [name for name in ("unshare", "mount", "openssl") if shutil.which(name) is None]
    if missing:
        return f"{missing[0]} is not installed"
    probe = (
        "set -e; mount -t tmpfs none /mnt; mkdir /mnt/u /mnt/w; "
        "mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", probe], capture_output=True, check=False
    )
    return "" if done.returncode == 0 else "this system allows no overlay over /etc"


def _hash(password: str) -> str:
    return (
        subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password.encode(), capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )


@dataclass(frozen=True)
class PrivateEtc:
    """What the server finds in /etc."""

    login_shell: str = "/bin/sh"
    root_shell: str = "/bin/sh"
    sudoers: str = ""
    """Rules after ``Defaults timestamp_timeout=0``; ``op`` is the user."""
    doas: str = ""
    path: str = "/usr/bin:/bin"
    """The login's PATH."""
    sshd: tuple[str, ...] = field(default=())

    def start(self, directory: Path, keys: Path) -> Sshd:
        """Start a server whose users are root and ``op`` (password ``PASSWORD``), both with the usual test keys."""
        directory.mkdir()
        authorized = "".join(
            f'environment="LC_ALL=C",environment="PATH={self.path}" {(keys / f"user_{kind}.pub").read_text()}'
            for kind in ("ed25519", "rsa")
        )
        (directory / "keys").write_text(authorized)
        (directory / "sudoers").write_text(f"Defaults timestamp_timeout=0, !lecture\n{self.sudoers}\n")
        (directory / "doas.conf").write_text(f"{self.doas}\n")
        (directory / "shadow").write_text(
            f"root:{_hash(ROOT_PASSWORD)}:19000:0:99999:7:::\nop:{_hash(PASSWORD)}:19000:0:99999:7:::\n"
        )
        (directory / "enter").write_text(f"""\
set -e
mkdir {quote(str(directory))}/fs
mount -t tmpfs none {quote(str(directory))}/fs
cd {quote(str(directory))}
mkdir fs/u fs/w
mount -t overlay overlay -o lowerdir=/etc,upperdir=fs/u,workdir=fs/w /etc
install -m 644 keys /etc/keys
install -m 440 sudoers /etc/sudoers.d/test
install -m 600 doas.conf /etc/doas.conf
install -m 640 shadow /etc/shadow
sed -i 's|^root:.*|root:x:0:0:root:/root:{self.root_shell}|' /etc/passwd
echo 'op:x:40001:40001:operator:/:{self.login_shell}' >>/etc/passwd
echo 'op:x:40001:' >>/etc/group
# A wrong password otherwise costs two seconds.
sed -i 's/pam_unix.so/pam_unix.so nodelay/' /etc/pam.d/common-auth
sed -i '/^FAIL_DELAY/d' /etc/login.defs
echo 'FAIL_DELAY 0' >>/etc/login.defs
mkdir -p /etc/empty && mount --bind /etc/empty /root
cd /
exec "$@"
""")
        return sshd_peer.start(
            directory,
            *self.sshd,
            host_keys=(keys / "host_ed25519",),
            user_keys=Path("/etc/keys"),
            wrap=["unshare", "--mount", "--propagation", "private", "/bin/sh", str(directory / "enter")],
        )
