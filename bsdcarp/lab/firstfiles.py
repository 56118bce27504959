"""The files a simulated machine starts its life with: what an installer wrote and its administrator added since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Interface

from bsdcarp.lab.wiring import Link
from bsdcarp.model import IfAddress

__all__ = ["LOADER_CONF", "csh_noise", "rc_conf"]

_FIRST_WITH_VLANS = 8
"""Since FreeBSD 8 rc.conf(5) has vlans_IF, which names VLANs by tag or by name; before, each one is cloned."""

LOADER_CONF = """\
# Console on the serial line as well, for the rack's terminal server
boot_multicons="YES"
console="comconsole,vidconsole"
"""

_HEAD = """\
# rc.conf of {name}: see rc.conf(5) and /etc/defaults/rc.conf
hostname="{name}"
keymap="us"

# Network
"""

_TAIL = """\

# Services
sshd_enable="YES"
ntpd_enable="YES"
syslogd_flags="-ss"\t# no logs from other machines
sendmail_enable="NONE"
# Set dumpdev to "AUTO" to enable crash dumps, "NO" to disable
dumpdev="AUTO"
"""


def csh_noise(text: str) -> str:
    """A ``.cshrc`` that greets even those who only run a command, as careless ones do."""
    return f"# root's .cshrc\nalias ll ls -lA\numask 22\necho '{text}'\n"


def rc_conf(
    name: str,
    major: int,
    links: Mapping[str, Link],
    addresses: Mapping[str, Sequence[IfAddress]],
    *,
    gateway: str | None = None,
    foreign: tuple[str, IPv4Interface] | None = None,
) -> str:
    """Write /etc/rc.conf for a host of FreeBSD ``major``.

    ``addresses`` are each interface's own; ``foreign`` is an alias that has nothing to do with CARP.
    """
    lines: list[str] = []
    cloned = [link.name for link in links.values() if link.tag is not None]
    if cloned and major < _FIRST_WITH_VLANS:
        lines.append(_assignment("cloned_interfaces", " ".join(cloned)))
    for link in links.values():
        lines += _interface(link, major, links.values(), addresses.get(link.name, ()))
        if foreign is not None and foreign[0] == link.name:
            number = sum(line.startswith(f"{_variable(link.name)}_alias") for line in lines)
            lines.append("# the old print server moved in here")
            lines.append(_assignment(f"{_variable(link.name)}_alias{number}", _inet(foreign[1])))
    if major < 9 and any(address.version == 6 for own in addresses.values() for address in own):
        lines.append(_assignment("ipv6_enable", "YES"))
    if gateway is not None:
        lines.append(_assignment("defaultrouter", gateway))
    return _HEAD.format(name=name) + "".join(f"{line}\n" for line in lines) + _TAIL


def _interface(link: Link, major: int, links: Iterable[Link], own: Sequence[IfAddress]) -> list[str]:
    lines: list[str] = []
    if link.renamed:
        lines.append(_assignment(f"{_variable(link.card)}_name", link.name))
    children = [child for child in links if child.tag is not None and child.card == link.card]
    if children and link.tag is None and major >= _FIRST_WITH_VLANS:
        names = [str(child.tag) if child.name == f"{child.card}.{child.tag}" else child.name for child in children]
        lines.append(_assignment(f"vlans_{_plain(link.card)}", " ".join(names)))
        lines += [
            _assignment(f"create_args_{name}", f"vlan {child.tag}")
            for name, child in zip(names, children, strict=True)
            if name == child.name
        ]
    v4 = [address for address in own if isinstance(address, IPv4Interface)]
    v6 = [address for address in own if not isinstance(address, IPv4Interface)]
    words = [_inet(v4[0])] if v4 else []
    if link.tag is not None and major < _FIRST_WITH_VLANS:
        words.append(f"vlan {link.tag} vlandev {link.card}")
    if words or link.tag is None:
        # A card without an address of its own still has to be up for the VLANs on it.
        lines.append(_assignment(_variable(link.name), " ".join(words) or "up"))
    lines += [_assignment(f"{_variable(link.name)}_alias{n}", _inet(address)) for n, address in enumerate(v4[1:])]
    for number, address in enumerate(v6):
        # Before 9.0 IPv6 has variables of its own (rc.conf(5) of FreeBSD 8 and 9).
        if major < 9:
            suffix = f"_alias{number - 1}" if number else ""
            value = f"{address.ip} prefixlen {address.network.prefixlen}"
            lines.append(_assignment(f"ipv6_{_variable(link.name)}{suffix}", value))
        else:
            suffix = f"_alias{len(v4[1:]) + number - 1}" if number else "_ipv6"
            value = f"inet6 {address.ip} prefixlen {address.network.prefixlen}"
            lines.append(_assignment(f"{_variable(link.name)}{suffix}", value))
    return lines


def _inet(address: IPv4Interface) -> str:
    return f"inet {address.ip} netmask {address.netmask}"


def _plain(interface: str) -> str:
    return interface.translate(str.maketrans(".-/+", "____"))


def _variable(interface: str) -> str:
    return f"ifconfig_{_plain(interface)}"


def _assignment(name: str, value: str) -> str:
    return f'{name}="{value}"'
