"""The SSH transport: paramiko's, held to our algorithms, quick to answer, and really closed when it is closed.

``paramiko.Transport`` is used directly.  ``SSHClient`` would probe more than needed, keep its own idea of known_hosts
and run commands through file objects whose collection can deadlock the transport (paramiko issue 2685).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import paramiko
from paramiko.kex_curve25519 import KexCurve25519

from bsdcarp.errors import SshError
from bsdcarp.ssh.algorithms import Algorithms, Offer, advice, allowed
from bsdcarp.ssh.hostkeys import acquaintance
from bsdcarp.ssh.result import Crowded
from bsdcarp.ssh.target import SshTarget

__all__ = ["Transport", "handshake"]

# Without this, logging's last resort prints paramiko's tracebacks to standard error next to our one line.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_JOIN_SECONDS = 2.0
_UNANSWERED = 4


class _Packetizer(paramiko.packet.Packetizer):
    # What a server says before (or instead of) its greeting; sshd says there that it has too many connections.
    preamble = ""
    unanswered = 0

    def readline(self, timeout: float) -> str:
        line = super().readline(timeout)
        if not line.startswith("SSH-") and not self.preamble:
            self.preamble = line
        return line

    def read_message(self) -> Any:
        message = super().read_message()
        self.unanswered = 0
        return message


class Transport(paramiko.Transport):
    """One connection to one hop."""

    packetizer: _Packetizer

    # The name under which RFC 8731 registered what paramiko knows only by libssh's name.
    _kex_info: ClassVar[Mapping[str, Any]] = {
        **vars(paramiko.Transport)["_kex_info"],
        "curve25519-sha256": KexCurve25519,
    }

    def __init__(self, sock: socket.socket | paramiko.Channel, algorithms: Algorithms) -> None:
        super().__init__(
            sock, disabled_algorithms={"pubkeys": algorithms.forbidden_user_keys}, packetizer_class=_Packetizer
        )
        self.offer: Offer | None = None
        """What the server proposed, once it has."""
        options = self.get_security_options()
        self.algorithms = Algorithms(
            kex=_known(algorithms.kex, (*options.kex, "curve25519-sha256")),
            host_keys=_known(algorithms.host_keys, options.key_types),
            ciphers=_known(algorithms.ciphers, options.ciphers),
            macs=_known(algorithms.macs, options.digests),
            forbidden_user_keys=algorithms.forbidden_user_keys,
        )
        """What we propose: what is allowed, as far as this paramiko knows it."""
        options.kex = self.algorithms.kex
        options.key_types = self.algorithms.host_keys
        options.ciphers = self.algorithms.ciphers
        options.digests = self.algorithms.macs

    def _really_parse_kex_init(self, *args: Any, **kwargs: Any) -> Any:
        # paramiko says only that nothing matched; the advice needs to know what the server proposed.
        parsed = super()._really_parse_kex_init(*args, **kwargs)  # type: ignore[misc]  # the stubs leave it out
        # As a client we parse our own proposal too, for the exchange hash; only the server's is kept.
        if self.offer is None:
            self.offer = Offer(
                kex=tuple(n for n in parsed["kex_algo_list"] if not n.startswith(("ext-info-", "kex-strict-"))),
                host_keys=tuple(parsed["server_key_algo_list"]),
                ciphers=tuple(parsed["server_encrypt_algo_list"]),
                macs=tuple(parsed["server_mac_algo_list"]),
            )
        return parsed

    def _parse_debug(self, message: paramiko.Message) -> None:
        # sshd says at every login what the key may be used for; paramiko would make a log line of it, byte by byte.
        del message

    def ask_for_life(self, interval: float) -> None:
        """Ask every ``interval`` seconds for an answer, and end the connection when ``_UNANSWERED`` questions got none.

        paramiko's own question wants no answer, so it only notices a host that is up again.
        """

        def ask() -> None:
            if self.packetizer.unanswered >= _UNANSWERED:
                self.shut()
                return
            self.packetizer.unanswered += 1
            message = paramiko.Message()
            message.add_byte(paramiko.common.cMSG_GLOBAL_REQUEST)
            message.add_string("keepalive@openssh.com")
            message.add_boolean(True)
            self._send_user_message(message)  # type: ignore[attr-defined]  # the stubs leave it out

        self.packetizer.set_keepalive(interval, ask)

    def hang_up(self) -> None:
        """Begin to close: whoever reads from the connection finds its end."""
        if isinstance(self.sock, socket.socket):
            # Closing alone does not wake a thread that waits for this socket.
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        """Close, and wait until nothing of the connection runs any more: no reader, no timer.

        paramiko's handshake timer is a thread that the interpreter waits for at exit, 15 s after a refused key.
        May be called from any thread, any number of times.
        """
        self.hang_up()
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.close()
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.sock.close()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(_JOIN_SECONDS)
        self.packetizer.complete_handshake()


def _known(wanted: tuple[str, ...], available: Any) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in available)


def handshake(sock: socket.socket | paramiko.Channel, target: SshTarget) -> Transport:
    """Exchange keys over ``sock`` and verify the host key; nobody is logged in yet.

    ``sock`` belongs to the transport from here on.  Raises ``SshError``, after closing ``sock``, for what does not
    speak SSH, an algorithm not in common, a host key that is unknown, changed or revoked, and time limits.
    """
    known = acquaintance(target)
    transport = Transport(sock, allowed(legacy=target.legacy, known_key_types=known.key_types))
    # The greeting and the key exchange after it have a limit each.
    transport.banner_timeout = transport.handshake_timeout = target.connect_timeout
    transport.channel_timeout = target.connect_timeout
    try:
        try:
            transport.start_client(timeout=2 * target.connect_timeout)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise _failure(error, transport, target) from error
        if not transport.initial_kex_done:
            raise _silence(transport, target)
        key = transport.get_remote_server_key()
        known.check(key.get_name(), key.asbytes())
    except BaseException:
        transport.shut()
        raise
    return transport


def _silence(transport: Transport, target: SshTarget) -> SshError:
    what = "the key exchange did not end" if transport.remote_version else "no SSH server answered"
    return SshError(
        f"{what} within {target.connect_timeout:g} s at {target.endpoint}",
        place=target.name,
        remedy="check host and port, or raise ConnectTimeout",
    )


def _failure(error: Exception, transport: Transport, target: SshTarget) -> SshError:
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer) and transport.offer is not None:
        cause, remedy = advice(transport.offer, transport.algorithms, legacy=target.legacy)
        return SshError(cause, place=target.name, remedy=remedy)
    # paramiko wraps what it met while it waited for the greeting.
    met = error.__context__ if type(error) is paramiko.SSHException else error
    if isinstance(met, TimeoutError) or transport.packetizer.handshake_timed_out():
        return _silence(transport, target)
    said = transport.packetizer.preamble
    if "MaxStartups" in said:
        return Crowded(
            f"sshd at {target.endpoint} has too many connections that are not logged in yet",
            place=target.name,
            remedy="raise MaxStartups in its sshd_config, or use --parallel",
        )
    if transport.remote_version:
        why = error.strerror if isinstance(error, OSError) else str(error)
        cause = f"the key exchange with {target.endpoint} failed: {why or 'the connection was closed'}"
        remedy = "see the host's auth.log, and MaxStartups in its sshd_config if it happens now and then"
    elif not said and isinstance(met, EOFError | OSError):
        cause = f"{target.endpoint} closed the connection before it said anything"
        remedy = "check that sshd runs there, and its MaxStartups and firewall"
    else:
        cause = f"what answers at {target.endpoint} does not speak SSH" + (f", it says {said[:80]!r}" if said else "")
        remedy = "check the port"
    return SshError(cause, place=target.name, remedy=remedy)
