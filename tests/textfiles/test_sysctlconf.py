from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_oracle import ANY_TEXT

from bsdcarp.errors import TextFileError
from bsdcarp.textfiles import SysctlConf

# The file of the recording on FreeBSD 9.3.
RECORDED = """net.inet.carp.preempt=1 # comment
net.inet.carp.log=2\t# tab comment
net.inet.carp.arpbalance=0# glued
net.inet.carp.nonsense=1
# a comment line

net.inet.carp.allow = 1
net.inet.carp.allow=1 extra
net.inet.carp.allow: 1
net.inet.ip.forwarding=1
"""

OIDS = ("net.inet.carp.allow", "kern.x", "dev.em.0.%desc")
_PIECES = [
    *OIDS,
    "=",
    "=",
    ":",
    "1",
    "0x2",
    " ",
    "\t",
    "#",
    "# c",
    "\n",
    "\n",
    "\r\n",
    '"',
    "'",
    "\\",
    "a b",
    "\x0b",
    "é",
]
MESSY = st.lists(st.sampled_from(_PIECES), max_size=20).map("".join)
VALUE = st.text(st.sampled_from("0129abzA._-+/:,=!$%&()*;<>?@[]^`{|}~"), min_size=1, max_size=8)


def read_like_9(text: str) -> list[str]:
    """What the loop of rc.d/sysctl up to FreeBSD 9 hands to sysctl(8): the first word of each line."""
    loop = 'while read var comments; do case $var in "#"*|"") ;; *) printf "%s\\0" "$var";; esac; done'
    done = subprocess.run(
        ["/bin/sh", "-c", loop],
        input=text.encode("utf-8", "surrogateescape"),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


def test_the_recorded_file_is_read_as_freebsd_10_would() -> None:
    conf = SysctlConf.parse(RECORDED)
    assert [(entry.oid, entry.value, entry.line) for entry in conf.entries] == [
        ("net.inet.carp.preempt", "1", 1),
        ("net.inet.carp.log", "2", 2),
        ("net.inet.carp.arpbalance", "0", 3),
        ("net.inet.carp.nonsense", "1", 4),
        ("net.inet.carp.allow", "1", 7),
        ("net.inet.carp.allow", "1 extra", 8),
        ("net.inet.carp.allow", "1", 9),
        ("net.inet.ip.forwarding", "1", 10),
    ]


def test_lines_that_freebsd_9_was_seen_to_refuse_are_odd() -> None:
    assert SysctlConf.parse(RECORDED).odd == (
        (3, "a comment glued to the value"),
        (7, "blanks around the ="),
        (8, "more than one word"),
        (9, "a : instead of ="),
    )


@pytest.mark.parametrize(
    ("line", "value", "reason"),
    [
        ('a="1"\n', "1", "quotes"),
        ("a='x # y' z\n", "x # y", "quotes"),
        ('a="x\n', "x", "quotes"),
        ('a="x # y\n', "x # y", "quotes"),
        ('a="\n', "", "quotes"),
        ("a=x y\n", "x y", "more than one word"),
        ("a=1\r\n", "1", "a carriage return or another blank than space and tab"),
        ("\x0ba=1\n", "1", "a carriage return or another blank than space and tab"),
        ("a=1", "1", "a last line without a newline"),
        ("a=1\\#2\n", "1\\#2", "a backslash"),
        ("a=1 # c\\\n", "1", "a backslash"),
        ("a=\n", "", ""),
        ("  a=1  \n", "1", ""),
        ("a=1 # don't\n", "1", ""),
        ("a=b=c:d\n", "b=c:d", ""),
    ],
)
def test_one_line_is_read_with_its_oddity(line: str, value: str, reason: str) -> None:
    conf = SysctlConf.parse(line)
    assert conf.get("a") == value
    assert conf.odd == (((1, reason),) if reason else ())


def test_lines_that_set_nothing_are_odd_but_no_entries() -> None:
    conf = SysctlConf.parse("kern.x\n=1\n# c\\\n")
    assert conf.entries == ()
    assert conf.odd == ((1, "no = in it"), (2, "no name before the ="), (3, "a backslash at the end of the line"))


def test_the_last_line_wins_and_is_the_one_that_is_changed() -> None:
    conf = SysctlConf.parse("a=1 # first\n b=2\na=3\t# last\n")
    assert (conf.get("a"), conf.line_of("a"), conf.get("c"), conf.line_of("c")) == ("3", 3, None, None)
    assert conf.set("a", "4").text == "a=1 # first\n b=2\na=4\t# last\n"
    assert conf.set("b", "4").text == "a=1 # first\n b=4\na=3\t# last\n"
    assert conf.set("c", "5").text == "a=1 # first\n b=2\na=3\t# last\nc=5\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = 1 # c\n", "a=2 # c\n"),
        ("a=1# c\n", "a=2 # c\n"),
        ("a=1\r\nb=1\r\n", "a=2\nb=1\r\n"),
        ('a="1" b # c\n', "a=2\n"),
        ("a=1", "a=2\n"),
        ("\ta: '1'\n", "\ta=2\n"),
        ("", "a=2\n"),
        ("b=1", "b=1\na=2\n"),
        ("# c\\\n", "# c\\\n\na=2\n"),
    ],
)
def test_a_line_is_written_so_that_every_release_reads_it(before: str, after: str) -> None:
    assert SysctlConf.parse(before).set("a", "2").text == after


def test_a_line_with_the_value_stays_unless_strict() -> None:
    conf = SysctlConf.parse("a = 1 # c\nb=1\n")
    assert conf.set("a", "1") is conf
    assert conf.set("a", "1", strict=True).text == "a=1 # c\nb=1\n"
    assert conf.set("b", "1", strict=True) is conf


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a=1\nb=1\na : 2 # c\n", "b=1\n"),
        ("b=1\na=2", "b=1\n"),
        ("a=1", ""),
        ("a=1\n", ""),
        ("b=1", "b=1"),
        ("\na=1\n\n", "\n\n"),
    ],
)
def test_unset_removes_every_line(before: str, after: str) -> None:
    assert SysctlConf.parse(before).unset("a").text == after


@pytest.mark.parametrize("oid", ["", "a b", "a=b", "a\n", "#a", "é", "a:b"])
def test_a_name_that_is_none_is_refused(oid: str) -> None:
    with pytest.raises(TextFileError, match="not the name of a sysctl"):
        SysctlConf.parse("").set(oid, "1")


@pytest.mark.parametrize("value", ["", "1 2", "1\n", "1#", '"1"', "'", "1\\", "é", "\x7f"])
def test_a_value_that_is_not_one_plain_word_is_refused(value: str) -> None:
    with pytest.raises(TextFileError, match="the value for a is not one printable word"):
        SysctlConf.parse("").set("a", value)


@given(ANY_TEXT | MESSY)
def test_any_text_comes_back_unchanged(text: str) -> None:
    assert SysctlConf.parse(text).text == text


@given(MESSY, st.sampled_from(OIDS), VALUE)
def test_set_holds_is_idempotent_and_touches_one_line(text: str, oid: str, value: str) -> None:
    conf = SysctlConf.parse(text)
    changed = conf.set(oid, value)
    assert changed.get(oid) == value
    assert changed.set(oid, value) is changed
    old, new = conf.text.split("\n"), changed.text.split("\n")
    line = conf.line_of(oid)
    if line:
        assert old[: line - 1] == new[: line - 1]
        assert old[line:] == new[line : len(old)]
    else:
        assert changed.text.startswith(text)
    assert [(e.oid, e.value) for e in changed.entries if e.oid != oid] == [
        (e.oid, e.value) for e in conf.entries if e.oid != oid
    ]


@given(MESSY, st.sampled_from(OIDS))
def test_unset_leaves_the_other_lines_alone(text: str, oid: str) -> None:
    conf = SysctlConf.parse(text)
    gone = conf.unset(oid)
    assert gone.get(oid) is None
    removed = {entry.line for entry in conf.entries if entry.oid == oid}
    kept = [line for number, line in enumerate(text.split("\n"), 1) if number not in removed]
    assert [line for line in gone.text.split("\n") if line] == [line for line in kept if line]


@given(MESSY, st.sampled_from(OIDS), VALUE)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_set_writes_is_read_by_the_loop_of_freebsd_9(text: str, oid: str, value: str) -> None:
    conf = SysctlConf.parse(text).set(oid, value, strict=True)
    line = conf.line_of(oid)
    if not any(odd == (line or 0) - 1 and "backslash" in reason for odd, reason in conf.odd):
        assert f"{oid}={value}" in read_like_9(conf.text)


@given(MESSY)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_file_without_odd_lines_is_read_alike_by_the_loop_of_freebsd_9(text: str) -> None:
    conf = SysctlConf.parse(text)
    if not conf.odd:
        assert read_like_9(text) == [f"{entry.oid}={entry.value}" for entry in conf.entries]
