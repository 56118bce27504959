"""What real shells make of an rc.conf, and generators of texts to ask them about."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
SHELLS = ["/bin/sh"] + [bash for bash in [shutil.which("bash")] if bash]

_CHECK = """
cd "$1" || exit 9
n=0
while [ "$n" -lt "$2" ]; do
  if "$3" -n "./f$n" </dev/null >/dev/null 2>&1; then echo yes; else echo no; fi
  n=$((n+1))
done
"""

# One process for many files.  Each is sourced, as rc does it, in a subshell that cannot reach any program.
_DRIVER = """
cd "$1" || exit 9
n=0
while [ "$n" -lt "$2" ]; do
  (
    unset a b c d; ulimit -t 5; PATH=/nonexistent
    . "./f$n" </dev/null >/dev/null 2>&1
    for v in a b c d; do
      eval "if [ \\"\\${$v+set}\\" ]; then printf '+%s\\\\0' \\"\\$$v\\"; else printf -- '-\\\\0'; fi"
    done
  ) >"../out/o$n" 2>/dev/null
  n=$((n+1))
done
"""


def _run(script: str, shell: str, texts: Sequence[str], top: str) -> str:
    """Write the texts to top/in/f0, f1 ... and run the driver on them; returns its standard output."""
    work = Path(top, "in")
    work.mkdir()
    Path(top, "out").mkdir()
    for number, text in enumerate(texts):
        (work / f"f{number}").write_bytes(text.encode("utf-8", "surrogateescape"))
    done = subprocess.run(
        [shell, "-c", script, "driver", str(work), str(len(texts)), shell],
        check=True,
        timeout=60,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout


def parses(shell: str, texts: Sequence[str]) -> list[bool]:
    """Ask the shell which texts are free of syntax errors, as rc would before it runs anything of them."""
    with tempfile.TemporaryDirectory() as top:
        return [answer == "yes" for answer in _run(_CHECK, shell, texts, top).split()]


def evaluate(shell: str, texts: Sequence[str]) -> list[dict[str, str | None] | None]:
    """Source each text; None where the shell does not come to its end."""
    with tempfile.TemporaryDirectory() as top:
        _run(_DRIVER, shell, texts, top)
        results: list[dict[str, str | None] | None] = []
        for number in range(len(texts)):
            said = Path(top, "out", f"o{number}").read_bytes().decode("utf-8", "surrogateescape").split("\0")
            complete = len(said) == len(NAMES) + 1
            found = {n: value[1:] if value[0] == "+" else None for n, value in zip(NAMES, said, strict=False) if value}
            results.append(found if complete else None)
        return results


ANY_TEXT = st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "surrogateescape"))

_HOSTILE = [
    "'",
    '"',
    "$",
    "`",
    "\\",
    "\n",
    " ",
    "\t",
    "\r",
    *";&|<>()*?[]{}~#!=:",
    "a",
    "$a",
    "$(",
    "\\\n",
    "EOF",
    "é",
    "\udcff",
]
HOSTILE_VALUE = st.lists(st.sampled_from(_HOSTILE), max_size=8).map("".join)

_SOUP = [
    *(
        "a",
        "b",
        "c",
        "a=",
        "b=",
        "c=",
        "=",
        "1",
        "x",
        ";",
        ";",
        "'",
        '"',
        "\\",
        "$",
        "`",
        "(",
        ")",
        "{",
        "}",
        "#",
        "&",
        "|",
    ),
    *(
        "&&",
        "||",
        "<",
        ">",
        "<<E",
        "<<-E",
        "E",
        "~",
        ":",
        "-",
        "%",
        "*",
        "\\\n",
        "$(",
        "${",
        "$((",
        "))",
        "2>",
        "$a",
        "${b:-",
    ),
    *(
        "if ",
        "then ",
        "fi\n",
        "else ",
        "elif ",
        "case ",
        "in ",
        "esac\n",
        ";;",
        "for ",
        "do ",
        "done\n",
        "! ",
        "export ",
    ),
    *("unset ", "read ", "{ ", "}\n", "f()", ":\n", "\\n", "#x\n", "$'", '$"', "\r", "\x0b", "é", "\udc80", "\nE\n"),
    *(" ", " ", "\n", "\n", "\t"),
]
SOUP = st.lists(st.sampled_from(_SOUP), max_size=14).map("".join)

_PIECES = [
    "x",
    "'q r'",
    '"d $a e"',
    '"p\\"q\\$\\`\\z"',
    "\\ ",
    "\\\n",
    "$a",
    "${b}",
    "${c:-d}",
    "$(echo y)",
    "`echo z`",
    "#",
    "=",
    ":",
]
_PIECES += [
    "~",
    "%",
    "'a\nb'",
    '"l\n  m"',
    "5$%",
    "\\#",
    "{1,2}",
    '"$(echo "in ) ner")"',
    "$((1+2))",
    "${a%x}",
    "!",
    "\\\\",
]
WORD = st.lists(st.sampled_from(_PIECES), max_size=3).map("".join)
ASSIGNMENT = st.builds("{}={}".format, st.sampled_from("abc"), WORD)
SEPARATOR = st.sampled_from(["\n", "\n", "\n", ";", " ; ", " # com ' \" $(\n", "\n\n  ", ";# c\n", " & "])
_SIMPLE = st.one_of(
    ASSIGNMENT,
    ASSIGNMENT,
    st.builds("{} {}".format, ASSIGNMENT, ASSIGNMENT),
    st.builds("export {} {}".format, ASSIGNMENT, ASSIGNMENT),
    st.builds("{} :".format, ASSIGNMENT),
    st.builds("{} echo hi".format, ASSIGNMENT),
    st.builds("! {}".format, ASSIGNMENT),
    st.builds("{} >/dev/null".format, ASSIGNMENT),
    st.builds("command export {}".format, ASSIGNMENT),
    st.builds("cat <<'E'; {}\n$( ` \nE".format, ASSIGNMENT),
    st.sampled_from(
        [":", "false", "unset a", "read b", ": ${c:=dd}", ": $((a=3))", "export c", "f", "readonly a", "return"]
    ),
    st.sampled_from(["cat <<E\n$a ${b} \\\nE\nE", "cat <<-E\n\tb=1\n\tE", "eval a=1", "[ x = x ]", "$a"]),
)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(st.builds("{}{}".format, inner, SEPARATOR), min_size=1, max_size=2).map("".join)
    return st.one_of(
        st.builds("if {}\nthen {}\nfi".format, inner, body),
        st.builds("if {}; then\n{}\nelse {}\nfi".format, inner, body, body),
        st.builds("case x in x) {};;\n(y|z) {}\nesac".format, inner, body),
        st.builds("for b in 1 2; do {}\ndone".format, body),
        st.builds("{{ {}\n}}".format, body),
        st.builds("( {}\n)".format, body),
        st.builds("{} && {}".format, inner, inner),
        st.builds("{} || \n{}".format, inner, inner),
        st.builds("{} | {}".format, inner, inner),
        st.builds("f() {{ {}\n}}".format, body),
        st.builds("a=$({}\n)".format, body),
    )


COMMAND = st.recursive(_SIMPLE, _compound, max_leaves=4)
SCRIPT = st.lists(st.builds("{}{}".format, COMMAND, SEPARATOR), max_size=4).map("".join)
PLAIN_SCRIPT = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["", "  ", "\t", "# comment\n"]),
        st.one_of(
            ASSIGNMENT, st.builds("export {}".format, ASSIGNMENT), st.builds("{} {}".format, ASSIGNMENT, ASSIGNMENT)
        ),
        st.sampled_from(["\n", "\n", ";", " # c\n", "; ", ""]).map(lambda end: end or "\n"),
    ),
    max_size=5,
).map("".join)
