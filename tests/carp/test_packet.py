"""The codec and the frames on good, damaged and hostile bytes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from carp_segment import UNHURRIED
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp.frames import (
    frame_v4,
    frame_v6,
    gratuitous_arp,
    multicast_mac,
    parse_frame,
    unsolicited_na,
    virtual_mac,
)
from bsdcarp.carp.packet import LENGTH, Advertisement, BadPacket, Reason, checksum, decode, encode

byte = st.integers(0, 255)
advertisements = st.builds(
    Advertisement,
    vhid=byte,
    advskew=byte,
    advbase=byte,
    counter=st.integers(0, 2**64 - 1),
    digest=st.binary(min_size=20, max_size=20),
    demotion_pad=byte,
    kind=st.integers(0, 15),
    authlen=byte,
)
SAMPLE = encode(Advertisement(1, 0, 1, 5, bytes(range(20))))
V4, V6, MAC = IPv4Address("192.0.2.1"), IPv6Address("fe80::1"), virtual_mac(1)


def reason_of(payload: bytes) -> Reason:
    with pytest.raises(BadPacket) as caught:
        decode(payload)
    return caught.value.reason


@UNHURRIED
@given(advertisements)
def test_what_is_encoded_is_decoded(advert: Advertisement) -> None:
    payload = encode(advert)
    assert len(payload) == LENGTH
    assert decode(payload) == advert
    assert checksum(payload) == 0


@UNHURRIED
@given(advertisements, st.binary(max_size=64))
def test_bytes_after_the_header_are_ignored(advert: Advertisement, padding: bytes) -> None:
    assert decode(encode(advert) + padding) == advert


def outcome(payload: bytes) -> Reason | Advertisement:
    try:
        return decode(payload)
    except BadPacket as bad:
        return bad.reason


@UNHURRIED
@given(st.binary(max_size=80))
def test_any_bytes_decode_or_raise_bad_packet(data: bytes) -> None:
    result = outcome(data)
    if isinstance(result, Advertisement):
        assert decode(encode(result)) == result
    else:
        assert result in {Reason.TOO_SHORT, Reason.BAD_CHECKSUM, Reason.BAD_VERSION}


def test_a_bad_packet_says_what_was_wrong() -> None:
    assert str(BadPacket(Reason.BAD_CHECKSUM)) == "bad checksum"
    assert str(BadPacket(Reason.NOT_CARP, "IP protocol 6")) == "IP protocol 6"


@UNHURRIED
@given(st.integers(0, LENGTH * 8 - 1))
def test_one_flipped_bit_is_noticed(bit: int) -> None:
    damaged = bytearray(SAMPLE)
    damaged[bit // 8] ^= 1 << bit % 8
    assert reason_of(bytes(damaged)) is Reason.BAD_CHECKSUM


@UNHURRIED
@given(st.integers(0, LENGTH - 1))
def test_a_packet_cut_short_is_too_short(length: int) -> None:
    assert reason_of(SAMPLE[:length]) is Reason.TOO_SHORT


def test_another_version_is_refused_even_with_a_good_checksum() -> None:
    raw = bytearray(SAMPLE)
    raw[0] = 0x31
    raw[6:8] = b"\0\0"
    raw[6:8] = checksum(bytes(raw)).to_bytes(2, "big")
    assert reason_of(bytes(raw)) is Reason.BAD_VERSION


@pytest.mark.parametrize("field", [{"vhid": 256}, {"advskew": -1}, {"counter": 2**64}, {"digest": b"short"}])
def test_a_field_that_does_not_fit_is_a_value_error(field: dict[str, object]) -> None:
    good: dict[str, object] = {"vhid": 1, "advskew": 0, "advbase": 1, "counter": 1, "digest": bytes(20)}
    with pytest.raises(ValueError, match=r"digest|out of range"):
        encode(Advertisement(**{**good, **field}))  # type: ignore[arg-type]  # wrong values are the point


@UNHURRIED
@given(st.binary(max_size=101))
def test_the_checksum_of_data_with_its_checksum_is_zero(data: bytes) -> None:
    padded = data + b"\0" if len(data) % 2 else data
    assert checksum(padded + checksum(data).to_bytes(2, "big")) == 0


@UNHURRIED
@given(st.binary(max_size=120))
def test_any_frame_is_parsed_or_raises_bad_packet(data: bytes) -> None:
    for frame in (data, bytes(12) + b"\x08\x00" + data, bytes(12) + b"\x86\xdd" + data):
        with pytest.raises(BadPacket):
            parse_frame(frame)


@UNHURRIED
@given(advertisements, st.integers(0, 255), st.binary(max_size=20))
def test_frames_carry_their_payload_and_ttl_and_lose_padding(advert: Advertisement, ttl: int, padding: bytes) -> None:
    payload = encode(advert)
    four = parse_frame(frame_v4(payload, V4, MAC, ttl=ttl) + padding)
    six = parse_frame(frame_v6(payload, V6, MAC, hop_limit=ttl) + padding)
    assert (four.payload, four.ttl, four.source) == (payload, ttl, V4)
    assert (six.payload, six.ttl, six.source) == (payload, ttl, V6)


@UNHURRIED
@given(st.integers(14, 69), st.integers(1, 255))
def test_a_damaged_frame_never_gives_another_advert(position: int, change: int) -> None:
    frame = bytearray(frame_v4(SAMPLE, V4, MAC))
    frame[position] ^= change
    if position < 34:
        with pytest.raises(BadPacket):
            parse_frame(bytes(frame))
    else:
        assert reason_of(parse_frame(bytes(frame)).payload) is Reason.BAD_CHECKSUM


def with_header(**changes: int) -> bytes:
    """A frame whose IPv4 header is changed and its checksum made right again."""
    frame = bytearray(frame_v4(SAMPLE, V4, MAC))
    for name, value in changes.items():
        frame[int(name[1:])] = value
    frame[24:26] = b"\0\0"
    frame[24:26] = checksum(bytes(frame[14:34])).to_bytes(2, "big")
    return bytes(frame)


@pytest.mark.parametrize(
    "frame",
    [
        with_header(b23=6),  # TCP
        with_header(b20=0x20),  # more fragments
        with_header(b21=0x01),  # an offset
        with_header(b16=0x02),  # longer than the frame
        with_header(b14=0x44),  # a header of 16 bytes
        with_header(b14=0x65),  # version 6 in an IPv4 frame
        bytes(12) + b"\x08\x06" + bytes(28),
        frame_v6(SAMPLE, V6, MAC)[:-1],
        gratuitous_arp(V4, MAC),
        unsolicited_na(V6, MAC, V6),
    ],
)
def test_other_frames_are_not_carp(frame: bytes) -> None:
    with pytest.raises(BadPacket) as caught:
        parse_frame(frame)
    assert caught.value.reason is Reason.NOT_CARP


def test_ip_options_are_skipped() -> None:
    frame = bytearray(frame_v4(SAMPLE, V4, MAC))
    frame[14], frame[16:18] = 0x46, (24 + LENGTH).to_bytes(2, "big")
    frame[34:34] = b"\x94\x04\x00\x00"  # router alert
    frame[24:26] = b"\0\0"
    frame[24:26] = checksum(bytes(frame[14:38])).to_bytes(2, "big")
    assert parse_frame(bytes(frame)).payload == SAMPLE


def test_a_unicast_frame_needs_and_uses_the_peers_mac() -> None:
    peer4, peer6, peer_mac = IPv4Address("192.0.2.2"), IPv6Address("2001:db8::2"), bytes(5) + b"\x02"
    with pytest.raises(ValueError, match=r"192\.0\.2\.2"):
        frame_v4(SAMPLE, V4, MAC, destination=peer4)
    four = parse_frame(frame_v4(SAMPLE, V4, MAC, destination=peer4, destination_mac=peer_mac))
    six = parse_frame(frame_v6(SAMPLE, V6, MAC, destination=peer6, destination_mac=peer_mac))
    assert (four.destination, four.destination_mac) == (peer4, peer_mac)
    assert (six.destination, six.destination_mac) == (peer6, peer_mac)


def test_multicast_groups_map_to_their_ethernet_addresses() -> None:
    assert multicast_mac(IPv4Address("224.0.0.18")).hex() == "01005e000012"
    assert multicast_mac(IPv4Address("239.255.1.2")).hex() == "01005e7f0102"
    assert multicast_mac(IPv6Address("ff02::1:ff00:1")).hex() == "3333ff000001"


def test_a_gratuitous_arp_is_a_request_for_oneself() -> None:
    frame = gratuitous_arp(V4, MAC)
    assert (
        frame.hex()
        == "ffffffffffff" + MAC.hex() + "0806" + "0001080006040001" + MAC.hex() + "c0000201" + "00" * 6 + "c0000201"
    )


def test_an_unsolicited_na_overrides_and_has_a_good_checksum() -> None:
    address = IPv6Address("2001:db8::10")
    frame = unsolicited_na(address, MAC, V6, source_mac=b"\x02" + bytes(5))
    assert (frame[:6].hex(), frame[6:12].hex(), frame[12:14].hex()) == ("333300000001", "020000000000", "86dd")
    body = frame[54:]
    assert (frame[20], frame[21], body[0], body[1], body[4:8].hex()) == (58, 255, 136, 0, "20000000")
    assert (body[8:24], body[24:].hex()) == (address.packed, "0201" + MAC.hex())
    pseudo = frame[22:54] + len(body).to_bytes(4, "big") + b"\0\0\0\x3a"
    assert checksum(pseudo + body) == 0
