from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_interface
from pathlib import Path

import pytest
from edge_net import Wire, cable, inside, needs_namespaces, run
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp import State, arpbalance, virtual_mac
from bsdcarp.carpd.errors import ParentMissing, PortLost, SendError
from bsdcarp.carpd.presence import Presence, Spec, remove_all
from bsdcarp.carpd.responder import ArpRequest, Responder, choose, kernel_order, parse_request, reply

CLIENT_MAC, ALL = b"\x02\0\0\0\0\x63", b"\xff" * 6
CLIENT, VIP = IPv4Address("192.0.2.99"), IPv4Address("192.0.2.1")
addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
macs = st.binary(min_size=6, max_size=6)


def request_frame(
    destination: bytes = ALL,
    mac: bytes = CLIENT_MAC,
    sender: IPv4Address = CLIENT,
    target: IPv4Address = VIP,
    operation: int = 1,
) -> bytes:
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, mac, sender.packed, bytes(6), target.packed)
    return destination + mac + b"\x08\x06" + arp


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with cable(tmp_path) as made:
        yield made


@pytest.fixture
def responder(wire: Wire) -> Iterator[Responder]:
    made = Responder("eth0")
    yield made
    made.close()


@given(st.binary(max_size=80))
def test_no_bytes_make_the_parser_fail(data: bytes) -> None:
    parse_request(data)
    parse_request(request_frame()[:14] + data)


@given(st.integers(0, 41))
def test_a_request_cut_short_is_none(size: int) -> None:
    assert parse_request(request_frame()[:size]) is None


@given(st.integers(0, 41), st.binary(min_size=1, max_size=1))
def test_a_request_with_a_changed_byte_is_none_or_plausible(at: int, byte: bytes) -> None:
    frame = request_frame()
    found = parse_request(frame[:at] + byte + frame[at + 1 :])
    assert found is None or not found.sender_mac[0] & 1


@given(addresses, addresses, macs.filter(lambda mac: not mac[0] & 1), st.integers(1, 255))
def test_the_reply_answers_the_request(sender: IPv4Address, target: IPv4Address, mac: bytes, vhid: int) -> None:
    found = parse_request(request_frame(mac=mac, sender=sender, target=target) + bytes(18))
    if sender == target:
        assert found is None
        return
    assert found == ArpRequest(mac, sender, target)
    answer = reply(found, vhid)
    assert answer[:14] == mac + virtual_mac(vhid) + b"\x08\x06"
    assert answer[20:] == b"\0\2" + virtual_mac(vhid) + target.packed + mac + sender.packed


@pytest.mark.parametrize(
    "frame",
    [
        request_frame(operation=2),
        request_frame(target=CLIENT),
        request_frame(mac=b"\x03\0\0\0\0\1"),
        request_frame(destination=b"\x02\0\0\0\0\x42"),
    ],
    ids=["reply", "gratuitous", "group address as sender", "to somebody else"],
)
def test_what_a_virtual_host_should_not_answer_is_none(frame: bytes) -> None:
    assert parse_request(frame) is None


def test_a_request_to_the_virtual_mac_itself_is_one() -> None:
    assert parse_request(request_frame(destination=virtual_mac(7))) == ArpRequest(CLIENT_MAC, CLIENT, VIP)


@pytest.mark.parametrize(
    ("configured", "kept"),
    [
        ((1, 2, 3), (1, 2, 3)),
        ((3, 2, 1), (3, 2, 1)),
        ((2, 1, 3), (2, 1, 3)),
        ((2, 3, 1, 4), (2, 3, 1, 4)),
        ((4, 2, 3), (4, 2, 3)),
        ((5, 9, 7), (5, 7, 9)),
        ((1, 3, 2), (1, 2, 3)),
        ((), ()),
    ],
)
def test_the_order_of_vhids_is_the_kernels(configured: tuple[int, ...], kept: tuple[int, ...]) -> None:
    assert kernel_order(configured) == kept


@given(st.lists(st.integers(1, 255), unique=True))
def test_the_order_keeps_every_vhid_and_each_behind_a_smaller_one_or_last(configured: list[int]) -> None:
    assert sorted(kernel_order(configured)) == sorted(configured)
    if configured == sorted(configured):
        assert list(kernel_order(configured)) == configured


@given(st.lists(st.integers(1, 255), min_size=1, max_size=6, unique=True), addresses, st.data())
def test_of_two_hosts_exactly_one_answers_each_client(
    vhids: list[int], client: IPv4Address, data: st.DataObject
) -> None:
    masters = {vhid: data.draw(st.booleans()) for vhid in vhids}
    request = ArpRequest(CLIENT_MAC, client, VIP)

    def answers(mine: bool) -> int | None:
        order = kernel_order(vhids)
        return choose(request, [(v, {VIP}, State.MASTER if masters[v] is mine else State.BACKUP) for v in order])

    given_by = [vhid for vhid in (answers(mine=True), answers(mine=False)) if vhid is not None]
    assert len(given_by) == 1
    assert given_by[0] == kernel_order(vhids)[int(client) % len(vhids)]


def test_vhids_without_the_address_do_not_take_part() -> None:
    request = ArpRequest(CLIENT_MAC, CLIENT, VIP)
    other = IPv4Address("192.0.2.7")
    assert choose(request, [(1, {other}, State.MASTER)]) is None
    assert choose(request, [(1, {other}, State.MASTER), (2, {VIP, other}, State.MASTER)]) == 2
    assert choose(request, [(2, {VIP}, State.BACKUP)]) is None
    assert arpbalance.answer(int(CLIENT), []) is None


def serve(responder: Responder, presences: list[Presence], seconds: float = 5.0) -> list[ArpRequest]:
    """Answer as the daemon would, MASTER of everything, until a request was answered."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([responder], [], [], 0.05)[0]:
            requests = responder.receive()
            for request in requests:
                held = {p.spec.vhid: {IPv4Address(vip.packed) for vip in p.spec.vips} for p in presences}
                vhid = choose(request, [(v, held[v], State.MASTER) for v in kernel_order(held)])
                if vhid is not None:
                    responder.answer(request, vhid)
            if requests:
                return list(requests)
    return []


@needs_namespaces
def test_clients_are_shared_out_between_the_vhids_and_reach_the_address(wire: Wire, responder: Responder) -> None:
    vips = (ip_interface("192.0.2.1/24"),)
    pair = [Presence(Spec(n, "eth0", vips, arpbalance=True), wire.kernel) for n in (1, 2)]
    for each in pair:
        each.prepare()
        each.appear()
    for last in range(100, 104):
        wire.far(f"ip addr add 192.0.2.{last}/24 dev far0")
        wire.far("ip neigh flush dev far0")
        with inside(wire.neighbour), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"192.0.2.{last}", 0))
            sock.sendto(b"x", ("192.0.2.1", 9))
        asked = serve(responder, pair)
        assert asked[0].target == VIP
        expected = 1 if int(asked[0].sender) % 2 == 0 else 2
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and wire.neighbour_of("192.0.2.1") != f"00:00:5e:00:01:0{expected}":
            time.sleep(0.01)
        assert wire.neighbour_of("192.0.2.1") == f"00:00:5e:00:01:0{expected}"
    remove_all(pair)


@needs_namespaces
def test_a_client_that_asks_the_virtual_mac_directly_is_heard(wire: Wire, responder: Responder) -> None:
    with inside(wire.neighbour), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("far0", 0))
        sock.send(request_frame(operation=2))
        sock.send(request_frame(destination=b"\x02\0\0\0\0\x42"))
        sock.send(request_frame(destination=virtual_mac(1)))
    assert select.select([responder], [], [], 1)[0]
    assert responder.receive() == (ArpRequest(CLIENT_MAC, CLIENT, VIP),)


@needs_namespaces
def test_answers_fail_while_the_interface_is_down_and_it_is_lost_with_the_interface(responder: Responder) -> None:
    request = ArpRequest(CLIENT_MAC, CLIENT, VIP)
    run("ip link set eth0 down")
    with pytest.raises(SendError):
        responder.answer(request, 1)
    assert responder.receive() == ()
    run("ip link del eth0")
    with pytest.raises(PortLost):
        responder.receive()
    with pytest.raises(PortLost):
        responder.answer(request, 1)
    with pytest.raises(ParentMissing):
        Responder("eth0")
