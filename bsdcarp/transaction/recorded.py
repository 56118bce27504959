"""A plan as the host keeps it beside the files' copies, so that it can be taken back long after it was confirmed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import RemoteError
from bsdcarp.model import Secret
from bsdcarp.plan import Command, LiveChange, Plan, ProgramChange

__all__ = ["Recorded", "RecordedFile", "read_recorded", "written"]


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file of a transaction, without its contents: those lie beside the record."""

    path: str
    existed: bool
    stayed: bool
    """Whether it existed after the transaction."""
    program: bool
    """Whether it is a file of bytes."""
    sum: str = ""
    """The cksum(1) of what it held before, empty where it did not exist."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one transaction did."""

    name: str
    owner: str
    files: tuple[RecordedFile, ...]
    live: tuple[LiveChange, ...]
    early: int
    restored: tuple[Command, ...]


def written(plan: Plan, name: str, owner: str) -> str:
    """Return the record as one line of JSON in ASCII.  It holds passwords and lies where only root reads."""
    return json.dumps(
        {
            "version": 1,
            "name": name,
            "owner": owner,
            "files": [
                {
                    "path": change.path,
                    "existed": change.before is not None,
                    "stayed": change.after is not None,
                    "program": isinstance(change, ProgramChange),
                    "sum": change.sum_before,
                }
                for change in plan.files
            ],
            "live": [
                {
                    "why": change.why,
                    "command": _words(change.command),
                    "undo": [_words(command) for command in change.undo],
                    "restarts": change.restarts,
                }
                for change in plan.live
            ],
            "early": plan.early,
            "restored": [_words(command) for command in plan.restored],
        }
    )


def read_recorded(text: str, *, host: str) -> Recorded:
    """Read what ``written`` wrote.  Raises ``RemoteError`` when it is something else."""
    try:
        data: Any = json.loads(text)
        if data["version"] != 1:
            raise ValueError
        return Recorded(
            name=data["name"],
            owner=data["owner"],
            files=tuple(
                RecordedFile(entry["path"], entry["existed"], entry["stayed"], entry["program"], entry.get("sum", ""))
                for entry in data["files"]
            ),
            live=tuple(
                LiveChange(entry["why"], _command(entry["command"]), _commands(entry["undo"]), tuple(entry["restarts"]))
                for entry in data["live"]
            ),
            early=data["early"],
            restored=_commands(data["restored"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteError(
            "the record of a transaction cannot be read",
            place=host,
            remedy="a newer bsdcarp may have written it; its files lie beside it",
        ) from error


def _words(command: Command) -> list[Any]:
    """A secret word is a list of one, so that it stays secret when it is read back."""
    return [[word.reveal()] if isinstance(word, Secret) else word for word in command.words]


def _command(words: Iterable[Any]) -> Command:
    return Command(tuple(Secret(word[0]) if isinstance(word, list) else str(word) for word in words))


def _commands(entries: Iterable[Any]) -> tuple[Command, ...]:
    return tuple(_command(words) for words in entries)
