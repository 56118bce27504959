"""What the words of an ifconfig(8) command line mean, collected before anything reaches the kernel.

The order of ifconfig's own work matters and is kept (sbin/ifconfig/ifconfig.c): words act as they are read, then the
CARP request goes out, then the first or the named address is removed, then the new one is added.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from bsdcarp.carp import State
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6
from bsdcarp.lab.addresses import classful_prefix

__all__ = ["Request", "WordError", "atoi"]

MAX_PASS = 19
"""ifconfig copies the password with strlcpy into 20 bytes, so 19 characters arrive."""

FAMILIES = {"inet": 4, "inet6": 6}


class WordError(Exception):
    """ifconfig gives up with this message and status 1."""


def atoi(text: str) -> int:
    """Read a number as C does it: leading digits, anything else is 0."""
    found = re.match(r"\s*([+-]?\d+)", text)
    return int(found.group(1)) if found else 0


def netmask_length(text: str) -> int:
    """Return the prefix length of ``255.255.255.0`` or ``0xffffff00``."""
    try:
        value = int(text, 16) if text.lower().startswith("0x") else int(IPv4Address(text))
    except ValueError:
        raise WordError(f"{text}: bad value") from None
    return value.bit_count()


@dataclass(slots=True)
class Request:
    """One ifconfig command for one interface, as far as the words tell."""

    version: int = 4
    ip: IPv4Address | IPv6Address | None = None
    prefixlen: int | None = None
    alias: int = 0  # 1: alias, -1: -alias, 0: neither word
    remove: IPv4Address | IPv6Address | None = None
    vhid: int = -1
    advbase: int = 0
    advskew: int = -1
    key: bytes = b""
    state: State | None = None
    peer: IPv4Address = GROUP_V4
    peer6: IPv6Address = GROUP_V6

    @property
    def clears(self) -> bool:
        """Whether an address is removed: the named one, or the first if the word alias is missing."""
        return self.alias < 0 or (self.ip is not None and self.alias == 0)

    @property
    def adds(self) -> bool:
        return self.ip is not None and self.alias >= 0

    def mask(self) -> int:
        """Return the prefix length to use, by class or 64 when none was given."""
        if self.prefixlen is not None:
            return self.prefixlen
        return classful_prefix(self.ip) if isinstance(self.ip, IPv4Address) else 64

    def set_address(self, word: str) -> None:
        """Take a word that is no keyword for an address."""
        text, slash, length = word.partition("/")
        text, _, _zone = text.partition("%")
        try:
            ip = ip_address(text)
        except ValueError:
            raise WordError(f"{text}: bad value") from None
        if ip.version != self.version:
            raise WordError(f"{text}: bad value")
        if slash:
            if not length.isdigit():
                raise WordError(f"{length}: bad value")
            self.prefixlen = int(length)
            if self.prefixlen > ip.max_prefixlen:
                raise WordError(f"{length}: bad value (width too large)")
        if self.alias < 0:
            self.remove = ip
        elif self.ip is None:
            self.ip = ip

    def set_alias(self, sign: int) -> None:
        if sign < 0 and self.ip is not None and self.alias == 0:
            self.remove = self.ip
        self.alias = sign

    def set_vhid(self, word: str) -> None:
        self.vhid = atoi(word)
        if not 0 < self.vhid <= 255:
            raise WordError("vhid must be greater than 0 and less than 255")

    def need_vhid(self, word: str) -> None:
        if self.vhid == -1:
            raise WordError(f"{word} requires vhid")

    def set_state(self, word: str) -> None:
        self.need_vhid("state")
        try:
            self.state = State(word.upper())
        except ValueError:
            raise WordError("unknown state") from None

    def set_peer(self, word: str, version: int) -> None:
        self.need_vhid("peer" if version == 4 else "peer6")
        try:
            ip = ip_address(word)
        except ValueError:
            raise WordError(f"{word}: bad value") from None
        if isinstance(ip, IPv4Address) and version == 4:
            self.peer = ip
        elif isinstance(ip, IPv6Address) and version == 6:
            self.peer6 = ip
        else:
            raise WordError(f"{word}: bad value")
