"""The configuration file: JSON text in, frozen values out, or everything that is wrong with it, each with its place.

It is written by a program, so the reader is strict: unknown keys, wrong types and values that no kernel accepts are
refused, never guessed at.  Messages name the file and the path inside (``vhids[0].advskew``) and never show a password.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import TypeVar, Union

from bsdcarp.carp import Settings, Vhid
from bsdcarp.carpd.jsonreader import Problems, Reader

__all__ = ["Config", "ConfigError", "Interface", "VhidConfig", "parse", "read"]

Interface = Union[IPv4Interface, IPv6Interface]  # noqa: UP007 - evaluated, and X | Y needs 3.10

IP = TypeVar("IP", IPv4Address, IPv6Address)

_LARGEST_FILE = 4 << 20
_BROADCAST = IPv4Address("255.255.255.255")
# ifconfig(8) leaves room for a NUL in the 20 bytes of CARP_KEY_LEN.
_PASSWORD_BYTES = 19
# int of the kernel's sysctls.
_INT = (-(2**31), 2**31 - 1)
# IFNAMSIZ without the NUL.
_NAME = 15


class ConfigError(Exception):
    """The configuration cannot be used.  ``problems`` are lines, each with its place."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")


@dataclass(frozen=True)
class VhidConfig:
    """One vhid of the file."""

    group: str
    """Only a name, for people and scripts."""
    vhid: int
    interface: str
    advbase: int = 1
    advskew: int = 0
    password: str = field(default="", repr=False)
    peer: IPv4Address | None = None
    peer6: IPv6Address | None = None
    addresses: tuple[Interface, ...] = ()
    virtual_mac: bool = True

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all others: (interface, vhid)."""
        return (self.interface, self.vhid)

    @property
    def label(self) -> str:
        """The kernel's way to write it in its log, "1@eth0"."""
        return f"{self.vhid}@{self.interface}"

    @property
    def v4(self) -> tuple[IPv4Address, ...]:
        """The IPv4 addresses, without prefix lengths."""
        return tuple(a.ip for a in self.addresses if isinstance(a, IPv4Interface))

    @property
    def v6(self) -> tuple[IPv6Address, ...]:
        """The IPv6 addresses, without prefix lengths."""
        return tuple(a.ip for a in self.addresses if isinstance(a, IPv6Interface))

    def core(self) -> Vhid:
        """What the protocol core wants to know of it."""
        return Vhid(
            self.vhid,
            advbase=self.advbase,
            advskew=self.advskew,
            key=self.password.encode(),
            v4=self.v4,
            v6=self.v6,
            peer=self.peer,
            peer6=self.peer6,
        )


@dataclass(frozen=True)
class Config:
    """The whole file."""

    settings: Settings = field(default_factory=Settings)
    notify: str | None = None
    """Absolute path of a script that is told of each change of state."""
    vhids: tuple[VhidConfig, ...] = ()

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The parents, each once."""
        return tuple(dict.fromkeys(vhid.interface for vhid in self.vhids))


def read(path: str) -> Config:
    """The configuration in the file at ``path``.  Raise ConfigError, also if others than its owner have access."""
    try:
        # O_NONBLOCK: a fifo in its place must not stop the daemon.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError((f"{path}: not a regular file",))
            if found.st_mode & 0o077:
                # The passwords are in it.
                raise ConfigError(
                    (f"{path}: others than its owner have access (mode {found.st_mode & 0o7777:04o}); chmod 600 it",)
                )
            if found.st_uid not in (0, os.geteuid()):
                raise ConfigError((f"{path}: it belongs to uid {found.st_uid}, not to root",))
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError((f"{path}: {error.strerror}",)) from None
    if len(data) > _LARGEST_FILE:
        raise ConfigError((f"{path}: larger than {_LARGEST_FILE} bytes",))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError((f"{path}: byte {error.start} is not UTF-8",)) from None
    return parse(text, path)


def parse(text: str, where: str = "config") -> Config:
    """The configuration in ``text``.  Raise ConfigError, and nothing else, for any text; ``where`` is its file."""
    problems = Problems(where)
    root = Reader.load(text, problems).fields(("version", "settings", "notify", "vhids"), required=("version", "vhids"))
    if "version" in root:
        root["version"].integer(1, 1)
    settings = _settings(root["settings"]) if "settings" in root else Settings()
    notify = _notify(root["notify"]) if "notify" in root else None
    vhids = []
    for item in root["vhids"].items() if "vhids" in root else ():
        vhid = _vhid(item)
        if vhid is not None:
            vhids.append((item, vhid))
    for at, complaint in _conflicts(vhids, arpbalance=bool(settings.arpbalance)):
        at.complain(complaint)
    if problems:
        raise ConfigError(problems.lines)
    return Config(settings, notify, tuple(vhid for _, vhid in vhids))


def _settings(reader: Reader) -> Settings:
    defaults = Settings()
    names = ("allow", "preempt", "log", "arpbalance", "dscp", "ifdown_factor", "senderr_factor")
    found = {}
    for name, value in reader.fields(names).items():
        lowest, highest = (0, 63) if name == "dscp" else _INT
        number = value.integer(lowest, highest)
        found[name] = getattr(defaults, name) if number is None else number
    return Settings(**found)


def _notify(reader: Reader) -> str | None:
    if reader.value is None:
        return None
    path = reader.text(1, 4096)
    if path is not None and not path.startswith("/"):
        reader.complain("not an absolute path")
    return path


_KEYS = (
    "group", "vhid", "interface", "advbase", "advskew", "password", "peer", "peer6", "addresses", "virtual_mac",
)  # fmt: skip


def _vhid(reader: Reader) -> VhidConfig | None:
    """None if anything is wrong with it; then the problem has been noted."""
    before = len(reader.problems.lines)
    parts = reader.fields(_KEYS, required=("group", "vhid", "interface", "password", "addresses"))
    group = parts["group"].text(1, 64) if "group" in parts else None
    vhid = parts["vhid"].integer(1, 255) if "vhid" in parts else None
    interface = _interface(parts["interface"]) if "interface" in parts else None
    advbase = parts["advbase"].integer(1, 255) if "advbase" in parts else 1
    advskew = parts["advskew"].integer(0, 254) if "advskew" in parts else 0
    password = parts["password"].secret(1, _PASSWORD_BYTES) if "password" in parts else None
    peer = _peer(parts["peer"], IPv4Address) if "peer" in parts else None
    peer6 = _peer(parts["peer6"], IPv6Address) if "peer6" in parts else None
    addresses = tuple(_addresses(parts["addresses"])) if "addresses" in parts else ()
    virtual_mac = parts["virtual_mac"].truth() if "virtual_mac" in parts else True
    if (
        len(reader.problems.lines) > before
        or group is None
        or vhid is None
        or interface is None
        or advbase is None
        or advskew is None
        or password is None
        or virtual_mac is None
    ):
        return None
    return VhidConfig(group, vhid, interface, advbase, advskew, password, peer, peer6, addresses, virtual_mac)


def _interface(reader: Reader) -> str | None:
    name = reader.text(1, _NAME)
    # dev_valid_name() of the kernel, and "%" because the kernel would number such a name.
    if name is not None and (name in (".", "..") or any(c in "/:%" or c.isspace() for c in name) or not name.isascii()):
        reader.complain("not a name of an interface")
        return None
    return name


def _peer(reader: Reader, kind: type[IP]) -> IP | None:
    """The address of another host, None for multicast."""
    text = None if reader.value is None else reader.text(1, 45)
    if text is None:
        return None
    try:
        # A zone (fe80::1%eth0) is taken by some versions of Python and refused by others.
        address = kind("" if "%" in text else text)
    except ValueError:
        reader.complain("not an IPv4 address" if kind is IPv4Address else "not an IPv6 address without zone")
        return None
    if address.is_multicast or address.is_unspecified or address.is_loopback or address == _BROADCAST:
        reader.complain(f"{address} is not the address of one host")
        return None
    return address


def _addresses(reader: Reader) -> Iterator[Interface]:
    seen = set()
    items = reader.items()
    if not items and isinstance(reader.value, list):
        reader.complain("a vhid needs an address")
    for item in items:
        address = _address(item)
        if address is None:
            continue
        if address.ip in seen:
            item.complain(f"{address.ip} is there twice")
        seen.add(address.ip)
        yield address


def _address(reader: Reader) -> Interface | None:
    text = reader.text(1, 49)
    if text is None:
        return None
    ip, slash, prefix = text.partition("/")
    # ipaddress would also take a netmask, a zone, and digits of other scripts.
    plain = slash and prefix.isascii() and prefix.isdigit() and "%" not in ip
    try:
        address: Interface | None = (IPv6Interface(text) if ":" in ip else IPv4Interface(text)) if plain else None
    except ValueError:
        address = None
    if address is None:
        reader.complain("not an address with its prefix length, such as 192.0.2.1/24")
        return None
    host = address.ip
    if host.is_multicast or host.is_unspecified or host.is_loopback or host == _BROADCAST:
        reader.complain(f"{host} cannot be shared between hosts")
        return None
    return address


def _conflicts(vhids: list[tuple[Reader, VhidConfig]], *, arpbalance: bool) -> Iterator[tuple[Reader, str]]:
    """What each vhid for itself may have, but not two of them together."""
    keys: dict[tuple[str, int], int] = {}
    holders: dict[object, VhidConfig] = {}
    for number, (reader, vhid) in enumerate(vhids):
        if vhid.key in keys:
            # Two macvlans with one MAC cannot both be up, and adverts could not be told apart.
            yield reader, f"vhid {vhid.vhid} on {vhid.interface} is configured twice"
            continue
        keys[vhid.key] = number
        if arpbalance and not vhid.virtual_mac:
            yield reader, "arpbalance needs virtual_mac: true, because clients are told different MACs"
        for address in vhid.addresses:
            other = holders.setdefault(address.ip, vhid)
            if other is vhid:
                continue
            if not arpbalance:
                yield reader, f"{address.ip} is an address of vhid {other.vhid} too; only arpbalance=1 allows that"
            elif other.interface != vhid.interface:
                yield reader, f"{address.ip} is also on {other.interface}; arpbalance works on one interface"
            elif isinstance(address, IPv6Interface):
                yield reader, f"{address.ip} is an address of vhid {other.vhid} too; arpbalance is for IPv4 only"
