"""A Linux host: the daemon's configuration and nothing else."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest
from desired_hosts import PASSWORD, group, inventory

from bsdcarp.errors import PlanError
from bsdcarp.model import Inventory, Secret, vip
from bsdcarp.plan import plan
from bsdcarp.plan.check import check
from bsdcarp.platforms.capabilities import parse_release
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from bsdcarp.platforms.paths import CARPD_CONFIG, LINUX_RECORD_PATH
from bsdcarp.snapshot import FileState, InterfaceAddress, NetworkInterface, Snapshot

LINUX = {"os": "debian-12", "interface": "eth0"}
WEB = {"web": group(1, "192.0.2.10/24")}


def host_a(found: Inventory, files: dict[str, str], *addresses: str) -> tuple[Desired, Snapshot]:
    own = tuple(InterfaceAddress(address.interface) for address in map(vip, ("192.0.2.2/24", *addresses)))
    flags = frozenset({"UP", "MULTICAST"})
    snapshot = Snapshot(
        release=parse_release("debian-12"),
        interfaces=MappingProxyType({"eth0": NetworkInterface("eth0", flags, own)}),
        files=MappingProxyType({path: FileState(text) for path, text in files.items()}),
    )
    return desire(found, found.hosts["a"], {name: Secret(PASSWORD) for name in found.groups}, snapshot), snapshot


def test_its_life_from_nothing_to_nothing() -> None:
    found = inventory("14.2", WEB, LINUX)
    first = plan(*host_a(found, {}))
    assert not first.live
    files = {change.path: change.after or "" for change in first.files}
    assert set(files) == {CARPD_CONFIG, LINUX_RECORD_PATH}
    assert all(change.mode == 0o600 for change in first.files)
    document = json.loads(files[CARPD_CONFIG])
    assert document["vhids"][0]["addresses"] == ["192.0.2.10/24"]
    assert document["vhids"][0]["password"] == PASSWORD
    assert document["settings"] == {"allow": 1, "preempt": 1, "log": 1, "arpbalance": 0}
    assert not plan(*host_a(found, files, "192.0.2.10/24"))
    gone = plan(*host_a(inventory("14.2", {}, LINUX), files))
    assert {change.path: change.after for change in gone.files} == {CARPD_CONFIG: None, LINUX_RECORD_PATH: None}


def test_the_address_that_the_daemon_put_there_is_not_the_hosts_own() -> None:
    found = inventory("14.2", WEB, LINUX)
    assert [f.rule for f in check(*host_a(found, {}, "192.0.2.10/24"))] == ["host-address-taken"]
    files = {change.path: change.after or "" for change in plan(*host_a(found, {})).files}
    assert check(*host_a(found, files, "192.0.2.10/24")) == []


def test_another_backend_is_refused() -> None:
    found = inventory("14.2", WEB, {**LINUX, "backend": "ucarp"})
    with pytest.raises(PlanError, match="ucarp is not supported"):
        host_a(found, {})
