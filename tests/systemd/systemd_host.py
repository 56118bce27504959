"""One Debian host with systemd as process 1, reached by a real sshd; ``systemd_cluster`` makes several of them.

Each host is a systemd-nspawn container.  nspawn ends when the container reboots, so a loop starts it again; every boot
gets a new network namespace, so nothing but files survives one.  All of a host - mounts, processes, namespaces - hangs
on one PID and one mount namespace whose first process ends when its standard input does: nothing outlives the process
that started it, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realhosts.wires import Wires

__all__ = ["Done", "SystemdHost"]

# Outside: a control group of the host's own, removed when all of the host is gone.  $1 control group, $2 inner script,
# rest: its arguments.  Everything is mounted privately; nobody else sees it.
_OUTER = """\
trap '' HUP INT TERM
umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir "/sys/fs/cgroup/$1" || exit 1
group=$1 inner=$2
shift 2
(
    echo 0 >"/sys/fs/cgroup/$group/cgroup.procs"
    exec unshare --mount --pid --fork --kill-child --mount-proc /bin/sh -c "$inner" inner "$group" "$@"
)
find "/sys/fs/cgroup/$group" -depth -type d -exec rmdir {} \\;
"""
# Inside: its first process, which reads commands.  $1 control group, $2 base system, $3 directory, $4 name, $5 descriptor of
# the bridge's network namespace, $6 name of the cable's end there, $7 its MAC here.
_INNER = """\
group=$1 base=$2 directory=$3 name=$4 hub=$5 cable=$6 mac=$7
mkdir -p /run/netns /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn && mount -t tmpfs tmpfs /run/netns || exit 1
mount -t tmpfs tmpfs "$directory/disk" || exit 1
mkdir "$directory/disk/upper" "$directory/disk/work" "$directory/disk/root"
root=$directory/disk/root
mount -t overlay overlay -o "lowerdir=$base,upperdir=$directory/disk/upper,workdir=$directory/disk/work" "$root" || exit 1
cp -a --no-preserve=ownership "$directory/seed/." "$root" || exit 1

on_the_bridge() { nsenter "--net=/proc/self/fd/$hub" ip link "$@"; }

run() {
    status=133                          # systemd-nspawn --keep-unit, when the container rebooted
    while [ "$status" = 133 ]; do
        ip netns add boot
        on_the_bridge add "$cable" type veth peer name eth0 address "$mac" netns boot
        on_the_bridge set "$cable" master hub up
        echo boot >>"$directory/boots"
        SYSTEMD_NSPAWN_API_VFS_WRITABLE=network systemd-nspawn --quiet --boot --directory="$root" --machine="$name" \\
            --hostname="$name" --register=no --keep-unit --settings=no --resolv-conf=off --timezone=off \\
            --link-journal=no --console=pipe --network-namespace-path=/run/netns/boot --capability=CAP_NET_ADMIN \\
            </dev/null >>"$directory/console" 2>&1
        status=$?
        on_the_bridge del "$cable" 2>/dev/null
        ip netns del boot
    done
    echo "off $status" >>"$directory/boots"
}

while read -r word; do
    case $word in
        boot) run & ;;
        cut) echo 1 >"/sys/fs/cgroup/$group/payload/cgroup.kill" ;;
    esac
done
"""
_BOOT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a command said."""

    status: int
    out: str
    err: str


class SystemdHost:
    """One host: on or off, rebooting by itself when told to."""

    def __init__(self, name: str, directory: Path, address: str, address6: str, ssh_config: Path) -> None:
        self.name = name
        self.address = address
        self.address6 = address6
        self.ssh_config = ssh_config
        self.directory = directory
        self._keeper: subprocess.Popen[bytes] | None = None

    # --- power ---------------------------------------------------------------------------------------------------------

    @property
    def boots(self) -> int:
        """How often it has been started, reboots included."""
        return self._events().count("boot")

    @property
    def on(self) -> bool:
        return self._events()[-1:] == ["boot"]

    @property
    def console(self) -> str:
        """What process 1 wrote to the console."""
        return _text(self.directory / "console")

    def boot(self, *, wait: bool = True) -> None:
        """Switch it on; with ``wait``, return when it has booted."""
        boots = self.boots
        self._tell("boot")
        if wait:
            self.await_boot(boots + 1)

    def power_cut(self) -> None:
        """Pull the plug: every process is gone at once, files stay."""
        self._tell("cut")
        self.await_off()

    def await_off(self, seconds: float = 60.0) -> None:
        _await(lambda: not self.on, seconds, f"{self.name} does not go off")

    def await_boot(self, boots: int, seconds: float = _BOOT_SECONDS) -> None:
        """Wait until boot number ``boots`` (or a later one) has come to its end: all jobs of process 1 are done."""
        _await(lambda: self.boots >= boots and self._listens(), seconds, f"{self.name} does not boot: {self.console}")
        deadline = time.monotonic() + seconds
        while (done := self.run("systemctl is-system-running --wait")).out.strip() not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} does not finish booting: {done}{self.console}")
            time.sleep(0.05)

    # --- commands and files --------------------------------------------------------------------------------------------

    def run(self, script: str, *, stdin: str = "", check: bool = False, seconds: float = 60.0) -> Done:
        """Run ``script`` by root's shell over SSH; with ``check``, a status other than 0 is an AssertionError."""
        argv = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", self.name, script]
        raw = subprocess.run(argv, input=stdin.encode(), capture_output=True, timeout=seconds, check=False)
        done = Done(raw.returncode, raw.stdout.decode(errors="replace"), raw.stderr.decode(errors="replace"))
        if check and done.status != 0:
            raise AssertionError(f"{self.name}: {script}: {done}")
        return done

    def output(self, script: str) -> str:
        """The output of a command that has to succeed."""
        return self.run(script, check=True).out

    def write(self, path: str, content: bytes | str, mode: int = 0o644) -> None:
        """Write a file on the host, making its directories."""
        data = content.encode() if isinstance(content, str) else content
        script = f"mkdir -p {shlex.quote(str(Path(path).parent))} && umask 077 && cat >{shlex.quote(path)}.new && "
        script += f"chmod {mode:o} {shlex.quote(path)}.new && mv {shlex.quote(path)}.new {shlex.quote(path)}"
        argv = ["ssh", "-F", str(self.ssh_config), "-o", "BatchMode=yes", self.name, script]
        subprocess.run(argv, input=data, check=True, capture_output=True, timeout=60)

    def addresses(self) -> frozenset[str]:
        """Every address on any of its interfaces, without the prefix length."""
        return frozenset(re.findall(r"inet6? (\S+?)/", self.output("ip -o addr show")))

    def journal(self, unit: str, *options: str) -> str:
        return self.output(shlex.join(["journalctl", "--no-pager", "-u", unit, *options]))

    # --- for Cluster      ----------------------------------------------------------------------------------------------

    def start(self, wires: Wires, number: int, system: Path) -> None:
        group = f"bsdcarp-test-{os.getpid()}-{Path(wires.cable).name}-{number}"
        mac = f"02:18:{wires.addresses[0].split('.')[2]:>02}:00:00:{number:02x}"
        inner = [group, str(system), str(self.directory), self.name, str(wires.hub), f"port{number}", mac]
        (self.directory / "disk").mkdir()
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "/bin/sh", "-c", _OUTER, "outer", group, _INNER, *inner[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=(self.directory / "errors").open("wb"),
            pass_fds=(wires.hub,),
            bufsize=0,
            start_new_session=True,  # ^C at the tests' terminal is not for it
        )

    def _tell(self, word: str) -> None:
        if self._keeper is None or self._keeper.stdin is None or self._keeper.poll() is not None:
            raise RuntimeError(f"{self.name} is gone: {_text(self.directory / 'errors')}")
        self._keeper.stdin.write(f"{word}\n".encode())

    def close(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper.stdin is not None:
            keeper.stdin.close()
            keeper.wait(timeout=30)

    def _events(self) -> list[str]:
        return _text(self.directory / "boots").splitlines()

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _await(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.02)
