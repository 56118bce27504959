"""The daemon: vhids that live on the interfaces of this machine, from the first look at it to the last good-bye.

It feeds the protocol core (``bsdcarp.carp``) with packets (``segments``), time (``agenda``) and the kernel's news
(``news``), and has the core's actions performed (``perform``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bsdcarp.carpd.config import Config, ConfigError
from bsdcarp.carpd.host import Host
from bsdcarp.carpd.news import News
from bsdcarp.carpd.reload import AddVhid, ChangeVhid, RemoveVhid, Step, steps
from bsdcarp.carpd.segments import Segments
from bsdcarp.carpd.snapshot import Finding, Snapshot, VhidStatus
from bsdcarp.carpd.vhids import Vhids

if TYPE_CHECKING:
    from bsdcarp.carpd.loop import Loop
    from bsdcarp.carpd.members import Member
    from bsdcarp.carpd.observer import Observer

__all__ = ["Daemon", "Finding", "Snapshot", "VhidStatus"]

_LOOK = 0.002


class Daemon:
    """``open``, ``run``, ``close``.  All methods are for the thread of the loop."""

    def __init__(
        self, config: Config, *, run_directory: str, load: Callable[[], Config], observer: Observer, loop: Loop
    ) -> None:
        self.config = config
        """The configuration in force."""
        self._run_directory = run_directory
        self._load = load
        self._observer = observer
        self._loop = loop
        self._vhids = Vhids(config.settings, loop, observer)
        self._segments = Segments(self._vhids, loop, observer)
        self._news: News | None = None
        self._started = loop.now()
        self._stopping = False

    def open(self) -> None:
        """Clean up after a crash, open everything, and begin.  Raise CarpdError or OSError."""
        self._vhids.host = host = Host(self._run_directory)
        for line in host.recovered:
            self._observer.log("notice", f"after an unclean end: {line}")
        self._news = News(self._loop, host, self._vhids, self._segments, self._observer.log)
        self._loop.on_gap = self._vhids.start_over
        links = {link.name: link for link in host.everything.links}
        for vhid in self.config.vhids:
            self._vhids.add(vhid, host)
        for interface in self.config.interfaces:
            self._segments.begin(interface, links.get(interface))

    def run(self) -> int:
        """Serve until ``request_stop``; everything is closed afterwards, whatever happens."""
        try:
            self._observer.ready()
            self._loop.run()
        finally:
            self.close()
        return 0

    def request_stop(self) -> None:
        """Bow out, and end ``run`` as soon as others have taken over or had their chance.  The second time: end it."""
        if self._stopping or self._vhids.host is None:
            self._loop.stop()
            return
        self._bow_out()
        self._end_soon()

    def _bow_out(self) -> None:
        """Say all good-byes first: the others take over while this host still answers."""
        self._stopping = True
        self._observer.stopping()
        now = self._loop.now()
        for member in self._vhids.members:
            member.cancel_timers()
            self._vhids.performer.perform(member.machine.stop(now))

    def _end_soon(self) -> None:
        if self._vhids.performer.lingering:
            self._loop.call_later(_LOOK, self._end_soon)
        else:
            self._loop.stop()

    def request_reload(self) -> None:
        """Read the configuration again, soon."""
        self._loop.soon(self._reload_quietly)

    def close(self) -> None:
        """Bow out and leave the machine as it was found.  Nothing to do the second time."""
        host, self._vhids.host = self._vhids.host, None
        if host is None:
            return
        try:
            if not self._stopping:
                self._bow_out()
        finally:
            if self._news is not None:
                self._news.close()
            host.close(member.presence for member in self._vhids.members)
        # What is left to be told: the addresses are gone.
        self._vhids.performer.finish()
        self._segments.close()

    def demote(self, amount: int) -> None:
        """Add ``amount``, which may be negative, to the demotion."""
        self._vhids.demote(amount)

    def undemote(self) -> int:
        """Take back all that ``demote`` added, and return it."""
        return self._vhids.undemote()

    def failover(self, vhid: int, interface: str | None = None, *, undo: bool = False) -> None:
        """Hand a vhid over to another host, or take part in the election again.  Raise LookupError with a text."""
        self._vhids.failover(vhid, interface, undo=undo)

    def reload(self) -> str | None:
        """Take over a new configuration, or say why not and keep the old one."""
        if self._stopping:
            return None
        self._observer.reloading()
        try:
            new = self._load()
        except ConfigError as error:
            for problem in error.problems:
                self._observer.log("error", f"not reloaded: {problem}")
            self._observer.reloaded(str(error))
            return str(error)
        todo = steps(self.config, new)
        self.config = new
        host = self._vhids.host
        if host is not None:
            for step in todo:
                self._take(step, host)
            self._segments.prune()
            self._segments.choose_sources()
        count = "1 change" if len(todo) == 1 else f"{len(todo)} changes"
        self._observer.log("notice", f"reloaded: {count if todo else 'nothing differs'}")
        self._observer.reloaded(None)
        return None

    def _reload_quietly(self) -> None:
        self.reload()

    def _take(self, step: Step, host: Host) -> None:
        """One step of a reload."""
        if isinstance(step, AddVhid):
            member = self._vhids.add(step.config, host)
            if step.config.interface in self._segments.all:
                self._segments.join(member)
            else:
                self._segments.begin(step.config.interface, host.route.link(step.config.interface))
        elif isinstance(step, ChangeVhid):
            self._vhids.change(step)
            self._segments.bad.forget(*step.new.key)
        elif isinstance(step, RemoveVhid):
            found = self._vhids.members.get(*step.config.key)
            if found is not None:
                self._vhids.remove(found)
            self._segments.bad.forget(*step.config.key, removed=True)
        else:
            self._vhids.set(dict(step.changes))
            self._segments.balance()

    def snapshot(self) -> Snapshot:
        """How things are."""
        now, node = self._loop.now(), self._vhids.node
        return Snapshot(
            now,
            self._started,
            node.demotion,
            node.settings,
            node.statistics,
            tuple(self._status(member) for member in self._vhids.members),
            tuple(self._findings(now)),
        )

    def _status(self, member: Member) -> VhidStatus:
        segment = self._segments.all.get(member.config.interface)
        return VhidStatus(
            member.config,
            member.machine.state,
            member.since,
            member.reason,
            member.machine.effective_advskew,
            member.machine.yielded,
            segment is not None and segment.index != 0,
        )

    def _findings(self, now: float) -> list[Finding]:
        found = []
        for member in self._vhids.members:
            trouble, config = member.trouble, member.config
            if trouble is not None:
                found.append(Finding(config.vhid, config.interface, trouble.cause, trouble.remedy))
            found += [Finding(config.vhid, config.interface, note, "") for note in member.presence.notes]
        return found + self._segments.bad.findings(now)
