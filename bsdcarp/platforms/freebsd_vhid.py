"""FreeBSD 10 and later: a vhid is an attribute of addresses on the real interface, kept in ifconfig_IF_aliasN."""

from __future__ import annotations

import re
from collections.abc import Hashable
from functools import partial

from bsdcarp.dataclass import dataclass
from bsdcarp.platforms.desired import DesiredVhid
from bsdcarp.platforms.rcfiles import RC_CONF, RcFiles
from bsdcarp.platforms.record import Record
from bsdcarp.platforms.samewords import same_words
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.alias import parse_alias, variable_name
from bsdcarp.textfiles.aliases import numbered, place, used_numbers
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["IPV6_ONLY", "ipv6_variable", "merge"]

IPV6_ONLY = "inet6 auto_linklocal"
"""What bsdcarp writes into ifconfig_IF_ipv6 where an interface has no IPv6 address of its own."""
_FAMILIES = frozenset({"inet", "inet6", "link", "ether"})


def merge(
    vhids: tuple[DesiredVhid, ...], previous: Record, rc: RcFiles, snapshot: Snapshot | None
) -> tuple[RcFiles, tuple[str, ...]]:
    """Return the rc.conf family with these vhids and without bsdcarp's old ones, and the plain names it set."""
    del snapshot
    interfaces: dict[str, list[DesiredVhid]] = {}
    for vhid in vhids:
        interfaces.setdefault(vhid.interface, []).append(vhid)
    needs_ipv6 = {
        name
        for name, here in interfaces.items()
        if any(address.family == "inet6" for vhid in here for address in vhid.addresses)
        and not _ipv6_configured(name, rc, previous)
    }
    fragment = RcConf.parse(render("freebsd/rc.conf.vhid.j2", interfaces=interfaces, needs_ipv6=needs_ipv6))
    plain: list[str] = []
    for name in [*interfaces, *sorted({o.interface for o in previous.vhids} - set(interfaces))]:
        variable = ipv6_variable(name)
        value = fragment.get(variable)
        if value is not None:
            plain.append(variable)
            rc = rc.set(variable, value, f"ifconfig_{variable_name(name)}") if rc.get(variable) != value else rc
        elif _ipv6_is_ours(name, rc, previous):
            rc = rc.unset(variable)
        rc = _merge_interface(_Ours.on(name, vhids, previous), rc, fragment)
    return rc, tuple(plain)


def ipv6_variable(interface: str) -> str:
    """Return the name under which rc.conf enables IPv6 on ``interface``."""
    return f"ifconfig_{variable_name(interface)}_ipv6"


def _ipv6_is_ours(interface: str, rc: RcFiles, previous: Record) -> bool:
    """A line of ours that says something else by now has become the operator's."""
    variable = ipv6_variable(interface)
    return variable in previous.names(rc.home(variable)) and rc.get(variable) == IPV6_ONLY


def _ipv6_configured(interface: str, rc: RcFiles, previous: Record) -> bool:
    """Without ifconfig_IF_ipv6 or ipv6_prefix_IF, rc ignores every inet6 alias of the interface (network.subr)."""
    if _ipv6_is_ours(interface, rc, previous):
        return False  # still needed, still owned
    return bool(rc.value(ipv6_variable(interface)) or rc.value(f"ipv6_prefix_{variable_name(interface)}"))


@dataclass(frozen=True, slots=True)
class _Ours:
    """What counts as bsdcarp's on one interface: the vhids wanted there, and addresses it wants or once put there."""

    interface: str
    vhids: frozenset[int]
    addresses: frozenset[str]

    @classmethod
    def on(cls, interface: str, vhids: tuple[DesiredVhid, ...], previous: Record) -> _Ours:
        wanted = frozenset(address.address for v in vhids for address in v.addresses)
        here = frozenset(v.vhid for v in vhids if v.interface == interface)
        return cls(interface, here, wanted | previous.addresses(interface))

    def __call__(self, value: str) -> bool:
        words = parse_alias(value)
        if words.vhid is None:
            return False
        return words.vhid in self.vhids or _bare(words.address) in self.addresses


def _merge_interface(ours: _Ours, rc: RcFiles, fragment: RcConf) -> RcFiles:
    name = ours.interface
    wanted = {_key(value): value for _, value in sorted(numbered(fragment, name).items())}
    _drop_what_sh_computes(name, rc, wanted)
    elsewhere = _unseen_numbers(name, rc)
    rc = _other_forms(ours, rc, wanted)
    rc = _without_overridden(ours, rc)
    settled: set[Hashable] = set()
    # Files that are read later first: an entry in one of them stays there, the rest goes into /etc/rc.conf.
    for path in sorted(rc.files, key=lambda path: path == RC_CONF):
        present = {_key(value): value for value in numbered(rc.files[path], name).values() if ours(value)}
        keys = [key for key in wanted if key not in settled and (path == RC_CONF or key in present)]
        settled |= set(keys)
        mine = [present[key] if same_words(present.get(key), wanted[key]) else wanted[key] for key in keys]
        if mine or present:
            taken = elsewhere | {
                number for other, conf in rc.files.items() if other != path for number in used_numbers(conf, name)
            }
            rc = rc.edit(path, partial(place, interface=name, wanted=mine, ours=ours, key=_key, taken=taken))
    return rc


def _other_forms(ours: _Ours, rc: RcFiles, wanted: dict[Hashable, str]) -> RcFiles:
    """Take what is ours out of ifconfig_IF_aliases, and settle a vhid in ifconfig_IF itself where it is."""
    plural = f"ifconfig_{variable_name(ours.interface)}_aliases"
    components = _components(rc.get(plural) or "")
    kept = [component for component in components if not ours(component)]
    if len(kept) < len(components):
        rc = rc.set(plural, " ".join(kept)) if kept else rc.unset(plural)
    main = f"ifconfig_{variable_name(ours.interface)}"
    value = rc.get(main)
    if value is not None and ours(value):
        # rc applies this one without `alias`, as the interface's first address.
        replacement = wanted.pop(_key(value), "up")
        if not same_words(value, replacement):
            rc = rc.set(main, replacement)
    return rc


def _without_overridden(ours: _Ours, rc: RcFiles) -> RcFiles:
    """Drop entries of ours whose number a later file assigns again, so that they never come into force."""
    paths = list(rc.files)
    for at, path in enumerate(paths):
        later = {n for other in paths[at + 1 :] for n in used_numbers(rc.files[other], ours.interface)}
        for number, value in numbered(rc.files[path], ours.interface).items():
            if number in later and ours(value):
                rc = rc.unset_in(path, f"ifconfig_{variable_name(ours.interface)}_alias{number}")
    return rc


def _drop_what_sh_computes(interface: str, rc: RcFiles, wanted: dict[Hashable, str]) -> None:
    """Take from ``wanted`` what a line says already whose value only sh can tell: twice it would restart the vhid."""
    for number, value in _numbered_by_sh(interface, rc).items():
        name, key = f"ifconfig_{variable_name(interface)}_alias{number}", _key(value)
        if rc.known(name) and rc.get(name) is None and key in wanted and same_words(value, wanted[key]):
            del wanted[key]


def _unseen_numbers(interface: str, rc: RcFiles) -> frozenset[int]:
    """Return the numbers that only sh found: assigned by a file that is sourced from one of these."""
    variable = variable_name(interface)
    return frozenset(n for n in _numbered_by_sh(interface, rc) if not rc.known(f"ifconfig_{variable}_alias{n}"))


def _numbered_by_sh(interface: str, rc: RcFiles) -> dict[int, str]:
    """Return the values of the interface's aliases as sh found them on the host, by number."""
    pattern = re.compile(rf"ifconfig_{re.escape(variable_name(interface))}_alias(0|[1-9][0-9]*)")
    return {int(match[1]): value for name, value in rc.evaluated.items() if (match := pattern.fullmatch(name))}


def _components(value: str) -> list[str]:
    """Cut ifconfig_IF_aliases where rc does: at each word that is an address family."""
    pieces: list[list[str]] = []
    for word in value.split():
        if word in _FAMILIES or not pieces:
            pieces.append([])
        pieces[-1].append(word)
    return [" ".join(piece) for piece in pieces]


def _key(value: str) -> Hashable:
    words = parse_alias(value)
    return (words.family or "inet", _bare(words.address))


def _bare(address: object) -> str:
    return str(address).partition("/")[0] if address else ""
