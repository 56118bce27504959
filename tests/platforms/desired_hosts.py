"""Hosts as texts of files, and what bsdcarp makes of them, without any machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bsdcarp.inventory import load_text, require
from bsdcarp.model import Inventory, Secret
from bsdcarp.platforms.capabilities import parse_release
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from bsdcarp.platforms.rcfiles import read_rc_files
from bsdcarp.snapshot import FileState, Snapshot

PASSWORD = "s3cr3tOfCarp"
RC, SYSCTL, LOADER, RECORD = "/etc/rc.conf", "/etc/sysctl.conf", "/boot/loader.conf", "/var/db/bsdcarp/record"
KERNCONF = "/usr/src/sys/amd64/conf/CARP"


def group(vhid: int, *addresses: str, **more: Any) -> dict[str, Any]:
    return {
        "vhid": vhid,
        "password": {"env": "P"},
        "addresses": list(addresses),
        "members": ["a", "b"],
        **more,
    }


def inventory(release: str, groups: Mapping[str, Any], host: Mapping[str, Any] | None = None) -> Inventory:
    hosts = {
        name: {"address": f"192.0.2.{n}", "interface": "em0", "os": f"freebsd-{release}", **(host or {})}
        for n, name in enumerate("abc", 2)
    }
    hosts = {name: {k: v for k, v in keys.items() if v is not None} for name, keys in hosts.items()}
    rest = {**group(250, "192.0.2.250/24"), "members": ["b", "c"]}
    data = {
        "version": 1,
        "sysctl": {"allow": 1, "preempt": 1, "log": 1, "arpbalance": "auto"},
        "hosts": hosts,
        "groups": {**groups, "elsewhere": rest},
    }
    return require(load_text(json.dumps(data, indent=1), "test.yml"))


def snapshot(release: str, files: Mapping[str, str], rc: Mapping[str, str] | None = None, **more: Any) -> Snapshot:
    """Return a host with these files; rc's variables are the known ones, and what ``rc`` says."""
    found = Snapshot(
        release=parse_release(f"freebsd-{release}"),
        machine="amd64",
        files=MappingProxyType({path: FileState(text) for path, text in files.items()}),
        **more,
    )
    confs = read_rc_files(found).files
    known = {a.name: a.value for conf in confs.values() for a in conf.assignments if a.value is not None}
    return Snapshot(
        release=found.release,
        machine="amd64",
        files=found.files,
        rc=MappingProxyType({**known, **(rc or {})}),
        **more,
    )


def desired(
    release: str,
    groups: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
    rc: Mapping[str, str] | None = None,
    host: Mapping[str, Any] | None = None,
    **more: Any,
) -> Desired:
    """Return what host a should be; without ``files``, with no host to look at."""
    plan = inventory(release, groups, host)
    seen = None if files is None else snapshot(release, files, rc, **more)
    return desire(plan, plan.hosts["a"], {name: Secret(PASSWORD) for name in plan.groups}, seen)


def texts(found: Desired) -> dict[str, str | None]:
    return {path: file.text for path, file in found.files.items()}


def again(
    release: str,
    groups: Mapping[str, Any],
    files: Mapping[str, str],
    found: Desired,
    host: Mapping[str, Any] | None = None,
    **more: Any,
) -> Desired:
    """Return what the host should be once it is as ``found`` says."""
    now = {path: text for path, text in ({**files, **texts(found)}).items() if text is not None}
    return desired(release, groups, now, host=host, **more)
