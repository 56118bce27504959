"""The transactions that a host keeps: which one is pending, how the others ended, and the plan that takes them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import PlanError, RemoteError
from bsdcarp.plaintext import printable
from bsdcarp.plan import FREEBSD_STATE, FileChange, Init, LiveChange, Plan, ProgramChange
from bsdcarp.shellwords import quote
from bsdcarp.snapshot import FileState
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.transaction.recorded import Recorded, RecordedFile, read_recorded
from bsdcarp.transaction.script import program
from bsdcarp.transaction.wayback import way_back

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
    """Return the paths that a plan for taking these back needs: every changed file, and its oldest copy."""
    found: dict[str, None] = {}
    for path, (entry, file) in _oldest(taken_back).items():
        found[path] = None
        if file.existed:
            found[_copy(state, entry, path)] = None
    return list(found)


def rollback_plan(
    host: str, state: str, init: Init, taken_back: Iterable[Past], files: Mapping[str, FileState]
) -> Plan:
    """Return the plan that takes transactions back, given newest first.

    ``files`` are the contents of ``kept_paths``.  Each file gets what it held before the oldest of them, mode and
    owner included; what runs before and after that is ``way_back``.  Raises ``PlanError`` when a copy is gone.
    """
    entries = tuple(taken_back)
    changes: list[FileChange | ProgramChange] = []
    for path, (entry, file) in _oldest(entries).items():
        copied = _copy(state, entry, path) if file.existed else ""
        if copied and copied not in files:
            raise PlanError(f"the copy of {path} in {entry.name} is gone", place=host, remedy="roll back a newer one")
        if copied and file.sum and cksum(files[copied].text.encode("utf-8", "surrogateescape")) != file.sum:
            raise PlanError(
                f"the copy of {path} in {entry.name} is not what it was: the file was edited under another name",
                place=host,
                remedy="roll back a newer one",
            )
        before = files[path].text if path in files else None
        after = files[copied].text if copied else None
        if before == after:
            continue
        if file.program:
            data = None if after is None else after.encode("utf-8", "surrogateescape")
            old = None if before is None else cksum(before.encode("utf-8", "surrogateescape"))
            changes.append(ProgramChange(path, old, data, f"as before {entry.name}", copied=copied))
        else:
            changes.append(FileChange(path, before, after, 0o600, copied=copied))
    way = way_back([entry.record for entry in entries], files_change=bool(changes))
    live = (*way.before, *(LiveChange("old files are read again", command) for command in way.restored), *way.after)
    return Plan(host, tuple(changes), live, early=len(way.before), init=init, state=state, restored=way.restored)


def _oldest(taken_back: Iterable[Past]) -> dict[str, tuple[Past, RecordedFile]]:
    """Return every changed file with the oldest transaction that changed it: its copy is what was there before."""
    return {file.path: (entry, file) for entry in taken_back for file in entry.record.files}


def _copy(state: str, entry: Past, path: str) -> str:
    return f"{state}/{entry.name}{path}"
