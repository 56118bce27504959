"""A Linux host's part of the answer: ip(8), systemctl(1) or OpenRC, and carpd's own status, text in, data out.

carpd's vhids are put where FreeBSD's kernel has them, on the real interface with their addresses attached, so that
one judge serves both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any, cast

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import RemoteError
from bsdcarp.model import Release
from bsdcarp.snapshot.carpdstatus import parse_carpd_status
from bsdcarp.snapshot.facts import FileState, InterfaceAddress, NetworkInterface, Snapshot, VhidState
from bsdcarp.snapshot.foreign import find_foreign
from bsdcarp.snapshot.linuxfacts import CarpdStatus, CarpdVhid, InitSystem, LinuxFacts, ServiceState
from bsdcarp.snapshot.ucarp import UcarpProcess, read_ucarp

__all__ = ["CARPD_SERVICE", "LinuxSections", "read_linux"]

CARPD_SERVICE = "bsdcarp-carpd"
_MARK = "bsdcarp vhid "
"""Starts the alias (IFLA_IFALIAS) of every interface that carpd makes."""
_SYSCTL = "/proc/sys/"
_PYTHON = re.compile(r"Python (\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class LinuxSections:
    """The answer of the reading script, cut at its markers."""

    body: Mapping[str, str]
    files: Mapping[str, FileState]
    processes: tuple[str, ...] = ()
    """Command lines of daemons that speak CARP or VRRP, an argument a line."""
    host: str = ""
    """What errors call it."""


def read_linux(found: LinuxSections) -> Snapshot:
    """Return the host as far as these sections tell.  Raises ``RemoteError`` when ip(8) makes no sense."""
    try:
        links = _links(found.body.get("ip", ""))
        real = {name: _interface(name, link) for name, link in links.items() if not _ours(link)}
        held = frozenset(str(address.ip) for link in links.values() for address in _addresses(link))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RemoteError(
            "what `ip -j -d addr show` prints is not what iproute2 prints",
            place=found.host,
            remedy="log in by hand and see what it says",
        ) from error
    status = parse_carpd_status(found.body.get("carpd", ""))
    values = dict(_values(found.body.get("proc", "")))
    init = found.body.get("init", "").strip()
    init = init if init in ("systemd", "openrc") else "sh"
    version = _PYTHON.search(found.body.get("python", ""))
    ucarps = [u for words in found.processes if (u := read_ucarp(words.splitlines())) and u.ours]
    facts = LinuxFacts(
        init=cast("InitSystem", init),
        services=MappingProxyType(_services(init, found.body, status)),
        python=tuple(int(number or 0) for number in version.groups()) if version else (),
        program=" ".join(found.body.get("program", "").split()[:2]),
        carpd=status,
        sysctls=MappingProxyType({name: int(v) for name, v in values.items() if v.isdecimal()}),
        held=held,
        ucarp=found.body.get("ucarp", "").strip(),
        foreign=find_foreign(found.processes, {path: state.text for path, state in found.files.items()}),
        executable=frozenset(found.body.get("executable", "").split()),
    )
    boottime = found.body.get("boottime", "").strip()
    return Snapshot(
        release=_release(found.body.get("os-release", "")),
        boottime=int(boottime) if boottime.isdecimal() else 0,
        boot_id=values.get("kernel/random/boot_id", ""),
        sysctls=MappingProxyType(_settings(status, ucarps)),
        interfaces=MappingProxyType(_with_ucarps(_with_vhids(real, status), ucarps)),
        linux=facts,
    )


def _release(text: str) -> Release:
    os_release = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in text.splitlines())}
    major, _, minor = os_release.get("VERSION_ID", "0").partition(".")
    distribution = os_release.get("ID", "linux")
    version = os_release.get("VERSION_ID")
    return Release(
        "linux",
        int(major) if major.isdecimal() else 0,
        int(minor) if minor.isdecimal() else -1,
        name=f"{distribution}-{version}" if version else distribution,
    )


def _links(text: str) -> dict[str, dict[str, Any]]:
    """Read ``ip -j -d addr show`` (iproute2's JSON, where the links of other families are empty objects)."""
    links: list[dict[str, Any]] = json.loads(text.strip() or "[]")
    return {str(link["ifname"]): link for link in links if link.get("ifname")}


def _ours(link: Mapping[str, Any]) -> bool:
    return str(link.get("ifalias", "")).startswith(_MARK)


def _addresses(link: Mapping[str, Any]) -> Iterator[Any]:
    for info in link.get("addr_info", ()):
        if "local" in info:
            yield ip_interface(f"{info['local']}/{info['prefixlen']}")


def _interface(name: str, link: Mapping[str, Any]) -> NetworkInterface:
    kind = link.get("linkinfo", {})
    flags = frozenset(link.get("flags", ()))
    return NetworkInterface(
        name=name,
        flags=flags,
        addresses=tuple(InterfaceAddress(address) for address in _addresses(link)),
        ether=str(link.get("address", "")),
        status="no carrier" if "NO-CARRIER" in flags else "active" if link.get("operstate") == "UP" else "",
        kind=str(kind.get("info_kind", "")),
        port_of=str(kind.get("info_slave_kind", "")),
        master=str(link.get("master", "")),
    )


def _with_vhids(real: dict[str, NetworkInterface], status: CarpdStatus | None) -> dict[str, NetworkInterface]:
    for vhid in status.vhids if status else ():
        parent = real.get(vhid.interface)
        if parent is None:
            continue
        shared = tuple(InterfaceAddress(ip_interface(address), vhid.vhid) for address in vhid.addresses)
        texts = {address.text for address in shared}
        # Without virtual MAC a MASTER has its addresses on the real interface; they are not the host's own for that.
        own = tuple(a for a in parent.addresses if a.vhid or a.text not in texts)
        real[parent.name] = replace(parent, addresses=(*own, *shared), vhids=(*parent.vhids, _state(vhid)))
    return real


def _with_ucarps(real: dict[str, NetworkInterface], ucarps: list[UcarpProcess]) -> dict[str, NetworkInterface]:
    """Who has the address is MASTER: ucarp itself shows no state."""
    for ucarp in ucarps:
        parent = real.get(ucarp.interface)
        if parent is None or ucarp.address is None:
            continue
        shared = InterfaceAddress(ucarp.address, ucarp.vhid)
        own = tuple(a for a in parent.addresses if a.vhid or a.text != shared.text)
        state = "MASTER" if len(own) < len(parent.addresses) else "BACKUP"
        vhid = VhidState(ucarp.vhid, state, ucarp.advbase, ucarp.advskew, None, "224.0.0.18", "ff02::12")
        real[parent.name] = replace(parent, addresses=(*own, shared), vhids=(*parent.vhids, vhid))
    return real


def _settings(status: CarpdStatus | None, ucarps: list[UcarpProcess]) -> dict[str, int]:
    if status:
        return {**status.settings, "demotion": status.demotion}
    return {"preempt": int(all(ucarp.preempt for ucarp in ucarps))} if ucarps else {}


def _state(vhid: CarpdVhid) -> VhidState:
    peer, peer6 = vhid.peer or "224.0.0.18", vhid.peer6 or "ff02::12"
    return VhidState(vhid.vhid, vhid.state, vhid.advbase, vhid.advskew, None, peer, peer6, digest=vhid.digest)


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Read ``grep '' /proc/sys/...``: a path, a colon, the value."""
    for line in text.splitlines():
        path, colon, value = line.rpartition(":")
        _, found, name = path.partition(_SYSCTL)
        if colon and found:
            yield name, value.strip()


def _services(init: str, body: Mapping[str, str], status: CarpdStatus | None) -> dict[str, ServiceState]:
    if init == "systemd":
        return dict(_units(body.get("units", "")))
    # A shell script leaves no trace but the daemon it started.
    started = "started" in body if init == "openrc" else status is not None
    known = started or "script" in body
    active = "active" if started else "inactive" if known else "absent"
    return {CARPD_SERVICE: ServiceState(active, enabled="enabled" in body)}


def _units(text: str) -> Iterator[tuple[str, ServiceState]]:
    """Read ``systemctl show -p ...``: a block of KEY=VALUE a unit, with an empty line between them."""
    for block in re.split(r"\n\s*\n", text.strip()):
        keys = dict(line.partition("=")[::2] for line in block.splitlines())
        name = keys.get("Id", "").removesuffix(".service")
        if not name:
            continue
        masked = "masked" in (keys.get("LoadState", ""), keys.get("UnitFileState", ""))
        there = keys.get("LoadState") != "not-found" or keys.get("ActiveState") not in ("inactive", None)
        yield (
            name,
            ServiceState(
                active=keys.get("ActiveState", "inactive") if there else "absent",
                enabled=keys.get("UnitFileState", "") in ("enabled", "enabled-runtime"),
                masked=masked,
                stale=keys.get("NeedDaemonReload") == "yes",
                dropins=tuple(keys.get("DropInPaths", "").split()),
                fragment=keys.get("FragmentPath", ""),
            ),
        )
