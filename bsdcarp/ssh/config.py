"""ssh_config(5): which settings a host gets, with the file and line of each.

Read here rather than by ``paramiko.SSHConfig``, which knows no Include, no trailing comment and no line number, needs
another package for ``Match exec``, and would make resolving a target import paramiko.  As in OpenSSH the first value
found wins (IdentityFile adds up), an Include inside a Host or Match block applies only where the block does, and the
block goes on after it.

Host and Match (all, host, originalhost, user, localuser, exec, canonical, final) are understood.  Names are never
canonicalised, so ``Match canonical`` matches nothing.  A Match by anything else (address, localnetwork, tagged,
command ...) is an error where it would decide, since guessing could send root's session elsewhere.  Keywords that
``KEYWORDS`` does not list are skipped (RevokedHostKeys, KnownHostsCommand, CertificateFile and AddressFamily are such),
those that choose algorithms among them: what a host may be spoken to with is decided by the inventory alone.
"""

from __future__ import annotations

import glob
import os
import subprocess
from collections.abc import Iterable
from dataclasses import field
from functools import lru_cache
from pathlib import Path

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SshError
from bsdcarp.ssh.configwords import arguments, lex
from bsdcarp.ssh.lines import read_lines
from bsdcarp.ssh.patterns import is_catch_all, matches
from bsdcarp.ssh.tokens import Tokens, expand_tilde, local_user

__all__ = ["KEYWORDS", "Query", "Setting", "Settings", "Source", "look_up", "sources"]

KEYWORDS = frozenset({
    "connecttimeout", "globalknownhostsfile", "hostkeyalias", "hostname", "identitiesonly", "identityagent",
    "identityfile", "port", "proxycommand", "proxyjump", "stricthostkeychecking", "user", "userknownhostsfile",
})  # fmt: skip
"""The settings that count, in lower case."""

_MAX_DEPTH = 16  # READCONF_MAX_DEPTH of OpenSSH's readconf.c
_EXEC_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Source:
    """A file to start from, and the directory that its relative Includes are in."""

    path: Path
    include_from: Path


@dataclass(frozen=True, slots=True)
class Setting:
    """One keyword's arguments, and the ``file:line`` they stand at.  ProxyCommand is one argument, the whole rest."""

    arguments: tuple[str, ...]
    place: str

    @property
    def value(self) -> str:
        return self.arguments[0]


@dataclass(frozen=True, slots=True)
class Query:
    """Whom the settings are for."""

    name: str
    """What Host and ``Match originalhost`` look at."""
    host: str
    """Where the connection goes unless a HostName says otherwise; ``Match host`` looks at it."""
    user: str | None = None
    """The user given outside ssh_config, which wins over it."""
    port: int | None = None


@dataclass(slots=True)
class Settings:
    """What was found for one query."""

    specific: bool = False
    """Whether a Host or Match block was meant for this host, not for every host."""
    found: dict[str, list[Setting]] = field(default_factory=dict)

    def first(self, keyword: str) -> Setting | None:
        """The setting in force for ``keyword`` (lower case), or None."""
        return next(iter(self.found.get(keyword, ())), None)

    def all(self, keyword: str) -> tuple[Setting, ...]:
        """Every setting of a keyword that adds up, in order."""
        return tuple(self.found.get(keyword, ()))

    def add(self, keyword: str, setting: Setting) -> None:
        """Take ``setting`` unless an earlier one is in force."""
        # The two compete: whichever comes first shuts the other out (ssh_config(5), ProxyJump).
        rivals = ("proxyjump", "proxycommand") if keyword.startswith("proxy") else (keyword,)
        if keyword == "identityfile":
            if all(known.arguments != setting.arguments for known in self.found.get(keyword, ())):
                self.found.setdefault(keyword, []).append(setting)
        elif not any(rival in self.found for rival in rivals):
            self.found[keyword] = [setting]


def sources(path: Path | None) -> tuple[Source, ...]:
    """Return what to read for ``--ssh-config path``: that file alone, nothing for ``none``, the usual two for None.

    Raises ``SshError`` if a file asked for by name is not there.
    """
    user = Path.home() / ".ssh"
    if path is None:
        return (Source(user / "config", user), Source(Path("/etc/ssh/ssh_config"), Path("/etc/ssh")))
    if str(path) == "none":
        return ()
    if read_lines(path) is None:
        raise SshError(
            "no such file", place=str(path), remedy="correct --ssh-config, or leave it out for ~/.ssh/config"
        )
    return (Source(path, user),)


def look_up(files: Iterable[Source], query: Query) -> Settings:
    """Return the settings for ``query``.  Raises ``SshError`` with the file and line of what cannot be understood."""
    files = tuple(files)
    settings = Settings()
    first = _Pass(query, settings, final=False)
    for source in files:
        first.read(source.path, source.include_from, active=True, chain=())
    if first.wants_final:
        # "Match final" asks for a second reading, in which Host patterns see the host name found in the first.
        host = _destination(query, settings)
        second = _Pass(Query(host, host, query.user, query.port), settings, final=True)
        for source in files:
            second.read(source.path, source.include_from, active=True, chain=())
    return settings


@lru_cache(maxsize=64)
def _keywords(path: Path, lines: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """Take lines apart: the place, the keyword and the rest of each that says something."""
    lexed = ((f"{path}:{number}", lex(line)) for number, line in enumerate(lines, 1))
    return tuple((place, *found) for place, found in lexed if found)


@dataclass(slots=True)
class _Pass:
    query: Query
    settings: Settings
    final: bool
    wants_final: bool = False

    def read(self, path: Path, include_from: Path, *, active: bool, chain: tuple[Path, ...]) -> None:
        real = path.resolve()
        if real in chain or len(chain) >= _MAX_DEPTH:
            raise SshError("Include leads back to this file", place=str(path), remedy="remove one Include of the loop")
        block = active
        for place, keyword, rest in _keywords(path, read_lines(path) or ()):
            if keyword == "host":
                block = active and self._host(arguments(rest, place))
            elif keyword == "match":
                block = active and self._match(arguments(rest, place), place)
            elif not block:
                continue
            elif keyword == "include":
                for included in _included(arguments(rest, place), include_from):
                    self.read(included, include_from, active=True, chain=(*chain, real))
            elif keyword in KEYWORDS:
                whole = keyword == "proxycommand"
                self.settings.add(keyword, Setting((rest,) if whole and rest else arguments(rest, place), place))

    def _host(self, patterns: tuple[str, ...]) -> bool:
        found = matches(self.query.name, patterns)
        if found and not self.final and not is_catch_all(patterns):
            self.settings.specific = True
        return found

    def _match(self, words: tuple[str, ...], place: str) -> bool:
        rest = list(words)
        specific = False
        while rest:
            criterion = rest.pop(0)
            wanted = not criterion.startswith("!")
            criterion = criterion.removeprefix("!").lower()
            if criterion in {"all", "canonical", "final"}:
                self.wants_final |= criterion == "final"
                found = criterion == "all" or (criterion == "final" and self.final)
            elif not rest:
                raise SshError(f"Match {criterion} needs a value", place=place, remedy="see ssh_config(5)")
            else:
                argument = rest.pop(0)
                found = self._holds(criterion, argument, place)
                named = criterion in {"host", "originalhost"} and not is_catch_all(argument.split(","))
                specific |= named and found and wanted
            if found is not wanted:
                return False
        self.settings.specific |= specific
        return True

    def _holds(self, criterion: str, argument: str, place: str) -> bool:
        patterns = argument.split(",")
        match criterion:
            case "host":
                return matches(_destination(self.query, self.settings), patterns)
            case "originalhost":
                return matches(self.query.name, patterns)
            case "user":
                return matches(self._tokens().user, patterns)
            case "localuser":
                return matches(local_user(), patterns)
            case "exec":
                return _succeeds(self._tokens().expand(argument, place), place)
            case _:
                raise SshError(
                    f"'Match {criterion}' is not supported here",
                    place=place,
                    remedy="give --ssh-config a file without it",
                )

    def _tokens(self) -> Tokens:
        user, port = self.settings.first("user"), self.settings.first("port")
        return Tokens(
            original=self.query.name,
            host=_destination(self.query, self.settings),
            port=self.query.port or (int(port.value) if port and port.value.isdecimal() else 22),
            user=self.query.user or (user.value if user else local_user()),
        )


def _destination(query: Query, settings: Settings) -> str:
    hostname = settings.first("hostname")
    if hostname is None:
        return query.host
    # HostName takes %h (the name looked up) and %% only (ssh_config(5), TOKENS).
    return Tokens(query.name, query.name, query.port or 22, query.user or "").expand(hostname.value, hostname.place)


def _included(words: tuple[str, ...], include_from: Path) -> list[Path]:
    return [
        Path(found)
        for word in words
        for found in sorted(glob.glob(os.path.join(include_from, expand_tilde(word))))  # noqa: PTH118, PTH207  # Path.glob takes no absolute pattern
    ]


def _succeeds(command: str, place: str) -> bool:
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        done = subprocess.run(
            [shell, "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=_EXEC_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SshError(
            f"the command of 'Match exec' could not be run: {error}", place=place, remedy="try it in a shell"
        ) from error
    return done.returncode == 0
