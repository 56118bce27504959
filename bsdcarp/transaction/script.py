"""The programs of a transaction as they are sent: the fixed parts, completed with one plan and its terms."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import TextFileError
from bsdcarp.hostlock import lock_program, waits_program
from bsdcarp.plan import FREEBSD_STATE, Command, FileChange, Plan, ProgramChange
from bsdcarp.shellwords import bare, quote
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.transaction.hooks import Hook, boot_hooks
from bsdcarp.transaction.recorded import written

__all__ = ["KEEP", "Terms", "confirmation_script", "program", "transaction_script", "undo_script"]

KEEP = 20
"""Transactions that a host keeps."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one run of a transaction is called, who runs it, and on which terms it becomes final."""

    name: str
    """``tx-`` and letters, digits and hyphens; each host numbers them in the order of their arrival."""
    owner: str
    """One line that tells a second operator who is at work."""
    claim: str
    """What a confirmation has to carry."""
    window: int = 120
    """Seconds after which the host takes everything back unless somebody confirmed; 0 makes it final at once."""
    reboot_window: int = 0
    """With ``--confirm after-reboot``: seconds after the next boot instead; 0 takes everything back at a reboot."""
    steal: bool = False
    """Take the lock away from a process that is gone."""


@cache
def program(name: str) -> str:
    """Return the text of one of the programs in this package, ``common.sh`` with what it builds on."""
    text = bare((files("bsdcarp.transaction") / name).read_text(encoding="utf-8"))
    return waits_program() + text if name == "common.sh" else text


def transaction_script(plan: Plan, terms: Terms, *, token: str) -> bytes:
    """Return the script that puts ``plan`` into force; ``token`` marks the lines of its report.

    The result holds passwords: it goes to the standard input of /bin/sh on the host and nowhere else.  Raises
    ``TextFileError`` for a file with NUL bytes on FreeBSD, which has no base64(1) before 14 and sh cannot carry them.
    """
    hooks = boot_hooks(plan.init, f"{plan.state}/{terms.name}")
    paths = "".join(f"{hook.path}\n" for hook in hooks)
    lasting = quote("\n".join(str(number) for number, c in enumerate(plan.live, 1) if c.command.lasting))
    head = [*_where(terms.name, plan.state), f"EARLY={plan.early}", f"LASTING={lasting}"]
    undo = [f"undo_{number}" for number in range(1, len(plan.live) + 1)]
    taking_back = [line for name, c in zip(undo, plan.live, strict=True) for line in _function(name, _undo(c.undo))]
    taking_back += _function("plan_restore", (f"restore {quote(c.path)} {_sum_or_absent(c)}" for c in plan.files))
    taking_back += _function("plan_restored", _undo(plan.restored))
    taking_back += _function("plan_undrain", [plan.drain.undo.shell] if plan.drain else [])
    taking_back += _function("plan_demotion", [plan.drain.read.shell] if plan.drain else [])
    undo_program = ["T=${BSDCARP_MARK-}", *head, program("common.sh"), program("undo.sh"), *taking_back, 'undo "$@"']
    parts = [f"T={quote(token)}", *head]
    parts += [
        f"HOOKS={quote(paths)}",
        f"OWNER={quote(terms.owner)}",
        f"TOKEN={quote(terms.claim)}",
        f"WINDOW={terms.window}",
    ]
    parts += [f"REBOOT_WINDOW={terms.reboot_window or ''}", f"STEAL={'yes' if terms.steal else ''}"]
    parts += [f"UNDO={quote(chr(10).join(undo_program))}", f"PLAN={quote(written(plan, terms.name, terms.owner))}"]
    parts += [program("common.sh"), lock_program(), program("transact.sh"), *_plan_functions(plan, hooks, token)]
    return _sent([*parts, *taking_back, "transact </dev/null"])


def confirmation_script(name: str, state: str, claim: str, *, token: str) -> bytes:
    """Return the script that makes transaction ``name`` final."""
    head = [f"T={quote(token)}", *_where(name, state), f"CLAIM={quote(claim)}"]
    return _sent([*head, program("common.sh"), program("confirm.sh"), "confirm </dev/null"])


def undo_script(name: str, state: str, why: str, *, token: str) -> bytes:
    """Return the script that takes the pending transaction ``name`` back at once."""
    head = [f"T={quote(token)}", *_where(name, state)]
    run = f'BSDCARP_MARK=$T /bin/sh "$HERE/undo" now {quote(why)} </dev/null'
    return _sent([*head, program("common.sh"), f'if [ -f "$HERE/undo" ]; then {run}; else say unknown; report; fi'])


def _where(name: str, state: str) -> list[str]:
    system = "freebsd" if state == FREEBSD_STATE else "linux"
    return [f"TX={quote(name)}", f"STATE={quote(state)}", f"KEEP={KEEP}", f"SYSTEM={system}"]


def _sent(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _plan_functions(plan: Plan, hooks: Iterable[Hook], token: str) -> Iterator[str]:
    there, coming = _by_directory(plan, "before"), _by_directory(plan, "after")
    gone = [change.path for change in plan.files if change.after is None]
    leaving = [f"leaving {quote(path)}" for path in gone]
    checks = [f"check {quote(c.path)} {_sum_or_absent(c)}" for c in _in_order(plan)]
    yield from _function("plan_check", [*checks, *leaving])
    yield from _function("plan_live_check", _live_check(plan))
    yield from _function("plan_keep", _keep(plan, there))
    yield from _function("plan_hooks", (_hook(hook) for hook in hooks))
    yield from _function("plan_stage", (_stage(c, plan, token) for c in plan.files if c.after is not None))
    deletion = [f"delete {_quoted(gone)}"] if gone else []
    yield from _function("plan_commit", [*(f"commit {_quoted(words)}" for words in coming), *deletion])
    for number, change in enumerate(plan.live, 1):
        yield from _function(f"live_{number}", [change.command.shell])
    live = [f"live {number}" for number in range(1, len(plan.live) + 1)]
    yield from _function("plan_early", live[: plan.early])
    yield from _function("plan_live", live[plan.early :])
    drain = plan.drain
    yield from _function("plan_drain", [f"drain {drain.amount}"] if drain else [])
    yield from _function("plan_undrain_after", ["undrain"] if drain else [])
    if drain:
        yield from _function("plan_demote", [drain.demote.shell])
        held = f"case $({drain.role.shell} 2>/dev/null) in *MASTER*) ;; *) return 1 ;; esac"
        yield from _function("plan_is_master", [held])


def _live_check(plan: Plan) -> list[str]:
    if plan.expects is None:
        return []
    vhids, addresses = ("".join(f"{line}\n" for line in part) for part in (plan.expects.vhids, plan.expects.addresses))
    return [f"as_seen {quote(vhids)} {quote(addresses)}"]


def _hook(hook: Hook) -> str:
    if hook.link:
        return f"hook_link {quote(hook.path)} {quote(hook.text)}"
    return f"hook {quote(hook.path)} {hook.mode:o} {quote(hook.text)}"


def _in_order(plan: Plan) -> list[FileChange | ProgramChange]:
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
    prepare = " ".join(["prepare", *(quote(c.path) for c in plan.files)])
    return [prepare, *(f"keep {_quoted(words)}" for words in there)]


def _quoted(words: list[str]) -> str:
    return " ".join(map(quote, words))


def _function(name: str, lines: Iterable[str]) -> list[str]:
    body = list(lines)
    return [f"{name}() {{", *(body or [":"]), "}"]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _sum_or_absent(change: FileChange | ProgramChange) -> str:
    return "absent" if change.before is None else quote(change.sum_before)


def _stage(change: FileChange | ProgramChange, plan: Plan, token: str) -> str:
    text, data = "", change.after or b""
    if isinstance(data, str):
        text, data = data, _bytes(data)
    head = f"stage {quote(change.path)} {change.mode:o} {quote(cksum(data))} {len(data)}"
    if change.copied:
        return f"{head} copy {quote(change.copied)}"
    if isinstance(change, ProgramChange) or "\0" in text:
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
