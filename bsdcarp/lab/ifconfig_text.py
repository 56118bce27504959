"""How ifconfig(8) prints an interface, by the shape that a release's data gives."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from bsdcarp.lab.interface import Address, Interface
from bsdcarp.lab.kernel import Kernel
from bsdcarp.lab.nic import driver_of

__all__ = ["describe"]

_LINK_LOCAL_PREFIX = "fe80:"


def describe(kernel: Kernel, interface: Interface, *, keys: bool) -> str:
    """Return the lines for one interface; ``keys`` shows the CARP passwords (-k as root)."""
    shape = kernel.release.ifconfig
    value, names = interface.flags(promiscuous=_promiscuous(kernel, interface), lower_up=shape.lower_up)
    lines = [f"{interface.name}: flags={value:x}<{names}> metric 0 mtu {interface.mtu}"]
    for group in shape.lines:
        lines.extend(f"\t{line}" for line in _GROUPS[group](kernel, interface, keys))
    return "\n".join(lines) + "\n"


def _promiscuous(kernel: Kernel, interface: Interface) -> bool:
    pseudo = kernel.pseudo
    return interface.promiscuous or (pseudo is not None and bool(pseudo.order.get(interface.name)))


def _options(kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    if interface.kind == "loop":
        if kernel.release.ifconfig.loopback_options:
            yield f"options={kernel.release.ifconfig.loopback_options}"
    elif interface.kind == "ether":
        yield f"options={driver_of(interface.driver).options}"


def _ether(_kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    if interface.ether:
        yield f"ether {interface.ether}"


def _hwaddr(_kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    if interface.ether and interface.kind == "ether":
        yield f"hwaddr {interface.ether}"


def _addresses(kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    for address in interface.addresses:
        text, plain = _inet(interface, address) if isinstance(address.ip, IPv4Address) else _inet6(interface, address)
        suffix = f" vhid {address.vhid}" if address.vhid else ""
        blank = kernel.release.ifconfig.blank_after
        yield text + suffix + (" " if blank == "all" or (blank == "plain" and plain) else "")


def _inet(interface: Interface, address: Address) -> tuple[str, bool]:
    network = address.network
    text = f"inet {address.ip} netmask 0x{int(network.netmask):08x}"
    if interface.kind in {"loop", "carp", "other"}:
        return text, True
    return f"{text} broadcast {network.broadcast_address}", False


def _inet6(interface: Interface, address: Address) -> tuple[str, bool]:
    local = str(address.ip).startswith(_LINK_LOCAL_PREFIX)
    zone, scope = (f"%{interface.name}", f" scopeid 0x{interface.index:x}") if local else ("", "")
    return f"inet6 {address.ip}{zone} prefixlen {address.prefixlen}{scope}", True


def _nd6(_kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    disabled = interface.ifdisabled and interface.kind != "loop"
    yield (
        "nd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>"
        if disabled
        else ("nd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>")
    )


def _media(_kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    if interface.kind in {"ether", "vlan"}:
        yield f"media: {driver_of(interface.driver.split('.')[0]).media}"


def _status(_kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    if interface.kind in {"ether", "vlan"}:
        yield f"status: {'active' if interface.link else 'no carrier'}"


def _groups(_kernel: Kernel, interface: Interface, _keys: bool) -> Iterator[str]:
    group = {"loop": "lo", "vlan": "vlan", "bridge": "bridge"}.get(interface.kind)
    if group is not None:
        yield f"groups: {group}"
    if interface.kind == "vlan":
        yield f"vlan: {interface.tag} vlanproto: 802.1q vlanpcp: 0 parent interface: {interface.parent}"


def _carp(kernel: Kernel, interface: Interface, keys: bool) -> Iterator[str]:
    shape = kernel.release.ifconfig
    pseudo = interface.pseudo
    if pseudo is not None and pseudo.vhid:
        state = pseudo.running.state.value if pseudo.running is not None else "INIT"
        yield f"carp: {state} vhid {pseudo.vhid} advbase {pseudo.advbase} advskew {pseudo.advskew}"
    for machine in interface.vhids:
        config = machine.config
        secret = config.key.rstrip(b"\0").decode("utf-8", "surrogateescape")
        key = f' key "{secret}"' if keys and secret and shape.keys else ""
        yield (f"carp: {machine.state.value} vhid {config.vhid} advbase {config.advbase} advskew {config.advskew}{key}")
        if shape.unicast:
            yield f"      peer {config.peer or '224.0.0.18'} peer6 {config.peer6 or 'ff02::12'}"


_GROUPS = {
    "options": _options,
    "ether": _ether,
    "hwaddr": _hwaddr,
    "addresses": _addresses,
    "nd6": _nd6,
    "media": _media,
    "status": _status,
    "groups": _groups,
    "carp": _carp,
}
