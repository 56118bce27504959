"""Everything of the machine that the daemon holds open, made in the order in which it depends on each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bsdcarp.carpd.journal import Journal
from bsdcarp.carpd.presence import Kernel, Presence, Spec, recover, remove_all
from bsdcarp.carpd.rtnl.monitor import Everything, Monitor
from bsdcarp.carpd.rtnl.route import Route
from bsdcarp.carpd.sysctls import Sysctls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsdcarp.carpd.config import VhidConfig

__all__ = ["Host", "spec"]


def spec(config: VhidConfig, *, arpbalance: bool) -> Spec:
    """What of a vhid's configuration concerns the host."""
    return Spec(config.vhid, config.interface, config.addresses, config.virtual_mac, arpbalance)


class Host:
    """The kernel as one sees it through netlink and /proc/sys, with what a dead carpd left behind removed."""

    def __init__(self, run_directory: str) -> None:
        """Raise Busy if another carpd lives there, NetlinkError or OSError if this is no place for a daemon."""
        self.journal = Journal(Path(run_directory) / "journal.json")
        self.journal.acquire()
        try:
            self.route = Route()
            self.sysctls = Sysctls(self.journal)
            self.recovered = recover(self.route, self.journal, self.sysctls)
            """What was found of a dead carpd, as lines for the log."""
            self.kernel = Kernel(self.route, self.sysctls, self.journal)
            self.monitor = Monitor(self.route)
            self.everything: Everything = self.monitor.snapshot()
            self.kernel.refresh()
        except Exception:
            self.journal.close()
            raise

    def close(self, presences: Iterable[Presence]) -> None:
        """Leave the machine as it was found."""
        remove_all(presences)
        self.sysctls.release_all()
        self.monitor.close()
        self.route.close()
        self.journal.close()
