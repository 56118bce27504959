"""The login shell that an SSH server hands a command to: csh before FreeBSD 14, sh since.

A command that only sh understands has to fail in the lab as it fails on such a host.  Where the machine that runs the
lab has a csh, that one is used.  Where it has none, ``translate`` reads the command by csh's rules (csh(1): lexical
structure, input/output, variable substitution, history substitution), and says in sh what csh would have done, its
complaint included.  Loops, ``if``, ``set`` and aliases are left out: nobody sends those to a host of unknown shell.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Literal

__all__ = ["Login", "find_csh", "login", "startup_noise", "translate"]

_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+)
      | (?P<comment>\#[^\n]*)
      | (?P<operator>\|\||&&|\|&|>>&|>&|>>|<<|[|&;<>()\n])
      | (?P<text>(?:'[^'\n]*'|"[^"\n]*"|`[^`\n]*`|\\.|\$\{?\#|[^'"`\\ \t|&;<>()\n\#])+)
      | (?P<open>['"`])
      | (?P<rest>\\)""",
    re.VERBOSE | re.DOTALL,
)
_VARIABLE = re.compile(
    r"\\.|'[^']*'|\$(?P<brace>\{)?(?P<sigil>[?#])?(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[$<])?(?(brace)\}?)", re.DOTALL
)
_HISTORY = re.compile(r"\\.|!(?![ \t\n=(\"]|$)(?P<event>[^\s:'\"`;&|<>()]*)", re.DOTALL)
_NAMES: Mapping[str, str] = {
    "argv": "*",
    "cwd": "PWD",
    "home": "HOME",
    "path": "PATH",
    "shell": "SHELL",
    "status": "?",
    "user": "USER",
}
# Commands csh runs itself, as far as sh has the same under the same name and meaning (csh(1), Builtin commands).
_SHARED_BUILTINS = frozenset(
    {"alias", "bg", "cd", "echo", "eval", "exec", "exit", "fg", "jobs", "kill", "umask", "wait", ":"}
)


class _Syntax(Exception):
    """What csh says about the line as a whole, before it runs any of it."""


@dataclass(slots=True)
class _Command:
    words: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    redirects: list[str] = field(default_factory=list)
    reads: bool = False
    writes: bool = False

    def __bool__(self) -> bool:
        return bool(self.words or self.group or self.redirects)


@dataclass(frozen=True, slots=True)
class Login:
    """How to start what was asked for: ``executable`` with ``argv``."""

    executable: str
    argv: tuple[str, ...]


def find_csh() -> str | None:
    """A real csh of this machine, tcsh first since that is what FreeBSD's /bin/csh is."""
    return shutil.which("tcsh") or shutil.which("csh")


def login(shell: Literal["csh", "sh"], command: str, environ: Mapping[str, str], csh: str | None) -> Login:
    """What sshd starts for ``command``: ``SHELL -c COMMAND``, with sh in csh's place if ``csh`` is None."""
    if shell == "sh":
        return Login("/bin/sh", ("sh", "-c", command))
    if csh:
        return Login(csh, ("csh", "-c", command))
    path = environ.get("PATH")
    return Login(
        "/bin/sh", ("sh", "-c", translate(command, environ, lambda name: shutil.which(name, path=path) is not None))
    )


def startup_noise(cshrc: str) -> str:
    """What a ``.cshrc`` made of plain ``echo`` lines prints; other lines are not understood and print nothing."""
    echoed = (re.fullmatch(r"\s*echo\s+(['\"]?)(?P<text>.*?)\1\s*", line) for line in cshrc.splitlines())
    return "".join(f"{match['text']}\n" for match in echoed if match)


def translate(command: str, environ: Mapping[str, str], installed: Callable[[str], bool]) -> str:
    """Say in sh what csh does with ``command``; ``installed`` tells whether a command is found in PATH."""
    try:
        _look_for_history(command)
        _look_at_variables(command)
        return " ".join(_list(_tokens(command), environ, installed, nested=False))
    except _Syntax as error:
        return _complain(str(error), "exit 1")


def _complain(message: str, then: str) -> str:
    return f"{{ printf '%s\\n' {quote(message)} >&2; {then}; }}"


def _look_for_history(command: str) -> None:
    # csh -c looks for ! even inside single quotes; a fresh shell has no history to find anything in.
    for match in _HISTORY.finditer(command):
        if match["event"] is not None:
            raise _Syntax(f"{match['event'] or 0}: Event not found.")


def _tokens(command: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(command):
        if match.lastgroup == "open":
            raise _Syntax(f"Unmatched '{match.group()}'.")
        if match.lastgroup in {"operator", "text"}:
            yield match.lastgroup, match.group()


def _list(
    tokens: Iterator[tuple[str, str]], environ: Mapping[str, str], installed: Callable[[str], bool], *, nested: bool
) -> list[str]:
    result: list[str] = []
    current = _Command()
    piped = False

    def finish(separator: str) -> None:
        nonlocal current, piped
        pipe = separator.startswith("|") and separator != "||"
        if not current and (pipe or piped or separator in {"&&", "||"}):
            raise _Syntax("Invalid null command.")
        if pipe and current.writes:
            raise _Syntax("Ambiguous output redirect.")
        if piped and current.reads:
            raise _Syntax("Ambiguous input redirect.")
        if current:
            result.append(_render(current, environ, installed))
            result.append({"|&": "2>&1 |", "\n": ";"}.get(separator, separator))
        current, piped = _Command(), pipe

    for kind, text in tokens:
        if kind == "text":
            if current.group:
                raise _Syntax("Badly placed ()'s.")
            current.words.append(text)
        elif text == "(":
            if current:
                raise _Syntax("Badly placed ()'s.")
            current.group = ["(", *_list(tokens, environ, installed, nested=True), ")"]
        elif text == ")":
            if not nested:
                raise _Syntax("Too many )'s.")
            finish(";")
            if not result:
                raise _Syntax("Invalid null command.")
            return result
        elif text[0] in "<>":
            _redirect(current, text, tokens)
        else:
            finish(text)
    if nested:
        raise _Syntax("Too many ('s.")
    if not current and result[-1:] and result[-1] in {"&&", "||"}:
        raise _Syntax("Invalid null command.")
    finish("\n")
    return result


def _redirect(command: _Command, operator: str, tokens: Iterator[tuple[str, str]]) -> None:
    kind, target = next(tokens, ("", ""))
    if kind != "text":
        raise _Syntax("Missing name for redirect.")
    if operator.startswith("<"):
        if command.reads:
            raise _Syntax("Ambiguous input redirect.")
        command.reads = True
    else:
        if command.writes:
            raise _Syntax("Ambiguous output redirect.")
        command.writes = True
    both = operator.endswith("&")
    command.redirects.append(f"{operator.removesuffix('&')}{target}" + (" 2>&1" if both else ""))


def _render(command: _Command, environ: Mapping[str, str], installed: Callable[[str], bool]) -> str:
    if not command.words and not command.group:
        raise _Syntax("Invalid null command.")
    try:
        words = [_substitute(word, environ) for word in [*command.words, *command.redirects]]
    except _Syntax as error:
        # A bad variable stops the list where it stands; what came before it has run.
        return _complain(str(error), "exit 1")
    if command.group:
        return " ".join([*command.group, *words])
    name = command.words[0]
    plain = re.fullmatch(r"[^'\"`\\$*?\[~]+", name)
    if re.match(r"\w+=", name) or (plain and name not in _SHARED_BUILTINS and not installed(name)):
        return _complain(f"{name}: Command not found.", "(exit 1)")
    return " ".join(words)


def _look_at_variables(command: str) -> None:
    # csh's lexer already refuses what cannot be a variable, so nothing of the line runs.
    for match in _VARIABLE.finditer(command):
        following = command[match.end() : match.end() + 1]
        if not match.group().startswith("$") or (match["name"] is None and match["sigil"]):
            continue
        if match["name"] is None and (match["brace"] or following not in {"", " ", "\t", "\n", "'"}):
            raise _Syntax("Illegal variable name.")
        if match["brace"] and not match.group().endswith("}"):
            modifier = command[match.end() + 1 : match.end() + 2]
            raise _Syntax(f"Bad : modifier in $ '{modifier}'." if following == ":" else "Missing '}'.")


def _substitute(word: str, environ: Mapping[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match.group()
        known = _NAMES.get(name, name)
        defined = known in environ or known in {"?", "*", "$", "PWD"} or name.isdigit()
        if match["sigil"] == "?":
            return str(int(defined))
        if not defined:
            raise _Syntax(f"{name}: Undefined variable.")
        return f"${{{known}}}"

    return _VARIABLE.sub(replacement, word)
