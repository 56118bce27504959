"""Two captures of real implementations: every frame is reproduced, and the core takes the kernel's place in one."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from bsdcarp.carp import Advertisement, Family, Node, SendAdvert, SendGratuitousArp, Settings, State, Vhid, personality
from bsdcarp.carp.digest import Key
from bsdcarp.carp.frames import Frame, frame_v4, frame_v6, gratuitous_arp, parse_frame, virtual_mac
from bsdcarp.carp.packet import BadPacket, decode, encode

DATA = Path(__file__).parent / "data"
KERNEL, UCARP = IPv4Address("10.9.0.11"), IPv4Address("10.9.0.21")
KERNEL_V6 = IPv6Address("2001:db8:9::11")
FIRST, SECOND, SIXTH = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.5"), IPv6Address("2001:db8:9::1")
PHYSICAL = bytes.fromhex("52540013020a")
SENT = (SendAdvert, SendGratuitousArp)


def read_pcap(path: Path) -> list[tuple[float, bytes]]:
    """The frames of a little-endian pcap file of Ethernet, with their times in seconds."""
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert (magic, link) == (0xA1B2C3D4, 1)
    frames, offset = [], 24
    while offset < len(data):
        seconds, micros, length, original = struct.unpack_from("<IIII", data, offset)
        assert length == original
        frames.append((seconds + micros / 1e6, data[offset + 16 : offset + 16 + length]))
        offset += 16 + length
    return frames


def adverts(path: Path) -> list[tuple[float, bytes, Frame]]:
    found = []
    for when, raw in read_pcap(path):
        try:
            found.append((when, raw, parse_frame(raw)))
        except BadPacket:
            continue
    return found


def rebuild(raw: bytes, frame: Frame) -> bytes:
    """The same frame, made from its parts, with fresh checksums."""
    payload = encode(decode(frame.payload))
    tos = frame.traffic_class
    if isinstance(frame.source, IPv4Address):
        identification = int.from_bytes(raw[18:20], "big")
        return frame_v4(payload, frame.source, frame.source_mac, tos=tos, identification=identification)
    return frame_v6(payload, frame.source, frame.source_mac, traffic_class=tos)


def test_all_28_ucarp_adverts_are_reproduced() -> None:
    key = Key(b"love", 42, [IPv4Address("192.0.2.100")], [])
    found = adverts(DATA / "ucarp-advert.pcap")
    for _, raw, frame in found:
        advert = decode(frame.payload)
        assert key.verify(advert.counter, advert.digest)
        assert rebuild(raw, frame) == raw
        assert (frame.ttl, frame.traffic_class, str(frame.destination)) == (255, 0x10, "224.0.0.18")
    assert len(found) == 28
    assert f"{decode(found[0][2].payload).counter:016x}" == "7cd09e32427f3538"


def test_all_34_adverts_of_the_freebsd_capture_are_reproduced_with_growing_address_lists() -> None:
    lists: list[tuple[list[IPv4Address], list[IPv6Address]]] = [
        ([FIRST], []),
        ([FIRST, SECOND], []),
        ([FIRST, SECOND], [SIXTH]),
    ]
    keys = [Key(b"mixpass", 1, *addresses) for addresses in lists]
    counts = {"ucarp": 0, "kernel with one": 0, "kernel with two": 0, "kernel mixed, IPv4": 0, "kernel mixed, IPv6": 0}
    names = ["kernel with one", "kernel with two", "kernel mixed, IPv4"]
    for _, raw, frame in adverts(DATA / "freebsd-12.1-advert.pcap"):
        advert = decode(frame.payload)
        accepted = [n for n, key in enumerate(keys) if key.verify(advert.counter, advert.digest)]
        assert len(accepted) == 1
        assert rebuild(raw, frame) == raw
        if frame.source == UCARP:
            assert accepted == [0]
            counts["ucarp"] += 1
        elif frame.source == KERNEL_V6:
            assert accepted == [2]
            counts["kernel mixed, IPv6"] += 1
        else:
            counts[names[accepted[0]]] += 1
    assert counts == {
        "ucarp": 15,
        "kernel with one": 7,
        "kernel with two": 6,
        "kernel mixed, IPv4": 3,
        "kernel mixed, IPv6": 3,
    }


def test_the_kernels_gratuitous_arp_is_reproduced() -> None:
    wanted = [
        raw
        for _, raw in read_pcap(DATA / "freebsd-12.1-advert.pcap")
        if raw[12:14] == b"\x08\x06" and raw[6:12] == PHYSICAL
    ]
    built = {gratuitous_arp(address, virtual_mac(1), source_mac=PHYSICAL) for address in (FIRST, SECOND)}
    assert len(wanted) == 6
    assert set(wanted) == built


def replay() -> list[tuple[float, Frame, bytes]]:
    """Put the core where the kernel was: it hears ucarp's adverts at their times and gets the same two addresses added.

    Return (time, recorded frame, payload made by the core) for each kernel advert after the first one from ucarp,
    because until then counters are random.
    """
    recorded = adverts(DATA / "freebsd-12.1-advert.pcap")
    first_heard = next(when for when, _, frame in recorded if frame.source == UCARP)
    wanted = [(when, frame) for when, _, frame in recorded if frame.source != UCARP and when > first_heard]
    node = Node(personality("freebsd", 12, 1), Settings(), draw=random.Random(1).getrandbits)
    machine = node.add(Vhid(1, advskew=50, key=b"mixpass", v4=(FIRST,)), "vtnet1")
    start = recorded[0][0] - 3.2
    # The additions are not in the capture; each took effect one master-down time before the next kernel advert.
    events: list[tuple[float, str, bytes]] = [
        (start, "up", b""),
        (1795352828.441, "second address", b""),
        (1795352838.041, "IPv6 address", b""),
    ]
    events += [(when, "hear", frame.payload) for when, _, frame in recorded if frame.source == UCARP]
    sent: list[tuple[float, SendAdvert]] = []
    end = recorded[-1][0] + 0.1
    for when, what, payload in [*sorted(events), (end, "end", b"")]:
        while (due := node.deadline()) is not None and due <= when:
            sent += [(due, a) for a in node.on_timer(due) if isinstance(a, SendAdvert)]
        if what == "up":
            machine.up(when)
        elif what == "second address":
            machine.address_changed(when, v4=(FIRST, SECOND))
        elif what == "IPv6 address":
            machine.address_changed(when, v6=(SIXTH,))
        elif what == "hear":
            machine.receive(payload, Family.IPV4, when)
    core = [(when, advert) for when, advert in sent if when > first_heard]
    assert len(core) == len(wanted)
    for (made, advert), (seen, frame) in zip(core, wanted, strict=True):
        # The recorded machine was a virtual one whose timers came late, by up to 0.05 s each.
        assert made == pytest.approx(seen, abs=0.5)
        assert advert.destination == frame.destination
    assert node.statistics.carps_badauth == sum(1 for w, _, f in recorded if f.source == UCARP and w > 1795352830)
    return [(when, frame, advert.payload) for (_, advert), (when, frame) in zip(core, wanted, strict=True)]


def test_the_core_in_the_kernels_place_sends_the_kernels_bytes() -> None:
    replayed = replay()
    assert len(replayed) == 16
    for _, frame, payload in replayed:
        assert payload == frame.payload


def test_the_core_announces_what_the_kernel_announced() -> None:
    node = Node(personality("freebsd", 12, 1), draw=random.Random(1).getrandbits)
    machine = node.add(Vhid(1, advskew=50, key=b"mixpass", v4=(FIRST, SECOND), v6=(SIXTH,)), "vtnet1")
    machine.up(0.0)
    actions = machine.on_timer(3.2)
    assert machine.state is State.MASTER
    frames = [a.frame(KERNEL if a.family is Family.IPV4 else KERNEL_V6) for a in actions if isinstance(a, SendAdvert)]
    assert [parse_frame(f).destination for f in frames] == [ip_address("224.0.0.18"), ip_address("ff02::12")]
    assert [a.address for a in actions if isinstance(a, SendGratuitousArp)] == [FIRST, SECOND]


def built(config: Vhid, raw: bytes, source: IPv4Address | IPv6Address, mac: bytes, tos: int) -> bytes:
    """The frame from what its sender was configured with.  Only counter and IP id are taken from the capture."""
    start = 54 if source.version == 6 else 34
    counter = int.from_bytes(raw[start + 8 : start + 16], "big")
    key = Key(config.key, config.vhid, config.v4, config.v6)
    payload = encode(Advertisement(config.vhid, config.advskew, config.advbase, counter, key.digest(counter)))
    if isinstance(source, IPv6Address):
        return frame_v6(payload, source, mac, traffic_class=tos)
    return frame_v4(payload, source, mac, tos=tos, identification=int.from_bytes(raw[18:20], "big"))


def ucarp_mac(vhid: int) -> bytes:
    return bytes((0, 0, 0x5E, 0, 0, vhid))


def test_every_ucarp_frame_is_built_from_its_configuration_byte_by_byte() -> None:
    config = Vhid(42, key=b"love", v4=(IPv4Address("192.0.2.100"),))
    found = adverts(DATA / "ucarp-advert.pcap")
    sources = [IPv4Address("192.0.2.1")] * 16 + [IPv4Address("192.0.2.2")] * 12
    assert [built(config, raw, s, ucarp_mac(42), 0x10) for (_, raw, _), s in zip(found, sources, strict=True)] == [
        raw for _, raw, _ in found
    ]


def test_every_frame_of_the_freebsd_capture_is_built_from_the_configuration_of_its_time() -> None:
    peer = Vhid(1, key=b"mixpass", v4=(FIRST,))
    one = Vhid(1, advskew=50, key=b"mixpass", v4=(FIRST,))
    two, mixed = replace(one, v4=(FIRST, SECOND)), replace(one, v4=(SECOND, FIRST), v6=(SIXTH,))
    from_kernel = 0
    for _, raw, frame in adverts(DATA / "freebsd-12.1-advert.pcap"):
        if frame.source == UCARP:
            assert built(peer, raw, UCARP, ucarp_mac(1), 0x10) == raw
            continue
        config = one if from_kernel < 7 else two if from_kernel < 13 else mixed
        source = KERNEL_V6 if raw[12:14] == b"\x86\xdd" else KERNEL
        assert built(config, raw, source, virtual_mac(1), 0xE0) == raw
        from_kernel += 1
    assert from_kernel == 19


def test_ucarps_gratuitous_arp_differs_in_the_target_mac_only() -> None:
    macs = bytes.fromhex("020000000a01"), bytes.fromhex("020000000b02")
    vip = IPv4Address("192.0.2.100")
    plain = [gratuitous_arp(vip, mac) for mac in macs for _ in range(2)]
    recorded = [raw for _, raw in read_pcap(DATA / "ucarp-advert.pcap") if raw[12:14] == b"\x08\x06"]
    assert recorded == [arp[:32] + arp[22:28] + arp[38:] for arp in plain]


def test_the_core_in_the_second_ucarps_place_sends_its_bytes() -> None:
    """It hears the first one from t+9.5 s on, takes over when that falls silent, and counts on from its counter."""
    found = adverts(DATA / "ucarp-advert.pcap")
    begun = found[0][0]
    node = Node(personality("freebsd", 9, 3), draw=random.Random(1).getrandbits)
    machine = node.add(Vhid(42, key=b"love", v4=(IPv4Address("192.0.2.100"),)), "eth0", "carp0")
    machine.up(begun + 9.5)
    for when, _, frame in found[:16]:
        if when > begun + 9.5:
            machine.receive(frame.payload, Family.IPV4, when)
    sent: list[tuple[float, bytes]] = []
    while len(sent) < 12:
        due = node.deadline()
        assert due is not None
        sent += [(due, action.payload) for action in node.on_timer(due) if isinstance(action, SendAdvert)]
    assert [payload for _, payload in sent] == [frame.payload for _, _, frame in found[16:]]
    assert [when for when, _ in sent] == pytest.approx([when for when, _, _ in found[16:]], abs=0.1)


def test_the_linux_personality_announces_when_ucarp_did() -> None:
    """Both at the take-over and two adverts later."""
    kinds = ["arp" if raw[12:14] == b"\x08\x06" else "advert" for _, raw in read_pcap(DATA / "ucarp-advert.pcap")]
    second = kinds[18:]
    node = Node(personality("linux"), draw=random.Random(1).getrandbits)
    machine = node.add(Vhid(42, key=b"love", v4=(IPv4Address("192.0.2.100"),)), "eth0")
    machine.up(0.0)
    actions = [action for at in (3.0, 4.0, 5.0, 6.0) for action in machine.on_timer(at)]
    ours = ["arp" if isinstance(a, SendGratuitousArp) else "advert" for a in actions if isinstance(a, SENT)]
    assert sorted(second[:2]) == sorted(ours[:2]) == ["advert", "arp"]
    assert second[2:6] == ours[2:6] == ["advert", "advert", "arp", "advert"]
