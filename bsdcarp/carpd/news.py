"""What to make of the kernel's news: links that come and go, addresses that somebody removes, routes that change.

Links are acted upon at once.  Looking after addresses and routes takes a dump of the kernel's tables, so it is put off
for a moment, in which more of the same usually comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bsdcarp.carpd.errors import CarpdError, NetlinkError
from bsdcarp.carpd.rtnl.monitor import AddressEvent, Everything, LinkEvent

if TYPE_CHECKING:
    from bsdcarp.carpd.host import Host
    from bsdcarp.carpd.loop import Loop, Timer
    from bsdcarp.carpd.members import Member
    from bsdcarp.carpd.rtnl.monitor import Event
    from bsdcarp.carpd.segments import Segments
    from bsdcarp.carpd.vhids import Vhids

__all__ = ["News"]

_SETTLE = 0.05
_ROUTES = 1.0
_MANY = 8


class News:
    """Reads the monitor."""

    def __init__(
        self, loop: Loop, host: Host, vhids: Vhids, segments: Segments, log: Callable[[str, str], None]
    ) -> None:
        self._loop = loop
        self._host = host
        self._vhids = vhids
        self._segments = segments
        self._log = log
        self._suspects: dict[int, Member] = {}
        self._check: Timer | None = None
        self._sources: Timer | None = None
        self._routes: Timer | None = None
        self._routes_read = loop.now()
        loop.watch(host.monitor, self._read)

    def close(self) -> None:
        """Listen no more."""
        self._loop.unwatch(self._host.monitor)
        for timer in (self._check, self._sources, self._routes):
            if timer is not None:
                timer.cancel()

    def _read(self) -> None:
        try:
            events = self._host.monitor.read()
        except NetlinkError as error:
            self._log("error", str(error))
            return
        for event in events:
            self._act(event)

    def _act(self, event: Event) -> None:
        if isinstance(event, LinkEvent):
            self._on_link(event)
        elif isinstance(event, AddressEvent):
            self._on_address(event)
        elif isinstance(event, Everything):
            self._resync(event)
        elif self._routes is None:
            # A router that learns its table would keep us busy: once a second at most.
            wait = max(_SETTLE, self._routes_read + _ROUTES - self._loop.now())
            self._routes = self._loop.call_later(wait, self._follow)

    def _on_link(self, event: LinkEvent) -> None:
        link = event.link
        for segment in tuple(self._segments.all.values()):
            same = segment.index != 0 and segment.index == link.index
            if same and (not event.new or link.name != segment.name):
                self._segments.linked(segment, None)
            elif event.new and link.name == segment.name:
                self._segments.linked(segment, link)
        if not event.new or not link.up:
            self._suspect(link.index, deleted=not event.new)

    def _on_address(self, event: AddressEvent) -> None:
        if (
            any(segment.index == event.address.index for segment in self._segments.all.values())
            and self._sources is None
        ):
            self._sources = self._loop.call_later(_SETTLE, self._choose_sources)
        if not event.new:
            self._suspect(event.address.index)

    def _resync(self, everything: Everything) -> None:
        links = {link.name: link for link in everything.links}
        for segment in tuple(self._segments.all.values()):
            link = links.get(segment.name)
            if segment.index and (link is None or link.index != segment.index):
                self._segments.linked(segment, None)
            if link is not None:
                self._segments.linked(segment, link)
        for member in self._vhids.members:
            self._suspect_one(member, deleted=True)
        self._choose_sources()

    def _suspect(self, index: int, *, deleted: bool = False) -> None:
        """Something on this interface is gone, or the interface itself."""
        for member in self._vhids.members.by_index().get(index, ()):
            self._suspect_one(member, deleted=deleted)

    def _suspect_one(self, member: Member, *, deleted: bool) -> None:
        # Where nothing is to be at the moment it was us.
        if member.presence.appeared or deleted:
            self._suspects[id(member)] = member
            if self._check is None:
                self._check = self._loop.call_later(_SETTLE, self._look_after)

    def _look_after(self) -> None:
        self._check = None
        for key in tuple(self._suspects)[:_MANY]:
            self._restore(self._suspects.pop(key))
        if self._suspects:
            # In portions: each takes a dump.
            self._check = self._loop.call_later(0, self._look_after)

    def _restore(self, member: Member) -> None:
        presence = member.presence
        if self._vhids.members.get(*member.config.key) is not member or member.trouble is not None:
            return
        try:
            link = self._host.route.link(presence.index) if presence.prepared else None
            if presence.prepared and link is None:
                presence.remove()
                presence.prepare()
                self._log("warning", f"carp: {member.config.label}: its interface was deleted and is made anew")
            elif presence.appeared and link is not None and not link.up:
                # Its routes are lost with that, too.
                presence.vanish()
                presence.appear()
                self._log("warning", f"carp: {member.config.label}: {link.name} was set down and is up again")
            if member.is_master and not presence.appeared:
                presence.appear()
                return
            restored = presence.restore()
        except CarpdError as error:
            self._vhids.broken(member, error)
            return
        if restored:
            names = ", ".join(str(address.ip) for address in restored)
            self._log("warning", f"carp: {member.config.label}: put back {names}, which somebody had removed")

    def _choose_sources(self) -> None:
        self._sources = None
        self._segments.choose_sources()

    def _follow(self) -> None:
        self._routes = None
        self._routes_read = self._loop.now()
        try:
            self._host.kernel.refresh()
            for member in self._vhids.members:
                member.presence.follow()
        except CarpdError as error:
            self._log("warning", f"carp: routes could not be followed: {error}")
