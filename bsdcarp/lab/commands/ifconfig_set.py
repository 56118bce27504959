"""ifconfig(8) changing one interface: performs the words on the simulated kernel, for both CARP eras."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from bsdcarp.carp import State
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6
from bsdcarp.lab.carp_vhid import VhidRequest
from bsdcarp.lab.commands.ifconfig_words import FAMILIES, MAX_PASS, Request, WordError, atoi, netmask_length
from bsdcarp.lab.errnos import kernel_error
from bsdcarp.lab.interface import Address, Interface
from bsdcarp.lab.kernel import Kernel

__all__ = ["Change"]

_IGNORED = frozenset({"arp", "-arp", "no_dad", "-no_dad", "accept_rtadv", "-accept_rtadv", "promisc", "-promisc"})
_IGNORED_WITH_VALUE = frozenset({"broadcast", "metric", "media", "mediaopt", "descr", "description"})


class Change:
    """One ``ifconfig INTERFACE WORD ...``; :meth:`run` raises :class:`WordError` with ifconfig's message."""

    def __init__(self, kernel: Kernel, interface: Interface, *, is_root: bool) -> None:
        self.kernel = kernel
        self.interface = interface
        self.is_root = is_root
        self.request = Request()
        self.gone = False
        self._vlan: dict[str, str] = {}

    def run(self, words: Sequence[str]) -> None:
        """Perform all words."""
        rest = list(words)
        if rest and rest[0] in FAMILIES:
            self.request.version = FAMILIES[rest.pop(0)]
        elif rest and rest[0] in {"ether", "link", "lladdr"}:
            rest.pop(0)
        while rest:
            word = rest.pop(0)
            if word in _PLAIN:
                _PLAIN[word](self)
            elif self.kernel.release.ifconfig.unicast and word in _PLAIN_UNICAST:
                _PLAIN_UNICAST[word](self)
            elif (takes := self._with_value(word)) is not None:
                if not rest:
                    raise WordError(f"'{word}' requires argument")
                takes(rest.pop(0))
            elif word not in _IGNORED:
                self.request.set_address(word)
        if not self.gone:
            self._attach_vlan()
            self._send_carp()
            self._change_addresses()

    # -- words ----------------------------------------------------------------------------------------------------

    def _with_value(self, word: str) -> Callable[[str], None] | None:
        table = _VALUES_PSEUDO if self.kernel.release.era == "pseudo" else _VALUES_VHID
        if word in table:
            return lambda value: table[word](self, value)
        if self.kernel.release.ifconfig.unicast and word in _VALUES_UNICAST:
            return lambda value: _VALUES_UNICAST[word](self, value)
        if word in _VALUES:
            return lambda value: _VALUES[word](self, value)
        return (lambda _value: None) if word in _IGNORED_WITH_VALUE else None

    def _need_root(self, what: str) -> None:
        if not self.is_root:
            raise WordError(f"{what}: permission denied")

    def up(self) -> None:
        self._need_root("up")
        self.kernel.set_up(self.interface, up=True)

    def down(self) -> None:
        self._need_root("down")
        self.kernel.set_up(self.interface, up=False)

    def alias(self) -> None:
        self.request.set_alias(1)

    def unalias(self) -> None:
        self.request.set_alias(-1)

    def destroy(self) -> None:
        self._need_root("SIOCIFDESTROY")
        kernel, interface = self.kernel, self.interface
        if interface.kind == "carp" and kernel.pseudo is not None:
            kernel.pseudo.destroy(interface)
        elif interface.kind in {"vlan", "bridge", "other"}:
            if kernel.vhids is not None:
                kernel.vhids.destroy_all(interface)
            del kernel.interfaces[interface.name]
        else:
            raise WordError("SIOCIFDESTROY: Invalid argument")
        self.gone = True

    def ifdisabled(self, value: bool) -> None:
        if not self.is_root:
            raise WordError("ioctl(SIOCSIFINFO_IN6): Operation not permitted")
        self.interface.ifdisabled = value
        if not value and self.interface.up:
            # nd6_ioctl() attaches the link-local address that was held back so far.
            self.kernel.addressing.interface_came_up(self.interface)

    def rename(self, value: str) -> None:
        self._need_root("SIOCSIFNAME")
        if value in self.kernel.interfaces:
            raise WordError("ioctl SIOCSIFNAME (set name): File exists")
        self.kernel.rename(self.interface, value)

    def mtu(self, value: str) -> None:
        self._need_root("ioctl (set mtu)")
        self.interface.mtu = atoi(value)

    def netmask(self, value: str) -> None:
        self.request.prefixlen = netmask_length(value)

    def prefixlen(self, value: str) -> None:
        self.request.prefixlen = atoi(value)

    # -- VLANs ------------------------------------------------------------------------------------------------------

    def set_vlan(self, word: str, value: str) -> None:
        self._vlan[word] = value

    def _attach_vlan(self) -> None:
        """Put a vlan interface on its card (SIOCSETVLAN); ifconfig wants both words at once (ifvlan.c)."""
        if not self._vlan:
            return
        if len(self._vlan) < 2:
            raise WordError("both vlan and vlandev must be specified")
        self._need_root("SIOCSETVLAN")
        try:
            self.kernel.attach_vlan(self.interface, self._vlan["vlandev"], atoi(self._vlan["vlan"]))
        except OSError as error:
            raise WordError(f"SIOCSETVLAN: {error.strerror}") from None

    # -- CARP, per address ----------------------------------------------------------------------------------------

    def set_vhid(self, value: str) -> None:
        self.request.set_vhid(value)

    def password(self, value: str) -> None:
        self.request.need_vhid("passwd")
        self.request.key = value.encode("utf-8", "surrogateescape")[:MAX_PASS]

    def advskew(self, value: str) -> None:
        self.request.need_vhid("advskew")
        self.request.advskew = atoi(value)

    def advbase(self, value: str) -> None:
        self.request.need_vhid("advbase")
        self.request.advbase = atoi(value)

    def set_state(self, value: str) -> None:
        self.request.set_state(value)

    def multicast(self, version: int) -> None:
        self.request.need_vhid("mcast" if version == 4 else "mcast6")
        if version == 4:
            self.request.peer = GROUP_V4
        else:
            self.request.peer6 = GROUP_V6

    def _send_carp(self) -> None:
        """Read and write the vhid (SIOCGVH, SIOCSVH), before any address is touched."""
        want = self.request
        if want.vhid == -1:
            return
        stack = self.kernel.vhids
        try:
            if stack is None:
                raise kernel_error(errno.EPROTONOSUPPORT)
            known = stack.find(self.interface, want.vhid)
        except OSError as error:
            if self.kernel.release.ifconfig.netlink:
                return  # the read fails silently; the address that follows reports it
            raise WordError(f"SIOCGVH: {error.strerror}") from None
        if not self.is_root:
            raise WordError("SIOCSVH: Operation not permitted")
        state = want.state if known is not None else None
        request = VhidRequest(want.vhid, want.advbase, want.advskew, want.key, state, want.peer, want.peer6)
        try:
            stack.set(self.interface, request)
        except OSError as error:
            raise WordError(f"SIOCSVH: {error.strerror}") from None

    # -- CARP, carpN: every word is a request of its own ----------------------------------------------------------

    def _pseudo(self, **changes: int | bytes | State) -> None:
        stack = self.kernel.pseudo
        if stack is None or self.interface.pseudo is None:
            raise WordError("SIOCGVH: Invalid argument")
        if not self.is_root:
            raise WordError("SIOCSVH: Operation not permitted")
        try:
            stack.set(self.interface, **changes)  # type: ignore[arg-type]  # one keyword at a time, typed by its word
        except OSError as error:
            raise WordError(f"SIOCSVH: {error.strerror}") from None

    def pseudo_vhid(self, value: str) -> None:
        if atoi(value) <= 0:
            raise WordError("vhid must be greater than 0")
        self._pseudo(vhid=atoi(value))

    def pseudo_pass(self, value: str) -> None:
        self._pseudo(key=value.encode("utf-8", "surrogateescape")[:MAX_PASS])

    def pseudo_advskew(self, value: str) -> None:
        self._pseudo(advskew=atoi(value))

    def pseudo_advbase(self, value: str) -> None:
        self._pseudo(advbase=atoi(value))

    def pseudo_state(self, value: str) -> None:
        if value.upper() not in State.__members__:
            raise WordError("unknown state")
        self._pseudo(state=State[value.upper()])

    # -- addresses ------------------------------------------------------------------------------------------------

    def _change_addresses(self) -> None:
        want, addressing = self.request, self.kernel.addressing
        if want.clears:
            if not self.is_root:
                raise WordError("ioctl (SIOCDIFADDR): permission denied")
            try:
                if want.remove is not None:
                    addressing.delete(self.interface, want.remove)
                elif want.version == 4:
                    addressing.delete_first(self.interface, 4)
            except OSError as error:
                if want.alias < 0 or error.errno != errno.EADDRNOTAVAIL:
                    raise WordError(f"ioctl (SIOCDIFADDR): {error.strerror}") from None
        if want.adds and want.ip is not None:
            if not self.is_root:
                raise WordError("ioctl (SIOCAIFADDR): permission denied")
            address = Address(want.ip, want.mask(), max(want.vhid, 0))
            try:
                addressing.add(self.interface, address)
            except OSError as error:
                raise WordError(f"ioctl (SIOCAIFADDR): {error.strerror}") from None


_PLAIN: dict[str, Callable[[Change], None]] = {
    "up": Change.up,
    "down": Change.down,
    "alias": Change.alias,
    "add": Change.alias,
    "-alias": Change.unalias,
    "delete": Change.unalias,
    "remove": Change.unalias,
    "destroy": Change.destroy,
    "unplumb": Change.destroy,
    "ifdisabled": lambda change: change.ifdisabled(True),
    "-ifdisabled": lambda change: change.ifdisabled(False),
    "auto_linklocal": lambda _change: None,
    "-auto_linklocal": lambda _change: None,
}
_VALUES: dict[str, Callable[[Change, str], None]] = {
    "name": Change.rename,
    "mtu": Change.mtu,
    "netmask": Change.netmask,
    "prefixlen": Change.prefixlen,
    "vlan": lambda change, value: change.set_vlan("vlan", value),
    "vlandev": lambda change, value: change.set_vlan("vlandev", value),
}
_VALUES_VHID: dict[str, Callable[[Change, str], None]] = {
    "vhid": Change.set_vhid,
    "pass": Change.password,
    "advskew": Change.advskew,
    "advbase": Change.advbase,
    "state": Change.set_state,
}
_VALUES_PSEUDO: dict[str, Callable[[Change, str], None]] = {
    "vhid": Change.pseudo_vhid,
    "pass": Change.pseudo_pass,
    "advskew": Change.pseudo_advskew,
    "advbase": Change.pseudo_advbase,
    "state": Change.pseudo_state,
}
_VALUES_UNICAST: dict[str, Callable[[Change, str], None]] = {
    "peer": lambda change, value: change.request.set_peer(value, 4),
    "peer6": lambda change, value: change.request.set_peer(value, 6),
}
_PLAIN_UNICAST: dict[str, Callable[[Change], None]] = {
    "mcast": lambda change: change.multicast(4),
    "mcast6": lambda change: change.multicast(6),
}
