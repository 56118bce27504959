"""Plans for Linux hosts: what runs before and after the files change, in which order, and what takes it back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from linux_hosts import (
    CONFIG,
    HELD,
    PASSWORD,
    PROGRAM,
    RECORD,
    SYSCTL,
    UNIT,
    WEB,
    applied,
    commands,
    host,
    inventory,
    link,
    macvlan,
    status,
    unit,
    wanted,
)

from bsdcarp.plan import LINUX_STATE, ProgramChange, plan
from bsdcarp.plan.check import check
from bsdcarp.snapshot import Snapshot
from bsdcarp.snapshot.cksum import cksum

TEST = f"python3 -I {PROGRAM} run -n -c {CONFIG}"
SET = "sysctl -w net/ipv4/conf/eth0/arp_ignore=1 net/ipv4/conf/eth0/arp_announce=2"


def rules(found: Any, snapshot: Snapshot) -> list[str]:
    return [finding.rule for finding in check(wanted(found, snapshot), snapshot)]


def test_a_first_apply_brings_everything_and_starts_the_daemon_last() -> None:
    snapshot = host()
    found = plan(wanted(inventory(), snapshot), snapshot)
    assert [(change.path, change.kind) for change in found.files] == [
        (path, "create") for path in (PROGRAM, CONFIG, UNIT, SYSCTL, RECORD)
    ]
    assert commands(found) == [
        SET,
        TEST,
        "systemctl daemon-reload",
        "systemctl enable bsdcarp-carpd.service",
        "systemctl start bsdcarp-carpd.service",
    ]
    assert [[undo.shell for undo in change.undo] for change in found.live] == [
        ["sysctl -w net/ipv4/conf/eth0/arp_ignore=0 net/ipv4/conf/eth0/arp_announce=0"],
        [],
        [],
        ["systemctl disable bsdcarp-carpd.service"],
        ["systemctl stop bsdcarp-carpd.service"],
    ]
    assert (found.early, found.state) == (0, LINUX_STATE)
    assert [command.shell for command in found.restored] == ["systemctl daemon-reload"]
    assert [change.restarts for change in found.live][-1] == (1,)


def test_the_program_is_one_line_of_a_diff() -> None:
    snapshot = host()
    change = plan(wanted(inventory(), snapshot), snapshot).files[0]
    assert isinstance(change, ProgramChange)
    [line] = change.diff()
    assert line.startswith(f"+++ b{PROGRAM}: carpd.pyz 0.")
    assert line.endswith(": new")
    assert replace(change, before="1 2").diff()[0].endswith(": replaced")
    assert replace(change, before="1 2", after=None).diff() == [f"--- a{PROGRAM}: removed"]
    assert [replace(change, before="1 2").kind, replace(change, after=None, before="1 2").kind] == ["replace", "remove"]


def test_no_password_is_in_a_diff_or_a_command() -> None:
    snapshot = host()
    for found in (inventory(), inventory(backend="ucarp")):
        desired = wanted(found, host(ucarp="/usr/sbin/ucarp"))
        there = applied(desired)
        for made in (plan(desired, snapshot), plan(wanted(inventory({}), there), there)):
            shown = [line for change in made.files for line in change.diff()]
            assert "********" in "".join(shown)
            assert PASSWORD not in "\n".join([*shown, *commands(made)])
            assert PASSWORD not in repr(made)
            # The name of a password file, at the end of a line of the record, hides no line after it.
            assert sum("********" in line for line in shown) == 1


@pytest.mark.parametrize("keys", [{}, {"virtual_mac": False}, {"backend": "ucarp"}])
def test_a_second_apply_has_nothing_to_do(keys: dict[str, Any]) -> None:
    found = inventory(**keys)
    before = applied(wanted(found, host(ucarp="/usr/sbin/ucarp")), "MASTER")
    assert not plan(wanted(found, before), before)
    assert rules(found, before) == []


def test_another_configuration_is_read_without_a_restart_and_only_what_changes_elects_anew() -> None:
    groups = {"web": WEB, "db": {"vhid": 2, "addresses": ["192.0.2.20/24"]}}
    before = applied(wanted(inventory(groups), host()))
    changed = {**groups, "db": {"vhid": 2, "addresses": ["192.0.2.20/24", "192.0.2.21/24"]}}
    found = plan(wanted(inventory(changed), before), before)
    assert [change.path for change in found.files] == [CONFIG, RECORD]
    assert commands(found) == [TEST, "systemctl reload bsdcarp-carpd.service"]
    assert found.live[-1].restarts == (2,)
    again = "systemctl reload bsdcarp-carpd.service || systemctl restart bsdcarp-carpd.service"
    assert [command.words for command in found.restored] == [("sh", "-c", again)]


def test_another_program_or_unit_restarts_the_daemon() -> None:
    before = applied(wanted(inventory(), host()))
    older = replace(before, linux=replace(before.linux, program="1 2"))  # type: ignore[type-var]
    found = plan(wanted(inventory(), older), older)
    assert [(change.path, change.kind) for change in found.files] == [(PROGRAM, "replace")]
    assert commands(found) == [TEST, "systemctl restart bsdcarp-carpd.service"]
    assert [command.shell for command in found.restored] == ["systemctl restart bsdcarp-carpd.service"]
    edited = applied(wanted(inventory(), host()), extra={UNIT: "[Service]\n"})
    found = plan(wanted(inventory(), edited), edited)
    assert commands(found) == ["systemctl daemon-reload", "systemctl restart bsdcarp-carpd.service"]
    assert [command.shell for command in found.restored] == commands(found)


def test_a_daemon_that_runs_with_something_else_than_its_file_says_reads_it_again() -> None:
    desired = wanted(inventory(), host())
    answer = status(desired)
    changes: tuple[dict[str, Any], ...] = (
        {"advskew": 7},
        {"password_sha256": "0" * 12},
        {"addresses": []},
        {"peer": "192.0.2.9"},
    )
    for change in changes:
        before = applied(desired, carpd={**answer, "vhids": [{**answer["vhids"][0], **change}]})
        assert commands(plan(wanted(inventory(), before), before)) == ["systemctl reload bsdcarp-carpd.service"]
    before = applied(desired, carpd={**answer, "settings": {**answer["settings"], "preempt": 0}})
    assert commands(plan(wanted(inventory(), before), before)) == ["systemctl reload bsdcarp-carpd.service"]


def test_a_service_that_is_off_comes_on() -> None:
    desired = wanted(inventory(), host())
    stopped = applied(desired, carpd=None, units=unit(active="failed", enabled="disabled"))
    assert commands(plan(wanted(inventory(), stopped), stopped)) == [
        "systemctl enable bsdcarp-carpd.service",
        "systemctl start bsdcarp-carpd.service",
    ]
    stale = applied(desired, units=unit(NeedDaemonReload="yes"))
    assert commands(plan(wanted(inventory(), stale), stale)) == [
        "systemctl daemon-reload",
        "systemctl restart bsdcarp-carpd.service",
    ]


def test_what_goes_is_stopped_while_its_unit_is_still_there() -> None:
    before = applied(wanted(inventory(), host()))
    found = plan(wanted(inventory({}), before), before)
    assert {change.path: change.kind for change in found.files} == dict.fromkeys(
        (PROGRAM, CONFIG, UNIT, SYSCTL, RECORD), "remove"
    )
    assert commands(found) == [
        "systemctl stop bsdcarp-carpd.service",
        "systemctl disable bsdcarp-carpd.service",
        "systemctl daemon-reload",
    ]
    assert found.early == 2
    assert [[undo.shell for undo in change.undo] for change in found.live[:2]] == [
        ["systemctl start bsdcarp-carpd.service"],
        ["systemctl enable bsdcarp-carpd.service"],
    ]
    assert [command.shell for command in found.restored] == ["systemctl daemon-reload"]
    assert found.live[0].restarts == (1,)
    assert not plan(wanted(inventory({}), host()), host())


def test_one_daemon_takes_the_place_of_the_other() -> None:
    before = applied(wanted(inventory(), host()), ucarp="/usr/sbin/ucarp")
    found = plan(wanted(inventory(backend="ucarp"), before), before)
    assert commands(found) == [
        "systemctl stop bsdcarp-carpd.service",
        "systemctl disable bsdcarp-carpd.service",
        "systemctl daemon-reload",
        "systemctl enable bsdcarp-ucarp-web.service",
        "systemctl start bsdcarp-ucarp-web.service",
    ]
    assert found.early == 2


def test_ucarp_has_a_service_for_each_group() -> None:
    groups = {"web": WEB, "db": {"vhid": 2, "addresses": ["192.0.2.20/24"]}}
    keys = {"backend": "ucarp"}
    before = applied(wanted(inventory(groups, **keys), host(ucarp="/usr/sbin/ucarp")))
    found = plan(wanted(inventory({"web": {**WEB, "advbase": 2}}, **keys), before), before)
    assert commands(found) == [
        "systemctl stop bsdcarp-ucarp-db.service",
        "systemctl disable bsdcarp-ucarp-db.service",
        "systemctl daemon-reload",
        "systemctl restart bsdcarp-ucarp-web.service",
    ]
    assert rules(inventory(groups, **keys), before) == []


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ("openrc", ["rc-update add bsdcarp-carpd default", "rc-service bsdcarp-carpd start"]),
        ("sh", ["/usr/local/lib/bsdcarp/bsdcarp-carpd.sh start"]),
    ],
)
def test_other_init_systems_have_other_words(init: str, expected: list[str]) -> None:
    snapshot = host(init=init)
    found = plan(wanted(inventory(), snapshot), snapshot)
    assert commands(found) == [SET, TEST, *expected]
    assert found.restored == ()
    running = applied(wanted(inventory(), snapshot), init=init, enabled=" ", started=" ", script=" ")
    assert not plan(wanted(inventory(), running), running)
    assert len(commands(plan(wanted(inventory({}), running), running))) == len(expected)


def test_higher_values_of_the_interface_are_left_alone() -> None:
    snapshot = host(proc=HELD.replace("ignore:1", "ignore:2"))
    assert "sysctl" not in " ".join(commands(plan(wanted(inventory(), snapshot), snapshot)))


@pytest.mark.parametrize(
    ("rule", "sections"),
    [
        ("host-python", {"python": ""}),
        ("host-python", {"python": "Python 3.7.3\n"}),
        ("host-unit-masked", {"units": unit(active="inactive", enabled="masked", LoadState="masked")}),
        ("host-interface-port", {"links": [link("eth0", master="br0", linkinfo={"info_slave_kind": "bridge"})]}),
        ("host-interface-port", {"links": [link("eth0", master="bond0", linkinfo={"info_slave_kind": "bond"})]}),
        ("host-vhid-taken", {"processes": ("/usr/sbin/ucarp\n-i\neth0\n-v\n1\n-p\nsecret\n",)}),
        (
            "host-vhid-taken",
            {
                "files": {
                    "/etc/keepalived/keepalived.conf": "vrrp_instance a {\n  interface eth0\n  virtual_router_id 1\n}\n"
                }
            },
        ),
        ("host-address-taken", {"links": [link("eth0", "192.0.2.2/24", "192.0.2.10/24")]}),
        ("host-iproute2", {"ip": ""}),
    ],
)
def test_what_cannot_work_on_this_host_is_refused(rule: str, sections: dict[str, Any]) -> None:
    findings = check(wanted(inventory(), host()), host(**sections))
    assert rule in [finding.rule for finding in findings]
    assert all(finding.remedy for finding in findings)


def test_a_host_without_groups_needs_nothing() -> None:
    snapshot = host(python="", ip="")
    assert rules(inventory({}), snapshot) == []


def test_ucarp_has_to_be_there_and_needs_systemd() -> None:
    found = inventory(backend="ucarp")
    assert rules(found, host()) == ["host-ucarp-missing"]
    assert rules(found, host(ucarp="/usr/sbin/ucarp", init="openrc")) == ["host-ucarp-init"]


def test_other_numbers_of_other_programs_do_not_matter() -> None:
    snapshot = host(processes=("ucarp\n-i\neth1\n-v\n1\n", "ucarp\n-i\neth0\n-v\n2\n"))
    assert rules(inventory(), snapshot) == []


def test_the_address_that_the_daemon_put_there_is_not_the_hosts_own() -> None:
    for keys in ({}, {"virtual_mac": False}, {"backend": "ucarp"}):
        found = inventory(**keys)
        desired = wanted(found, host(ucarp="/usr/sbin/ucarp"))
        assert rules(found, applied(desired, "MASTER")) == []
        # killed as MASTER: nobody says whose the address is, but the record does
        dead = applied(desired, "MASTER", carpd=None)
        assert rules(found, dead) == []
    assert rules(inventory(), host(links=[link("eth0", "192.0.2.2/24"), macvlan(1, "192.0.2.10/32")])) == []


def test_the_sum_is_that_of_cksum() -> None:
    assert cksum(b"") == "4294967295 0"
    assert cksum(b"123456789") == "930766865 9"
