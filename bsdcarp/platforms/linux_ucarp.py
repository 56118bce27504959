"""``backend: ucarp``: Debian's ucarp, one process, one unit and one password file for each group.

The package itself starts ucarp from lines in /etc/network/interfaces, with the password on the command line and no way
to stop it (if-up.d/ucarp of 1.5.2); units of our own need no edit of that file, work with every network configuration,
and keep the password in a file that only root reads.
"""

from __future__ import annotations

from types import MappingProxyType

from bsdcarp.errors import PlanError
from bsdcarp.model import Host, IfAddress
from bsdcarp.platforms.desired import DesiredFile, DesiredService, DesiredVhid
from bsdcarp.platforms.linux_carpd import Part
from bsdcarp.platforms.linux_services import unit_path
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot

__all__ = ["DOWN", "UP", "holds_password", "service_of", "ucarp_part"]

UP = "/usr/local/lib/bsdcarp/ucarp-up"
DOWN = "/usr/local/lib/bsdcarp/ucarp-down"
_SECRET, _SUFFIX = "/etc/bsdcarp/ucarp-", ".pass"


def service_of(group: str) -> str:
    """Return the name of the service that carries ``group``."""
    return f"bsdcarp-ucarp-{group}"


def holds_password(path: str) -> bool:
    """Return whether ``path`` is one of ucarp's password files."""
    return path.startswith(_SECRET) and path.endswith(_SUFFIX)


def ucarp_part(host: Host, vhids: tuple[DesiredVhid, ...], snapshot: Snapshot | None) -> Part:
    """Return ucarp's part for these vhids.

    Raises ``PlanError`` for what ucarp cannot do, and where the host's own address, which it needs, is unknown.
    """
    files: dict[str, DesiredFile] = {}
    services: list[DesiredService] = []
    for vhid in vhids:
        _possible(host, vhid)
        name = service_of(vhid.group)
        secret = f"{_SECRET}{vhid.group}{_SUFFIX}"
        unit = unit_path(name)
        text = render(
            "linux/bsdcarp-ucarp.service.j2",
            program=(snapshot.linux.ucarp if snapshot and snapshot.linux else "") or "/usr/sbin/ucarp",
            v=vhid,
            address=vhid.addresses[0].address,
            length=vhid.addresses[0].prefixlen,
            source=_source(host, vhid, snapshot),
            secret=secret,
            preempt=bool(host.sysctl.preempt),
            up=UP,
            down=DOWN,
        )
        files[unit] = DesiredFile(text)
        files[secret] = DesiredFile(f"{vhid.password.reveal()}\n", mode=0o600, secret=True, hidden=True)
        services.append(DesiredService(name, (vhid.vhid,), unit, restarted_by=(unit, secret)))
    if vhids:
        files[UP] = DesiredFile(render("linux/ucarp-up.j2"), mode=0o755)
        files[DOWN] = DesiredFile(render("linux/ucarp-down.j2"), mode=0o755)
    return Part(MappingProxyType(files), services=tuple(services))


def _possible(host: Host, vhid: DesiredVhid) -> None:
    """Say again what the rule ``ucarp-limits`` says, for hosts whose ``os`` the inventory does not tell."""
    problem = ""
    if len(vhid.addresses) != 1:
        problem = f"{len(vhid.addresses)} addresses"
    elif vhid.addresses[0].family != "inet":
        problem = "an IPv6 address"
    elif vhid.peer or vhid.peer6:
        problem = "a unicast peer"
    elif host.sysctl.arpbalance == 1:
        problem = "arpbalance"
    if problem:
        raise PlanError(
            f"group {vhid.group} has {problem}, which ucarp cannot do", place=host.name, remedy="use backend: carpd"
        )


def _source(host: Host, vhid: DesiredVhid, snapshot: Snapshot | None) -> str:
    """Return the host's own address that adverts come from; one in the network of the shared one is the best."""
    found: tuple[IfAddress, ...] = host.interfaces.get(vhid.interface, ())
    if snapshot:
        interface = snapshot.interfaces.get(vhid.interface)
        found = tuple(a.interface for a in interface.addresses) if interface else ()
    shared = vhid.addresses[0].interface.ip
    own = [a for a in found if a.version == 4 and a.ip != shared]
    near = [a for a in own if shared in a.network and a.network.prefixlen < a.max_prefixlen]
    if not own:
        raise PlanError(
            f"ucarp needs an IPv4 address of the host's own on {vhid.interface}",
            place=host.name,
            remedy=f"give {vhid.interface} one, or write interfaces: {{{vhid.interface}: ADDRESS/LENGTH}}",
        )
    return str((near or own)[0].ip)
