"""What the daemon does when somebody, or the kernel, takes something away from it."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_interface

import pytest
from daemon_fakes import Host, World

from bsdcarp.carp import SendGratuitousArp
from bsdcarp.carpd.config import Config, VhidConfig
from bsdcarp.carpd.errors import NetlinkError
from bsdcarp.carpd.rtnl.messages import Link
from bsdcarp.carpd.rtnl.monitor import Everything, LinkEvent


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def host(world: World) -> Host:
    vhid = VhidConfig("web", 1, "eth0", password="secret", addresses=(ip_interface("192.0.2.1/24"),))
    made = world.add(Config(vhids=(vhid,)))
    world.pass_time(4.5)
    made.lines.clear()
    made.said.clear()
    return made


def macvlan(*, up: bool = True) -> Link:
    return Link(1001, "carp1.2", b"", up, up)


def test_a_deleted_macvlan_is_made_anew(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "link", lambda *_: None)
    host.queue.append(LinkEvent(macvlan(), new=False))
    world.pass_time(0.1)
    assert host.lines == ["warning: carp: 1@eth0: its interface was deleted and is made anew"]
    assert host.said == [("vanish", ("192.0.2.1",)), ("appear", ("192.0.2.1",))]
    assert host.states() == ["MASTER"]


def test_a_macvlan_that_was_set_down_is_set_up(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "link", lambda *_: macvlan(up=False))
    host.queue.append(LinkEvent(macvlan(up=False), new=True))
    world.pass_time(0.1)
    assert host.lines == ["warning: carp: 1@eth0: carp1.2 was set down and is up again"]
    assert host.said == [("vanish", ("192.0.2.1",)), ("appear", ("192.0.2.1",))]


def test_what_a_backup_set_down_itself_stays_down(world: World, host: Host) -> None:
    host.daemon.failover(1)
    world.pass_time(0.1)
    host.said.clear()
    host.queue.append(LinkEvent(macvlan(up=False), new=True))
    world.pass_time(0.1)
    assert host.said == []


def test_what_cannot_be_put_back_ends_the_role(world: World, host: Host) -> None:
    host.failure = NetlinkError("add address", 1)
    host.queue.append(Everything(tuple(host.links.values()), ()))
    world.pass_time(0.1)
    assert host.states() == ["INIT"]
    assert any("Operation not permitted" in line for line in host.lines)


def test_a_retry_that_fails_is_followed_by_another(world: World, host: Host) -> None:
    host.failure = host.refusal = NetlinkError("add address", 1)
    host.queue.append(Everything(tuple(host.links.values()), ()))
    world.pass_time(25)
    assert host.states() == ["INIT"]
    host.failure = host.refusal = None
    world.pass_time(15)
    assert host.states() == ["MASTER"]


def test_a_monitor_that_fails_is_told(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Host) -> None:
        host.queue.clear()
        raise NetlinkError("netlink monitor", 5)

    monkeypatch.setattr(Host, "read", broken)
    host.queue.append(Everything((), ()))
    world.settle()
    assert host.lines == ["error: netlink monitor: Input/output error"]


def test_an_announcement_that_does_not_go_out_is_told(world: World, host: Host) -> None:
    host.ports["eth0"].error = 105
    host.daemon._vhids.performer.perform([SendGratuitousArp(1, "eth0", IPv4Address("192.0.2.1"))])
    world.settle()
    assert any("192.0.2.1 could not be announced" in line for line in host.lines)


def test_sockets_that_cannot_be_opened_leave_the_vhid_in_init(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("bsdcarp.carpd.segment.Port", refuse)
    vhid = VhidConfig("web", 1, "eth0", password="secret", addresses=(ip_interface("192.0.2.1/24"),))
    host = world.add(Config(vhids=(vhid,)))
    assert host.states() == ["INIT"]
    assert host.lines[0] == "error: eth0: [Errno 1] Operation not permitted"
