"""Reading ifconfig(8): every shape from FreeBSD 5.4 to 15, text in, data out."""

from __future__ import annotations

import re
from ipaddress import ip_interface

from bsdcarp.model import Secret
from bsdcarp.snapshot.facts import InterfaceAddress, NetworkInterface, VhidState

__all__ = ["parse_ifconfig"]

_HEAD = re.compile(r"^(?P<name>[^\s:]+): flags=[0-9a-f]+<(?P<flags>[^>]*)>")
_INET = re.compile(r"^\s+inet (?P<ip>[0-9.]+)(?: --> \S+)?(?: netmask (?P<mask>0x[0-9a-f]+|[0-9.]+))?(?P<rest>.*)$")
_INET6 = re.compile(r"^\s+inet6 (?P<ip>[0-9a-f:.]+)(?:%\S+)?(?: --> \S+)? prefixlen (?P<length>\d+)(?P<rest>.*)$")
_CARP = re.compile(
    r"^\s+carp: (?P<state>\S+) vhid (?P<vhid>\d+) advbase (?P<advbase>\d+) advskew (?P<advskew>\d+)"
    r'(?: key "(?P<key>.*)")?\s*$'
)
_PEER = re.compile(r"^\s+peer (?P<peer>\S+) peer6 (?P<peer6>\S+)\s*$")
_VHID = re.compile(r"\bvhid (\d+)")


def parse_ifconfig(text: str) -> dict[str, NetworkInterface]:
    """Read the output of ``ifconfig -a`` (with or without ``-k``); lines that say nothing about CARP are skipped."""
    found: dict[str, NetworkInterface] = {}
    for block in _blocks(text):
        interface = _interface(block)
        if interface:
            found[interface.name] = interface
    return found


def _blocks(text: str) -> list[list[str]]:
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if line[:1] not in ("\t", " ", ""):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
    return blocks


def _interface(lines: list[str]) -> NetworkInterface | None:
    head = _HEAD.match(lines[0])
    if not head:
        return None
    addresses: list[InterfaceAddress] = []
    vhids: list[VhidState] = []
    ether = status = ""
    inet6_disabled = False
    for line in lines[1:]:
        word = line.split(None, 1)[0] if line.strip() else ""
        if word in ("inet", "inet6"):
            address = _address(line)
            if address:
                addresses.append(address)
        elif word == "carp:":
            vhid = _vhid(line)
            if vhid:
                vhids.append(vhid)
        elif word == "peer" and vhids:
            peers = _PEER.match(line)
            if peers:
                last = vhids[-1]
                vhids[-1] = VhidState(
                    last.vhid, last.state, last.advbase, last.advskew, last.key, peers["peer"], peers["peer6"]
                )
        elif word == "ether":
            ether = line.split()[1]
        elif word == "status:":
            status = line.split(":", 1)[1].strip()
        elif word == "nd6":
            inet6_disabled = "IFDISABLED" in line
    return NetworkInterface(
        name=head["name"],
        flags=frozenset(filter(None, head["flags"].split(","))),
        addresses=tuple(addresses),
        vhids=tuple(vhids),
        ether=ether,
        status=status,
        inet6_disabled=inet6_disabled,
    )


def _address(line: str) -> InterfaceAddress | None:
    match = _INET.match(line) or _INET6.match(line)
    if not match:
        return None
    groups = match.groupdict()
    if "length" in groups:
        length = int(groups["length"])
    else:
        mask = groups["mask"] or "0xffffffff"
        bits = int(mask, 16) if mask.startswith("0x") else int.from_bytes(bytes(map(int, mask.split("."))), "big")
        length = bits.bit_count()
    attached = _VHID.search(groups["rest"])
    try:
        return InterfaceAddress(ip_interface(f"{groups['ip']}/{length}"), int(attached[1]) if attached else 0)
    except ValueError:
        return None


def _vhid(line: str) -> VhidState | None:
    match = _CARP.match(line)
    if not match:
        return None
    key = match["key"]
    return VhidState(
        vhid=int(match["vhid"]),
        state=match["state"],
        advbase=int(match["advbase"]),
        advskew=int(match["advskew"]),
        key=None if key is None else Secret(key),
    )
