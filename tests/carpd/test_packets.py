from __future__ import annotations

import errno
import select
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from edge_net import Wire, cable, inside, kernel_makes, needs_namespaces, run, settle_links, sysctl
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp import Advertisement, Family, SendAdvert, encode, virtual_mac
from bsdcarp.carp.frames import frame_v4, frame_v6
from bsdcarp.carpd import packets, sockets
from bsdcarp.carpd.errors import ParentMissing, PortLost, SendError
from bsdcarp.carpd.filters import CARP
from bsdcarp.carpd.packets import Arrival, Port, Sources, choose_sources
from bsdcarp.carpd.rtnl.messages import Address

PAYLOAD = bytes(range(36))
ALIEN = b"\x02\x00\x00\x00\x00\x63"
HOST4, FAR4 = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.99")
FAR6, LOCAL6 = IPv6Address("2001:db8::99"), IPv6Address("fe80::63")
FRAME4 = frame_v4(PAYLOAD, FAR4, ALIEN)
FRAME6 = frame_v6(PAYLOAD, LOCAL6, ALIEN)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with cable(tmp_path) as made:
        yield made


@pytest.fixture
def port(wire: Wire) -> Iterator[Port]:
    made = Port("eth0")
    yield made
    made.close()


def throw(wire: Wire, *frames: bytes) -> None:
    """Let the neighbour put frames on the segment."""
    with inside(wire.neighbour), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("far0", 0))
        for frame in frames:
            sock.send(frame)


def got(port: Port, wanted: int = 1, seconds: float = 2.0) -> list[Arrival]:
    arrivals: list[Arrival] = []
    deadline = time.monotonic() + seconds
    while len(arrivals) < wanted and time.monotonic() < deadline:
        if select.select([port], [], [], max(0.0, deadline - time.monotonic()))[0]:
            arrivals += port.receive()
    return arrivals


def nothing(port: Port) -> bool:
    """Whether none of what was sent before this marker arrives."""
    return not select.select([port], [], [], 0.05)[0] or port.receive() == ()


def advert(family: Family, destination: IPv4Address | IPv6Address, vhid: int = 1) -> SendAdvert:
    advertisement = Advertisement(vhid=vhid, advbase=1, advskew=0, counter=1, digest=bytes(20))
    return SendAdvert(vhid, "eth0", family, advertisement, encode(advertisement), destination, 0xE0)


@needs_namespaces
def test_adverts_of_both_families_arrive_with_all_that_the_core_asks_for(wire: Wire, port: Port) -> None:
    throw(wire, FRAME4, FRAME6)
    first, second = got(port, 2)
    assert first == Arrival(PAYLOAD, Family.IPV4, 255, FAR4, IPv4Address("224.0.0.18"), ALIEN)
    assert second == Arrival(PAYLOAD, Family.IPV6, 255, LOCAL6, IPv6Address("ff02::12"), ALIEN)
    assert port.receive() == ()


@needs_namespaces
def test_a_lowered_ttl_is_passed_on(wire: Wire, port: Port) -> None:
    throw(wire, frame_v4(PAYLOAD, FAR4, ALIEN, ttl=254), frame_v6(PAYLOAD, FAR6, ALIEN, hop_limit=1))
    assert [a.ttl for a in got(port, 2)] == [254, 1]


@needs_namespaces
def test_adverts_arrive_while_a_macvlan_with_the_same_mac_is_up(wire: Wire, port: Port) -> None:
    run("ip link add link eth0 name m0 address 00:00:5e:00:01:01 type macvlan mode private")
    run("ip link set m0 up")
    ours = virtual_mac(1)
    throw(wire, frame_v4(PAYLOAD, FAR4, ours), frame_v6(PAYLOAD, LOCAL6, ours))
    assert [a.source_mac for a in got(port, 2)] == [ours, ours]


def tagged(frame: bytes, vlan: int) -> bytes:
    return frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:]


@needs_namespaces
def test_frames_of_a_vlan_are_not_the_parents_but_priority_tagged_ones_are(wire: Wire, port: Port) -> None:
    throw(wire, tagged(FRAME4, 5), tagged(FRAME6, 0x6005), tagged(FRAME4, 0xE000), FRAME6)
    assert [a.family for a in got(port, 2)] == [Family.IPV4, Family.IPV6]
    assert nothing(port)


@needs_namespaces
def test_other_protocols_and_frames_to_others_do_not_wake_the_daemon(wire: Wire, port: Port) -> None:
    udp = FRAME4[:23] + b"\x11" + FRAME4[24:]
    other_next_header = FRAME6[:20] + b"\x3a" + FRAME6[21:]
    to_another = b"\x02\x00\x00\x00\x00\x77" + FRAME4[6:]
    arp = FRAME4[:12] + b"\x08\x06" + FRAME4[14:]
    throw(wire, udp, other_next_header, to_another, arp)
    assert nothing(port)


@needs_namespaces
def test_what_this_host_sends_does_not_come_back(port: Port) -> None:
    port.send(frame_v4(PAYLOAD, HOST4, virtual_mac(1)))
    assert nothing(port)


@needs_namespaces
def test_damaged_adverts_are_counted_and_the_next_one_is_read(wire: Wire, port: Port) -> None:
    broken = bytearray(FRAME4)
    broken[24] ^= 0xFF
    throw(wire, bytes(broken), FRAME4)
    assert len(got(port)) == 1
    assert port.damaged == 1


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=80).map(lambda tail: FRAME4[:14] + tail),
        st.binary(max_size=80).map(lambda tail: FRAME6[:21] + tail),
    )
)
def test_no_frame_makes_the_port_fail(frame: bytes) -> None:
    port = Port.__new__(Port)
    port.damaged = 0
    arrival = port._open(frame)
    assert (arrival is None) == (port.damaged == 1)


@needs_namespaces
def test_the_groups_are_joined_on_the_parent_and_left_at_the_end(wire: Wire) -> None:
    port = Port("eth0")
    joined = run("ip maddr show dev eth0")
    assert {"224.0.0.18", "ff02::12", "01:00:5e:00:00:12", "33:33:00:00:00:12"} <= set(joined.split())
    port.close()
    assert "224.0.0.18" not in run("ip maddr show dev eth0")


@needs_namespaces
def test_an_interface_without_ipv6_still_has_a_port(wire: Wire) -> None:
    sysctl("net/ipv6/conf/eth0/disable_ipv6", "1")
    port = Port("eth0")
    throw(wire, FRAME4)
    assert len(got(port)) == 1
    port.close()


@needs_namespaces
def test_a_multicast_advert_leaves_from_the_virtual_mac(wire: Wire, port: Port) -> None:
    port.sources = Sources(HOST4, IPv6Address("2001:db8::10"))
    sniffer = wire.sniff()
    for family, group in ((Family.IPV4, IPv4Address("224.0.0.18")), (Family.IPV6, IPv6Address("ff02::12"))):
        action = advert(family, group, vhid=7)
        port.send_advert(action, virtual_mac(7))
        (frame,) = sniffer.frames(source=virtual_mac(7))
        assert frame == action.frame(port.sources.v4 if family is Family.IPV4 else port.sources.v6)
    sniffer.close()


@needs_namespaces
@pytest.mark.parametrize("peer", [FAR4, FAR6])
def test_a_unicast_advert_finds_its_neighbour_and_arrives_untouched(
    wire: Wire, port: Port, peer: IPv4Address | IPv6Address
) -> None:
    family = Family.IPV4 if peer.version == 4 else Family.IPV6
    port.sources = Sources(HOST4, IPv6Address("2001:db8::10"))
    with inside(wire.neighbour):
        other = Port("far0")
    action = advert(family, peer)
    port.send_advert(action, virtual_mac(1))
    (arrival,) = got(other)
    assert (arrival.payload, arrival.ttl, arrival.destination) == (action.payload, 255, peer)
    assert arrival.source == (HOST4 if peer.version == 4 else IPv6Address("2001:db8::10"))
    assert arrival.source_mac == port.mac
    other.close()


@needs_namespaces
def test_a_unicast_advert_to_a_link_local_peer_stays_on_the_interface(wire: Wire, port: Port) -> None:
    with inside(wire.neighbour):
        other = Port("far0")
    peer = IPv6Address(
        next(w for w in wire.far("ip -6 addr show dev far0 scope link").split() if w.startswith("fe80")).split("/")[0]
    )
    port.send_advert(advert(Family.IPV6, peer), virtual_mac(1))
    (arrival,) = got(other)
    assert arrival.source.is_link_local
    other.close()


@needs_namespaces
def test_unicast_adverts_are_not_answered_with_protocol_unreachable(wire: Wire, port: Port) -> None:
    frame = frame_v4(PAYLOAD, FAR4, ALIEN, destination=HOST4, destination_mac=port.mac)
    with inside(wire.neighbour), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
        icmp.settimeout(0.1)
        throw(wire, frame)
        assert len(got(port)) == 1
        with pytest.raises(TimeoutError):
            icmp.recv(100)
        port.close()
        icmp.settimeout(2)
        throw(wire, frame)
        assert icmp.recv(100)[20:22] == b"\x03\x02"


@needs_namespaces
def test_arp_and_neighbour_advertisements_teach_the_neighbour_the_virtual_mac(wire: Wire, port: Port) -> None:
    vip4, vip6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
    for vip in (vip4, vip6):
        wire.far(f"ip neigh replace {vip} lladdr 02:00:00:00:00:77 dev far0 nud stale")
    port.send_arp(vip4, virtual_mac(9))
    port.send_na(vip6, virtual_mac(9))
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and wire.neighbour_of("2001:db8::1") != "00:00:5e:00:01:09":
        time.sleep(0.01)
    assert wire.neighbour_of("192.0.2.1") == wire.neighbour_of("2001:db8::1") == "00:00:5e:00:01:09"


@needs_namespaces
@pytest.mark.parametrize("peer", ["224.0.0.18", "192.0.2.99", "ff02::12", "2001:db8::99"])
def test_sending_while_the_interface_is_down_is_an_error_and_passes(wire: Wire, port: Port, peer: str) -> None:
    destination = IPv4Address(peer) if "." in peer else IPv6Address(peer)
    action = advert(Family(destination.version), destination)
    run("ip link set eth0 down")
    with pytest.raises(SendError, match="eth0: cannot send: ") as caught:
        port.send_advert(action, virtual_mac(1))
    assert caught.value.errno in (errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EINVAL)
    assert port.receive() == ()
    run("ip link set eth0 up")
    settle_links("eth0")
    throw(wire, FRAME4)
    assert len(got(port)) == 1


@needs_namespaces
def test_an_interface_that_is_down_has_a_port(wire: Wire) -> None:
    run("ip link set eth0 down")
    port = Port("eth0")
    run("ip link set eth0 up")
    settle_links("eth0")
    throw(wire, FRAME6)
    assert len(got(port)) == 1
    port.close()


@needs_namespaces
def test_a_deleted_interface_is_told_by_receive(port: Port) -> None:
    run("ip link del eth0")
    assert select.select([port], [], [], 1)[0]
    with pytest.raises(PortLost, match="eth0: the interface went away"):
        port.receive()
    assert port.fileno() == -1
    with pytest.raises(PortLost):
        port.receive()


@needs_namespaces
@pytest.mark.parametrize("peer", ["224.0.0.18", "192.0.2.99", "2001:db8::99"])
def test_a_deleted_interface_is_told_by_send(port: Port, peer: str) -> None:
    destination = IPv4Address(peer) if "." in peer else IPv6Address(peer)
    run("ip link del eth0")
    with pytest.raises(PortLost):
        port.send_advert(advert(Family(destination.version), destination), virtual_mac(1))
    with pytest.raises(PortLost):
        port.send(FRAME4)


@needs_namespaces
def test_a_renamed_interface_keeps_its_port(wire: Wire, port: Port) -> None:
    run("ip link set eth0 down")
    run("ip link set eth0 name wan0")
    run("ip link set wan0 up")
    settle_links("wan0")
    port.receive()
    throw(wire, FRAME4)
    assert len(got(port)) == 1


@needs_namespaces
@pytest.mark.parametrize("name", ["eth7", "", "a-name-that-is-too-long", "nul\0"])
def test_an_interface_that_is_not_there_is_missing(wire: Wire, name: str) -> None:
    with pytest.raises(ParentMissing):
        Port(name)


@needs_namespaces
def test_an_interface_that_goes_between_two_looks_is_missing(wire: Wire) -> None:
    with pytest.raises(ParentMissing):
        sockets.open_packet_socket("eth7", CARP)


@needs_namespaces
def test_what_fails_while_a_port_is_made_leaves_no_socket(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no")

    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(packets, "open_raw_socket", refuse)
    with pytest.raises(PermissionError):
        Port("eth0")
    monkeypatch.setattr(sockets, "_attach", refuse)
    with pytest.raises(PermissionError):
        Port("eth0")
    with pytest.raises(PermissionError):
        sockets.open_raw_socket("eth0", socket.AF_INET)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@needs_namespaces
def test_a_host_without_a_family_cannot_send_to_its_peers(port: Port) -> None:
    assert sockets.open_raw_socket("eth0", 9999) is None
    port._raw.pop(socket.AF_INET6).close()
    with pytest.raises(SendError) as caught:
        port.send_advert(advert(Family.IPV6, FAR6), virtual_mac(1))
    assert caught.value.errno == errno.EAFNOSUPPORT


def _prepare_parent(wire: Wire, kind: str) -> str:
    """Make the kind of parent on both ends; its name on the host.  The neighbour's end is the same name."""
    for here in (wire.host, wire.neighbour):
        with inside(here):
            name = "eth0" if here == wire.host else "far0"
            if kind == "vlan":
                run(f"ip link add link {name} name up0 type vlan id 5")
            else:
                run(f"ip link add up0 type {kind}")
                run(f"ip link set {name} down")
                run(f"ip link set {name} master up0")
                run(f"ip link set {name} up")
            run("ip link set up0 up")
    with inside(wire.neighbour):
        settle_links("up0")
    settle_links("up0")
    return "up0"


@needs_namespaces
@pytest.mark.parametrize("kind", ["vlan", "bridge", "bond"])
def test_vlan_bridge_and_bond_have_ports(wire: Wire, kind: str) -> None:
    if not kernel_makes(kind):
        pytest.skip(f"this kernel has no {kind} interfaces")
    name = _prepare_parent(wire, kind)
    ours = Port(name)
    with inside(wire.neighbour):
        theirs = Port(name)
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        sender.send(frame_v4(PAYLOAD, FAR4, virtual_mac(1)))
        sender.send(frame_v6(PAYLOAD, LOCAL6, virtual_mac(1)))
        assert [a.payload for a in got(receiver, 2)] == [PAYLOAD, PAYLOAD]
    if kind == "vlan":
        trunk = Port("eth0")
        theirs.send(FRAME4)
        assert len(got(ours)) == 1
        assert nothing(trunk)
        trunk.close()
    ours.close()
    theirs.close()


def _address(text: str, *, flags: int = 0, protocol: int = 0) -> Address:
    ip = IPv6Address(text) if ":" in text else IPv4Address(text)
    return Address(2, ip, 64, flags=flags, protocol=protocol)


def test_the_first_own_address_and_the_link_local_one_are_sources() -> None:
    held = [_address(t) for t in ("192.0.2.1", "192.0.2.10", "192.0.2.11", "2001:db8::10", "fe80::10")]
    assert choose_sources(held, {IPv4Address("192.0.2.1")}) == Sources(
        IPv4Address("192.0.2.10"), IPv6Address("fe80::10")
    )


def test_vips_marked_and_tentative_addresses_are_no_sources() -> None:
    held = [
        _address("192.0.2.1", protocol=112),
        _address("fe80::1", flags=0x40),
        _address("fe80::2", flags=0x08),
        _address("fe80::3"),
        _address("2001:db8::10"),
    ]
    assert choose_sources(held, {IPv6Address("fe80::3")}) == Sources(IPv4Address(0), IPv6Address("2001:db8::10"))
    assert choose_sources([], ()) == Sources(IPv4Address("0.0.0.0"), IPv6Address("::"))


@needs_namespaces
def test_without_any_address_adverts_leave_from_the_unspecified_one(wire: Wire, port: Port) -> None:
    sniffer = wire.sniff()
    port.send_advert(advert(Family.IPV4, IPv4Address("224.0.0.18")), virtual_mac(1))
    (frame,) = sniffer.frames(source=virtual_mac(1))
    assert frame[26:30] == bytes(4)
    sniffer.close()
