"""A Debian system on disk that containers boot: made by debootstrap once, kept in a cache, never written to again.

Each container lays its own changes over it, so that making one costs nothing.  To make the system beforehand::

    python3 tests/systemd/systemd_base.py
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

__all__ = ["BaseError", "base", "base_path", "missing_programs"]

_SUITE = "bookworm"
_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "systemd systemd-sysv dbus openssh-server iproute2 ifupdown python3 procps iputils-ping sudo tcpdump ucarp"
_PROGRAMS = ("systemd-nspawn", "debootstrap", "ip", "unshare", "nsenter", "ssh", "ping", "mount")

# Nothing that a container in a test should do by the clock, and no login prompts: it has no terminals.
_MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer "
    "getty@tty1.service console-getty.service systemd-pstore.service"
)
_RECIPE = f"{_SUITE}\n{_PACKAGES}\n{_MASKED}\n3"


class BaseError(Exception):
    """The system could not be made; the text says why in one line."""


def missing_programs() -> list[str]:
    """Return which of the programs that the containers need are not installed here."""
    return [name for name in _PROGRAMS if shutil.which(name, path=_search()) is None]


def _search() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _cache() -> Path:
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "bsdcarp-tests"
    return Path("/var/cache/bsdcarp-tests")


def base_path() -> Path:
    """Return where the system is, or will be; the name changes with what it is made of."""
    return _cache() / f"debian-{_SUITE}-{hashlib.sha256(_RECIPE.encode()).hexdigest()[:10]}"


def base() -> Path:
    """Return the directory of the system, and make it first if need be (a minute or two, once).

    Raises ``BaseError``, for instance where no Debian mirror can be reached.
    """
    path = base_path()
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be making it
            if not path.exists():
                _make(path)
    except OSError as error:
        raise BaseError(f"cannot keep a Debian system in {path.parent}: {error}") from error
    return path


def _make(path: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=path.parent))
    try:
        _debootstrap(unfinished)
        _adapt(unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _debootstrap(target: Path) -> None:
    release = f"{_MIRROR}/dists/{_SUITE}/Release"
    try:
        with urllib.request.urlopen(release, timeout=15):  # debootstrap itself would wait for many minutes
            pass
    except OSError as error:
        raise BaseError(f"cannot fetch {release}: {error}") from error
    argv = [
        "debootstrap",
        "--variant=minbase",
        f"--include={_PACKAGES.replace(' ', ',')}",
        _SUITE,
        str(target),
        _MIRROR,
    ]
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": _search()},
    )
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise BaseError(f"debootstrap ended with {done.returncode}: {' '.join(last)}")


def _adapt(root: Path) -> None:
    """What is alike in all containers: no keys and no identity of its own, and nothing that disturbs."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/fstab").write_text("")
    (root / "etc/network/interfaces").write_text(
        "auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n"
    )
    for unit in _MASKED.split():
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    for path in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / path, ignore_errors=True)
        (root / path).mkdir(parents=True)


if __name__ == "__main__":
    if lacking := missing_programs():
        sys.exit(f"not installed: {', '.join(lacking)}")
    try:
        sys.stdout.write(f"{base()}\n")
    except BaseError as problem:
        sys.exit(str(problem))
