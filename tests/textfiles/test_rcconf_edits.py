from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_oracle import HOSTILE_VALUE, PLAIN_SCRIPT, SCRIPT

from bsdcarp.errors import TextFileError
from bsdcarp.textfiles import RcConf

RC = """# made by hand
hostname="gw1.example.test"  # the name
ifconfig_em0='inet 10.9.0.11 netmask 255.255.255.0'
a=1; b=2
\texport c=3 d=4   # both
long="line one
line two"
joined=x\\
y
"""


def test_set_keeps_everything_else_of_the_line() -> None:
    assert RcConf.parse(RC).set("b", "two words").text == RC.replace("b=2", 'b="two words"')
    assert RcConf.parse(RC).set("d", "x").text == RC.replace("d=4", 'd="x"')
    assert RcConf.parse(RC).set("long", "short").text == RC.replace('"line one\nline two"', '"short"')


def test_set_changes_the_last_of_several_assignments() -> None:
    assert RcConf.parse("a=1\na=2\n").set("a", "3").text == 'a=1\na="3"\n'


def test_setting_the_value_that_is_there_changes_nothing() -> None:
    conf = RcConf.parse("a='x y'\n")
    assert conf.set("a", "x y") is conf


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 'n="1"\n'),
        ("a=1", 'a=1\nn="1"\n'),
        ("a=1\n", 'a=1\nn="1"\n'),
        ("a=1\r\n", 'a=1\r\nn="1"\n'),
        ("a=1 \\\n", 'a=1 \\\n\nn="1"\n'),
        ("# c \\\n", '# c \\\n\nn="1"\n'),
        ("# c", '# c\nn="1"\n'),
    ],
)
def test_a_new_variable_gets_its_own_last_line(text: str, expected: str) -> None:
    assert RcConf.parse(text).set("n", "1").text == expected


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("a=1\nb=2\n", "a", 'a=1\nn="1"\nb=2\n'),
        ("a=1; b=2 # c\nc=3\n", "a", 'a=1; b=2 # c\nn="1"\nc=3\n'),
        ("a='x\ny'\nb=2\n", "a", "a='x\ny'\nn=\"1\"\nb=2\n"),
        ("a=1; if x\nthen y\nfi\nb=2\n", "a", 'a=1; if x\nthen y\nfi\nn="1"\nb=2\n'),
        ("a=1; cat <<E\n$x\nE\nb=2\n", "a", 'a=1; cat <<E\n$x\nE\nn="1"\nb=2\n'),
        ("a=1 \\\n b=2\nc=3\n", "a", 'a=1 \\\n b=2\nn="1"\nc=3\n'),
        ("b=2\na=1", "a", 'b=2\na=1\nn="1"\n'),
        ("a=1\nb=2\n", "missing", 'a=1\nb=2\nn="1"\n'),
        ("a=1\nb=2\n", None, 'a=1\nb=2\nn="1"\n'),
        ("a=1\nb=2\nn=0\n", "a", 'a=1\nb=2\nn="1"\n'),
    ],
)
def test_add_puts_a_new_variable_behind_the_line_of_another(text: str, after: str | None, expected: str) -> None:
    assert RcConf.parse(text).add("n", "1", after=after).text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=1\n", ""),
        ("a=1\nv=1", "a=1\n"),
        ("a=1\n  v=1 ; # why\nb=2\n", "a=1\nb=2\n"),
        ("v=1; a=2\n", "a=2\n"),
        ("  v=1;a=2 # c\n", "  a=2 # c\n"),
        ("a=2; v=1 # c\n", "a=2 # c\n"),
        ("a=2; v=1;\n", "a=2;\n"),
        ("a=1; v=1; b=2\n", "a=1; b=2\n"),
        ("x & v=1\n", "x & \n"),
        ("x & v=1;\n", "x & \n"),
        ("a=1 v=1 b=2\n", "a=1 b=2\n"),
        ("a=1 v=1\n", "a=1\n"),
        ("v=1 v=2\n", ""),
        ("v=1; v=2\n", ""),
        ("export v=1\n", ""),
        ("export a v=1\n", "export a\n"),
        ("export v=1 a\n", "export a\n"),
        ("v='x\ny' # c\na=1\n", "a=1\n"),
        ("a=1\\\n\\\nv=1\n", "a=1\\\n\\\nv=1\n"),
        ("a=1; \\\nv=1\nb=1\n", "a=1\nb=1\n"),
        ("\\\nv=1\n", "\\\n\n"),
        ("a=1\nv=1\nb=1\nv=2\n", "a=1\nb=1\n"),
        ('v=1\nv="$v 2"\n', ""),
        ("a=1\n", "a=1\n"),
    ],
)
def test_unset_removes_the_assignments_and_no_more(text: str, expected: str) -> None:
    conf = RcConf.parse(text).unset("v")
    assert conf.text == expected
    assert conf.get("v") is None


def test_what_is_used_elsewhere_is_neither_removed_nor_renamed() -> None:
    conf = RcConf.parse('v=1\nw="$v"\n')
    with pytest.raises(TextFileError, match="line 2: v is also used or changed here"):
        conf.unset("v")
    with pytest.raises(TextFileError, match="line 2: v is also used or changed here"):
        conf.rename("v", "u")


def test_rename_changes_the_name_alone() -> None:
    assert RcConf.parse("a=0\n  v='1' # c\n").rename("v", "u").text == "a=0\n  u='1' # c\n"
    assert RcConf.parse("v=1; v=2\n").rename("v", "u").text == "v=1; u=2\n"
    assert RcConf.parse("v=1; v=2\n").rename("v", "u", every=True).text == "u=1; u=2\n"
    assert RcConf.parse("u=1; v=2\n").rename("v", "u").text == "u=1; u=2\n"
    assert RcConf.parse("v\\\nx=$y").rename("vx", "u").text == "u=$y"


def test_rename_refuses_a_name_that_something_further_down_assigns() -> None:
    with pytest.raises(TextFileError, match="v cannot become u"):
        RcConf.parse("v=1\nu=2\n").rename("v", "u")
    with pytest.raises(TextFileError, match="v cannot become u"):
        RcConf.parse("v=1\nx && u=2\n").rename("v", "u")
    with pytest.raises(TextFileError, match="v is not assigned here"):
        RcConf.parse("u=2\n").rename("v", "u")


def test_readonly_names_are_left_alone() -> None:
    conf = RcConf.parse("readonly v=1 w\n")
    assert conf.get("v") is None
    with pytest.raises(TextFileError, match="line 1: v is made readonly"):
        conf.set("v", "2")


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a\n", "é"])
def test_a_name_that_sh_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(TextFileError, match="not the name of a shell variable"):
        RcConf.parse("").set(name, "1")


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_a_value_that_no_file_can_hold_is_refused_without_being_shown(value: str) -> None:
    for text in ("", "v=1\n"):
        with pytest.raises(TextFileError, match="the value for v contains") as caught:
            RcConf.parse(text).add("v", value, after="v")
        assert value not in str(caught.value)
    with pytest.raises(TextFileError, match="the value for n contains"):
        RcConf.parse("v=1\n").add("n", value, after="v")


def test_an_edit_that_would_change_something_else_is_refused() -> None:
    heredoc = RcConf.parse("cat <<E; v=1\nE\nw=1\n")
    assert heredoc.set("v", "2").text == 'cat <<E; v="2"\nE\nw=1\n'
    with pytest.raises(TextFileError, match="v cannot be set safely here"):
        heredoc.set("v", "2\n3")


@given(PLAIN_SCRIPT | SCRIPT, HOSTILE_VALUE, st.sampled_from("abcd"))
@settings(deadline=None)
def test_set_is_idempotent_and_unset_undoes_it(text: str, value: str, name: str) -> None:
    conf = RcConf.parse(text)
    try:
        changed = conf.set(name, value)
    except TextFileError:
        return
    assert changed.get(name) == value
    assert changed.set(name, value) is changed
    assert not changed.problems
    try:
        gone = changed.unset(name)
    except TextFileError:
        return
    assert gone.get(name) is None
    assert gone.line_of(name) is None


_LINES = st.lists(
    st.sampled_from(["x=1", "# c", "", '  y="2 3" # c', "z='a\nb'", "if q; then w=1; fi", "\tu=$(date)", "# v=1"]),
    max_size=6,
)


@given(_LINES, _LINES, HOSTILE_VALUE)
@settings(deadline=None)
def test_lines_that_are_not_managed_stay_byte_for_byte(above: list[str], below: list[str], value: str) -> None:
    text = "".join(f"{line}\n" for line in [*above, "v=1 # mine", *below])
    conf = RcConf.parse(text)
    head, tail = "".join(f"{line}\n" for line in above), "".join(f"{line}\n" for line in below)
    changed = conf.set("v", value).text
    assert changed.startswith(head)
    assert changed.endswith(f" # mine\n{tail}")
    assert conf.unset("v").text == head + tail
    assert conf.rename("v", "n").text == f"{head}n=1 # mine\n{tail}"
    added = conf.add("n", value, after="v").text
    assert added.startswith(f"{head}v=1 # mine\nn=")
    assert added.endswith(f"\n{tail}")
