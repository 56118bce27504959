"""CARP from FreeBSD 10 on: a vhid belongs to addresses of a real interface (sys/netinet/ip_carp.c)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bsdcarp import carp
from bsdcarp.carp import Machine, State, Vhid
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6
from bsdcarp.lab.carp_stack import CarpStack, split
from bsdcarp.lab.errnos import kernel_error
from bsdcarp.lab.interface import Address, Interface

__all__ = ["VhidRequest", "VhidStack"]

_CAPABLE = frozenset({"ether", "vlan", "bridge"})


@dataclass(frozen=True, slots=True)
class VhidRequest:
    """What SIOCSVH is asked for.  0 for advbase, a negative advskew and an empty key mean unchanged.

    The peers are always set where the release knows them: ifconfig sends the multicast groups unless told otherwise.
    """

    vhid: int
    advbase: int = 0
    advskew: int = -1
    key: bytes = b""
    state: State | None = None
    peer: IPv4Address = GROUP_V4
    peer6: IPv6Address = GROUP_V6


class VhidStack(CarpStack):
    """The per-address CARP of FreeBSD 10 and later."""

    def find(self, interface: Interface, vhid: int) -> Machine | None:
        """Look up a vhid.  Raises EOPNOTSUPP on an interface that cannot carry CARP (SIOCGVH)."""
        if interface.kind not in _CAPABLE:
            raise kernel_error(errno.EOPNOTSUPP)
        return next((machine for machine in interface.vhids if machine.config.vhid == vhid), None)

    def set(self, interface: Interface, request: VhidRequest) -> None:
        """Create or change a vhid (SIOCSVH).

        As recorded on FreeBSD 12.1, a value out of range fails with EINVAL after the vhid has been created.
        """
        machine = self.find(interface, request.vhid) or self._create(interface, request.vhid)
        if not 0 <= request.advbase <= 255 or request.advskew >= 255:
            raise kernel_error(errno.EINVAL)
        changes: dict[str, object] = {"key": request.key[:20]}
        if request.advbase > 0:
            changes["advbase"] = request.advbase
        if request.advskew >= 0:
            changes["advskew"] = request.advskew
        if self.kernel.release.ifconfig.unicast:
            changes["peer"] = None if request.peer == GROUP_V4 else request.peer
            changes["peer6"] = None if request.peer6 == GROUP_V6 else request.peer6
        self.perform(machine.configure(self.now, **changes))
        if request.state is not None and request.state is not machine.state:
            self.perform(machine.force_state(request.state, self.now))

    def attach(self, interface: Interface, address: Address) -> None:
        """Put an address under its vhid; the vhid starts over.

        Raises ENOPROTOOPT when there is no vhid at all on the interface, ENOENT when it is another one.
        """
        machine = self.find(interface, address.vhid)
        if machine is None:
            raise kernel_error(errno.ENOENT if interface.vhids else errno.ENOPROTOOPT)
        self._renew(interface, machine)

    def detach(self, interface: Interface, vhid: int, *, keep: bool) -> None:
        """Tell a vhid that an address went; without any left it is destroyed unless ``keep``."""
        machine = self.find(interface, vhid)
        if machine is None:
            return
        self._renew(interface, machine)
        if not machine.config.families and not keep:
            self._destroy(interface, machine)

    def destroy_all(self, interface: Interface) -> None:
        """Remove every vhid of an interface that goes away."""
        for machine in tuple(interface.vhids):
            self._destroy(interface, machine)

    def link_changed(self, interface: Interface, *, was: bool) -> None:
        if interface.operational == was:
            return
        for machine in tuple(interface.vhids):
            self.perform((machine.up if interface.operational else machine.down)(self.now))

    def renamed(self, interface: Interface, old: str) -> None:
        del old
        for machine in interface.vhids:
            machine.parent = machine.name = interface.name

    def roles(self) -> dict[str, str]:
        return {machine.label: machine.state.value for machine in self.node.machines}

    def busy(self) -> bool:
        return bool(self.node.machines)

    def answer(self, interface: Interface, target: IPv4Address, client: IPv4Address) -> int | None:
        del client  # there is no balancing any more
        return next(
            (
                machine.config.vhid
                for machine in interface.vhids
                if machine.state is State.MASTER and target in machine.config.v4
            ),
            None,
        )

    def _create(self, interface: Interface, vhid: int) -> Machine:
        if not interface.vhids:
            self.kernel.log(f"{interface.name}: promiscuous mode enabled")
        machine = self.node.add(Vhid(vhid), interface.name)
        interface.vhids.append(machine)
        if interface.operational:
            self.perform(machine.up(self.now))
        return machine

    def _destroy(self, interface: Interface, machine: Machine) -> None:
        self.perform(self.node.remove(machine, self.now))
        interface.vhids.remove(machine)
        if not interface.vhids:
            self.kernel.log(f"{interface.name}: promiscuous mode disabled")

    def _renew(self, interface: Interface, machine: carp.Machine) -> None:
        v4, v6 = split(address for address in interface.addresses if address.vhid == machine.config.vhid)
        self.perform(machine.address_changed(self.now, v4=v4, v6=v6))
