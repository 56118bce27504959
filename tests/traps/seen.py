"""What a simulated host is like after a boot, as facts in words, and how that differs from what it was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch
from weakref import WeakKeyDictionary

from bsdcarp.lab.carp_pseudo import PseudoStack
from bsdcarp.lab.host import Host
from bsdcarp.lab.kernel import Kernel
from bsdcarp.lab.linux.machine import LinuxMachine
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.netif import Netif
from bsdcarp.snapshot import NetworkInterface, VhidState
from bsdcarp.snapshot.ifconfig import parse_ifconfig

__all__ = ["differences", "early_sysctls", "seen"]

_SYSCTL = "net.inet.carp."
_MISSING = "missing"
_CARP = "carp"
_EARLY: WeakKeyDictionary[Kernel, dict[str, str]] = WeakKeyDictionary()


@contextmanager
def early_sysctls() -> Iterator[None]:
    """Remember what the sysctls of every booting kernel are while rc.d/netif creates the vhids."""
    real = Netif.start

    def begin(netif: Netif, only: tuple[str, ...] = ()) -> None:
        try:
            real(netif, only)
        finally:
            # Nothing sets them while the script runs, which may itself be what loads carp.
            _EARLY.setdefault(netif.kernel, _sysctls(netif.kernel))

    with patch.object(Netif, "start", begin):
        yield


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Say what is not as it was, one clause each.

    Whatever belongs to something that is missing or different itself (``vhid 1 advskew`` to ``vhid 1``) is left out.
    """
    names = [*before, *(name for name in now if name not in before)]
    changed = [name for name in names if before.get(name) != now.get(name)]
    changed = next(([name] for name in ("host", _CARP) if name in changed), changed)
    own = [n for n in changed if not any(n.startswith(f"{other} ") for other in changed)]
    return tuple(f"{name}: {now.get(name, _MISSING)}" for name in own)


def seen(host: Host, others: Collection[Host] = ()) -> dict[str, str]:
    """Return facts by name; a host that is not up is but one.  Of the others only their roles count."""
    if host.panicked:
        return {"host": "the kernel panics"}
    if host.state == "rebooting":
        return {"host": "the kernel panics, reboots and panics again"}
    if host.state != "up":
        stops = next((line for line in _STOPS if line in host.console), "")
        return {"host": _STOPS.get(stops, "rc never comes to its end")}
    facts = {"host": "up", **(_linux(host) if isinstance(host, LinuxMachine) else _freebsd(host))}
    for other in others:
        roles = other.carp_states().items()
        facts |= {f"{other.name} vhid {label.partition('@')[0]} state": state for label, state in roles}
    return facts


_STOPS = {
    "can't load": "the loader finds no kernel",
    "Enter full pathname": "single-user mode, since sh cannot read rc.conf",
}


def _freebsd(host: Host) -> dict[str, str]:
    assert isinstance(host, Machine)
    kernel = host.kernel
    keyed = host.command(["ifconfig", "-k", "-a"])
    shown = keyed if keyed.status == 0 else host.command(["ifconfig", "-a"])
    interfaces = [i for i in parse_ifconfig(shown.stdout.decode()).values() if i.name != "lo0"]
    facts: dict[str, str] = {}
    for interface in interfaces:
        if not interface.name.startswith("carp"):
            own = (a.interface for a in interface.addresses_of(0) if not a.interface.is_link_local)
            facts |= {f"{address} on {interface.name}": "there" for address in own}
    if kernel.carp is None:
        return facts
    facts[_CARP] = "in the kernel"
    for interface in interfaces:
        for vhid in interface.vhids:
            facts |= _vhid(interface, vhid, kernel)
    if isinstance(kernel.carp, PseudoStack):
        # Up to FreeBSD 9 the order of the vhids decides who answers ARP (recorded on 9.3).
        orders = [[m.config.vhid for m in machines] for machines in kernel.carp.order.values()]
        facts["order of the vhids"] = "ascending" if all(order == sorted(order) for order in orders) else "another"
    final = _sysctls(kernel)
    early = final | _EARLY.get(kernel, {})
    return facts | final | {f"{name} while the vhids come up": early[name] for name in final}


def _vhid(interface: NetworkInterface, vhid: VhidState, kernel: Kernel) -> dict[str, str]:
    unit = interface.name.startswith("carp")
    name = interface.name if unit else f"vhid {vhid.vhid}"
    addresses = [a.interface for a in interface.addresses_of(0 if unit else vhid.vhid)]
    if not addresses:
        return {name: f"{vhid.state} without an address"}
    pseudo = kernel.interfaces[interface.name].pseudo
    # Up to FreeBSD 9 nothing shows a password, so the kernel is asked for its own memory.
    key = pseudo.key.rstrip(b"\0").decode() if pseudo else vhid.key.reveal() if vhid.key else ""
    return {
        name: f"vhid {vhid.vhid}" if unit else f"on {interface.name}",
        **{f"{name} {address}": "there" for address in addresses},
        f"{name} advbase": str(vhid.advbase),
        f"{name} advskew": str(vhid.advskew),
        f"{name} password": key or "none",
        f"{name} state": vhid.state,
        **({f"{name} peer": vhid.peer} if vhid.peer else {}),
        **({f"{name} peer6": vhid.peer6} if vhid.peer6 else {}),
    }


def _sysctls(kernel: Kernel) -> dict[str, str]:
    stack = kernel.carp
    names = [name for name in kernel.release.carp_oids if name != "stats"]
    return {} if stack is None else {f"{_SYSCTL}{name}": str(stack.value(name)) for name in names}


def _linux(host: LinuxMachine) -> dict[str, str]:
    kernel = host.kernel
    facts: dict[str, str] = {}
    for link in kernel.links.values():
        if link.name.startswith("eth"):
            facts[link.name] = "up" if link.up else "down"
            facts |= {f"{address} on {link.name}": "there" for address in link.addresses if not address.is_link_local}
    facts["carpd"] = "runs" if host.carpd else "does not run"
    for label, state in host.carp_states().items():
        facts[f"carpd vhid {label}"] = state
    return facts
