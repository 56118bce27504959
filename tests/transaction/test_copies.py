"""What was removed or changed comes back from the host's own copy, as the file that it was: mode, owner, every byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_host import NAME, TOKEN, Action, Cut, FaultHost, Picture, preload, setting

from bsdcarp.plan import FileChange, Plan, ProgramChange
from bsdcarp.snapshot import FileState
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.transaction.history import history_script, kept_paths, read_history, rollback_plan

BACK = "tx-20261122-130000-feedfa"
FILES = {
    "/etc/rc.conf": ("v1=a\n", 0o640, (12, 34)),
    "/etc/bsdcarp/carpd.json": ('{"password": "x"}\n', 0o600, (0, 0)),
    "/etc/bsdcarp/ucarp-web.pass": ("x\n", 0o400, (0, 5)),
    "/usr/local/lib/bsdcarp/ucarp-up": ("#!/bin/sh\n", 0o755, (0, 0)),
    "/usr/local/lib/bsdcarp/it's $(a) file": ("\udcff\0\n", 0o4711, (7, 7)),
}
HOWS: tuple[Action, ...] = ("kill", "power", "fail once")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FaultHost]:
    made = FaultHost(tmp_path)
    for path, (text, mode, owner) in FILES.items():
        made.write(path, text, mode, owner)
    (made.kernel / "v1").write_text("a\n")
    yield made
    made.close()


def leave(host: FaultHost) -> tuple[Picture, Plan]:
    """Take everything away for good; return how it was before, and the plan that goes back there."""
    before = host.picture()
    gone = [
        FileChange(path, text, None) if "\0" not in text else ProgramChange(path, _sum(text), None)
        for path, (text, _, _) in FILES.items()
        if path != "/etc/rc.conf"
    ]
    plan = Plan("h", (FileChange("/etc/rc.conf", "v1=a\n", "v1=b\n"), *gone), (setting("v1", "b", "a"),))
    assert host.apply(plan).good
    assert host.confirm(plan)[0] == "confirmed"
    assert not list(host.root.glob("usr/local/lib/bsdcarp/*"))
    [past] = read_history(host.run(history_script(plan.state, token=TOKEN)).said, TOKEN, host="h").past
    assert past.name == NAME
    paths = {path: host.root / path.lstrip("/") for path in kept_paths(plan.state, [past])}
    there = {
        path: FileState(file.read_bytes().decode("utf-8", "surrogateescape"))
        for path, file in paths.items()
        if file.exists()
    }
    return before, rollback_plan("h", plan.state, "rc", [past], there)


def _sum(text: str) -> str:
    return cksum(text.encode("utf-8", "surrogateescape"))


def test_files_come_back_with_mode_and_owner(host: FaultHost) -> None:
    before, back = leave(host)
    assert host.apply(back, name=BACK).good
    assert host.confirm(back, name=BACK)[0] == "confirmed"
    assert host.picture() == before
    host.let_time_pass()
    assert host.leftovers() == []


def test_a_copy_that_was_changed_is_not_put_in_place(host: FaultHost) -> None:
    _, back = leave(host)
    old = host.picture()
    (host.root / "var/db/bsdcarp" / NAME / "etc/rc.conf").write_text("v1=z\n")
    outcome = host.apply(back, name=BACK)
    assert outcome.state == "untouched", outcome
    (host.root / "var/db/bsdcarp" / NAME / "etc/rc.conf").unlink()
    assert host.apply(back, name=f"{BACK}1").state == "untouched"
    assert host.picture() == old


@pytest.mark.skipif(preload() is None, reason="needs a C compiler and /proc")
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("at", range(3, 75, 8))
def test_a_way_back_that_is_cut_anywhere_leaves_the_host_as_it_was(host: FaultHost, how: Action, at: int) -> None:
    _, back = leave(host)
    old = host.picture()
    outcome = host.apply(back, Cut(at, how), name=BACK)
    if how == "kill" and outcome.good:
        host.mend()
    if how == "power":
        host.reboot()
    else:
        host.let_time_pass()
    host.mend()
    assert host.picture() == old, outcome
