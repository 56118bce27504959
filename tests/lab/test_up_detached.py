"""A lab as a process of its own, and one that runs until it is told to stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bsdcarp.errors import InventoryError, LabError
from bsdcarp.lab import detached
from bsdcarp.lab.detached import lab_down, lab_status, run_lab_up

INVENTORY = """\
version: 1
hosts:
  a: {address: 192.0.2.2, interface: em0, os: freebsd-14.2}
  b: {address: 192.0.2.3, interface: eth0, os: debian-12}
groups:
  g:
    vhid: 1
    password: {env: GROUP_PASSWORD}
    addresses: [192.0.2.1/24]
    members: [a, b]
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yml"
    path.write_text(INVENTORY)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "lab"
    yield path
    if lab_status(path).running:
        lab_down(path)


def test_a_detached_lab_is_seen_and_ended_by_others(inventory: Path, directory: Path) -> None:
    (state,) = run_lab_up(inventory, directory, detach=True)
    assert state.running
    assert state.pid not in {0, os.getpid()}
    assert [(host.name, host.address, host.release, host.reachable) for host in state.hosts] == [
        ("a", "192.0.2.2", "14.2", True),
        ("b", "192.0.2.3", "debian-12", True),
    ]
    assert [host.title for host in state.hosts] == ["FreeBSD 14.2", "Debian 12"]
    assert Path(state.ssh_config).is_file()
    assert lab_status(directory) == state
    with pytest.raises(LabError, match="runs here already"):
        list(run_lab_up(inventory, directory, detach=True))
    assert lab_down(directory).pid == state.pid
    assert not lab_status(directory).running
    with pytest.raises(LabError, match="no lab runs here"):
        lab_down(directory)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", state.hosts[0].port), timeout=5)


def test_what_goes_wrong_in_the_new_process_is_said_here(tmp_path: Path, directory: Path, inventory: Path) -> None:
    with pytest.raises(LabError, match="no such file") as caught:
        list(run_lab_up(tmp_path / "nowhere.yml", directory, detach=True))
    assert caught.value.place.endswith("nowhere.yml")
    with pytest.raises(LabError, match="no host 'nobody'"):
        list(run_lab_up(inventory, directory, hosts=["nobody"], detach=True))


def test_a_process_that_cannot_start_or_dies_at_once_is_one_clear_line(
    inventory: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(LabError, match="ended as soon as it began"):
        list(run_lab_up(inventory, directory, detach=True))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LabError, match="cannot start a process"):
        list(run_lab_up(inventory, directory, detach=True))


def test_in_the_foreground_it_lasts_until_stopped(inventory: Path, directory: Path) -> None:
    stop = threading.Event()
    states = run_lab_up(inventory, directory, stop=stop)
    up = next(states)
    assert (up.running, up.pid) == (True, os.getpid())
    assert lab_status(directory) == up
    stop.set()
    assert not next(states).running
    assert list(states) == []


def test_an_interrupt_ends_it_in_order(inventory: Path, directory: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    states = run_lab_up(inventory, directory)
    next(states)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert not next(states).running
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_the_main_thread_signals_are_left_alone(inventory: Path, directory: Path) -> None:
    stop = threading.Event()
    stop.set()
    seen: list[bool] = []
    thread = threading.Thread(
        target=lambda: seen.extend(state.running for state in run_lab_up(inventory, directory, stop=stop))
    )
    thread.start()
    thread.join()
    assert seen == [True, False]


def test_an_inventory_with_errors_starts_nothing(inventory: Path, directory: Path) -> None:
    inventory.write_text(INVENTORY.replace("vhid: 1", "vhid: 256"))
    with pytest.raises(InventoryError):
        next(run_lab_up(inventory, directory))
    assert not directory.exists()


def test_a_directory_that_cannot_be_made_is_one_clear_line(inventory: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot keep a lab here"):
        next(run_lab_up(inventory, tmp_path / "file" / "lab"))


def test_a_lab_on_its_way_up_runs_without_hosts(inventory: Path, directory: Path) -> None:
    states = run_lab_up(inventory, directory, stop=threading.Event())
    next(states)
    old = json.loads((directory / "lab.json").read_text())
    for text in ("", "{}", json.dumps({**old, "pid": 1})):
        (directory / "lab.json").write_text(text)
        state = lab_status(directory)
        assert (state.running, state.hosts) == (True, ())
    states.close()
    assert not lab_status(directory).running


def test_a_process_that_does_not_end_is_named(
    inventory: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = run_lab_up(inventory, directory, stop=threading.Event())
    next(states)
    monkeypatch.setattr(detached, "_PATIENCE", 0.05)
    with monkeypatch.context() as deaf:
        deaf.setattr(os, "kill", lambda *_: None)
        with pytest.raises(LabError, match=f"process {os.getpid()} does not end") as caught:
            lab_down(directory)
    assert caught.value.remedy == f"kill -9 {os.getpid()}"
    states.close()


def test_the_new_process_is_nobodys_child_and_says_when_it_is_up(
    inventory: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: dict[str, Any] = {"inventory": str(inventory), "directory": str(directory)}
    order |= {"hosts": None, "releases": {}, "noise": []}
    monkeypatch.chdir(directory.parent)
    done: list[str] = []
    monkeypatch.setattr(os, "setsid", lambda: done.append("setsid"))
    monkeypatch.setattr(os, "fork", lambda: 4711)
    assert detached._main(order, -1) == 0
    monkeypatch.setattr(os, "fork", lambda: 0)
    reader, writer = os.pipe()

    def end_it() -> None:
        with os.fdopen(reader, "rb") as answer:
            done.append(answer.read().decode())
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end_it)
    thread.start()
    assert detached._main(order, writer) == 0
    thread.join()
    assert done == ["setsid", ""]
    assert Path.cwd() == Path("/")


def test_the_new_process_says_what_went_wrong(
    inventory: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = {"inventory": str(inventory), "directory": str(directory), "hosts": ["nobody"], "releases": {}, "noise": []}
    monkeypatch.chdir(directory.parent)
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(os, "fork", lambda: 0)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as answer:
        assert detached._main(order, writer) == 1
        assert b"no host 'nobody' in the inventory" in answer.read()
