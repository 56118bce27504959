"""What only a Linux host can tell: Python, the init system, the kind of interface, and who else speaks for a vhid."""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.plaintext import printable
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.platforms.linux_carpd import CARPD
from bsdcarp.snapshot import LinuxFacts, NetworkInterface, Snapshot

__all__ = ["OLDEST_PYTHON", "Problem", "host_problems", "interface_problems"]

OLDEST_PYTHON = (3, 8)
Problem = tuple[str, str, str]
"""Rule, message, remedy."""


def host_problems(desired: Desired, snapshot: Snapshot) -> Iterator[Problem]:
    """Yield what keeps the whole host from carrying any group."""
    facts = snapshot.linux
    if facts is None or not desired.services:
        return
    if not snapshot.interfaces:
        yield (
            "host-iproute2",
            "ip -j addr says nothing here",
            "install iproute2 (4.14 or later; that of busybox cannot do it)",
        )
    if any(service.name == CARPD for service in desired.services):
        yield from _python(facts)
    else:
        yield from _ucarp(facts)
    for service in desired.services:
        if facts.service(service.name).masked:
            name = f"{service.name}.service"
            yield "host-unit-masked", f"{name} is masked, so it cannot start", f"systemctl unmask {name}"


def _python(facts: LinuxFacts) -> Iterator[Problem]:
    wanted = ".".join(map(str, OLDEST_PYTHON))
    if not facts.python:
        yield "host-python", "there is no /usr/bin/python3", f"install Python {wanted} or later"
    elif facts.python[:2] < OLDEST_PYTHON:
        found = ".".join(map(str, facts.python))
        yield "host-python", f"Python {found} is too old for carpd", f"install Python {wanted} or later"


def _ucarp(facts: LinuxFacts) -> Iterator[Problem]:
    if not facts.ucarp:
        yield "host-ucarp-missing", "ucarp is not installed", "install the package ucarp, or use backend: carpd"
    if facts.init != "systemd":
        yield "host-ucarp-init", "bsdcarp starts ucarp by systemd, which does not run here", "use backend: carpd"


def interface_problems(vhid: DesiredVhid, interface: NetworkInterface, snapshot: Snapshot) -> Iterator[Problem]:
    """Yield why ``interface`` cannot carry ``vhid``."""
    if interface.master and interface.port_of in ("bridge", "bond", "team"):
        yield (
            "host-interface-port",
            f"{vhid.interface} is a port of {interface.port_of} {printable(interface.master)}, which takes its packets",
            f"write interface: {printable(interface.master)}",
        )
    for other in snapshot.linux.foreign if snapshot.linux else ():
        if (other.interface, other.vhid) == (vhid.interface, vhid.vhid):
            how = "runs" if other.running else "is configured"
            yield (
                "host-vhid-taken",
                f"{other.program} {how} on {vhid.interface} with number {vhid.vhid}, and so with the same virtual MAC",
                f"take it out of {other.program}'s configuration and stop it, or choose another vhid",
            )
