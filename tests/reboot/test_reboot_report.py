"""The report of a rolling reboot, as a table and as data."""

from __future__ import annotations

import io
import json

from rich.console import Console
from rich.theme import Theme

from bsdcarp.fleet.probe import Losses
from bsdcarp.fleet.rolling import HostReboot, Rolled
from bsdcarp.fleet.vips import VipReport
from bsdcarp.report.reboots import reboot_document, show_reboots
from bsdcarp.report.screen import STYLES

WENT = HostReboot("web2", "rebooted", drain="demotion +240", heirs={"one": "web1"}, seconds=41.26, down=38.04)
LOST = HostReboot("web1", "unreachable", "it has not come back\x1b[2J within 300 s (look at its console)", seconds=None)
LEFT = HostReboot("web3", "skipped", "not begun because of web1")
PINGED = VipReport(
    "192.0.2.1", ("one",), "", Losses("ICMP", 500, 3, 0.31, 0.1), {"web2": Losses("ICMP", 400, 3, 0.31, 0.1)}
)
QUIET = VipReport("192.0.2.2", ("one",), "", Losses("TCP 22", 50, 0, 0.0, 1.0))
FAR = VipReport("192.0.2.3", ("two",), "not reachable from here")


def shown(rolled: Rolled, *vips: VipReport) -> list[str]:
    out = io.StringIO()
    show_reboots(Console(file=out, width=200, theme=Theme(STYLES)), rolled, vips)
    assert "\x1b" not in out.getvalue()
    return [" ".join(line.split()) for line in out.getvalue().splitlines() if line.strip()]


def test_a_line_for_each_host_and_each_address() -> None:
    lines = shown(Rolled((WENT, LOST, LEFT)), PINGED, QUIET, FAR)
    assert "✔ web2 rebooted 38.0 s 41.3 s demotion +240 one: web1" in lines
    assert any(line.startswith("web1: it has not come back") for line in lines)
    assert "web3: not begun because of web1" in lines
    assert "192.0.2.1 one ICMP 500 3 0.3 s web2 3" in lines
    assert "192.0.2.2 one TCP 22 50 0 under 1.0 s" in lines
    assert "lost pings of 192.0.2.3: not reachable from here" in lines


def test_where_nothing_was_rebooted_nothing_is_said_about_addresses() -> None:
    assert not any("192.0.2" in line for line in shown(Rolled((LOST, LEFT)), PINGED))


def test_the_status_is_that_of_the_first_failure() -> None:
    assert Rolled((WENT,)).status == 0
    assert Rolled((WENT, LOST, LEFT)).status == 5
    assert Rolled((HostReboot("a", "refused"), LOST)).status == 1
    assert Rolled((HostReboot("a", "not verified"),)).status == 4
    assert Rolled((WENT, HostReboot("b", "skipped", "not begun: interrupted"))).status == 1


def test_the_document_says_the_same_and_claims_nothing_about_what_was_not_asked() -> None:
    document = json.loads(json.dumps(reboot_document(Rolled((WENT, LOST)), (PINGED, FAR))))
    assert document["exit"] == 5
    assert document["results"]["web2"] == {"result": "rebooted", "detail": ""}
    assert document["hosts"][0]["down"] == 38.04
    assert document["hosts"][1]["down"] is None
    pinged, far = document["vips"]
    assert (pinged["lost"], pinged["longest_gap"], pinged["by_host"]["web2"]["lost"]) == (3, 0.31, 3)
    assert (far["lost"], far["via"], far["why_not"]) == (None, None, "not reachable from here")
