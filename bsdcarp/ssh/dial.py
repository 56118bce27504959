"""The byte stream under a hop: TCP, a ProxyCommand, or a channel through the hop before.

A host that is dialled starts its sshd while paramiko, which takes a while, is imported here; so it is not imported
before it is needed.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bsdcarp.errors import SshError
from bsdcarp.ssh.proxy import Proxy
from bsdcarp.ssh.target import SshTarget

if TYPE_CHECKING:
    import paramiko

    from bsdcarp.ssh.transport import Transport

__all__ = ["PromptSocket", "dial", "translated"]

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_REFUSALS = {
    1: ("forbids forwarding to", "set 'AllowTcpForwarding yes' and PermitOpen in its sshd_config"),
    2: ("cannot reach", "check the address as that host sees it"),
}


class PromptSocket(socket.socket):
    """A TCP socket that acknowledges at once what it reads, where the system can be told to (Linux).

    sshd sends two small packets in a row after the login and has Nagle's algorithm on until the first command runs,
    so a delayed acknowledgement costs 40 ms a connection.
    """

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        data = super().recv(size, flags)
        if _QUICK_ACK is not None and data:
            with contextlib.suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        return data


def dial(
    hop: SshTarget, through: Transport | None, stack: contextlib.ExitStack, proxies: list[Proxy]
) -> socket.socket | paramiko.Channel:
    """Return the stream to ``hop``, as a channel of ``through`` if there is a hop before it.

    A command started for it goes into ``proxies``, and its end onto ``stack``.
    """
    if through is not None:
        return _forwarded(hop, through)
    if hop.proxy_command is not None:
        proxy = Proxy(hop.proxy_command)
        stack.callback(proxy.close)
        proxies.append(proxy)
        return proxy.socket
    return _tcp(hop)


def _tcp(hop: SshTarget) -> socket.socket:
    try:
        plain = socket.create_connection((hop.hostname, hop.port), hop.connect_timeout)
    except socket.gaierror as error:
        raise SshError(
            f"the name {hop.hostname} does not resolve: {error.strerror}",
            place=hop.name,
            remedy="correct 'address' in the inventory, or HostName in ssh_config",
        ) from error
    except TimeoutError as error:
        raise SshError(
            f"{hop.endpoint} did not answer within {hop.connect_timeout:g} s",
            place=hop.name,
            remedy="check that the host is up and no firewall is in between",
        ) from error
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SshError(
            f"{hop.endpoint} cannot be reached: {why}",
            place=hop.name,
            remedy="check the address, the route to it, and that sshd runs there",
        ) from error
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return PromptSocket(fileno=plain.detach())


def _forwarded(hop: SshTarget, through: Transport) -> paramiko.Channel:
    import paramiko

    try:
        return through.open_channel(
            "direct-tcpip", (hop.hostname, hop.port), ("127.0.0.1", 0), timeout=hop.connect_timeout
        )
    except paramiko.ChannelException as error:
        what, remedy = _REFUSALS.get(error.code, ("will not connect to", "see its auth.log"))
        raise SshError(
            f"the jump host before it {what} {hop.endpoint}: {error.text}", place=hop.name, remedy=remedy
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise SshError(
            f"the jump host before it did not connect to {hop.endpoint}: {error}",
            place=hop.name,
            remedy="check that it is up and can reach that address",
        ) from error


@contextlib.contextmanager
def translated(hop: SshTarget, target: SshTarget) -> Iterator[list[Proxy]]:
    """Make sure that what goes wrong at ``hop`` is an ``SshError`` that also names ``target``.

    The list it yields is for ``dial``; what a command in it complained about becomes part of the error.
    """
    proxies: list[Proxy] = []
    try:
        yield proxies
    except SshError as error:
        for proxy in proxies:
            if complaint := proxy.complaint():
                error.cause += f"; the ProxyCommand says: {complaint}"
        if hop is not target:
            error.place = f"{target.name}, jump host {error.place}"
        raise
    except Exception as error:
        import paramiko

        if not isinstance(error, paramiko.SSHException | EOFError | OSError):
            raise
        raise SshError(
            f"the connection to {hop.endpoint} failed: {error}", place=target.name, remedy="try ssh -v to it"
        ) from error
