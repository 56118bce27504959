"""Real Debian hosts with systemd and carpd reboot one after the other, and what clients lose is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_carpd import eventually, holders, roles, vips
from systemd_site import Site, group_text, site_of

pytestmark = pytest.mark.timeout(300)
_SETTLED = {"web1": "MASTER", "web2": "BACKUP"}


@pytest.fixture(scope="module")
def site(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("rolling")) as site:
        first, second = vips(site.cluster)
        site.write(group_text("web", 7, f"{first}/24", f"{second}/64"))
        site.good("apply", "--yes")
        eventually(lambda: roles(site.cluster) == _SETTLED, "web1 is MASTER")
        yield site


def test_both_hosts_reboot_and_down_time_and_lost_pings_are_measured(site: Site, tmp_path: Path) -> None:
    boots = {name: host.boots for name, host in site.cluster.items()}
    client = site.cluster.pings(vips(site.cluster)[0], 0.1)
    answer = site.good("reboot", "--yes", "--deadline", "90", "--json", "--report", str(tmp_path / "report.json"))
    seen = client.stop()
    document = answer.document
    assert [entry["host"] for entry in document["hosts"]] == ["web2", "web1"]
    assert {name: host.boots for name, host in site.cluster.items()} == {name: n + 1 for name, n in boots.items()}
    for entry in document["hosts"]:
        assert entry["result"] == "rebooted"
        assert 0 < entry["down"] <= entry["back_after"] < 90
        assert entry["boot_before"] != entry["boot_after"]
    assert document["hosts"][1]["taken_over_by"] == {"web": "web2"}
    by_address = {vip["address"]: vip for vip in document["vips"]}
    assert set(by_address) == set(vips(site.cluster))
    fourth, sixth = (by_address[address] for address in vips(site.cluster))
    assert fourth["via"] == "ICMP"
    assert fourth["sent"] > 20
    # A role that is handed over costs a question or two each way, a host that just goes three seconds of them.
    assert fourth["lost"] <= 10, fourth
    assert fourth["longest_gap"] < 2.5, fourth
    assert set(fourth["by_host"]) == {"web1", "web2"}
    # This machine has no route to the hosts' IPv6 network.
    assert sixth["why_not"] == "not reachable from here"
    assert sixth["lost"] is None
    assert seen.lost <= 10
    assert json.loads((tmp_path / "report.json").read_text()) == document
    assert roles(site.cluster) == _SETTLED
    assert holders(site.cluster) == ["web1"]


@pytest.mark.long
def test_a_host_that_does_not_come_back_ends_it_and_its_peer_serves(site: Site) -> None:
    host = site.cluster["web2"]
    # At the end of its shutdown it powers off in place of rebooting.
    host.write("/etc/systemd/system/systemd-reboot.service.d/off.conf", "[Service]\nExecStart=\n", 0o644)
    host.output("ln -sf /usr/lib/systemd/system/poweroff.target /etc/systemd/system/reboot.target")
    host.output("systemctl daemon-reload")
    try:
        answer = site.bsdcarp("reboot", "--yes", "--deadline", "15", "--json")
    finally:
        host.await_off()
        host.boot()
        host.output("rm -rf /etc/systemd/system/systemd-reboot.service.d /etc/systemd/system/reboot.target")
        host.output("systemctl daemon-reload")
    assert answer.status == 5, answer
    assert answer.results == {"web2": "unreachable", "web1": "skipped"}
    assert "has not come back within 15 s" in answer.document["results"]["web2"]["detail"]
    eventually(lambda: roles(site.cluster) == _SETTLED, "web1 is MASTER")


@pytest.mark.long
def test_a_carpd_that_does_not_start_at_boot_is_found_and_its_peer_keeps_serving(site: Site) -> None:
    host = site.cluster["web1"]
    host.write("/etc/systemd/system/bsdcarp-carpd.service.d/late.conf", "[Unit]\nConditionPathExists=/run/never\n")
    try:
        answer = site.bsdcarp("reboot", "--host", "web1", "--yes", "--deadline", "60", "--json", "--force")
    finally:
        host.output("rm -rf /etc/systemd/system/bsdcarp-carpd.service.d && systemctl daemon-reload")
        site.good("apply", "--yes")
    assert answer.status == 4, answer
    assert answer.results == {"web1": "not verified"}
    eventually(lambda: roles(site.cluster) == _SETTLED, "web1 is MASTER again")
