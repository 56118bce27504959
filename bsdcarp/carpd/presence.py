"""The presence of one vhid on the host: its addresses under the virtual MAC while it is MASTER, and nothing otherwise.

With virtual MAC (the rule): a macvlan on the parent, private and down.  When the vhid appears it goes up and gets the
addresses, and a rule for each of them leads its traffic through a table in which the parent's routes name the macvlan.
Without: the addresses on the parent itself.  Everything is marked and in the journal before it is made.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import replace
from socket import AF_INET, AF_INET6

from bsdcarp.carp import virtual_mac
from bsdcarp.carpd.errors import NetlinkError, ParentMissing, Refused
from bsdcarp.carpd.journal import Recorded
from bsdcarp.carpd.kernel import Kernel
from bsdcarp.carpd.memberships import Memberships
from bsdcarp.carpd.parent import alias_of, device_name, written_mac
from bsdcarp.carpd.recovery import delete_links, recover
from bsdcarp.carpd.rtnl import requests
from bsdcarp.carpd.rtnl.messages import IPAddress, Link, RouteEntry, Rule
from bsdcarp.carpd.rtnl.monitor import AddressEvent, LinkEvent
from bsdcarp.carpd.rtnl.requests import MARK, Request
from bsdcarp.carpd.silence import hold_parent, release_parent, settle
from bsdcarp.carpd.spec import Interface, Spec
from bsdcarp.carpd.traffic import PRIORITY, copies, deliveries, table_of

__all__ = ["Interface", "Kernel", "Presence", "Spec", "recover", "remove_all"]


class Presence:
    """``prepare`` when the parent is there, then ``appear`` and ``vanish`` with the role, ``remove`` at the end."""

    def __init__(self, spec: Spec, kernel: Kernel) -> None:
        self.spec = spec
        self.device = ""
        self.index = 0
        self.parent_index = 0
        self.mac = virtual_mac(spec.vhid) if spec.virtual_mac else b""
        self.prepared = False
        self.appeared = False
        self._kernel = kernel
        self._routes: tuple[RouteEntry, ...] = ()
        self._lost_routes = 0
        self._memberships = Memberships()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the operator should know although everything works."""
        if not self.appeared or not self._routed:
            return ()
        said = []
        if not self._kernel.complete:
            said.append("too many routes to copy: beyond the subnets of the interface, traffic carries the real MAC")
        if self._lost_routes:
            said.append(f"{self._lost_routes} routes cannot be copied: traffic over them carries the real MAC")
        return tuple(said)

    def prepare(self) -> None:
        """Make everything ready for ``appear``.  Does nothing if it is.

        Raise ParentMissing, Refused, or NetlinkError; then nothing is left behind.
        """
        parent = self._kernel.route.link(self.spec.interface)
        if parent is None:
            self.remove()
            raise ParentMissing(self.spec.interface)
        if self.prepared and parent.index == self.parent_index and self._kernel.route.link(self.index) is not None:
            if not self.spec.virtual_mac:
                self.mac = parent.mac
            return
        self.remove()
        refusal = self._kernel.objection(parent, self.spec)
        if refusal:
            raise refusal
        self.parent_index = parent.index
        self.device = device_name(self.spec.vhid, parent.index) if self.spec.virtual_mac else parent.name
        self._record()
        if self.spec.virtual_mac:
            self._make(parent)
        else:
            self.index, self.mac = parent.index, parent.mac
        self.prepared = True

    def appear(self) -> None:
        """Addresses, rules and routes, in one batch.  On failure nothing of it is left, and the error is raised."""
        if self.appeared:
            return
        if not self.prepared:
            raise ParentMissing(self.spec.interface)
        self._routes = self._wanted_routes()
        routes = [requests.add_route(route) for route in self._routes]
        first = [requests.set_link(self.index, up=True)] if self.spec.virtual_mac else []
        needed = self._rules() + [requests.add_address(vip, self.index) for vip in self.spec.vips]
        # Routes and rules before addresses: the first answer from a VIP already takes the right way.
        batch = first + routes + needed
        self._kernel.linkdowns.cancel(self.index)
        self._memberships.renew()
        errors = self._kernel.route.attempt(batch)
        self.appeared = True
        self._lost_routes = sum(map(bool, errors[len(first) : len(first) + len(routes)]))
        fatal = set(first + needed)
        for request, code in zip(batch, errors):  # noqa: B905 - strict= needs 3.10
            if code and request in fatal:
                self.vanish()
                raise self._explained(request, code)

    def vanish(self) -> None:
        """Take everything away that ``appear`` brought.  What is gone already does not matter.

        The macvlan is without addresses when this returns, and down a moment later.
        """
        if self.appeared:
            self._kernel.route.attempt(self._withdrawal())
            if self.spec.virtual_mac:
                self._kernel.linkdowns.add(self.index)
            self.appeared = False
            self._routes = ()

    def remove(self) -> None:
        """Vanish, and undo ``prepare``.  Also right when the parent is gone, and its macvlans with it."""
        self.vanish()
        if self.prepared and self.spec.virtual_mac:
            self._kernel.linkdowns.cancel(self.index)
            self._kernel.route.attempt([requests.delete_link(self.index)])
        self._forget()

    def follow(self) -> bool:
        """Bring rules and routes up to date with ``Kernel.refresh``; True if the routes differ from before."""
        if not self.appeared or not self._routed:
            return False
        wanted = self._wanted_routes()
        stale = [requests.delete_route(route) for route in self._routes if route not in wanted]
        fresh = [requests.add_route(route) for route in wanted]
        errors = self._kernel.route.attempt(stale + self._rules() + fresh)
        self._lost_routes = sum(map(bool, errors[len(errors) - len(fresh) :]))
        changed, self._routes = wanted != self._routes, wanted
        return changed

    def missing(self) -> tuple[Interface, ...]:
        """The addresses that should be there and are not."""
        if not self.appeared:
            return ()
        there = {address.ip for address in self._kernel.route.addresses(self.index)}
        return tuple(interface for interface in self.spec.addresses if interface.ip not in there)

    def restore(self) -> tuple[Interface, ...]:
        """Put back what is missing, with rules and routes, and say what it was."""
        missing = self.missing()
        if missing:
            first = [requests.set_link(self.index, up=True)] if self.spec.virtual_mac else []
            self._kernel.route.batch(first + [requests.add_address(each.ip, self.index) for each in missing])
            self.follow()
        return missing

    def change(self, addresses: tuple[Interface, ...]) -> None:
        """Replace the list; what stays in it is not touched."""
        old, before = self.spec.vips, self.spec
        self.spec = replace(self.spec, addresses=addresses)
        if not self.prepared:
            return
        self._record()
        if self.spec.virtual_mac and self.spec.has_ipv6 != before.has_ipv6:
            settle(self._kernel.sysctls, self.device, self.spec.interface, self.spec.has_ipv6, self.spec.arpbalance)
        if self.spec.virtual_mac:
            self._memberships.hold(self.index, self.spec.vips)
        if self.appeared:
            gone = [vip for vip in old if vip not in self.spec.vips]
            fresh = [requests.add_address(vip, self.index) for vip in self.spec.vips if vip not in old]
            self._kernel.route.attempt(self._taken_away(gone))
            self._kernel.route.batch(fresh)
            self.follow()

    def concerns(self, event: LinkEvent | AddressEvent) -> bool:
        """Whether the event is about the device of this presence, or about one of its addresses there."""
        if not self.prepared:
            return False
        if isinstance(event, LinkEvent):
            return event.link.index == self.index
        return event.address.index == self.index and event.address.ip in self.spec.vips

    def _make(self, parent: Link) -> None:
        route, name = self._kernel.route, self.device
        left = route.link(name)
        if left is not None and left.alias == alias_of(self.spec.vhid, parent.name):
            route.attempt([requests.delete_link(left.index)])
        try:
            route.batch(
                [
                    requests.add_macvlan(name, parent.index, self.mac),
                    requests.set_alias(name, alias_of(self.spec.vhid, parent.name)),
                    requests.silence_ipv6(name),
                ]
            )
        except NetlinkError as error:
            self._forget()
            raise Refused(
                f"no macvlan can be put on it: {error.cause}",
                place=parent.name,
                remedy="is it in use by ipvlan, or is the module macvlan missing? virtual_mac false works without",
            ) from None
        made = route.link(name)
        if made is None:
            self._forget()
            raise ParentMissing(parent.name)
        self.index = made.index
        settle(self._kernel.sysctls, name, parent.name, self.spec.has_ipv6, self.spec.arpbalance)
        hold_parent(self._kernel.sysctls, parent.name)
        self._memberships.hold(self.index, self.spec.vips)

    def _record(self) -> None:
        recorded = Recorded(
            vhid=self.spec.vhid,
            interface=self.spec.interface,
            parent=self.parent_index,
            device=self.device,
            addresses=tuple(str(vip) for vip in self.spec.vips),
            virtual_mac=self.spec.virtual_mac,
        )
        self._kernel.journal.note(self.spec.label, recorded)

    def _forget(self) -> None:
        if self.prepared and self.spec.virtual_mac:
            release_parent(self._kernel.sysctls, self.spec.interface)
        self._kernel.journal.note(self.spec.label, None)
        self._memberships.close()
        self.prepared = self.appeared = False
        self.device, self.index, self.parent_index = "", 0, 0

    @property
    def _routed(self) -> bool:
        """Whether the traffic of the addresses is led through the macvlan.

        Not with arpbalance: an ARP request for the sake of that traffic would tell the whole segment one virtual MAC
        for the shared address.  It leaves over the parent, which asks in its own name.
        """
        return self.spec.virtual_mac and not self.spec.arpbalance

    def _wanted_routes(self) -> tuple[RouteEntry, ...]:
        if not self._routed:
            return ()
        table = table_of(self.parent_index, self.spec.vhid)
        families = {4: AF_INET, 6: AF_INET6}
        wanted: tuple[RouteEntry, ...] = ()
        for version in sorted({vip.version for vip in self.spec.vips}):
            choice = self._kernel.choice(families[version], self.parent_index, self.spec)
            wanted += copies(choice, self.index, table)
        return wanted + deliveries(self.spec.vips, self.index)

    def _rules(self) -> list[Request]:
        if not self._routed:
            return []
        table = table_of(self.parent_index, self.spec.vhid)
        return [requests.add_rule(vip, table, PRIORITY) for vip in self.spec.vips]

    def _taken_away(self, vips: Iterable[IPAddress]) -> list[Request]:
        vips = tuple(vips)
        taken = [requests.delete_address(vip, self.index) for vip in vips]
        if self._routed:
            table = table_of(self.parent_index, self.spec.vhid)
            for vip in vips:
                family = AF_INET if vip.version == 4 else AF_INET6
                rule = Rule(family, PRIORITY, table, vip.packed, vip.max_prefixlen, MARK)
                taken.append(requests.delete_rule(rule))
        return taken

    def _withdrawal(self) -> list[Request]:
        return self._taken_away(self.spec.vips) + [requests.delete_route(route) for route in self._routes]

    def _explained(self, request: Request, code: int) -> NetlinkError | Refused:
        if request.what.startswith("link") and code in (errno.EADDRINUSE, errno.EBUSY):
            return Refused(
                f"another macvlan with the MAC {written_mac(self.mac)} of vhid {self.spec.vhid} is up",
                place=self.spec.interface,
                remedy="keepalived or VRRP with the same id? Use another vhid, or set virtual_mac to false",
            )
        return NetlinkError(f"vhid {self.spec.vhid} on {self.spec.interface}: {request.what}", code)


def remove_all(presences: Iterable[Presence]) -> None:
    """Remove all of them, the macvlans in one pass of the kernel: one by one, each waits for an RCU grace period."""
    every = [presence for presence in presences if presence.prepared]
    if not every:
        return
    kernel = every[0]._kernel  # noqa: SLF001 - same module
    route = kernel.route
    # Addresses first: nobody answers for a VIP any more while the interfaces are still being taken apart.
    route.attempt([request for presence in every for request in presence._withdrawal()])  # noqa: SLF001
    devices = [presence.index for presence in every if presence.spec.virtual_mac]
    for index in devices:
        kernel.linkdowns.cancel(index)
    delete_links(route, devices)
    for presence in every:
        presence.appeared = False
        presence.remove()
    kernel.linkdowns.close()
