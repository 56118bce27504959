"""Rolling reboots of simulated hosts, every era and both systems, and everything that may go wrong on the way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bsdcarp.fleet.hosts import Options
from bsdcarp.fleet.rolling import HostReboot, Rolled, Rolling, roll, survey
from bsdcarp.lab.keys import host_keys
from reboot.bench import Bench, bench_of, inventory_text, result

pytestmark = pytest.mark.timeout(240)

ERAS = [
    ("freebsd-7.2", "freebsd-7.2"),
    ("freebsd-9.3", "freebsd-10.4"),
    ("freebsd-12.1", "freebsd-15.0"),
    ("freebsd-14.2", "debian-12"),
    ("debian-12", "debian-12"),
]


def test_every_era_is_rolled_and_proven(tmp_path: Path) -> None:
    with bench_of(inventory_text(ERAS), tmp_path) as bench:
        bench.settled()
        boots = {name: machine.generation for name, machine in bench.lab.machines.items()}
        done = bench.command("--yes", "--parallel", "5", "--json", "--report", str(tmp_path / "report.json"))
        assert done.returncode == 0, done.stdout + done.stderr
        document = json.loads(done.stdout)
        assert document == json.loads((tmp_path / "report.json").read_text())
        assert {row["result"] for row in document["results"].values()} == {"rebooted"}
        assert {name: machine.generation for name, machine in bench.lab.machines.items()} == {
            name: generation + 1 for name, generation in boots.items()
        }
        hosts = {entry["host"]: entry for entry in document["hosts"]}
        for number in range(len(ERAS)):
            # Both were MASTER of one group; each was taken over by the other before it went down.
            assert hosts[f"h{number}a"]["taken_over_by"] == {f"one{number}": f"h{number}b"}
            assert hosts[f"h{number}b"]["taken_over_by"] == {f"two{number}": f"h{number}a"}
        for entry in hosts.values():
            assert 0 < entry["down"] <= entry["back_after"]
            assert entry["boot_before"] != entry["boot_after"]
            assert entry["files_compared"]
        assert hosts["h0a"]["roles_given_away_by"].startswith("carp1 down")
        assert hosts["h1b"]["roles_given_away_by"] == "demotion +240"
        assert hosts["h3b"]["roles_given_away_by"] == "carpd ctl failover"
        assert all("loopback" in vip["why_not"] and vip["lost"] is None for vip in document["vips"])
        bench.settled()
        assert {bench.demotion(name) for name in ("h1b", "h2a", "h2b", "h3a", "h3b")} == {0}
        assert not list(tmp_path.glob("lab/hosts/*/var/run/bsdcarp.lock"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A FreeBSD host and a Linux one."""
    with bench_of(inventory_text([("freebsd-14.2", "debian-12")]), tmp_path_factory.mktemp("pair")) as started:
        yield started


@pytest.fixture
def bench(pair: Bench) -> Iterator[Bench]:
    """All is well at the beginning, and again at the end."""
    machines = dict(pair.lab.machines)
    pair.events.clear()
    pair.settled()
    yield pair
    for name, machine in machines.items():
        if not machine.alive:
            machine.boot()
        # Where a test had the host go down without coming back, nobody took its lock away.
        shutil.rmtree(pair.lab.root(name) / "var/run/bsdcarp.lock", ignore_errors=True)
    pair.apply()


def only(rolled: Rolled, host: str = "h0a") -> HostReboot:
    return result(rolled, host)


def test_a_host_whose_peer_is_down_is_not_touched(bench: Bench) -> None:
    boots = bench.lab.machine("h0a").generation
    bench.lab.machine("h0b").power_off()
    rolled = bench.roll("h0a", force=True)
    assert rolled.status == 1
    assert only(rolled).result == "refused"
    assert "one0 would be left without a healthy member: h0b cannot be asked" in only(rolled).detail
    assert bench.lab.machine("h0a").generation == boots


def test_the_only_member_of_a_group_reboots_when_the_outage_is_accepted(tmp_path: Path) -> None:
    whole = inventory_text([("freebsd-14.2", "freebsd-14.2")])
    alone = whole.replace("members: [h0a, h0b]", "members: [h0a]").replace("members: [h0b, h0a]", "members: [h0b]")
    assert alone != whole
    with bench_of(alone, tmp_path) as bench:
        bench.settled()
        refused = bench.command("--yes", "--host", "h0a")
        assert refused.returncode == 1
        assert "one0 has no other member" in refused.stdout
        assert "--outage" in refused.stdout
        boots = bench.lab.machine("h0a").generation
        done = bench.command("--yes", "--host", "h0a", "--outage")
        assert done.returncode == 0, done.stdout + done.stderr
        assert bench.lab.machine("h0a").generation == boots + 1


@pytest.mark.long
def test_a_peer_that_is_demoted_or_does_not_carry_the_group_is_not_healthy(bench: Bench) -> None:
    bench.shell("h0a", "sysctl net.inet.carp.demotion=240")
    try:
        assert "h0a is demoted by 240" in only(bench.roll("h0b"), "h0b").detail
    finally:
        bench.shell("h0a", "sysctl net.inet.carp.demotion=-240")
    bench.shell("h0b", "systemctl stop bsdcarp-carpd.service")
    assert "h0b does not carry it" in only(bench.roll("h0a")).detail


@pytest.mark.long
def test_a_peer_that_was_told_to_leave_the_group_is_not_healthy(bench: Bench) -> None:
    control = "python3 -I /usr/local/lib/bsdcarp/carpd.pyz ctl failover 1"
    bench.shell("h0b", control)
    try:
        assert "was told to leave it to others" in only(bench.roll("h0a")).detail
    finally:
        bench.shell("h0b", f"{control} --undo")


@pytest.mark.long
def test_while_a_transaction_waits_nothing_is_rebooted(bench: Bench) -> None:
    pending = bench.lab.root("h0b") / "var/lib/bsdcarp/pending"
    here = pending.with_name("tx-20260101-000000-abcdef")
    here.mkdir()
    (here / "undo").write_text("")
    pending.write_text(f"{here.name}\n")
    try:
        entry = only(bench.roll("h0a"))
    finally:
        pending.unlink()
        shutil.rmtree(here)
    assert entry.result == "refused"
    assert "on h0b tx-20260101-000000-abcdef waits" in entry.detail


def test_while_somebody_holds_the_lock_nothing_is_rebooted(bench: Bench) -> None:
    lock = bench.lab.root("h0a") / "var/run/bsdcarp.lock"
    lock.mkdir()
    (lock / "owner").write_text("joe@desk\n")
    try:
        entry = only(bench.roll("h0a"))
    finally:
        (lock / "owner").unlink()
        lock.rmdir()
    assert entry.result == "refused"
    assert "held by joe@desk" in entry.detail
    assert bench.demotion("h0a") == 0


@pytest.mark.long
def test_what_would_not_survive_is_not_rebooted_unless_forced(bench: Bench) -> None:
    path = bench.lab.root("h0a") / "etc/sysctl.conf"
    path.write_text(path.read_text().replace("net.inet.carp.preempt=1", "net.inet.carp.preempt=0"))
    rolled = bench.roll("h0a")
    assert (rolled.status, only(rolled).result) == (4, "would not survive")
    assert "net.inet.carp.preempt would be 0" in only(rolled).detail
    forced = bench.roll("h0a", force=True)
    assert (forced.status, only(forced).result) == (4, "not verified")
    assert {"verify-sysctl", "persist-sysctl"} <= {f.rule for f in forced.findings}


def test_after_a_host_that_never_returns_no_other_is_begun(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = bench.lab.machine("h0b")
    monkeypatch.setattr(machine, "reboot", lambda *_: machine.power_off())
    rolled = bench.roll("h0a", "h0b", deadline=3)
    assert [(entry.host, entry.result) for entry in rolled.hosts] == [("h0b", "unreachable"), ("h0a", "skipped")]
    assert rolled.status == 5
    assert "has not come back within 3 s" in rolled.hosts[0].detail
    assert rolled.hosts[0].heirs == {"two0": "h0a"}
    assert "because of h0b" in rolled.hosts[1].detail
    assert any("down for" in event.detail for event in bench.events)


def test_a_host_that_does_not_reboot_gets_its_roles_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.lab.machine("h0a"), "reboot", lambda *_: None)
    rolled = bench.roll("h0a", deadline=2)
    assert (rolled.status, only(rolled).result) == (1, "not rebooted")
    assert "it has not rebooted within 2 s" in only(rolled).detail
    assert bench.demotion("h0a") == 0
    assert not (bench.lab.root("h0a") / "var/run/bsdcarp.lock").exists()
    bench.settled()


def test_another_host_key_after_the_reboot_is_refused_and_explained(bench: Bench, tmp_path: Path) -> None:
    known = bench.lab.known_hosts
    before = known.read_text()
    stranger = host_keys(tmp_path, ["stranger"])["stranger"].of(["ed25519"])[0].public.split()[1]
    # The same as if the host had another one, and simpler to bring about: what is known of it is another key.
    lines = [line.split() for line in before.splitlines()]
    other = "".join(f"{names} ssh-ed25519 {stranger}\n" for names, kind, *_ in lines if kind == "ssh-ed25519")

    def forget() -> None:
        known.write_text(other)

    bench.lab.machine("h0a").on_down.append(forget)
    try:
        rolled = bench.roll("h0a")
    finally:
        bench.lab.machine("h0a").on_down.remove(forget)
        known.write_text(before)
    assert (rolled.status, only(rolled).result) == (5, "unreachable")
    assert "has another host key" in only(rolled).detail
    assert "compare the fingerprint" in only(rolled).detail


def test_a_file_that_something_writes_at_boot_is_found(bench: Bench) -> None:
    path = bench.lab.root("h0a") / "etc/sysctl.conf"
    machine = bench.lab.machine("h0a")

    def write() -> None:
        path.write_text(f"{path.read_text()}# written by the image\n")

    machine.on_down.append(write)
    try:
        rolled = bench.roll("h0a")
    finally:
        machine.on_down.remove(write)
    assert (rolled.status, only(rolled).result) == (4, "not verified")
    assert "reboot-file-changed" in {f.rule for f in rolled.findings}
    assert only(rolled).seconds is not None


@pytest.mark.long
def test_when_nobody_takes_over_the_host_is_not_rebooted(bench: Bench) -> None:
    # One less than what counts as unhealthy, but with its advskew behind the 240 of the host that gives its roles away.
    boots = bench.lab.machine("h0a").generation
    bench.shell("h0b", "python3 -I /usr/local/lib/bsdcarp/carpd.pyz ctl demote 239")
    try:
        rolled = bench.roll("h0a")
    finally:
        bench.shell("h0b", "python3 -I /usr/local/lib/bsdcarp/carpd.pyz ctl undemote")
    assert rolled.status == 1
    assert only(rolled).result == "not rebooted"
    assert "nobody became MASTER of one0" in only(rolled).detail
    assert bench.lab.machine("h0a").generation == boots
    assert bench.demotion("h0a") == 0


@pytest.mark.long
def test_the_survey_reads_and_changes_nothing(bench: Bench) -> None:
    with bench.fleet() as fleet:
        order, against = survey(fleet, bench.secrets, ["h0a", "h0b"], Rolling())
    assert (sorted(order[0]), against) == (["h0a", "h0b"], {})
    assert Options().parallel > 1


def test_an_interrupt_ends_it_and_tells_where_it_stood(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = bench.lab.machine("h0b")
    with bench.fleet() as fleet:
        order, against = survey(fleet, bench.secrets, ["h0a", "h0b"], Rolling())
        assert against == {}

        def interrupted(*_: object) -> None:
            machine.power_off()
            fleet.stop()

        monkeypatch.setattr(machine, "reboot", interrupted)
        rolled = roll(fleet, bench.secrets, order, Rolling(deadline=60))
    assert [entry.result for entry in rolled.hosts] == ["unreachable", "skipped"]
    assert "interrupted while it was rebooting" in rolled.hosts[0].detail


@pytest.mark.long
def test_the_report_for_people_says_what_happened(bench: Bench) -> None:
    done = bench.command("--host", "h0a", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rebooted" in done.stdout
    assert "demotion +240" in done.stdout
    assert "one0: h0b" in done.stdout
    assert "loopback" in done.stdout


@pytest.mark.long
def test_a_refusal_for_people_names_host_and_group(bench: Bench, tmp_path: Path) -> None:
    bench.lab.machine("h0b").power_off()
    done = bench.command("--host", "h0a", "--yes")
    assert done.returncode == 1
    assert "one0 would be left without a healthy member" in done.stdout
    unwritable = bench.command("--yes", "--report", str(tmp_path / "no/such/report.json"))
    assert unwritable.returncode == 2
    assert "the report cannot be written" in unwritable.stderr


@pytest.mark.long
def test_without_preempt_the_role_moves_by_time_and_stays_where_it_went(tmp_path: Path) -> None:
    with bench_of(inventory_text([("freebsd-14.2", "freebsd-12.1")], preempt=0), tmp_path) as bench:
        bench.settled()
        rolled = bench.roll("h0a")
        assert rolled.status == 0, rolled
        assert "no peer has preempt=1" in only(rolled).drain
        assert only(rolled).heirs == {}
        assert bench.lab.machine("h0b").carp_states()["1@em0"] == "MASTER"


@pytest.mark.long
def test_a_preferred_master_that_does_not_take_over_again_is_found(bench: Bench) -> None:
    machine = bench.lab.machine("h0a")

    def demote() -> None:
        bench.lab.freebsd("h0a").command(["sysctl", "net.inet.carp.demotion=239"])

    machine.on_up.append(demote)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bsdcarp.fleet.proof._DEMOTED", 1.0)
            patch.setattr("bsdcarp.fleet.proof.BOOTING", 1.0)
            rolled = bench.roll("h0a")
    finally:
        machine.on_up.remove(demote)
        bench.shell("h0a", "sysctl net.inet.carp.demotion=-239")
    assert (rolled.status, only(rolled).result) == (4, "not verified")
    assert "h0b is MASTER of vhid 1 (one0) although h0a is preferred" in only(rolled).detail
