"""What a simulated command is told and what it answers: the types every module in ``commands/`` shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Call", "Reply", "failure", "text"]


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation: ``argv`` without the directory of argv[0], the working directory and environment of the caller.

    ``cwd`` is a path inside the machine (``/`` is its root).  ``user`` is ``root`` unless the session went through su.
    """

    argv: tuple[str, ...]
    cwd: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = "root"

    @property
    def name(self) -> str:
        return self.argv[0]

    @property
    def args(self) -> tuple[str, ...]:
        return self.argv[1:]

    @property
    def is_root(self) -> bool:
        return self.user == "root"


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of a command.

    ``script`` is POSIX sh text that the caller's shell runs after printing, for commands that start other programs
    (su, daemon, sed); its status then counts instead of ``status``.
    """

    stdout: bytes = b""
    stderr: bytes = b""
    status: int = 0
    script: str = ""


def text(stdout: str = "", *, stderr: str = "", status: int = 0) -> Reply:
    """Build a reply from text; undecodable bytes of host files survive as surrogates."""
    return Reply(stdout.encode("utf-8", "surrogateescape"), stderr.encode("utf-8", "surrogateescape"), status)


def failure(message: str, status: int = 1, *, stdout: str = "") -> Reply:
    """Build the reply of a command that prints one line on standard error and leaves with ``status``."""
    return text(stdout, stderr=message + "\n", status=status)
