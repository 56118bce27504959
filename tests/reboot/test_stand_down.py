"""Standing down before a reboot: how per release, and the script with real shells."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bsdcarp.errors import HostRefused
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.standdown import StandDown, Way, stand_down, take_back, way_down, welcome
from bsdcarp.inventory import load_text, require
from bsdcarp.model import Release, Secret
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from reboot.bench import PASSWORD, inventory_text

INVENTORY = require(load_text(inventory_text([("freebsd-14.2", "debian-12")]), "t.yml"))


def desired_of(system: str, **more: str) -> Desired:
    family, _, version = system.partition("-")
    major, _, minor = version.partition(".")
    release = Release("freebsd" if family == "freebsd" else "linux", int(major), int(minor or -1), system)
    host = replace(INVENTORY.hosts["h0a"], os=release, **more)  # type: ignore[arg-type]  # the names are Host's own
    return desire(INVENTORY, host, {name: Secret(PASSWORD) for name in INVENTORY.groups}, None)


BOTH = ("one0", "two0")


@pytest.mark.parametrize("system", ["freebsd-10.4", "freebsd-12.1", "freebsd-15.0"])
def test_a_host_that_can_be_demoted_is(system: str) -> None:
    way = way_down(desired_of(system), BOTH, BOTH)
    assert way.give == ("sysctl net.inet.carp.demotion=240",)
    assert way.take[0].endswith("|| sysctl net.inet.carp.demotion=-240")
    assert (way.moved, way.left) == (BOTH, ())


def test_only_groups_with_a_preempting_peer_move_by_demotion() -> None:
    way = way_down(desired_of("freebsd-14.2"), BOTH, ("two0",))
    assert (way.moved, way.left) == (("two0",), ("one0",))
    nobody = way_down(desired_of("freebsd-14.2"), BOTH, ())
    assert nobody.give == ()
    assert nobody.left == BOTH
    assert "preempt=1" in nobody.said


@pytest.mark.parametrize("system", ["freebsd-5.4", "freebsd-7.2", "freebsd-9.3"])
def test_an_old_release_takes_down_the_interfaces_that_are_master_and_no_other(system: str) -> None:
    way = way_down(desired_of(system), ("two0",), ())
    assert way.give == ("ifconfig carp2 down",)
    assert way.take == ("ifconfig carp2 up",)
    assert way.moved == ("two0",)
    assert "cannot be demoted" in way.said


def test_carpd_hands_each_group_over_whether_peers_preempt_or_not() -> None:
    way = way_down(desired_of("debian-12", interface="eth0"), ("one0",), ())
    assert way.give == ("python3 -I /usr/local/lib/bsdcarp/carpd.pyz ctl failover 1 --interface em0",)
    assert way.take == (f"{way.give[0]} --undo",)
    assert way.moved == ("one0",)


def test_ucarp_can_only_be_waited_for() -> None:
    way = way_down(desired_of("debian-12", backend="ucarp"), ("one0",), BOTH)
    assert (way.give, way.moved, way.left) == ((), (), ("one0",))


def test_who_is_master_of_nothing_gives_nothing_away() -> None:
    assert way_down(desired_of("freebsd-14.2"), (), BOTH) == Way(said="it is MASTER of nothing")


class Local(Fleet):
    """A host that is a directory of this machine; its programs are in ``bin``."""

    def __init__(self, root: Path) -> None:
        super().__init__(INVENTORY)
        self.root = root
        (root / "bin").mkdir()
        (root / "var/run").mkdir(parents=True)

    def run(self, name: str, script: bytes, *, timeout: float = 30.0) -> bytes:
        environment = {"BSDCARP_ROOT": str(self.root), "BSDCARP_PATH": str(self.root / "bin")}
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script, capture_output=True, env=environment, timeout=timeout, check=False
        )
        assert done.stderr == b""
        return done.stdout

    @property
    def lock(self) -> Path:
        return self.root / "var/run/bsdcarp.lock"

    @property
    def log(self) -> list[str]:
        path = self.root / "log"
        return path.read_text().split() if path.exists() else []

    def down(self, way: Way, window: float = 600) -> StandDown:
        return stand_down(self, "h0a", way, family="linux", window=window)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Local]:
    local = Local(tmp_path)
    yield local
    shutil.rmtree(local.lock, ignore_errors=True)  # whoever still waits for its window sees that and ends


@pytest.fixture
def way(host: Local) -> Way:
    return Way((f"echo given >>{host.root}/log",), (f"echo taken >>{host.root}/log",))


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_lock_is_held_and_taking_back_gives_it_up(host: Local, way: Way) -> None:
    standing = host.down(way)
    assert host.log == ["given"]
    assert "rebooting it" in (host.lock / "owner").read_text()
    with pytest.raises(HostRefused, match=r"held by .*rebooting it"):
        host.down(way)
    assert take_back(host, standing) == ""
    assert host.log == ["given", "taken"]
    assert not host.lock.exists()
    assert take_back(host, standing) == ""
    assert host.log == ["given", "taken"]


@pytest.mark.parametrize(("left", "taken"), [("240", ["-240"]), ("480", ["-240"]), ("0", [])])
def test_a_demotion_that_is_gone_is_not_taken_back_once_more(host: Local, left: str, taken: list[str]) -> None:
    sysctl = host.root / "bin/sysctl"
    sysctl.write_text(f"#!/bin/sh\ncase $1 in -n) echo {left} ;; *=-*) echo ${{1#*=}} >>{host.root}/log ;; esac\n")
    sysctl.chmod(0o755)
    standing = host.down(way_down(desired_of("freebsd-14.2"), BOTH, BOTH))
    assert take_back(host, standing) == ""
    assert host.log == taken


def test_the_lock_of_a_process_that_is_gone_is_taken_only_on_demand(host: Local, way: Way) -> None:
    host.lock.mkdir()
    (host.lock / "owner").write_text("joe@desk since yesterday\n")
    (host.lock / "pid").write_text("99999999\n")
    with pytest.raises(HostRefused, match="held by joe@desk"):
        host.down(way)
    standing = stand_down(host, "h0a", way, family="freebsd", window=600, steal=True)
    with pytest.raises(HostRefused, match="rebooting it"):
        stand_down(host, "h0a", way, family="freebsd", window=600, steal=True)
    assert take_back(host, standing) == ""
    assert host.log == ["given", "taken"]


def test_what_takes_back_is_written_before_anything_is_given_away(host: Local) -> None:
    look = f"ls {host.lock} | sed 's/[.].*//' | sort | tr '\\n' ' ' >{host.root}/log"
    host.down(Way((look,), (":",)))
    assert host.log == ["back", "owner", "pid", "tx"]


def test_without_a_reboot_the_host_takes_its_roles_back_by_itself(host: Local, way: Way) -> None:
    host.down(way, window=1)
    eventually(lambda: host.log == ["given", "taken"] and not host.lock.exists())


def test_a_command_that_fails_is_taken_back_and_told(host: Local, way: Way) -> None:
    broken = Way((*way.give, "echo no such sysctl; false"), way.take)
    with pytest.raises(HostRefused, match="no such sysctl"):
        host.down(broken)
    assert host.log == ["given", "taken"]
    assert not host.lock.exists()


def test_a_transaction_that_waits_is_left_alone(host: Local, way: Way) -> None:
    here = host.root / "var/lib/bsdcarp/tx-20260101-000000-abcdef"
    here.mkdir(parents=True)
    (here / "undo").write_text("")
    (here.parent / "pending").write_text("tx-20260101-000000-abcdef\n")
    with pytest.raises(HostRefused, match="tx-20260101-000000-abcdef waits"):
        host.down(way)
    assert host.log == []
    assert not host.lock.exists()
    # The mark of one that has come to its end was only left behind.
    (here / "outcome").write_text("confirmed\n")
    host.down(way)
    assert host.log == ["given"]


def test_a_lock_whose_process_is_gone_is_still_respected(host: Local, way: Way) -> None:
    host.lock.mkdir()
    (host.lock / "owner").write_text("joe@desk since yesterday\n")
    (host.lock / "pid").write_text("99999999\n")
    with pytest.raises(HostRefused, match="held by joe@desk") as caught:
        host.down(way)
    assert "its process is gone" in caught.value.remedy
    assert (host.lock / "owner").exists()


def test_a_lock_that_a_restart_emptied_is_nobodys(host: Local, way: Way) -> None:
    """FreeBSD's cleanvar takes files away and leaves directories (seen on 12.1 and 9.3)."""
    host.lock.mkdir()
    host.down(way)
    assert host.log == ["given"]


def test_after_the_reboot_nothing_is_taken_back(host: Local, way: Way) -> None:
    standing = host.down(way, window=1)
    welcome(host, standing)
    assert not host.lock.exists()
    assert host.log == ["given"]


def test_what_the_boot_left_of_our_lock_goes(host: Local, way: Way) -> None:
    standing = host.down(way, window=1)
    for path in host.lock.iterdir():
        path.unlink()
    welcome(host, standing)
    assert not host.lock.exists()


def test_somebody_elses_lock_stays(host: Local, way: Way) -> None:
    host.lock.mkdir()
    (host.lock / "owner").write_text("joe\n")
    welcome(host, StandDown("h0a", "r0", way))
    assert host.lock.exists()


def test_taking_back_that_fails_is_told(host: Local) -> None:
    standing = host.down(Way((":",), ("echo sysctl: no; false",)))
    assert "sysctl: no" in take_back(host, standing)
    assert not host.lock.exists()


def test_no_answer_is_no_consent(host: Local, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Local, "run", lambda *_args, **_options: b"")
    with pytest.raises(HostRefused, match="did not say"):
        host.down(way)


def test_a_directory_that_cannot_be_written_is_told(host: Local, way: Way) -> None:
    (host.root / "var/run").rmdir()
    (host.root / "var/run").write_text("")
    with pytest.raises(HostRefused, match=r"cannot create /var/run/bsdcarp\.lock"):
        host.down(way)
