"""Every boot trap: set on a running host, told by `bsdcarp persist` beforehand, and shown by the boot."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bsdcarp import judge
from traps.case import Trap
from traps.page import page
from traps.sites import HOST, Run, Site
from traps.table import TRAPS

PAGE = Path(__file__).parents[2] / "docs" / "boot-traps.md"
_SECRETS = ("secret1", "secret2", "secret8", "face-book", "ab--cd", "s$ecret2", "K8-")
_WARNED = frozenset(
    {
        "persist-demotion-lost",  # what the operator did on purpose
        "persist-dropin",  # may be meant, and is not judged
        "persist-file-only",
        "persist-live-only",
        "persist-live-sysctl",  # nothing that bsdcarp manages
        "persist-nextboot-zfs",  # that kernel may well come up
        "persist-sysctl-late",  # right in the end
        "persist-unit-stale",
    }
)
"""Rules that do not fail a host although it will not be as it was."""


def place(site: Site, finding: dict[str, Any]) -> tuple[str, str]:
    """Return the file that a finding points at, and what the line says."""
    path = str(finding["file"]).removeprefix(f"{HOST}:")
    if not finding["line"]:
        return path, ""
    return path, (site.root / path.lstrip("/")).read_text(encoding="utf-8").split("\n")[finding["line"] - 1]


def told(run: Run, trap: Trap) -> list[dict[str, Any]]:
    return [f for f in run.findings if (f["rule"], f["severity"]) == (trap.says.rule, trap.says.severity)]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name.replace(" ", "-"))
def test_persist_says_it_and_the_boot_shows_it(trap: Trap, sites: Callable[[str], Site]) -> None:
    site = sites(trap.site)
    site.make(*trap.edits)
    said = site.run("persist")
    severities = {finding["severity"] for finding in said.findings}
    assert said.status == (4 if "error" in severities else 0), said.said
    places = [place(site, finding) for finding in told(said, trap)]
    assert any(
        path == trap.says.path and (trap.says.line in line if trap.says.line else not line) for path, line in places
    ), said.said
    assert not any(secret in said.said for secret in _SECRETS)
    assert site.reboot() == trap.shows, site.lab.machine(HOST).console
    mild = _WARNED & {finding["rule"] for finding in said.findings}
    assert "error" in severities or mild or not trap.shows, said.said
    assert trap.shows or "error" not in severities, said.said


def test_the_names_of_the_traps_differ() -> None:
    assert len({trap.name for trap in TRAPS}) == len(TRAPS)


def test_every_rule_about_the_next_boot_has_a_trap() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(judge.__file__).parent.glob("*.py")]
    rules = {rule for source in sources for rule in re.findall(r'"(persist-[a-z0-9-]+)"', source)}
    untold = rules - {trap.says.rule for trap in TRAPS}
    assert untold == {
        "persist-boot-hook",  # no simulated host runs rc.local
        "persist-interface-absent",  # what is missing today cannot be seen to go
    }


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "write it with PYTHONPATH=tests python -m traps.page > docs/boot-traps.md"
    )
