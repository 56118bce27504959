"""Which routes are copied for the VIPs: the pure part."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from socket import AF_INET, AF_INET6

from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carpd.parent import is_wireless, objection
from bsdcarp.carpd.rtnl.messages import Address, Link, RouteEntry
from bsdcarp.carpd.rtnl.requests import MARK, THROW
from bsdcarp.carpd.traffic import choose, copies, is_ours, table_of

PARENT, OTHER, DEVICE = 3, 4, 9


def route(prefix: str, index: int, *, priority: int = 0, kind: int = 1, gateway: bytes = b"") -> RouteEntry:
    network = ip_network(prefix)
    family = AF_INET if network.version == 4 else AF_INET6
    return RouteEntry(
        family, network.network_address.packed, network.prefixlen, 254, index, gateway, priority=priority, kind=kind
    )


# Few addresses, so that prefixes meet.
prefixes = st.builds(lambda a, n: str(ip_network((a << 29, n), strict=False)), st.integers(0, 7), st.integers(0, 4))
entries = st.builds(
    route, prefixes, st.sampled_from((PARENT, OTHER)), priority=st.integers(0, 2), kind=st.sampled_from((1, 1, 1, 6))
)


def lookup(table: list[RouteEntry], address: IPv4Address) -> RouteEntry | None:
    """Longest prefix, then smallest metric, then the parent: what the host does, by another way than the program."""
    fitting = [r for r in table if address in ip_network((r.destination, r.length))]
    return min(fitting, key=lambda r: (-r.length, r.priority, r.index != PARENT), default=None)


@given(st.lists(entries, max_size=12), st.integers(0, 7))
def test_what_left_over_the_parent_leaves_over_the_macvlan_and_nothing_else_does(
    main: list[RouteEntry], where: int
) -> None:
    table = list(copies(choose(main, AF_INET, PARENT), DEVICE, 0x70000301))
    before, found = lookup(main, IPv4Address(where << 29)), lookup(table, IPv4Address(where << 29))
    own = before is not None and before.index == PARENT and before.kind == 1
    if own:
        assert found is not None
        assert (found.index, found.kind) == (DEVICE, 1)
    else:
        assert found is None or found.kind == THROW


@given(st.lists(entries, max_size=12))
def test_every_copy_is_marked_and_in_its_table(main: list[RouteEntry]) -> None:
    for each in copies(choose(main, AF_INET, PARENT), DEVICE, table_of(PARENT, 1)):
        assert is_ours(each.table, each.protocol)
        assert each.priority == 0


def test_subnets_stand_before_the_routes_that_go_over_them() -> None:
    main = [route("::/0", PARENT, gateway=b"\xfe\x80" + bytes(14)), route("2001:db8::/64", PARENT)]
    assert [r.length for r in copies(choose(main, AF_INET6, PARENT), DEVICE, 1)] == [64, 0]


def test_other_tables_and_families_do_not_matter() -> None:
    local = RouteEntry(AF_INET, bytes(4), 0, 255, PARENT)
    assert copies(choose([local, route("::/0", PARENT)], AF_INET, PARENT), DEVICE, 1) == ()


@given(st.integers(1, 2**31 - 1), st.integers(1, 255))
def test_tables_are_recognised_by_number_and_mark_together(index: int, vhid: int) -> None:
    assert is_ours(table_of(index, vhid), MARK)
    assert not is_ours(table_of(index, vhid), 3)
    assert not is_ours(254, MARK)
    assert table_of(index, vhid) & 0xFF == vhid


def test_a_master_and_an_interface_that_nobody_knows_are_named_by_number() -> None:
    port = Link(3, "eth0", bytes(6), up=True, carrier=True, master=7)
    refusal = objection(port, vhid=1, mac=None, vips=(), links=(), addresses=())
    assert refusal is not None
    assert refusal.cause == "is a port of interface 7"
    free = Link(3, "eth0", bytes(6), up=True, carrier=True)
    vip = IPv4Address("192.0.2.1")
    refusal = objection(free, vhid=1, mac=None, vips=(vip,), links=(), addresses=(Address(8, vip, 24),))
    assert refusal is not None
    assert "192.0.2.1 of vhid 1 is configured on interface 8 already" in str(refusal)


def test_an_interface_that_is_not_there_is_not_wireless() -> None:
    assert not is_wireless("nothing0")
