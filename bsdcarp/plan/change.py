"""The parts of a plan: changed files, live commands, and the whole for one host."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from bsdcarp.model import Finding
from bsdcarp.plaintext import printable
from bsdcarp.plan.command import Command
from bsdcarp.plan.mask import mask

__all__ = ["FileChange", "LiveChange", "Plan"]

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
        before, after = self.before or "", self.after or ""
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            "/dev/null" if self.before is None else f"a{self.path}",
            "/dev/null" if self.after is None else f"b{self.path}",
        )
        shown: list[str] = []
        for line in lines:
            shown.append(printable(mask(line.rstrip("\n"), before=before, after=after), keep="\t"))
            if not line.endswith("\n") and line[:1] in "+- ":
                shown.append(_NO_NEWLINE)
        return shown


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

    def __bool__(self) -> bool:
        return bool(self.files or self.live)
