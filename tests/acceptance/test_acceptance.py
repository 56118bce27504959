"""Acceptance: the operator's whole way, on whatever hosts an inventory names; they are left as they were found.

    pytest tests/acceptance --inventory FILE [--ssh-config FILE] [--may-reboot]

Nothing is expected on the hosts that a plain FreeBSD install lacks.  The steps build on each other, in file order.
"""

from __future__ import annotations

import pytest

from acceptance.site import Site, change_line
from bsdcarp.snapshot import Snapshot

pytestmark = pytest.mark.timeout(900)


def changes(document: dict[str, object]) -> list[str]:
    hosts = document["hosts"]
    assert isinstance(hosts, dict)
    return [name for name, entry in hosts.items() if entry["changes"]]


def test_the_inventory_is_valid(site: Site) -> None:
    answer = site.bsdcarp("validate", reach=False)
    assert answer.status == 0, answer


def test_diff_shows_changes_and_makes_none(site: Site, before: dict[str, Snapshot]) -> None:
    answer = site.bsdcarp("diff", "--json")
    assert answer.status in (0, 3), answer
    if answer.status == 3:
        assert changes(answer.document)
    after = site.look()
    for name, snapshot in before.items():
        assert {p: f.text for p, f in after[name].files.items()} == {p: f.text for p, f in snapshot.files.items()}
        assert after[name].sysctls == snapshot.sysctls


def test_apply_brings_every_host_there(site: Site, before: dict[str, Snapshot]) -> None:
    answer = site.bsdcarp("apply", "--yes", "--json")
    assert answer.status == 0, answer
    assert {r["result"] for r in answer.document["results"].values()} <= {"changed", "unchanged"}, answer


def test_a_second_apply_changes_nothing(site: Site, before: dict[str, Snapshot]) -> None:
    answer = site.bsdcarp("apply", "--yes", "--json")
    assert answer.status == 0, answer
    assert changes(answer.document) == []
    assert {r["result"] for r in answer.document["results"].values()} == {"unchanged"}, answer
    assert site.bsdcarp("diff").status == 0


def test_verify_finds_everything_in_order(site: Site, before: dict[str, Snapshot]) -> None:
    answer = site.bsdcarp("verify")
    assert answer.status == 0, answer


def test_persist_says_that_it_would_survive(site: Site, before: dict[str, Snapshot]) -> None:
    answer = site.bsdcarp("persist")
    assert answer.status == 0, answer


def test_drift_in_a_file_is_reported_and_repaired(site: Site, before: dict[str, Snapshot]) -> None:
    host = site.hosts[0]
    good = site.look()[host].text("/etc/sysctl.conf")
    assert "net.inet.carp.preempt=1" in good, "this step needs sysctl preempt: 1 in the inventory"
    site.run(host, change_line("/etc/sysctl.conf", "net.inet.carp.preempt=1", "net.inet.carp.preempt=0"))
    judged = site.bsdcarp("verify", "--json")
    assert judged.status == 4, judged
    assert any(f["host"] == host or f["file"].startswith(host) for f in judged.document["findings"]), judged
    assert site.bsdcarp("persist").status == 4
    shown = site.bsdcarp("diff")
    assert shown.status == 3, shown
    assert "+net.inet.carp.preempt=1" in shown.out
    assert site.bsdcarp("apply", "--yes").status == 0
    assert site.look()[host].text("/etc/sysctl.conf") == good
    assert site.bsdcarp("verify").status == 0


def test_drift_on_the_live_system_is_reported_and_repaired(site: Site, before: dict[str, Snapshot]) -> None:
    host = site.hosts[0]
    site.run(host, "sysctl net.inet.carp.preempt=0")
    judged = site.bsdcarp("verify")
    assert judged.status == 4, judged
    assert "net.inet.carp.preempt" in judged.out
    assert site.bsdcarp("apply", "--yes").status == 0
    assert site.look()[host].sysctls["preempt"] == 1


def test_a_removed_group_goes_away_and_the_others_stay(site: Site, before: dict[str, Snapshot]) -> None:
    inventory = site.inventory
    group = list(inventory.groups.values())[-1]
    smaller = site.without(group.name)
    answer = site.bsdcarp("apply", "--yes", inventory=smaller)
    assert answer.status == 0, answer
    after = site.look()
    for member in group.members:
        if member.host not in after:
            continue
        for interface in after[member.host].interfaces.values():
            mine = [v for v in interface.vhids if v.vhid == group.vhid and interface.name == member.interface]
            assert mine == [], f"vhid {group.vhid} is still on {member.host}"
    assert site.bsdcarp("persist", inventory=smaller).status == 0
    assert site.bsdcarp("apply", "--yes").status == 0
    assert site.bsdcarp("verify").status == 0


def test_a_reboot_brings_everything_back(site: Site, before: dict[str, Snapshot], may_reboot: bool) -> None:
    if not may_reboot:
        pytest.skip("no consent: --may-reboot was not given")
    host = site.hosts[0]
    boot = site.look()[host].boottime
    answer = site.bsdcarp("reboot", "--host", host, "--yes")
    assert answer.status == 0, answer
    assert site.look()[host].boottime != boot
    again = site.bsdcarp("apply", "--yes", "--json")
    assert again.status == 0, again
    assert changes(again.document) == []
