"""The parts of a plan: changed files, live commands, and the whole for one host."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from bsdcarp.model import Finding
from bsdcarp.plaintext import printable
from bsdcarp.plan.command import Command
from bsdcarp.plan.mask import masked_lines, split_lines

__all__ = ["FREEBSD_STATE", "FileChange", "LiveChange", "Plan"]

FREEBSD_STATE = "/var/db/bsdcarp"
"""Where FreeBSD hosts keep their transactions and the record; Linux hosts have /var/lib/bsdcarp."""
_NO_NEWLINE = "\\ No newline at end of file"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file: its whole text before and after, None where it does not exist."""

    path: str
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)
    mode: int = 0o644
    """Used only when the file has to be created; otherwise the mode stays."""

    @property
    def kind(self) -> str:
        """``create``, ``remove`` or ``edit``."""
        if self.before is None:
            return "create"
        return "remove" if self.after is None else "edit"

    def diff(self) -> list[str]:
        """Return a unified diff without line ends, every password masked and every control character spelled out."""
        old, new = split_lines(self.before or ""), split_lines(self.after or "")
        old_shown, new_shown = masked_lines(self.before or "", self.after or "")
        shown: list[str] = []

        def show(sign: str, lines: list[str]) -> None:
            for line in lines:
                shown.append(sign + printable(line.removesuffix("\n"), keep="\t"))
                if not line.endswith("\n"):
                    shown.append(_NO_NEWLINE)

        # What is compared are the true lines; what is shown are the masked ones.
        for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(3):
            first, last = group[0], group[-1]
            shown.append(f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@")
            for tag, i1, i2, j1, j2 in group:
                if tag == "equal":
                    show(" ", new_shown[j1:j2])
                else:
                    show("-", old_shown[i1:i2])
                    show("+", new_shown[j1:j2])
        if not shown:
            return []
        head = "/dev/null" if self.before is None else f"a{self.path}"
        tail = "/dev/null" if self.after is None else f"b{self.path}"
        return [f"--- {head}", f"+++ {tail}", *shown]


def _range(start: int, stop: int) -> str:
    """Lines of one side of a hunk, as unified diffs count them."""
    length = stop - start
    if length == 1:
        return f"{start + 1}"
    return f"{start + 1 if length else start},{length}"


@dataclass(frozen=True, slots=True)
class LiveChange:
    """One command on the running system, what it is for, and what takes it back (in order)."""

    why: str
    command: Command
    undo: tuple[Command, ...] = ()
    restarts: int = 0
    """The vhid that this command restarts, so that its group elects anew; 0 for none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change on one host.  False when nothing has."""

    host: str
    files: tuple[FileChange, ...] = ()
    live: tuple[LiveChange, ...] = ()
    notes: tuple[Finding, ...] = ()
    """What the operator should know before it runs: restarts of a vhid, a kernel still to be built."""
    early: int = 0
    """So many of the live commands, from the first on, run before the files are put in place."""
    restored: tuple[Command, ...] = ()
    """What has to run after old files were put back, so that a daemon reads them again."""
    state: str = FREEBSD_STATE
    """Where the host keeps its transactions and the record."""

    def __bool__(self) -> bool:
        return bool(self.files or self.live)
