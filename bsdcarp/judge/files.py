"""Files as they are against files as they should be, without ever quoting a secret one."""

from __future__ import annotations

from itertools import zip_longest

from bsdcarp.judge.notes import Notes
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot
from bsdcarp.snapshot.cksum import cksum

__all__ = ["compare_files", "first_difference"]


def compare_files(desired: Desired, snapshot: Snapshot, notes: Notes, *, prefix: str) -> None:
    """Note every file of ``desired`` that is missing, different or should not exist; rules are ``PREFIX-file...``."""
    for path, wanted in desired.files.items():
        found = snapshot.files.get(path)
        place = notes.place(path)
        if wanted.text is None:
            if found is not None:
                notes.error(f"{prefix}-file-unwanted", "the file should not exist any more", "run apply", place)
        elif found is None:
            notes.error(f"{prefix}-file-missing", "the file does not exist", "run apply", place)
        elif found.text != wanted.text:
            line, there, expected = first_difference(found.text, wanted.text)
            detail = "" if wanted.secret else f": it says {there!r}, not {expected!r}"
            message = f"the file differs from line {line} on{detail}"
            notes.error(f"{prefix}-file", message, "run apply, see diff first", notes.place(path, line))
    _compare_programs(desired, snapshot, notes, prefix)


def _compare_programs(desired: Desired, snapshot: Snapshot, notes: Notes, prefix: str) -> None:
    for path, wanted in desired.programs.items():
        found, place = (snapshot.linux.program if snapshot.linux else ""), notes.place(path)
        if wanted.data is None:
            if found:
                notes.error(f"{prefix}-file-unwanted", "the file should not exist any more", "run apply", place)
        elif not found:
            notes.error(f"{prefix}-file-missing", "the file does not exist", "run apply", place)
        elif found != cksum(wanted.data):
            notes.error(f"{prefix}-program", f"it is not {wanted.title}, which this bsdcarp brings", "run apply", place)


def first_difference(found: str, wanted: str) -> tuple[int, str, str]:
    """Return the number of the first line that differs, and that line on both sides (empty behind the end).

    The two texts are known to differ.
    """
    lines = enumerate(zip_longest(found.split("\n"), wanted.split("\n")), 1)
    number, (there, expected) = next((number, pair) for number, pair in lines if pair[0] != pair[1])
    return number, there or "", expected or ""
