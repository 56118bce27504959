"""Every boot trap that persist predicts happens when a simulated host of that release really boots its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from boot_traps import CLEAN, TRAPS, Trap
from judge_hosts import trapped
from trap_machines import boot_into
from traps_page import page

from bsdcarp.judge import persist

PAGE = Path(__file__).parents[2] / "docs" / "boot-traps.md"


@pytest.mark.parametrize("release", sorted(CLEAN))
def test_a_host_in_no_trap_comes_up_as_wanted(release: str, tmp_path: Path) -> None:
    assert boot_into(None, CLEAN[release], tmp_path).outcome == "same"


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: f"{trap.release}-{trap.name}".replace(" ", "-"))
def test_what_persist_predicts_is_what_boots(trap: Trap, tmp_path: Path) -> None:
    assert trap.rule in {finding.rule for finding in persist(*trapped(trap))}
    boot = boot_into(trap, CLEAN[trap.release], tmp_path)
    assert boot.outcome == trap.outcome, boot.machine.console


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with tests/kernel/write_traps_page.py"
