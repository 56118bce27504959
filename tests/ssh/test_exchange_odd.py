"""Servers that do what OpenSSH does not: refuse to run a command, never reply, take nothing, vanish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest
from odd_server import Odd, odd_server, odd_target
from sshd_peer import TIMEOUT

from bsdcarp.model import Secret
from bsdcarp.ssh import Become, Result, RunFailed, connect, exchange
from bsdcarp.ssh.target import SshTarget

Target = Callable[[int], SshTarget]


@pytest.fixture
def target(known_hosts: Path, keys: Path) -> Target:
    return lambda port: odd_target(port, known_hosts, keys / "host_ed25519", keys / "user_ed25519")


def mark(channel: paramiko.Channel) -> bytes:
    """The marker that the payload begins with."""
    said = b""
    while said.count(b"\n") < 3:
        said += channel.recv(65536)
    return said.split(b"\n")[1].partition(b"'")[0]


def test_a_command_refused_is_told(target: Target, keys: Path) -> None:
    class Refusing(Odd):
        def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
            return False

    with (
        odd_server(Refusing(), keys / "host_ed25519") as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match="sshd refuses to run a command") as caught,
    ):
        session.run(b"echo\n", timeout=10)
    assert not caught.value.sent


@pytest.mark.parametrize("politely", [True, False])
def test_a_connection_lost_while_asking_for_a_command(target: Target, keys: Path, politely: bool) -> None:
    class Vanishing(Odd):
        def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
            transport = channel.get_transport()
            if politely:
                message = paramiko.Message()
                message.add_byte(paramiko.common.cMSG_DISCONNECT)
                message.add_int(2)
                message.add_string("going down")
                message.add_string("en")
                transport._send_message(message)  # type: ignore[attr-defined]  # the stubs leave it out
            transport.close()
            return True

    with (
        odd_server(Vanishing(), keys / "host_ed25519") as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match="the connection was lost") as caught,
    ):
        session.run(b"echo\n", timeout=10)
    assert not caught.value.sent


def test_a_command_that_is_never_answered_is_given_up(target: Target, keys: Path) -> None:
    class Mute(Odd):
        def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
            self.executed.wait(TIMEOUT)
            return True

    mute = Mute()
    with odd_server(mute, keys / "host_ed25519") as port, connect(target(port)) as session:
        began = time.monotonic()
        with pytest.raises(RunFailed, match=r"no answer within 0\.2 s") as caught:
            session.run(b"echo\n", timeout=0.2)
        assert time.monotonic() - began < 10
        mute.executed.set()
    assert not caught.value.sent


def test_a_session_that_is_never_opened_is_given_up(target: Target, keys: Path) -> None:
    class Slow(Odd):
        def check_channel_request(self, kind: str, chanid: int) -> int:
            self.executed.wait(TIMEOUT)
            return paramiko.common.OPEN_SUCCEEDED

    slow = Slow()
    with odd_server(slow, keys / "host_ed25519") as port, connect(target(port)) as session:
        with pytest.raises(RunFailed) as caught:
            session.run(b"echo\n", timeout=0.2)
        slow.executed.set()
    assert not caught.value.sent


def test_a_host_lost_before_it_took_the_script_has_not_acted(target: Target, keys: Path) -> None:
    def vanish(transport: paramiko.Transport, server: Odd) -> None:
        time.sleep(0.1)
        transport.close()

    with (
        odd_server(Odd(), keys / "host_ed25519", vanish, prepare=no_window) as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match="the connection was lost") as caught,
    ):
        session.run(b"x" * 1_000_000, timeout=10)
    assert not caught.value.sent
    assert "had not been sent completely" in caught.value.remedy


def no_window(transport: paramiko.Transport) -> None:
    # As much as paramiko's server lets itself be told: 32 KiB, and nobody reads.
    transport.default_window_size = 32768


def test_a_script_that_is_not_taken_in_time_was_not_sent(target: Target, keys: Path) -> None:
    with (
        odd_server(Odd(), keys / "host_ed25519", prepare=no_window) as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match=r"no answer within 0\.3 s \(check the host's load") as caught,
    ):
        session.run(b"x" * 1_000_000, timeout=0.3)
    assert not caught.value.sent


def test_an_exit_status_without_the_end_of_the_outputs_is_a_loss(target: Target, keys: Path) -> None:
    def vanish(transport: paramiko.Transport, server: Odd) -> None:
        mark(server.channels[0])  # the script is there
        server.channels[0].send_exit_status(0)
        time.sleep(0.1)
        transport.close()

    with (
        odd_server(Odd(), keys / "host_ed25519", vanish) as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match="the connection was lost") as caught,
    ):
        session.run(b"echo\n", timeout=10)
    assert caught.value.sent


def test_an_end_without_status_is_a_signal(target: Target, keys: Path) -> None:
    def die(transport: paramiko.Transport, server: Odd) -> None:
        channel = server.channels[0]
        channel.sendall(b"\n" + mark(channel) + b"\nout")
        channel.close()

    with odd_server(Odd(), keys / "host_ed25519", die) as port, connect(target(port)) as session:
        assert session.run(b"echo\n", timeout=10) == Result(-1, b"out", b"")


def test_outputs_that_end_without_anything_after_them_run_into_the_limit(target: Target, keys: Path) -> None:
    def fall_silent(transport: paramiko.Transport, server: Odd) -> None:
        server.channels[0].shutdown_write()
        transport.join(5)

    with (
        odd_server(Odd(), keys / "host_ed25519", fall_silent) as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match=r"no answer within 1\.5 s") as caught,
    ):
        session.run(b"echo\n", timeout=1.5)
    assert caught.value.sent


def test_a_prompt_that_never_comes_is_given_up(target: Target, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ASK_SECONDS", 0.2)
    with (
        odd_server(Odd(), keys / "host_ed25519") as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match=r"sudo neither started a shell nor refused to within 0\.2 s") as caught,
    ):
        session.run(b"echo\n", timeout=10, become=Become("sudo", Secret("hunter2")))
    assert not caught.value.sent
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_host_that_lost_its_power_is_noticed_before_the_time_is_over(
    target: Target, keys: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    """It answers no question any more, or forgot the connection and answers the first with a reset."""
    over = threading.Event()

    class Forgetful(Odd):
        def check_global_request(self, kind: str, msg: paramiko.Message) -> bool:
            if frozen:
                over.wait(20)
            else:
                self.channels[0].get_transport().close()
            return False

    monkeypatch.setattr("bsdcarp.ssh.session._ALIVE_SECONDS", 0.5)
    begun = time.monotonic()
    with odd_server(Forgetful(), keys / "host_ed25519") as port, connect(target(port)) as session:
        with pytest.raises(RunFailed, match="the connection was lost") as caught:
            session.run(b"make installkernel\n", timeout=20)
        over.set()
    assert caught.value.sent
    assert time.monotonic() - begun < 12


def test_a_host_that_answers_is_waited_for(target: Target, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsdcarp.ssh.session._ALIVE_SECONDS", 0.2)
    with (
        odd_server(Odd(), keys / "host_ed25519") as port,
        connect(target(port)) as session,
        pytest.raises(RunFailed, match="no answer within 3 s"),
    ):
        session.run(b"make installkernel\n", timeout=3)
