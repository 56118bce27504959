"""Rules about hosts: names, addresses, logins, interfaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import ip_address

from bsdcarp.inventory.rules.registry import Context, Hit, rule
from bsdcarp.model import Host, Place, Severity
from bsdcarp.plaintext import printable
from bsdcarp.platforms.capabilities import capabilities

__all__ = ["rc_name"]

_SECTION = "Hosts and interfaces"

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,62}")
# IFNAMSIZ is 16 with the final NUL; rc(8) knows how to spell . - / + in variables, but / and others break paths.
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,14}")
# carp_attach() in sys/netinet/ip_carp.c takes Ethernet, VLAN and bridge interfaces only (EOPNOTSUPP for others).
_REFUSED_KINDS = {
    "carp": "carpN is made by bsdcarp; name the real interface that has the network's own address",
    "lo": "a loopback interface reaches nobody",
    "gif": "a tunnel is not Ethernet",
    "gre": "a tunnel is not Ethernet",
    "stf": "a tunnel is not Ethernet",
    "tun": "a tunnel is not Ethernet",
    "wg": "a tunnel is not Ethernet",
    "ipsec": "a tunnel is not Ethernet",
    "ppp": "a point-to-point link has no second host",
    "sl": "a point-to-point link has no second host",
    "plip": "a point-to-point link has no second host",
    "enc": "it only shows packets",
    "pflog": "it only shows packets",
    "ipfw": "it only shows packets",
    "usbus": "it only shows packets",
    "pfsync": "it carries pf states; use the interface below it",
}
_REFUSED_EVERYWHERE = {"lo", "gre", "tun", "wg", "ipsec", "ppp"}
"""The others are names that Linux gives to something else: enc600 is an Ethernet card of s390."""
_KIND = re.compile(r"([a-z]+)\d*")
_KERNEL_IDENT = re.compile(r"[A-Za-z_][-A-Za-z0-9_]{0,31}")
# Files in sys/ARCH/conf that belong to the system, and key words of config(8) (usr.sbin/config/lang.l).
_KERNEL_TAKEN = {"GENERIC", "LINT", "NOTES", "DEFAULTS", "MINIMAL", "Makefile", "PAE", "SMP", "XEN", "XENHVM"}
_KERNEL_WORDS = {
    *("config", "cpu", "nocpu", "device", "devices", "nodevice", "nodevices", "env", "hints", "ident", "machine"),
    *("makeoptions", "nomakeoption", "maxusers", "profile", "option", "options", "nooption", "nooptions", "include"),
    "files",
}


def rc_name(interface: str) -> str:
    """Return how rc.conf spells an interface in variable names: ``em0.5`` is ``em0_5`` (ltr in etc/network.subr)."""
    return re.sub(r"[.\-/+]", "_", interface)


@rule(
    _SECTION, "name-syntax", Severity.ERROR, "Names of hosts, groups and segments are letters, digits and . _ - inside."
)
def name_syntax(context: Context) -> Iterator[Hit]:
    remedy = "use letters, digits, dots, hyphens and underscores, at most 63, beginning with a letter or digit"
    for host in context.inventory.hosts.values():
        if not _GROUP_NAME.fullmatch(host.name):
            yield Hit(f"{printable(host.name)} is not a usable name of a host", remedy, host.place, host.name)
    for group in context.inventory.groups.values():
        if not _GROUP_NAME.fullmatch(group.name):
            yield Hit(f"{printable(group.name)} is not a usable name of a group", remedy, group.place, group=group.name)
        if group.segment and not _SEGMENT.fullmatch(group.segment):
            place = context.group_place(group, "segment")
            yield Hit(f"{printable(group.segment)} is not a usable name of a segment", remedy, place, group=group.name)


@rule(_SECTION, "host-address", Severity.ERROR, "`address` of a host is an IP address or a host name.")
def host_address(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        try:
            ip_address(host.address)
        except ValueError:
            looks_numeric = re.fullmatch(r"[0-9.]+", host.address) is not None
            if looks_numeric or len(host.address) > 253 or not _HOST_NAME.fullmatch(host.address):
                message = f"{printable(host.address)} of host {host.name} is neither an address nor a host name"
                remedy = "write the address that ssh uses, without user, port or prefix length"
                yield Hit(message, remedy, context.host_place(host, "address"), host.name)


@rule(_SECTION, "host-twice", Severity.ERROR, "Two hosts with the same address and port would be one machine.")
def host_twice(context: Context) -> Iterator[Hit]:
    first: dict[tuple[str, int], Host] = {}
    for host in context.inventory.hosts.values():
        other = first.setdefault((host.address.lower(), host.port or 22), host)
        if other is not host:
            message = f"hosts {other.name} and {host.name} are both {printable(host.address)}"
            yield Hit(message, "correct one address, or the port", context.host_place(host, "address"), host.name)


@rule(_SECTION, "user-syntax", Severity.ERROR, "`user` is a login name.")
def user_syntax(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.user is not None and not _USER.fullmatch(host.user):
            place, name = _user_place(context, host)
            yield Hit(f"{printable(host.user)} is not a login name", "write the name alone, as in root", place, name)


@rule(
    _SECTION,
    "become-missing",
    Severity.WARNING,
    "A login that is not root needs `become`, since only root changes CARP.",
)
def become_missing(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.user not in {None, "root", "toor"} and host.become.method == "none":
            place, name = _user_place(context, host)
            message = f"{printable(host.user or '')} logs in, but only root may change CARP"
            yield Hit(message, "add become: sudo, doas or su", place, name)


def _user_place(context: Context, host: Host) -> tuple[Place, str]:
    """Return where the user is written, and the host's name if it stands there: what defaults say is said once."""
    own = context.places.get(("hosts", host.name, "user"))
    return (own, host.name) if own else (context.places.get(("defaults", "user"), host.place), "")


@rule(
    _SECTION,
    "ssh-legacy-needed",
    Severity.WARNING,
    "sshd of FreeBSD before 9 knows SHA-1 only and needs `ssh: legacy`.",
)
def ssh_legacy_needed(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.os is not None and not host.legacy_ssh and capabilities(host.os).ssh == "sha1":
            message = f"the sshd of {host.os} on {host.name} knows only SHA-1"
            remedy = f"add ssh: legacy to host {host.name}, unless a newer OpenSSH was installed there"
            yield Hit(message, remedy, context.host_place(host, "os"), host.name)


@rule(
    _SECTION,
    "ssh-legacy-modern",
    Severity.WARNING,
    "`ssh: legacy` for a release whose sshd needs no SHA-1 weakens the session.",
)
def ssh_legacy_modern(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.os is not None and host.legacy_ssh and capabilities(host.os).ssh == "modern":
            place = context.places.get(("hosts", host.name, "ssh"), context.place("defaults", "ssh"))
            message = f"ssh: legacy for {host.name}, but {host.os} has a modern sshd"
            yield Hit(message, "remove ssh: legacy", place, host.name)


@rule(_SECTION, "interface-missing", Severity.ERROR, "A member needs an interface, its own or its host's.")
def interface_missing(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        for member, host in context.hosts_of(group):
            if not member.interface:
                message = f"nothing says which interface of {host.name} carries group {group.name}"
                remedy = f"add interface: to host {host.name}, or write {{host: {host.name}, interface: IF}}"
                yield Hit(message, remedy, member.place, host.name, group.name)


@rule(_SECTION, "interface-name", Severity.ERROR, "An interface name is at most 15 letters, digits and . _ + -.")
def interface_name(context: Context) -> Iterator[Hit]:
    for host, name, place in _interfaces(context):
        if name and not _INTERFACE.fullmatch(name):
            message = f"{printable(name)} of host {host.name} is not the name of an interface"
            yield Hit(message, "write it as `ifconfig -l` or `ip link` shows it", place, host.name)


@rule(_SECTION, "interface-kind", Severity.ERROR, "CARP runs on Ethernet, VLAN, bridge and lagg interfaces only.")
def interface_kind(context: Context) -> Iterator[Hit]:
    for host, name, place in _interfaces(context, described=False):
        kind = _KIND.fullmatch(name)
        refused = _REFUSED_EVERYWHERE if host.os and host.os.family == "linux" else _REFUSED_KINDS
        if kind and kind[1] in refused:
            remedy = "name an Ethernet, VLAN, bridge or laggN interface; not a port of a lagg"
            yield Hit(f"no CARP on {name} of {host.name}: {_REFUSED_KINDS[kind[1]]}", remedy, place, host.name)


@rule(
    _SECTION, "interface-unlisted", Severity.WARNING, "A member's interface is not among the `interfaces` of its host."
)
def interface_unlisted(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        for member, host in context.hosts_of(group):
            listed = context.own.get(host.name) or host.interfaces
            if listed and member.interface and member.interface not in listed:
                near = get_close_matches(member.interface, listed, n=1)
                message = f"{member.interface} of group {group.name} is not among the interfaces of {host.name}"
                remedy = f"did you mean {near[0]}?" if near else f"add {member.interface} to interfaces"
                yield Hit(message, remedy, member.place, host.name, group.name)


@rule(_SECTION, "interface-clash", Severity.ERROR, "rc.conf spells two interfaces of a host alike, as em0.5 and em0_5.")
def interface_clash(context: Context) -> Iterator[Hit]:
    first: dict[tuple[str, str], str] = {}
    for host, name, place in _interfaces(context):
        other = first.setdefault((host.name, rc_name(name)), name)
        if other != name:
            message = f"{other} and {name} of {host.name} are both ifconfig_{rc_name(name)} in rc.conf"
            yield Hit(message, "rename one of them", place, host.name)


@rule(_SECTION, "kernel-ident", Severity.ERROR, "`ident` names a new kernel configuration: letters, digits, _ and -.")
def kernel_ident(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        ident = host.kernel.ident
        taken = ident in _KERNEL_TAKEN
        if taken or ident in _KERNEL_WORDS or not _KERNEL_IDENT.fullmatch(ident):
            why = "belongs to the system" if taken else "is not a name that config(8) takes"
            message = f"the kernel ident {printable(ident)} {why}"
            yield Hit(message, "use a name such as CARP", host.kernel.place)


def _interfaces(context: Context, *, described: bool = True) -> Iterator[tuple[Host, str, Place]]:
    """Yield every interface named, once per host; ``described`` adds those that only ``interfaces:`` names."""
    for host in context.inventory.hosts.values():
        named: dict[str, Place] = {}
        if host.interface:
            default = context.place("defaults", "interface")
            named[host.interface] = context.places.get(("hosts", host.name, "interface"), default)
        for _, member in context.memberships.get(host.name, ()):
            if member.interface:
                named.setdefault(member.interface, member.place)
        if described:
            for name in context.own.get(host.name, {}):
                named.setdefault(name, context.host_place(host, "interfaces"))
        for name, place in named.items():
            yield host, name, place
