"""A root directory that looks like FreeBSD to whoever logs in: its paths, its base system's commands, nothing else.

The commands are those of the machine the tests run on, reached through one read-only bind mount; what FreeBSD's base
system lacks (bash, python, sudo, sftp-server) is not there, so a script that needs it fails as it would on FreeBSD.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

__all__ = ["COMMANDS", "build_root", "missing"]

# hier(7) and the manual pages of FreeBSD 7.2 to 15.0: what lives where in the base system.
COMMANDS: Mapping[str, str] = {
    "bin": "[ cat chflags chmod cp date dd df echo ed expr hostname kill ln ls mkdir mv ps pwd realpath rm rmdir sleep "
    "stty sync test kenv freebsd-version pgrep pkill",
    "sbin": "ifconfig sysctl kldload kldstat kldunload kldconfig dmesg md5 mount ping reboot shutdown nextboot init rcorder "
    "route umount",
    "usr/bin": "awk basename cksum cmp comm cut diff dirname env false fetch find fold fsync getopt grep egrep fgrep "
    "head id install join lockf logger logname mkfifo mktemp netstat nice nohup od paste printf readlink sed sort split "
    "stat su tail tee touch tr true tty uname uniq vis wc what who whoami xargs",
    "usr/sbin": "arp chown config daemon pw service sysrc tcpdump",
}

SMALL = frozenset(["cat", "chmod", "cp", "head", "ln", "mkdir", "mv", "rm", "wc"])
"""Commands that busybox has, too.  GNU's load the libraries of SELinux and of ACLs at every start, which costs as much
again as the rest of the process; FreeBSD's need nothing but libc (usr.bin and bin of its source tree)."""

_BEHIND_THE_SCENES = ("setsid", "md5sum", "sha256sum")
"""Not FreeBSD's, but some simulated commands are made of them."""

_PASSWD = """\
root:x:0:0:Charlie &:/root:{shell}
toor:x:0:0:Bourne-again Superuser:/root:
daemon:x:1:1:Owner of many system processes:/root:/usr/sbin/nologin
operator:x:2:5:System &:/:/usr/sbin/nologin
sshd:x:22:22:Secure Shell Daemon:/var/empty:/usr/sbin/nologin
nobody:x:65534:65534:Unprivileged user:/nonexistent:/usr/sbin/nologin
"""
_GROUP = "wheel:x:0:root\ndaemon:x:1:\noperator:x:5:root\nsshd:x:22:\nnobody:x:65534:\n"
_SHADOW = "".join(f"{name}:*:14000::::::\n" for name in ("root", "toor", "daemon", "operator", "sshd", "nobody"))
_DIRECTORIES = (
    ".host/usr bin sbin usr/bin usr/sbin usr/libexec usr/local usr/share usr/src etc/ssh root/.ssh proc dev run/sshd "
    "var/empty var/db var/run var/log var/tmp tmp boot home mnt"
)


def missing() -> list[str]:
    """Names of programs that have to be installed here first."""
    return [name for name in ("tcsh", "sshd", "ip", "unshare", "nsenter", "chroot") if _find(name) is None]


def _find(name: str) -> str | None:
    # Only what lies below /usr is seen from inside, and a developer's PATH may begin elsewhere.
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin")
    return found and str(Path(found).resolve())


def build_root(
    root: Path,
    shell: str,
    client_keys: Iterable[str],
    sshd_config: str,
    host_keys: Iterable[Path],
    *,
    small: bool = False,
) -> None:
    """Make ``root`` a directory to chroot into; files that are there already (rc.conf and the like) stay.

    ``shell`` is root's login shell, ``client_keys`` are lines for authorized_keys.  With ``small`` the commands of
    ``SMALL`` are busybox's, for measurements; their options and messages are not always those of bigger ones.
    """
    busybox = _find("busybox") if small else None
    for name in _DIRECTORIES.split():
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    for name in ("root", "root/.ssh"):
        (root / name).chmod(0o700)
    # Programs find their libraries where they always are; /usr of this machine is mounted on .host/usr.
    for name in ("lib", "lib32", "lib64"):
        _link(root / name, f".host/usr/{name}")
    _link(root / "usr/lib", "../.host/usr/lib")
    _compiled_client(root)
    simulated = {path.name for path in (root / ".lab/bin").iterdir()}
    for directory, names in COMMANDS.items():
        for name in names.split():
            if name not in simulated and (program := _find(name)) is not None:
                _link(root / directory / name, f"/.host{busybox if busybox and name in SMALL else program}")
    for name in _BEHIND_THE_SCENES:
        _link(root / "usr/bin" / name, f"/.host{_find(name)}")
    # These two fall back on the real one in /usr/bin, so the simulated one has to be found in /bin before it.
    for name in ("ls", "sed"):
        _link(root / "usr/bin" / name, f"/.host{_find(name)}")
        _link(root / "bin" / name, "../.lab/bin/.client")
    _link(root / "bin/sh", f"/.host{_find('sh')}")
    for name in ("csh", "tcsh"):
        _link(root / "bin" / name, f"/.host{_find('tcsh')}")
    # Paths that the lab knows from outside lead to the same files from inside.
    from_outside = root / str(root)[1:]
    from_outside.parent.mkdir(parents=True, exist_ok=True)
    _link(from_outside, "/")
    etc = root / "etc"
    (etc / "passwd").write_text(_PASSWD.format(shell=shell))
    (etc / "group").write_text(_GROUP)
    (etc / "shadow").write_text(_SHADOW)
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    (etc / "shells").write_text("/bin/sh\n/bin/csh\n/bin/tcsh\n")
    shutil.copy("/etc/ld.so.cache", etc / "ld.so.cache")
    (etc / "ssh/sshd_config").write_text(sshd_config)
    for key in host_keys:
        shutil.copy(key, etc / "ssh" / key.name)
        (etc / "ssh" / key.name).chmod(0o600)
    authorized = root / "root/.ssh/authorized_keys"
    authorized.write_text("".join(f"{line}\n" for line in client_keys))
    authorized.chmod(0o600)


@cache
def _client() -> Path | None:
    """Compile ``client.c`` once; None without a C compiler or a static C library."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    built = Path(os.environ.get("TMPDIR", "/tmp")) / f"bsdcarp-client-{os.getuid()}-{os.getpid()}"
    source = Path(__file__).with_name("client.c")
    done = subprocess.run(
        [compiler, "-static", "-O2", "-o", built, source], check=False, capture_output=True, timeout=60
    )
    atexit.register(built.unlink, missing_ok=True)
    return built if done.returncode == 0 else None


def _compiled_client(root: Path) -> None:
    """Put the compiled client in the place of the shell script, where it can be had."""
    if (client := _client()) is None:
        return
    shutil.copy(client, root / ".lab/client")
    script = root / ".lab/bin/.client"
    directory = next(line for line in script.read_text().splitlines() if line.startswith("d=")).partition(":-")[2]
    script.write_text(f"#!/.lab/client {directory.removesuffix('}')}\n")
    script.chmod(0o755)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
