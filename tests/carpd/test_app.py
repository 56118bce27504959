"""`carpd run`: its exit statuses, its order of things, and the whole daemon in a network of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from operating import Told, change, snapshot, vhid

from bsdcarp.carp import State
from bsdcarp.carpd.app import EX_CONFIG, main
from bsdcarp.carpd.ctl import ask
from bsdcarp.carpd.errors import CarpdError
from bsdcarp.carpd.herald import Herald, summary
from bsdcarp.carpd.hooks import Hooks
from bsdcarp.carpd.logs import Logger
from bsdcarp.carpd.loop import Loop
from bsdcarp.carpd.rundirectory import prepare

ROOT = Path(__file__).parents[2]
needs_namespace = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"),
    reason="needs root on Linux: it makes a network namespace",
)


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str | None = None, mode: int = 0o600, **other: Any) -> Path:
        one = {
            "group": "web", "vhid": 1, "interface": "nic0", "advbase": 1, "advskew": 0, "password": "secret",
            "peer": None, "peer6": None, "addresses": ["192.0.2.1/24"],
        }  # fmt: skip
        whole = {"version": 1, "settings": {"allow": 1}, "vhids": [one], **other}
        path = tmp_path / "carpd.json"
        path.write_text(json.dumps(whole) if text is None else text)
        path.chmod(mode)
        return path

    return write


def test_a_good_configuration_is_silent(config: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-n", "-c", str(config())]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["", "{", '{"version": 2}', '{"version": 1, "vhids": [{"vhid": 300}]}'])
def test_a_bad_configuration_is_one_line_a_problem(
    config: Callable[..., Path], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = config(text)
    assert main(["run", "-n", "-c", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err
    assert all(line.startswith(f"carpd: {path}") for line in err.splitlines())


def test_a_notify_script_that_cannot_be_run_is_a_problem(
    config: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(notify="/nonexistent/notify")
    assert main(["run", "-n", "-c", str(path)]) == 1
    assert capsys.readouterr().err == f"carpd: {path}: notify: /nonexistent/notify: No such file or directory\n"


def test_running_with_a_bad_configuration_has_its_own_exit_status(
    config: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path = config("{")
    directory = str(path.parent / "none")
    assert main(["run", "-d", "-c", str(path), "--run-directory", directory], {}) == EX_CONFIG == 78
    assert str(path) in capfd.readouterr().err


def test_only_root_can_run_it(
    config: Callable[..., Path], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr("bsdcarp.carpd.app.read", lambda _: None)
    assert main(["run", "-d", "-c", str(path)], {}) == 1
    assert capfd.readouterr().err.endswith("error: only root can run carpd\n")


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run", "extra"], ["ctl"]])
def test_what_it_does_not_understand_is_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: carpd")


def test_a_reader_that_has_had_enough_is_no_fault(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from bsdcarp.carpd import app, ctl\n"
        "def endless(path):\n"
        "    while True:\n"
        "        yield 'x' * 1000\n"
        "ctl.listen = endless\n"
        "sys.exit(app.main(['ctl', 'events']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(20) == 1
        assert child.stderr.read() == ""


def test_control_c_ends_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("bsdcarp.carpd.ctl.main", interrupted)
    assert main(["ctl", "events"]) == 130


def test_the_run_directory_is_made_for_root_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "run"
    prepare(str(path))
    assert path.stat().st_mode & 0o777 == 0o700
    path.chmod(0o755)
    prepare(str(path))
    assert path.stat().st_mode & 0o777 == 0o700


def test_a_run_directory_that_is_not_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "directory")
    with pytest.raises(CarpdError, match="file: File exists"):
        prepare(str(tmp_path / "file"))
    with pytest.raises(CarpdError, match="link: not a directory"):
        prepare(str(tmp_path / "link"))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(CarpdError, match="belongs to uid"):
        prepare(str(tmp_path / "directory"))


# --- what the surroundings hear ------------------------------------------------------------------------------------


class Heard:
    """Stands for control socket, service manager and log, and writes down what comes."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.manager: list[tuple[Any, ...]] = []

    def publish(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def ready(self, status: str) -> None:
        self.manager.append(("ready", status))

    def reloading(self, now: float) -> None:
        self.manager.append(("reloading",))

    def status(self, text: str) -> None:
        self.manager.append(("status", text))

    def stopping(self) -> None:
        self.manager.append(("stopping",))


class Bench:
    def __init__(self) -> None:
        self.loop = Loop()
        self.heard = Heard()
        self.lines: list[tuple[int, str]] = []

        def sink(severity: int, line: str) -> bool:
            self.lines.append((severity, line))
            return True

        self.scripts: list[tuple[str | None, Any]] = []
        hooks = Hooks(self.loop, lambda *_: None)
        hooks.changed = lambda script, change: self.scripts.append((script, change))  # type: ignore[method-assign]
        self.herald = Herald(self.loop, Logger(sink), self.heard, hooks)  # type: ignore[arg-type]

    def complete(self) -> None:
        told: Any = Told()
        told.config = type("Config", (), {"notify": "/etc/notify"})
        self.herald.daemon = told
        self.herald.control = self.heard  # type: ignore[assignment]


def test_the_herald_tells_everybody() -> None:
    bench = Bench()
    bench.complete()
    bench.herald.log("info", "carp: demoted by 240 to 240 (sysctl)")
    bench.herald.ready()
    bench.herald.changed(change())
    bench.herald.demoted(240, 240, "sysctl")
    bench.herald.reloading()
    bench.herald.reloaded(None)
    bench.herald.reloaded("carpd.json: no")
    bench.herald.stopping()
    assert bench.lines == [(6, "carp: demoted by 240 to 240 (sysctl)")]
    assert bench.scripts == [("/etc/notify", change())]
    assert bench.heard.events == [
        {
            "event": "state", "group": "web", "vhid": 1, "interface": "eth0", "old": "BACKUP", "new": "MASTER",
            "reason": "master timed out", "addresses": ["192.0.2.1/24", "2001:db8::1/64"],
        },
        {"event": "demotion", "amount": 240, "total": 240, "reason": "sysctl"},
        {"event": "reload", "ok": True, "error": None},
        {"event": "reload", "ok": False, "error": "carpd.json: no"},
        {"event": "stop"},
    ]  # fmt: skip
    now = "MASTER 1@eth0"
    assert bench.heard.manager == [("ready", now), ("reloading",), ("ready", now), ("ready", now), ("stopping",)]


def test_many_changes_at_once_are_one_status_for_the_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsdcarp.carpd.herald._CALM", 0.01)
    bench = Bench()
    bench.complete()
    for number in range(1, 256):
        bench.herald.changed(change(number=number))
    bench.loop.call_later(0.05, bench.loop.stop)
    bench.loop.run()
    assert bench.heard.manager == [("status", "MASTER 1@eth0")]


def test_what_happens_before_there_is_a_daemon_is_only_logged() -> None:
    bench = Bench()
    bench.herald.changed(change())
    bench.herald.ready()
    assert bench.scripts == []
    assert bench.heard.manager == [("ready", "")]


def test_the_summary_names_few_and_counts_many() -> None:
    assert summary([]) == "no vhids"
    assert summary([("1@eth0", "MASTER"), ("2@eth0", "BACKUP")]) == "MASTER 1@eth0, BACKUP 2@eth0"
    many = [(f"{n}@eth0", "INIT" if n < 2 else "MASTER") for n in range(5)]
    assert summary(many) == "5 vhids: 3 MASTER, 2 INIT"


# --- the whole daemon ----------------------------------------------------------------------------------------------


class Running:
    """A daemon in a network namespace of its own, with one end of a veth pair, nic0, to be MASTER on."""

    def __init__(self, config: Path, directory: Path, *, program: list[str], environ: dict[str, str]) -> None:
        self.socket = directory / "carpd.sock"
        self.log = directory.parent / f"{directory.name}.log"
        script = (
            "ip link set lo up && ip link add nic0 type veth peer name nic1 && ip link set nic1 up && ip link set nic0 up "
            '&& ip address add 192.0.2.9/24 dev nic0 && exec "$@"'
        )
        # JOURNAL_STREAM would name the file only if this test ran in a unit.
        inherited = {
            name: value for name, value in os.environ.items() if name not in ("JOURNAL_STREAM", "NOTIFY_SOCKET")
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", script, "sh", *program, "run", "-d", "-c", str(config), "--run-directory", str(directory)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**inherited, **environ},
            )  # fmt: skip

    def status(self) -> dict[str, Any]:
        found = ask(str(self.socket), {"command": "status"})["status"]
        assert isinstance(found, dict)
        return found

    def wait_for(self, true: Callable[[], Any], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)

    def is_master(self) -> bool:
        return self.socket.exists() and [v["state"] for v in self.status()["vhids"]] == ["MASTER"]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def run(config: Path, name: str = "run", **environ: str) -> Running:
        program = [sys.executable, "-m", "bsdcarp.carpd"]
        started.append(Running(config, tmp_path / name, program=program, environ=environ))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@needs_namespace
def test_the_whole_life_of_a_daemon(config: Callable[..., Path], start: Callable[..., Running], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    script = tmp_path / "notify"
    script.write_text(f'#!/bin/sh\nsleep 0.1\necho "$@" >>{tmp_path}/told\n')
    script.chmod(0o755)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "manager"))
    manager.settimeout(20)
    path = config(notify=str(script))
    daemon = start(path, NOTIFY_SOCKET=str(tmp_path / "manager"), WATCHDOG_USEC="60000000")
    with manager:
        messages = [manager.recv(4096) for _ in range(2)]
        assert sorted(m.split(b"\n")[0] for m in messages) == [b"READY=1", b"WATCHDOG=1"]
        daemon.wait_for(daemon.is_master)
        held = Path(f"/proc/{daemon.process.pid}/status").read_text()
        assert "CapEff:\t0000000000003000\n" in held
        assert "CapBnd:\t0000000000003000\n" in held
        assert "NoNewPrivs:\t1\n" in held
        answer = ask(str(daemon.socket), {"command": "demote", "amount": 240})
        assert (answer["before"], answer["demotion"]) == (0, 240)
        assert ask(str(daemon.socket), {"command": "undemote"})["demotion"] == 0
        assert daemon.end() == 0
        manager.setblocking(False)
        heard = []
        try:
            while True:
                heard.append(manager.recv(4096))
        except BlockingIOError:
            pass
        assert b"STOPPING=1" in heard
    # The script that hears of the end is waited for.
    assert (tmp_path / "told").read_text().splitlines()[-1] == "1@nic0 INIT"
    assert not daemon.socket.exists()
    log = daemon.log.read_text()
    assert "carp: 1@nic0: INIT -> BACKUP (initialization complete)" in log
    assert "carp: 1@nic0: BACKUP -> MASTER (master timed out)" in log
    assert "carp: demoted by 240 to 240 (" in log
    assert "Traceback" not in log
    assert "secret" not in log


@needs_namespace
def test_a_second_daemon_with_the_same_directory_is_refused_and_the_first_one_unhurt(
    config: Callable[..., Path], start: Callable[..., Running]
) -> None:
    path = config()
    first = start(path)
    first.wait_for(first.is_master)
    second = start(path)
    assert second.process.wait(20) == 1
    assert first.is_master()
    assert first.end(signal.SIGINT) == 0


@needs_namespace
def test_a_reload_is_told_and_a_bad_one_changes_nothing(
    config: Callable[..., Path], start: Callable[..., Running]
) -> None:
    daemon = start(config())
    daemon.wait_for(daemon.is_master)
    config("{")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: "carpd.json" in daemon.log.read_text())
    assert daemon.is_master()
    config(settings={"allow": 1, "preempt": 1})
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: daemon.status()["settings"]["preempt"] == 1)
    assert daemon.is_master()
    assert daemon.log.read_text().count("MASTER") == 1
    assert daemon.end() == 0


@needs_namespace
@pytest.mark.parametrize("how", ["clean", "run"])
def test_what_a_killed_daemon_left_goes_away_even_if_it_cannot_start_again(
    config: Callable[..., Path], tmp_path: Path, how: str
) -> None:
    path, run = config(), tmp_path / "run"
    carpd = f"{sys.executable} -m bsdcarp.carpd"
    again = (
        f"{carpd} clean --run-directory {run}" if how == "clean" else f"{carpd} run -d -c {path} --run-directory {run}"
    )
    steps = f"""
        ip link add nic0 type veth peer name nic1; ip link set nic1 up; ip link set nic0 up
        {carpd} run -d -c {path} --run-directory {run} &
        until ip -4 -o address | grep -q 192.0.2.1; do sleep 0.05; done
        {carpd} clean --run-directory {run}; echo "while it runs: $?"
        ip -o address | grep -c 192.0.2.1
        kill -KILL $!; wait
        echo '{{' >{path}
        {again}; echo "after: $?"
        ip -4 -o address; ip -o link | grep -c carp; ip rule | wc -l; ls {run}/*.json
    """
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", steps], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    status = {"clean": 0, "run": EX_CONFIG}[how]
    assert done.stdout.splitlines() == ["while it runs: 1", "1", f"after: {status}", "0", "3"], done.stderr
    assert "error: " in done.stderr
    assert "another carpd is running" in done.stderr
    assert "after an unclean end: removed stale interface carp1." in done.stderr


def test_the_stand_ins_have_the_shape_of_the_real_ones() -> None:
    assert snapshot(vhid(state=State.INIT)).vhids[0].state is State.INIT
