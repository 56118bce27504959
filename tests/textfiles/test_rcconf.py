from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from shell_oracle import ANY_TEXT, SCRIPT, SOUP

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


def test_all_forms_of_a_top_level_assignment_are_reported_in_order() -> None:
    conf = RcConf.parse(RC)
    assert [(a.name, a.value, a.line) for a in conf.assignments] == [
        ("hostname", "gw1.example.test", 2),
        ("ifconfig_em0", "inet 10.9.0.11 netmask 255.255.255.0", 3),
        ("a", "1", 4),
        ("b", "2", 4),
        ("c", "3", 5),
        ("d", "4", 5),
        ("long", "line one\nline two", 6),
        ("joined", "xy", 8),
    ]
    first = conf.assignments[0]
    assert RC[slice(*first.span)] == 'hostname="gw1.example.test"'
    assert first.raw == '"gw1.example.test"'
    assert conf.problems == ()


def test_no_repr_shows_a_value_because_it_may_be_a_password() -> None:
    conf = RcConf.parse('ifconfig_em0_alias0="inet vhid 1 pass hunter2 10.9.0.1/32"\nx="$pass hunter2"')
    assert "hunter2" not in repr(conf) + repr(conf.assignments)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("v=plain", "plain"),
        ("v=", ""),
        ("v=a#b", "a#b"),
        ("v=a # b", "a"),
        ("v=a;#b", "a"),
        ('v=a"b c"\'d"e\'f', 'ab cd"ef'),
        (r'v="a\"b\$c\`d\\e\f"', r'a"b$c`d\e\f'),
        (r"v=a\ b\"c", 'a b"c'),
        ("v='a\\b'", "a\\b"),
        ('v="a\\\nb"', "ab"),
        ("v=5$", "5$"),
        ('v="5$"', "5$"),
        ("v=a=b", "a=b"),
        ("v=*", "*"),
        ("v={a,b}", "{a,b}"),
        ("v=a~b", "a~b"),
        ("v=1\r", "1\r"),
        ("v\\\nv=1;v=2", "2"),
        ("export v=1", "1"),
        ("export v=1 w", "1"),
        (">/dev/null;v=1", "1"),
    ],
)
def test_quoting_is_undone_as_sh_does_it(line: str, value: str) -> None:
    assert RcConf.parse(line).get("v") == value
    assert RcConf.parse(f"{line}\n").get("v") == value


@pytest.mark.parametrize(
    "raw",
    [
        "$x",
        '"$x"',
        "${x}",
        "${#x}",
        "${#}",
        "${x%%'*}'}",
        "${x:-`y`}",
        '"${x#\\}}"',
        '"${x%"}"}"',
        "$(echo ')')",
        '"$(echo ")")"',
        "`echo \\`echo x\\``",
        '"`echo \\"x\\"`"',
        "$((1+(2)*$x))",
        "$1",
        "$$",
        "~",
        "~/x",
        "a:~",
        "$'x'",
        '$"x"',
        "$[1]",
        "$(a\nb)",
        "$(case x in x) y;; esac)",
        "$(cat <<E\n)\nE\n)",
        "$()",
        "${x:-$(y}z)}",
        "${x-a b}",
        '"${x-a b}"',
    ],
)
def test_a_value_that_only_running_the_file_would_tell_is_none(raw: str) -> None:
    conf = RcConf.parse(f"v={raw} # c\nw=1\n")
    assert (conf.get("v"), conf.get("w"), conf.problems) == (None, "1", ())
    assert conf.assignments[0].raw == raw
    assert conf.set("v", "known").text == 'v="known" # c\nw=1\n'


def test_an_operand_of_export_with_a_pattern_is_not_known() -> None:
    assert RcConf.parse("export v=*").get("v") is None
    assert RcConf.parse("export v={a,b}").get("v") is None
    assert RcConf.parse("export v='*'").get("v") == "*"


@pytest.mark.parametrize(
    "construct",
    [
        "if true; then v=2; fi",
        "if false\nthen :\nelif true; then v=2\nelse v=3\nfi >/dev/null",
        "case $x in\n(a|b) v=2;;\n*) ;;\nesac",
        "case x in x) v=2\nesac",
        "for v in 1 2; do :; done",
        "for v\ndo :; done",
        "while v=2; do break; done",
        "until v=2\ndo break\ndone",
        "{ v=2; }",
        "[ -f /x ] && v=2",
        "[ -f /x ] || v=2",
        "v=2 && :",
        ": | v=2",
        "v=2 | :",
        "! v=2",
        "v=2 >/dev/null",
        "v=2 &",
        "unset v",
        "read v",
        ": ${v:=2}",
        ': "${v=2}"',
        ": $((v = 2))",
        ": $((v += 2))",
        "v=2 :",
        "v=2 $command",
        "command export v=2",
        "export v=2 >/dev/null",
        "f() { v=2; }",
        "f()\n{ v=2; }; f",
    ],
)
def test_a_name_that_may_be_assigned_is_reported_and_blocks_its_earlier_assignment(construct: str) -> None:
    conf = RcConf.parse(f"v=1\n{construct}\nw=1\n")
    assert conf.problems == ()
    assert "v" in {name for name, _ in conf.conditional_names}
    assert conf.get("v") is None
    assert conf.get("w") == "1"
    assert (conf.line_of("v") or 0) >= 2
    with pytest.raises(TextFileError, match=r"line \d: v may be changed here, behind its assignment in line 1"):
        conf.set("v", "3")
    with pytest.raises(TextFileError, match="also used or changed"):
        conf.unset("v")
    with pytest.raises(TextFileError, match="also used or changed"):
        conf.rename("v", "u")


@pytest.mark.parametrize(
    "construct", ["(v=2)", "w=$(v=2)", "w=`v=2`", "echo v=2", "echo 'v=2'", "v=2 echo", "cat <<E\nv=2\nE", "a() (v=2)"]
)
def test_text_that_cannot_change_a_variable_is_no_obstacle(construct: str) -> None:
    conf = RcConf.parse(f"v=1\n{construct}\n")
    assert conf.conditional_names == ()
    assert conf.set("v", "3").text == f'v="3"\n{construct}\n'


def test_an_assignment_behind_a_conditional_one_wins_and_can_be_set() -> None:
    conf = RcConf.parse("if x; then v=1; fi\nv=2\n")
    assert (conf.get("v"), conf.line_of("v"), conf.conditional_names) == ("2", 2, (("v", 1),))
    assert conf.set("v", "3").text == 'if x; then v=1; fi\nv="3"\n'


def test_a_name_that_is_only_assigned_conditionally_is_appended() -> None:
    conf = RcConf.parse("if x; then v=1; fi\n")
    assert (conf.get("v"), conf.line_of("v")) == (None, 1)
    assert conf.set("v", "3").text == 'if x; then v=1; fi\nv="3"\n'
    assert conf.add("v", "3", after="v").text == 'if x; then v=1; fi\nv="3"\n'


def test_a_call_of_a_function_counts_as_an_assignment_of_all_that_functions_assign() -> None:
    conf = RcConf.parse("f() { v=1; }\nv=2\nf\n")
    assert conf.get("v") is None
    assert conf.conditional_names == (("v", 1), ("v", 3))
    assert RcConf.parse("f() { v=1; return; }\nv=2\n").get("v") == "2"


def test_commands_that_run_other_text_are_listed() -> None:
    conf = RcConf.parse("a=1\n. /etc/more\neval x=1\n$cmd\nunset $x\nexport $y\nexport z*\n(. /x)\n")
    assert conf.unseen == (
        (2, "."),
        (3, "eval"),
        (4, "a command named by an expansion"),
        (5, "unset"),
        (6, "export"),
        (7, "export"),
    )


def test_references_are_listed_with_their_lines() -> None:
    conf = RcConf.parse('a=$b\nc="${d:-$e} `echo \\$f`"\ng=$((h+1))\n')
    assert conf.references == (("b", 1), ("d", 2), ("e", 2), ("f", 2), ("h", 3))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('v="a\n', 1),
        ("v=1\nw='x", 2),
        ("v=1\nw=$(x", 2),
        ("v=1\nw=`x", 2),
        ("v=1\nw=`(x`", 2),
        ("v=1\nw=${x", 2),
        ("v=1\nw=${x:-", 2),
        ("v=1\nw=${x/a/b}", 2),
        ("v=1\nw=$((x", 2),
        ("v=1\nw=$((x) )", 2),
        ("v=1\nw=$(('1'))", 2),
        ('v=1\nw="${x:-\'}"', 2),
        ("v=1\nw=$'x", 2),
        ("v=1\nw=$'x\\'y'", 2),
        ("v=1\nw=$\\\n(x)", 2),
        ("v=1\nw=$x\\\ny", 2),
        ("v=1\nw=1\\", 2),
        ("v=1\nif x; then", 2),
        ("v=1\nif x; fi", 2),
        ("v=1\nif ; then x; fi", 2),
        ("v=1\nfi", 2),
        ("v=1\nx )", 2),
        ("v=1\n{ x", 2),
        ("v=1\n( )", 2),
        ("v=1\n( x ) y", 2),
        ("v=1\n{ (x) y; }", 2),
        ("v=1\n((1))", 2),
        ("v=1\nx ;; y", 2),
        ("v=1\n; x", 2),
        ("v=1\nx &&", 2),
        ("v=1\nx | | y", 2),
        ("v=1\nx >", 2),
        ("v=1\nx > ; y", 2),
        ("v=1\nx <2>y", 2),
        ("v=1\nx <<< y", 2),
        ("v=1\ncat <<E\nx\n", 2),
        ("v=1\ncat <<E", 2),
        ("v=1\ncat <<$x\n$x\n", 2),
        ("v=1\nw=$(cat <<E)", 2),
        ("v=1\ncat <<E $(x\ny)\nE\n", 2),
        ("v=1\ncat <<E 'x\ny'\nE\n", 2),
        ("v=1\nfor 1 in x; do y; done", 2),
        ("v=1\nfor", 2),
        ("v=1\nfor x in y do z; done", 2),
        ("v=1\nfor x y", 2),
        ("v=1\ncase x y) z;; esac", 2),
        ("v=1\ncase x in y z;; esac", 2),
        ("v=1\ncase x in y|) z;; esac", 2),
        ("v=1\nw=(1 2)", 2),
        ("v=1\nx y ()", 2),
        ("v=1\nx( y", 2),
        ("v=1\nif\\\n x; then y; fi", 2),
        ("v=1\nx() y", 2),
        ("v=1\nreturn 0", 2),
        ("v=1\n[ -f x ] && exit", 2),
        ("v=1\nif x; then exec y; fi", 2),
        ("v=1\nw=\0", 2),
        ("v=1\n" + "$(" * 50, 2),
        ("v=1\n" + "{ " * 50, 2),
    ],
)
def test_what_cannot_be_followed_is_a_problem_and_blocks_every_edit(text: str, line: int) -> None:
    conf = RcConf.parse(text)
    assert conf.text == text
    assert [found for found, _ in conf.problems] == [line]
    assert conf.get("v") == ("1" if line > 1 else None)
    edits: list[Callable[[], RcConf]] = [
        lambda: conf.set("v", "2"),
        lambda: conf.add("n", "2", "v"),
        lambda: conf.unset("v"),
        lambda: conf.rename("v", "n"),
    ]
    for edit in edits:
        with pytest.raises(TextFileError, match=rf"^line {line}: .*\(correct the file by hand first\)$"):
            edit()


def test_nothing_of_a_line_with_an_error_counts_as_sh_runs_none_of_it() -> None:
    conf = RcConf.parse("v=1\nv=2; w=3; readonly u; if\n")
    assert (conf.get("v"), conf.get("w"), conf.conditional_names) == ("1", None, ())


def test_what_stands_behind_a_return_is_not_read() -> None:
    conf = RcConf.parse("v=1\nw=2; return; w=3\nv=4\n")
    assert (conf.get("v"), conf.get("w")) == ("1", "2")
    assert RcConf.parse("x && return\nv=4\n").get("v") == "4"


@given(ANY_TEXT | SOUP | SCRIPT)
def test_any_text_comes_back_unchanged(text: str) -> None:
    conf = RcConf.parse(text)
    assert conf.text == text
    for assignment in conf.assignments:
        start, end = assignment.span
        assert text[start:end].endswith(f"={assignment.raw}")
