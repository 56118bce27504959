"""Boot traps on simulated machines: the clean host with the trap's edits, one boot, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_interface
from pathlib import Path
from unittest.mock import patch

from boot_traps import CleanHost, Trap, WantedVhid
from judge_hosts import apply_edits

from bsdcarp.lab.carp_pseudo import PseudoStack
from bsdcarp.lab.clock import ManualClock
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.netif import Netif
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic
from bsdcarp.model import Secret
from bsdcarp.snapshot.ifconfig import parse_ifconfig

__all__ = ["Boot", "boot_into"]


class Boot:
    """One boot of a trapped machine, and what its sysctls were when rc.d/netif began."""

    def __init__(self, machine: Machine, host: CleanHost) -> None:
        self.machine = machine
        self.host = host
        self.early: Mapping[str, int] = {}
        self.configured = False

    def run(self) -> None:
        real = Netif.start

        def start(netif: Netif) -> None:
            self.early = self.sysctls()
            self.configured = True
            real(netif)

        with patch.object(Netif, "start", start):
            self.machine.boot()

    def sysctls(self) -> dict[str, int]:
        stack = self.machine.kernel.carp
        return {} if stack is None else {name: int(stack.value(name)) for name in self.host.sysctls}

    @property
    def outcome(self) -> str:
        """What the boot showed, in the words of ``boot_traps.Outcome``."""
        machine = self.machine
        if machine.panicked:
            return "panics"
        if machine.state == "hung":
            stopped = "can't load" in machine.console or "Enter full pathname" in machine.console
            return "stops" if stopped else "hangs"
        if not self.configured:
            return "stops"  # up, and nobody can reach it
        if machine.kernel.carp is None:
            return "no-carp"
        shown = self._vhids()
        if shown != "same":
            return shown
        wanted = dict(self.host.sysctls)
        if self.sysctls() != wanted or self._demoted():
            return "sysctl-wrong"
        return "same" if self.early == wanted else "sysctl-late"

    def _demoted(self) -> bool:
        stack = self.machine.kernel.carp
        return stack is not None and self.machine.release.era == "vhid" and stack.value("demotion") != 0

    def _vhids(self) -> str:
        shown = self.machine.command(["ifconfig", "-k", "-a"])
        keyed = shown.status == 0
        text = shown.stdout if keyed else self.machine.command(["ifconfig", "-a"]).stdout
        interfaces = parse_ifconfig(text.decode())
        there = {(name, state.vhid) for name, i in interfaces.items() for state in i.vhids}
        wanted = {(v.unit or self.host.interface, v.vhid) for v in self.host.vhids}
        if wanted - there:
            return "vhid-missing"
        right = not there - wanted
        own = {a.interface for a in interfaces[self.host.interface].addresses_of(0)}
        right = right and {ip_interface(text) for text in self.host.own} <= own
        for v in self.host.vhids:
            interface = interfaces[v.unit or self.host.interface]
            state = interface.vhid(v.vhid)
            addresses = {a.interface for a in interface.addresses_of(0 if v.unit else v.vhid)}
            if state is None or not addresses:
                return "vhid-missing"  # one without an address speaks for nothing
            right = right and state.advbase == 1 and state.advskew == v.advskew
            right = right and addresses == {ip_interface(a) for a in v.addresses}
            right = right and state.peer in ("", "224.0.0.18")
            password = self._password(v, state.key)
            right = right and password == v.password
        return "same" if right and self._in_order() else "vhid-wrong"

    def _password(self, v: WantedVhid, shown: Secret | None) -> str:
        """Up to FreeBSD 9 nothing shows a password, so the kernel is asked for its own memory."""
        pseudo = self.machine.kernel.interfaces[v.unit].pseudo if v.unit else None
        if pseudo is not None:
            return pseudo.key.rstrip(b"\0").decode()
        return shown.reveal() if shown else ""

    def _in_order(self) -> bool:
        """Up to FreeBSD 9 the order of the vhids decides who answers ARP (recorded on 9.3)."""
        stack = self.machine.kernel.carp
        if not isinstance(stack, PseudoStack):
            return True
        orders = [[each.config.vhid for each in machines] for machines in stack.order.values()]
        return all(order == sorted(order) for order in orders)


def boot_into(trap: Trap | None, host: CleanHost, directory: Path) -> Boot:
    """Build the machine of ``host`` with the edits of ``trap``, if any, and boot it."""
    network = Network(ManualClock())
    nics = [Nic("em0", "52:54:00:00:00:01", "lan"), Nic("em1", "52:54:00:00:01:01", "dmz")]
    machine = Machine("fw1", host.release, directory / "fw1", nics, network=network, kernel="GENERIC")
    files = apply_edits(host.files, trap.edits if trap else ())
    machine.create(files={path.lstrip("/"): text for path, text in files.items()})
    kernels = trap.kernels if trap and trap.kernels is not None else host.kernels
    carp = trap.carp if trap and trap.carp is not None else host.carp
    running = (trap.bootfile if trap and trap.bootfile else "/boot/kernel/kernel").split("/")[2]
    for file in machine.tree.path("/boot/kernel").iterdir():
        file.unlink()
    machine.tree.path("/boot/kernel").rmdir()
    for name, module in kernels.items():
        static = carp == "static" and name == running
        machine.tree.install_kernel("CARP" if static else "GENERIC", name, module=False)
        if module:
            machine.tree.write(f"/boot/{name}/{module}.ko", f"module {module}\n")
    boot = Boot(machine, host)
    boot.run()
    network.advance(4.0)
    return boot
