"""Rules about what the release of a host can do; the facts are those of ``platforms.capabilities``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bsdcarp.inventory.rules.registry import Context, Hit, rule
from bsdcarp.model import Group, Host, Member, Place, Release, Severity
from bsdcarp.platforms.capabilities import ERAS, OLDEST, capabilities

__all__: list[str] = []

_SECTION = "Releases"
_FAMILIES = ("inet", "inet6")
_NOTIFY = re.compile(r"/[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f/]")


def _sited(context: Context) -> Iterator[tuple[Group, Member, Host, Release]]:
    """Yield each member whose release the inventory says."""
    for group in context.inventory.groups.values():
        for member, host in context.hosts_of(group):
            if host.os is not None:
                yield group, member, host, host.os


@rule(_SECTION, "release-too-old", Severity.ERROR, "CARP came with FreeBSD 5.4.")
def release_too_old(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.os is not None and host.os.family == "freebsd" and _version(host.os) < OLDEST:
            place = context.host_place(host, "os")
            yield Hit(f"{host.os} on {host.name} has no CARP", "FreeBSD 5.4 is the first that has", place, host.name)


def _version(release: Release) -> tuple[int, int]:
    """Return major and minor; a minor that is not said is taken for the newest, so that nobody is accused."""
    return release.major, release.minor if release.minor >= 0 else 99


@rule(
    _SECTION,
    "release-unknown",
    Severity.WARNING,
    "A release newer than those known is treated as the newest known one.",
)
def release_unknown(context: Context) -> Iterator[Hit]:
    newest = ERAS[-1][0][0]
    for host in context.inventory.hosts.values():
        if host.os is not None and host.os.family == "freebsd" and host.os.major > newest:
            message = f"{host.os} on {host.name} is newer than this bsdcarp knows"
            remedy = f"it is treated as FreeBSD {newest}; look at `bsdcarp diff` with care"
            yield Hit(message, remedy, context.host_place(host, "os"), host.name)


@rule(
    _SECTION,
    "arpbalance-unsupported",
    Severity.ERROR,
    "net.inet.carp.arpbalance ended with FreeBSD 9; on Linux carpd has it.",
)
def arpbalance_unsupported(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.os is not None and host.sysctl.arpbalance == 1 and not capabilities(host.os).arpbalance:
            message = f"arpbalance=1 for {host.name}, but {host.os} has no arpbalance"
            remedy = "write arpbalance: auto, which sets it only where it exists and is needed"
            yield Hit(message, remedy, host.sysctl.places.get("arpbalance", host.place), host.name)


@rule(
    _SECTION, "unicast-unsupported", Severity.ERROR, "`peer` needs FreeBSD 14 or Linux; older releases only multicast."
)
def unicast_unsupported(context: Context) -> Iterator[Hit]:
    for group, member, host, release in _sited(context):
        if (member.peer or member.peer6) and not capabilities(release).unicast:
            message = f"{member.host} in group {group.name} has a peer, but {release} cannot send to one"
            remedy = "drop peer, or name peers only for members from FreeBSD 14 on: peer: {MEMBER: ADDRESS}"
            yield Hit(message, remedy, _peer_place(context, group, member), host.name, group.name)


@rule(_SECTION, "unicast-one-sided", Severity.WARNING, "Some members of a group have a peer and others do not.")
def unicast_one_sided(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        without = [member for member in group.members if not (member.peer or member.peer6)]
        if without and len(without) < len(group.members):
            names = ", ".join(member.host for member in without)
            message = f"in group {group.name} some members have a peer, but {names} only multicast"
            remedy = "if multicast is lost on the way, both become MASTER; give every member a peer"
            yield Hit(message, remedy, context.group_place(group, "members"), group=group.name)


@rule(
    _SECTION,
    "unicast-peer",
    Severity.ERROR,
    "A peer is another member's own address, not one's own and not a shared one.",
)
def unicast_peer(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        shared = {vip.address for vip in group.addresses}
        for member, host in context.hosts_of(group):
            own = {str(address.ip) for address in context.own_addresses(member)} | {host.address}
            for peer in filter(None, (member.peer, member.peer6)):
                if peer in shared or peer in own:
                    whose = "an address of the group itself" if peer in shared else f"{member.host}'s own address"
                    message = f"the peer {peer} of {member.host} in group {group.name} is {whose}"
                    remedy = "name the other member's own address, or write peer: auto"
                    yield Hit(message, remedy, _peer_place(context, group, member), host.name, group.name)


def _peer_place(context: Context, group: Group, member: Member) -> Place:
    return context.places.get(("groups", group.name, "peer"), member.place)


@rule(
    _SECTION,
    "unicast-floods",
    Severity.INFO,
    "FreeBSD sends unicast packets from the interface's own MAC, so switches never learn the virtual one.",
)
def unicast_floods(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        senders = [
            member.host
            for member, host in context.hosts_of(group)
            if (member.peer or member.peer6) and host.os is not None and capabilities(host.os).unicast_own_mac
        ]
        if senders:
            message = f"switches flood what is sent to group {group.name} while {' or '.join(senders)} is MASTER"
            remedy = "drop peer where multicast works; keep it where it does not"
            yield Hit(message, remedy, context.group_place(group, "peer"), group=group.name)


@rule(_SECTION, "module-missing", Severity.ERROR, "`kernel: {method: module}` where the release has no module.")
def module_missing(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.os is None or host.kernel.method != "module":
            continue
        known = capabilities(host.os)
        if known.syntax != "linux" and known.module is None:
            message = f"{host.os} on {host.name} has CARP only in the kernel itself"
            yield Hit(message, "write method: static or auto; the module came with 8.2", host.kernel.place, host.name)


@rule(
    _SECTION,
    "ipv6-unsupported",
    Severity.ERROR,
    "IPv6 addresses on carpN need FreeBSD 9; before, rc cannot bring them up.",
)
def ipv6_unsupported(context: Context) -> Iterator[Hit]:
    for group, member, host, release in _sited(context):
        vip = next((vip for vip in group.addresses if vip.family == "inet6"), None)
        if vip is not None and not capabilities(release).ipv6:
            message = f"{vip.address} of group {group.name}: {release} on {member.host} cannot bring it up at boot"
            yield Hit(message, "keep IPv6 to members from FreeBSD 9 on", vip.place, host.name, group.name)


@rule(
    _SECTION,
    "digest-order",
    Severity.ERROR,
    "FreeBSD before 7.1 signs addresses in the order given, later ones sorted.",
)
def digest_order(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        by_family = [[int(vip.interface.ip) for vip in group.addresses if vip.family == name] for name in _FAMILIES]
        if all(numbers == sorted(numbers) for numbers in by_family):
            continue
        sorting = {capabilities(host.os).sorted_digest for _, host in context.hosts_of(group) if host.os is not None}
        if sorting == {True, False}:
            message = f"the members of group {group.name} would not accept each other's packets"
            remedy = "write the addresses in ascending order: FreeBSD before 7.1 does not sort them"
            yield Hit(message, remedy, context.group_place(group, "addresses"), group=group.name)


@rule(
    _SECTION,
    "ucarp-limits",
    Severity.ERROR,
    "`backend: ucarp` carries one IPv4 address, multicasts, and knows no arpbalance.",
)
def ucarp_limits(context: Context) -> Iterator[Hit]:
    for group, member, host, release in _sited(context):
        if release.family != "linux" or host.backend != "ucarp":
            continue
        problem = ""
        if any(vip.family == "inet6" for vip in group.addresses):
            problem = "an IPv6 address"
        elif len(group.addresses) > 1:
            problem = f"{len(group.addresses)} addresses"
        elif member.peer or member.peer6:
            problem = "a unicast peer"
        elif host.sysctl.arpbalance == 1:
            problem = "arpbalance"
        if problem:
            message = f"group {group.name} has {problem}, which ucarp on {member.host} cannot do"
            yield Hit(message, "use backend: carpd", context.host_place(host, "backend"), host.name, group.name)


@rule(
    _SECTION,
    "backend-freebsd",
    Severity.WARNING,
    "`backend` of a host means nothing on FreeBSD, where the kernel speaks CARP.",
)
def backend_freebsd(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        given = ("hosts", host.name, "backend") in context.places
        if given and host.os is not None and host.os.family == "freebsd":
            place = context.host_place(host, "backend")
            yield Hit(
                f"backend of {host.name} is not used: {host.os} has CARP in its kernel", "drop it", place, host.name
            )


_LINUX_KEYS = ("virtual_mac", "notify")


@rule(_SECTION, "linux-key", Severity.WARNING, "`virtual_mac` and `notify` are carpd's; nothing else reads them.")
def linux_key(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        elsewhere = f"{host.os} has CARP in its kernel" if host.os and host.os.family == "freebsd" else ""
        if host.os and host.os.family == "linux" and host.backend == "ucarp":
            elsewhere = "ucarp does not know it"
        for key in _LINUX_KEYS:
            if elsewhere and ("hosts", host.name, key) in context.places:
                message = f"{key} of {host.name} is not used: {elsewhere}"
                yield Hit(message, "drop it", context.host_place(host, key), host.name)


@rule(_SECTION, "notify-path", Severity.ERROR, "`notify` is the absolute path of a script on the host.")
def notify_path(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        if host.notify is not None and not _NOTIFY.fullmatch(host.notify):
            message = f"notify of {host.name} is no absolute path"
            yield Hit(
                message, "write it as in /usr/local/sbin/carp-changed", context.host_place(host, "notify"), host.name
            )


@rule(_SECTION, "arpbalance-real-mac", Severity.ERROR, "arpbalance gives every vhid a MAC address of its own.")
def arpbalance_real_mac(context: Context) -> Iterator[Hit]:
    for host in context.inventory.hosts.values():
        linux = host.os is not None and host.os.family == "linux"
        groups = context.inventory.groups_of(host.name)
        held = [vip.address for group in groups for vip in group.addresses]
        wanted = host.sysctl.arpbalance == 1 or (host.sysctl.arpbalance == "auto" and len(held) != len(set(held)))
        if linux and not host.virtual_mac and wanted:
            message = f"{host.name} should share load by ARP without virtual MAC addresses, which tell its vhids apart"
            remedy = "drop virtual_mac: false, or write sysctl: {arpbalance: 0}"
            yield Hit(message, remedy, context.host_place(host, "virtual_mac"), host.name)
