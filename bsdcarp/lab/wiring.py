"""Which cards, VLANs and segments an inventory's hosts need: read from interface names and from who shares a group.

FreeBSD's names tell what an interface is: ``em0`` a card, ``em0.20`` and ``vlan20`` VLANs (vlan(4)), and what is
none of these has been renamed (``ifconfig_em1_name="wan"`` in rc.conf(5)).  On Linux a card has any name.  Members of
a group hear each other, so their cards are plugged into the same segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bsdcarp.lab.nic import Nic
from bsdcarp.model import Group

__all__ = ["Link", "Port", "links_of", "management_link", "plug"]

Port = tuple[str, str]
"""A host with one of its cards or interfaces."""

_DRIVERS = (
    "ae|age|alc|ale|aq|ax|axe|bce|bfe|bge|bnxt|bxe|cxgb|cxgbe|cxl|dc|de|ed|em|ena|et|fxp|gem|genet|ice|"
    "igb|igc|ix|ixgb|ixl|ixv|jme|lem|lge|mce|mlxen|msk|mvneta|mxge|my|nfe|nge|oce|qlnxe|re|rl|sf|sge|sis|"
    "sk|ste|stge|ti|txp|vge|vmx|vr|vte|vtnet|vxge|wb|xl|xn|hn|lagg|bridge|epair|tap|ue"
)
_CARD = re.compile(rf"(?:{_DRIVERS})[0-9]+")
_TAGGED = re.compile(r"(?P<card>[a-z][a-z0-9]*[0-9])\.(?P<tag>[0-9]+)")
_VLAN = re.compile(r"vlan(?P<tag>[0-9]+)")


@dataclass(frozen=True, slots=True)
class Link:
    """One interface of a host: ``name``, the card below it, and the VLAN tag if it is one on top of that card."""

    name: str
    card: str
    tag: int | None = None

    @property
    def renamed(self) -> bool:
        """True for a card that rc.conf gives this other name."""
        return self.tag is None and self.name != self.card


def links_of(names: Iterable[str], *, renames: bool = True) -> dict[str, Link]:
    """Interpret the interface names of one host, in order; cards that carry VLANs are added as links of their own.

    ``renames`` says that a card has the name of its driver unless it was given another; on Linux it is any name.
    """
    wanted = list(dict.fromkeys(names))
    virtual = [name for name in wanted if _TAGGED.fullmatch(name) or _VLAN.fullmatch(name)]
    cards = [name for name in wanted if (_CARD.fullmatch(name) if renames else name not in virtual)]
    cards += [match["card"] for name in wanted if (match := _TAGGED.fullmatch(name))]
    taken = set(cards)
    trunk = cards[0] if cards else _free("em" if renames else "eth", taken)
    links: dict[str, Link] = {}
    for name in wanted:
        if match := _TAGGED.fullmatch(name):
            link = Link(name, match["card"], int(match["tag"]))
        elif match := _VLAN.fullmatch(name):
            link = Link(name, trunk, max(1, int(match["tag"])))
        elif name in taken:
            link = Link(name, name)
        else:
            link = Link(name, _free(_driver(trunk), taken))
            taken.add(link.card)
        if link.tag is not None and link.card not in {known.card for known in links.values() if known.tag is None}:
            taken.add(link.card)
            links[link.card] = Link(link.card, link.card)
        links[name] = link
    return links


def management_link(links: Mapping[str, Link], driver: str = "em") -> Link:
    """Return one more card, for SSH alone, named after the others, or after ``driver`` if there are none."""
    taken = {link.card for link in links.values()}
    card = _free(_driver(next(iter(sorted(taken)), f"{driver}0")), taken)
    return Link(card, card)


class _Segments:
    """Ports grouped by who must hear whom."""

    def __init__(self) -> None:
        self._parent: dict[Port, Port] = {}
        self._wished: dict[Port, str] = {}

    def join(self, ports: Iterable[Port], wish: str) -> None:
        """Put ``ports`` on one segment, called ``wish`` unless one of them is on a segment with a name."""
        roots = [self._root(port) for port in ports]
        if not roots:
            return
        name = next((self._wished[root] for root in roots if root in self._wished), wish)
        for root in roots:
            self._parent[root] = roots[0]
        self._wished[roots[0]] = name

    def names(self, ports: Iterable[Port]) -> dict[Port, str]:
        """Name the segment of every port; separate segments that wish the same name are told apart by a number."""
        ports = list(ports)
        named: dict[Port, str] = {}
        for root in dict.fromkeys(self._root(port) for port in ports):
            wish = self._wished.get(root, "link")
            taken = set(named.values())
            named[root] = next(name for n in range(len(taken) + 1) if (name := f"{wish}{n or ''}") not in taken)
        return {port: named[self._root(port)] for port in ports}

    def _root(self, port: Port) -> Port:
        while self._parent.setdefault(port, port) != port:
            port = self._parent[port]
        return port


def plug(
    groups: Iterable[Group], links: Mapping[str, Mapping[str, Link]], networks: Mapping[str, Iterable[Port]]
) -> dict[str, tuple[Nic, ...]]:
    """Give every host its cards, each plugged into a segment.

    ``links`` are the interfaces of each host by name.  ``networks`` says which (host, interface) lie in the same
    network, so that interfaces without a group meet their neighbours too; it is named by any text.
    """
    segments = _Segments()
    access: dict[Port, int] = {}
    first_named: dict[str, Port] = {}
    for group in groups:
        here = [
            (member.host, link)
            for member in group.members
            if (link := links.get(member.host, {}).get(member.interface)) is not None
        ]
        ports = [(host, link.card) for host, link in here]
        if group.segment and ports:
            ports.append(first_named.setdefault(group.segment, ports[0]))
        segments.join(ports, group.segment or "lan")
        tags = {link.tag for _host, link in here if link.tag is not None}
        if len(tags) == 1:
            # A member without a tag stands on an access port of the VLAN in which the others send tagged frames.
            access.update({(host, link.card): max(tags) for host, link in here if link.tag is None})
    for name, interfaces in networks.items():
        segments.join([(host, links[host][interface].card) for host, interface in interfaces], name)
    cards = {host: sorted({link.card for link in of_host.values()}) for host, of_host in links.items()}
    names = segments.names((host, card) for host, of_host in cards.items() for card in of_host)
    return {
        host: tuple(
            Nic(card, _ether(number, position), names[host, card], access.get((host, card)))
            for position, card in enumerate(of_host, 1)
        )
        for number, (host, of_host) in enumerate(cards.items(), 1)
    }


def _ether(host: int, card: int) -> str:
    return f"52:54:00:{host >> 8 & 255:02x}:{host & 255:02x}:{card:02x}"


def _driver(card: str) -> str:
    return card.rstrip("0123456789")


def _free(driver: str, taken: set[str]) -> str:
    return next(name for number in range(len(taken) + 1) if (name := f"{driver}{number}") not in taken)
