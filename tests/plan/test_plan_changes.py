"""From one inventory to the next: idempotent, the same after a boot, and taken back completely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulated_host import PSEUDO, RELEASES, SimulatedHost, group, inventory_of

from bsdcarp.lab.carp_pseudo import PseudoStack

RC = (
    'hostname="a"\nsshd_enable="YES"\nifconfig_em0="inet 192.0.2.2/24"\nifconfig_em0_ipv6="inet6 2001:db8::2/64"\n'
    'ifconfig_em1="inet 198.51.100.2/24"   # inside\nifconfig_em0_alias0="inet 192.0.2.5/32"   # not ours\n'
)
WEB = "192.0.2.10/24"
INSIDE = "198.51.100.10/24"

CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "advskew": (
        {"web": group(1, WEB)},
        {"web": {**group(1, WEB), "members": [{"host": "a", "advskew": 50}, "b"], "advbase": 2}},
        RELEASES,
    ),
    "an address more": ({"web": group(1, WEB)}, {"web": group(1, WEB, "192.0.2.11/24")}, RELEASES),
    "an address less": ({"web": group(1, WEB, "192.0.2.11/24")}, {"web": group(1, "192.0.2.11/24")}, RELEASES),
    "all other addresses": ({"web": group(1, WEB)}, {"web": group(1, "192.0.2.12/24")}, RELEASES),
    "prefix length": ({"web": group(1, WEB)}, {"web": group(1, "192.0.2.10/32")}, RELEASES),
    "prefix length of one of two": (
        {"web": group(1, WEB, "192.0.2.11/24")},
        {"web": group(1, "192.0.2.10/24", "192.0.2.11/32")},
        RELEASES,
    ),
    "vhid": ({"web": group(1, WEB)}, {"web": group(9, WEB)}, RELEASES),
    "vhids swapped": (
        {"web": group(1, WEB), "db": group(2, "192.0.2.20/24")},
        {"web": group(2, WEB), "db": group(1, "192.0.2.20/24")},
        RELEASES,
    ),
    "address moves to another group": (
        {"web": group(1, WEB, "192.0.2.11/24"), "db": group(2, "192.0.2.20/24")},
        {"web": group(1, WEB), "db": group(2, "192.0.2.20/24", "192.0.2.11/24")},
        RELEASES,
    ),
    "groups trade their only address": (
        {"web": group(1, WEB), "db": group(2, "192.0.2.20/24")},
        {"web": group(1, "192.0.2.20/24"), "db": group(2, WEB)},
        RELEASES,
    ),
    "one group of two leaves": (
        {"web": group(1, WEB), "db": group(2, "192.0.2.20/24"), "mail": group(3, "192.0.2.30/24")},
        {"web": group(1, WEB), "mail": group(3, "192.0.2.30/24")},
        RELEASES,
    ),
    "one vhid on two interfaces": (
        {"web": group(3, WEB)},
        {"web": group(3, WEB), "inside": {**group(3, INSIDE, interface="em1"), "segment": "inside"}},
        RELEASES,
    ),
    "another interface": (
        {"web": group(1, WEB), "x": group(5, "192.0.2.50/24")},
        {"web": group(1, INSIDE, interface="em1"), "x": group(5, "192.0.2.50/24")},
        RELEASES,
    ),
    "IPv6 joins": ({"web": group(1, WEB)}, {"web": group(1, WEB, "2001:db8::10/64")}, RELEASES[1:]),
    "IPv4 leaves": ({"web": group(1, WEB, "2001:db8::10/64")}, {"web": group(1, "2001:db8::10/64")}, RELEASES[1:]),
    "IPv6 first one replaced": (
        {"web": group(1, WEB, "2001:db8::10/64")},
        {"web": group(1, WEB, "2001:db8::11/64")},
        RELEASES[1:],
    ),
    "a lower vhid with balancing": (
        {"db": group(2, WEB), "x": group(3, WEB)},
        {"web": group(1, WEB), "db": group(2, WEB), "x": group(3, WEB)},
        PSEUDO,
    ),
    "the lowest vhid leaves, with balancing": (
        {"web": group(1, WEB), "db": group(2, WEB), "x": group(3, WEB)},
        {"db": group(2, WEB), "x": group(3, WEB)},
        PSEUDO,
    ),
    "unicast": (
        {"web": group(1, WEB)},
        {"web": group(1, WEB, "192.0.2.11/24", peer="192.0.2.3")},
        ("14.2", "15.0"),
    ),
    "back to multicast": (
        {"web": group(1, WEB, peer="192.0.2.3")},
        {"web": group(1, WEB)},
        ("14.2", "15.0"),
    ),
    "unicast, an address more": (
        {"web": group(1, WEB, peer="192.0.2.3")},
        {"web": group(1, WEB, "192.0.2.11/24", peer="192.0.2.3")},
        ("14.2", "15.0"),
    ),
}
CASES = [
    pytest.param(name, release, id=f"{name}-{release}")
    for name, (_, _, releases) in CHANGES.items()
    for release in releases
    # The eras differ; within one, two releases do for most.
    if release not in ("7.2", "10.4", "15.0") or len(releases) < 5 or name in ("vhid", "another interface", "advskew")
]


@pytest.mark.parametrize(("name", "release"), CASES)
def test_a_changed_inventory(tmp_path: Path, name: str, release: str) -> None:
    first, second, _ = CHANGES[name]
    before, after = inventory_of(release, first), inventory_of(release, second)
    with SimulatedHost(tmp_path, release, rc_conf=RC) as host:
        host.apply(before)
        old, order = host.live(), arp_order(host)
        files = {path: host.read(path) for path in ("/etc/rc.conf", "/etc/sysctl.conf", "/var/db/bsdcarp/record")}

        change = host.apply(after)
        assert change.live
        assert shown(host.plan(after)) == ([], [])
        new, new_order = host.live(), arp_order(host)

        host.take_back(change)
        assert host.live() == old
        assert arp_order(host) == order
        assert {path: host.read(path) for path in files} == files
        assert not host.plan(before)

        host.apply(after)
        host.boot()
        assert host.live() == new
        assert arp_order(host) == new_order
        assert shown(host.plan(after)) == ([], [])
        assert 'ifconfig_em0_alias0="inet 192.0.2.5/32"   # not ours\n' in (host.read("/etc/rc.conf") or "")


def shown(found: Any) -> tuple[list[str], list[list[str]]]:
    return [str(change.command) for change in found.live], [change.diff() for change in found.files]


def arp_order(host: SimulatedHost) -> dict[str, list[int]]:
    """Return the vhids in the order in which the kernel balances ARP over them, if it does."""
    carp = host.machine.kernel.carp
    if not isinstance(carp, PseudoStack) or host.snapshot().sysctls.get("arpbalance") != 1:
        return {}
    return {
        parent: [machine.config.vhid for machine in machines] for parent, machines in carp.order.items() if machines
    }
