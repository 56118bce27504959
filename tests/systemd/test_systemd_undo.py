"""A change that nobody confirms is taken back by the host itself: by its timer, at its next boot, after a power cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_carpd import CONFIG, UNIT, eventually, holders, property_of, roles, vips
from systemd_site import Site, group_text, site_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

_SETTLED = {"web1": "MASTER", "web2": "BACKUP"}
_WINDOW = 30
_LEFT = "ls /etc/systemd/system /etc/systemd/system/*.wants /run | grep -i bsdcarp; ps -eo args | grep '/[l]ib/bsdcarp/.*undo'; true"
"""What a transaction that is over leaves: the daemon's own unit, link and run directory, and no watcher."""


def _old(site: Site) -> str:
    first, second = vips(site.cluster)
    return group_text("web", 7, f"{first}/24", f"{second}/64")


def _new(site: Site) -> str:
    extra = f"{site.cluster.network}.110"
    return group_text("mail", 9, f"{extra}/24", members="web2, web1")


@pytest.fixture(scope="module")
def applied(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("undo")) as site:
        site.write(_old(site))
        site.good("apply", "--yes")
        yield site


@pytest.fixture
def site(applied: Site) -> Site:
    """As after the first apply; the inventory asks for one more group."""
    applied.write(_old(applied))
    for host in applied.cluster.values():
        if not host.on:
            host.boot()
    applied.good("apply", "--yes")
    assert roles(applied.cluster) == _SETTLED
    watched = "the watchers have seen that it is over"
    eventually(lambda: not any("undo armed" in text for text in _texts(applied).values()), watched)
    applied.write(_old(applied), _new(applied))
    return applied


def _texts(site: Site) -> dict[str, str]:
    return {
        name: host.output(f"cat {CONFIG} /etc/sysctl.d/90-bsdcarp.conf /etc/systemd/system/{UNIT}; {_LEFT}")
        for name, host in site.cluster.items()
    }


def _apply_unconfirmed(site: Site) -> None:
    answer = site.bsdcarp("apply", "--yes", "--confirm", "manual", "--window", str(_WINDOW))
    assert answer.status in (0, 3), answer
    for host in site.cluster.values():
        assert '"mail"' in host.output(f"cat {CONFIG}")


def test_what_nobody_confirms_is_taken_back_when_the_time_is_up(site: Site) -> None:
    before = _texts(site)
    _apply_unconfirmed(site)
    eventually(lambda: _texts(site) == before, "both hosts have taken it back", _WINDOW + 30)
    eventually(lambda: roles(site.cluster) == _SETTLED, "the group is as before")
    assert holders(site.cluster, f"{site.cluster.network}.110") == []


def test_what_is_confirmed_stays(site: Site) -> None:
    _apply_unconfirmed(site)
    site.good("confirm")
    time.sleep(_WINDOW + 5)
    host, boots = site.cluster["web1"], site.cluster["web1"].boots
    host.run("systemctl reboot")
    host.await_boot(boots + 1)
    for member in site.cluster.values():
        assert '"mail"' in member.output(f"cat {CONFIG}")
    eventually(lambda: roles(site.cluster) == _SETTLED, "web1 takes its role back")
    site.good("verify")


@pytest.mark.parametrize("how", ["reboot", "power cut"])
def test_a_restart_before_the_confirmation_takes_it_back(site: Site, how: str) -> None:
    before = _texts(site)
    host, boots = site.cluster["web1"], site.cluster["web1"].boots
    _apply_unconfirmed(site)
    if how == "reboot":
        host.run("systemctl reboot")
    else:
        host.power_cut()
        host.boot(wait=False)
    host.await_boot(boots + 1)
    eventually(lambda: _texts(site)["web1"] == before["web1"], "web1 is as before", 10)
    assert property_of(host, "ActiveState") == "active"
    assert host.output("systemctl is-system-running --wait; systemctl --failed --no-legend; true") == "running\n"
    eventually(lambda: _texts(site) == before, "web2, too", _WINDOW + 30)
    eventually(lambda: roles(site.cluster) == _SETTLED, "the group is as before")


def test_the_very_first_change_is_taken_back_to_nothing(containers: None, tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        host = site.cluster["web1"]
        site.write(_old(site))
        answer = site.bsdcarp("apply", "--yes", "--confirm", "manual", "--window", str(_WINDOW))
        assert answer.status in (0, 3), answer
        eventually(lambda: holders(site.cluster) == ["web1"], "web1 is MASTER")
        host.run("systemctl reboot")
        host.await_boot(2)
        assert host.run(f"ls {CONFIG} /etc/systemd/system/{UNIT}").out == ""
        assert property_of(host, "LoadState") == "not-found"
        assert host.output(_LEFT) == ""
        eventually(lambda: property_of(site.cluster["web2"], "LoadState") == "not-found", "web2, too", _WINDOW + 30)
        eventually(lambda: holders(site.cluster) == [], "nobody has the address")


def test_a_restart_brings_back_a_service_that_was_on_its_way_out(site: Site) -> None:
    """The unit was disabled, its files were gone, and the host was restarted before anybody confirmed."""
    before = _texts(site)
    site.write()
    answer = site.bsdcarp("apply", "--yes", "--confirm", "manual", "--window", str(_WINDOW))
    assert answer.status in (0, 3), answer
    host, boots = site.cluster["web1"], site.cluster["web1"].boots
    assert property_of(host, "LoadState") == "not-found"
    host.run("systemctl reboot")
    host.await_boot(boots + 1)
    assert _texts(site)["web1"] == before["web1"]
    assert property_of(host, "ActiveState") == "active"
    assert host.output("systemctl --failed --no-legend; true") == ""
    eventually(lambda: _texts(site) == before, "web2, too", _WINDOW + 30)
    eventually(lambda: roles(site.cluster) == _SETTLED, "the group is as before")


def test_an_operator_who_is_gone_in_the_middle_leaves_the_hosts_as_they_were(site: Site) -> None:
    before = _texts(site)
    words = [sys.executable, "-m", "bsdcarp", "apply", str(site.path), "--yes", "--window", str(_WINDOW)]
    words += ["--ssh-config", str(site.cluster.ssh_config)]
    environment = {**os.environ, "HOME": str(site.path.parent), "SITE_PASSWORD": "Geheim4711"}
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as operator:
        eventually(lambda: '"mail"' in site.cluster["web1"].output(f"cat {CONFIG}"), "web1 is changed", 60)
        operator.send_signal(signal.SIGKILL)
    eventually(lambda: _texts(site) == before, "both hosts have taken it back", 2 * _WINDOW + 60)
    eventually(lambda: roles(site.cluster) == _SETTLED, "the group is as before")
    site.write(_old(site))
    assert site.good("apply", "--yes", "--json").results == {"web1": "unchanged", "web2": "unchanged"}


def test_confirmed_by_a_reboot(site: Site) -> None:
    boots = {name: host.boots for name, host in site.cluster.items()}
    site.good("apply", "--yes", "--confirm", "after-reboot")
    assert {name: host.boots for name, host in site.cluster.items()} == {name: n + 1 for name, n in boots.items()}
    for host in site.cluster.values():
        assert '"mail"' in host.output(f"cat {CONFIG}")
    eventually(lambda: roles(site.cluster) == _SETTLED, "web1 has its role")
    site.good("verify")


def test_what_is_final_can_be_rolled_back(site: Site) -> None:
    before = _texts(site)
    site.good("apply", "--yes")
    site.good("rollback", "--yes")
    eventually(lambda: _texts(site) == before, "all is as before, and the watchers have seen that it is over", 10)
    eventually(lambda: roles(site.cluster) == _SETTLED, "the group is as before")
