"""`carpd ctl` asks the right question and shows the answer, whatever the answer is."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from operating import snapshot

from bsdcarp.carpd import ctl
from bsdcarp.carpd.app import main
from bsdcarp.carpd.status import as_text, document

if TYPE_CHECKING:
    Serve = Callable[[bytes], list[str]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answer one connection with the given bytes and hang up; returns where what was asked appears."""
    path = tmp_path / "carpd.sock"
    threads: list[threading.Thread] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(10)

        def start(answer: bytes) -> list[str]:
            asked: list[str] = []

            def once() -> None:
                connection, _ = listener.accept()
                with connection, connection.makefile("r") as lines:
                    asked.append(lines.readline())
                    connection.sendall(answer)

            threads.append(threading.Thread(target=once))
            threads[-1].start()
            return asked

        yield start
        for thread in threads:
            thread.join(10)


def carpd(path: Path, *arguments: str) -> int:
    return main(["ctl", "--socket", str(path / "carpd.sock"), *arguments])


@pytest.mark.parametrize(
    ("arguments", "request_", "answer", "shown"),
    [
        (["demote", "240"], {"command": "demote", "amount": 240}, {"before": 0, "demotion": 240}, "net.inet.carp.demotion: 0 -> 240\n"),
        (["demote", "-240"], {"command": "demote", "amount": -240}, {"before": 240, "demotion": 0}, "net.inet.carp.demotion: 240 -> 0\n"),
        (["undemote"], {"command": "undemote"}, {"before": 240, "demotion": 0}, "net.inet.carp.demotion: 240 -> 0\n"),
        (["failover", "7"], {"command": "failover", "vhid": 7, "interface": None, "undo": False}, {}, ""),
        (
            ["failover", "7", "--interface", "eth0", "--undo"],
            {"command": "failover", "vhid": 7, "interface": "eth0", "undo": True},
            {},
            "",
        ),
    ],
)  # fmt: skip
def test_a_command_becomes_a_request_and_the_answer_sysctls_words(
    serve: Serve,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    request_: dict[str, object],
    answer: dict[str, object],
    shown: str,
) -> None:
    asked = serve(json.dumps({"ok": True, **answer}).encode() + b"\n")
    assert carpd(tmp_path, *arguments) == 0
    assert json.loads(asked[0]) == request_
    assert capsys.readouterr() == (shown, "")


def test_status_is_text_for_people_and_json_for_programs(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = document(snapshot())
    answer = json.dumps({"ok": True, "status": status}).encode() + b"\n"
    serve(answer)
    assert carpd(tmp_path, "status") == 0
    assert capsys.readouterr().out == as_text(status)
    serve(answer)
    assert carpd(tmp_path, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == status


def test_events_are_shown_as_they_come_until_the_daemon_ends(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = b'{"event":"state","reason":"a\\u001b[31m"}\n{"event":"stop"}\n{"event":"cut o'
    serve(b'{"ok":true,"status":{"pid":1}}\n' + events)
    assert carpd(tmp_path, "events") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["status", "state", "stop"]
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b'{"ok":false,"error":"vhid 7 is not configured"}\n', "carpd: vhid 7 is not configured\n"),
        (b'{"ok":false,"error":"\\u001b[31m\\n"}\n', "carpd: \\x1b[31m\\n\n"),
        (b"{}\n", "carpd: refused\n"),
        (b"", "carpd: {path}: the daemon hung up; its log says why\n"),
        (b"[1]\n", "carpd: {path}: the daemon hung up; its log says why\n"),
        (b"\xff\n", "carpd: {path}: the daemon hung up; its log says why\n"),
    ],
)
def test_a_no_is_one_line_and_exit_status_1(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes, complaint: str
) -> None:
    serve(answer)
    assert carpd(tmp_path, "failover", "7") == 1
    assert capsys.readouterr() == ("", complaint.format(path=tmp_path / "carpd.sock"))


def test_no_daemon_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "carpd.sock"
    assert carpd(tmp_path, "status") == 1
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path))
    left.close()
    assert carpd(tmp_path, "events") == 1
    assert capsys.readouterr().err == f"carpd: {path}: carpd is not running\n" * 2


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (PermissionError(13, "Permission denied"), "x: only root may do this"),
        (
            socket.timeout("timed out"),  # noqa: UP041 - another class up to Python 3.9
            "x: no answer within 10 seconds",
        ),
        (OSError(5, "Input/output error"), "x: Input/output error"),
        (OSError("something"), "x: something"),
    ],
)
def test_each_error_has_its_words(error: OSError, why: str) -> None:
    assert ctl._why("x", error) == why


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctl, "_PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "carpd.sock"))
        listener.listen(1)
        assert carpd(tmp_path, "status") == 1
    assert "no answer within 0.05 seconds" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["reboot"], ["demote"], ["demote", "much"], ["failover"]])
def test_what_it_does_not_understand_is_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        carpd(tmp_path, *arguments)
    assert end.value.code == 2
    assert "usage: carpd ctl" in capsys.readouterr().err
