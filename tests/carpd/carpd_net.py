"""Network namespaces on a bridge: hosts, a client and the switch between them, for tests of daemons with real packets.

A `Segment` is one layer 2 network.  The bridge lives in a namespace of its own, each host in another one with an
``eth0`` whose other end is a port of the bridge named like the host.  Nothing touches the machine's own network, and
everything goes away with `Segment.close`; what a killed run left behind goes with the next run.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

__all__ = ["Host", "Process", "Segment", "eventually", "needs", "needs_namespaces", "supports"]

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
NAMESPACES = Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def _may_make_namespaces() -> str:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "needs root"
    if not Path("/proc/self/ns/net").exists():
        return "needs Linux"
    if not shutil.which("ip"):
        return "needs iproute2"
    probe = ["unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespaces here: {tried.stderr.strip()}"


_problem = _may_make_namespaces()
needs_namespaces = pytest.mark.skipif(bool(_problem), reason=_problem or "-")
"""Of every test that makes a segment."""


def needs(*programs: str) -> pytest.MarkDecorator:
    """Return the mark that skips a test where one of ``programs`` is not installed."""
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def supports(kind: str) -> bool:
    """Return whether the kernel has this kind of interface (vlan, bond, ...), as the words of ``ip link add``."""
    if _problem:
        return False
    script = f"ip link add v0 type veth peer name v1 && ip link add link v0 name probe0 type {kind}"
    if kind.startswith("bond"):
        script = f"ip link add probe0 type {kind}"
    return subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, check=False).returncode == 0


def eventually(
    question: Callable[[], Any], patience: float = 15.0, *, pause: float = 0.03, what: str | Callable[[], str] = ""
) -> Any:
    """Ask until the answer is true and return it; fail after ``patience`` seconds."""
    until = time.monotonic() + patience
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > until:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {patience:g} s: {text or question}")
        time.sleep(pause)


class Process:
    """A program inside a host's namespace.  Its output goes to ``log``."""

    def __init__(self, host: Host, argv: Sequence[str], log: Path, environ: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as out:
            self.child = subprocess.Popen(
                ["ip", "netns", "exec", host.namespace, *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )
        host.processes.append(self)

    @property
    def pid(self) -> int:
        return self.child.pid  # `ip netns exec` becomes the program, so this is the program's own

    @property
    def running(self) -> bool:
        return self.child.poll() is None

    def send(self, number: int) -> None:
        self.child.send_signal(number)

    def end(self, number: int = signal.SIGTERM, patience: float = 15.0) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        if self.running:
            self.send(number)
        try:
            return self.child.wait(patience)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(5)
            raise AssertionError(f"pid {self.pid} did not end:\n{self.text()}") from None

    def kill(self) -> None:
        """SIGKILL, to it and to the children it has."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.child.wait(5)

    def text(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(errors="replace")


class Host:
    """One machine of a segment: a namespace with ``eth0``."""

    def __init__(self, segment: Segment, name: str, addresses: Sequence[str]) -> None:
        self.segment, self.name = segment, name
        self.namespace = f"{segment.prefix}{name}"
        self.directory = segment.directory / name
        self.directory.mkdir(parents=True)
        self.processes: list[Process] = []
        self.addresses = tuple(addresses)

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a program to its end and return what it printed."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *argv], capture_output=True, text=True, check=False, timeout=60
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: {' '.join(argv)}: {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def ip(self, *words: str) -> str:
        return _ip("-n", self.namespace, *words)

    def shows(self, *words: str) -> Any:
        """Return what ``ip -json`` shows."""
        return json.loads(_ip("-n", self.namespace, "-json", *words) or "[]")

    def pids(self) -> list[int]:
        """Return the processes inside, none of ours among them."""
        return [int(word) for word in _ip("netns", "pids", self.namespace).split()]

    def start(self, *argv: str, name: str = "", environ: dict[str, str] | None = None) -> Process:
        """Start a program."""
        return Process(self, argv, self.directory / f"{name or Path(argv[0]).name}.log", environ)

    def sysctl(self, path: str, value: str) -> None:
        """Write ``net/...``."""
        self.run("sh", "-c", f"echo {value} >/proc/sys/{path}")

    def mac(self, device: str = "eth0") -> str:
        return str(self.shows("link", "show", "dev", device)[0]["address"])

    def holds(self, address: str) -> bool:
        """Return whether the host has this address (without prefix length) on an interface that is up."""
        return any(
            entry.get("local") == address
            for link in self.shows("address")
            if "UP" in link["flags"]
            for entry in link["addr_info"]
        )

    def unplug(self) -> None:
        """Pull the cable: ``eth0`` loses its carrier."""
        self.segment.switch.ip("link", "set", "dev", self.name, "down")

    def plug(self) -> None:
        self.segment.switch.ip("link", "set", "dev", self.name, "up")

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in the namespace: sockets made now stay there."""
        with Path("/proc/thread-self/ns/net").open() as home, (NAMESPACES / self.namespace).open() as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def packet_socket(self, device: str = "eth0", ethertype: int = ETH_P_ALL) -> socket.socket:
        """Return a socket for whole Ethernet frames."""
        with self.inside():
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        with self.inside():
            raw.bind((device, ethertype))
        return raw

    def send_frame(self, frame: bytes, device: str = "eth0") -> None:
        with contextlib.closing(self.packet_socket(device)) as raw:
            raw.send(frame)

    def footprint(self) -> dict[str, str]:
        """Return all that a daemon could leave behind: links, addresses, rules, routes and sysctls."""
        sysctls = self.run("sh", "-c", "cd /proc/sys/net && grep -r . ipv4/conf ipv6/conf ipv4/neigh ipv6/neigh; true")
        return {
            "links": "\n".join(sorted(link["ifname"] for link in self.shows("link"))),
            "addresses": "\n".join(
                sorted(
                    f"{link['ifname']} {entry['local']}/{entry['prefixlen']}"
                    for link in self.shows("address")
                    for entry in link["addr_info"]
                )
            ),
            "rules": self.ip("rule") + self.ip("-6", "rule"),
            "routes": _sorted(
                self.ip("route", "show", "table", "all") + self.ip("-6", "route", "show", "table", "all")
            ),
            "multicast": _sorted(re.sub(r"users \d+", "", self.ip("maddress", "show", "dev", "eth0"))),
            # stable_secret cannot be read, base_reachable_time is drawn anew by the kernel
            "sysctls": _sorted("\n".join(line for line in sysctls.splitlines() if "base_reachable" not in line)),
        }


class Segment:
    """A switch and the hosts at its ports."""

    def __init__(self, directory: Path) -> None:
        self.prefix = f"bsdcarp-{os.getpid()}-{next(_numbers)}-"
        self.directory = directory
        # The path of a Unix socket has to fit into 107 bytes.
        self.run_directory = Path(tempfile.mkdtemp(prefix="bsdcarp-run-"))
        self.hosts: list[Host] = []
        self.switch = Host(self, "switch", ())
        _ip("netns", "add", self.switch.namespace)
        self.hosts.append(self.switch)
        self.switch.sysctl("net/ipv6/conf/default/disable_ipv6", "1")
        self.switch.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        self.switch.ip("link", "set", "br0", "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def host(self, name: str, *addresses: str) -> Host:
        """Add a host with these addresses on its ``eth0``."""
        host = Host(self, name, addresses)
        _ip("netns", "add", host.namespace)
        self.hosts.append(host)
        host.ip("link", "set", "lo", "up")
        self.switch.ip("link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        self.switch.ip("link", "set", "dev", name, "master", "br0", "up")
        # The hosts' own addresses are not the subject: no duplicate address detection, and they stay on a link flap.
        host.run("sh", "-c", "cd /proc/sys/net/ipv6/conf/eth0; echo 0 >accept_dad; echo 1 >keep_addr_on_down")
        host.ip("link", "set", "eth0", "up")
        for address in addresses:
            host.ip("address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        return host

    def numbered(self, name: str, number: int) -> Host:
        """Add a host with 192.0.2.NUMBER/24 and 2001:db8::NUMBER/64."""
        return self.host(name, f"192.0.2.{number}/24", f"2001:db8::{number}/64")

    def close(self) -> None:
        for host in self.hosts:
            for process in host.processes:
                if process.running:
                    process.kill()
        for host in self.hosts:
            _ip("netns", "delete", host.namespace, check=False)
        self.hosts = []
        shutil.rmtree(self.run_directory, ignore_errors=True)

    def logs(self) -> str:
        """Return the end of every process's output: what a failed test wants to know."""
        parts = []
        for host in self.hosts:
            parts += [
                f"--- {log.relative_to(self.directory)}\n" + log.read_text(errors="replace")[-4000:]
                for log in dict.fromkeys(process.log for process in host.processes)
            ]
        return "\n".join(parts)


def sweep() -> None:
    """Delete the namespaces of runs that were killed."""
    if not NAMESPACES.is_dir():
        return
    for path in NAMESPACES.glob("bsdcarp-*"):
        found = re.match(r"bsdcarp-(\d+)-", path.name)
        if found and not Path("/proc", found.group(1)).exists():
            for pid in _ip("netns", "pids", path.name, check=False).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "delete", path.name, check=False)


def _sorted(text: str) -> str:
    return "\n".join(sorted(text.splitlines()))


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
