"""Two network namespaces without names, entered by this very process: nothing can be left behind, whatever happens.

``Wire`` is a host with eth0 and a neighbour with far0 on the other end of the cable.  Traffic stays inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bsdcarp.carpd.journal import Journal
from bsdcarp.carpd.kernel import Kernel
from bsdcarp.carpd.rtnl.route import Route
from bsdcarp.carpd.sysctls import Sysctls

CLONE_NEWNET = 0x40000000
needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs network namespaces: root on Linux"
)


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def enter(namespace: int) -> None:
    _call("setns", namespace, CLONE_NEWNET)


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Be in that namespace; sockets made there stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(namespace)
        yield
    finally:
        enter(home)
        os.close(home)


@contextlib.contextmanager
def fresh_namespace() -> Iterator[int]:
    """A new namespace, entered; the number is a descriptor of it.  It ends with its last user."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    descriptor = -1
    try:
        _call("unshare", CLONE_NEWNET)
        descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        run("ip link set lo up")
        yield descriptor
    finally:
        enter(home)
        for each in (home, descriptor):
            if each >= 0:
                os.close(each)


def run(command: str) -> str:
    """A command in the namespace we are in; it must succeed."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def sysctl(path: str, value: str | None = None) -> str:
    file = Path("/proc/sys") / path
    if value is not None:
        file.write_text(value)
    return file.read_text().strip()


def kernel_makes(kind: str) -> bool:
    """Whether this kernel knows the link type."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    with fresh_namespace():
        made = ["ip", "link", "add", "t0", "type", kind]
        if kind == "vlan":
            run("ip link add eth0 type veth peer name far0")
            made = ["ip", "link", "add", "link", "eth0", "name", "t0", "type", "vlan", "id", "5"]
        return subprocess.run(made, capture_output=True, check=False).returncode == 0


class Sniffer:
    """Frames that arrive in the namespace of its making."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind((interface, 3))

    def frames(self, wanted: int = 1, seconds: float = 2.0, **match: bytes) -> list[bytes]:
        """Up to ``wanted`` frames whose source MAC or type is as asked."""
        found: list[bytes] = []
        deadline = time.monotonic() + seconds
        while len(found) < wanted and (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, address = self.socket.recvfrom(4096)
            except TimeoutError:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            kind, source = frame[12:14], frame[6:12]
            if match.get("kind", kind) == kind and match.get("source", source) == source:
                found.append(frame)
        return found

    def close(self) -> None:
        self.socket.close()


class Wire:
    """The host (entered) with eth0, 192.0.2.10 and 2001:db8::10; the neighbour with far0, .99 and ::99."""

    def __init__(self, host: int, neighbour: int, directory: Path) -> None:
        self.host = host
        self.neighbour = neighbour
        self.route = Route()
        self.journal = Journal(directory / "journal.json")
        self.journal.acquire()
        self.sysctls = Sysctls(self.journal)
        self.kernel = Kernel(self.route, self.sysctls, self.journal)
        self.kernel.refresh()

    def close(self) -> None:
        self.kernel.linkdowns.close()
        self.journal.close()
        self.route.close()

    def far(self, command: str) -> str:
        """A command on the neighbour."""
        with inside(self.neighbour):
            return run(command)

    def sniff(self) -> Sniffer:
        with inside(self.neighbour):
            return Sniffer("far0")

    def neighbour_of(self, address: str) -> str:
        """The MAC that the neighbour has learned for an address."""
        words = self.far(f"ip neigh show {address} dev far0").split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""


def settle_links(*interfaces: str) -> None:
    """Wait until the interfaces have a carrier and the kernel has noticed; before that it drops what is sent."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if all(" state UP " in run(f"ip link show {name}") for name in interfaces):
            return
        time.sleep(0.01)
    raise AssertionError(f"no carrier: {interfaces}")


@contextlib.contextmanager
def cable(directory: Path) -> Iterator[Wire]:
    with fresh_namespace() as neighbour, fresh_namespace() as host:
        run(f"ip link add eth0 type veth peer name far0 netns /proc/{os.getpid()}/fd/{neighbour}")
        with inside(neighbour):
            sysctl("net/ipv6/conf/far0/accept_dad", "0")
            run("ip link set far0 up")
            run("ip addr add 192.0.2.99/24 dev far0")
            run("ip addr add 2001:db8::99/64 dev far0 nodad")
        sysctl("net/ipv6/conf/eth0/accept_dad", "0")
        run("ip link set eth0 up")
        run("ip addr add 192.0.2.10/24 dev eth0")
        run("ip addr add 2001:db8::10/64 dev eth0 nodad")
        settle_links("eth0")
        with inside(neighbour):
            settle_links("far0")
        wire = Wire(host, neighbour, directory)
        try:
            yield wire
        finally:
            wire.close()
