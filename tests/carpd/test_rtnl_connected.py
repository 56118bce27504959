"""The connected route of a virtual address's prefix, which FreeBSD's kernel makes and Linux does not for a /32."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network
from socket import AF_INET, AF_INET6

from bsdcarp.carpd.rtnl.messages import RouteEntry
from bsdcarp.carpd.rtnl.requests import THROW
from bsdcarp.carpd.traffic import choose, connected, copies

PARENT, OTHER, DEVICE, TABLE = 3, 4, 9, 0x70000301


def route(prefix: str, index: int) -> RouteEntry:
    network = ip_network(prefix)
    family = AF_INET if network.version == 4 else AF_INET6
    return RouteEntry(family, network.network_address.packed, network.prefixlen, 254, index)


def table(main: list[RouteEntry], *addresses: str, family: int = AF_INET) -> list[tuple[str, int, int]]:
    """Return what stands in the table of the vhid: (prefix, interface, kind)."""
    connections = connected([ip_interface(address) for address in addresses], family, PARENT)
    return [
        (str(ip_network((each.destination, each.length))), each.index, each.kind)
        for each in copies(choose(main, family, PARENT, connections), DEVICE, TABLE)
    ]


def test_a_prefix_that_the_parent_has_no_address_in_is_on_the_segment() -> None:
    main = [route("192.0.2.200/29", PARENT)]
    assert table(main, "192.0.2.1/29") == [("192.0.2.200/29", DEVICE, 1), ("192.0.2.0/29", DEVICE, 1)]


def test_the_parents_own_route_is_not_there_twice() -> None:
    assert table([route("192.0.2.0/24", PARENT)], "192.0.2.1/24", "192.0.2.2/24") == [("192.0.2.0/24", DEVICE, 1)]


def test_a_prefix_that_the_host_has_elsewhere_stays_there() -> None:
    assert table([route("192.0.2.0/24", OTHER)], "192.0.2.1/24") == []
    main = [route("0.0.0.0/0", PARENT), route("192.0.2.0/24", OTHER)]
    assert table(main, "192.0.2.1/24") == [("192.0.2.0/24", 0, THROW), ("0.0.0.0/0", DEVICE, 1)]


def test_a_wide_prefix_takes_nothing_from_other_interfaces() -> None:
    found = table([route("10.1.0.0/16", OTHER)], "10.0.0.1/8")
    assert found == [("10.1.0.0/16", 0, THROW), ("10.0.0.0/8", DEVICE, 1)]


def test_single_addresses_and_the_other_family_bring_nothing() -> None:
    assert table([], "192.0.2.1/32", "2001:db8::1/64") == []
    assert table([], "2001:db8::1/128", family=AF_INET6) == []
    assert table([], "192.0.2.1/24", "2001:db8::1/64", family=AF_INET6) == [("2001:db8::/64", DEVICE, 1)]
