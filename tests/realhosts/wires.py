"""Network namespaces held by file descriptors: they need no names, and vanish with the process that made them.

One namespace holds a bridge, each host has its own with one cable to it, and one cable leads to where the tests run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Wires", "in_namespace", "lay_wires"]

_CLONE_NEWNET = 0x40000000
_NETWORKS = range(256)


def _new_namespace() -> int:
    """Return a descriptor of a new, empty network namespace.

    Only the thread that asks moves into it, so a short-lived one does.
    """
    result: list[int | OSError] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            result.append(OSError(ctypes.get_errno(), "unshare"))
            return
        result.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    descriptor = result[0]
    if isinstance(descriptor, OSError):
        raise descriptor
    return descriptor


def in_namespace(descriptor: int, argv: Sequence[str]) -> list[str]:
    """``argv``, run in the namespace of ``descriptor``, which has to be passed to the process."""
    return ["nsenter", f"--net=/proc/self/fd/{descriptor}", *argv]


def _ip(lines: Iterable[str], namespace: int | None = None, passed: Iterable[int] = ()) -> None:
    argv = ["ip", "-batch", "-"]
    descriptors = tuple(passed)
    if namespace is not None:
        argv = in_namespace(namespace, argv)
        descriptors += (namespace,)
    subprocess.run(argv, input="\n".join(lines), text=True, check=True, capture_output=True, pass_fds=descriptors)


@dataclass
class Wires:
    """The laid network: ``namespaces`` of the hosts in order, their ``addresses``, and the cable's end here."""

    hub: int
    cable: str
    namespaces: list[int] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Let go of all namespaces; the kernel takes them down with everything in them."""
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip([f"link del {self.cable}"])
        for descriptor in (self.hub, *self.namespaces):
            os.close(descriptor)


def lay_wires(hosts: int) -> Wires:
    """Make namespaces for ``hosts`` hosts, reachable at 198.18.N.10 and up (RFC 2544 sets 198.18/15 aside for tests)."""
    hub = _new_namespace()
    wires: Wires | None = None
    try:
        number = _claim(hub)
        wires = Wires(hub, f"bsdcarp{number}")
        for position in range(hosts):
            wires.namespaces.append(_new_namespace())
            wires.addresses.append(f"198.18.{number}.{10 + position}")
        _ip([f"addr add 198.18.{number}.1/24 dev {wires.cable}", f"link set {wires.cable} up"])
        lines = ["link set lo up", "link add hub type bridge", "link set hub up", "link set out master hub up"]
        for position, namespace in enumerate(wires.namespaces):
            peer = f"/proc/self/fd/{namespace}"
            lines.append(f"link add host{position} type veth peer name net0 netns {peer}")
            lines.append(f"link set host{position} master hub up")
        _ip(lines, hub, wires.namespaces)
        for address, namespace in zip(wires.addresses, wires.namespaces, strict=True):
            _ip(["link set lo up", f"addr add {address}/24 dev net0", "link set net0 up"], namespace)
    except BaseException:
        if wires is not None:
            wires.close()
        else:
            os.close(hub)
        raise
    return wires


def _claim(hub: int) -> int:
    """Lay the cable from here to ``hub``; its name is the lock that keeps two clusters apart."""
    for number in _NETWORKS:
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip([f"link add bsdcarp{number} type veth peer name out netns /proc/self/fd/{hub}"], passed=[hub])
            return number
    raise OSError("no free network in 198.18.0.0/16, or no right to make one")
