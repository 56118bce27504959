"""Lines reach the journal, syslog or standard error, and a log that hangs costs lines but no time."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carpd.logs import SEVERITIES, Logger, journal, one_line, open_log, plain, syslog

LINE = "carp: 1@eth0: BACKUP -> MASTER (master timed out)"


class Sink:
    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.open = True

    def __call__(self, severity: int, line: str) -> bool:
        if self.open:
            self.lines.append((severity, line))
        return self.open


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at:
        at.bind(str(path))
        at.settimeout(5)
        yield path, at


@pytest.mark.parametrize(("level", "severity"), list(SEVERITIES.items()))
def test_a_level_becomes_its_severity(level: str, severity: int) -> None:
    sink = Sink()
    Logger(sink).write(level, LINE)
    assert sink.lines == [(severity, LINE)]


def test_changes_are_info_and_bad_packets_debug_as_in_the_kernel() -> None:
    # log(LOG_INFO) in CARP_LOG(), log(LOG_DEBUG) in CARP_DEBUG(): sys/netinet/ip_carp.c; syslog.h has the numbers.
    assert (SEVERITIES["info"], SEVERITIES["debug"]) == (6, 7)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("grün", "grün"),
        ("\u202eflipped", "\\u202eflipped"),
        ("bad \udcff byte", "bad \\udcff byte"),
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 1000 + "..."),
    ],
)
def test_a_line_is_fit_for_a_terminal(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(st.text(max_size=2000))
def test_no_text_makes_more_than_one_printable_line_of_bounded_length(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown) <= 1003
    assert len(shown.encode("utf-8", "backslashreplace")) < 4096


def test_debug_lines_are_rationed_and_counted() -> None:
    sink, now = Sink(), [7.0]
    log = Logger(sink, clock=lambda: now[0])
    for _ in range(500):
        log.write("debug", "incorrect hash")
    log.write("info", LINE)
    assert len(sink.lines) == 22
    assert sink.lines[-2:] == [(7, "480 more debug lines were not logged"), (6, LINE)]
    now[0] = 8.0
    log.write("debug", "once more")
    assert sink.lines[-1] == (7, "once more")


def test_lost_lines_are_told_when_the_log_reads_again() -> None:
    sink = Sink()
    log = Logger(sink)
    sink.open = False
    log.write("info", "one")
    log.write("error", "two")
    assert sink.lines == []
    sink.open = True
    log.write("info", "three")
    assert sink.lines == [(4, "2 lines were lost: the log did not take them"), (6, "three")]


def test_the_journal_gets_severity_and_line() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Logger(journal(ours.fileno())).write("info", LINE)
        assert theirs.recv(4096) == f"<6>{LINE}\n".encode()


def test_a_journald_that_hangs_holds_nobody_up_and_gets_whole_lines_later() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        log = Logger(journal(ours.fileno()))
        for number in range(5000):
            log.write("info", f"{number} " + "x" * 900)
        assert os.get_blocking(ours.fileno())
        theirs.settimeout(1)
        heard = b""
        while not heard.endswith(b"the end\n"):
            try:
                theirs.setblocking(False)
                heard += theirs.recv(1 << 20)
            except BlockingIOError:
                log.write("info", "the end")
        lines = heard.decode().splitlines()
        assert all(line.startswith("<6>") for line in lines if "lost" not in line)
        assert sum("lines were lost" in line for line in lines) == 1
        whole = [line for line in lines if line.endswith("x")]
        assert [int(line[3:].split()[0]) for line in whole] == list(range(len(whole)))
        theirs.close()
        log.write("info", "nobody is there any more")


def test_syslog_gets_what_syslog_3_would_send(listening: tuple[Path, socket.socket]) -> None:
    path, at = listening
    Logger(syslog(str(path))).write("notice", LINE)
    text = at.recv(4096).decode()
    assert re.fullmatch(rf"<29>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d carpd\[{os.getpid()}\]: {re.escape(LINE)}", text)


def test_a_syslogd_that_was_restarted_is_found_again(listening: tuple[Path, socket.socket]) -> None:
    path, first = listening
    log = Logger(syslog(str(path)))
    first.close()
    path.unlink()
    log.write("info", "into the void")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as second:
        second.bind(str(path))
        second.settimeout(5)
        log.write("info", LINE)
        assert b"1 lines were lost" in second.recv(4096)
        assert LINE.encode() in second.recv(4096)


def test_a_syslogd_that_hangs_holds_nobody_up(listening: tuple[Path, socket.socket]) -> None:
    path, at = listening
    log = Logger(syslog(str(path)))
    for _ in range(3000):
        log.write("info", LINE)
    at.setblocking(False)
    heard = 0
    with contextlib.suppress(BlockingIOError):
        while at.recv(4096):
            heard += 1
    log.write("info", LINE)
    assert f"{3000 - heard} lines were lost".encode() in at.recv(4096)


def test_no_syslogd_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        syslog(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("level", "mark"), [("info", ""), ("debug", ""), ("warning", "warning: "), ("error", "error: ")]
)
def test_standard_error_gets_the_time_of_day(level: str, mark: str) -> None:
    reading, writing = os.pipe()
    Logger(plain(writing)).write(level, LINE)
    text = os.read(reading, 4096).decode()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}} {mark}{re.escape(LINE)}\n", text)
    os.close(reading)
    os.close(writing)


def test_a_pipe_that_nobody_reads_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    log = Logger(plain(writing))
    for _ in range(500):
        log.write("info", "x" * 1000)
    os.close(reading)
    log.write("info", "nobody is there any more")
    os.close(writing)
    log.write("info", "and now not even the pipe")


def test_lines_go_to_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        Logger(plain(file.fileno())).write("info", LINE)
    assert LINE in (tmp_path / "out").read_text()


CHILD = """
import os, sys
from bsdcarp.carpd.logs import open_log
found = os.fstat(2)
environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"} if sys.argv[1] == "journal" else {"JOURNAL_STREAM": "1:2"}
log = open_log(foreground=sys.argv[1] == "foreground", environ=environ, devlog=sys.argv[2])
log.write("info", "hello")
print(log.on_stderr)
"""


@pytest.mark.parametrize(
    ("where", "on_stderr", "pattern"),
    [("journal", True, r"<6>hello\n"), ("foreground", True, r"\d\d:.* hello\n"), ("syslog", False, "")],
)
def test_the_place_is_chosen_from_what_is_there(
    where: str, on_stderr: bool, pattern: str, listening: tuple[Path, socket.socket]
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, where, str(listening[0])],
            stderr=theirs.fileno(), stdout=subprocess.PIPE, text=True, check=True, timeout=30,
        )  # fmt: skip
        theirs.close()
        assert re.fullmatch(pattern, ours.recv(4096).decode())
    assert done.stdout == f"{on_stderr}\n"
    if where == "syslog":
        assert listening[1].recv(4096).endswith(b": hello")


def test_without_journal_and_syslog_there_is_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = open_log(foreground=False, environ={}, devlog=str(tmp_path / "none"))
    log.write("info", LINE)
    assert log.on_stderr
    assert capfd.readouterr().err.endswith(f" {LINE}\n")
