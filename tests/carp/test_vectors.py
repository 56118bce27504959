"""The 13 test vectors: message, digest, checksum, header and whole frames, byte by byte."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from bsdcarp.carp.actions import SendAdvert
from bsdcarp.carp.digest import Key, message
from bsdcarp.carp.frames import frame_v4, frame_v6, parse_frame, virtual_mac
from bsdcarp.carp.packet import Advertisement, checksum, decode, encode
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6, Family

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "vectors.json").read_text())["vectors"]
SOURCE_V4, SOURCE_V6 = IPv4Address("192.0.2.1"), IPv6Address("fe80::1:1")


@pytest.fixture(params=VECTORS, ids=lambda vector: vector["id"])
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def addresses(vector: dict[str, Any]) -> tuple[list[IPv4Address], list[IPv6Address]]:
    v6 = [IPv6Address(a) for a in vector["v6"]]
    if vector["hashing"] == "without IPv6 link-local":
        v6 = [a for a in v6 if not a.is_link_local]
    return [IPv4Address(a) for a in vector["v4"]], v6


def advertisement(vector: dict[str, Any]) -> Advertisement:
    counter, digest = int(vector["counter"], 16), bytes.fromhex(vector["digest"])
    return Advertisement(vector["vhid"], vector["advskew"], vector["advbase"], counter, digest)


def test_all_vectors_are_there() -> None:
    assert [v["id"] for v in VECTORS] == [f"V{n}" for n in range(1, 14)]


def test_the_message_is_reproduced(vector: dict[str, Any]) -> None:
    ordered = vector["hashing"] != "interface order"
    assert (message(vector["vhid"], *addresses(vector), ordered=ordered).hex() + vector["counter"]) == vector["message"]


def test_the_digest_is_reproduced(vector: dict[str, Any]) -> None:
    ordered = vector["hashing"] != "interface order"
    key = Key(vector["key"].encode(), vector["vhid"], *addresses(vector), ordered=ordered)
    counter = int(vector["counter"], 16)
    assert key.digest(counter).hex() == vector["digest"]
    assert key.verify(counter, bytes.fromhex(vector["digest"]))
    assert not key.verify(counter ^ 1, bytes.fromhex(vector["digest"]))


def test_the_header_is_encoded_and_decoded(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["carp"])
    assert encode(advertisement(vector)) == payload
    assert decode(payload) == advertisement(vector)
    assert payload[6:8].hex() == vector["checksum"]
    assert checksum(payload) == 0


def test_the_ipv4_frame_is_reproduced_and_parsed(vector: dict[str, Any]) -> None:
    if "eth4" not in vector:
        assert not vector["v4"] or vector["id"] in {"V7", "V8", "V9", "V12"}
        return
    payload, mac = bytes.fromhex(vector["carp"]), virtual_mac(vector["vhid"])
    frame = bytes.fromhex(vector["eth4"])
    assert frame_v4(payload, SOURCE_V4, mac) == frame
    parsed = parse_frame(frame)
    assert (parsed.source, parsed.destination, parsed.ttl, parsed.payload) == (SOURCE_V4, GROUP_V4, 255, payload)
    assert (parsed.source_mac, parsed.destination_mac.hex(), parsed.traffic_class) == (mac, "01005e000012", 0xE0)
    action = SendAdvert(vector["vhid"], "em0", Family.IPV4, advertisement(vector), payload, GROUP_V4, 0xE0)
    assert action.frame(SOURCE_V4) == frame


def test_the_ipv6_frame_is_reproduced_and_parsed(vector: dict[str, Any]) -> None:
    if "eth6" not in vector:
        assert not vector["v6"] or vector["id"] == "V13"
        return
    payload, mac = bytes.fromhex(vector["carp"]), virtual_mac(vector["vhid"])
    frame = bytes.fromhex(vector["eth6"])
    assert frame_v6(payload, SOURCE_V6, mac) == frame
    parsed = parse_frame(frame)
    assert (parsed.source, parsed.destination, parsed.ttl, parsed.payload) == (SOURCE_V6, GROUP_V6, 255, payload)
    assert (parsed.source_mac, parsed.destination_mac.hex(), parsed.traffic_class) == (mac, "333300000012", 0xE0)
    action = SendAdvert(vector["vhid"], "em0", Family.IPV6, advertisement(vector), payload, GROUP_V6, 0xE0)
    assert action.frame(SOURCE_V6) == frame


def test_a_scope_embedded_in_a_link_local_address_does_not_count() -> None:
    plain, embedded = IPv6Address("fe80::1"), IPv6Address("fe80:3::1")
    assert Key(b"pw", 5, [], [plain]).digest(1) == Key(b"pw", 5, [], [embedded]).digest(1)
    assert message(5, [], [IPv6Address("ff02:7::12")]) == message(5, [], [IPv6Address("ff02::12")])
    assert message(5, [], [IPv6Address("2001:7::1")]) != message(5, [], [IPv6Address("2001::1")])
    assert message(5, [], [IPv6Address("ff05:7::1")]) != message(5, [], [IPv6Address("ff05::1")])


def test_duplicates_zero_and_all_ones_are_left_out() -> None:
    v4 = [IPv4Address(a) for a in ("192.0.2.2", "255.255.255.255", "192.0.2.1", "0.0.0.0", "192.0.2.2")]
    v6 = [IPv6Address(a) for a in ("::", "2001:db8::2", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
    assert message(9, v4, v6).hex() == "020109" + "c0000201" + "c0000202" + "20010db8" + "00" * 11 + "02"


def test_a_link_local_address_sorts_by_what_is_hashed() -> None:
    embedded = [IPv6Address("fe80:2::1"), IPv6Address("fe80:1::2"), IPv6Address("fe80:9::1")]
    assert message(9, [], embedded) == message(9, [], [IPv6Address("fe80::1"), IPv6Address("fe80::2")])


def test_the_padding_of_the_key_makes_no_difference() -> None:
    v4 = [IPv4Address("192.0.2.1")]
    assert Key(b"love", 1, v4, []).digest(7) == Key(b"love".ljust(20, b"\0"), 1, v4, []).digest(7)


def test_a_key_shows_nothing_of_itself() -> None:
    assert b"hunter2" not in repr(Key(b"hunter2", 1, [], [])).encode()
