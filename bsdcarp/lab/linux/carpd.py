"""The daemon of a simulated Linux host: the protocol core on the lab's wires, with the daemon's own configuration.

What it does with addresses is what the real one does: per vhid a macvlan called carpV.IFINDEX that is up and has the
shared addresses while the vhid is MASTER, or the addresses on the interface itself where the configuration forbids a
virtual MAC.  What it says (``document``) is made by the real one's own code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Any

from bsdcarp import carp
from bsdcarp.carp.packet import BadPacket, decode
from bsdcarp.carpd.config import Config, VhidConfig
from bsdcarp.carpd.reload import AddVhid, ChangeVhid, RemoveVhid, steps
from bsdcarp.carpd.snapshot import Finding, Snapshot, VhidStatus
from bsdcarp.carpd.status import document
from bsdcarp.lab.linux.kernel import LinuxKernel
from bsdcarp.lab.linux.links import Link
from bsdcarp.lab.segment import ArpFrame, CarpFrame

__all__ = ["Carpd"]

_RIVAL_FOR = 10.0
"""Seconds for which an advert with a wrong digest is talked about."""


@dataclass(slots=True)
class _Held:
    """One vhid: its configuration, its state machine, and the name of its macvlan ("" for none)."""

    config: VhidConfig
    machine: carp.Machine
    device: str = ""
    since: float = 0.0
    reason: str = ""
    rival: float | None = None


class Carpd:
    """A running daemon.  ``log`` takes lines as they go to the journal, ``draw(64)`` gives 64 random bits."""

    def __init__(
        self, kernel: LinuxKernel, config: Config, *, pid: int, draw: Callable[[int], int], log: Callable[[str], None]
    ) -> None:
        self.kernel = kernel
        self.config = config
        self.pid = pid
        self.node = carp.Node(carp.personality("linux"), config.settings, draw=draw)
        self._log = log
        self._held: list[_Held] = []
        self._started = self.now
        self._by_control = 0
        self._before: dict[str, str] = {}

    @property
    def now(self) -> float:
        return self.kernel.clock.now()

    # -- life -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take part: what the real daemon has done when it says that it is ready."""
        self.kernel.daemons.append(self)
        for config in self.config.vhids:
            self._add(config)

    def stop(self) -> None:
        """Say good-bye for every MASTER, and leave nothing behind."""
        for held in list(self._held):
            self._drop(held)
        self._give_back()
        self.kernel.daemons.remove(self)

    def kill(self) -> None:
        """Die as SIGKILL makes it die: nobody says good-bye, and what was set up stays until the next start."""
        self.kernel.daemons.remove(self)

    def say(self, text: str) -> None:
        """Write a line to the log."""
        self._log(text)

    def reload(self, config: Config) -> None:
        """Take over another configuration; what did not change goes on undisturbed."""
        todo = steps(self.config, config)
        self.config = config
        for step in todo:
            if isinstance(step, AddVhid):
                self._add(step.config)
            elif isinstance(step, RemoveVhid):
                self._drop(self._of(*step.config.key))
            elif isinstance(step, ChangeVhid):
                self._change(self._of(*step.new.key), step)
            else:
                self._perform(self.node.set(self.now, **dict(step.changes)))
        count = "1 change" if len(todo) == 1 else f"{len(todo)} changes"
        self._log(f"reloaded: {count if todo else 'nothing differs'}")

    def _add(self, config: VhidConfig) -> None:
        held = _Held(config, self.node.add(config.core(), config.interface), since=self.now)
        self._held.append(held)
        self._prepare(held)

    def _prepare(self, held: _Held) -> None:
        parent = self.kernel.links.get(held.config.interface)
        if parent is None:
            return
        if held.config.virtual_mac:
            held.device = f"carp{held.config.vhid}.{parent.index}"
            if held.device in self.kernel.links:  # left by one that was killed
                self.kernel.remove(held.device)
            mac = carp.virtual_mac(held.config.vhid).hex(":")
            alias = f"bsdcarp vhid {held.config.vhid} on {parent.name}"
            self.kernel.add_macvlan(held.device, parent, mac, alias)
            ignored = 8 if self.config.settings.arpbalance else 1
            self.kernel.proc.set(f"net/ipv4/conf/{held.device}/arp_ignore", str(ignored))
        self._hold(parent.name)
        if parent.operational:
            self._perform(held.machine.up(self.now))

    def _hold(self, interface: str) -> None:
        """Raise what the parent needs, and remember what it was for the end."""
        for name, least in (("arp_ignore", 1), ("arp_announce", 2)):
            key = f"net/ipv4/conf/{interface}/{name}"
            before = self.kernel.proc.get(key)
            if before is not None and int(before) < least:
                self._before.setdefault(key, before)
                self.kernel.proc.set(key, str(least))

    def _give_back(self) -> None:
        for key, value in self._before.items():
            with contextlib.suppress(FileNotFoundError):
                self.kernel.proc.set(key, value)
        self._before.clear()

    def _drop(self, held: _Held) -> None:
        self._perform(held.machine.stop(self.now))
        self._perform(self.node.remove(held.machine, self.now))
        self._held.remove(held)
        if held.device in self.kernel.links:
            self.kernel.remove(held.device)

    def _change(self, held: _Held, step: ChangeVhid) -> None:
        held.config = step.new
        if step.in_place:
            self._perform(held.machine.configure(self.now, **step.in_place))
        if not step.addresses:
            return
        if held.machine.state is carp.State.MASTER:
            self._vanish(held, (*step.old.v4, *step.old.v6), down=False)
            self._appear(held, (*step.new.v4, *step.new.v6))
        self._perform(held.machine.address_changed(self.now, v4=step.new.v4, v6=step.new.v6))

    # -- what the kernel tells ------------------------------------------------------------------------------------

    def hear(self, interface: str, frame: CarpFrame) -> None:
        """Take an advert."""
        refused = self.node.statistics.carps_badauth
        self._perform(self.node.receive(frame.payload, frame.family, self.now, interface=interface, ttl=frame.ttl))
        if self.node.statistics.carps_badauth > refused:
            with contextlib.suppress(BadPacket):
                vhid = decode(frame.payload).vhid
                for held in self._held:
                    if held.config.key == (interface, vhid):
                        held.rival = self.now

    def carrier(self, interface: str) -> None:
        """Follow an interface that went up or down."""
        link = self.kernel.links.get(interface)
        if link is not None and any(held.config.interface == interface for held in self._held):
            change = self.node.interface_up if link.operational else self.node.interface_down
            self._perform(change(self.now, interface))

    def deadline(self) -> float | None:
        return self.node.deadline()

    def on_timer(self, now: float) -> None:
        self._perform(self.node.on_timer(now))

    def roles(self) -> dict[str, str]:
        return {machine.label: machine.state.value for machine in self.node.machines}

    # -- what the operator asks -----------------------------------------------------------------------------------

    def demote(self, amount: int) -> None:
        """Add to the demotion."""
        self._by_control += amount
        self._perform(self.node.demote(amount, self.now))

    def undemote(self) -> None:
        """Take back all that :meth:`demote` added."""
        self.demote(-self._by_control)

    def failover(self, vhid: int, interface: str | None = None, *, undo: bool = False) -> None:
        """Hand a vhid over, or take part again.  LookupError with a sentence for the user."""
        found = [h for h in self._held if h.config.vhid == vhid and interface in (None, h.config.interface)]
        if not found:
            raise LookupError(f"vhid {vhid} is not configured" + (f" on {interface}" if interface else ""))
        if len(found) > 1:
            names = ", ".join(held.config.interface for held in found)
            raise LookupError(f"vhid {vhid} is on {names}: name the interface")
        machine = found[0].machine
        if undo and not machine.yielded:
            raise LookupError(f"vhid {vhid} on {machine.parent} has not been handed over")
        self._perform(machine.release(self.now) if undo else machine.yield_role(self.now))
        done = "takes part in the election again" if undo else "handed over by hand"
        self._log(f"carp: {machine.label}: {done}")

    def document(self) -> dict[str, Any]:
        """Return what ``ctl status --json`` shows."""
        return document(self._snapshot()) | {"pid": self.pid}

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            now=self.now,
            started=self._started,
            demotion=self.node.demotion,
            settings=self.node.settings,
            statistics=self.node.statistics,
            vhids=tuple(
                VhidStatus(
                    config=held.config,
                    state=held.machine.state,
                    since=held.since,
                    reason=held.reason,
                    effective_advskew=held.machine.effective_advskew,
                    failover=held.machine.yielded,
                    present=held.config.interface in self.kernel.links,
                )
                for held in self._held
            ),
            findings=tuple(self._findings()),
        )

    def _findings(self) -> Iterable[Finding]:
        for held in self._held:
            if held.rival is not None and self.now - held.rival < _RIVAL_FOR:
                vhid, interface = held.config.vhid, held.config.interface
                yield Finding(
                    vhid=vhid,
                    interface=interface,
                    text=f"another host advertises vhid {vhid} on {interface} with another password or address list, "
                    "so both are MASTER",
                    remedy="give all members of the group the same password and the same addresses",
                )

    # -- what the core asks ---------------------------------------------------------------------------------------

    def _perform(self, actions: Iterable[carp.Action]) -> None:
        for action in actions:
            if isinstance(action, carp.SendAdvert):
                frame = CarpFrame(action.payload, action.family, str(action.destination))
                self.kernel.transmit(action.interface, frame)
            elif isinstance(action, carp.SendGratuitousArp):
                held = self._of(action.interface, action.vhid)
                self.kernel.transmit(action.interface, ArpFrame(action.address, self._mac(held), action.address))
            elif isinstance(action, carp.AddAddresses):
                self._appear(self._of(action.interface, action.vhid), (*action.v4, *action.v6))
            elif isinstance(action, carp.RemoveAddresses):
                self._vanish(self._of(action.interface, action.vhid), (*action.v4, *action.v6))
            elif isinstance(action, carp.StateChanged):
                held = self._of(action.interface, action.vhid)
                held.since, held.reason = self.now, action.reason
            elif isinstance(action, carp.Log):
                self._log(action.text)

    def _of(self, interface: str, vhid: int) -> _Held:
        return next(held for held in self._held if held.config.key == (interface, vhid))

    def _bearer(self, held: _Held) -> Link | None:
        return self.kernel.links.get(held.device or held.config.interface)

    def _mac(self, held: _Held) -> str:
        link = self._bearer(held)
        return "" if link is None else link.ether

    def _appear(self, held: _Held, addresses: Iterable[IPv4Address | IPv6Address]) -> None:
        link = self._bearer(held)
        if link is None:
            return
        if held.device:
            self.kernel.set_up(link, up=True)
        for address in addresses:
            with contextlib.suppress(FileExistsError):
                self.kernel.add_address(link, ip_interface(address), nodad=True)

    def _vanish(self, held: _Held, addresses: Iterable[IPv4Address | IPv6Address], *, down: bool = True) -> None:
        link = self._bearer(held)
        if link is None:
            return
        for address in addresses:
            with contextlib.suppress(KeyError):
                self.kernel.remove_address(link, ip_interface(address))
        if held.device and down:
            self.kernel.set_up(link, up=False)
