"""What sweeping over every step does not reach: real full and read-only disks, two operators, races, broken undos."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from fault_host import CLAIM, NAME, TOKEN, Cut, FaultHost, preload, prepare, setting, small_plan

from bsdcarp.plan import Drain, FileChange, LiveState, Plan
from bsdcarp.plan.command import command
from bsdcarp.transaction import confirmation_script, read_ending
from bsdcarp.transaction.history import history_script

OTHER = "tx-20261122-120001-aaaaaa"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FaultHost]:
    made = FaultHost(tmp_path)
    prepare(made, small_plan())
    yield made
    made.close()


# --- real file systems --------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, 256 kB large."""
    where = tmp_path / "disk"
    where.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k,nr_inodes=200", "none", str(where)]
    if os.getuid() or not shutil.which("mount") or subprocess.run(["mount", *options], check=False).returncode:
        pytest.skip("may not mount")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def on_disk(tmp_path: Path, disk: Path) -> FaultHost:
    base = Path(tempfile.mkdtemp(dir=tmp_path))
    shutil.rmtree(disk / "root", ignore_errors=True)
    host = FaultHost(base, root=disk / "root")
    prepare(host, small_plan())
    return host


def fill(path: Path, size: int) -> None:
    """Write until there is no room for ``size`` octets more."""
    with path.open("ab") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), b"x" * size)


def test_a_disk_with_any_little_room_left_ends_old_or_new(tmp_path: Path, disk: Path) -> None:
    seen = set()
    for pages in range(0, 30, 2):
        host = on_disk(tmp_path, disk)
        old = host.picture()
        fill(disk / "filler", 4096)
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - pages * 4096)
        outcome = host.apply(small_plan())
        assert outcome.state in ("untouched", "undone", "done"), (pages, outcome)
        seen.add(outcome.state)
        # The disk fills up within the window as well.
        if outcome.good:
            fill(disk / "filler", 512)
        host.let_time_pass()
        assert host.picture() == old, (pages, outcome)
        assert host.leftovers() == [], (pages, outcome)
        host.close()
        (disk / "filler").unlink()
    assert seen >= {"untouched", "done"}


def test_a_disk_that_turns_read_only_in_the_window_is_taken_back_once_it_can_be_written(
    tmp_path: Path, disk: Path
) -> None:
    host = on_disk(tmp_path, disk)
    old = host.picture()
    assert host.apply(small_plan()).good
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    # Live state is what locks operators out: it comes back all the same.
    assert host.confirm(small_plan())[0] == "unknown"
    host.let_time_pass()
    assert host.picture()[1] == old[1]
    assert host.apply(small_plan(), name=OTHER).state in ("untouched", "pending")
    with host.time_passing():
        ending, why = host.undo(small_plan())
    assert ending == "broken"
    assert "/etc/rc.conf" in why
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    with host.time_passing():
        assert host.undo(small_plan())[0] == "undone"
    assert host.picture() == old
    assert host.leftovers() == []
    host.close()


# --- what changed between plan and apply --------------------------------------------------------------------------


def test_a_file_that_changes_while_the_transaction_prepares_stops_it(host: FaultHost) -> None:
    host.tool(
        "ln",
        f'/bin/ln "$@"; echo "v1=c" >"{host.root}/etc/mine"; /bin/mv "{host.root}/etc/mine" "{host.root}/etc/rc.conf"',
    )
    outcome = host.apply(small_plan())
    assert outcome.state == "untouched"
    assert "/etc/rc.conf changed since" in outcome.reason
    assert (host.root / "etc/rc.conf").read_text() == "v1=c\n"
    assert host.leftovers() == []
    assert host.recorded().startswith("untouched")


@pytest.mark.parametrize(
    ("vhids", "addresses", "word"), [(("em0 1 1 0",), (), "vhid"), ((), ("em0 192.0.2.9 1",), "address")]
)
def test_a_running_system_that_changed_since_the_plan_stops_it(
    host: FaultHost, vhids: tuple[str, ...], addresses: tuple[str, ...], word: str
) -> None:
    host.tool("ifconfig", "printf 'em0: flags=8843<UP> metric 0\\n\\tcarp: MASTER vhid 1 advbase 1 advskew 100\\n'")
    seen = LiveState(vhids or ("em0 1 1 100",), addresses)
    old = host.picture()
    outcome = host.apply(replace(small_plan(), expects=seen))
    assert outcome.state == "untouched"
    assert word in outcome.reason
    assert host.picture() == old
    assert host.leftovers() == []
    assert host.apply(replace(small_plan(), expects=LiveState(("em0 1 1 100",), ()))).good


def test_a_link_to_nowhere_and_the_removal_of_a_link_are_refused(host: FaultHost) -> None:
    (host.root / "etc/nowhere").symlink_to("/gone")
    (host.root / "etc/link").symlink_to("old.conf")
    for change in (FileChange("/etc/nowhere", None, "x\n"), FileChange("/etc/link", "gone soon\n", None)):
        outcome = host.apply(Plan("h", (change,)))
        assert outcome.state == "untouched"
        assert "symbolic link" in outcome.reason


# --- two at the same time ------------------------------------------------------------------------------------------


def racing(base: Path) -> FaultHost:
    host = FaultHost(Path(tempfile.mkdtemp(dir=base)))
    prepare(host, small_plan())
    return host


def test_of_two_at_the_same_time_exactly_one_goes(tmp_path: Path) -> None:
    for _ in range(6):
        host = racing(tmp_path)
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(host.apply, small_plan(), name=name) for name in (NAME, OTHER)]
            outcomes = [run.result() for run in runs]
        states = sorted(outcome.state for outcome in outcomes)
        assert states in (["done", "locked"], ["done", "pending"]), states
        host.let_time_pass()
        host.close()
        assert host.leftovers() == []


@pytest.mark.parametrize("dead", [True, False])
def test_with_stolen_locks_too_at_most_one_goes(tmp_path: Path, dead: bool) -> None:
    for _ in range(6):
        host = racing(tmp_path)
        if dead:
            host.write("/var/run/bsdcarp.lock/owner", "joe@desk since noon\n")
            host.write("/var/run/bsdcarp.lock/pid", "99999999\n")
        old = host.picture()
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(host.apply, small_plan(), name=name, steal=True) for name in (NAME, OTHER)]
            outcomes = [run.result() for run in runs]
        went = [outcome for outcome in outcomes if outcome.good]
        # Nobody steals from the living, so that without a dead lock they go one after the other as ever.
        assert len(went) <= 1 if dead else len(went) == 1, outcomes
        host.let_time_pass()
        assert host.picture() == old, outcomes
        host.close()


@pytest.mark.parametrize("steal", [False, True])
def test_the_lock_of_a_process_that_lives_is_nobody_elses(host: FaultHost, steal: bool) -> None:
    old = host.picture()
    host.write("/var/run/bsdcarp.lock/owner", "joe@desk since noon\n")
    host.write("/var/run/bsdcarp.lock/pid", f"{os.getpid()}\n")
    outcome = host.apply(small_plan(), steal=steal)
    assert (outcome.state, outcome.reason) == (
        "locked",
        "joe@desk since noon, who is still at work: wait, it ends by itself",
    )
    assert host.picture() == old
    assert (host.root / "var/run/bsdcarp.lock/owner").read_text() == "joe@desk since noon\n"


def test_a_mark_without_its_transaction_stops_nobody(host: FaultHost) -> None:
    """What was cut off while it settled, or came back with the power, has its outcome already."""
    plan = small_plan()
    assert host.apply(plan).good
    assert host.read().pending == NAME
    assert host.confirm(plan)[0] == "confirmed"
    mark = host.root / "var/db/bsdcarp/pending"
    for name in (NAME, "tx-20200101-000000-gone", ""):
        mark.write_text(f"{name}\n")
        assert host.read().pending == ""
        assert b" pending " not in host.run(history_script(plan.state, token=TOKEN)).said
    mark.write_text(f"{NAME}\n")
    assert host.apply(Plan("h", (FileChange("/etc/x", None, "x\n"),)), name=OTHER).good
    host.let_time_pass()
    assert host.leftovers() == []


def test_a_lock_stolen_in_the_middle_stops_its_former_holder(host: FaultHost) -> None:
    old = host.picture()
    host.tool("setting", f'echo "$2" >"{host.kernel}/$1"; rm -rf "{host.root}/var/run/bsdcarp.lock"')
    outcome = host.apply(small_plan())
    assert outcome.state == "undone"
    assert "took its lock away" in outcome.reason
    assert host.picture() == old


def test_fifty_confirmations_at_the_last_moment_find_one_verdict_each(tmp_path: Path) -> None:
    """The window ends while the confirmation is under way."""
    plan = Plan("h", (FileChange("/etc/x", "old\n", "new\n"),))
    seen = {"confirmed": 0, "undone": 0}

    def race(number: int) -> None:
        host = FaultHost(Path(tempfile.mkdtemp(dir=tmp_path)))
        host.write("/etc/rc.conf", "")
        host.write("/etc/x", "old\n")
        assert host.apply(plan).good
        script = confirmation_script(NAME, plan.state, CLAIM, token=TOKEN)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(host.run, script)
            time.sleep(number % 10 * 0.002)
            host.sessions[:], sessions = host.sessions[:1], host.sessions
            host.let_time_pass()
            ending, why = read_ending(answer.result().said, TOKEN)
        text = (host.root / "etc/x").read_text()
        recorded = host.recorded().split()[0]
        assert (ending, text, recorded) in (("confirmed", "new\n", "confirmed"), ("late", "old\n", "undone")), why
        assert host.leftovers() == []
        seen[recorded] += 1
        host.sessions = list({id(s): s for s in (*sessions, *host.sessions)}.values())
        host.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(race, range(50)))
    assert sum(seen.values()) == 50


def test_a_confirmation_that_comes_before_the_end_is_refused(host: FaultHost) -> None:
    """An operator who confirms what is still at work, or what died halfway, would make half a change final."""
    old = host.picture()
    confirm = confirmation_script(NAME, small_plan().state, CLAIM, token=TOKEN).decode()
    (host.base / "confirm").write_text(confirm)
    host.tool(
        "setting",
        f'echo "$2" >"{host.kernel}/$1"; [ "$*" != "v2 b" ] || /bin/sh -s <"{host.base}/confirm" >"{host.base}/told" || :',
    )
    assert host.apply(small_plan()).good
    ending, why = read_ending((host.base / "told").read_bytes(), TOKEN)
    assert (ending, why) == ("unknown", "it has not come to its end: wait for it or take it back")
    host.let_time_pass()
    assert host.picture() == old


# --- undo ----------------------------------------------------------------------------------------------------------


def test_an_undo_that_fails_says_so_and_keeps_the_copies(host: FaultHost) -> None:
    host.tool("setting", f'[ "$*" != "v2 a" ] || exit 1; echo "$2" >"{host.kernel}/$1"')
    assert host.apply(small_plan()).good
    with host.time_passing():
        ending, why = host.undo(small_plan())
    assert (ending, why) == ("broken", "live-2: the operator says so")
    assert host.recorded() == "broken live-2: the operator says so"
    kept = host.root / "var/db/bsdcarp" / NAME
    assert (kept / "etc/rc.conf").read_text() == "v1=a\nv2=a\nv3=a\n"
    assert (kept / "plan").exists()
    assert host.leftovers() == []
    host.let_time_pass()


def test_an_undo_without_the_staged_files_takes_the_copies(host: FaultHost) -> None:
    old = host.picture()
    assert host.apply(small_plan()).good
    for stage in host.root.rglob(".bsdcarp-*"):
        shutil.rmtree(stage)
    with host.time_passing():
        assert host.undo(small_plan())[0] == "undone"
    assert host.picture() == old


def test_a_killed_watcher_leaves_it_to_the_boot_hook_or_the_operator(host: FaultHost) -> None:
    old = host.picture()
    assert host.apply(small_plan()).good
    host.lose_power()
    assert host.apply(small_plan(), name=OTHER).state == "pending"
    host.start()
    assert host.picture() == old
    assert host.leftovers() == []


def test_with_confirmation_after_the_reboot_the_reboot_changes_nothing(host: FaultHost) -> None:
    old = host.picture()
    plan = small_plan()
    assert host.apply(plan, reboot_window=30).good
    new = host.picture()
    host.reboot()
    assert host.picture() == new
    assert host.pending()
    assert host.confirm(plan)[0] == "confirmed"
    host.let_time_pass()
    assert host.picture() == new
    assert host.leftovers() == []
    assert old != new


@pytest.mark.parametrize("again", [False, True])
def test_without_that_confirmation_the_files_come_back_and_the_host_starts_once_more(
    host: FaultHost, again: bool
) -> None:
    old = host.picture()
    assert host.apply(small_plan(), reboot_window=30).good
    host.reboot()
    if again:
        host.reboot()  # nobody could confirm before the power failed again
    else:
        host.let_time_pass()
        assert (host.base / "rebooting").exists()
        (host.base / "rebooting").unlink()
        host.reboot()
    assert host.picture() == old
    assert host.leftovers() == []


def test_a_retried_script_does_not_run_twice(host: FaultHost) -> None:
    plan = Plan("h", (), (setting("v1", "b", "a"),))
    assert host.apply(plan).good
    assert host.confirm(plan)[0] == "confirmed"
    assert host.apply(plan).reason == f"{NAME} ran before"
    host.let_time_pass()


def test_a_clock_that_was_behind_does_not_cost_the_newest_transaction(host: FaultHost) -> None:
    for number in range(30):
        past = host.root / f"var/db/bsdcarp/tx-20301122-{number:06}-aaaaaa"
        past.mkdir(parents=True)
        (past / "outcome").write_text("confirmed\n")
    assert host.apply(small_plan()).good
    assert host.confirm(small_plan())[0] == "confirmed"
    kept = sorted(p.name for p in (host.root / "var/db/bsdcarp").glob("tx-*"))
    assert len(kept) == 20
    assert kept[0] == NAME
    host.let_time_pass()


# --- demotion ------------------------------------------------------------------------------------------------------


def drained(host: FaultHost, *, demote: str = "demote") -> Plan:
    """The demotion is a sum: what is written is added."""
    value = host.base / "demotion"
    value.write_text("7\n")
    add = f'read old <"{value}"; echo $((old + $1)) >"{value}"'
    host.tool("add", add)
    host.tool("demote", add)
    drain = Drain(240, command(f"{demote} 240"), command("add -240"), command(f"cat {value}"), command("echo BACKUP"))
    return replace(small_plan(), drain=drain)


@pytest.mark.skipif(preload() is None, reason="needs a C compiler and /proc")
def test_the_demotion_is_taken_back_exactly_wherever_the_program_dies(tmp_path: Path) -> None:
    def cut(point: int) -> str:
        host = FaultHost(Path(tempfile.mkdtemp(dir=tmp_path)))
        prepare(host, small_plan())
        old, plan = host.picture(), drained(host)
        host.apply(plan, Cut(point, "kill"))
        host.let_time_pass()
        value = (host.base / "demotion").read_text().strip()
        host.close()
        return "" if (value, host.picture()) == ("7", old) else f"{point}: {value}"

    with ThreadPoolExecutor(3) as pool:
        assert [wrong for wrong in pool.map(cut, range(36, 82)) if wrong] == []


def test_a_demotion_that_fails_is_not_taken_back_and_nothing_happens(host: FaultHost) -> None:
    old = host.picture()
    plan = drained(host)
    host.tool("demote", "echo 'demote: denied'; exit 1")
    outcome = host.apply(plan)
    assert outcome.state == "undone"
    assert "denied" in outcome.reason
    assert (host.base / "demotion").read_text() == "7\n"
    assert host.picture() == old
