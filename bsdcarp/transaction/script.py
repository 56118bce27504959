"""The transaction script: the fixed program, completed with one plan."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from bsdcarp.errors import TextFileError
from bsdcarp.plan import FileChange, LiveChange, Plan
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
    the standard input of /bin/sh on the host and nowhere else.  Raises ``TextFileError`` for a file with NUL bytes,
    which sh cannot carry.
    """
    parts = [f"T={quote(token)}", f"TX={quote(name)}", f"OWNER={quote(owner)}", _program()]
    parts += _function("plan_check", (f"check {quote(c.path)} {_sum_or_absent(c)}" for c in plan.files))
    kept = [f"keep_in {' '.join(quote(d) for d in _directories(plan))}"] if plan.files else []
    parts += _function("plan_stage", [*kept, *(line for c in plan.files for line in _stage(c, token))])
    parts += _function("plan_commit", (_commit(c) for c in plan.files))
    for number, change in enumerate(plan.live, 1):
        parts += _function(f"live_{number}", [change.command.shell])
        parts += _function(f"undo_{number}", _undo(change))
    parts += _function("plan_live", (f"live {number}" for number in range(1, len(plan.live) + 1)))
    parts.append("transact </dev/null\n")
    return "\n".join(parts).encode("utf-8", "surrogateescape")


def _directories(plan: Plan) -> list[str]:
    """Return the files' directories, relative, each once."""
    return list(dict.fromkeys("." + change.path.rpartition("/")[0] for change in plan.files))


def _function(name: str, lines: Iterator[str] | list[str]) -> list[str]:
    body = list(lines)
    return [f"{name}() {{", *(body or [":"]), "}"]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _sum_or_absent(change: FileChange) -> str:
    return "absent" if change.before is None else quote(cksum(_bytes(change.before)))


def _stage(change: FileChange, token: str) -> Iterator[str]:
    yield f"backup {quote(change.path)} {_sum_or_absent(change)}"
    if change.after is None:
        return
    if "\0" in change.after:
        raise TextFileError("the file holds NUL bytes", place=change.path, remedy="repair it by hand")
    data = _bytes(change.after)
    head = f"stage {quote(change.path)} {change.mode:o} {quote(cksum(data))} {len(data)}"
    # The marker is random, so no line of the text can end the here-document early.
    if not change.after:
        yield f"{head} </dev/null"
    elif change.after.isascii():
        end = "" if change.after.endswith("\n") else "\n"
        yield f"{head} <<'{token}'\n{change.after}{end}{token}"
    else:
        yield f"{head} escaped <<'{token}'\n{_escaped(data)}\n{token}"


def _escaped(data: bytes) -> str:
    r"""Return ``data`` for printf(1)'s %b; newlines at the end, which ``$( )`` would strip, become ``\n``."""
    body = data.rstrip(b"\n")
    text = "".join(f"\\0{byte:03o}" if byte >= 0x80 else chr(byte) if byte != 0x5C else "\\\\" for byte in body)
    return text + "\\n" * (len(data) - len(body))


def _commit(change: FileChange) -> str:
    return f"{'delete' if change.after is None else 'commit'} {quote(change.path)}"


def _undo(change: LiveChange) -> list[str]:
    lines = [f"{command.shell} || undone=no" for command in change.undo]
    return ["undone=yes", *lines, '[ "$undone" = yes ]'] if lines else [":"]
