"""The words of one ifconfig call, and what rc makes of a hyphen in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.judge.ifargs import cut, expand, read_entry
from bsdcarp.judge.sysctllines import read_sysctl_lines

TRAP = [
    # What FreeBSD's own shell functions did with these words (network.subr of 9.3 and 12.1, run under sh).
    ("inet vhid 1 pass secret 10.0.0.1/32", "hex", "plain"),
    ("inet vhid 1 pass abc-def 10.0.0.1/32", "hex", "hangs"),
    ("inet vhid 1 pass x-y 10.0.0.1/32", "hex", "plain"),
    ("inet vhid 1 pass x-y 10.0.0.1/32", "any", "hangs"),
    ("inet vhid 1 pass ab--cd 10.0.0.1/32", "hex", "dropped"),
    ("inet 10.0.0.4-6/24", "hex", "range"),
    ("inet 10.0.0.4-6/24 vhid 3 pass secret", "hex", "range"),
    ("inet 10.0.0.4-6/24 vhid 3 pass a-b", "hex", "hangs"),
    ("inet vhid 3 pass secret 10.0.0.4-6/24", "hex", "hangs"),
    ("inet6 2001:db8::a-c/64", "hex", "range"),
    ("inet6 2001:db8::a-c/128 vhid 3 pass ab--cd", "hex", "hangs"),
    ("inet6 vhid 3 pass ab--cd 2001:db8::1/128", "hex", "dropped"),
    ("inet6 vhid 2 pass zz-9 2001:db8::1/128", "any", "hangs"),
    ("inet vhid 1 pass abc-def 10.0.0.1/32", None, "plain"),
    ("link 02:00:00:00:00:0a", "hex", "plain"),
]


@pytest.mark.parametrize(("text", "trap", "outcome"), TRAP, ids=[f"{t}-{o}" for t, _, o in TRAP])
def test_a_hyphen_is_followed_as_rc_does(text: str, trap: str | None, outcome: str) -> None:
    assert expand(tuple(text.split()), trap).outcome == outcome  # type: ignore[arg-type]  # one of the literals


def test_a_range_keeps_its_length_on_the_first_address_only() -> None:
    calls = expand(("inet", "10.0.0.4-6/24", "up"), "hex").calls
    assert calls == (("inet", "10.0.0.4/24", "up"), ("inet", "10.0.0.5/32", "up"), ("inet", "10.0.0.6/32", "up"))
    assert expand(("inet6", "2001:db8::9-a/64"), "hex").calls == (
        ("inet6", "2001:db8::9/64"),
        ("inet6", "2001:db8::a/64"),
    )
    assert len(expand(("inet", "10.0.0.1-200"), "hex").calls) == 32


def test_words_are_cut_at_family_words() -> None:
    assert cut("vhid 1 10.0.0.1 inet6 ::1 link a") == [
        ("inet", "vhid", "1", "10.0.0.1"),
        ("inet6", "::1"),
        ("link", "a"),
    ]
    assert cut("  ") == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("inet 10.0.0.1", "10.0.0.1/8"),
        ("172.16.0.1", "172.16.0.1/16"),
        ("192.168.0.1", "192.168.0.1/24"),
        ("inet 10.0.0.1 netmask 0xffffff00", "10.0.0.1/24"),
        ("inet 10.0.0.1 netmask 255.255.0.0", "10.0.0.1/16"),
        ("inet6 2001:db8::1", "2001:db8::1/64"),
        ("2001:db8::1 prefixlen 128", "2001:db8::1/128"),
        ("inet6 fe80::1%em0", "fe80::1/64"),
    ],
)
def test_addresses_get_the_mask_that_ifconfig_gives_them(text: str, address: str) -> None:
    assert str(read_entry(text.split()).address) == address


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("inet vhid", "vhid needs a value"),
        ("inet vhid 0 10.0.0.1", "vhid is not a number from 1 to 255"),
        ("inet vhid x 10.0.0.1", "vhid is not a number from 1 to 255"),
        ("inet vhid 1 advskew 255 10.0.0.1", "advskew is not a number from 0 to 254"),
        ("inet vhid 1 advbase -1 10.0.0.1", "advbase is not a number from 0 to 255"),
        ("inet advskew 1 vhid 1 10.0.0.1", "advskew stands before vhid"),
        ("inet vhid 1 peer 10.0.0.2 10.0.0.1", "this release does not know peer"),
        ("inet 2001:db8::1", "2001:db8::1 stands behind the word inet"),
        ("inet 10.0.0.1/77", "10.0.0.1/77 is not an address"),
    ],
)
def test_what_ifconfig_refuses(text: str, wrong: str) -> None:
    assert read_entry(text.split()).wrong == wrong


@pytest.mark.parametrize(
    ("text", "vhid", "advbase", "advskew"),
    [
        ("inet vhid 1x advskew abc 10.0.0.1", 1, None, 0),
        ("inet vhid 1 advskew -1 10.0.0.1", 1, None, None),
        ("inet vhid 1 advskew 5x advbase 2 10.0.0.1", 1, 2, 5),
        ("inet vhid 1 advbase 0 10.0.0.1", 1, None, None),
    ],
)
def test_numbers_are_read_as_ifconfig_reads_them(
    text: str, vhid: int, advbase: int | None, advskew: int | None
) -> None:
    entry = read_entry(text.split())
    assert (entry.vhid, entry.advbase, entry.advskew, entry.wrong) == (vhid, advbase, advskew, "")


def test_up_to_freebsd_9_advbase_may_be_zero() -> None:
    assert read_entry(["vhid", "1", "advbase", "0", "advskew", "5", "10.0.0.1"], ordered=False).advbase == 0


def test_a_password_is_no_keyword_and_never_shown() -> None:
    entry = read_entry(["inet", "vhid", "1", "pass", "up", "advskew", "5", "10.0.0.1/32"])
    assert entry.password is not None
    assert entry.password.reveal() == "up"
    assert "up" not in repr(entry).replace("up=", "")
    assert read_entry(["vhid", "1", "pass", "", "10.0.0.1"]).password is None


@given(st.lists(st.text(min_size=1, max_size=12), max_size=12), st.booleans(), st.booleans())
def test_any_words_are_read(words: list[str], unicast: bool, ordered: bool) -> None:
    read_entry(words, unicast=unicast, ordered=ordered)
    for component in cut(" ".join(words)):
        for trap in (None, "any", "hex"):
            expand(component, trap)


@given(st.text(max_size=200))
def test_any_sysctl_conf_is_read(text: str) -> None:
    for syntax in ("pseudo", "vhid"):
        for line in read_sysctl_lines(text, syntax):
            assert (line.value is None) == bool(line.wrong)


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("net.inet.carp.log=2", 2, 2),
        ("net.inet.carp.log=0x10", 16, 16),
        ("net.inet.carp.log=010", 8, 8),
        ("net.inet.carp.log=-1", -1, -1),
        ("net.inet.carp.log=2 # text", 2, 2),
        ("net.inet.carp.log=2# text", None, 2),
        ('net.inet.carp.log="2"', None, 2),
        ("net.inet.carp.log: 2", None, 2),
        ("net.inet.carp.log = 2", None, 2),
        ("  net.inet.carp.log=2", 2, 2),
        ("net.inet.carp.log=2 3", 2, None),
        ("net.inet.carp.log=", None, None),
        ("net.inet.carp.log", None, None),
    ],
)
def test_spellings_are_read_as_each_era_reads_them(line: str, old: int | None, new: int | None) -> None:
    text = f"{line}\nnet.inet.ip.forwarding=1\n"
    assert [found.value for found in read_sysctl_lines(text, "pseudo")] == [old]
    assert [found.value for found in read_sysctl_lines(text, "vhid")] == [new]


def test_the_last_line_without_a_newline_is_lost_up_to_9() -> None:
    assert read_sysctl_lines("net.inet.carp.log=2", "pseudo")[0].value is None
    assert read_sysctl_lines("net.inet.carp.log=2", "vhid")[0].value == 2
