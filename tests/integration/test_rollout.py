"""What one group does to the others, which member goes first, and what a failure in the middle takes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integration.conftest import PAIR, Bench, soon

pytestmark = pytest.mark.timeout(180)
Start = Callable[[str], Bench]

THREE = """\
version: 1
sysctl: {allow: 1, preempt: 1, log: 1}
hosts:
  a: {address: 10.1.0.2, interface: em0, os: freebsd-14.2}
  b: {address: 10.1.0.3, interface: em0, os: freebsd-12.1}
  c: {address: 10.2.0.2, interface: em0, os: freebsd-14.2}
  d: {address: 10.2.0.3, interface: em0, os: freebsd-9.3}
  e: {address: 10.3.0.2, interface: em0, os: freebsd-14.2}
groups:
  one: {vhid: 1, password: {env: LAB_PASSWORD}, addresses: [10.1.0.1/24], members: [a, b]}
  two: {vhid: 2, password: {env: LAB_PASSWORD}, addresses: [10.2.0.1/24], members: [c, d]}
  three: {vhid: 3, password: {env: LAB_PASSWORD}, addresses: [10.3.0.1/24], members: [e]}
"""
CUT_OFF = "they do not hear each other"


def failing_ifconfig(site: Bench, host: str, pattern: str) -> None:
    """An ifconfig(8) that refuses commands like ``pattern``, and says so as the real one does."""
    real = site.file(host, ".lab/bin/ifconfig.real")
    site.tool(
        host,
        "ifconfig",
        f'#!/bin/sh\ncase "$*" in {pattern}) echo "ifconfig: ioctl (SIOCAIFADDR): Invalid argument" >&2; exit 1 ;; esac\n'
        f'n=ifconfig; . "{real}"\n',
    )


def logged(site: Bench, host: str, name: str) -> Callable[[], list[str]]:
    """Write down every call of a simulated command; return what reads them."""
    real, log = site.file(host, f".lab/bin/{name}.real"), site.file(host, f"/{name}.log")
    site.tool(host, name, f'#!/bin/sh\necho "$*" >>"{log}"\nn={name}; . "{real}"\n')
    return lambda: log.read_text().splitlines() if log.exists() else []


def split(site: Bench, *names: str) -> None:
    """From now on these do not hear each other's adverts."""
    apart = frozenset(names)
    assert site.segments
    for segment in site.segments:
        segment.drop = lambda sender, receiver, _: {sender, receiver} <= apart


def order(err: str, stage: str) -> list[str]:
    return [line.split()[1] for line in err.splitlines() if line.startswith("> ") and line.split()[2:3] == [stage]]


def test_a_group_that_does_not_verify_goes_back_as_a_whole_and_stops_the_rest(bench: Start) -> None:
    site = bench(THREE)
    before = {host: site.state(host) for host in "abcde"}
    split(site, "a", "b")
    result = site.run("apply", "--yes", "--json", "--parallel", "1", status=6)
    assert result.results == {"a": "rolled back", "b": "rolled back", "c": "skipped", "d": "skipped", "e": "skipped"}
    assert CUT_OFF in result.detail("a")
    assert "the roll-out was stopped" in result.detail("e")
    assert {host: site.state(host) for host in "abcde"} == before
    assert all(site.settled(host) for host in "abcde")

    again = site.run("apply", "--yes", "--json", "--parallel", "1", "--max-failures", "1", status=6)
    assert [again.results[host] for host in "ab"] == ["rolled back"] * 2
    assert [again.results[host] for host in "cde"] == ["changed"] * 3
    assert {host: site.state(host) for host in "ab"} == {host: before[host] for host in "ab"}
    assert site.run("verify", "--group", "two").status == 0


def test_the_canary_goes_first_and_alone_and_stops_everything_if_it_does_not_end_well(bench: Start) -> None:
    site = bench(THREE)
    split(site, "a", "b")
    result = site.run("apply", "--yes", "--json", "--canary", "--max-failures", "9", status=6)
    assert [result.results[host] for host in "abcde"] == ["rolled back"] * 2 + ["skipped"] * 3
    split(site)
    lock = site.file("b", "/var/run/bsdcarp.lock")
    lock.mkdir(parents=True)
    (lock / "owner").write_text("ana@desk since noon\n")
    result = site.run("apply", "--yes", "--json", "--canary", status=1)
    assert [result.results[host] for host in "abcde"] == ["skipped", "refused"] + ["skipped"] * 3
    assert "ana@desk since noon, but that process is gone: --steal-lock" in result.detail("b")
    result = site.run("apply", "--yes", "--json", "--canary", "--steal-lock", "-v", status=0)
    assert set(result.results.values()) == {"changed"}
    stages = [line for line in result.err.splitlines() if line.startswith("> ")]
    assert max(i for i, line in enumerate(stages) if line == "> a done") < min(
        i for i, line in enumerate(stages) if line.split()[1:3] == ["c", "applying"]
    )


def test_a_live_command_that_fails_on_the_second_member_takes_the_first_one_back(bench: Start) -> None:
    site = bench(PAIR)
    before = [site.state(host) for host in "ab"]
    failing_ifconfig(site, "a", '*"alias 10."*')
    result = site.run("apply", "--yes", "--json", status=6)
    assert result.results == {"a": "undone", "b": "rolled back"}
    assert "SIOCAIFADDR" in result.detail("a")
    assert "because of a" in result.detail("b")
    assert [site.state(host) for host in "ab"] == before
    assert all(site.settled(host) for host in "ab")


def test_the_master_is_last_gives_its_role_away_first_and_gets_it_back(bench: Start) -> None:
    site = bench(PAIR)
    site.run("apply", "--yes", status=0)
    assert site.lab.machine("a").carp_states() == {"1@em0": "MASTER"}
    site.live("a", "sysctl", "net.inet.carp.demotion=7")
    site.live("b", "sysctl", "net.inet.carp.demotion=7")
    calls, commands = {host: logged(site, host, "sysctl") for host in "ab"}, logged(site, "a", "ifconfig")
    site.rewrite("10.1.0.1/24", "10.1.0.1/25")
    result = site.run("apply", "--yes", "-v", status=0)
    assert order(result.err, "applying") == ["b", "a"]
    demotions = {host: [call for call in calls[host]() if "demotion=" in call] for host in "ab"}
    assert demotions == {"a": ["net.inet.carp.demotion=240", "net.inet.carp.demotion=-240"], "b": []}
    assert site.live("a", "sysctl", "-n", "net.inet.carp.demotion") == "7\n", "what others had added stays"
    assert any("alias" in call for call in commands())
    assert soon(lambda: site.lab.machine("a").carp_states() == {"1@em0": "MASTER"})


def test_a_drain_that_was_cut_off_is_taken_back(bench: Start) -> None:
    site = bench(PAIR)
    site.run("apply", "--yes", status=0)
    site.live("a", "sysctl", "net.inet.carp.demotion=7")
    site.live("b", "sysctl", "net.inet.carp.demotion=7")
    before = [site.state(host) for host in "ab"]
    # The transaction's own process dies while it looks whether the role has gone.
    real = site.file("a", ".lab/bin/ifconfig.real")
    kill = '[ "$(sysctl -n net.inet.carp.demotion)" = 7 ] || [ -e "$0.once" ] || { : >"$0.once"; kill -9 $PPID; }'
    site.tool("a", "ifconfig", f'#!/bin/sh\n{kill}\nn=ifconfig; . "{real}"\n')
    site.rewrite("10.1.0.1/24", "10.1.0.1/25")
    result = site.run("apply", "--yes", "--json", status=6)
    assert site.file("a", ".lab/bin/ifconfig.once").exists()
    assert result.results == {"a": "rolled back", "b": "rolled back"}, result
    assert [site.state(host) for host in "ab"] == before
    assert site.live("a", "sysctl", "-n", "net.inet.carp.demotion") == "7\n"


def test_a_changed_password_reaches_all_members_at_once_and_is_foretold(bench: Start) -> None:
    site = bench(PAIR)
    site.run("apply", "--yes", status=0)
    site.environment = {"LAB_PASSWORD": "AnotherPw22"}
    result = site.run("apply", "--yes", "-v", status=0)
    warning = "where that takes longer than 3.0 s, two of them are MASTER until the last one has it"
    assert warning in result.err
    assert result.err.index(warning) < result.err.index("applying")
    stages = [line.split()[2] for line in result.err.splitlines() if line.endswith(("applying", "applied"))]
    assert stages == ["applying", "applying", "applied", "applied"]
    assert "AnotherPw22" not in result.out + result.err


def test_one_member_alone_gets_no_password_that_the_others_do_not_have(bench: Start) -> None:
    site = bench(PAIR)
    site.run("apply", "--yes", status=0)
    before = site.state("b")
    site.environment = {"LAB_PASSWORD": "AnotherPw22"}
    refused = site.run("apply", "--yes", "--host", "b", "--json", status=1)
    assert refused.results == {"b": "refused"}
    assert "a was not chosen" in refused.detail("b")
    assert "--group one" in refused.detail("b")
    assert site.state("b") == before
    # Whoever cannot be asked cannot be in the way; and it may follow alone what the other one has already.
    site.lab.machine("a").power_off()
    assert site.run("apply", "--yes", "--host", "b", "--json", status=0).results == {"b": "changed"}
    site.lab.machine("a").boot()
    assert site.run("apply", "--yes", "--host", "a", "--json", status=0).results == {"a": "changed"}
    site.run("verify", status=0)


def test_a_change_of_one_member_is_verified_with_those_that_were_not_chosen(bench: Start) -> None:
    site = bench(PAIR)
    assert "live:" not in site.run("apply", "--yes", "--quiet", status=0).out
    before = site.state("b")
    site.rewrite("members: [a, b]", "members: [a, {host: b, advskew: 50}]")
    # What was wrong on the other one before is not this change's fault.
    rc_conf = site.file("a", "/etc/rc.conf")
    rc_conf.write_text(rc_conf.read_text().replace("vhid 1", "vhid 9"))
    assert site.run("apply", "--yes", "--host", "b", "--json", status=0).results == {"b": "changed"}
    assert site.state("b") != before


def test_a_full_disk_on_the_second_member_takes_the_first_one_back(bench: Start) -> None:
    site = bench(PAIR)
    before = [site.state(host) for host in "ab"]
    site.tool("a", "cp", '#!/bin/sh\necho "cp: write: No space left on device" >&2; exit 1\n')
    result = site.run("apply", "--yes", "--json", status=6)
    assert result.results == {"a": "refused", "b": "rolled back"}
    assert "disk full" in result.detail("a")
    assert [site.state(host) for host in "ab"] == before
    assert all(site.settled(host) for host in "ab")


def test_two_operators_at_once_leave_one_of_both_changes(bench: Start) -> None:
    site = bench(PAIR)
    site.run("apply", "--yes", status=0)
    other = Bench(site.lab, site.path.with_name("other.yml"))
    other.path.write_text(site.path.read_text().replace("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.8/24]"))
    site.rewrite("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.9/24]")
    with site.start("apply", "--yes") as one, other.start("apply", "--yes") as two:
        said = [process.communicate(timeout=60)[1] for process in (one, two)]
    ended = sorted(process.returncode for process in (one, two))
    assert "Traceback" not in "".join(said)
    assert ended[0] in (0, 1), said
    ways = [run for run in (site, other) if run.run("diff").status == 0]
    assert all(site.settled(host) for host in "ab")
    assert len(ways) <= 1
    assert (ended[0] == 0) == (len(ways) == 1), "a success means that it is so"


def test_what_went_from_the_inventory_goes_and_what_was_never_in_it_stays_and_is_named(bench: Start) -> None:
    site = bench(PAIR)
    foreign = 'ifconfig_em0_alias1="inet vhid 77 advskew 5 pass ForeignPw1 alias 10.1.0.177/32"\n'
    rc = site.file("b", "/etc/rc.conf")
    rc.write_text(rc.read_text() + foreign)
    site.live("b", "kldload", "carp")
    site.live(
        "b", "ifconfig", "em0", "inet", "vhid", "77", "advskew", "5", "pass", "ForeignPw1", "alias", "10.1.0.177/32"
    )
    first = {host: site.files(host) for host in "ab"}
    inventory = site.path.read_text()
    password = "password: {env: LAB_PASSWORD}"
    site.path.write_text(
        inventory.replace("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.5/24]").replace("log: 1", "log: 2")
        + f"  two: {{vhid: 2, {password}, addresses: [10.1.0.2/24], members: [b, a]}}\n".replace(
            "10.1.0.2", "10.1.0.22"
        )
        + f"  third: {{vhid: 3, {password}, addresses: [10.1.0.33/24], members: [a, b]}}\n"
    )
    site.run("apply", "--yes", status=0)
    assert "10.1.0.5" in rc.read_text()
    text = site.path.read_text()
    site.path.write_text(
        "\n".join(line for line in text.splitlines() if " two:" not in line).replace(", 10.1.0.5/24", "") + "\n"
    )
    site.run("apply", "--yes", status=0)
    for gone in ("10.1.0.5", "10.1.0.22", "vhid 2 "):
        assert gone not in rc.read_text()
        assert gone not in site.live("b", "ifconfig", "em0")
    assert foreign in rc.read_text()
    numbers = sorted(
        line.split("=")[0] for line in rc.read_text().splitlines() if line.startswith("ifconfig_em0_alias")
    )
    assert numbers == [f"ifconfig_em0_alias{n}" for n in range(len(numbers))], "closed up: rc stops at the first gap"
    for verb in ("verify", "diff"):
        assert "vhid 77 on em0 (MASTER) is not in the inventory; it is left alone" in site.run(verb, "-v").out
        assert "vhid 77" not in site.run(verb).out

    nothing = site.path.read_text().partition("groups:")[0].replace("sysctl: {allow: 1, preempt: 1, log: 2}\n", "")
    site.path.write_text(nothing + "groups: {}\n")
    site.run("apply", "--yes", status=0)
    assert {p: t for p, t in site.files("b").items() if "record" not in p} == first["b"]
    assert "vhid 77" in site.live("b", "ifconfig", "em0")
    assert "vhid 1 " not in site.live("a", "ifconfig", "em0")
