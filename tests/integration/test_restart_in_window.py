"""A host that is restarted before a change was confirmed: its own boot hook takes the change back, or has it proven."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integration.conftest import PAIR, PASSWORD, Bench, soon

pytestmark = pytest.mark.timeout(180)
Start = Callable[[str], Bench]
HOSTS = "ab"
HOOK = "/etc/rc.d/bsdcarp_undo"


def states(site: Bench) -> list[dict[str, bytes | str]]:
    return [site.state(host) for host in HOSTS]


def generations(site: Bench) -> list[int]:
    return [site.lab.machine(host).generation for host in HOSTS]


def at_rest(site: Bench) -> bool:
    return all(site.lab.machine(host).alive and not site.pending(host) for host in HOSTS)


@pytest.mark.parametrize("way", ["reboot", "power loss"])
@pytest.mark.parametrize("carp", ["was there", "is new"])
def test_a_restart_in_the_window_takes_everything_back(bench: Start, way: str, carp: str) -> None:
    site = bench(PAIR)
    if carp == "was there":
        site.run("apply", "--yes", status=0)
        site.rewrite("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.9/24]")
    before, boots = states(site), generations(site)
    site.run("apply", "--yes", "--confirm", "manual", "--no-wait", status=0)
    assert all(site.file(host, HOOK).exists() for host in HOSTS)
    assert all(now != then for now, then in zip(states(site), before, strict=True))
    for host in HOSTS:
        machine = site.lab.machine(host)
        if way == "reboot":
            machine.reboot()
        else:
            machine.power_off()
            machine.boot()
    assert soon(lambda: at_rest(site))
    assert states(site) == before
    # One boot takes back what rc has not read yet, and the next one begins with the old files.
    assert generations(site) == [number + 2 for number in boots]
    assert all(site.settled(host) and not site.file(host, HOOK).exists() for host in HOSTS)
    late = site.run("confirm", "--json", status=6)
    assert late.results == {"a": "rolled back", "b": "rolled back"}
    assert "the host was restarted before it was confirmed" in late.detail("a")
    assert site.run("diff").status == 3
    assert site.run("apply", "--yes", "--json", status=0).results == {"a": "changed", "b": "changed"}


def test_power_that_is_lost_in_the_middle_takes_back_what_was_begun(bench: Start) -> None:
    site = bench(PAIR)
    before = states(site)
    machine = site.lab.machine("b")
    reached, shim = site.file("b", "/reached"), site.file("b", ".lab/bin/kldload")
    site.tool("b", "kldload", '#!/bin/sh\n: >"$BSDCARP_ROOT/reached"\nexec sleep 60\n')
    with site.start("apply", "--yes") as process:
        assert soon(reached.exists)
        assert site.file("b", "/var/run/bsdcarp.lock/pid").exists()
        machine.power_off()
        reached.unlink()
        shim.with_name("kldload.real").rename(shim)
        machine.boot()
        said = process.communicate()[1]
    assert process.returncode in (5, 6), said
    assert soon(lambda: at_rest(site))
    assert states(site) == before
    assert all(site.settled(host) and not site.file(host, HOOK).exists() for host in HOSTS)
    assert site.run("apply", "--yes").status == 0


def test_a_restart_that_goes_well_confirms_and_the_hook_goes(bench: Start) -> None:
    site = bench(PAIR)
    result = site.run("apply", "--yes", "--confirm", "after-reboot", "--json", status=0)
    assert result.results == {"a": "changed", "b": "changed"}
    assert generations(site) == [2, 2]
    assert all(site.settled(host) and not site.file(host, HOOK).exists() for host in HOSTS)
    assert site.run("verify").status == 0
    assert site.run("persist").status == 0


def test_a_restart_after_which_it_does_not_verify_goes_back(bench: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsdcarp.fleet.unit.BOOTING", 0.0)
    site = bench(PAIR)
    before = states(site)
    site.lab.machine("b").on_up.append(lambda: void(site.live("b", "ifconfig", "em0", "inet", "10.1.0.1", "-alias")))
    result = site.run("apply", "--yes", "--confirm", "after-reboot", "--json", status=6)
    assert set(result.results.values()) == {"rolled back"}, result
    assert states(site) == before
    assert all(site.settled(host) for host in HOSTS)


def test_what_comes_a_little_after_sshd_is_waited_for(bench: Start) -> None:
    site = bench(PAIR)
    # With its last address a vhid goes, and its advskew and password with it.
    vhid = ("inet", "vhid", "1", "advskew", "100", "pass", PASSWORD, "alias", "10.1.0.1/24")

    def late() -> None:
        site.live("b", "ifconfig", "em0", "inet", "10.1.0.1", "-alias")
        site.lab.network.schedule(6.0, lambda: void(site.live("b", "ifconfig", "em0", *vhid)))

    site.lab.machine("b").on_up.append(late)
    result = site.run("apply", "--yes", "--confirm", "after-reboot", "--json", status=0)
    assert result.results == {"a": "changed", "b": "changed"}


def test_an_operator_who_is_lost_after_the_restart_leaves_nothing_half_done(bench: Start) -> None:
    site = bench(PAIR)
    before = states(site)
    with site.start("apply", "--yes", "--confirm", "after-reboot") as process:
        # One host has been restarted by then, the other has not.
        assert soon(lambda: 2 in generations(site))
        process.kill()
        process.communicate()
    assert sorted(generations(site)) == [1, 2]
    for host in HOSTS:
        site.hasten(host)
    assert soon(lambda: at_rest(site))
    assert soon(lambda: states(site) == before)
    # Its files were read at its boot, so that it takes one more to be as it was.
    assert sorted(generations(site)) == [1, 3]
    assert all(site.settled(host) and not site.file(host, HOOK).exists() for host in HOSTS)


def void(_: object) -> None:
    """Whatever it says, nobody listens."""
