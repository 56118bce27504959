"""The client programs in a real shell, and the thread that answers them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab_machines import Bench

from bsdcarp.errors import LabError
from bsdcarp.lab.commands import table
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.reply import Call, Reply
from bsdcarp.lab.wire import CommandServer, shell_fragment, short_fragment


def shell(machine: Machine, script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", script],
        env=machine.session_env() | environment,
        cwd=machine.root,
        capture_output=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    bench = Bench(tmp_path_factory.mktemp("bench"))
    machine = bench.machine(release="14.2", loader='carp_load="YES"\n')
    server = CommandServer([machine])
    server.start()
    yield machine
    server.stop()


def test_output_error_and_status_arrive_apart(served: Machine) -> None:
    run = shell(served, "sysctl net.inet.carp.log nonsense")
    assert (run.stdout, run.stderr, run.returncode) == (
        b"net.inet.carp.log: 1\n",
        b"sysctl: unknown oid 'nonsense'\n",
        1,
    )


def test_nul_bytes_arrive(served: Machine) -> None:
    assert len(shell(served, "sysctl -b kern.boottime").stdout) == 16


@given(
    words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20), min_size=1, max_size=4)
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_argument_reaches_the_machine_unchanged(
    served: Machine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Call] = []

    def record(_machine: Machine, call: Call) -> Reply:
        seen.append(call)
        return Reply("\n".join(call.args).encode())

    monkeypatch.setitem(table.COMMANDS, "wall", record)
    run = subprocess.run(
        [f"{served.root}/.lab/bin/wall", *words], env=served.session_env(), capture_output=True, timeout=30, check=False
    )
    assert seen[-1].args == tuple(words)
    assert run.stdout == "\n".join(words).encode()


def test_long_arguments_and_many_clients_at_once(served: Machine) -> None:
    long = "x" * 20_000
    assert shell(served, f"sha256 -q -s {long}").returncode == 0
    run = shell(served, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sysctl -n net.inet.carp.log & done; wait")
    assert run.stdout == b"1\n" * 12


def test_directory_and_user_of_the_caller_are_known(served: Machine) -> None:
    assert shell(served, "cd etc && stat -f %z rc.conf").returncode == 0
    assert shell(served, "whoami", BSDCARP_USER="joe").stdout == b"joe\n"
    shell(served, "pw useradd joe")
    assert shell(served, "su joe -c 'whoami; sysctl net.inet.carp.log=2'").stdout == b"joe\nnet.inet.carp.log: 1\n"


def test_programs_that_the_caller_s_shell_runs(served: Machine) -> None:
    assert shell(served, "printf 'ab' | md5 -q").stdout == b"187ef4436122d1cc2f40dc2b92f0eba0\n"
    assert shell(served, "command -v ifconfig").returncode == 0
    assert shell(served, "printf 'aa\\n' >tmp/f; sed -i '' -e s/a/b/ tmp/f; cat tmp/f").stdout == b"ba\n"
    assert shell(served, "sed -n 1p tmp/f; ls tmp/f").stdout == b"ba\ntmp/f\n"
    assert b" root  wheel  3 " in shell(served, "ls -l tmp/f").stdout
    assert shell(served, "daemon -f true; lockf -k tmp/l echo hi").stdout == b"hi\n"
    assert shell(served, "etc/rc.d/sshd status").stdout == b"sshd is running as pid 4242.\n"


def test_reader_that_goes_away_costs_no_slot(served: Machine) -> None:
    for _round in range(4):
        assert shell(served, "ifconfig -a | true").returncode == 0
    assert shell(served, "uname").stdout == b"FreeBSD\n"


def test_machine_that_is_down_answers_255(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    machine = bench.machine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "state", "rebooting")
        server = CommandServer([machine])
        server.start()
        down = shell(machine, "uname")
    server.stop()
    assert (down.stdout, down.stderr, down.returncode) == (b"", b"", 255)
    stopped = shell(machine, "uname")
    assert (stopped.stdout, stopped.stderr, stopped.returncode) == (b"", b"", 255)
    assert not list(machine.lab_directory.iterdir())


def test_programs_of_a_machine_that_is_dying_do_not_fail_before_they_are_killed(tmp_path: Path) -> None:
    machine = Bench(tmp_path).machine()
    server = CommandServer([machine])
    server.start()
    left: list[subprocess.Popen[bytes]] = []

    def going_down() -> None:
        client = subprocess.Popen(
            ["/bin/sh", "-c", "uname || echo failed"],
            env=machine.session_env(),
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        left.append(client)
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.3)
        os.killpg(client.pid, signal.SIGKILL)

    machine.on_down.append(going_down)
    machine.reboot(0)
    assert [client.communicate()[0] for client in left] == [b""]
    machine.network.advance(1)
    assert machine.alive
    again = shell(machine, "uname")
    server.stop()
    assert again.stdout == b"FreeBSD\n"


def test_waiting_client_is_sent_away_when_the_lab_stops(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    machine = bench.machine()
    server = CommandServer([machine])  # not started: nobody answers
    waiting = subprocess.Popen([f"{machine.root}/.lab/bin/uname"], env=machine.session_env())
    while not list(machine.lab_directory.glob("q.*")):
        assert waiting.poll() is None
    server.stop()
    assert waiting.wait(10) == 255


def test_mistake_in_a_simulated_command_is_reported_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Bench(tmp_path).machine()

    def broken(_machine: Machine, _call: Call) -> Reply:
        raise ZeroDivisionError("oops")

    monkeypatch.setitem(table.COMMANDS, "wall", broken)
    failures: list[str] = []
    server = CommandServer([machine], failed=lambda where, error: failures.append(f"{where.name}: {error}"))
    server.start()
    try:
        run = shell(machine, "wall; uname")
    finally:
        server.stop()
    assert run.stdout == b"FreeBSD\n"
    assert b"the lab failed" in run.stderr
    assert failures == ["alpha: oops"]


def test_directory_that_cannot_hold_fifos_is_an_error(tmp_path: Path) -> None:
    machine = Bench(tmp_path).machine(boot=False)
    machine.lab_directory.write_text("in the way")
    with pytest.raises(LabError, match="cannot make a FIFO"):
        CommandServer([machine])


def test_client_looks_where_it_is_told(tmp_path: Path, served: Machine) -> None:
    environment = served.session_env()
    environment.pop("BSDCARP_LAB_DIR")
    client = f"{served.root}/.lab/bin/uname"
    assert subprocess.run([client], env=environment, capture_output=True, check=False).stdout == b"FreeBSD\n"
    elsewhere = environment | {"BSDCARP_LAB_DIR": str(tmp_path)}
    assert subprocess.run([client], env=elsewhere, capture_output=True, check=False).returncode == 255


@given(out=st.binary(max_size=60), err=st.binary(max_size=60), status=st.integers(0, 125))
@settings(max_examples=25, deadline=None)
def test_fragment_prints_exactly_the_reply(out: bytes, err: bytes, status: int) -> None:
    script = shell_fragment(Reply(out, err, status)).encode("utf-8", "surrogateescape")
    run = subprocess.run(["/bin/sh", "-c", os.fsdecode(script)], capture_output=True, check=False)
    assert (run.stdout, run.stderr, run.returncode) == (out, err, status)


@given(
    out=st.text(st.characters(min_codepoint=32, max_codepoint=126, include_characters="\n\t"), max_size=60),
    err=st.text(st.sampled_from("-%\\'\"\n $x"), max_size=20),
    status=st.integers(0, 125),
)
@settings(max_examples=25, deadline=None)
def test_short_fragment_is_one_line_that_prints_exactly_the_reply(out: str, err: str, status: int) -> None:
    line = short_fragment(Reply(out.encode(), err.encode(), status))
    assert line is not None
    assert "\n" not in line
    # As in the client: read by the shell, without a word of its own before it.
    script = 'read -r answer && eval "$answer"'
    run = subprocess.run(
        ["/bin/sh", "-c", script], input=f"{line}\n".encode(), capture_output=True, check=False, timeout=30
    )
    assert (run.stdout, run.stderr, run.returncode) == (out.encode(), err.encode(), status)


def test_what_is_long_or_not_plain_text_or_a_script_goes_through_a_file(served: Machine) -> None:
    assert short_fragment(Reply(b"x" * 1000)) is None
    assert short_fragment(Reply("ü".encode())) is None
    assert short_fragment(Reply(b"a\0b")) is None
    assert short_fragment(Reply(script="exec true")) is None
    assert len(shell(served, "ifconfig -a").stdout) > 400
