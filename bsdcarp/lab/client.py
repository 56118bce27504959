"""The programs that a session finds in its PATH: one POSIX sh script, linked under every command's name.

It forks nothing, for a fork is what a command costs on a small machine.  It claims a slot by creating the slot's
request file exclusively (noclobber), writes the number of the slot into the request FIFO, a message that is always
atomic, waits for one line in the slot's own FIFO, and evaluates it: the answer itself, or the word to source a file
where it is long, for a shell reads a line one byte at a time.  It holds that FIFO open until it ends, which is how the
lab knows that the slot is free again.  FreeBSD's ``sed -i ''`` and plain ``ls`` it hands to the real programs without
asking anybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["RC_SCRIPTS", "SLOTS", "write_clients"]

SLOTS = 64

_CLIENT = """\
#!/bin/sh
case ${0##*/} in
    sed)
        if [ "$1" = -i ] && [ $# -gt 1 ] && [ -z "$2" ]; then
            shift 2
            set -- -i "$@"
        fi
        PATH=/usr/bin:/bin exec sed "$@"
        ;;
    ls)
        case ${1-} in
            -*l*) ;;
            *) PATH=/usr/bin:/bin exec ls "$@" ;;
        esac
        ;;
esac
d=${BSDCARP_LAB_DIR:-%(directory)s}
[ -p "$d/request" ] || exit 255
n=$(($$ %% %(slots)d))
tries=0
set -C
until { printf '%%s\\0' "${0##*/}" "$PWD" "${BSDCARP_USER:-root}" "$@" >"$d/q.$n"; } 2>/dev/null; do
    n=$(((n + 1) %% %(slots)d))
    tries=$((tries + 1))
    if [ "$tries" -gt %(patience)d ]; then
        [ -p "$d/request" ] || exit 255
        sleep 0.01
    fi
done
set +C
exec 9<>"$d/r.$n"
echo "$n" 1<>"$d/request"
read -r answer <&9 || exit 255
eval "$answer"
"""

_RC_SCRIPT = """\
#!/bin/sh
exec "%(bin)s/service" %(name)s "$@"
"""

# Where the real programs live, for scripts that name them in full.
_PLACES = {
    "bin": ("df", "hostname", "kenv", "su"),
    "sbin": (
        "dmesg", "fsync", "halt", "ifconfig", "kldload", "kldstat", "kldunload", "kldxref", "nextboot", "reboot",
        "shutdown", "sysctl", "md5", "sha256",
    ),
    "usr/bin": (
        "command", "daemon", "fsync", "id", "lockf", "logger", "make", "netstat", "sed", "stat", "su", "uname", "wall",
        "whoami",
    ),
    "usr/sbin": ("arp", "config", "daemon", "pw", "service", "sysrc"),
    "bin/": ("freebsd-version", "ls"),
}  # fmt: skip
RC_SCRIPTS = ("netif", "routing", "sysctl", "sshd", "cron")


def write_clients(root: Path, directory: Path, names: Iterable[str], rc_scripts: Iterable[str] = ()) -> None:
    """Write the client and its links below ``root``; ``directory`` is where it looks for the lab by default.

    ``rc_scripts`` become scripts in /etc/rc.d that call ``service``.
    """
    bin_directory = root / ".lab" / "bin"
    bin_directory.mkdir(parents=True, exist_ok=True)
    client = bin_directory / ".client"
    client.write_text(_CLIENT % {"directory": directory, "slots": SLOTS, "patience": 2 * SLOTS})
    client.chmod(0o755)
    wanted = sorted([*names, "sed"])
    for name in wanted:
        _link(bin_directory / name, ".client")
    for place, programs in _PLACES.items():
        folder = root / place
        folder.mkdir(parents=True, exist_ok=True)
        for name in programs:
            if name in wanted:
                _link(folder / name, os.path.relpath(client, folder))
    for name in rc_scripts:
        script = root / "etc" / "rc.d" / name
        script.write_text(_RC_SCRIPT % {"bin": bin_directory, "name": name})
        script.chmod(0o555)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
