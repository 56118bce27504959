"""One parent interface: whether it is there and has its link, and the sockets on it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from bsdcarp.carpd.errors import CarpdError, PortLost
from bsdcarp.carpd.packets import Port, choose_sources
from bsdcarp.carpd.responder import Responder, choose, kernel_order

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from ipaddress import IPv6Address

    from bsdcarp.carpd.loop import Loop
    from bsdcarp.carpd.members import Member
    from bsdcarp.carpd.packets import Arrival
    from bsdcarp.carpd.rtnl.messages import Address, Link

__all__ = ["Segment"]


class Segment:
    """Attached to an interface while that exists; ``heard`` is called with what comes in."""

    def __init__(
        self,
        name: str,
        loop: Loop,
        *,
        heard: Callable[[Segment, Sequence[Arrival]], None],
        lost: Callable[[str], None],
    ) -> None:
        self.name = name
        self.index = 0
        """0 while there is no such interface."""
        self.usable = False
        """Up, and with link."""
        self.port: Port | None = None
        self.responder: Responder | None = None
        self.members: Callable[[], list[Member]] = list
        """The vhids here; set by the owner."""
        self._loop = loop
        self._heard = heard
        self._lost = lost

    def attach(self, link: Link, *, arpbalance: bool) -> None:
        """Open the sockets.  Raise ParentMissing or OSError; then nothing is open."""
        self.detach()
        port = Port(self.name)
        self.port, self.index = port, port.index
        self._loop.watch(port, self._receive)
        self.usable = link.usable and link.index == port.index
        self.balance(arpbalance=arpbalance)

    def detach(self) -> None:
        """Close them."""
        self.balance(arpbalance=False)
        if self.port is not None:
            self._loop.unwatch(self.port)
            self.port.close()
        self.port, self.index, self.usable = None, 0, False

    def balance(self, *, arpbalance: bool) -> None:
        """Answer ARP from here, or leave it to the kernel."""
        if arpbalance and self.responder is None and self.port is not None:
            self.responder = Responder(self.name)
            self._loop.watch(self.responder, self._asked)
        elif not arpbalance and self.responder is not None:
            self._loop.unwatch(self.responder)
            self.responder.close()
            self.responder = None

    def choose_sources(self, addresses: Sequence[Address], vips: Collection[IPv4Address | IPv6Address]) -> None:
        """Take the sender addresses of adverts from those of the interface."""
        if self.port is not None:
            self.port.sources = choose_sources([a for a in addresses if a.index == self.index], vips)

    def _receive(self) -> None:
        if self.port is None:
            return
        try:
            arrivals = self.port.receive()
        except PortLost:
            self._lost(self.name)
            return
        self._heard(self, arrivals)

    def _asked(self) -> None:
        if self.responder is None:
            return
        try:
            requests = self.responder.receive()
            for request in requests:
                members = {member.config.vhid: member for member in self.members()}
                holders = [
                    (vhid, members[vhid].config.v4, members[vhid].machine.state) for vhid in kernel_order(list(members))
                ]
                vhid = choose(request, holders)
                if vhid is not None and members[vhid].presence.appeared:
                    self.responder.answer(request, vhid)
        except PortLost:
            self._lost(self.name)
        except CarpdError:
            # An answer that did not go out: the client asks again.
            return
