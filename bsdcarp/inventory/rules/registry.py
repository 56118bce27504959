"""The table of rules: each has a stable id, one severity and one line of description.

A rule is a generator function over a ``Context`` that yields ``Hit``s; the registry adds id and severity, so a rule
cannot disagree with what docs/rules.md says about it.  Some rules are applied while the file is read, where the YAML is
at hand; those are declared here without a function and used through ``finding``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.model import NOWHERE, Finding, Group, Host, IfAddress, Inventory, Member, Place, Secret, Severity

__all__ = ["REGISTRY", "UNREAD_VHID", "Context", "Hit", "Rule", "declare", "finding", "password_rule", "rule"]


UNREAD_VHID = -(1 << 80)
"""Stands for a vhid that could not be read, so that the other rules can still look at its group."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule has to say about one place."""

    message: str
    remedy: str = ""
    place: Place = NOWHERE
    host: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What rules look at: the inventory, and what the model has no room for."""

    inventory: Inventory
    places: Mapping[tuple[str, ...], Place] = field(default_factory=dict)
    """Place of the value at a path of keys, for instance ``("groups", "carp1", "vhid")``."""
    own: Mapping[str, Mapping[str, tuple[IfAddress, ...]]] = field(default_factory=dict)
    """All own addresses that ``interfaces:`` gives, by host and interface."""
    declared: frozenset[str] = frozenset()
    """Names of all hosts in the file, also of those that could not be read."""
    complete: bool = True
    """False when part of the file could not be read, so that absence proves nothing."""

    memberships: Mapping[str, tuple[tuple[Group, Member], ...]] = field(init=False)
    """The groups of each host, with its part in them; worked out once, since many rules go from hosts to groups."""

    def __post_init__(self) -> None:
        found: dict[str, list[tuple[Group, Member]]] = {}
        for group in self.inventory.groups.values():
            for name, member in {member.host: member for member in reversed(group.members)}.items():
                found.setdefault(name, []).append((group, member))
        object.__setattr__(self, "memberships", {name: tuple(pairs) for name, pairs in found.items()})

    def place(self, *path: str) -> Place:
        """Return the place of ``path``, or of the nearest part of it that was written."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return NOWHERE

    def group_place(self, group: Group, key: str) -> Place:
        """Return the place of a key of ``group``, or of the group's name."""
        return self.places.get(("groups", group.name, key), group.place)

    def host_place(self, host: Host, key: str) -> Place:
        """Return the place of a key of ``host``, or of the host's name."""
        return self.places.get(("hosts", host.name, key), host.place)

    def hosts_of(self, group: Group) -> Iterator[tuple[Member, Host]]:
        """Yield the members of ``group`` that the inventory describes, with their hosts."""
        for member in group.members:
            host = self.inventory.hosts.get(member.host)
            if host is not None:
                yield member, host

    def own_addresses(self, member: Member) -> tuple[IfAddress, ...]:
        """Return the addresses that the member's interface has by itself, as far as the inventory tells."""
        return self.own.get(member.host, {}).get(member.interface, ())


Check = Callable[[Context], Iterator[Hit]]
PasswordCheck = Callable[[Inventory, Group, Secret], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of docs/rules.md, with the function that applies it."""

    id: str
    severity: Severity
    summary: str
    section: str
    check: Check | None = None
    password_check: PasswordCheck | None = None

    def finding(self, hit: Hit) -> Finding:
        """Return ``hit`` as a finding of this rule."""
        return Finding(self.id, self.severity, hit.message, hit.remedy, hit.place, hit.host, hit.group)


REGISTRY: dict[str, Rule] = {}
"""Every rule by its id, in the order of docs/rules.md."""


def _add(entry: Rule) -> None:
    if entry.id in REGISTRY:
        raise ValueError(f"two rules are called {entry.id}")
    REGISTRY[entry.id] = entry


def declare(section: str, rule_id: str, severity: Severity, summary: str) -> None:
    """Register a rule that is applied while the file is read, or while passwords are fetched."""
    _add(Rule(rule_id, severity, summary, section))


def rule(section: str, rule_id: str, severity: Severity, summary: str) -> Callable[[Check], Check]:
    """Register a rule over the whole inventory."""

    def register(check: Check) -> Check:
        _add(Rule(rule_id, severity, summary, section, check=check))
        return check

    return register


def password_rule(
    section: str, rule_id: str, severity: Severity, summary: str
) -> Callable[[PasswordCheck], PasswordCheck]:
    """Register a rule that needs the text of a group's password."""

    def register(check: PasswordCheck) -> PasswordCheck:
        _add(Rule(rule_id, severity, summary, section, password_check=check))
        return check

    return register


def finding(rule_id: str, place: Place, message: str, remedy: str = "", *, host: str = "", group: str = "") -> Finding:
    """Return a finding of a declared rule."""
    return REGISTRY[rule_id].finding(Hit(message, remedy, place, host, group))


_READING = "Reading the file"
for _id, _summary in (
    ("yaml-syntax", "The file is not valid YAML 1.2."),
    (
        "yaml-size",
        "The file is too long, nested too deeply, or its aliases contain themselves or grow without measure.",
    ),
    (
        "duplicate-key",
        "A key occurs twice in one mapping; YAML keeps only one of them, so half of the text would be lost.",
    ),
    ("unknown-key", "A key is not one of those that docs/inventory.md lists."),
    ("missing-key", "A key that is needed is not there, or a list that needs an item is empty."),
    ("wrong-type", "A value is of another kind than it must be: a list for a text, a text for a number."),
    ("wrong-value", "A value is of the right kind, but not one of those allowed."),
    ("version-unknown", "`version` is not 1, the only one there is."),
    ("os-unknown", "`os` names no release that is managed."),
    ("prefix-missing", "An address has no prefix length; FreeBSD would guess one from the address class."),
    ("address-syntax", "A text is not an IPv4 or IPv6 address."),
    ("peer-unresolved", "`peer: auto` cannot be worked out from what the inventory says."),
    ("sysctl-refused", "A sysctl of net.inet.carp that is a counter or adds on each write must not stand in a file."),
    ("sysctl-conflict", "Two groups of one host want different values of a sysctl, which exists once per host."),
):
    declare(_READING, _id, Severity.ERROR, _summary)
