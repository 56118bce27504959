"""``backend: ucarp`` on real Debian hosts: the distribution's own ucarp as a service, managed like carpd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from systemd_carpd import eventually, holders, property_of
from systemd_site import Site, group_text, site_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

_UNIT = "bsdcarp-ucarp-web.service"


def _address(site: Site) -> str:
    return f"{site.cluster.network}.100"


def _web(site: Site) -> str:
    return group_text("web", 7, f"{_address(site)}/24")


@pytest.fixture(scope="module", params=[("ucarp", "ucarp"), ("carpd", "ucarp"), ("ucarp", "carpd")], ids="+".join)
def applied(
    containers: None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Site]:
    first, second = request.param
    backends = {"web1": f"backend: {first}", "web2": f"backend: {second}"}
    with site_of(tmp_path_factory.mktemp("ucarp"), backends) as site:
        site.write(_web(site))
        answer = site.good("apply", "--yes", "--json")
        assert answer.results == {"web1": "changed", "web2": "changed"}
        yield site


@pytest.fixture
def site(applied: Site) -> Site:
    applied.write(_web(applied))
    applied.good("apply", "--yes")
    eventually(lambda: holders(applied.cluster, _address(applied)) == ["web1"], "web1 has the address", 20)
    return applied


def _units(site: Site, name: str) -> str:
    return _UNIT if "ucarp" in site.hosts[name] else "bsdcarp-carpd.service"


def test_the_group_serves_and_all_verbs_are_content(site: Site) -> None:
    assert site.cluster.ping(_address(site))
    site.good("verify")
    site.good("persist")
    answer = site.good("apply", "--yes", "--json")
    assert answer.changes == []
    assert answer.results == {"web1": "unchanged", "web2": "unchanged"}


def test_the_password_is_in_one_file_of_roots_and_in_no_argument(site: Site) -> None:
    for name, host in site.cluster.items():
        assert "Geheim4711" not in host.output("ps axww; journalctl --no-pager")
        if _units(site, name) == _UNIT:
            assert host.output("stat -c '%a %U' /etc/bsdcarp/ucarp-web.pass") == "600 root\n"
            assert host.run("grep -rl Geheim4711 /etc /var/lib /run").out == "/etc/bsdcarp/ucarp-web.pass\n"


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_the_other_host_takes_over_and_no_address_stays_behind(site: Site, signal: str) -> None:
    host = site.cluster["web1"]
    host.output(f"systemctl kill -s {signal} {_units(site, 'web1')}; systemctl stop {_units(site, 'web1')}")
    eventually(lambda: holders(site.cluster, _address(site)) == ["web2"], "web2 alone has the address", 15)
    eventually(lambda: site.cluster.ping(_address(site)), "the address answers")
    host.output(f"systemctl start {_units(site, 'web1')}")
    eventually(lambda: holders(site.cluster, _address(site)) == ["web1"], "web1 takes it back", 15)


def test_a_killed_daemon_is_started_again(site: Site) -> None:
    host = site.cluster["web1"]
    pid = property_of(host, "MainPID", _units(site, "web1"))
    host.output(f"kill -9 {pid}")
    eventually(
        lambda: property_of(host, "MainPID", _units(site, "web1")) not in (pid, "0"), "systemd starts it again", 15
    )
    eventually(lambda: holders(site.cluster, _address(site)) == ["web1"], "web1 alone has the address", 20)


def test_a_reboot_is_survived_and_proven(site: Site) -> None:
    answer = site.bsdcarp("reboot", "--host", "web1", "--yes", "--deadline", "60")
    assert answer.status == 0, answer
    eventually(lambda: holders(site.cluster, _address(site)) == ["web1"], "web1 has the address again", 15)


def test_drift_is_found_and_mended(site: Site) -> None:
    unit = _units(site, "web2")
    site.cluster["web2"].output(f"systemctl disable --now {unit}")
    assert site.bsdcarp("verify").status == 4
    assert site.bsdcarp("persist").status == 4
    site.good("apply", "--yes")
    site.good("verify")
    site.good("persist")


def test_the_backend_can_be_changed_both_ways(site: Site) -> None:
    before = dict(site.hosts)
    swapped = {"backend: ucarp": "backend: carpd", "backend: carpd": "backend: ucarp"}
    site.hosts = {name: swapped[text] for name, text in before.items()}
    try:
        site.write(_web(site))
        site.good("apply", "--yes")
        eventually(lambda: holders(site.cluster, _address(site)) == ["web1"], "web1 has the address", 20)
        for name, host in site.cluster.items():
            gone = _UNIT if _units(site, name) != _UNIT else "bsdcarp-carpd.service"
            assert property_of(host, "LoadState", gone) == "not-found"
        site.good("verify")
    finally:
        site.hosts = before
        site.write(_web(site))
    site.good("apply", "--yes")


def test_what_ucarp_cannot_do_is_refused(site: Site) -> None:
    second = f"{site.cluster.network}.101"
    site.write(group_text("web", 7, f"{_address(site)}/24", f"{second}/24"))
    answer = site.bsdcarp("apply", "--yes")
    assert answer.status not in (0, 4), answer
    assert "ucarp" in answer.out + answer.err
    assert holders(site.cluster, _address(site)) == ["web1"]


def test_a_group_that_is_gone_is_gone_from_the_hosts(site: Site) -> None:
    site.write()
    site.good("apply", "--yes")
    for name, host in site.cluster.items():
        assert property_of(host, "LoadState", _units(site, name)) == "not-found"
        assert _address(site) not in host.addresses()
        assert host.run("pgrep -x ucarp").status == 1
        assert host.run("find /etc/bsdcarp /usr/local/lib/bsdcarp -type f").out == ""
