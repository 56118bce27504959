"""The transaction script under the real sh, on a directory tree: all of it, or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bsdcarp.errors import TextFileError
from bsdcarp.model import Secret
from bsdcarp.plan import FREEBSD_STATE, FileChange, LiveChange, Plan
from bsdcarp.plan.command import command
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.transaction import (
    Ending,
    Outcome,
    Terms,
    confirmation_script,
    read_ending,
    read_outcome,
    transaction_script,
)
from bsdcarp.transaction.history import history_script, read_history

TOKEN = "feedfacefeedface"
NAME = "tx-20261122-120000-feedfa"
CLAIM = "c1a1m"
TERMS = Terms(NAME, "me@here", CLAIM, window=20)


class Tree:
    """A host's root directory, its tools, and a way to run a plan on it."""

    def __init__(self, base: Path) -> None:
        self.root, self.tools = base / "a root", base / "tools"
        for directory in ("etc", "boot", "var/db", "var/run"):
            (self.root / directory).mkdir(parents=True)
        self.tools.mkdir()
        self.tool("id", "echo 0")
        self.tool("tell", f'echo "$@" >>"{base}/told"; [ "$1" != fail ]')
        self.told_file = base / "told"

    def tool(self, name: str, text: str) -> None:
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", "surrogateescape"))
        target.chmod(mode)
        return target

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_bytes().decode("utf-8", "surrogateescape")

    @property
    def told(self) -> list[str]:
        return self.told_file.read_text().splitlines() if self.told_file.exists() else []

    def environment(self) -> dict[str, str]:
        return {"BSDCARP_ROOT": str(self.root), "BSDCARP_PATH": str(self.tools), "PATH": os.environ["PATH"]}

    def run(self, plan: Plan, before: str = "", *, terms: Terms = TERMS, confirm: bool = True) -> Outcome:
        """Run a plan and, if it is in force then, confirm it."""
        script = before.encode() + transaction_script(plan, terms, token=TOKEN)
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script, env=self.environment(), capture_output=True, check=False, timeout=30
        )
        assert done.stderr == b"", done.stderr
        outcome = read_outcome(done.stdout, TOKEN, plan)
        if outcome.good and confirm:
            assert self.end(confirmation_script(terms.name, plan.state, terms.claim, token=TOKEN)) == ("confirmed", "")
        return outcome

    def end(self, script: bytes) -> tuple[Ending, str]:
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script, env=self.environment(), capture_output=True, check=False, timeout=30
        )
        assert done.stderr == b"", done.stderr
        return read_ending(done.stdout, TOKEN)

    def files(self) -> dict[str, bytes]:
        """Everything but the transaction's own state."""
        return {
            str(p.relative_to(self.root)): p.read_bytes()
            for p in sorted(self.root.rglob("*"))
            if p.is_file() and "var/db/bsdcarp" not in str(p)
        }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def live(*words: str, undo: tuple[str, ...] = ()) -> LiveChange:
    return LiveChange("why", command("tell", *words), (command("tell", *undo),) if undo else ())


def test_files_change_and_commands_run_in_order(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n", mode=0o600)
    tree.write("/etc/old", "x")
    plan = Plan(
        "h",
        (
            FileChange("/etc/rc.conf", "a=1\n", "a=2\nb='it'\"'\"'s'\n"),
            FileChange("/etc/old", "x", None),
            FileChange("/usr/src/sys/amd64/conf/CARP", None, "ident CARP"),
        ),
        (live("one", "two words"), live("three", "$(reboot)`x`;")),
    )
    outcome = tree.run(plan)
    assert outcome.good, outcome
    assert sorted(outcome.files) == ["/etc/old", "/etc/rc.conf", "/usr/src/sys/amd64/conf/CARP"]
    assert outcome.live == 2
    assert tree.read("/etc/rc.conf") == "a=2\nb='it'\"'\"'s'\n"
    assert (tree.root / "etc/rc.conf").stat().st_mode & 0o777 == 0o600
    assert not (tree.root / "etc/old").exists()
    assert tree.read("/usr/src/sys/amd64/conf/CARP") == "ident CARP"
    assert tree.told == ["one two words", "three $(reboot)`x`;"]
    assert not list(tree.root.rglob(".bsdcarp-*"))
    assert not (tree.root / "var/run/bsdcarp.lock").exists()


def test_the_old_files_are_kept_under_the_transaction_for_root_alone(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "secret=1\n")
    tree.run(Plan("h", (FileChange("/etc/rc.conf", "secret=1\n", "secret=2\n"),)))
    state = tree.root / "var/db/bsdcarp"
    assert (state / NAME / "etc/rc.conf").read_text() == "secret=1\n"
    assert state.stat().st_mode & 0o777 == 0o700


def test_twenty_transactions_are_kept(tree: Tree) -> None:
    for number in range(25):
        past = tree.root / f"var/db/bsdcarp/tx-20250101-{number:06}-aaaaaa"
        past.mkdir(parents=True)
        (past / "outcome").write_text("confirmed\n")
    assert tree.run(Plan("h", (FileChange("/etc/new", None, "x\n"),))).good
    kept = sorted(p.name for p in (tree.root / "var/db/bsdcarp").iterdir())
    assert len(kept) == 20
    assert NAME in kept
    assert "tx-20250101-000000-aaaaaa" not in kept


def test_the_host_numbers_transactions_so_that_clocks_need_not_agree(tree: Tree) -> None:
    names = ["tx-20261122-120000-ffffff", "tx-20261122-120000-000000", "tx-20200101-000000-aaaaaa"]
    for number, name in enumerate(names):
        change = FileChange(f"/etc/{number}", None, "x\n")
        assert tree.run(Plan("h", (change,)), terms=replace(TERMS, name=name)).good
    listed = subprocess.run(
        ["/bin/sh", "-s"],
        input=history_script(FREEBSD_STATE, token=TOKEN),
        env=tree.environment(),
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert [past.name for past in read_history(listed.stdout, TOKEN, host="h").past] == names


def test_the_oldest_goes_by_its_number_not_by_its_name(tree: Tree) -> None:
    for number in range(20):
        past = tree.root / f"var/db/bsdcarp/tx-20250101-{99 - number:06}-aaaaaa"
        past.mkdir(parents=True)
        (past / "outcome").write_text("confirmed\n")
        (past / "number").write_text(f"{number + 1}\n")
    assert tree.run(Plan("h", (FileChange("/etc/new", None, "x\n"),))).good
    kept = sorted(p.name for p in (tree.root / "var/db/bsdcarp").iterdir())
    assert len(kept) == 20
    assert "tx-20250101-000099-aaaaaa" not in kept
    assert (tree.root / "var/db/bsdcarp" / NAME / "number").read_text() == "21\n"


def test_one_that_has_just_begun_is_not_the_oldest(tree: Tree) -> None:
    state = tree.root / "var/db/bsdcarp"
    for number in range(20):
        past = state / f"tx-20250101-{number:06}-aaaaaa"
        past.mkdir(parents=True)
        (past / "outcome").write_text("confirmed\n")
        (past / "number").write_text(f"{number + 1}\n")
    assert tree.run(Plan("h", (FileChange("/etc/new", None, "x\n"),)), confirm=False).good
    fresh = state / "tx-20251231-235959-bbbbbb"
    fresh.mkdir()
    assert tree.end(confirmation_script(NAME, FREEBSD_STATE, TERMS.claim, token=TOKEN)) == ("confirmed", "")
    kept = {past.name for past in state.iterdir()}
    assert fresh.name in kept
    assert "tx-20250101-000001-aaaaaa" not in kept
    assert len(kept) == 20


def test_a_symbolic_link_stays_one(tree: Tree) -> None:
    tree.write("/etc/real.conf", "a\n")
    (tree.root / "etc/link.conf").symlink_to("real.conf")
    assert tree.run(Plan("h", (FileChange("/etc/link.conf", "a\n", "b\n"),))).good
    assert (tree.root / "etc/link.conf").is_symlink()
    assert tree.read("/etc/real.conf") == "b\n"


@pytest.mark.parametrize(
    ("before", "there", "words"),
    [("a\n", "b\n", "changed since"), (None, "b\n", "appeared since"), ("a\n", None, "went away since")],
)
def test_a_file_that_changed_since_the_plan_stops_everything(
    tree: Tree, before: str | None, there: str | None, words: str
) -> None:
    tree.write("/etc/first", "1")
    if there is not None:
        tree.write("/etc/x", there)
    was = tree.files()
    plan = Plan("h", (FileChange("/etc/first", "1", "2"), FileChange("/etc/x", before, "c\n")), (live("never"),))
    outcome = tree.run(plan)
    assert outcome.state == "untouched"
    assert words in outcome.reason
    assert tree.files() == was
    assert tree.told == []


def test_an_rc_conf_that_would_not_parse_is_never_put_in_place(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    was = tree.files()
    outcome = tree.run(Plan("h", (FileChange("/etc/rc.conf", "a=1\n", 'a="1\n'),)))
    assert outcome.state == "untouched"
    assert "would not parse" in outcome.reason
    assert tree.files() == was


def test_a_full_disk_leaves_everything_as_it_was(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    was = tree.files()
    big = "".join(f"line{n}={n}\n" for n in range(2000))
    # A file size limit of 4 blocks fails like a disk that fills up while the new file is written.
    outcome = tree.run(Plan("h", (FileChange("/etc/rc.conf", "a=1\n", big),), (live("never"),)), before="ulimit -f 4\n")
    assert outcome.state == "untouched"
    assert "disk full" in outcome.reason
    assert tree.files() == was
    assert tree.told == []


def test_a_read_only_directory_is_refused_before_any_change(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    tree.tool("mkdir", 'case "$*" in *lock*) exit 1 ;; esac; exec /bin/mkdir "$@"')
    was = tree.files()
    outcome = tree.run(Plan("h", (FileChange("/etc/rc.conf", "a=1\n", "a=2\n"),)))
    assert outcome.state == "untouched"
    assert "read-only" in outcome.reason
    assert tree.files() == was


def test_a_failing_command_takes_everything_back_in_reverse(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    was = tree.files()
    plan = Plan(
        "h",
        (FileChange("/etc/rc.conf", "a=1\n", "a=2\n"), FileChange("/etc/new", None, "n\n")),
        (
            live("one", undo=("undo-one",)),
            live("two", undo=("undo-two",)),
            live("fail", undo=("undo-three",)),
            live("4"),
        ),
    )
    outcome = tree.run(plan)
    assert outcome.state == "undone"
    assert outcome.reason.startswith("tell fail: status 1")
    assert tree.files() == was
    assert tree.told == ["one", "two", "fail", "undo-three", "undo-two", "undo-one"]


def test_an_undo_that_fails_itself_is_said_loudly(tree: Tree) -> None:
    plan = Plan("h", (), (live("one", undo=("fail", "undo")), live("fail")))
    outcome = tree.run(plan)
    assert outcome.state == "broken"
    assert "live-1" in outcome.reason


def test_a_move_that_fails_midway_restores_what_was_moved(tree: Tree) -> None:
    tree.write("/etc/one", "1")
    tree.write("/etc/two", "2")
    was = tree.files()
    tree.tool(
        "mv",
        'case "$3" in */two) [ -e "$0.off" ] || { : >"$0.off"; /bin/mv -f "$2" "$4"; echo "mv: $3: Read-only"; exit 1; } ;; '
        'esac; exec /bin/mv "$@"',
    )
    outcome = tree.run(Plan("h", (FileChange("/etc/one", "1", "11"), FileChange("/etc/two", "2", "22")), (live("no"),)))
    assert outcome.state == "undone"
    assert "cannot replace /etc/one /etc/two: mv: " in outcome.reason
    assert tree.files() == was
    assert tree.told == []


def test_a_password_in_a_failing_commands_words_is_masked(tree: Tree) -> None:
    tree.tool("ifconfig", 'echo "ifconfig: bad $*"; exit 1')
    plan = Plan("h", (), (LiveChange("w", command("ifconfig em0 vhid 1 pass", Secret("hunter2")), ()),))
    outcome = tree.run(plan)
    assert outcome.state == "undone"
    assert "hunter2" not in outcome.reason
    assert "********" in outcome.reason


def test_a_held_lock_names_its_owner_and_nothing_happens(tree: Tree) -> None:
    lock = tree.root / "var/run/bsdcarp.lock"
    lock.mkdir()
    (lock / "owner").write_text("ana@desk since noon\n")
    outcome = tree.run(Plan("h", (FileChange("/etc/x", None, "x"),)))
    assert outcome.state == "locked"
    assert outcome.reason == "ana@desk since noon, but that process is gone: --steal-lock takes the lock away"
    assert lock.is_dir()


def test_a_lock_that_a_restart_emptied_is_nobodys(tree: Tree) -> None:
    (tree.root / "var/run/bsdcarp.lock").mkdir()
    assert tree.run(Plan("h", (FileChange("/etc/x", None, "x"),))).good
    assert not (tree.root / "var/run/bsdcarp.lock").exists()


def test_a_script_cut_off_anywhere_does_nothing(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    was = tree.files()
    plan = Plan("h", (FileChange("/etc/rc.conf", "a=1\n", "a=2\n"),), (live("one"),))
    whole = transaction_script(plan, TERMS, token=TOKEN)
    for part in range(1, 12):
        cut = whole[: whole.rindex(b"transact <") * part // 11]
        subprocess.run(["/bin/sh", "-s"], input=cut, env=tree.environment(), capture_output=True, check=False)
        assert tree.files() == was
    assert tree.told == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_once_begun_it_finishes_whatever_signal_comes(tree: Tree, number: signal.Signals) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    tree.tool("slow", "sleep 0.5")
    plan = Plan("h", (FileChange("/etc/rc.conf", "a=1\n", "a=2\n"),), (LiveChange("w", command("slow")), live("after")))
    script = transaction_script(plan, TERMS, token=TOKEN)
    with subprocess.Popen(
        ["/bin/sh", "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=tree.environment()
    ) as sh:
        assert sh.stdin
        assert sh.stdout
        sh.stdin.write(script)
        sh.stdin.close()
        while b"file /etc/rc.conf" not in sh.stdout.readline():
            time.sleep(0.01)
        sh.send_signal(number)
        sh.stdout.close()  # the session is gone as well
        assert sh.wait(timeout=10) in (0, 1)
    assert tree.read("/etc/rc.conf") == "a=2\n"
    assert tree.told == ["after"]


def test_nul_bytes_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(TextFileError, match="NUL"):
        transaction_script(Plan("h", (FileChange("/x", None, "a\0b"),)), TERMS, token=TOKEN)


def test_an_answer_that_ends_early_is_lost() -> None:
    assert read_outcome(f"\n{TOKEN} begin\n".encode(), TOKEN, Plan("h")).state == "lost"


@given(st.binary(max_size=3000).filter(lambda data: b"\0" not in data))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_arrives_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    tree = Tree(tmp_path_factory.mktemp("tree"))
    text = data.decode("utf-8", "surrogateescape")
    outcome = tree.run(Plan("h", (FileChange("/etc/x", None, text),)))
    assert outcome.good, outcome
    assert (tree.root / "etc/x").read_bytes() == data


@given(st.binary(max_size=2000))
@settings(max_examples=40, deadline=None)
def test_cksum_is_that_of_posix(data: bytes) -> None:
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)
    assert done.stdout.decode().split() == cksum(data).split()


def test_without_a_window_it_is_final_at_once(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    plan = Plan("h", (FileChange("/etc/rc.conf", "a=1\n", "a=2\n"),), (live("one"),))
    outcome = tree.run(plan, terms=Terms(NAME, "me@here", CLAIM, window=0), confirm=False)
    assert outcome.good, outcome
    state = tree.root / "var/db/bsdcarp"
    assert (state / NAME / "outcome").read_text() == "confirmed\n"
    assert not (state / "pending").exists()
    assert not (tree.root / "etc/rc.d/bsdcarp_undo").exists()
    assert not list(tree.root.rglob(".bsdcarp-*"))
    assert tree.run(Plan("h", (), (live("two"),)), terms=Terms(NAME + "2", "me@here", CLAIM, window=20)).good


def test_without_a_window_a_failing_command_is_taken_back_all_the_same(tree: Tree) -> None:
    tree.write("/etc/rc.conf", "a=1\n")
    was = tree.files()
    plan = Plan("h", (FileChange("/etc/rc.conf", "a=1\n", "a=2\n"),), (live("one", undo=("undo",)), live("fail")))
    outcome = tree.run(plan, terms=Terms(NAME, "me@here", CLAIM, window=0), confirm=False)
    assert outcome.state == "undone"
    assert tree.files() == was
    assert tree.told == ["one", "fail", "undo"]


def test_the_directory_of_transactions_is_for_root_alone_also_when_the_record_is_its_first_file(tree: Tree) -> None:
    assert tree.run(Plan("h", (FileChange("/var/db/bsdcarp/record", None, "x\n", 0o600),))).good
    assert (tree.root / "var/db/bsdcarp").stat().st_mode & 0o777 == 0o700
