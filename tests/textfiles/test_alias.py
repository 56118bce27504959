from __future__ import annotations

from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.textfiles import AliasWords, hyphen_trap, parse_alias, variable_name


def test_an_alias_of_freebsd_10_is_taken_apart() -> None:
    assert parse_alias("inet vhid 1 advbase 1 advskew 100 pass testpass1 alias 10.9.0.1/32") == AliasWords(
        family="inet",
        address="10.9.0.1/32",
        ip=ip_interface("10.9.0.1/32"),
        vhid=1,
        advbase=1,
        advskew=100,
        password="testpass1",
        keyword_alias=True,
    )


def test_a_pseudo_interface_of_freebsd_9_is_taken_apart() -> None:
    assert parse_alias("vhid 1 pass x advskew 0 192.168.90.1/24") == AliasWords(
        address="192.168.90.1/24", ip=ip_interface("192.168.90.1/24"), vhid=1, advskew=0, password="x"
    )


@pytest.mark.parametrize(
    ("value", "address", "known"),
    [
        ("inet 10.9.0.1 netmask 255.255.255.0", "10.9.0.1/24", True),
        ("inet 10.9.0.1 netmask 0xffffff00", "10.9.0.1/24", True),
        ("inet 10.9.0.1/24 netmask 255.0.0.0", "10.9.0.1/24", True),
        ("inet6 2001:DB8:0::1 prefixlen 64 alias", "2001:db8::1/64", True),
        ("inet6 fe80::1%em0/64", "fe80::1%em0/64", True),
        ("inet6 2001:db8::1", "2001:db8::1", False),
        ("inet 10.9.0.1", "10.9.0.1", False),
        ("inet 10.9.0.1 netmask 0.0.0.255", "10.9.0.1", False),
        ("inet 10.9.0.1 netmask banana", "10.9.0.1", False),
        ("inet 10.9.0.1/99", "10.9.0.1/99", False),
        ("inet 192.0.2.10-12/32", "192.0.2.10-12/32", False),
        ("inet6 2001:db8::1-f/64", "2001:db8::1-f/64", False),
    ],
)
def test_an_address_is_normalised_when_its_prefix_length_is_known(value: str, address: str, *, known: bool) -> None:
    words = parse_alias(value)
    assert words.address == address
    assert words.ip == (ip_interface(address) if known else None)
    assert words.rest == ()


def test_unicast_peers_are_found() -> None:
    words = parse_alias("inet6 vhid 7 peer 10.9.0.12 peer6 2001:db8::2 2001:db8::1/64 up")
    assert (words.family, words.peer, words.peer6, words.address) == (
        "inet6",
        "10.9.0.12",
        "2001:db8::2",
        "2001:db8::1/64",
    )
    assert words.rest == ("up",)


def test_words_that_ifconfig_would_not_take_are_left_over() -> None:
    words = parse_alias("inet vhid 1x advskew -1 10.0.0.1/8 10.0.0.2/8 banana pass")
    assert (words.vhid, words.advskew, words.password) == (None, None, None)
    assert words.rest == ("vhid", "1x", "advskew", "-1", "10.0.0.2/8", "banana", "pass")


def test_the_last_of_repeated_words_counts() -> None:
    assert parse_alias("inet vhid 1 vhid 2 pass a pass b").vhid == 2


def test_nothing_is_made_of_nothing() -> None:
    assert parse_alias("  ") == AliasWords()


def test_a_password_is_not_in_the_repr_even_when_a_blank_cut_it() -> None:
    assert "hunter" not in repr(parse_alias("inet vhid 1 pass hunter1 hunter2 10.0.0.1/32"))


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["inet", "vhid", "1", "pass", "10.0.0.1/24", "::1", "-"])).map(" ".join)
)
def test_any_value_can_be_taken_apart(value: str) -> None:
    words = parse_alias(value)
    assert len(words.rest) <= len(value.split())


# Each was run through the functions of network.subr: 10.4's, and with any_hyphen 9.3's.
@pytest.mark.parametrize(
    ("value", "trap", "trap_on_9"),
    [
        ("inet vhid 1 pass Password-0-0-0 10.9.0.1/32", True, True),
        ("inet vhid 1 pass abc-def alias 10.9.0.1/32", True, True),
        ("inet 10.9.0.1/32 vhid 1 pass K8-", True, True),
        ("inet 10.9.0.1/32 vhid 1 pass x-", False, True),
        ("inet vhid 1 pass ab--cd 10.9.0.1/32", True, True),
        ("inet vhid 1 pass s3cr3t-key 10.9.0.1/32", False, True),
        ("inet vhid 1 pass x-y 10.9.0.1/32", False, True),
        ("vhid 4 pass e-5 10.9.0.4/24", True, True),
        ("inet vhid 1 pass abcdef 10.9.0.1/32", False, False),
        ("inet 192.0.2.10-12/32", False, False),
        ("inet 192.0.2.10-12/32 vhid 3 pass abc", False, False),
        ("inet 192.0.2.12-10/32", True, True),
        ("inet vhid 3 192.0.2.10-12/32", True, True),
        ("inet 192.0.2.10-12/32 vhid 3 pass x--", True, True),
        ("inet 192.0.2.10-12/32 vhid 3 pass a-b", True, True),
        ("inet6 2001:db8::1-3/64", False, False),
        ("inet6 2001:db8::f-1/64", True, True),
        ("inet 10.9.0.1/32 inet vhid 2 pass a-b 10.9.0.2/32", True, True),
        ("inet6 2001:db8::1/64 vhid 2 pass a-b", True, True),
        ("", False, False),
    ],
)
def test_the_hyphen_trap_is_seen(value: str, *, trap: bool, trap_on_9: bool) -> None:
    assert hyphen_trap(value) is trap
    assert hyphen_trap(value, any_hyphen=True) is trap_on_9


@pytest.mark.parametrize(
    ("interface", "name"),
    [("em0", "em0"), ("em0.5", "em0_5"), ("lan-a", "lan_a"), ("a+b/c", "a_b_c"), ("vlan_5", "vlan_5")],
)
def test_an_interface_becomes_part_of_a_variable_name(interface: str, name: str) -> None:
    assert variable_name(interface) == name
