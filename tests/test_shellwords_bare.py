"""Programs lose their comments on the way to a host, and nothing else."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from bsdcarp.shellwords import bare

PROGRAMS = [
    Path(str(files("bsdcarp"))) / name
    for name in (
        "snapshot/read_host.sh",
        "hostlock/waits.sh",
        "hostlock/lock.sh",
        *(f"transaction/{name}.sh" for name in ("common", "transact", "undo", "confirm", "list")),
    )
]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_only_lines_that_are_comments_go(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    kept, lines = bare(text).splitlines(), text.splitlines()
    assert kept == [line for line in lines if not line.lstrip().startswith("#") or "# shellcheck " in line]
    assert len(kept) < len(lines)
    subprocess.run(["/bin/sh", "-n"], input=bare(text), text=True, check=True)


def test_a_hash_that_begins_no_comment_stays() -> None:
    assert bare('x=${y#z} # w\necho "#"\n  # gone\n') == 'x=${y#z} # w\necho "#"\n'
