"""Which interfaces rc.d/netif finds, creates, renames and configures; network.subr of 9.3, 10.4 and 12.1.

In this order: cloned_interfaces, renaming by ``ifconfig_IF_name``, then each interface of ``network_interfaces``, and
behind each one the VLANs of ``vlans_IF``.
"""

from __future__ import annotations

import re

from bsdcarp.dataclass import dataclass
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.rcvalues import RcValues
from bsdcarp.model import Place
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.alias import variable_name

__all__ = ["UNIT", "boot_interfaces"]

UNIT = re.compile(r"carp\d{1,5}")
_CLONE = re.compile(r".*\.\d+|(vlan|bridge|lagg|epair|vxlan)\d+[ab]?")
_NAME = re.compile(r"ifconfig_(?P<variable>.+)_name")
_YES = frozenset({"yes", "true", "on", "1"})
_NUMBER = re.compile(r"[1-9][0-9]*")


def boot_interfaces(snapshot: Snapshot, can: Capabilities, rc: RcValues, notes: Notes) -> tuple[str, ...]:
    """Return the interfaces that rc configures, in its order, and note those of today that it would not."""
    return _Interfaces(snapshot, can, rc, notes).configured()


@dataclass(slots=True)
class _Interfaces:
    snapshot: Snapshot
    can: Capabilities
    rc: RcValues
    notes: Notes

    def configured(self) -> tuple[str, ...]:
        if self._disabled():
            return ()
        clones = [word.partition(":")[0] for word in self.rc.words("cloned_interfaces")]
        clones = [name for name in clones if not (self.can.syntax == "vhid" and UNIT.fullmatch(name))]
        renamed = self._renamed()
        children = set(self._all_children([*self.snapshot.interfaces, *clones, *renamed.values()]))
        found: list[str] = []
        for name in self.snapshot.interfaces:
            later = renamed.get(variable_name(name))
            if later and later != name:
                found.append(later)
                self._note_renamed(name, later)
            elif name in renamed.values() or not self._made_by_hand(name, {*clones, *children}):
                found.append(name)
        found += [name for name in (*clones, *renamed.values()) if name not in found]
        return self._started([name for name in found if name not in children], clones)

    def _disabled(self) -> bool:
        value = self.rc.get("netif_enable")
        # rc.d/netif has no such switch while it calls itself "network" (10.4 and before).
        if not self.can.netif_reads_netif or value is None or value.lower() in _YES:
            return False
        self.notes.error(
            "persist-netif-disabled",
            "netif_enable is off, so no interface is configured at boot",
            'write netif_enable="YES" or remove the line',
            self._at("netif_enable"),
            fatal=True,
        )
        return True

    def _at(self, name: str) -> Place:
        origin = self.rc.origin(name)
        return self.notes.place(origin.path, origin.line)

    def _renamed(self) -> dict[str, str]:
        """Return new names by the variable form of the old one."""
        found = {}
        for name in self.rc.names("ifconfig_"):
            match = _NAME.fullmatch(name)
            if match and self.rc.get(name):
                found[match["variable"]] = self.rc.values[name].strip()
        return found

    def _note_renamed(self, name: str, later: str) -> None:
        self.notes.error(
            "persist-interface-renamed",
            f"{name} will be called {later} after the next boot",
            f"use {later} in the inventory, or remove ifconfig_{variable_name(name)}_name",
            self._at(f"ifconfig_{variable_name(name)}_name"),
            interface=name,
        )

    def _made_by_hand(self, name: str, created: set[str]) -> bool:
        """Return whether nothing in rc.conf makes ``name``, although no driver does."""
        if name in created or UNIT.fullmatch(name):
            return name not in created
        if _CLONE.fullmatch(name):
            parent = name.rpartition(".")[0]
            cure = f"vlans_{variable_name(parent)}" if parent else "cloned_interfaces or vlans_IF"
            self.notes.error(
                "persist-interface-not-created",
                f"nothing creates {name} at boot",
                f"put it into {cure}",
                self.notes.place("/etc/rc.conf"),
                interface=name,
            )
            return True
        if not name[-1:].isdigit():
            # Every driver's interfaces end in their unit number.
            self.notes.error(
                "persist-interface-renamed",
                f"{name} got its name by hand; at boot it has its driver's name again",
                f'write ifconfig_DRIVERNAME_name="{name}" into /etc/rc.conf',
                self.notes.place("/etc/rc.conf"),
                interface=name,
            )
            return True
        return False

    def _children(self, name: str) -> list[str]:
        words = self.rc.words(f"vlans_{variable_name(name)}")
        return [f"{name}.{word}" if _NUMBER.fullmatch(word) else word for word in words]

    def _all_children(self, names: list[str]) -> list[str]:
        found: list[str] = []
        queue = list(dict.fromkeys(names))
        while queue:
            for child in self._children(queue.pop(0)):
                if child not in found:
                    found.append(child)
                    queue.append(child)
        return found

    def _started(self, names: list[str], clones: list[str]) -> tuple[str, ...]:
        chosen = self.rc.get("network_interfaces")
        automatic = chosen is None or chosen.strip().lower() == "auto"
        listed = {*self.rc.words("network_interfaces"), *clones, "lo0"}
        found: list[str] = []
        for name in names:
            if not automatic and name not in listed:
                self._skipped(name, "network_interfaces", "network_interfaces does not name it")
            elif automatic and "NOAUTO" in self._arguments(name):
                self._skipped(name, f"ifconfig_{variable_name(name)}", "it is marked NOAUTO")
            else:
                found += [name, *(c for c in self._all_children([name]) if "NOAUTO" not in self._arguments(c))]
        return tuple(dict.fromkeys(found))

    def _arguments(self, name: str) -> set[str]:
        return {word.upper() for word in self.rc.words(f"ifconfig_{variable_name(name)}")}

    def _skipped(self, name: str, variable: str, why: str) -> None:
        self.notes.error(
            "persist-interface-skipped",
            f"{name} is not configured at boot: {why}",
            'set network_interfaces="AUTO"' if variable == "network_interfaces" else "remove NOAUTO",
            self._at(variable),
            interface=name,
        )
