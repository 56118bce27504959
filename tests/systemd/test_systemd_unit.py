"""The daemon as a service of a real systemd: two Debian hosts, one group, a client that pings.

Whatever happens to the service or its host, one host answers for the shared addresses, and never two for longer than
the protocol's own overlap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from systemd_carpd import (
    CONFIG,
    CTL,
    MAC,
    PROGRAM,
    UNIT,
    config_text,
    eventually,
    holders,
    install,
    main_pid,
    property_of,
    roles,
    status,
    vhid_document,
    vips,
)
from systemd_cluster import Cluster
from systemd_host import SystemdHost

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

_SETTLED = {"web1": "MASTER", "web2": "BACKUP"}
_PINGS_A_SECOND = 50


@pytest.fixture(scope="module")
def started(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(["web1", "web2"], tmp_path_factory.mktemp("unit")) as cluster:
        for host, advskew in ((cluster["web1"], 0), (cluster["web2"], 100)):
            install(host, config_text(cluster, advskew=advskew))
        yield cluster


@pytest.fixture
def pair(started: Cluster) -> Cluster:
    """Both services run as configured at first, web1 is MASTER of all."""
    for host, advskew in ((started["web1"], 0), (started["web2"], 100)):
        if not host.on:
            host.boot()
        text = config_text(started, advskew=advskew)
        if host.output(f"cat {CONFIG}") != text:
            host.write(CONFIG, text, 0o600)
            host.output(f"systemctl restart {UNIT}")
        if host.run(f"systemctl is-active {UNIT}").status != 0:
            host.output(f"systemctl reset-failed {UNIT}; systemctl start {UNIT}")
    eventually(lambda: roles(started) == _SETTLED, "web1 is MASTER, web2 is BACKUP")
    return started


def test_one_host_answers_for_both_families_with_the_virtual_mac(pair: Cluster) -> None:
    assert holders(pair) == ["web1"]
    for address in vips(pair):
        assert pair.ping(address)
        assert pair.mac_of(address) == MAC


def test_the_service_is_up_when_systemd_says_so_and_tells_its_state(pair: Cluster) -> None:
    host = pair["web1"]
    host.output(f"systemctl restart {UNIT}")
    assert status(host)["vhids"][0]["state"] in ("BACKUP", "MASTER")
    assert property_of(host, "Type") == "notify"
    assert property_of(host, "StatusText")
    assert host.run(f"systemctl is-enabled {UNIT}").out == "enabled\n"
    assert host.output("stat -c '%a %U' /run/bsdcarp /run/bsdcarp/carpd.sock").split() == ["700", "root", "600", "root"]


def test_the_process_holds_two_capabilities_and_can_get_no_more(pair: Cluster) -> None:
    text = pair["web1"].output(f"cat /proc/{main_pid(pair['web1'])}/status")
    found = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    net_admin_and_raw = 1 << 12 | 1 << 13  # linux/capability.h
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(found[name], 16) == net_admin_and_raw, name
    assert int(found["CapInh"], 16) & ~net_admin_and_raw == 0
    assert int(found["CapAmb"], 16) == 0
    assert found["NoNewPrivs"] == "1"
    assert found["Seccomp"] == "2"  # a filter


def test_the_process_comes_before_ordinary_ones_where_systemd_may_permit_it(pair: Cluster) -> None:
    host = pair["web1"]
    said = host.output(
        f"chrt -p {main_pid(host)}; cat /proc/{main_pid(host)}/oom_score_adj; grep CapEff /proc/1/status"
    )
    policy, score, permitted = said.splitlines()[0], said.splitlines()[-2], int(said.split()[-1], 16)
    if permitted & 1 << 24:  # CAP_SYS_RESOURCE: it is what raising a limit takes, and not every container has it
        assert "SCHED_RR" in policy
        assert score == "-900"
    else:
        assert "SCHED_OTHER" in policy
        assert "running with ordinary priority" in host.journal(UNIT, "-p", "notice")


def test_systemd_finds_the_unit_hardened(pair: Cluster, record_property: Callable[[str, object], None]) -> None:
    said = pair["web1"].output(f"systemd-analyze security --no-pager {UNIT}")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+) (\w+)", said)
    assert found
    record_property("exposure", found[0])
    # Root with the right to change the network and to open packet sockets cannot be much below 2.
    assert float(found[1]) <= 3.0, said


def test_the_unit_has_nothing_that_systemd_warns_of(pair: Cluster) -> None:
    done = pair["web1"].run(f"systemd-analyze verify /etc/systemd/system/{UNIT}")
    assert (done.status, done.out + done.err) == (0, "")


def test_the_journal_has_the_kernels_words_with_its_priorities(pair: Cluster) -> None:
    host = pair["web1"]
    host.output(f"systemctl restart {UNIT}")
    eventually(lambda: roles(pair) == _SETTLED, "web1 has taken over again")
    lines = [json.loads(line) for line in host.journal(UNIT, "-o", "json").splitlines()]
    said = [(int(line["PRIORITY"]), line["MESSAGE"]) for line in lines if line["_COMM"].startswith("python")]
    # net.inet.carp.log: FreeBSD's CARP_LOG is LOG_INFO (netinet/ip_carp.c).
    assert (6, "carp: 7@eth0: INIT -> BACKUP (initialization complete)") in said
    assert (6, "carp: 7@eth0: BACKUP -> MASTER (preempting a slower master)") in said or (
        6,
        "carp: 7@eth0: BACKUP -> MASTER (master timed out)",
    ) in said
    assert not [line for line in said if line[0] <= 4], said
    assert "geheim" not in host.journal(UNIT)


def test_a_reload_takes_up_what_is_new_and_moves_nothing_else(pair: Cluster) -> None:
    host = pair["web1"]
    extra = f"{pair.network}.101"
    before = status(host)
    pings = pair.pings(vips(pair)[0], 1 / _PINGS_A_SECOND)
    host.write(CONFIG, config_text(pair, advskew=0, vhids=[vhid_document(8, [f"{extra}/24"], advskew=0)]), 0o600)
    host.output(f"systemctl reload {UNIT}")
    eventually(lambda: extra in host.addresses(), "the new vhid becomes MASTER", 8)
    after = status(host)
    assert pings.stop().lost == 0
    assert after["pid"] == before["pid"]
    first = after["vhids"][0]
    assert (first["vhid"], first["state"]) == (7, "MASTER")
    assert first["since"] > before["vhids"][0]["since"]
    host.write(CONFIG, config_text(pair, advskew=0), 0o600)
    host.output(f"systemctl reload {UNIT}")
    eventually(lambda: extra not in host.addresses(), "the vhid that is not configured any more is gone", 5)
    assert roles(pair) == _SETTLED


def test_a_reload_of_a_bad_configuration_fails_and_changes_nothing(pair: Cluster) -> None:
    host = pair["web1"]
    pid = main_pid(host)
    host.write(CONFIG, config_text(pair, advskew=255), 0o600)
    assert host.run(f"systemctl reload {UNIT}").status != 0
    assert "advskew" in host.journal(UNIT, "-n", "5")
    assert (main_pid(host), status(host)["vhids"][0]["advskew"]) == (pid, 0)
    assert roles(pair) == _SETTLED


def test_a_start_with_a_bad_configuration_fails_once_and_for_all(pair: Cluster) -> None:
    host = pair["web2"]
    host.write(CONFIG, "{}\n", 0o600)
    assert host.run(f"systemctl restart {UNIT}").status != 0
    assert property_of(host, "ActiveState") == "failed"
    assert property_of(host, "ExecMainStatus") == "78"
    assert CONFIG in host.journal(UNIT, "-n", "10")
    assert holders(pair) == ["web1"]


def test_a_stop_hands_over_and_leaves_the_host_as_it_was(pair: Cluster) -> None:
    host = pair["web1"]
    pings = pair.pings(vips(pair)[0], 1 / _PINGS_A_SECOND)
    host.output(f"systemctl stop {UNIT}")
    assert set(vips(pair)).isdisjoint(host.addresses())
    eventually(lambda: holders(pair) == ["web2"], "web2 has taken over", 2)
    assert pings.stop().lost < _PINGS_A_SECOND  # waiting for the protocol's time-out would lose more than 3 s
    assert _left_of_carpd(host) == []
    host.output(f"systemctl start {UNIT}")
    eventually(lambda: roles(pair) == _SETTLED, "web1 takes its role back")


def _left_of_carpd(host: SystemdHost) -> list[str]:
    """Links, rules, routes and kernel settings of the daemon's that are there now."""
    left = re.findall(r"carp\d+\.\d+", host.output("ip -o link"))
    left += [
        line for line in host.output("ip rule; ip -6 rule").splitlines() if not re.match(r"(0|32766|32767):", line)
    ]
    left += host.output("ip route show table all proto 112; ip -6 route show table all proto 112").splitlines()
    left += [
        f"{name}={value}"
        for name in ("arp_ignore", "arp_announce", "rp_filter")
        if (value := host.output(f"cat /proc/sys/net/ipv4/conf/eth0/{name}").strip()) != "0"
    ]
    return left


def test_a_killed_daemon_is_started_again_and_cleans_up_after_itself(pair: Cluster) -> None:
    host = pair["web1"]
    restarts = int(property_of(host, "NRestarts"))
    # One script, so that nothing passes between the kill and the first answer of the new daemon.
    said = host.output(
        f"old=$(systemctl show --value -p MainPID {UNIT}); kill -9 $old; "
        f"until [ $(systemctl show --value -p MainPID {UNIT}) -gt 0 ] && {CTL} status --json >/tmp/s 2>/dev/null && "
        '! grep -q "\\"pid\\": *$old\\b" /tmp/s; do sleep 0.05; done; '
        "cat /tmp/s | tr -d '\\n'; echo; ip -o addr show; ip -o link show | grep -c carp"
    )
    document, links = json.loads(said.splitlines()[0]), said.partition("\n")[2]
    assert int(property_of(host, "NRestarts")) == restarts + 1
    if document["vhids"][0]["state"] == "BACKUP":
        assert vips(pair)[0] not in links
        assert vips(pair)[1] not in links
    assert said.splitlines()[-1] == "1"
    eventually(lambda: roles(pair) == _SETTLED, "web1 is MASTER again")
    eventually(lambda: holders(pair) == ["web1"], "only web1 has the addresses")
    assert pair.mac_of(vips(pair)[0]) == MAC


def test_a_killed_daemon_that_cannot_start_again_leaves_no_address_behind(pair: Cluster) -> None:
    host = pair["web1"]
    host.write(CONFIG, "{}\n", 0o600)
    host.output(f"kill -9 {main_pid(host)}")
    eventually(lambda: property_of(host, "ActiveState") == "failed", "the service fails for good", 10)
    eventually(lambda: holders(pair) == ["web2"], "web2 alone has the addresses", 10)
    assert _left_of_carpd(host) == []
    assert pair.ping(vips(pair)[0])


def test_a_daemon_that_hangs_is_ended_by_the_watchdog_and_started_again(pair: Cluster) -> None:
    host = pair["web1"]
    pid, restarts = main_pid(host), int(property_of(host, "NRestarts"))
    host.output(f"kill -STOP {pid}")
    eventually(lambda: int(property_of(host, "NRestarts")) > restarts, "systemd starts it again", 20)
    assert "watchdog" in host.output(f"journalctl -n 50 --no-pager -u {UNIT}").lower()
    eventually(lambda: roles(pair) == _SETTLED, "web1 is MASTER again")
    assert holders(pair) == ["web1"]
    assert main_pid(host) != pid
    assert host.output("ip -o link show | grep -c carp").strip() == "1"


def test_a_restart_of_the_network_does_not_lose_the_addresses(pair: Cluster) -> None:
    host = pair["web1"]
    host.output("systemctl restart networking")
    eventually(lambda: roles(pair) == _SETTLED, "web1 is MASTER again")
    eventually(lambda: holders(pair) == ["web1"], "web1 alone has the addresses")
    for address in vips(pair):
        eventually(lambda address=address: pair.ping(address), f"{address} answers")  # type: ignore[misc]
        assert pair.mac_of(address) == MAC


def test_an_address_that_somebody_took_away_comes_back(pair: Cluster) -> None:
    host = pair["web1"]
    address = vips(pair)[0]
    host.output(f"ip addr del {address}/32 dev $(ip -o link | grep -o 'carp[0-9.]*' | head -1)")
    eventually(lambda: address in host.addresses(), "the daemon puts it back", 5)
    assert pair.ping(address)


def test_a_reboot_hands_over_and_takes_back(pair: Cluster) -> None:
    host, boots = pair["web1"], pair["web1"].boots
    pings = pair.pings(vips(pair)[0], 1 / _PINGS_A_SECOND)
    host.run("systemctl reboot")
    host.await_boot(boots + 1)
    eventually(lambda: roles(pair) == _SETTLED, "web1 takes its role back after the reboot")
    assert pings.stop().lost < 1.5 * _PINGS_A_SECOND, (pings.lost, host.journal(UNIT))
    assert host.run(f"systemctl is-active {UNIT}").out == "active\n"
    assert holders(pair) == ["web1"]


def test_a_power_cut_costs_the_protocols_time_and_the_host_comes_back_clean(pair: Cluster) -> None:
    host = pair["web1"]
    pings = pair.pings(vips(pair)[0], 1 / _PINGS_A_SECOND)
    host.power_cut()
    eventually(lambda: holders(pair) == ["web2"], "web2 has taken over", 8)
    # 3 x advbase + advskew/256 of web2 is 3.4 s.
    assert pings.stop().lost <= 5 * _PINGS_A_SECOND
    host.boot()
    eventually(lambda: roles(pair) == _SETTLED, "web1 takes its role back")
    assert holders(pair) == ["web1"]


def test_failover_and_demotion_by_hand(pair: Cluster) -> None:
    host = pair["web1"]
    host.output(f"{CTL} failover 7")
    eventually(lambda: roles(pair) == {"web1": "BACKUP", "web2": "MASTER"}, "web2 has the role", 5)
    host.output(f"{CTL} failover 7 --undo")
    eventually(lambda: roles(pair) == _SETTLED, "web1 takes its role back")
    host.output(f"{CTL} demote 240")
    eventually(lambda: roles(pair) == {"web1": "BACKUP", "web2": "MASTER"}, "web2 has the role", 5)
    assert "demoted by 240 to 240" in host.journal(UNIT, "-n", "5")
    host.output(f"{CTL} undemote")
    eventually(lambda: roles(pair) == _SETTLED, "web1 takes its role back")


def test_who_is_not_root_cannot_talk_to_the_daemon(pair: Cluster) -> None:
    done = pair["web1"].run(f"runuser -u nobody -- {CTL} status")
    assert done.status == 1
    assert "Traceback" not in done.err


def test_the_program_runs_without_a_word_of_the_rest_of_the_project(pair: Cluster) -> None:
    listed = pair["web1"].output(f"python3 -I -m zipfile -l {PROGRAM}")
    packages = {name.split("/")[1] for name in re.findall(r"^bsdcarp/\S+", listed, re.MULTILINE) if "/" in name[8:]}
    assert packages == {"carp", "carpd"}
