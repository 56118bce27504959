from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from edge_net import Wire, cable, fresh_namespace, needs_namespaces, run

from bsdcarp.carpd.errors import NetlinkError
from bsdcarp.carpd.rtnl import codec, requests
from bsdcarp.carpd.rtnl import route as route_module
from bsdcarp.carpd.rtnl.messages import RouteEntry
from bsdcarp.carpd.rtnl.monitor import AddressEvent, Event, Everything, LinkEvent, Monitor, RoutesChanged
from bsdcarp.carpd.rtnl.route import Route

pytestmark = needs_namespaces


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with cable(tmp_path) as made:
        yield made


@pytest.fixture
def monitor(wire: Wire) -> Iterator[Monitor]:
    made = Monitor(wire.route)
    yield made
    made.close()


def news(monitor: Monitor) -> list[Event]:
    """Everything that is told within a moment; netlink itself is synchronous."""
    events: list[Event] = []
    while select.select([monitor], [], [], 0.05)[0]:
        events += monitor.read()
    return events


def test_a_link_is_found_by_name_and_by_index(wire: Wire) -> None:
    link = wire.route.link("eth0")
    assert link is not None
    assert link == wire.route.link(link.index)
    assert (link.name, link.kind, link.arptype, len(link.mac)) == ("eth0", "veth", 1, 6)
    assert link.usable
    assert link in wire.route.links()


@pytest.mark.parametrize("name", ["eth1", "", "a-name-that-is-too-long", "nul\0"])
def test_a_link_that_is_not_there_is_none(wire: Wire, name: str) -> None:
    assert wire.route.link(name) is None
    assert wire.route.link(99999) is None


def test_a_link_that_is_down_or_without_carrier_is_not_usable(wire: Wire) -> None:
    run("ip link set eth0 down")
    link = wire.route.link("eth0")
    assert link is not None
    assert (link.up, link.usable) == (False, False)
    run("ip link set eth0 up")
    wire.far("ip link set far0 down")
    link = wire.route.link("eth0")
    assert link is not None
    assert (link.up, link.carrier) == (True, False)


def test_addresses_of_one_interface_are_read(wire: Wire) -> None:
    index = socket.if_nametoindex("eth0")
    found = {(a.ip, a.prefix) for a in wire.route.addresses(index) if a.scope == 0}
    assert found == {(IPv4Address("192.0.2.10"), 24), (IPv6Address("2001:db8::10"), 64)}
    assert len(wire.route.addresses()) > len(wire.route.addresses(index))


def test_a_batch_performs_everything_and_names_what_failed(wire: Wire) -> None:
    index = socket.if_nametoindex("eth0")
    first, second = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
    with pytest.raises(NetlinkError, match=r"macvlan m0: ") as caught:
        wire.route.batch(
            [
                requests.add_address(first, index),
                requests.add_macvlan("m0", 9999, b"\2" * 6),
                requests.add_address(second, index),
            ]
        )
    assert caught.value.errno == errno.ENODEV
    assert {first, second} <= {a.ip for a in wire.route.addresses(index)}


def test_a_vip_is_marked_deprecated_and_usable_at_once(wire: Wire) -> None:
    index = socket.if_nametoindex("eth0")
    vip = IPv6Address("2001:db8::1")
    wire.route.batch([requests.add_address(vip, index), requests.add_address(IPv4Address("192.0.2.1"), index)])
    found = {a.ip: a for a in wire.route.addresses(index)}
    assert not found[vip].tentative
    assert found[vip].flags & 0x20
    assert {found[vip].protocol, found[IPv4Address("192.0.2.1")].protocol} == {requests.MARK}
    assert (found[vip].prefix, found[IPv4Address("192.0.2.1")].prefix) == (128, 32)


def test_an_error_that_means_already_so_is_none(wire: Wire) -> None:
    index = socket.if_nametoindex("eth0")
    twice = [requests.add_address(IPv4Address("192.0.2.1"), index)] * 2
    assert wire.route.attempt(twice) == (0, 0)
    gone = [requests.delete_address(IPv4Address("192.0.2.1"), index)] * 2
    assert wire.route.attempt(gone) == (0, 0)
    assert wire.route.attempt([requests.delete_link(9999)]) == (0,)


def test_many_requests_are_more_than_one_receive_buffer_and_all_answered(wire: Wire) -> None:
    index = socket.if_nametoindex("eth0")
    many = [requests.add_address(IPv4Address(0xC6336400 + n), index) for n in range(250)]
    assert wire.route.attempt(many) == (0,) * 250
    assert len(wire.route.addresses(index)) >= 250


def test_nothing_to_do_is_done(wire: Wire) -> None:
    wire.route.batch([])
    assert wire.route.attempt([]) == ()


def test_routes_of_one_table_are_read_and_a_limit_ends_it(wire: Wire) -> None:
    run("ip route add default via 192.0.2.99")
    run("ip -6 route add default via 2001:db8::99")
    main = wire.route.routes()
    assert main is not None
    assert {(r.family, r.length) for r in main} >= {(2, 0), (2, 24), (10, 0), (10, 64)}
    assert wire.route.routes(limit=2) is None
    assert wire.route.routes(limit=100) == main
    kernels = wire.route.routes(protocol=2)
    assert kernels is not None
    assert {r.length for r in kernels if r.family == 2} == {24}
    assert wire.route.routes(4711) == ()


def test_rules_are_added_read_and_deleted(wire: Wire) -> None:
    for vip in (IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")):
        wire.route.batch([requests.add_rule(vip, 0x70000101, 11200)] * 2)
        (rule,) = [r for r in wire.route.rules() if r.table == 0x70000101]
        assert (rule.source, rule.priority, rule.protocol) == (vip.packed, 11200, requests.MARK)
        assert wire.route.attempt([requests.delete_rule(rule)] * 2) == (0, 0)
    assert not [r for r in wire.route.rules() if r.protocol == requests.MARK]


def test_a_throw_route_comes_and_goes(wire: Wire) -> None:
    entry = RouteEntry(2, IPv4Address("198.51.100.0").packed, 24, 0x70000101, 0, kind=requests.THROW)
    wire.route.batch([requests.add_route(entry)])
    assert "throw 198.51.100.0/24" in run("ip route show table 1879048449")
    wire.route.batch([requests.delete_route(entry), requests.delete_route(entry)])


class Deaf:
    """A socket on which nothing useful ever comes."""

    def __init__(self, *answers: bytes | OSError, sender: int = 0) -> None:
        self.answers = list(answers)
        self.sender = sender

    def sendto(self, data: bytes, address: Any) -> int:
        return len(data)

    def settimeout(self, seconds: float) -> None: ...

    def close(self) -> None: ...

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.answers:
            raise TimeoutError
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer, (self.sender, 0)


def _deaf(route: Route, sock: Any) -> Route:
    route.close()
    route._socket = sock
    return route


def test_a_kernel_that_does_not_answer_is_an_error_with_a_name() -> None:
    with pytest.raises(NetlinkError, match=r"link 3 down: .*timed out") as caught:
        _deaf(Route(timeout=0.05), Deaf()).attempt([requests.set_link(3, up=False)])
    assert caught.value.errno == errno.ETIMEDOUT
    with pytest.raises(NetlinkError) as caught:
        _deaf(Route(timeout=0), Deaf()).links()
    assert caught.value.errno == errno.ETIMEDOUT


def test_messages_of_other_processes_are_not_believed() -> None:
    lie = codec.encode(codec.NLMSG_DONE, 0, 1, bytes(4))
    with pytest.raises(NetlinkError) as caught:
        _deaf(Route(timeout=0.05), Deaf(lie, sender=4711)).attempt([requests.set_link(3, up=False)])
    assert caught.value.errno == errno.ETIMEDOUT


def test_a_failing_socket_is_an_error_of_netlink() -> None:
    with pytest.raises(NetlinkError) as caught:
        _deaf(Route(), Deaf(OSError(errno.ENOBUFS, "full"))).links()
    assert caught.value.errno == errno.ENOBUFS
    route = Route()
    route.close()
    with pytest.raises(NetlinkError):
        route.links()


def test_a_dump_that_the_kernel_changed_meanwhile_is_taken_again() -> None:
    route = Route(timeout=0.05)
    body = struct.pack("=BxHiII", 0, 1, 7, 1, 0) + codec.attribute(3, b"eth7\0")
    sequence = route._sequence
    torn = codec.encode(16, codec.NLM_F_DUMP_INTR, sequence + 1, body) * 2 + codec.encode(3, 0, sequence + 1, bytes(4))
    stale = codec.encode(16, 0, sequence, body)
    whole = codec.encode(16, 0, sequence + 2, body) + codec.encode(3, 0, sequence + 2, bytes(4))
    assert [link.name for link in _deaf(route, Deaf(torn, stale + whole)).links()] == ["eth7"]


def test_an_older_kernel_without_the_options_is_used_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_module, "SOL_NETLINK", 12345)
    route = Route()
    assert route.link("lo") is not None
    assert route.routes(4711) == ()
    route.close()


def test_everything_is_told_at_the_start(monitor: Monitor) -> None:
    everything = monitor.snapshot()
    assert {"lo", "eth0"} <= {link.name for link in everything.links}
    assert IPv4Address("192.0.2.10") in {a.ip for a in everything.addresses}
    news(monitor)
    assert monitor.read() == ()


def test_link_down_up_rename_and_deletion_are_told(wire: Wire, monitor: Monitor) -> None:
    index = socket.if_nametoindex("eth0")
    run("ip link set eth0 down")
    told = [e for e in news(monitor) if isinstance(e, LinkEvent)]
    assert (told[-1].link.index, told[-1].link.up, told[-1].new) == (index, False, True)
    run("ip link set eth0 name wan0")
    assert [e.link.name for e in news(monitor) if isinstance(e, LinkEvent)][-1] == "wan0"
    run("ip link del wan0")
    told = [e for e in news(monitor) if isinstance(e, LinkEvent)]
    assert (told[-1].link.index, told[-1].new) == (index, False)


def test_the_loss_of_the_carrier_is_told(wire: Wire, monitor: Monitor) -> None:
    wire.far("ip link set far0 down")
    # The kernel collects changes of carriers for up to a second.
    assert select.select([monitor], [], [], 3)[0]
    told = [e.link for e in news(monitor) if isinstance(e, LinkEvent)]
    assert (told[-1].name, told[-1].up, told[-1].usable) == ("eth0", True, False)


def test_addresses_that_come_and_go_are_told(monitor: Monitor) -> None:
    run("ip addr add 192.0.2.1/32 dev eth0")
    run("ip addr del 192.0.2.1/32 dev eth0")
    told = [(e.address.ip, e.new) for e in news(monitor) if isinstance(e, AddressEvent)]
    assert told == [(IPv4Address("192.0.2.1"), True), (IPv4Address("192.0.2.1"), False)]


def test_changes_of_the_main_table_are_told_once_and_those_of_ours_not(wire: Wire, monitor: Monitor) -> None:
    index = socket.if_nametoindex("eth0")
    for n in range(5):
        run(f"ip route add 198.51.{n}.0/24 via 192.0.2.99")
    assert monitor.read().count(RoutesChanged()) == 1
    entry = RouteEntry(2, IPv4Address("198.51.100.0").packed, 24, 0x70000101, index)
    wire.route.batch([requests.add_route(entry), requests.add_rule(IPv4Address("192.0.2.1"), 0x70000101, 11200)])
    assert RoutesChanged() not in news(monitor)


def test_a_rule_of_ours_that_somebody_removed_is_told(wire: Wire, monitor: Monitor) -> None:
    wire.route.batch([requests.add_rule(IPv4Address("192.0.2.1"), 0x70000101, 11200)])
    assert RoutesChanged() not in news(monitor)
    run("ip rule del pref 11200")
    assert RoutesChanged() in news(monitor)


def test_after_lost_news_everything_is_told(wire: Wire, monitor: Monitor) -> None:
    monitor._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    index = socket.if_nametoindex("eth0")
    for n in range(100):
        wire.route.attempt([requests.add_address(IPv4Address(0xC6336400 + n), index)])
    events = monitor.read()
    assert isinstance(events[0], Everything)
    assert RoutesChanged() in events
    assert len([a for a in events[0].addresses if a.index == index]) > 100
    assert not [e for e in news(monitor) if isinstance(e, AddressEvent) and e.address.ip.version == 4]


def test_a_monitor_of_its_own_closes_its_own_route() -> None:
    with fresh_namespace():
        monitor = Monitor()
        assert monitor.fileno() >= 0
        monitor.close()
        with pytest.raises(NetlinkError):
            monitor.snapshot()
        with pytest.raises(NetlinkError):
            monitor.read()


def test_news_from_other_processes_are_not_believed(monitor: Monitor) -> None:
    liar = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    body = struct.pack("=BxHiII", 0, 1, 7, 1, 0) + codec.attribute(3, b"eth7\0")
    news(monitor)
    liar.sendto(codec.encode(16, 0, 0, body), (monitor._socket.getsockname()[0], 0))
    assert not [e for e in news(monitor) if isinstance(e, LinkEvent) and e.link.name == "eth7"]
    liar.close()
