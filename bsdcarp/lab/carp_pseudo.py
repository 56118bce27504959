"""CARP up to FreeBSD 9: every vhid is an interface carpN on top of a parent that the kernel finds (ip_carp.c)."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from bsdcarp import carp
from bsdcarp.carp import Machine, State, Vhid
from bsdcarp.lab.carp_stack import CarpStack, split
from bsdcarp.lab.errnos import kernel_error
from bsdcarp.lab.interface import Address, Interface, Pseudo

if TYPE_CHECKING:
    from bsdcarp.lab.kernel import Kernel

__all__ = ["PseudoStack"]


class PseudoStack(CarpStack):
    """carpN interfaces.  ``order`` holds, for each parent, its vhids in the order that ARP balancing counts."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.order: dict[str, list[Machine]] = {}

    def create(self, name: str) -> Interface:
        """Clone carpN.  Raises EEXIST when there is one of that name."""
        if name in self.kernel.interfaces:
            raise kernel_error(errno.EEXIST)
        interface = self.kernel.new_interface(name, "carp")
        interface.pseudo = Pseudo()
        return interface

    def destroy(self, interface: Interface) -> None:
        """Remove carpN and its vhid."""
        if interface.pseudo is not None:
            self._drop(interface.pseudo)
        del self.kernel.interfaces[interface.name]

    def set(
        self,
        interface: Interface,
        *,
        vhid: int | None = None,
        advbase: int | None = None,
        advskew: int | None = None,
        key: bytes | None = None,
        state: State | None = None,
    ) -> None:
        """Change one setting of carpN (SIOCSVH).

        Raises EINVAL for values out of range and for an interface that is not a carpN, EEXIST for a vhid that another
        carpN on the same parent has.
        """
        pseudo = interface.pseudo
        if pseudo is None:
            raise kernel_error(errno.EINVAL)
        if (vhid is not None and vhid > 255) or (advbase or 0) > 255 or (advskew or 0) > 254:
            raise kernel_error(errno.EINVAL)
        if vhid is not None and vhid != pseudo.vhid:
            if self._twin(pseudo, vhid):
                raise kernel_error(errno.EEXIST)
            pseudo.vhid = vhid
            self._change_vhid(interface, pseudo)
        base = pseudo.advbase if advbase is None or advbase < 0 else advbase
        skew = pseudo.advskew if advskew is None or advskew < 0 else advskew
        if base or skew:
            pseudo.advbase, pseudo.advskew = base, skew
        if key is not None:
            pseudo.key = key
        if pseudo.running is not None:
            changes = {"advbase": pseudo.advbase, "advskew": pseudo.advskew, "key": pseudo.key}
            self.perform(pseudo.running.configure(self.now, **changes))
            if state is not None and state is not pseudo.running.state:
                self.perform(pseudo.running.force_state(state, self.now))

    def attach(self, interface: Interface, address: Address) -> None:
        """Give carpN an address (SIOCAIFADDR); it starts over.

        Raises EADDRNOTAVAIL when no multicast interface has the address's network, or another one than the parent of
        the addresses that are there; EEXIST when the vhid is taken on that parent.
        """
        pseudo = interface.pseudo
        if pseudo is None:
            raise kernel_error(errno.EINVAL)
        was_up, interface.up = interface.up, True
        parent = self._parent_for(address)
        if parent is None or (interface.addresses and pseudo.running is not None and parent.name != pseudo.parent):
            raise kernel_error(errno.EADDRNOTAVAIL)
        if pseudo.running is None and any(
            other.config.vhid == pseudo.vhid for other in self.order.get(parent.name, [])
        ):
            raise kernel_error(errno.EEXIST)
        pseudo.parent = parent.name
        interface.addresses.append(address)
        real = (each for each in self.kernel.interfaces.values() if each.multicast and each.kind != "loop")
        if any(each.find(address.ip) for each in real):
            # The owner of an address is preferred for it, whatever was said (carp_set_addr() in ip_carp.c of 9.3).
            pseudo.advskew = 0
            if pseudo.running is not None:
                self.perform(pseudo.running.configure(self.now, advskew=0))
        if pseudo.vhid == 0:
            return
        if pseudo.running is None:
            self._start(interface, pseudo, parent)
        else:
            self.perform(self._renewed(pseudo.running, interface))
            if not was_up:
                self.perform(pseudo.running.start(self.now))

    def detach(self, interface: Interface) -> None:
        """An address of carpN went.  Recorded on FreeBSD 9.3: the last one leaves the role as it is."""
        pseudo = interface.pseudo
        if pseudo is not None and pseudo.running is not None and interface.addresses:
            self.perform(self._renewed(pseudo.running, interface))

    def set_up(self, interface: Interface, *, up: bool) -> None:
        """Set carpN up or down; going down bows out."""
        running = None if interface.pseudo is None else interface.pseudo.running
        if running is not None and interface.up != up:
            # The kernel's loopback route of the address is not the one it looks for; both lines are harmless.
            if not up:
                self.perform(running.stop(self.now))
                self.kernel.log("ifa_del_loopback_route: deletion failed")
            else:
                self.kernel.log("ifa_add_loopback_route: insertion failed")
                self.perform(running.start(self.now))
        interface.up = up

    def link_changed(self, interface: Interface, *, was: bool) -> None:
        if interface.operational == was:
            return
        for above in tuple(self.kernel.interfaces.values()):
            pseudo = above.pseudo
            if pseudo is None or pseudo.running is None or pseudo.parent != interface.name:
                continue
            above.up = interface.operational
            self.perform((pseudo.running.up if interface.operational else pseudo.running.down)(self.now))

    def renamed(self, interface: Interface, old: str) -> None:
        if interface.pseudo is not None and interface.pseudo.running is not None:
            interface.pseudo.running.name = interface.name
        if old in self.order:
            self.order[interface.name] = self.order.pop(old)
        for above in self.kernel.interfaces.values():
            if above.pseudo is not None and above.pseudo.parent == old:
                above.pseudo.parent = interface.name
                if above.pseudo.running is not None:
                    above.pseudo.running.parent = interface.name

    def roles(self) -> dict[str, str]:
        return {
            f"{pseudo.vhid}@{interface.name}": pseudo.running.state.value if pseudo.running else "INIT"
            for interface in self.kernel.interfaces.values()
            if (pseudo := interface.pseudo) is not None and pseudo.vhid
        }

    def busy(self) -> bool:
        """Say yes: recorded on FreeBSD 9.3, the module is never let go."""
        return True

    def answer(self, interface: Interface, target: IPv4Address, client: IPv4Address) -> int | None:
        holders = [
            machine
            for machine in self.order.get(interface.name, [])
            if target in machine.config.v4 and self._interface_of(machine).up
        ]
        if self.node.settings.arpbalance:
            return carp.arpbalance.answer(int(client), [(each.config.vhid, each.state) for each in holders])
        return next((each.config.vhid for each in holders if each.state is State.MASTER), None)

    def _renewed(self, machine: Machine, interface: Interface) -> tuple[carp.Action, ...]:
        v4, v6 = split(interface.addresses)
        return machine.address_changed(self.now, v4=v4, v6=v6)

    def _interface_of(self, machine: Machine) -> Interface:
        return self.kernel.interfaces[machine.name]

    def _parent_for(self, address: Address) -> Interface | None:
        """Find the first multicast interface with an address whose network holds this one."""
        for interface in self.kernel.interfaces.values():
            if interface.multicast and interface.kind != "loop":
                for own in interface.addresses:
                    if own.ip.version == address.ip.version and address.ip in own.network:
                        return interface
        return None

    def _twin(self, pseudo: Pseudo, vhid: int) -> bool:
        return bool(pseudo.running) and any(
            other is not pseudo.running and other.config.vhid == vhid for other in self.order.get(pseudo.parent, [])
        )

    def _start(self, interface: Interface, pseudo: Pseudo, parent: Interface) -> None:
        config = Vhid(pseudo.vhid, pseudo.advbase, pseudo.advskew, pseudo.key, *split(interface.addresses))
        siblings = self.order.setdefault(parent.name, [])
        if not siblings:
            self.kernel.log(f"{parent.name}: promiscuous mode enabled")
        pseudo.running = self.node.add(config, parent.name, interface.name)
        self._insert(siblings, pseudo.running)
        if parent.operational:
            self.perform(pseudo.running.up(self.now))

    def _insert(self, siblings: list[Machine], machine: Machine) -> None:
        """Insert after the greatest smaller vhid; one that is smaller than all goes to the end, as in the kernel."""
        smaller = [index for index, other in enumerate(siblings) if other.config.vhid < machine.config.vhid]
        siblings.insert(smaller[-1] + 1 if smaller else len(siblings), machine)

    def _change_vhid(self, interface: Interface, pseudo: Pseudo) -> None:
        """Give a running carpN another vhid.  The role stays, so nothing is logged."""
        old = pseudo.running
        if old is None:
            if pseudo.parent and interface.addresses:
                self._start(interface, pseudo, self.kernel.interfaces[pseudo.parent])
            return
        state = old.state
        siblings = self.order[pseudo.parent]
        siblings.remove(old)
        self.node.remove(old, self.now)
        config = Vhid(pseudo.vhid, pseudo.advbase, pseudo.advskew, pseudo.key, old.config.v4, old.config.v6)
        pseudo.running = self.node.add(config, pseudo.parent, interface.name)
        self._insert(siblings, pseudo.running)
        if state is not State.INIT:
            pseudo.running.up(self.now)
        if state is State.MASTER:
            pseudo.running.force_state(state, self.now)

    def _drop(self, pseudo: Pseudo) -> None:
        machine = pseudo.running
        if machine is None:
            return
        self.perform(self.node.remove(machine, self.now))
        pseudo.running = None
        siblings = self.order[pseudo.parent]
        siblings.remove(machine)
        if not siblings:
            self.kernel.log(f"{pseudo.parent}: promiscuous mode disabled")
