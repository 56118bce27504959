"""What all presences of a process share: the netlink socket, the sysctls, the journal, and the routes as last read."""

from __future__ import annotations

import time

from bsdcarp.carp import virtual_mac
from bsdcarp.carpd.errors import Refused
from bsdcarp.carpd.journal import Journal
from bsdcarp.carpd.linkdowns import LinkDowns
from bsdcarp.carpd.parent import is_wireless, objection
from bsdcarp.carpd.rtnl.messages import Address, Link, RouteEntry
from bsdcarp.carpd.rtnl.route import Route
from bsdcarp.carpd.spec import Spec
from bsdcarp.carpd.sysctls import Sysctls
from bsdcarp.carpd.traffic import Choice, choose, connected

__all__ = ["LIMIT", "Kernel"]

# Reading and sorting this many takes about 10 ms.  A router with more keeps to the subnets of the parent, see notes.
LIMIT = 500
_RTPROT_KERNEL = 2
_RECENT = 0.5


class Kernel:
    """Call ``refresh`` once before the first presence appears, and after each RoutesChanged (at most once a second)."""

    def __init__(self, route: Route, sysctls: Sysctls, journal: Journal) -> None:
        self.route = route
        self.sysctls = sysctls
        self.journal = journal
        self.linkdowns = LinkDowns()
        self.complete = True
        """False while the main table is too long to be followed."""
        self._seen = float("-inf")
        self._links: tuple[Link, ...] = ()
        self._addresses: tuple[Address, ...] = ()
        self._main: tuple[RouteEntry, ...] = ()
        self._choices: dict[tuple[int, int, tuple[RouteEntry, ...]], Choice] = {}

    def picture(self, *, fresh: bool = False) -> tuple[tuple[Link, ...], tuple[Address, ...]]:
        """All links and addresses, not older than half a second unless ``fresh``: for 255 presences made in a row."""
        now = time.monotonic()
        if fresh or now - self._seen > _RECENT:
            self._links, self._addresses, self._seen = self.route.links(), self.route.addresses(), now
        return self._links, self._addresses

    def objection(self, parent: Link, spec: Spec) -> Refused | None:
        """Why this vhid cannot work on this interface.  What an older picture objects to is looked at once more."""
        mac = virtual_mac(spec.vhid) if spec.virtual_mac else None
        wireless = is_wireless(parent.name)
        refusal = None
        for fresh in (False, True):
            links, addresses = self.picture(fresh=fresh)
            refusal = objection(
                parent, vhid=spec.vhid, mac=mac, vips=spec.vips, links=links, addresses=addresses, wireless=wireless
            )
            if refusal is None:
                break
        return refusal

    def refresh(self) -> None:
        """Read the main table again."""
        self._choices.clear()
        everything = self.route.routes(limit=LIMIT)
        self.complete = everything is not None
        self._main = everything or self.route.routes(limit=LIMIT, protocol=_RTPROT_KERNEL) or ()

    def choice(self, family: int, parent: int, spec: Spec) -> Choice:
        """The routes that matter to the VIPs of this family on the interface with this index."""
        connections = connected(spec.addresses, family, parent)
        key = (family, parent, connections)
        if key not in self._choices:
            self._choices[key] = choose(self._main, family, parent, connections)
        return self._choices[key]
