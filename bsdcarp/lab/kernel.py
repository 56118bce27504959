"""One simulated FreeBSD kernel: interfaces, addresses, modules, CARP, routes and the message buffer."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from bsdcarp.lab.addresses import Addressing
from bsdcarp.lab.carp_pseudo import PseudoStack
from bsdcarp.lab.carp_stack import CarpStack
from bsdcarp.lab.carp_vhid import VhidStack
from bsdcarp.lab.clock import Clock
from bsdcarp.lab.errnos import kernel_error
from bsdcarp.lab.interface import Address, Interface, Kind
from bsdcarp.lab.linker import Linker
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.releases import Release
from bsdcarp.lab.segment import ArpFrame, CarpFrame, Frame

__all__ = ["Kernel", "KernelImage", "MessageBuffer"]


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel file: its directory under /boot, its ident, and the configuration that INCLUDE_CONFIG_FILE put in it."""

    directory: str
    ident: str
    config: str

    @property
    def bootfile(self) -> str:
        return f"/boot/{self.directory}/kernel"

    @property
    def static_carp(self) -> bool:
        return any(line.split() == ["device", "carp"] for line in self.config.splitlines())


@dataclass(slots=True)
class MessageBuffer:
    """What dmesg prints.  It lies in memory that a warm reboot does not clear, so it outlives a kernel."""

    lines: list[str] = field(default_factory=list)


class Kernel:
    """``transmit_frame`` hands a frame to the card, ``schedule`` runs something later, ``syslog`` writes the log file.

    All calls come under the lock of the network.
    """

    def __init__(
        self,
        release: Release,
        image: KernelImage,
        *,
        host: str,
        boots: int,
        clock: Clock,
        messages: MessageBuffer,
        linker: Linker,
        transmit_frame: Callable[[Interface, Frame], None],
        schedule: Callable[[float, Callable[[], None]], None],
        syslog: Callable[[str], None],
        console: Callable[[str], None],
    ) -> None:
        self.release = release
        self.image = image
        self.host = host
        self.boots = boots
        self.clock = clock
        self.messages = messages
        self.linker = linker
        self.hostname = ""
        self.securelevel = -1
        self.forwarding = {4: 0, 6: 0}
        self.plain_oids: dict[str, int] = {}
        self.environment: dict[str, str] = {}
        self.boottime = clock.wall()
        self.default_route: IPv4Address | None = None
        self.loopback_route_by_name = False
        self.auto_linklocal = True
        self.interfaces: dict[str, Interface] = {}
        self.carp: CarpStack | None = None
        self.addressing = Addressing(self)
        self.user_land = False
        self._early: list[str] = []
        self._transmit = transmit_frame
        self._schedule = schedule
        self._syslog = syslog
        self._console = console

    # -- log ------------------------------------------------------------------------------------------------------

    def log(self, text: str) -> None:
        """Write a line the way of log 9; before syslogd runs, some releases keep it out of the buffer."""
        if self.user_land:
            self.messages.lines.append(text)
            self._syslog(f"kernel: {text}")
            return
        self._console(text)
        if self.release.rc.early_log:
            self.messages.lines.append(text)
            self._early.append(text)

    def printf(self, text: str) -> None:
        """Write a line the way of printf 9: always in the buffer, on the console while booting."""
        self.messages.lines.append(text)
        if self.user_land:
            self._syslog(f"kernel: {text}")
        else:
            self._console(text)
            self._early.append(text)

    def start_syslog(self) -> None:
        """From now on syslogd reads the kernel's messages; it begins with those it missed."""
        self.user_land = True
        self._syslog(f"syslogd: kernel boot file is {self.image.bootfile}")
        for text in self._early:
            self._syslog(f"kernel: {text}")
        self._early.clear()

    def note(self, text: str) -> None:
        """Write a line of a program to the system log."""
        self._syslog(text)

    def later(self, delay: float, what: Callable[[], None]) -> None:
        """Run ``what`` from a task queue, unless this kernel is gone by then."""
        self._schedule(delay, what)

    # -- interfaces -----------------------------------------------------------------------------------------------

    def attach(self, nic: Nic, *, link: bool) -> Interface:
        """Attach the driver of a network card."""
        interface = self.new_interface(nic.name, "ether", ether=nic.ether, nic=nic)
        interface.link = link
        return interface

    def new_interface(
        self, name: str, kind: Kind, *, ether: str = "", nic: Nic | None = None, tag: int | None = None
    ) -> Interface:
        """Create an interface with the lowest free index."""
        taken = {interface.index for interface in self.interfaces.values()}
        index = next(number for number in range(1, len(taken) + 2) if number not in taken)
        mtu = 16384 if kind == "loop" else 1500
        interface = Interface(name, kind, index, driver=name, ether=ether, nic=nic, tag=tag, mtu=mtu)
        self.interfaces[name] = interface
        return interface

    def attach_vlan(self, vlan: Interface, parent: str, tag: int) -> None:
        """Put a vlan interface on a card.  ENXIO without the card, EBUSY when it is on one already (if_vlan.c)."""
        below = self.interfaces.get(parent)
        if below is None:
            raise kernel_error(errno.ENXIO)
        if vlan.parent:
            raise kernel_error(errno.EBUSY)
        if not 1 <= tag <= 4094:
            raise kernel_error(errno.EINVAL)
        vlan.kind, vlan.ether, vlan.nic, vlan.tag = "vlan", below.ether, below.nic, tag
        vlan.parent, vlan.driver, vlan.link = parent, below.driver, below.link

    def rename(self, interface: Interface, name: str) -> None:
        """Give an interface another name, keeping its place in the list."""
        self.printf(f"{interface.name}: changing name to '{name}'")
        old, interface.name = interface.name, name
        if self.carp is not None:
            self.carp.renamed(interface, old)
        for other in self.interfaces.values():
            if other.parent == old:
                other.parent = name
        self.interfaces = {each.name: each for each in self.interfaces.values()}

    def set_up(self, interface: Interface, *, up: bool) -> None:
        """Set or clear IFF_UP."""
        if interface.kind == "carp" and isinstance(self.carp, PseudoStack):
            self.carp.set_up(interface, up=up)
            return
        was, interface.up = interface.operational, up
        if up and not was:
            self._announce_link(interface)
            self.addressing.interface_came_up(interface)
        if self.carp is not None:
            self.carp.link_changed(interface, was=was)

    def _announce_link(self, interface: Interface) -> None:
        """Report the carrier when an interface is set up for the first time, as its driver does."""
        tells = interface.kind == "ether" or (
            interface.kind == "loop" and "LINKSTATE" in self.release.ifconfig.loopback_options
        )
        if tells and interface.link and not interface.announced:
            interface.announced = True
            self.log(f"{interface.name}: link state changed to UP")

    def set_link(self, interface: Interface, *, link: bool) -> None:
        """Take or give an interface its carrier."""
        if interface.link == link:
            return
        was, interface.link = interface.operational, link
        self.log(f"{interface.name}: link state changed to {'UP' if link else 'DOWN'}")
        if self.carp is not None:
            self.carp.link_changed(interface, was=was)

    def set_carrier(self, nic: Nic, *, link: bool) -> None:
        """Take or give every interface on a card its carrier."""
        for interface in tuple(self.interfaces.values()):
            if interface.nic == nic:
                self.set_link(interface, link=link)

    # -- CARP -----------------------------------------------------------------------------------------------------

    def start_carp(self) -> None:
        """Initialise CARP, compiled in or from a module that was just loaded."""
        self.carp = PseudoStack(self) if self.release.era == "pseudo" else VhidStack(self)

    def load_module(self, name: str, *, by_loader: bool = False) -> None:
        """Load a kernel module; OSError as :meth:`Linker.load`."""
        if "carp" in self.linker.load(name, by_loader=by_loader).modules and self.carp is None:
            self.start_carp()

    def unload_module(self, name: str) -> None:
        """Unload a module.  Raises ENOENT when no such file is loaded, EBUSY while CARP is in use."""
        file = self.linker.find_file(name)
        if file is not None and "carp" in file.modules and self.carp is not None and self.carp.busy():
            raise kernel_error(errno.EBUSY)
        self.linker.unload(name)
        if file is not None and "carp" in file.modules:
            self.carp = None

    @property
    def vhids(self) -> VhidStack | None:
        return self.carp if isinstance(self.carp, VhidStack) else None

    @property
    def pseudo(self) -> PseudoStack | None:
        return self.carp if isinstance(self.carp, PseudoStack) else None

    def roles(self) -> dict[str, str]:
        """Return label -> role of every vhid, for instance ``{"1@em0": "MASTER"}``."""
        return {} if self.carp is None else self.carp.roles()

    def deadline(self) -> float | None:
        """Return when CARP wants :meth:`on_timer` next."""
        return None if self.carp is None else self.carp.deadline()

    def on_timer(self, now: float) -> None:
        """Run what is due in CARP."""
        if self.carp is not None:
            self.carp.on_timer(now)

    # -- packets --------------------------------------------------------------------------------------------------

    def transmit(self, name: str, frame: Frame) -> None:
        """Send a frame out of an interface; it is lost when that is down."""
        interface = self.interfaces.get(name)
        if interface is not None and interface.operational and interface.nic is not None:
            self._transmit(interface, frame)

    def receive(self, nic: str, tag: int | None, frame: Frame) -> None:
        """Take a frame from a card."""
        for interface in self.interfaces.values():
            if interface.nic is None or (interface.nic.name, interface.tag) != (nic, tag) or not interface.operational:
                continue
            if isinstance(frame, ArpFrame):
                self._receive_arp(interface, frame)
            elif self.carp is not None and self._is_for_us(interface, frame):
                self.carp.receive(interface, frame)

    def _is_for_us(self, interface: Interface, frame: CarpFrame) -> bool:
        return frame.destination in {"224.0.0.18", "ff02::12"} or any(
            str(address.ip) == frame.destination for address in interface.addresses
        )

    def _receive_arp(self, interface: Interface, frame: ArpFrame) -> None:
        """Complain when somebody else uses an address of ours, and answer a request for it (if_ether.c)."""
        if self.local_address(interface, frame.sender_ip) is None:
            return
        vhid = None if self.carp is None else self.carp.answer(interface, frame.target_ip, frame.sender_ip)
        if self.carp is not None and vhid is None:
            return
        mac = interface.ether if vhid is None else f"00:00:5e:00:01:{vhid:02x}"
        if mac == frame.sender_mac:
            return
        self.log(f"arp: {frame.sender_mac} is using my IP address {frame.sender_ip} on {interface.name}!")
        if frame.request:
            self.transmit(interface.name, ArpFrame(frame.target_ip, mac, frame.sender_ip, request=False))

    def local_address(self, interface: Interface, ip: IPv4Address | IPv6Address) -> Address | None:
        """Find an address of this host that lives on ``interface`` or on a carpN above it."""
        for other in self.interfaces.values():
            above = other.pseudo is not None and other.pseudo.parent == interface.name
            if (other is interface or above) and (found := other.find(ip)) is not None:
                return found
        return None

    def arp_answer(self, nic: str, target: IPv4Address, client: IPv4Address) -> str | None:
        """Return the Ethernet address with which this host answers a client's ARP request, or None for silence."""
        for interface in self.interfaces.values():
            if interface.nic is None or interface.nic.name != nic or not interface.operational:
                continue
            own = interface.find(target)
            if own is not None and own.vhid == 0:
                return interface.ether
            vhid = None if self.carp is None else self.carp.answer(interface, target, client)
            if vhid is not None:
                return f"00:00:5e:00:01:{vhid:02x}"
        return None

    # -- time -----------------------------------------------------------------------------------------------------

    def boottime_text(self) -> str:
        """Return kern.boottime as sysctl prints it."""
        seconds = int(self.boottime)
        micro = int((self.boottime - seconds) * 1_000_000)
        return f"{{ sec = {seconds}, usec = {micro} }} {time.strftime('%a %b %e %H:%M:%S %Y', time.gmtime(seconds))}"
