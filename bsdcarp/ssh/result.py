"""What running a script on a host gives: its result, or the reason why there is none."""

from __future__ import annotations

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SshError

__all__ = ["Crowded", "Result", "RunFailed"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a script left behind."""

    status: int
    """Exit status of the script's shell.

    If a signal ended it: -1, as the server names no number then, or 128 and more where another shell was waiting for
    it (some login shells, ``su``, ``sudo``).
    """
    stdout: bytes
    """Exactly what the script wrote, without anything that the login shell's start-up files said before it."""
    stderr: bytes


class RunFailed(SshError):
    """A script has no result: root's shell was refused, the connection was lost, or time ran out.

    ``sent`` is False if the end of the script certainly did not leave this machine.  A script that does nothing
    before its last line is read (all in functions, or between ``{`` and ``}``) has then not acted.  True means that
    the host may have acted, and that only the host can tell.
    """

    def __init__(self, cause: str, *, place: str = "", remedy: str = "", sent: bool = False) -> None:
        super().__init__(cause, place=place, remedy=remedy)
        self.sent = sent


class Crowded(SshError):
    """sshd has too many connections that are not logged in yet, and will take others in a moment."""
