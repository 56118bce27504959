"""Snapshots and wishes for the judge's tests, built from small file texts; rc values come from a real /bin/sh."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files as package_files
from ipaddress import ip_interface
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from clean_hosts import CleanHost

from bsdcarp.model import Secret, vip
from bsdcarp.platforms.capabilities import capabilities, parse_release
from bsdcarp.platforms.desired import Desired, DesiredFile, DesiredVhid
from bsdcarp.snapshot import FileState, InterfaceAddress, KernelDirectory, NetworkInterface, Snapshot, VhidState

HOST = "fw1"
UP = frozenset({"UP", "BROADCAST", "RUNNING", "MULTICAST"})


@cache
def evaluate(texts: tuple[tuple[str, str], ...]) -> tuple[dict[str, str], str]:
    """Return rc's variables as sh evaluates these files, with the very script that reads hosts, and sh's complaint."""
    script = (package_files("bsdcarp.snapshot") / "read_host.sh").read_text(encoding="utf-8")
    with TemporaryDirectory() as root:
        for path, text in texts:
            target = Path(root + path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", errors="surrogateescape")
        done = subprocess.run(
            ["/bin/sh", "-s"],
            input=f"BSDCARP_ROOT={root}\nT=@@@@\n{script}\n(rc_variables) 2>&1\n",
            capture_output=True,
            text=True,
            check=False,
        )
    head, *sections = done.stdout.split("\n@@@@ ")
    if not sections or not sections[-1].startswith("rc-end"):
        return {}, head.strip() or "sh gave up"
    found = {}
    for section in sections[:-1]:
        title, _, body = section.partition("\n")
        found[title.removeprefix("rc ")] = body
    return found, ""


def snapshot_of(host: CleanHost, files: Mapping[str, str] | None = None, **changes: object) -> Snapshot:
    """Return a snapshot of ``host`` running as wanted, with these files on it."""
    texts = dict(host.files if files is None else files)
    rc_files = tuple(sorted((p, t) for p, t in texts.items() if "/rc.conf" in p))
    values, complaint = evaluate(rc_files)
    snapshot = Snapshot(
        release=parse_release(f"freebsd-{host.release}"),
        hostname=HOST,
        machine="amd64",
        ident="GENERIC",
        bootfile="/boot/kernel/kernel",
        carp=host.carp,  # type: ignore[arg-type]  # the data module spells it as plain text
        sysctls=MappingProxyType(dict(host.sysctls)),
        interfaces=MappingProxyType(interfaces_of(host)),
        files=MappingProxyType({path: FileState(text) for path, text in texts.items()}),
        rc=MappingProxyType(values),
        rc_error=complaint,
        kernels=tuple(KernelDirectory(name, module) for name, module in host.kernels.items()),
    )
    return replace(snapshot, **changes)  # type: ignore[arg-type]  # any field may be changed


def interfaces_of(host: CleanHost) -> dict[str, NetworkInterface]:
    print_key = capabilities(parse_release(f"freebsd-{host.release}")).print_key
    peer_line = capabilities(parse_release(f"freebsd-{host.release}")).peer_line
    states = [
        VhidState(
            v.vhid,
            "MASTER" if v.advskew == 0 else "BACKUP",
            1,
            v.advskew,
            Secret(v.password) if print_key else None,
            (v.peer or "224.0.0.18") if peer_line else "",
            "ff02::12" if peer_line else "",
        )
        for v in host.vhids
    ]
    pseudo = any(v.unit for v in host.vhids)
    own = tuple(InterfaceAddress(ip_interface(text)) for text in host.own)
    shared = {
        v.vhid: tuple(InterfaceAddress(ip_interface(a), 0 if pseudo else v.vhid) for a in v.addresses)
        for v in host.vhids
    }
    found = {"em1": NetworkInterface("em1", UP), "lo0": NetworkInterface("lo0", UP)}
    if not pseudo:
        addresses = (*own, *(a for addresses in shared.values() for a in addresses))
        return {
            host.interface: NetworkInterface(host.interface, UP, addresses, tuple(states), status="active"),
            **found,
        }
    units = {
        v.unit: NetworkInterface(v.unit, UP, shared[v.vhid], (state,))
        for v, state in zip(host.vhids, states, strict=True)
    }
    return {host.interface: NetworkInterface(host.interface, UP, own, status="active"), **found, **units}


def desired_of(host: CleanHost, name: str = HOST) -> Desired:
    return Desired(
        host=name,
        capabilities=capabilities(parse_release(f"freebsd-{host.release}")),
        files=MappingProxyType(
            {path: DesiredFile(text, secret=path == "/etc/rc.conf") for path, text in host.files.items()}
        ),
        sysctls=MappingProxyType(dict(host.sysctls)),
        vhids=tuple(
            DesiredVhid(
                v.group,
                v.vhid,
                host.interface,
                1,
                v.advskew,
                Secret(v.password),
                tuple(vip(a) for a in v.addresses),
                peer=v.peer,
                unit=v.unit,
            )
            for v in host.vhids
        ),
        kernel="present",
    )
