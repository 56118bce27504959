"""The control socket, with clients that behave and with clients that do not."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from operating import Told, turn, vhid

from bsdcarp.carpd import control as control_module
from bsdcarp.carpd.control import CLIENTS, LONGEST_REQUEST, Control
from bsdcarp.carpd.loop import Loop
from bsdcarp.carpd.status import document


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.loop = Loop()
        self.daemon = Told()
        self.lines: list[tuple[str, str]] = []
        self.control = Control(path, self.loop, self.daemon, lambda *line: self.lines.append(line))
        self.control.open()

    def connect(self) -> Client:
        return Client(self)


class Client:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(bench.path))
        self.socket.setblocking(False)
        self.heard = b""
        self.ended = False

    def send(self, data: bytes) -> None:
        self.socket.setblocking(True)
        self.socket.sendall(data)
        self.socket.setblocking(False)

    def _hear(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.heard += data
        self.ended = self.ended or not data

    def line(self) -> dict[str, Any]:
        """The next line, turning the daemon's loop until it is here."""

        def here() -> bool:
            if b"\n" not in self.heard:
                self._hear()
            return b"\n" in self.heard or self.ended

        turn(self.bench.loop, here)
        line, _, self.heard = self.heard.partition(b"\n")
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def ask(self, **request: Any) -> dict[str, Any]:
        self.send(json.dumps(request).encode() + b"\n")
        return self.line()

    def dropped(self) -> bool:
        def gone() -> bool:
            self._hear()
            return self.ended

        turn(self.bench.loop, gone)
        return True


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "carpd.sock")
    yield made
    made.control.close()


def test_the_socket_is_roots_and_goes_away_with_the_daemon(bench: Bench) -> None:
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o600
    client = bench.connect()
    client.ask(command="status")
    bench.control.close()
    assert not bench.path.exists()
    assert client.dropped()
    bench.control.close()


def test_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "carpd.sock"
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path))
    left.close()
    bench = Bench(path)
    assert bench.connect().ask(command="undemote")["ok"]
    bench.control.close()


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Bench(tmp_path / "none" / "carpd.sock")


def test_status_answers_with_the_document(bench: Bench) -> None:
    answer = bench.connect().ask(command="status")
    assert answer == {"ok": True, "status": document(bench.daemon.snapshot())}


def test_the_status_of_255_vhids_arrives_whole(bench: Bench) -> None:
    bench.daemon.vhids = tuple(vhid(number) for number in range(1, 256))
    answer = bench.connect().ask(command="status")
    assert [found["vhid"] for found in answer["status"]["vhids"]] == list(range(1, 256))


def test_demotion_is_added_and_taken_back(bench: Bench) -> None:
    client = bench.connect()
    assert client.ask(command="demote", amount=240) == {"ok": True, "before": 0, "demotion": 240}
    assert client.ask(command="demote", amount=-40) == {"ok": True, "before": 240, "demotion": 200}
    assert client.ask(command="undemote") == {"ok": True, "before": 200, "demotion": 0}
    assert bench.daemon.calls == [("demote", 240), ("demote", -40), ("undemote",)]


def test_failover_is_passed_on_and_its_refusal_comes_back(bench: Bench) -> None:
    client = bench.connect()
    assert client.ask(command="failover", vhid=1) == {"ok": True}
    assert client.ask(command="failover", vhid=2, interface="eth0", undo=True) == {"ok": True}
    assert bench.daemon.calls == [("failover", 1, None, False), ("failover", 2, "eth0", True)]
    bench.daemon.refusal = "vhid 7 is not configured"
    assert client.ask(command="failover", vhid=7) == {"ok": False, "error": "vhid 7 is not configured"}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"status", "the request is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[" * 4000, "the request is not JSON"),
        (b"9" * 4000, "the request is not an object"),
        (b"[]", "the request is not an object"),
        (b"", "the request is not JSON"),
        (b"{}", "no such command; there are status, demote, undemote, failover and events"),
        (b'{"command": ["status"]}', "no such command; there are status, demote, undemote, failover and events"),
        (b'{"command": "demote"}', "amount: not a whole number of at most 1000000"),
        (b'{"command": "demote", "amount": true}', "amount: not a whole number of at most 1000000"),
        (b'{"command": "demote", "amount": 1e3}', "amount: not a whole number of at most 1000000"),
        (b'{"command": "demote", "amount": -1000001}', "amount: not a whole number of at most 1000000"),
        (b'{"command": "failover"}', "vhid: not a whole number of at most 255"),
        (b'{"command": "failover", "vhid": 256}', "vhid: not a whole number of at most 255"),
        (
            b'{"command": "failover", "vhid": 1, "interface": 1}',
            "failover: interface is a string or null, undo is true or false",
        ),
        (
            b'{"command": "failover", "vhid": 1, "undo": "no"}',
            "failover: interface is a string or null, undo is true or false",
        ),
    ],
)
def test_a_bad_request_is_refused_and_the_next_one_answered(bench: Bench, line: bytes, error: str) -> None:
    client = bench.connect()
    client.send(line + b"\n")
    assert client.line() == {"ok": False, "error": error}
    assert client.ask(command="undemote")["ok"]
    assert bench.daemon.calls == [("undemote",)]


def test_a_request_may_come_in_pieces_or_several_at_once(bench: Bench) -> None:
    client = bench.connect()
    for piece in (b'{"comm', b'and": "demote",', b' "amount": 1}'):
        client.send(piece)
        turn(bench.loop, lambda: True)
    client.send(b'\n{"command": "demote", "amount": 2}\n{"command": "demote", "amount": 3}\n{"comm')
    assert [client.line()["demotion"] for _ in range(3)] == [1, 3, 6]
    client.send(b'and": "undemote"}\n')
    assert client.line()["before"] == 6


def test_a_request_that_is_too_long_ends_the_connection(bench: Bench) -> None:
    client = bench.connect()
    client.send(b'{"command": "status", "x": "' + b"x" * LONGEST_REQUEST)
    assert client.line() == {"ok": False, "error": "a request is longer than 4096 bytes"}
    assert client.dropped()


def test_events_begin_with_how_things_are_and_go_on_with_what_happens(bench: Bench) -> None:
    listener, other = bench.connect(), bench.connect()
    assert listener.ask(command="events")["status"]["vhids"][0]["state"] == "MASTER"
    other.ask(command="status")
    bench.control.publish({"event": "demotion", "amount": 240})
    event = listener.line()
    assert event["time"] > 1.5e9
    assert {**event, "time": 0} == {"time": 0, "event": "demotion", "amount": 240}
    other._hear()
    assert other.heard == b""


def test_who_listens_and_talks_is_dropped(bench: Bench) -> None:
    client = bench.connect()
    client.ask(command="events")
    client.send(b'{"command": "status"}\n')
    assert client.dropped()


def test_who_hangs_up_is_forgotten(bench: Bench) -> None:
    client = bench.connect()
    client.ask(command="events")
    client.socket.close()
    turn(bench.loop, lambda: not bench.control._clients)
    bench.control.publish({"event": "stop"})


def test_a_listener_that_does_not_read_is_dropped_and_nobody_else_notices(bench: Bench) -> None:
    slow, quick = bench.connect(), bench.connect()
    slow.ask(command="events")
    quick.ask(command="events")
    for number in range(4000):
        bench.control.publish({"event": "state", "number": number, "padding": "x" * 400})
        if number % 100 == 99:
            turn(bench.loop, lambda: True)
            quick._hear()
    assert [line for line in bench.lines if "does not read" in line[1]] == [
        ("notice", "control connection dropped: it does not read what it asked for")
    ]
    assert slow.dropped()
    numbers: list[int] = []
    while not numbers or numbers[-1] < 3999:
        numbers.append(quick.line()["number"])
    assert numbers == list(range(4000))


def test_a_listener_that_catches_up_gets_everything(bench: Bench) -> None:
    client = bench.connect()
    client.ask(command="events")
    for number in range(1500):
        bench.control.publish({"event": "state", "number": number, "padding": "x" * 400})
    assert [client.line()["number"] for _ in range(1500)] == list(range(1500))
    bench.control.publish({"event": "stop"})
    assert client.line()["event"] == "stop"


def test_who_does_not_read_answers_is_not_asked_for_more_and_dropped_in_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "PATIENCE", 0.3)
    bench.daemon.vhids = tuple(vhid(number) for number in range(1, 256))
    client = bench.connect()
    client.send(b'{"command": "status"}\n' * 180)
    turn(bench.loop, lambda: bench.control._clients)
    assert len(bench.control._clients[0].unread) < 1 << 20
    turn(bench.loop, lambda: not bench.control._clients)


def test_who_says_nothing_is_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "PATIENCE", 0.05)
    silent = bench.connect()
    assert silent.dropped()
    listener = bench.connect()
    listener.ask(command="events")
    ticks: list[int] = []
    bench.loop.call_later(0.15, lambda: ticks.append(1))
    turn(bench.loop, lambda: ticks)
    bench.control.publish({"event": "stop"})
    assert listener.line()["event"] == "stop"


def test_one_connection_too_many_is_turned_away_and_room_is_made_again(bench: Bench) -> None:
    crowd = []
    for _ in range(CLIENTS):
        crowd.append(bench.connect())
        crowd[-1].ask(command="status")
    late = bench.connect()
    assert late.line() == {"ok": False, "error": "too many connections"}
    assert late.dropped()
    crowd[0].socket.close()
    turn(bench.loop, lambda: len(bench.control._clients) < CLIENTS)
    assert bench.connect().ask(command="status")["ok"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it becomes somebody else")
def test_somebody_else_is_refused_even_past_the_mode_of_the_file(bench: Bench) -> None:
    bench.path.chmod(0o666)
    for parent in bench.path.parents:
        if stat.S_IMODE(parent.stat().st_mode) & 0o001 == 0:
            parent.chmod(0o711)
    code = (
        "import os, socket, sys\n"
        "os.setuid(12345)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(sys.argv[1])\n"
        "s.settimeout(5)\n"
        "print(s.recv(4096).decode(), end='')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code, str(bench.path)], stdout=subprocess.PIPE, text=True
    ) as child:
        turn(bench.loop, lambda: child.poll() is not None, 20)
        assert child.stdout
        assert json.loads(child.stdout.read()) == {"ok": False, "error": "uid 12345 is not root"}
    assert bench.lines == [("notice", "control connection refused: uid 12345 is not root")]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.sampled_from([b"\n", b'{"command": "status"}', b'{"command": "'])),
        max_size=8,
    )
)
def test_no_bytes_upset_it(bench: Bench, pieces: list[bytes]) -> None:
    client = bench.connect()
    for piece in pieces:
        try:
            client.send(piece)
        except OSError:
            break
        turn(bench.loop, lambda: True)
    client.socket.close()
    turn(bench.loop, lambda: not bench.control._clients)
    after = bench.connect()
    assert after.ask(command="undemote")["ok"]
    after.socket.close()
    turn(bench.loop, lambda: not bench.control._clients)
