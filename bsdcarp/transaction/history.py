"""The transactions that a host keeps: which one is pending, how the others ended, and the plan that takes them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bsdcarp.errors import PlanError, RemoteError
from bsdcarp.plaintext import printable
from bsdcarp.plan import FREEBSD_STATE, Command, FileChange, Init, LiveChange, Plan, ProgramChange
from bsdcarp.shellwords import quote
from bsdcarp.snapshot import FileState
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.transaction.recorded import Recorded, read_recorded
from bsdcarp.transaction.script import program

__all__ = ["History", "Past", "history_script", "kept_paths", "read_history", "rollback_plan"]


@dataclass(frozen=True, slots=True)
class Past:
    """One transaction that a host keeps."""

    name: str
    outcome: str
    """``confirmed``, ``undone ...``, ``untouched ...``, ``broken ...``, or ``under way``; safe to print."""
    record: Recorded

    @property
    def lasting(self) -> bool:
        """Whether it changed the host for good."""
        return self.outcome == "confirmed"


@dataclass(frozen=True, slots=True)
class History:
    """What a host keeps, oldest first."""

    pending: str = ""
    """Name of the transaction that waits for its confirmation."""
    past: tuple[Past, ...] = ()


def history_script(state: str, *, token: str) -> bytes:
    """Return the script that lists the transactions under ``state``."""
    system = "freebsd" if state == FREEBSD_STATE else "linux"
    head = [f"T={quote(token)}", "TX=", f"STATE={quote(state)}", "KEEP=0", f"SYSTEM={system}"]
    return "\n".join([*head, program("common.sh"), program("list.sh"), "list </dev/null\n"]).encode()


def read_history(answer: bytes, token: str, *, host: str) -> History:
    """Read the report of ``history_script``.  Raises ``RemoteError`` when it ends early or makes no sense."""
    pieces = answer.decode("utf-8", "surrogateescape").split(f"\n{token} ")[1:]
    pending, numbered, whole = "", list[tuple[int, Past]](), False
    for piece in pieces:
        head, _, body = piece.partition("\n")
        word, _, rest = head.partition(" ")
        match word:
            case "pending":
                pending = rest.strip()
            case "transaction":
                number, name, outcome = (*rest.strip().split(" ", 2), "", "")[:3]
                order = int(number) if number.isdecimal() else 0
                numbered.append((order, Past(name, printable(outcome), read_recorded(body, host=host))))
            case "end":
                whole = True
            case _:
                pass
    if not whole:
        raise RemoteError("the list of transactions is incomplete", place=host, remedy="try again")
    # Of equal numbers, which only hosts have that never gave any, the names decide.
    return History(pending, tuple(past for _, past in sorted(numbered, key=lambda entry: (entry[0], entry[1].name))))


def kept_paths(state: str, taken_back: Iterable[Past]) -> list[str]:
    """Return the paths that a plan for taking these back needs: every changed file, and its copy."""
    found: dict[str, None] = {}
    for entry in taken_back:
        for file in entry.record.files:
            found[file.path] = None
            if file.existed:
                found[f"{state}/{entry.name}{file.path}"] = None
    return list(found)


def rollback_plan(
    host: str, state: str, init: Init, taken_back: Iterable[Past], files: Mapping[str, FileState]
) -> Plan:
    """Return the plan that takes transactions back, newest first.

    ``files`` are the contents of ``kept_paths``.  Each file gets what it held before the oldest of them; live commands
    are the recorded undos, on the other side of the files than what they undo, which is their own undo.
    """
    oldest: dict[str, FileChange | ProgramChange] = {}
    live: list[LiveChange] = []
    early = 0
    entries = tuple(taken_back)
    for entry in entries:
        for file in entry.record.files:
            now = files.get(file.path)
            kept = files.get(f"{state}/{entry.name}{file.path}") if file.existed else None
            if file.existed and kept is None:
                raise PlanError(
                    f"the copy of {file.path} in {entry.name} is gone", place=host, remedy="roll back a newer one"
                )
            before, after = (now.text if now else None), (kept.text if kept else None)
            oldest.pop(file.path, None)
            if before == after:
                continue
            if file.program:
                data = None if after is None else after.encode("utf-8", "surrogateescape")
                old = None if before is None else cksum(before.encode("utf-8", "surrogateescape"))
                oldest[file.path] = ProgramChange(file.path, old, data, f"as before {entry.name}", file.mode)
            else:
                oldest[file.path] = FileChange(file.path, before, after, file.mode)
        for number, change in _taken_back(entry.record.live):
            live.append(change)
            # What came after the files goes before they do.
            early = len(live) if number >= entry.record.early else early
    restored = entries[-1].record.restored if entries else ()
    read_again = [LiveChange("old files are read again", command) for command in restored]
    live[early:early] = read_again
    return Plan(host, tuple(oldest.values()), tuple(live), early=early, init=init, state=state, restored=restored)


def _taken_back(live: Sequence[LiveChange]) -> Iterator[tuple[int, LiveChange]]:
    """Return what takes ``live`` back, in that order, each with the number of the command it is about.

    What has no undo of its own is done again with the one before it: settings go away with their module, say, and are
    wanted again when it comes back.
    """
    owed: tuple[Command, ...] = ()
    for number, change in reversed(list(enumerate(live))):
        for place, command in enumerate(change.undo):
            again = () if place else (change.command, *owed)
            yield number, LiveChange(f"takes back: {change.why}", command, again, change.restarts)
        owed = () if change.undo else (change.command, *owed)
