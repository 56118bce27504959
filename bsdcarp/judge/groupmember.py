"""One member of a group as it runs: its state, its place in the election, its addresses."""

from __future__ import annotations

from bsdcarp.dataclass import dataclass
from bsdcarp.judge.verifyvhids import addresses_on, live_vhid
from bsdcarp.model import IfAddress
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.platforms.linux_carpd import CARPD
from bsdcarp.snapshot import Snapshot, VhidState

__all__ = ["GroupMember", "read_member"]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A reachable member of a group."""

    name: str
    desired: Desired
    snapshot: Snapshot
    vhid: DesiredVhid
    live: VhidState | None
    addresses: tuple[IfAddress, ...]
    """Attached to the vhid now; empty where the vhid is not visible."""

    @property
    def state(self) -> str:
        """MASTER, BACKUP or INIT; on Linux MASTER is who holds the addresses; empty when there is no such vhid."""
        if self.live:
            return self.live.state
        if self.desired.capabilities.syntax == "linux":
            if self._silent:
                return ""
            return "MASTER" if {a.address for a in self.vhid.addresses} <= self._texts() else "BACKUP"
        return ""

    @property
    def _silent(self) -> bool:
        """On Linux: the service that should carry the vhid is not there, or does not say how it fares."""
        facts = self.snapshot.linux
        service = next((s for s in self.desired.services if self.vhid.vhid in s.vhids), None)
        if facts is None or service is None:
            return False
        return service.name == CARPD or not facts.service(service.name).running

    @property
    def sent_away(self) -> bool:
        """On Linux: somebody sent the vhid away by hand, and it stays so."""
        status = self.snapshot.linux.carpd if self.snapshot.linux else None
        key = (self.vhid.interface, self.vhid.vhid)
        return any(v.failover for v in status.vhids if (v.interface, v.vhid) == key) if status else False

    @property
    def preempt(self) -> int | None:
        """net.inet.carp.preempt, None where nobody can tell."""
        return self.snapshot.sysctls.get("preempt")

    @property
    def pace(self) -> tuple[int, int]:
        """The live advbase and advskew, which decide an election: the lower, the better."""
        source = self.live or self.vhid
        return source.advbase, source.advskew

    @property
    def wish(self) -> tuple[int, int]:
        """The advbase and advskew that the inventory wants."""
        return self.vhid.advbase, self.vhid.advskew

    @property
    def address_list(self) -> tuple[str, ...]:
        """The addresses in the order in which the digest covers them."""
        return tuple(str(a.ip) for a in sorted(self.addresses, key=lambda a: (a.version, int(a.ip))))

    @property
    def own(self) -> frozenset[str]:
        """The real interface's own addresses."""
        interface = self.snapshot.interfaces.get(self.vhid.interface)
        return frozenset(a.text for a in interface.addresses_of(0)) if interface else frozenset()

    def _texts(self) -> set[str]:
        interface = self.snapshot.interfaces.get(self.vhid.interface)
        return {a.text for a in interface.addresses} if interface else set()


def read_member(group: str, name: str, desired: Desired, snapshot: Snapshot) -> GroupMember | None:
    """Return how host ``name`` carries ``group``, None when it is no member."""
    vhid = next((v for v in desired.vhids if v.group == group), None)
    if vhid is None:
        return None
    interface, live = live_vhid(vhid, snapshot)
    addresses = addresses_on(vhid, interface) if interface and live else ()
    return GroupMember(name, desired, snapshot, vhid, live, addresses)
