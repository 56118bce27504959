"""What takes several transactions back at once on the running system: the net difference of their commands.

To replay them all, newest first, is not possible: the files change once, from what they are now to what they were
before the oldest, and a service whose unit came and went in between has a unit on neither side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bsdcarp.dataclass import dataclass
from bsdcarp.plan import Command, LiveChange
from bsdcarp.platforms.linux_services import service_step
from bsdcarp.transaction.recorded import Recorded

__all__ = ["WayBack", "way_back"]

_ASPECTS = {"start": "runs", "stop": "runs", "enable": "boots", "disable": "boots"}


@dataclass(frozen=True, slots=True)
class WayBack:
    """Commands on both sides of the moment when the old files are put in place."""

    before: tuple[LiveChange, ...] = ()
    after: tuple[LiveChange, ...] = ()
    restored: tuple[Command, ...] = ()
    """What makes services that run all the time read their files again."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What takes one live command back, and what takes that back."""

    why: str
    do: tuple[Command, ...]
    undo: tuple[Command, ...]
    restarts: tuple[int, ...]

    @property
    def service(self) -> tuple[str, str]:
        """What it does to which service; empty where it does nothing to one."""
        return _service(self.do[0]) or ("", "")

    def cancels(self, other: _Step) -> bool:
        """Whether nothing is left of both, one after the other."""
        return (self.do, self.undo) == (other.undo, other.do)

    def changes(self) -> Iterator[LiveChange]:
        """Return it as live changes."""
        for place, command in enumerate(self.do):
            yield LiveChange(f"takes back: {self.why}", command, () if place else self.undo, self.restarts)


def way_back(records: Sequence[Recorded], *, files_change: bool) -> WayBack:
    """Return what takes ``records`` back, which are given newest first.

    Services belong to files: one that runs now and did not run at first ends before the files change, one that ran at
    first and does not now starts afterwards, one that did at both times and not in between is restarted by that, and
    of one that ran only in between there is nothing to do.  Anything else does not care about files and is taken back
    in exactly the reverse order, without what cancels out.
    """
    steps = list(enumerate(step for record in records for step in _steps(record.live)))
    before: dict[int, _Step] = {}
    after: dict[int, _Step] = {}
    changed: dict[tuple[str, str], list[tuple[int, _Step]]] = {}
    others: list[tuple[int, _Step]] = []
    for number, step in steps:
        verb, name = step.service
        if verb in _ASPECTS:
            changed.setdefault((_ASPECTS[verb], name), []).append((number, step))
        elif others and others[-1][1].cancels(step):
            others.pop()
        else:
            others.append((number, step))
    before.update(others)
    for found in changed.values():
        (_, first), (_, last) = found[0], found[-1]
        ends, starts = first.service[0] in ("stop", "disable"), last.service[0] in ("start", "enable")
        if ends and starts and not files_change:
            continue
        if ends:
            before.update(found[:1])
        if starts:
            after.update(found[-1:])
    restored = _restored(records, {name for aspect, name in changed if aspect == "runs"}) if files_change else ()
    return WayBack(_in_order(before), _in_order(after), restored)


def _in_order(steps: dict[int, _Step]) -> tuple[LiveChange, ...]:
    return tuple(change for _, step in sorted(steps.items(), key=lambda item: item[0]) for change in step.changes())


def _service(command: Command) -> tuple[str, str] | None:
    words = command.words
    return service_step(str(words[2]) if words[:2] == ("sh", "-c") else " ".join(map(str, words)))


def _steps(live: Sequence[LiveChange]) -> Iterator[_Step]:
    """Return what takes ``live`` back, the last first.

    A setting without an undo of its own is made again with the one before it: settings go away with their module,
    say, and are wanted again when it comes back.  Services are told of files by ``restored``.
    """
    owed: tuple[Command, ...] = ()
    for change in reversed(live):
        if _service(change.command):
            if change.undo:
                yield _Step(change.why, change.undo, (change.command,), change.restarts)
        elif change.undo:
            yield _Step(change.why, change.undo, (change.command, *owed), change.restarts)
            owed = ()
        else:
            owed = (change.command, *owed)


def _restored(records: Sequence[Recorded], changed: set[str]) -> tuple[Command, ...]:
    """Return what any of them wants done once old files are back, without services that end or start anyway.

    A restart does all that a reload does.  That units are read again comes first.
    """
    wanted: dict[tuple[str, str], Command] = {}
    for command in (command for record in records for command in record.restored):
        verb, name = _service(command) or (command.shell, "")
        key = ("", name) if name else (verb, "")
        if name not in changed and (verb == "restart" or key not in wanted):
            wanted[key] = command
    return tuple(command for (_, name), command in sorted(wanted.items(), key=lambda item: bool(item[0][1])))
