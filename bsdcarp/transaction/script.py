"""The transaction script: the fixed program, completed with one plan."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal

from bsdcarp.errors import TextFileError
from bsdcarp.plan import FREEBSD_STATE, Command, FileChange, Plan
from bsdcarp.shellwords import quote
from bsdcarp.transaction.cksum import cksum

__all__ = ["transaction_script"]


@cache
def _program() -> str:
    return (files("bsdcarp.transaction") / "transact.sh").read_text(encoding="utf-8")


def transaction_script(plan: Plan, *, token: str, name: str, owner: str) -> bytes:
    """Return the script that puts ``plan`` into force.

    ``token`` marks the lines of its report, ``name`` (letters, digits and hyphens) names the transaction on the host,
    ``owner`` is one line that tells a second operator who holds the lock.  The result holds passwords: it goes to
    the standard input of /bin/sh on the host and nowhere else.  Raises ``TextFileError`` for a file with NUL bytes
    on FreeBSD, which has no base64(1) before 14 and sh cannot carry them.
    """
    parts = [f"T={quote(token)}", f"TX={quote(name)}", f"OWNER={quote(owner)}"]
    parts += [f"STATE={quote(plan.state)}", f"EARLY={plan.early}", _program()]
    there, coming = _by_directory(plan, "before"), _by_directory(plan, "after")
    parts += _function("plan_check", (f"check {quote(c.path)} {_sum_or_absent(c)}" for c in _in_order(plan)))
    parts += _function("plan_keep", _keep(plan, there))
    parts += _function("plan_stage", (_stage(c, plan, token) for c in plan.files if c.after is not None))
    gone = [change.path for change in plan.files if change.after is None]
    deletion = [f"delete {_quoted(gone)}"] if gone else []
    parts += _function("plan_commit", [*(f"commit {_quoted(words)}" for words in coming), *deletion])
    for number, change in enumerate(plan.live, 1):
        parts += _function(f"live_{number}", [change.command.shell])
        parts += _function(f"undo_{number}", _undo(change.undo))
    live = [f"live {number}" for number in range(1, len(plan.live) + 1)]
    parts += _function("plan_early", live[: plan.early])
    parts += _function("plan_live", live[plan.early :])
    parts += _function("plan_restored", _undo(plan.restored))
    parts.append("transact </dev/null\n")
    return "\n".join(parts).encode("utf-8", "surrogateescape")


def _in_order(plan: Plan) -> list[FileChange]:
    """Return the changes with those of one directory together, as the host works through them."""
    directories = list(dict.fromkeys(_split(change.path)[0] for change in plan.files))
    return sorted(plan.files, key=lambda change: directories.index(_split(change.path)[0]))


def _by_directory(plan: Plan, side: Literal["before", "after"]) -> list[list[str]]:
    """Return, for every directory, itself and the names of the files that are there on that side."""
    found: dict[str, list[str]] = {}
    for change in _in_order(plan):
        if getattr(change, side) is not None:
            directory, name = _split(change.path)
            found.setdefault(directory, [directory]).append(name)
    return list(found.values())


def _split(path: str) -> tuple[str, str]:
    directory, _, name = path.rpartition("/")
    return directory, name


def _keep(plan: Plan, there: list[list[str]]) -> list[str]:
    if not plan.files:
        return []
    absent = [f"keep_absent {quote(change.path)}" for change in plan.files if change.before is None]
    return [f"prepare {_quoted([c.path for c in plan.files])}", *(f"keep {_quoted(words)}" for words in there), *absent]


def _quoted(words: list[str]) -> str:
    return " ".join(map(quote, words))


def _function(name: str, lines: Iterable[str]) -> list[str]:
    body = list(lines)
    return [f"{name}() {{", *(body or [":"]), "}"]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _sum_or_absent(change: FileChange) -> str:
    return "absent" if change.before is None else quote(cksum(_bytes(change.before)))


def _stage(change: FileChange, plan: Plan, token: str) -> str:
    text = change.after or ""
    data = _bytes(text)
    head = f"stage {quote(change.path)} {change.mode:o} {quote(cksum(data))} {len(data)}"
    if "\0" in text:
        if plan.state == FREEBSD_STATE:
            raise TextFileError("the file holds NUL bytes", place=change.path, remedy="repair it by hand")
        # The marker is random, so no line can end the here-document early.
        return f"{head} base64 <<'{token}'\n{encodebytes(data).decode()}{token}"
    return f"{head} text {quote(text)}" if text.isascii() else f"{head} escaped {quote(_escaped(data))}"


def _escaped(data: bytes) -> str:
    r"""Return ``data`` for printf(1)'s %b."""
    return "".join(f"\\0{byte:03o}" if byte >= 0x80 else chr(byte) if byte != 0x5C else "\\\\" for byte in data)


def _undo(commands: Iterable[Command]) -> list[str]:
    lines = [f"{command.shell} || undone=no" for command in commands]
    return ["undone=yes", *lines, '[ "$undone" = yes ]'] if lines else [":"]
