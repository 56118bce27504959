"""Linux hosts as data: an inventory with a FreeBSD and a Linux member, and snapshots as apply and carpd leave them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bsdcarp.inventory import load_text, require
from bsdcarp.model import Inventory, Secret
from bsdcarp.plan import Plan
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import FileState, Snapshot
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.snapshot.linux import LinuxSections, read_linux

PASSWORD = "s3cr3tOfCarp"
RECORD = "/var/lib/bsdcarp/record"
UNIT = "/etc/systemd/system/bsdcarp-carpd.service"
PROGRAM = "/usr/local/lib/bsdcarp/carpd.pyz"
CONFIG = "/etc/bsdcarp/carpd.json"
SYSCTL = "/etc/sysctl.d/90-bsdcarp.conf"
WEB = {"vhid": 1, "addresses": ["192.0.2.10/24"]}


def inventory(groups: Mapping[str, Any] | None = None, **host: Any) -> Inventory:
    """Host ``lin`` runs Debian, ``bsd`` FreeBSD 14.2; both are in every group, ``bsd`` first."""
    lin = {"address": "192.0.2.2", "interface": "eth0", "os": "debian-12", **host}
    made = {"web": WEB} if groups is None else groups
    data = {
        "version": 1,
        "sysctl": {"allow": 1, "preempt": 1, "log": 1},
        "hosts": {
            "bsd": {"address": "192.0.2.3", "interface": "em0", "os": "freebsd-14.2"},
            "lin": {k: v for k, v in lin.items() if v is not None},
        },
        "groups": {name: {"password": {"env": "P"}, "members": ["bsd", "lin"], **keys} for name, keys in made.items()},
    }
    return require(load_text(json.dumps(data, indent=1), "test.yml"))


def wanted(found: Inventory, snapshot: Snapshot | None) -> Desired:
    return desire(found, found.hosts["lin"], {name: Secret(PASSWORD) for name in found.groups}, snapshot)


def link(name: str, *addresses: str, **more: Any) -> dict[str, Any]:
    split = [address.partition("/") for address in addresses]
    info = [{"local": address, "prefixlen": int(length)} for address, _, length in split]
    up = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]
    return {"ifindex": 2, "ifname": name, "flags": up, "operstate": "UP", "addr_info": info, **more}


def macvlan(vhid: int, *addresses: str, parent: str = "eth0") -> dict[str, Any]:
    kind = {"info_kind": "macvlan"}
    return link(f"carp{vhid}.2", *addresses, linkinfo=kind, ifalias=f"bsdcarp vhid {vhid} on {parent}")


def unit(name: str = "bsdcarp-carpd", active: str = "active", enabled: str = "enabled", **more: str) -> str:
    keys = {"Id": f"{name}.service", "LoadState": "loaded", "ActiveState": active, "UnitFileState": enabled}
    keys |= {"FragmentPath": f"/etc/systemd/system/{name}.service", "DropInPaths": "", "NeedDaemonReload": "no"} | more
    return "".join(f"{key}={value}\n" for key, value in keys.items())


NO_UNIT = "Id=bsdcarp-carpd.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"


def status(desired: Desired, *states: str, **more: Any) -> dict[str, Any]:
    """What carpd answers when it runs as ``desired`` says, its vhids in these states (BACKUP unless given)."""
    vhids = [
        {
            "group": v.group,
            "vhid": v.vhid,
            "interface": v.interface,
            "state": states[number] if number < len(states) else "BACKUP",
            "advbase": v.advbase,
            "advskew": v.advskew,
            "peer": v.peer,
            "peer6": v.peer6,
            "addresses": [str(a) for a in v.addresses],
            "virtual_mac": "00:00:5e:00:01:01" if v.virtual_mac else None,
            "password_sha256": v.password.digest,
            "failover": False,
            "reason": "",
        }
        for number, v in enumerate(desired.vhids)
    ]
    return {"version": 1, "carpd": "0.1.0", "demotion": 0, "settings": dict(desired.sysctls), "vhids": vhids} | more


def host(
    files: Mapping[str, str] | None = None,
    *,
    links: list[dict[str, Any]] | None = None,
    carpd: Mapping[str, Any] | None = None,
    processes: tuple[str, ...] = (),
    **sections: str,
) -> Snapshot:
    """Return a Debian 12; a section that is given replaces the one of a host on which nothing runs yet."""
    texts = {path: FileState(text) for path, text in (files or {}).items()}
    body = {
        "os-release": 'ID=debian\nVERSION_ID="12"\n',
        "ip": json.dumps([link("eth0", "192.0.2.2/24", "2001:db8::2/64")] if links is None else links),
        "boottime": "1795351602\n",
        "proc": "/proc/sys/kernel/random/boot_id:7cea-fd7e\n/proc/sys/net/ipv4/conf/eth0/arp_ignore:0\n"
        "/proc/sys/net/ipv4/conf/eth0/arp_announce:0\n",
        "init": "systemd\n",
        "units": NO_UNIT,
        "python": "Python 3.11.2\n",
        **({"carpd": json.dumps(carpd)} if carpd is not None else {}),
        **sections,
    }
    found = read_linux(LinuxSections({k: v for k, v in body.items() if v}, texts, processes))
    return Snapshot(
        **{f: getattr(found, f) for f in ("release", "boottime", "boot_id", "sysctls", "interfaces", "linux")},
        files=texts,
    )


def ucarp_process(desired: Desired) -> tuple[str, ...]:
    """The command lines of the ucarps that ``desired`` starts."""
    starts = [
        line.removeprefix("ExecStart=")
        for service in desired.services
        for line in (desired.files[service.described_by].text or "").splitlines()
        if line.startswith("ExecStart=")
    ]
    return tuple(start.replace(" ", "\n") for start in starts)


HELD = "/proc/sys/net/ipv4/conf/eth0/arp_ignore:1\n/proc/sys/net/ipv4/conf/eth0/arp_announce:2\n"


def applied(desired: Desired, *states: str, extra: Mapping[str, str] | None = None, **more: Any) -> Snapshot:
    """Return the host once ``desired`` is in force."""
    files = {path: file.text for path, file in desired.files.items() if file.text is not None} | dict(extra or {})
    program = next((cksum(p.data) for p in desired.programs.values() if p.data), "")
    ucarp = not desired.programs and bool(desired.services)
    units = "\n".join(unit(service.name) for service in desired.services) or NO_UNIT
    held = [a for v, s in zip(desired.vhids, states, strict=False) if s == "MASTER" for a in v.addresses]
    texts = [f"{a.address}/{a.interface.max_prefixlen}" for a in held]
    real = not any(v.virtual_mac for v in desired.vhids)
    parent = link("eth0", "192.0.2.2/24", "2001:db8::2/64", *(texts if real else ()))
    answer = None if ucarp or not desired.services else status(desired, *states)
    given: dict[str, Any] = {
        "links": [parent, *([] if real or not texts else [macvlan(1, *texts)])],
        "carpd": answer,
        "units": units,
        "program": program,
        "proc": HELD,
        "ucarp": "/usr/sbin/ucarp" if ucarp else "",
        "processes": ucarp_process(desired) if ucarp else (),
    }
    return host(files, **{**given, **more})


def commands(plan: Plan) -> list[str]:
    return [change.command.shell for change in plan.live]
