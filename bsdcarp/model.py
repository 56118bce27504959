"""What an inventory says, as plain data: hosts, groups, members, addresses, passwords.

Nothing here reads, checks or computes more than a property; ``bsdcarp.inventory`` builds these from YAML and judges
them, ``bsdcarp.platforms`` turns them into files.  Everything is frozen, so a value can be shared between threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from types import MappingProxyType
from typing import Literal

from bsdcarp.dataclass import dataclass

__all__ = [
    "NOWHERE",
    "Become",
    "BecomeMethod",
    "Finding",
    "Group",
    "Host",
    "IfAddress",
    "Inventory",
    "KernelMethod",
    "KernelWish",
    "Member",
    "PasswordSource",
    "Place",
    "Release",
    "Secret",
    "Severity",
    "SysctlWish",
    "Vip",
    "vip",
]

IfAddress = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written: file, 1-based line and column; 0 where the file or the line as a whole is meant."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join(filter(None, (self.file, str(self.line or ""), str(self.column or ""))))


NOWHERE = Place()


class Severity(Enum):
    """How bad a finding is: an ``error`` stops, a ``warning`` does not, ``info`` is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth telling: which rule, how bad, where, what, and what to do about it."""

    rule: str
    """Stable id, for instance ``vhid-range``; docs/rules.md lists them."""
    severity: Severity
    message: str
    remedy: str = ""
    place: Place = NOWHERE
    """Where in the inventory, or ``host:/path:line`` for files on a host."""
    host: str = ""
    group: str = ""

    @property
    def about(self) -> tuple[str, str, str]:
        """Rule, host and group: what stays the same when the same thing is found again in other words."""
        return self.rule, self.host, self.group


class Secret:
    """A password that cannot be printed by accident: ``str``, ``repr`` and formatting show asterisks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The password itself; call it only where it goes into a file or a script for the host."""
        return self._value

    @property
    def digest(self) -> str:
        """First 12 hexadecimal digits of its SHA-256: enough to compare two members, never shown."""
        return hashlib.sha256(self._value.encode("utf-8", "surrogateescape")).hexdigest()[:12]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('********')"

    def __str__(self) -> str:
        return "********"

    def __format__(self, spec: str) -> str:
        return format("********", spec)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """How to get a password: ``env`` NAME, ``file`` PATH, ``command`` LINE, or ``plain`` (in the inventory itself)."""

    kind: Literal["env", "file", "command", "plain"]
    argument: str = field(repr=False)
    place: Place = NOWHERE


BecomeMethod = Literal["none", "sudo", "doas", "su"]
KernelMethod = Literal["auto", "static", "module"]


@dataclass(frozen=True, slots=True)
class Become:
    """How a non-root login becomes root on the host."""

    method: BecomeMethod = "none"
    password: PasswordSource | None = None


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """An operating system and its release: ``freebsd-7.2`` is ``Release("freebsd", 7, 2)``; minor -1 is "not said"."""

    family: Literal["freebsd", "linux"]
    major: int = 0
    minor: int = -1
    name: str = field(default="", compare=False)
    """As written: ``freebsd-7.2``, ``debian-12``."""

    def __str__(self) -> str:
        return self.name or (self.family if not self.major else f"{self.family}-{self.major}.{max(self.minor, 0)}")


@dataclass(frozen=True, slots=True)
class Vip:
    """A shared address with its prefix length, as the inventory gives it."""

    interface: IfAddress
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def family(self) -> Literal["inet", "inet6"]:
        return "inet" if self.interface.version == 4 else "inet6"

    @property
    def address(self) -> str:
        """Without the prefix length, in canonical text form."""
        return str(self.interface.ip)

    @property
    def prefixlen(self) -> int:
        return self.interface.network.prefixlen

    def __str__(self) -> str:
        return f"{self.address}/{self.prefixlen}"


def vip(text: str) -> Vip:
    """Read ``192.0.2.1/24`` or ``2001:db8::1/64``; raises ``ValueError``."""
    return Vip(ip_interface(text))


@dataclass(frozen=True, slots=True)
class Member:
    """A host's part in a group."""

    host: str
    advskew: int
    interface: str
    """The interface of this host that carries the vhid, the host's own default already filled in."""
    peer: str | None = None
    """Where this member sends its IPv4 adverts instead of 224.0.0.18 (unicast, FreeBSD 14 and later)."""
    peer6: str | None = None
    """The same for IPv6 adverts, instead of ff02::12."""
    place: Place = field(default=NOWHERE, compare=False)
    advskew_given: bool = False


@dataclass(frozen=True, slots=True)
class SysctlWish:
    """net.inet.carp.* as wished; None leaves one alone, ``arpbalance="auto"`` is decided per host and release."""

    allow: int | None = None
    preempt: int | None = None
    log: int | None = None
    arpbalance: int | Literal["auto"] | None = None
    places: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}), compare=False)

    def over(self, base: SysctlWish) -> SysctlWish:
        """These wishes, with what they leave open taken from ``base``."""
        return SysctlWish(
            allow=base.allow if self.allow is None else self.allow,
            preempt=base.preempt if self.preempt is None else self.preempt,
            log=base.log if self.log is None else self.log,
            arpbalance=base.arpbalance if self.arpbalance is None else self.arpbalance,
            places=MappingProxyType({**base.places, **self.places}),
        )


@dataclass(frozen=True, slots=True)
class KernelWish:
    """How carp gets into the kernel, and the name of a kernel configuration if one is rendered."""

    method: KernelMethod = "auto"
    ident: str = "CARP"
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Group:
    """One vhid on one segment: the same addresses and password on every member."""

    name: str
    vhid: int
    password: PasswordSource
    addresses: tuple[Vip, ...]
    members: tuple[Member, ...]
    advbase: int = 1
    protocol: Literal["carp"] = "carp"
    sysctl: SysctlWish = field(default_factory=SysctlWish)
    segment: str = ""
    """Name of the layer 2 segment, when the inventory gives one; groups on different segments may share a vhid."""
    place: Place = field(default=NOWHERE, compare=False)

    def member(self, host: str) -> Member | None:
        """Return the membership of ``host``, or None."""
        return next((member for member in self.members if member.host == host), None)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine: where SSH goes, what runs there, and its network as far as the inventory tells."""

    name: str
    address: str
    interface: str | None = None
    """The interface that carries vhids unless a member says otherwise."""
    os: Release | None = None
    """None: asked from the host itself."""
    arch: str = "amd64"
    port: int | None = None
    user: str | None = None
    become: Become = field(default_factory=Become)
    interfaces: Mapping[str, tuple[IfAddress, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Interfaces the inventory describes, with their own addresses where it gives them."""
    sysctl: SysctlWish = field(default_factory=SysctlWish)
    """Effective for this host: its own over its groups' over the inventory's."""
    kernel: KernelWish = field(default_factory=KernelWish)
    legacy_ssh: bool = False
    """The sshd speaks only SHA-1 signatures and key exchange (FreeBSD before 9 or so)."""
    backend: Literal["carpd", "ucarp"] = "carpd"
    """Which daemon speaks CARP on a Linux host."""
    virtual_mac: bool = True
    """Linux: shared addresses answer with the virtual MAC; False where the network lets no foreign MAC through."""
    notify: str | None = None
    """Linux: a script that carpd runs at each change of state."""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything an inventory file says, in the order it says it."""

    path: str
    hosts: Mapping[str, Host]
    groups: Mapping[str, Group]

    def groups_of(self, host: str) -> tuple[Group, ...]:
        """The groups that ``host`` belongs to, in ascending vhid order (the order FreeBSD <= 9 must create them in)."""
        return tuple(sorted((g for g in self.groups.values() if g.member(host)), key=lambda g: (g.vhid, g.name)))
