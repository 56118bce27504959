"""The parts of a plan: changed files, live commands, and the whole for one host."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import field
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.model import Finding
from bsdcarp.plaintext import printable
from bsdcarp.plan.command import Command
from bsdcarp.plan.mask import MASK, masked_lines, split_lines
from bsdcarp.snapshot.cksum import cksum

__all__ = [
    "FREEBSD_STATE",
    "LINUX_STATE",
    "Drain",
    "FileChange",
    "Init",
    "LiveChange",
    "LiveState",
    "Plan",
    "ProgramChange",
]

FREEBSD_STATE = "/var/db/bsdcarp"
LINUX_STATE = "/var/lib/bsdcarp"
"""Where hosts keep their transactions and the record."""
Init = Literal["rc", "systemd", "openrc", "sh"]
_NO_NEWLINE = "\\ No newline at end of file"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file: its whole text before and after, None where it does not exist."""

    path: str
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)
    mode: int = 0o644
    """Used only when the file has to be created; otherwise the mode stays."""
    hidden: bool = False
    """Whether the whole of it is a password, so that no line may be shown."""
    copied: str = ""
    """Path of the host's own copy that it comes from, with mode and owner; empty where it is sent."""

    @property
    def kind(self) -> str:
        """``create``, ``remove`` or ``edit``."""
        if self.before is None:
            return "create"
        return "remove" if self.after is None else "edit"

    @property
    def sum_before(self) -> str:
        """What ``cksum`` prints of it, empty where it does not exist."""
        return "" if self.before is None else cksum(self.before.encode("utf-8", "surrogateescape"))

    def diff(self) -> list[str]:
        """Return a unified diff without line ends, every password masked and every control character spelled out."""
        old, new = split_lines(self.before or ""), split_lines(self.after or "")
        old_shown, new_shown = masked_lines(self.before or "", self.after or "")
        if self.hidden:
            old_shown, new_shown = [f"{MASK}\n" for _ in old], [f"{MASK}(new)\n" for _ in new]
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
class ProgramChange:
    """A file of bytes: what it was is known by its cksum(1) only, and neither side is ever shown."""

    path: str
    before: str | None
    """What ``cksum`` printed of it, None where it does not exist."""
    after: bytes | None = field(repr=False)
    title: str = ""
    """Name and version."""
    mode: int = 0o755
    copied: str = ""
    """As in ``FileChange``."""

    @property
    def kind(self) -> str:
        """``create``, ``remove`` or ``replace``."""
        if self.before is None:
            return "create"
        return "remove" if self.after is None else "replace"

    @property
    def sum_before(self) -> str:
        """As in ``FileChange``."""
        return self.before or ""

    def diff(self) -> list[str]:
        """Return one line that says which program comes, goes or takes the place of another."""
        if self.after is None:
            return [f"--- a{self.path}: removed"]
        digest = hashlib.sha256(self.after).hexdigest()[:12]
        size = f"{(len(self.after) + 500) // 1000} kB"
        done = "new" if self.before is None else "replaced"
        return [f"+++ b{self.path}: {printable(self.title)}, {size}, sha256 {digest}: {done}"]


@dataclass(frozen=True, slots=True)
class LiveChange:
    """One command on the running system, what it is for, and what takes it back (in order)."""

    why: str
    command: Command
    undo: tuple[Command, ...] = ()
    restarts: tuple[int, ...] = ()
    """The vhids that this command restarts, so that their groups elect anew."""


@dataclass(frozen=True, slots=True)
class LiveState:
    """The vhids of a running FreeBSD system and the addresses that belong to them, without the roles."""

    vhids: tuple[str, ...]
    """``em0 1 1 100``: interface, vhid, advbase, advskew, in ifconfig's order."""
    addresses: tuple[str, ...]
    """``em0 192.0.2.1 1``: interface, address, vhid (without the vhid where the interface is a carpN)."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Demotion for the time of a change: what raises it, what takes the same amount back, and what reads it."""

    amount: int
    demote: Command
    undo: Command
    read: Command
    role: Command
    """Prints the vhids; ``MASTER`` in what it prints means that roles are still held."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change on one host.  False when nothing has."""

    host: str
    files: tuple[FileChange | ProgramChange, ...] = ()
    live: tuple[LiveChange, ...] = ()
    notes: tuple[Finding, ...] = ()
    """What the operator should know before it runs: restarts of a vhid, a kernel still to be built."""
    early: int = 0
    """So many of the live commands, from the first on, run before the files are put in place."""
    restored: tuple[Command, ...] = ()
    """What has to run after old files were put back, so that a daemon reads them again."""
    init: Init = "rc"
    """What starts the host, and with it the boot hook of the armed undo."""
    expects: LiveState | None = None
    """What the plan took for granted of the running system; None where nobody looked."""
    drain: Drain | None = None
    """How the host gives its roles away before it is touched; None when it has none to give."""
    state: str = FREEBSD_STATE
    """Where the host keeps its transactions and the record."""

    def __bool__(self) -> bool:
        return bool(self.files or self.live)
