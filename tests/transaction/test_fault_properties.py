"""Any plan, cut anywhere; and the same text under every shell that is at hand."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_host import CLAIM, TOKEN, Action, Cut, FaultHost, preload, prepare, setting, small_plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bsdcarp.hostlock import lock_program
from bsdcarp.plan import FileChange, Plan
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.transaction import Terms, transaction_script
from bsdcarp.transaction.script import program

OTHER = "tx-20261122-120001-aaaaaa"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FaultHost]:
    made = FaultHost(tmp_path)
    prepare(made, small_plan())
    yield made
    made.close()


# --- any plan ------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_characters="/\0\n", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 100
)
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=40))
DIRECTORIES = st.sampled_from(["/etc", "/etc/a b", "/boot/it's $HOME", "/usr/local/etc/bsdcarp"])


HOWS: list[Action] = ["kill", "power", "fail on", "fail once"]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    paths = draw(st.lists(st.tuples(DIRECTORIES, NAMES), min_size=1, max_size=5, unique=True))
    changes = []
    for directory, name in paths:
        before, after = draw(TEXTS), draw(TEXTS)
        if before != after:
            changes.append(
                FileChange(f"{directory}/{name}", before, after, draw(st.sampled_from([0o600, 0o644, 0o755])))
            )
    live = tuple(setting(f"v{n}", "b", "a") for n in range(draw(st.integers(0, 2))))
    early = draw(st.integers(0, len(live)))
    return Plan("h", tuple(changes), live or (setting("v9", "b", "a"),), early=early)


@pytest.mark.skipif(preload() is None, reason="needs a C compiler and /proc")
@given(plan=plans(), share=st.floats(0, 1), how=st.sampled_from(HOWS))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_plan_cut_anywhere_ends_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, plan: Plan, share: float, how: Action
) -> None:
    host = FaultHost(tmp_path_factory.mktemp("any"))
    host.write("/etc/rc.conf", "".join(f"v{n}=a\n" for n in (0, 1, 9)))
    for n in (0, 1, 9):
        (host.kernel / f"v{n}").write_text("a\n")
    for change in plan.files:
        assert isinstance(change, FileChange)
        if change.before is not None:
            host.write(change.path, change.before, 0o604)
    old = host.picture()
    outcome = host.apply(plan, Cut(1 + int(share * 70), how))
    if how == "kill" and outcome.good:
        # It had fewer steps than that; what takes it back in the end shall not be killed in its place.
        host.mend()
    if how == "power":
        host.reboot()
    else:
        host.let_time_pass()
    host.mend()
    assert host.picture() == old, outcome
    host.close()


# --- the text itself -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", ["transact", "undo", "confirm", "list"])
def test_shellcheck_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    words = "T TX STATE SYSTEM EARLY HOOKS OWNER TOKEN WINDOW REBOOT_WINDOW STEAL UNDO PLAN CLAIM KEEP"
    head = "#!/bin/sh\n# shellcheck disable=SC2034,SC2015\n" + "".join(f"{word}=''\n" for word in words.split())
    whole = tmp_path / f"{name}.sh"
    whole.write_text(f'{head}{program("common.sh")}{lock_program()}{program(name + ".sh")}{name} "$@"\n')
    subprocess.run(["shellcheck", "-s", "sh", whole], check=True, timeout=60)


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh", "mksh"])
def test_every_shell_runs_it_and_takes_it_back(host: FaultHost, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"no {shell} here")
    monkeypatch.setattr("fault_host.SHELL", shell.split())
    old = host.picture()
    host.tool("setting", f'echo "$2" >"{host.kernel}/$1"; [ "$*" != "v3 b" ]')
    assert host.apply(small_plan()).state == "undone"
    assert host.picture() == old
    assert host.leftovers() == []
    script = transaction_script(small_plan(), Terms(OTHER, "me@here", CLAIM, window=20), token=TOKEN)
    host.tool("setting", f'echo "$2" >"{host.kernel}/$1"')
    # A write that fails must not end the shell before it has cleared up.
    (host.root / "var/db/bsdcarp").rename(host.root / "var/db/was")
    (host.root / "var/db/bsdcarp").write_text("in the way")
    assert b"untouched cannot write" in host.run(script).said
    (host.root / "var/db/bsdcarp").unlink()
    (host.root / "var/db/was").rename(host.root / "var/db/bsdcarp")
    assert host.apply(small_plan(), name=OTHER).good
    assert host.confirm(small_plan(), name=OTHER)[0] == "confirmed"
    assert cksum((host.root / "etc/rc.conf").read_bytes()) == cksum(b"v1=b\nv2=b\nv3=b\n")
    host.let_time_pass()
