"""The user's SSH agent, at whichever socket ssh_config says."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import paramiko

__all__ = ["agent_keys"]


class _Agent(paramiko.agent.AgentSSH):
    # paramiko.Agent knows no other place than $SSH_AUTH_SOCK, and waits for an answer for ever.
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(seconds)
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]  # the stubs leave it out
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]  # the stubs leave it out


@contextlib.contextmanager
def agent_keys(path: str | None, seconds: float, notes: list[str]) -> Iterator[tuple[paramiko.AgentKey, ...]]:
    """Yield the agent's keys, which sign only until the block ends; none if there is no agent.

    An agent that cannot be asked is told in ``notes``: other keys may still do.
    """
    if path is None:
        yield ()
        return
    try:
        agent = _Agent(path, seconds)
    except (OSError, paramiko.SSHException) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "no answer"
        notes.append(f"the agent at {path} cannot be used: {why}")
        yield ()
        return
    try:
        yield agent.get_keys()
    finally:
        agent.close()
