"""What the daemon tells about itself: a document for programs, and from that, ifconfig's words for people.

The document goes over the control socket, so ``carpd ctl`` makes the text on its side and both always agree.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from bsdcarp import __version__
from bsdcarp.carp import virtual_mac
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6
from bsdcarp.carpd.logs import one_line

if TYPE_CHECKING:
    from bsdcarp.carpd.snapshot import Snapshot, VhidStatus

__all__ = ["VERSION", "as_text", "document", "fingerprint"]

VERSION = 1
"""Of the document's shape."""


def fingerprint(password: str) -> str:
    """Return what shows whether two hosts have the same password, without showing the password."""
    return hashlib.sha256(password.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the status as JSON values.

    ``uptime`` and each ``since`` are seconds that have passed, ``peer`` and ``peer6`` are null for the multicast
    groups, ``virtual_mac`` is null where the parent's own address is used.
    """
    return {
        "version": VERSION,
        "carpd": __version__,
        "pid": os.getpid(),
        "uptime": round(snapshot.now - snapshot.started, 3),
        "demotion": snapshot.demotion,
        "settings": asdict(snapshot.settings),
        "vhids": [_vhid(found, snapshot.now) for found in snapshot.vhids],
        "counters": asdict(snapshot.statistics),
        "findings": [asdict(finding) for finding in snapshot.findings],
    }


def _vhid(found: VhidStatus, now: float) -> dict[str, Any]:
    config = found.config
    return {
        "group": config.group,
        "vhid": config.vhid,
        "interface": config.interface,
        "present": found.present,
        "state": found.state.value,
        "since": round(now - found.since, 3),
        "reason": found.reason,
        "advbase": config.advbase,
        "advskew": config.advskew,
        "effective_advskew": found.effective_advskew,
        "peer": None if config.peer is None else str(config.peer),
        "peer6": None if config.peer6 is None else str(config.peer6),
        "addresses": [str(address) for address in config.addresses],
        "virtual_mac": virtual_mac(config.vhid).hex(":") if config.virtual_mac else None,
        "password_sha256": fingerprint(config.password),
        "failover": found.failover,
    }


def as_text(status: Mapping[str, Any]) -> str:
    """Return the document in the words of ifconfig(8) and sysctl(8), with a newline at the end."""
    lines: list[str] = []
    parents: dict[str, list[Mapping[str, Any]]] = {}
    for vhid in status["vhids"]:
        parents.setdefault(vhid["interface"], []).append(vhid)
    for parent, vhids in parents.items():
        lines.append(f"{parent}:" if vhids[0].get("present", True) else f"{parent}: no such interface")
        for vhid in vhids:
            lines += _carp(vhid)
    # Silence is what a host that is not demoted deserves.
    if status["demotion"]:
        lines.append(f"net.inet.carp.demotion: {status['demotion']}")
    if not status["settings"]["allow"]:
        lines.append("net.inet.carp.allow: 0")
    for finding in status["findings"]:
        lines += [f"{finding['vhid']}@{finding['interface']}: {finding['text']}", f"\t{finding['remedy']}"]
    return "".join(_indent(line) + one_line(line.lstrip("\t")) + "\n" for line in lines)


def _indent(line: str) -> str:
    return "\t" * (len(line) - len(line.lstrip("\t")))


def _carp(vhid: Mapping[str, Any]) -> Iterable[str]:
    number = vhid["vhid"]
    yield f"\tcarp: {vhid['state']} vhid {number} advbase {vhid['advbase']} advskew {vhid['advskew']}"
    yield f"\t      peer {vhid['peer'] or GROUP_V4} peer6 {vhid['peer6'] or GROUP_V6}"
    if vhid["failover"]:
        yield f"\t      handed over, advskew {vhid['effective_advskew']} until `carpd ctl failover {number} --undo`"
    for text in vhid["addresses"]:
        address = ip_interface(text)
        if address.version == 4:
            yield f"\tinet {address.ip} netmask {int(address.netmask):#010x} vhid {number}"
        else:
            yield f"\tinet6 {address.ip} prefixlen {address.network.prefixlen} vhid {number}"
