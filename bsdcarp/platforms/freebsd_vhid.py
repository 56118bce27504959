"""FreeBSD 10 and later: a vhid is an attribute of addresses on the real interface, kept in ifconfig_IF_aliasN."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from bsdcarp.platforms.desired import DesiredVhid
from bsdcarp.platforms.rcfiles import RC_CONF, RcFiles
from bsdcarp.platforms.record import Record
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.alias import parse_alias, variable_name
from bsdcarp.textfiles.aliases import numbered, place
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["merge"]


def merge(
    vhids: tuple[DesiredVhid, ...], previous: Record, rc: RcFiles, snapshot: Snapshot | None
) -> tuple[RcFiles, tuple[str, ...]]:
    """Return the rc.conf family with these vhids and without bsdcarp's old ones, and the plain names it set."""
    interfaces: dict[str, list[DesiredVhid]] = {}
    for vhid in vhids:
        interfaces.setdefault(vhid.interface, []).append(vhid)
    needs_ipv6 = {
        name
        for name, here in interfaces.items()
        if any(address.family == "inet6" for vhid in here for address in vhid.addresses)
        and not _ipv6_configured(name, rc, snapshot, previous)
    }
    fragment = RcConf.parse(render("freebsd/rc.conf.vhid.j2", interfaces=interfaces, needs_ipv6=needs_ipv6))
    plain: list[str] = []
    for name in [*interfaces, *sorted({o.interface for o in previous.vhids} - set(interfaces))]:
        variable = f"ifconfig_{variable_name(name)}_ipv6"
        value = fragment.get(variable)
        if value is not None:
            plain.append(variable)
            rc = rc.set(variable, value) if rc.get(variable) != value else rc
        elif any(variable in previous.names(path) for path in rc.files):
            rc = rc.unset(variable)
        rc = _place(name, interfaces.get(name, []), previous, rc, fragment)
    return rc, tuple(plain)


def _ipv6_configured(name: str, rc: RcFiles, snapshot: Snapshot | None, previous: Record) -> bool:
    """Without ifconfig_IF_ipv6, rc ignores every inet6 alias of the interface (network.subr)."""
    variable = f"ifconfig_{variable_name(name)}_ipv6"
    if any(variable in previous.names(path) for path in rc.files):
        return False  # bsdcarp's own line: still needed, still owned
    return bool((snapshot and snapshot.rc.get(variable)) or rc.get(variable))


def _place(name: str, vhids: list[DesiredVhid], previous: Record, rc: RcFiles, fragment: RcConf) -> RcFiles:
    owned = {o.vhid for o in previous.vhids if o.interface == name} | {v.vhid for v in vhids}
    addresses = previous.addresses(name) | {a.address for v in vhids for a in v.addresses}
    wanted = [value for _, value in sorted(numbered(fragment, name).items())]

    def ours(value: str) -> bool:
        words = parse_alias(value)
        return words.vhid in owned or (words.vhid is not None and _bare(words.address) in addresses)

    taken = {path: set(numbered(conf, name)) for path, conf in rc.files.items()}
    for path, conf in rc.files.items():
        elsewhere = {n for other, numbers in taken.items() if other != path for n in numbers}
        here = {_key(value) for value in numbered(conf, name).values() if ours(value)}
        if path == RC_CONF:
            others = {
                _key(value)
                for other, there in rc.files.items()
                if other != path
                for value in numbered(there, name).values()
                if ours(value)
            }
            mine = [value for value in wanted if _key(value) not in others]
        else:
            mine = [value for value in wanted if _key(value) in here]
        rc = rc.put(path, _placed(conf, name, mine, ours, _key, elsewhere))
    return rc


def _placed(
    conf: RcConf,
    name: str,
    wanted: list[str],
    ours: Callable[[str], bool],
    key: Callable[[str], Hashable],
    taken: set[int],
) -> RcConf:
    present = numbered(conf, name)
    if not wanted and not any(ours(value) for value in present.values()):
        return conf
    return place(conf, name, wanted, ours, key, taken)


def _key(value: str) -> Hashable:
    words = parse_alias(value)
    return (words.family, _bare(words.address))


def _bare(address: object) -> str:
    return str(address).partition("/")[0] if address else ""
