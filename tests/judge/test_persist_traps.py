"""Every boot trap is predicted, with its file and line; a clean host is left in peace."""

from __future__ import annotations

import pytest
from boot_traps import CLEAN, TRAPS, Trap
from judge_hosts import HOST, desired_of, snapshot_of, trapped

from bsdcarp.judge import persist


@pytest.mark.parametrize("release", sorted(CLEAN))
def test_a_clean_host_survives_a_reboot(release: str) -> None:
    host = CLEAN[release]
    assert persist(desired_of(host), snapshot_of(host)) == []


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: f"{trap.release}-{trap.name}".replace(" ", "-"))
def test_a_trap_is_predicted_with_file_and_line(trap: Trap) -> None:
    desired, snapshot = trapped(trap)
    findings = persist(desired, snapshot)
    mine = [f for f in findings if f.rule == trap.rule]
    assert mine, [f.rule for f in findings]
    assert {f.severity.value for f in mine} == {trap.severity}
    places = [f.place for f in mine]
    assert all(p.file == f"{HOST}:{trap.path}" for p in places), places
    if trap.line:
        lines = [snapshot.text(trap.path).split("\n")[p.line - 1] for p in places]
        assert any(trap.line in line for line in lines), lines
    else:
        assert places[0].line == 0


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: f"{trap.release}-{trap.name}".replace(" ", "-"))
def test_the_judgement_is_as_bad_as_the_boot(trap: Trap) -> None:
    desired, snapshot = trapped(trap)
    worst = {f.severity.value for f in persist(desired, snapshot)}
    if trap.outcome in ("panics", "hangs", "stops", "no-carp", "vhid-missing", "vhid-wrong", "sysctl-wrong"):
        harmless = trap.rule in ("persist-owner", "persist-file-only")
        assert "error" in worst or harmless
    elif trap.outcome == "sysctl-late":
        assert "warning" in worst
        assert "error" not in worst


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: f"{trap.release}-{trap.name}".replace(" ", "-"))
def test_no_finding_holds_a_password(trap: Trap) -> None:
    desired, snapshot = trapped(trap)
    said = " ".join(f"{f.message} {f.remedy} {f.place}" for f in persist(desired, snapshot))
    for word in ("secret", "face-book", "ab--cd", "K8-", "other "):
        assert word not in said.replace("another ", "").replace("other members", "").replace("every other ", "")
