"""Plans for hosts that no simulated machine stands for: keys that cannot be read, odd interfaces, balanced ARP."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any

import pytest
from simulated_host import PASSWORD, group, inventory_of

from bsdcarp.model import Secret
from bsdcarp.plan import Plan, plan
from bsdcarp.plan.check import check
from bsdcarp.platforms.capabilities import parse_release
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import FileState, InterfaceAddress, NetworkInterface, Snapshot, VhidState

UP = frozenset({"UP", "MULTICAST"})
WEB = {"web": group(1, "192.0.2.10/24")}


def address(text: str, vhid: int = 0) -> InterfaceAddress:
    return InterfaceAddress(ip_interface(text), vhid)


def interface(
    name: str, *addresses: InterfaceAddress, vhids: tuple[VhidState, ...] = (), **more: Any
) -> NetworkInterface:
    return NetworkInterface(name, more.pop("flags", UP), addresses, vhids, **more)


def host(release: str, *interfaces: NetworkInterface, rc: dict[str, str] | None = None, **more: Any) -> Snapshot:
    text = "".join(f'{name}="{value}"\n' for name, value in (rc or {}).items())
    return Snapshot(
        release=parse_release(f"freebsd-{release}"),
        carp="static",
        sysctls=MappingProxyType({"allow": 1, "preempt": 1, "log": 1, **more.pop("sysctls", {})}),
        interfaces=MappingProxyType({i.name: i for i in interfaces}),
        files=MappingProxyType({"/etc/rc.conf": FileState(text)}),
        rc=MappingProxyType(rc or {}),
        **more,
    )


def wanted(groups: dict[str, Any], snapshot: Snapshot, release: str) -> Desired:
    inventory = inventory_of(release, groups)
    return desire(inventory, inventory.hosts["a"], {name: Secret(PASSWORD) for name in inventory.groups}, snapshot)


def shells(found: Plan) -> list[str]:
    return [change.command.shell for change in found.live]


@pytest.mark.parametrize(("filed", "count"), [(PASSWORD, 0), ("old", 1), ("", 1)])
def test_before_10_4_the_password_in_rc_conf_stands_for_the_key(filed: str, count: int) -> None:
    said = f"pass {filed} " if filed else ""
    rc = {"ifconfig_em0_alias0": f"inet vhid 1 {said}192.0.2.10/24", "ifconfig_em0": "inet 192.0.2.2/24"}
    em0 = interface("em0", address("192.0.2.2/24"), address("192.0.2.10/24", 1), vhids=(VhidState(1, "MASTER", 1, 0),))
    snapshot = host("10.1", em0, rc=rc)
    found = plan(wanted(WEB, snapshot, "10.1"), snapshot)
    assert shells(found) == [f"ifconfig em0 vhid 1 advbase 1 advskew 0 pass {PASSWORD}"] * count
    if filed == "old":
        assert [u.shell for u in found.live[0].undo] == ["ifconfig em0 vhid 1 advbase 1 advskew 0 pass old"]


def test_a_changed_order_of_clones_rebuilds_all_where_arp_is_balanced() -> None:
    shared = {"a1": group(1, "192.0.2.10/24"), "b2": group(2, "192.0.2.10/24")}
    rc = {
        "cloned_interfaces": "carp2 carp1",
        "ifconfig_carp1": f"vhid 1 pass {PASSWORD} 192.0.2.10/24",
        "ifconfig_carp2": f"vhid 2 pass {PASSWORD} 192.0.2.10/24",
    }
    units = [interface(f"carp{n}", address("192.0.2.10/24"), vhids=(VhidState(n, "MASTER", 1, 0),)) for n in (2, 1)]
    snapshot = host("9.3", interface("em0", address("192.0.2.2/24")), *units, rc=rc, sysctls={"arpbalance": 1})
    found = shells(plan(wanted(shared, snapshot, "9.3"), snapshot))
    assert [line for line in found if "create" in line or "destroy" in line] == [
        "ifconfig carp2 destroy", "ifconfig carp1 destroy", "ifconfig carp1 create", "ifconfig carp2 create",
    ]  # fmt: skip
    right = replace(snapshot, rc=MappingProxyType({**rc, "cloned_interfaces": "carp1 carp2"}))
    assert shells(plan(wanted(shared, right, "9.3"), right)) == []


def test_a_carp_interface_that_was_set_down_comes_up_again() -> None:
    rc = {"cloned_interfaces": "carp1", "ifconfig_carp1": f"vhid 1 pass {PASSWORD} 192.0.2.10/24"}
    carp1 = interface("carp1", address("192.0.2.10/24"), vhids=(VhidState(1, "INIT", 1, 0),), flags=frozenset())
    em0 = interface("em0", address("192.0.2.2/24"))
    snapshot = host("9.3", em0, carp1, rc=rc, sysctls={"arpbalance": 0})
    found = plan(wanted(WEB, snapshot, "9.3"), snapshot)
    assert shells(found) == ["ifconfig carp1 up"]
    # Taking it away remembers that it was down.
    record = FileState("vhid carp1 1 192.0.2.10\n")
    snapshot = replace(snapshot, files=MappingProxyType({**snapshot.files, "/var/db/bsdcarp/record": record}))
    other = plan(wanted({"web": group(1, "192.0.2.44/24")}, snapshot, "9.3"), snapshot)
    assert "ifconfig carp1 down" in [command.shell for change in other.live for command in change.undo]


def test_peers_stand_in_every_command_that_names_the_vhid() -> None:
    em0 = interface("em0", address("192.0.2.2/24"))
    snapshot = host("14.2", em0)
    groups = {"web": group(1, "192.0.2.10/24", "192.0.2.11/24", peer="192.0.2.3")}
    found = [line for line in shells(plan(wanted(groups, snapshot, "14.2"), snapshot)) if "vhid" in line]
    assert len(found) == 2
    assert all(" peer 192.0.2.3 alias " in line for line in found)


def test_an_address_of_a_strange_vhid_on_an_interface_that_is_ours_moves() -> None:
    em0 = interface(
        "em0", address("192.0.2.2/24"), address("192.0.2.10/24", 8), vhids=(VhidState(8, "MASTER", 1, 0, Secret("x")),)
    )
    snapshot = host("14.2", em0)
    found = plan(wanted(WEB, snapshot, "14.2"), snapshot)
    assert shells(found) == [
        "ifconfig em0 inet 192.0.2.10 -alias",
        f"ifconfig em0 inet vhid 1 advbase 1 advskew 0 pass {PASSWORD} alias 192.0.2.10/24",
    ]
    assert [change.restarts for change in found.live] == [(8,), (1,)]


class TestCheck:
    def rules(self, snapshot: Snapshot, groups: dict[str, Any], release: str = "14.2") -> list[str]:
        return [finding.rule for finding in check(wanted(groups, snapshot, release), snapshot)]

    def test_an_interface_without_multicast(self) -> None:
        snapshot = host("14.2", interface("em0", address("192.0.2.2/24"), flags=frozenset({"UP"})))
        assert self.rules(snapshot, WEB) == ["host-interface-multicast"]

    def test_a_module_at_a_raised_securelevel(self) -> None:
        snapshot = replace(host("14.2", interface("em0", address("192.0.2.2/24"))), carp="absent", securelevel=1)
        assert self.rules(snapshot, WEB) == ["host-securelevel"]
        assert self.rules(replace(snapshot, carp="module"), WEB) == []

    def test_an_interface_with_only_link_local_ipv6_may_have_the_shared_address_alone(self) -> None:
        six = {"web": group(1, "2001:db8::10/64")}
        em0 = interface("em0", address("192.0.2.2/24"), address("fe80::1/64"))
        assert self.rules(host("14.2", em0), six) == []
        alone = {"web": group(1, "2001:db8::10/128")}
        assert self.rules(host("14.2", em0), alone) == ["host-address-outside"]

    def test_a_lagg_is_an_interface_like_any_other(self) -> None:
        lagg = interface("lagg0", address("192.0.2.2/24"))
        member = interface("em0", flags=UP)
        assert self.rules(host("14.2", member, lagg), {"web": group(1, "192.0.2.10/32", interface="lagg0")}) == []
