"""bsdcarp's own way on real Debian hosts: apply, verify, persist, drift, reboot and prune over real SSH."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_carpd import CONFIG, MAC, PROGRAM, UNIT, eventually, holders, main_pid, property_of, roles, status, vips
from systemd_site import Site, group_text, site_of

pytestmark = pytest.mark.timeout(600)
long = pytest.mark.long

_SETTLED = {"web1": "MASTER", "web2": "BACKUP"}
_RECORD = "/var/lib/bsdcarp/record"


def web(site: Site) -> str:
    """The group of all these tests: an address of each family."""
    first, second = vips(site.cluster)
    return group_text("web", 7, f"{first}/24", f"{second}/64")


@pytest.fixture(scope="module")
def applied(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("apply")) as site:
        site.write(web(site))
        answer = site.good("apply", "--yes", "--json")
        assert answer.results == {"web1": "changed", "web2": "changed"}
        yield site


@pytest.fixture
def site(applied: Site) -> Site:
    """As after the first apply."""
    applied.write(web(applied))
    for host in applied.cluster.values():
        if not host.on:
            host.boot()
    applied.good("apply", "--yes")
    assert roles(applied.cluster) == _SETTLED
    return applied


def test_after_apply_the_group_serves(applied: Site) -> None:
    assert holders(applied.cluster) == ["web1"]
    for address in vips(applied.cluster):
        assert applied.cluster.ping(address)
        assert applied.cluster.mac_of(address) == MAC


@long
def test_what_apply_left_on_the_host_is_roots_alone(applied: Site) -> None:
    host = applied.cluster["web1"]
    said = host.output(f"stat -c '%n %a %U:%G' {CONFIG} {PROGRAM} {_RECORD} /etc/systemd/system/{UNIT}")
    assert said.splitlines() == [
        f"{CONFIG} 600 root:root",
        f"{PROGRAM} 755 root:root",
        f"{_RECORD} 600 root:root",
        f"/etc/systemd/system/{UNIT} 644 root:root",
    ]
    assert host.run("grep -rl Geheim4711 /etc /var/lib /var/log /run /tmp /root 2>/dev/null").out == f"{CONFIG}\n"
    assert "Geheim4711" not in host.output("ps axww; journalctl --no-pager")


def test_a_second_apply_changes_nothing(applied: Site) -> None:
    before = {name: main_pid(host) for name, host in applied.cluster.items()}
    answer = applied.good("apply", "--yes", "--json")
    assert answer.changes == []
    assert answer.results == {"web1": "unchanged", "web2": "unchanged"}
    assert applied.bsdcarp("diff").status == 0
    assert {name: main_pid(host) for name, host in applied.cluster.items()} == before


def test_verify_and_persist_and_status_say_that_all_is_well(applied: Site) -> None:
    applied.good("verify")
    applied.good("persist")
    said = applied.good("status").out
    assert "MASTER" in said
    assert "BACKUP" in said


@long
@pytest.mark.parametrize(
    ("by_hand", "persists"),
    [
        pytest.param(
            f'sed -i \'s/"advskew": 0/"advskew": 50/\' {CONFIG} && systemctl reload {UNIT}', False, id="config"
        ),
        pytest.param(f"systemctl stop {UNIT}", True, id="stopped"),
        pytest.param(f"systemctl disable {UNIT}", False, id="disabled"),
        pytest.param(f"systemctl disable --now {UNIT} && systemctl mask --runtime {UNIT}", False, id="masked"),
        pytest.param(f"echo >>{PROGRAM}", False, id="program"),
        pytest.param(
            f"sed -i s/WatchdogSec=5/WatchdogSec=0/ /etc/systemd/system/{UNIT} && systemctl daemon-reload",
            False,
            id="unit",
        ),
        pytest.param("rm -f /etc/sysctl.d/90-bsdcarp.conf", False, id="sysctl.d"),
    ],
)
def test_drift_is_found_and_mended(site: Site, by_hand: str, persists: bool) -> None:
    host = site.cluster["web1"]
    host.output(by_hand)
    assert site.bsdcarp("verify").status == 4, site.bsdcarp("verify")
    assert site.bsdcarp("persist").status == (0 if persists else 4), site.bsdcarp("persist")
    if "mask" in by_hand:
        # What somebody masked is theirs to unmask; it is said, and nothing else is harmed.
        answer = site.bsdcarp("apply", "--yes")
        host.output(f"systemctl unmask --runtime {UNIT}")
        assert answer.status != 0 or property_of(host, "ActiveState") == "active", answer
    site.good("apply", "--yes")
    eventually(lambda: roles(site.cluster) == _SETTLED, "web1 is MASTER again")
    if not persists:
        site.good("persist")


@long
def test_a_new_address_is_taken_up_by_all_members_without_a_restart(site: Site) -> None:
    first, second = vips(site.cluster)
    more = f"{site.cluster.network}.102"
    before = {name: main_pid(host) for name, host in site.cluster.items()}
    site.write(group_text("web", 7, f"{first}/24", f"{more}/24", f"{second}/64"))
    site.good("apply", "--yes")
    eventually(lambda: holders(site.cluster, more) == ["web1"], "web1 has the new address")
    assert site.cluster.mac_of(more) == MAC
    assert {name: main_pid(host) for name, host in site.cluster.items()} == before


@long
def test_a_second_group_does_not_move_the_first(site: Site) -> None:
    extra = f"{site.cluster.network}.103"
    since = status(site.cluster["web1"])["vhids"][0]["since"]
    pings = site.cluster.pings(vips(site.cluster)[0], 0.02)
    site.write(web(site), group_text("mail", 9, f"{extra}/24", members="web2, web1"))
    site.good("apply", "--yes")
    assert pings.stop().lost == 0
    assert status(site.cluster["web1"])["vhids"][0]["since"] > since
    eventually(lambda: holders(site.cluster, extra) == ["web2"], "web2 is MASTER of the new group")
    site.good("verify")


@long
def test_a_reboot_is_survived_and_proven(site: Site) -> None:
    host, boots = site.cluster["web1"], site.cluster["web1"].boots
    pings = site.cluster.pings(vips(site.cluster)[0], 0.02)
    answer = site.bsdcarp("reboot", "--host", "web1", "--yes", "--deadline", "60")
    assert answer.status == 0, answer
    assert host.boots == boots + 1
    assert "was back after" in answer.err
    assert roles(site.cluster) == _SETTLED
    assert pings.stop().lost < 75, pings.lost  # 1.5 s of 50 a second; a time-out of the protocol takes 3.4 s


@long
def test_a_host_that_would_not_survive_is_not_rebooted(site: Site) -> None:
    host, boots = site.cluster["web1"], site.cluster["web1"].boots
    host.output(f"systemctl disable {UNIT}")
    answer = site.bsdcarp("reboot", "--host", "web1", "--yes")
    assert answer.status == 4, answer
    assert host.boots == boots


@long
def test_what_persist_says_beforehand_is_what_the_reboot_brings(site: Site) -> None:
    host, boots = site.cluster["web2"], site.cluster["web2"].boots
    host.output(f"systemctl disable {UNIT}")
    assert site.bsdcarp("persist", "--host", "web2").status == 4
    answer = site.bsdcarp("reboot", "--host", "web2", "--yes", "--force", "--deadline", "60")
    assert answer.status == 4, answer
    assert host.boots == boots + 1
    assert property_of(host, "ActiveState") == "inactive"
    assert holders(site.cluster) == ["web1"]


@long
def test_a_host_that_is_off_is_named_and_does_not_hurt_the_others(site: Site) -> None:
    site.cluster["web2"].power_cut()
    answer = site.bsdcarp("verify")
    assert answer.status == 5, answer
    assert "web2" in answer.out + answer.err
    assert site.cluster.ping(vips(site.cluster)[0])


@long
def test_a_start_that_fails_is_taken_back(site: Site) -> None:
    """A daemon that cannot start with the new files runs with the old ones again."""
    host = site.cluster["web2"]
    before = host.output(f"cat {CONFIG}")
    # Somebody's drop-in makes every reload and start fail.
    host.output(
        f"mkdir -p /etc/systemd/system/{UNIT}.d && printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' "
        f">/etc/systemd/system/{UNIT}.d/own.conf && systemctl daemon-reload"
    )
    first, second = vips(site.cluster)
    site.write(group_text("web", 7, f"{first}/24", f"{site.cluster.network}.104/24", f"{second}/64"))
    try:
        answer = site.bsdcarp("apply", "--yes", "--json")
        assert answer.results == {"web1": "rolled back", "web2": "undone"}, answer
        assert answer.status == 6, answer
        assert host.output(f"cat {CONFIG}") == before
        assert property_of(host, "ActiveState") == "active"
    finally:
        host.output(f"rm -r /etc/systemd/system/{UNIT}.d && systemctl daemon-reload")
    eventually(lambda: roles(site.cluster) == _SETTLED, "nothing has moved for good")


def test_a_group_that_is_gone_from_the_inventory_is_gone_from_the_hosts(containers: None, tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        before = {name: _etc(site, name) for name in site.cluster}
        site.write(web(site))
        site.good("apply", "--yes")
        site.write()
        answer = site.good("apply", "--yes", "--json")
        assert answer.results == {"web1": "changed", "web2": "changed"}
        for name, host in site.cluster.items():
            assert property_of(host, "ActiveState") == "inactive"
            assert property_of(host, "LoadState") == "not-found"
            assert set(vips(site.cluster)).isdisjoint(host.addresses())
            assert "carp" not in host.output("ip -o link")
            assert host.output("ip rule; ip -6 rule").count("\n") == 5
            assert (
                host.run(f"ls {PROGRAM} {CONFIG} /etc/systemd/system/{UNIT} {_RECORD} /run/bsdcarp/carpd.sock").out
                == ""
            )
            assert _etc(site, name) == before[name]
        site.good("verify")
        assert site.good("apply", "--yes", "--json").results == {"web1": "unchanged", "web2": "unchanged"}


def _etc(site: Site, name: str) -> str:
    return site.cluster[name].output(
        "find /etc -newer /etc/debian_version -type f -o -path '*bsdcarp*' | sort | xargs md5sum; true"
    )


@long
def test_another_user_becomes_root_by_sudo(containers: None, tmp_path: Path) -> None:
    with site_of(tmp_path, dict.fromkeys(("web1", "web2"), "user: admin, become: sudo")) as site:
        for host in site.cluster.values():
            host.output(
                "useradd -m -s /bin/bash admin && cp -r /root/.ssh /home/admin && chown -R admin: /home/admin/.ssh && "
                "echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin"
            )
        site.write(web(site))
        config = site.cluster.ssh_config
        config.write_text(config.read_text().replace("User root", "User admin"))
        assert site.good("apply", "--yes", "--json").results == {"web1": "changed", "web2": "changed"}
        site.good("verify")
        site.good("persist")
        config.write_text(config.read_text().replace("User admin", "User root"))
        assert roles(site.cluster) == _SETTLED


@long
def test_a_host_without_python_is_refused_untouched(containers: None, tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        site.cluster["web2"].output("chmod 0 /usr/bin/python3*")
        site.write(web(site))
        answer = site.bsdcarp("apply", "--yes")
        assert answer.status != 0
        assert "python" in (answer.out + answer.err).lower(), answer
        assert site.cluster["web2"].run(f"test -e {CONFIG}").status == 1
