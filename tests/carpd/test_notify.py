"""The service manager hears what sd_notify(3) and sd_watchdog_enabled(3) promise it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from operating import turn

from bsdcarp.carpd.loop import Loop
from bsdcarp.carpd.notify import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at:
        if request.param == "path":
            name = str(tmp_path / "notify")
            at.bind(name)
        else:
            name = f"@bsdcarp-test-{os.getpid()}-{id(at)}"
            at.bind("\0" + name[1:])
        at.settimeout(5)
        yield name, at


def test_each_message_is_one_datagram(manager: tuple[str, socket.socket]) -> None:
    name, at = manager
    notify = Notify({"NOTIFY_SOCKET": name})
    notify.reloading(12.5)
    assert at.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=12500000"
    notify.ready("MASTER 1@eth0")
    assert at.recv(4096) == b"READY=1\nSTATUS=MASTER 1@eth0"
    notify.status("two\nlines")
    assert at.recv(4096) == b"STATUS=two lines"
    notify.stopping()
    assert at.recv(4096) == b"STOPPING=1"
    notify.close()
    notify.stopping()


def test_without_a_service_manager_nothing_happens() -> None:
    notify = Notify({"WATCHDOG_USEC": "5000000"})
    notify.ready("")
    assert notify.interval is None
    notify.close()


def test_a_service_manager_that_is_gone_or_hangs_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    notify = Notify({"NOTIFY_SOCKET": str(path)})
    notify.ready("nobody is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at:
        at.bind(str(path))
        for _ in range(3000):
            notify.status("it does not read")
    notify.close()


@pytest.mark.parametrize(
    ("variables", "interval"),
    [
        ({"WATCHDOG_USEC": "6000000"}, 2.0),
        ({"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_wants_a_third_of_its_time(
    variables: dict[str, str], interval: float | None, manager: tuple[str, socket.socket]
) -> None:
    notify = Notify({"NOTIFY_SOCKET": manager[0], **variables})
    assert notify.interval == interval
    notify.close()


def test_the_loop_feeds_the_watchdog(manager: tuple[str, socket.socket]) -> None:
    name, at = manager
    notify = Notify({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000"})
    loop = Loop()
    heard: list[bytes] = []
    loop.watch(at, lambda: heard.append(at.recv(4096)))
    notify.watch(loop)
    turn(loop, lambda: len(heard) >= 4)
    assert set(heard) == {b"WATCHDOG=1"}
    notify.close()


def test_without_a_watchdog_the_loop_has_nothing_to_feed(manager: tuple[str, socket.socket]) -> None:
    name, at = manager
    notify = Notify({"NOTIFY_SOCKET": name})
    notify.watch(Loop())
    at.setblocking(False)
    with pytest.raises(BlockingIOError):
        at.recv(1)
    notify.close()
