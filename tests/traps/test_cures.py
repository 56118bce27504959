"""Every boot trap once more: who does what `bsdcarp persist` advises is out of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from traps.case import Trap
from traps.sites import HOST, Site
from traps.table import TRAPS


@pytest.mark.parametrize(
    "trap", [t for t in TRAPS if t.says.severity != "info"], ids=lambda trap: trap.name.replace(" ", "-")
)
def test_what_persist_advises_gets_the_host_out_of_it(trap: Trap, sites: Callable[[str], Site]) -> None:
    site = sites(trap.site)
    site.make(*trap.edits)
    site.make(*trap.cure)
    said = site.run("persist")
    assert {finding["severity"] for finding in said.findings} <= {"info"}, said.said
    assert said.status == 0
    assert site.reboot() == ()


def test_apply_does_not_repeat_what_sh_computes(sites: Callable[[str], Site]) -> None:
    site = sites("12.1")
    site.make(*next(trap for trap in TRAPS if trap.name == "computed by sh").edits)
    assert site.run("apply", "--yes", "--no-wait").document["results"][HOST]["result"] == "unchanged"


def test_apply_refuses_to_write_behind_an_empty_alias(sites: Callable[[str], Site]) -> None:
    site = sites("12.1")
    site.make(*next(trap for trap in TRAPS if trap.name == "an empty alias").edits)
    refused = site.run("apply", "--yes", "--no-wait")
    assert refused.status == 1
    assert "ifconfig_em0_alias2 in line 11 of /etc/rc.conf is empty" in refused.said
