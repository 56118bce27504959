from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carpd.rtnl import codec, messages
from bsdcarp.carpd.rtnl.codec import Message
from bsdcarp.carpd.rtnl.monitor import interpret

u16s, u32s = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
kinds = st.integers(0, 0x3FFF)
bodies = st.binary(max_size=200)
PARSERS = (messages.parse_link, messages.parse_address, messages.parse_route, messages.parse_rule)


@given(st.lists(st.tuples(u16s, u16s, u32s, bodies), max_size=5))
def test_messages_come_back_as_they_were_written(written: list[tuple[int, int, int, bytes]]) -> None:
    data = b"".join(codec.encode(*each) for each in written)
    assert len(data) % 4 == 0
    assert [(m.kind, m.flags, m.sequence, m.body) for m in codec.decode(data)] == written


@given(st.dictionaries(kinds, bodies, max_size=6))
def test_attributes_come_back_as_they_were_written(written: dict[int, bytes]) -> None:
    assert codec.attributes(b"".join(codec.attribute(k, v) for k, v in written.items())) == written


@given(kinds, bodies)
def test_the_flag_bits_of_an_attribute_do_not_change_its_type(kind: int, value: bytes) -> None:
    assert codec.attributes(codec.attribute(kind | 0xC000, value)) == {kind: value}


@given(st.lists(st.tuples(u16s, u16s, u32s, bodies), min_size=1, max_size=3), st.data())
def test_a_datagram_cut_short_gives_the_messages_before_the_cut(
    written: list[tuple[int, int, int, bytes]], data: st.DataObject
) -> None:
    whole = b"".join(codec.encode(*each) for each in written)
    cut = data.draw(st.integers(0, len(whole)))
    got = [(m.kind, m.flags, m.sequence, m.body) for m in codec.decode(whole[:cut])]
    assert got == written[: len(got)]


@given(st.binary(max_size=400))
def test_no_bytes_make_the_decoder_fail(data: bytes) -> None:
    for message in codec.decode(data):
        interpret(message)
        codec.acknowledgement(message)
    codec.attributes(data)
    codec.text(data)
    codec.number(data)


@given(st.sampled_from(range(14, 36)), u16s, bodies)
def test_no_body_of_a_known_type_makes_a_parser_fail(kind: int, flags: int, body: bytes) -> None:
    message = Message(kind, flags, 1, 0, body)
    for parse in PARSERS:
        parse(message)
    interpret(message)


@given(
    st.sampled_from(range(16, 36)),
    st.dictionaries(st.integers(0, 30), st.binary(max_size=40), max_size=8),
    st.binary(min_size=16, max_size=16),
)
def test_no_attributes_make_a_parser_fail(kind: int, found: dict[int, bytes], head: bytes) -> None:
    body = head + b"".join(codec.attribute(k, v) for k, v in found.items())
    for size in (8, 12, 16):
        interpret(Message(kind, 0, 1, 0, body[16 - size :]))


@pytest.mark.parametrize("value", [0, 1, 255])
def test_numbers_of_any_width_are_read(value: int) -> None:
    assert codec.number(codec.u8(value)) == codec.number(codec.u32(value)) == value
    assert codec.number(struct.pack("=H", value)) == codec.number(struct.pack("=Q", value)) == value


def test_a_missing_number_is_the_default() -> None:
    assert codec.number(b"") == 0
    assert codec.number(b"", 7) == 7


def test_a_name_ends_at_its_nul_and_keeps_strange_bytes() -> None:
    assert codec.text(b"eth0\0rubbish") == "eth0"
    assert codec.text(b"e\xff\0").encode("utf-8", "surrogateescape") == b"e\xff"


def _error(code: int, *, flags: int = 0, behind: bytes = b"", original: bytes = b"") -> Message:
    header = struct.pack("=IHHII", 16 + len(original), 16, 5, 1, 0)
    return Message(codec.NLMSG_ERROR, flags, 1, 0, struct.pack("=i", code) + header + original + behind)


def test_an_acknowledgement_without_error_is_zero() -> None:
    assert codec.acknowledgement(_error(0)) == (0, "")


@pytest.mark.parametrize("capped", [True, False])
def test_the_words_of_the_kernel_are_found_behind_the_request(capped: bool) -> None:
    words = codec.attribute(1, b"Nexthop has invalid gateway\0")
    message = _error(
        -errno.EINVAL,
        flags=0x300 if capped else 0x200,
        original=b"" if capped else bytes(22),
        behind=bytes(0 if capped else 2) + words,
    )
    assert codec.acknowledgement(message) == (errno.EINVAL, "Nexthop has invalid gateway")


def test_an_error_without_words_is_its_number() -> None:
    assert codec.acknowledgement(_error(-errno.EPERM)) == (errno.EPERM, "")
    assert codec.acknowledgement(Message(codec.NLMSG_DONE, 0, 1, 0, struct.pack("=i", -errno.EPERM))) == (
        errno.EPERM,
        "",
    )
    assert codec.acknowledgement(Message(codec.NLMSG_DONE, 0, 1, 0, b"")) == (0, "")
    assert codec.acknowledgement(Message(codec.NLMSG_ERROR, 0x200, 1, 0, struct.pack("=i", -1))) == (1, "")


def test_news_of_bridge_ports_are_no_links() -> None:
    body = struct.pack("=BxHiII", 7, 1, 5, 0x11043, 0) + codec.attribute(3, b"eth0\0")
    assert messages.parse_link(Message(messages.RTM_NEWLINK, 0, 1, 0, body)) is None


def test_a_route_with_several_next_hops_has_no_interface() -> None:
    body = (
        struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0)
        + codec.attribute(4, codec.u32(3))
        + codec.attribute(9, b"x")
    )
    entry = messages.parse_route(Message(messages.RTM_NEWROUTE, 0, 1, 0, body))
    assert entry is not None
    assert entry.index == 0


def test_other_families_are_left_out() -> None:
    body = struct.pack("=BBBBBBBBI", 28, 0, 0, 0, 254, 3, 0, 1, 0)
    assert messages.parse_route(Message(messages.RTM_NEWROUTE, 0, 1, 0, body)) is None
    assert messages.parse_rule(Message(messages.RTM_NEWRULE, 0, 1, 0, body)) is None
