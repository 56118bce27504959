from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell_oracle import ANY_TEXT

from bsdcarp.errors import TextFileError
from bsdcarp.textfiles import LoaderConf

RECORDED = """autoboot_delay="1"
console="comconsole"
beastie_disable="YES"
carp_load="YES"
"""

NAMES = ("carp_load", "kern.hz", "a")
_PIECES = [
    *NAMES,
    "=",
    "=",
    '"',
    '"',
    "YES",
    "1",
    "-5",
    "a.b",
    " ",
    "\t",
    "#",
    "\n",
    "\n",
    "\r",
    "\\",
    "'",
    "$",
    "é",
    '="1"',
    '="YES"\n',
]
MESSY = st.lists(st.sampled_from(_PIECES), max_size=16).map("".join)
VALUE = st.text(st.sampled_from("aZ09 ._-+/:,=!%&'()*;<>?@[]^`{|}~#"), max_size=8)

_WORD = r"[A-Za-z0-9\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]"
_LUA = [
    re.compile(rf'[ \t\v\f\r]*({_WORD}+)\s*=\s*"([\x09-\x0d\x20-\x7e]*?)"\s*(.*)\Z', re.DOTALL),
    re.compile(rf"[ \t\v\f\r]*({_WORD}+)\s*=\s*([A-Za-z0-9]+)\s*(.*)\Z", re.DOTALL),
    re.compile(rf"[ \t\v\f\r]*({_WORD}+)\s*=\s*(-?[0-9]+)\s*(.*)\Z", re.DOTALL),
]


def lua(line: str) -> tuple[str, str] | None:
    """How the patterns of stand/lua/config.lua (12.0 and later) read a line; None for Malformed line."""
    for pattern in _LUA:
        found = pattern.match(line)
        if found and re.match(r"\s*(#|\Z)", found.group(3)):
            return found.group(1), found.group(2)
    return None


def forth(line: str) -> tuple[str, str] | None:
    """How the parser of stand/forth/support.4th reads a line; None for ESYNTAX."""
    found = re.match(
        r'[ \t]*([A-Za-z][A-Za-z0-9._-]*)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[A-Za-z0-9-][A-Za-z0-9._-]*)[ \t]*(.*)\Z',
        line,
        re.DOTALL,
    )
    if not found or not re.match(r"#|\Z", found.group(3)):
        return None
    return found.group(1), found.group(2).replace("\\", "").strip('"')


def test_the_recorded_file_is_read() -> None:
    conf = LoaderConf.parse(RECORDED)
    assert [(e.name, e.value, e.line) for e in conf.entries][-1] == ("carp_load", "YES", 4)
    assert len(conf.entries) == 4
    assert conf.problems == ()


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('a="YES"', "YES"),
        ('  a = "x y"  # c', "x y"),
        ('a="b"#c', "b"),
        ("a=YES # c", "YES"),
        ("a=-1", "-1"),
        ('a=""', ""),
        ('a="it\'s $x"', "it's $x"),
    ],
)
def test_lines_that_both_loaders_take(line: str, value: str) -> None:
    conf = LoaderConf.parse(line)
    assert (conf.get("a"), conf.problems) == (value, ())


@pytest.mark.parametrize(
    ("line", "value", "reason"),
    [
        ('a="YES', None, "a double quote without its partner"),
        ("a='YES'", None, "the value is not one word or one string in double quotes"),
        ("a=", None, "the value is not one word or one string in double quotes"),
        ('a="b" c', None, "the value is not one word or one string in double quotes"),
        ("carp", None, "not a comment and not name=value"),
        ('1a="b"', None, "not a comment and not name=value"),
        ('a="YES"\r', None, "a carriage return at the end of the line"),
        ("\r", None, "a carriage return at the end of the line"),
        ("a=kernel.old", "kernel.old", "a value with . or _ or - that is not in double quotes"),
        (r'a="b\"c"', 'b"c', "a backslash, which the loaders read differently"),
        ('a="é"', "é", "a character in the value that is not printable ASCII"),
    ],
)
def test_lines_that_a_loader_would_choke_on_are_problems(line: str, value: str | None, reason: str) -> None:
    conf = LoaderConf.parse(f'# first\n{line}\nb="1"\n')
    assert conf.problems == ((2, reason),)
    assert (conf.get("a"), conf.get("b")) == (value, "1")


def test_set_changes_the_value_of_the_last_line_alone() -> None:
    conf = LoaderConf.parse('a="1" # x\n\ta = 2 # y\n')
    assert (conf.get("a"), conf.line_of("a"), conf.line_of("b")) == ("2", 2, None)
    assert conf.set("a", "3").text == 'a="1" # x\n\ta = "3" # y\n'
    assert conf.set("a", "2") is conf
    assert conf.set("b", "YES").text == 'a="1" # x\n\ta = 2 # y\nb="YES"\n'
    assert LoaderConf.parse("# c").set("b", "").text == '# c\nb=""\n'


@pytest.mark.parametrize(
    ("before", "after"), [('a="1"\nb="2"\na=3\n', 'b="2"\n'), ('b="2"\na=3', 'b="2"\n'), ("a=3", ""), ("b=2", "b=2")]
)
def test_unset_removes_every_line(before: str, after: str) -> None:
    assert LoaderConf.parse(before).unset("a").text == after


@pytest.mark.parametrize("name", ["", "1a", "a b", "a\n", "é", 'a"'])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(TextFileError, match="not the name of a loader variable"):
        LoaderConf.parse("").set(name, "1")


@pytest.mark.parametrize("value", ['"', "\\", "$x", "a\nb", "é", "\t", "\x7f"])
def test_a_value_that_the_loaders_would_not_take_literally_is_refused(value: str) -> None:
    with pytest.raises(TextFileError, match="the value for a holds a character"):
        LoaderConf.parse("").set("a", value)


@given(ANY_TEXT | MESSY)
def test_any_text_comes_back_unchanged(text: str) -> None:
    assert LoaderConf.parse(text).text == text


@given(MESSY, st.sampled_from(NAMES), VALUE)
def test_set_holds_is_idempotent_and_touches_one_line(text: str, name: str, value: str) -> None:
    conf = LoaderConf.parse(text)
    changed = conf.set(name, value)
    assert changed.get(name) == value
    assert changed.set(name, value) is changed
    assert changed.unset(name).get(name) is None
    line = conf.line_of(name)
    old, new = text.split("\n"), changed.text.split("\n")
    assert old[: (line or len(old)) - 1] == new[: (line or len(old)) - 1]
    assert [(e.name, e.value) for e in changed.entries if e.name != name] == [
        (e.name, e.value) for e in conf.entries if e.name != name
    ]
    assert len(changed.problems) <= len(conf.problems)


@given(st.sampled_from(NAMES), VALUE)
def test_what_set_writes_is_read_alike_by_both_loaders(name: str, value: str) -> None:
    line = LoaderConf.parse("").set(name, value).text.rstrip("\n")
    assert lua(line) == forth(line) == (name, value)


@given(MESSY)
def test_a_line_without_a_problem_is_read_alike_by_both_loaders(text: str) -> None:
    for line in text.split("\n"):
        conf = LoaderConf.parse(line)
        if not conf.problems and conf.entries:
            assert lua(line) == forth(line) == (conf.entries[0].name, conf.entries[0].value)
        elif not conf.problems:
            assert re.fullmatch(r"[ \t]*(?:#.*)?", line, re.DOTALL)
