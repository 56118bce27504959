"""Rules about net.inet.carp.*, as far as values that can be read say something unwise."""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.inventory.rules.registry import Context, Hit, rule
from bsdcarp.model import Severity

__all__: list[str] = []

_SECTION = "Sysctls"


@rule(
    _SECTION,
    "preempt-off",
    Severity.WARNING,
    "Without preempt, vhids of one host fail over separately, and draining it does nothing.",
)
def preempt_off(context: Context) -> Iterator[Hit]:
    if not context.complete:
        return
    for host in context.inventory.hosts.values():
        if host.name in context.memberships and not host.sysctl.preempt:
            said = "is 0" if host.sysctl.preempt == 0 else "is not set, and 0 is the default,"
            message = f"preempt {said} on {host.name}: roles stay split, and it will not relieve a demoted master"
            place = host.sysctl.places.get("preempt", host.place)
            yield Hit(message, "write sysctl: {preempt: 1} at the top level", place, host.name)


@rule(
    _SECTION,
    "allow-off",
    Severity.WARNING,
    "With allow=0 a host ignores the others' packets, and from FreeBSD 11 on takes no role.",
)
def allow_off(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.sysctl.allow == 0:
            message = f"allow is 0 on {host.name}, so it takes no part in any group"
            yield Hit(message, "write allow: 1", host.sysctl.places.get("allow", host.place), host.name)
