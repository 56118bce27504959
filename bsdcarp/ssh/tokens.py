"""The ``%`` tokens, ``~`` and ``${NAME}`` that ssh_config values may hold (ssh_config(5), TOKENS)."""

from __future__ import annotations

import os
import pwd
import re
import socket
from pathlib import Path

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SshError

__all__ = ["Tokens", "expand_environment", "expand_tilde", "local_user"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the tokens stand for, as far as it is known at the moment of asking."""

    original: str
    """``%n``: the name looked up."""
    host: str
    """``%h``: where the connection goes."""
    port: int
    user: str
    alias: str = ""
    """``%k``: HostKeyAlias, or else the name looked up."""

    def expand(self, text: str, place: str) -> str:
        """Return ``text`` with its tokens replaced.  Raises ``SshError`` at ``place`` for one that is not known."""

        def value(match: re.Match[str]) -> str:
            match match[1]:
                case "%":
                    return "%"
                case "d":
                    return str(Path.home())
                case "h":
                    return self.host
                case "i":
                    return str(os.getuid())
                case "k":
                    return self.alias or self.original
                case "l":
                    return socket.gethostname()
                case "L":
                    return socket.gethostname().partition(".")[0]
                case "n":
                    return self.original
                case "p":
                    return str(self.port)
                case "r":
                    return self.user
                case "u":
                    return local_user()
                case _:
                    raise SshError(
                        f"the token {match[0]!r} is not supported",
                        place=place,
                        remedy="%% %d %h %i %k %L %l %n %p %r %u are; write the value out instead",
                    )

        return re.sub(r"%(.?)", value, text, flags=re.DOTALL)


def local_user() -> str:
    """The name of whoever runs this program."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def expand_tilde(text: str) -> str:
    """Return ``text`` with a leading ``~`` or ``~user`` replaced by the home directory."""
    return os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111  # Path would fold a//b and a/.


def expand_environment(text: str, place: str) -> str:
    """Return ``text`` with each ``${NAME}`` replaced.  Raises ``SshError`` at ``place`` if NAME is not set."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise SshError(f"the environment variable {match[1]} is not set", place=place, remedy="export it")
        return found

    return re.sub(r"\$\{([^}]*)\}", value, text)
