"""Every exception bsdcarp raises on purpose, in one screen.

An error is part of the interface: one line that says where, what and what to do about it.  ``str(error)`` is
that line, made safe for a terminal; the command line prints it and leaves with ``exit_code``.
"""

from __future__ import annotations

from typing import ClassVar

from bsdcarp.plaintext import printable

__all__ = [
    "BsdcarpError",
    "HostRefused",
    "InventoryError",
    "LabError",
    "PlanError",
    "RemoteError",
    "SecretError",
    "SshError",
    "TextFileError",
    "UsageError",
]


class BsdcarpError(Exception):
    """The root.  ``place`` is a host, a file or file:line:column; ``remedy`` is what the operator can do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, cause: str, *, place: str = "", remedy: str = "") -> None:
        self.place = place
        self.cause = cause
        self.remedy = remedy
        super().__init__(cause)

    def __str__(self) -> str:
        head = f"{self.place}: {self.cause}" if self.place else self.cause
        return printable(f"{head} ({self.remedy})" if self.remedy else head)


class UsageError(BsdcarpError):
    """The command line cannot mean anything: an unknown host, two options that exclude each other."""

    exit_code = 2


class InventoryError(BsdcarpError):
    """The inventory cannot be read at all, or holds errors; the findings were already shown one by one."""


class SecretError(BsdcarpError):
    """A password could not be fetched from its environment variable, file or command."""


class TextFileError(BsdcarpError):
    """A configuration file on a host is one that bsdcarp refuses to edit, because it could not do so losslessly."""


class HostRefused(BsdcarpError):
    """The host answered, but bsdcarp will not manage it: wrong system, an appliance, no root, a broken rc.conf."""


class PlanError(BsdcarpError):
    """Desired and actual state cannot be brought together, for instance when the interface is not there."""


class RemoteError(BsdcarpError):
    """A script on a host answered with something that is not an answer."""


class SshError(BsdcarpError):
    """No session: name, route, port, host key, user key, become password or time limit."""

    exit_code = 5


class LabError(BsdcarpError):
    """The embedded lab could not start or answer."""
