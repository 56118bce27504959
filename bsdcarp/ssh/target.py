"""Where one host is reached and how: the inventory and ssh_config brought together.

The name the inventory gives a host is looked up first.  If no Host or Match block was meant for it (``Host *`` does
not count), the address is looked up instead, so that ``Host 192.168.90.*`` works as it does for ssh(1).  A HostName
in the block that matched wins over the inventory's address, which makes an ssh_config enough to send an inventory of
real machines to a lab.  A user or port written in the inventory wins over ssh_config, as it would on ssh's command
line; what the inventory leaves out, ssh_config may say; what neither says is root and 22.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SshError
from bsdcarp.ssh.config import Query, Setting, Settings, Source, look_up, sources
from bsdcarp.ssh.tokens import Tokens, expand_environment, expand_tilde, local_user

__all__ = ["SshTarget", "resolve"]

_DEFAULT_PORT = 22
_DEFAULT_TIMEOUT = 20.0
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d+))?/?")


@dataclass(frozen=True, slots=True)
class SshTarget:
    """Everything ``connect`` needs to know about one host, and about each host on the way to it."""

    name: str
    """The inventory's name, or a jump host's as ProxyJump spells it; errors are reported under it."""
    hostname: str
    """Name or address the connection goes to."""
    port: int = _DEFAULT_PORT
    user: str = "root"
    identity_files: tuple[Path, ...] = ()
    """Private keys that ssh_config names; empty means the usual names in ~/.ssh."""
    identities_only: bool = False
    """Whether keys of the agent that are not among the identity files stay unused."""
    agent: str | None = None
    """The agent's socket; None for no agent."""
    known_hosts_files: tuple[Path, ...] = ()
    """Where host keys are looked up, the user's files first."""
    new_keys_file: Path | None = None
    """Where a newly accepted host key is written: the first of the user's files."""
    strict: Literal["yes", "accept-new"] = "yes"
    """What to do with a host whose key is unknown; a changed key is refused either way."""
    host_key_alias: str | None = None
    """The name its key is known by, if not by ``hostname`` and ``port``."""
    jumps: tuple[SshTarget, ...] = ()
    """The hosts on the way, nearest first, none of which has jumps of its own."""
    proxy_command: str | None = None
    """A command whose standard streams are the connection, for the first hop only."""
    connect_timeout: float = _DEFAULT_TIMEOUT
    """Seconds for each of: the connection, the server's greeting, the key exchange, a channel."""
    legacy: bool = False
    """Whether SHA-1 signatures, key exchange and MACs, and CBC ciphers, may be used with this host."""

    @property
    def endpoint(self) -> str:
        """``hostname:port`` for messages, an IPv6 address in brackets."""
        return f"[{self.hostname}]:{self.port}" if ":" in self.hostname else f"{self.hostname}:{self.port}"


def resolve(
    name: str,
    address: str,
    *,
    user: str | None = None,
    port: int | None = None,
    ssh_config: Path | None = None,
    accept_new: bool = False,
    legacy: bool = False,
    connect_timeout: float | None = None,
) -> SshTarget:
    """Return how to reach host ``name`` of the inventory at ``address``.

    ``user`` and ``port`` are None where the inventory does not say.  ``ssh_config`` is a file read instead of
    ~/.ssh/config and /etc/ssh/ssh_config; the path ``none`` reads nothing.  ``accept_new`` stands for
    ``StrictHostKeyChecking accept-new`` on every hop.  ``StrictHostKeyChecking no`` in ssh_config means no more than
    that here.  ``connect_timeout`` is in seconds; None leaves it to ssh_config's ConnectTimeout, then 10.
    Raises ``SshError`` with file and line for an ssh_config that cannot be understood.
    """
    files = sources(ssh_config)
    query = Query(name, address, user, port)
    settings = look_up(files, query)
    if not settings.specific:
        query = replace(query, name=address)
        settings = look_up(files, query)
    reader = _Reader(files, accept_new=accept_new, connect_timeout=connect_timeout)
    target = reader.target(name, query, settings, default_user="root")
    return replace(target, legacy=legacy, jumps=reader.jumps(target, query, settings, ()))


@dataclass(frozen=True, slots=True)
class _Reader:
    files: tuple[Source, ...]
    accept_new: bool
    connect_timeout: float | None

    def target(self, name: str, query: Query, settings: Settings, *, default_user: str) -> SshTarget:
        """One host's own settings, without its jumps."""
        user = query.user or _value(settings, "user") or default_user
        port = query.port or _number(settings.first("port"), _DEFAULT_PORT, 65535)
        bare = Tokens(query.name, query.name, port, user)
        hostname = _expanded(settings.first("hostname"), bare) or query.host
        alias = _value(settings, "hostkeyalias")
        tokens = Tokens(query.name, hostname, port, user, alias or "")
        own = _paths(settings.first("userknownhostsfile"), tokens, ("~/.ssh/known_hosts", "~/.ssh/known_hosts2"))
        system = _paths(
            settings.first("globalknownhostsfile"), tokens, ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
        )
        return SshTarget(
            name=name,
            hostname=hostname,
            port=port,
            user=user,
            identity_files=tuple(
                path for setting in settings.all("identityfile") for path in _paths(setting, tokens, ())
            ),
            identities_only=_flag(settings.first("identitiesonly")),
            agent=_agent(settings.first("identityagent"), tokens),
            known_hosts_files=(*own, *system),
            new_keys_file=own[0] if own else None,
            strict=self._strictness(settings.first("stricthostkeychecking")),
            host_key_alias=alias,
            proxy_command=_proxy_command(settings.first("proxycommand"), tokens),
            connect_timeout=self.connect_timeout or float(_number(settings.first("connecttimeout"), 0, 86400))
            or _DEFAULT_TIMEOUT,
        )  # fmt: skip

    def jumps(
        self, target: SshTarget, query: Query, settings: Settings, seen: tuple[tuple[str, int], ...]
    ) -> tuple[SshTarget, ...]:
        """The chain of hosts before ``target``; ``seen`` are the hosts that lie behind it."""
        setting = settings.first("proxyjump")
        if setting is None or setting.value.lower() == "none":
            return ()
        listed = "".join(setting.arguments)  # blanks around the commas do no harm
        seen = (*seen, (query.name.lower(), target.port))
        tokens = Tokens(query.name, target.hostname, target.port, target.user)
        chain: list[SshTarget] = []
        for word in tokens.expand(listed, setting.place).split(","):
            spec = _JUMP.fullmatch(word)
            if spec is None:
                raise SshError(f"{word!r} is not a jump host", place=setting.place, remedy="write [user@]host[:port]")
            host = spec["six"] or spec["host"]
            hop_query = Query(host, host, spec["user"], int(spec["port"]) if spec["port"] else None)
            hop_settings = look_up(self.files, hop_query)
            hop = self.target(host, hop_query, hop_settings, default_user=local_user())
            if (host.lower(), hop.port) in seen:
                raise SshError(
                    f"ProxyJump loop: {host} is reached through itself",
                    place=setting.place,
                    remedy=f"exclude it from the block (Host ... !{host}), or give it 'ProxyJump none'",
                )
            if chain:
                # As with ssh -J: from the second hop on, the way there is the list itself.
                chain.append(replace(hop, proxy_command=None))
            else:
                chain += [*self.jumps(hop, hop_query, hop_settings, seen), hop]
        return tuple(chain)

    def _strictness(self, setting: Setting | None) -> Literal["yes", "accept-new"]:
        if self.accept_new or (setting and setting.value.lower() in {"accept-new", "no", "off", "false"}):
            return "accept-new"
        return "yes"


def _value(settings: Settings, keyword: str) -> str | None:
    setting = settings.first(keyword)
    return setting.value if setting else None


def _expanded(setting: Setting | None, tokens: Tokens) -> str | None:
    return tokens.expand(setting.value, setting.place) if setting else None


def _number(setting: Setting | None, default: int, largest: int) -> int:
    if setting is None or setting.value.lower() == "none":
        return default
    if not (setting.value.isascii() and setting.value.isdecimal() and 0 < int(setting.value) <= largest):
        raise SshError(
            f"{setting.value!r} is not a number from 1 to {largest}", place=setting.place, remedy="correct it"
        )
    return int(setting.value)


def _flag(setting: Setting | None) -> bool:
    if setting is None or setting.value.lower() in {"no", "false"}:
        return False
    if setting.value.lower() in {"yes", "true"}:
        return True
    raise SshError(f"{setting.value!r} is neither yes nor no", place=setting.place, remedy="write yes or no")


def _paths(setting: Setting | None, tokens: Tokens, default: tuple[str, ...]) -> tuple[Path, ...]:
    if setting is None:
        return tuple(Path(expand_tilde(name)) for name in default)
    if setting.value.lower() == "none":
        return ()
    return tuple(Path(_path(word, setting.place, tokens)) for word in setting.arguments)


def _path(word: str, place: str, tokens: Tokens) -> str:
    return expand_tilde(tokens.expand(expand_environment(word, place), place))


def _agent(setting: Setting | None, tokens: Tokens) -> str | None:
    if setting is None or setting.value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if setting.value.lower() == "none":
        return None
    if setting.value.startswith("$") and not setting.value.startswith("${"):
        return os.environ.get(setting.value[1:]) or None
    return _path(setting.value, setting.place, tokens)


def _proxy_command(setting: Setting | None, tokens: Tokens) -> str | None:
    if setting is None or setting.value.lower() == "none":
        return None
    return tokens.expand(setting.value, setting.place)
