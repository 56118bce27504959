"""Live commands for Linux: services are stopped, told of new files, enabled, started, restarted or reloaded.

The daemon reads files, so its commands stand on both sides of the moment when those are put in place: what goes is
stopped before, while the init system still knows it, everything else comes after.  A daemon that runs is restarted
only for another program or unit; another configuration it takes over without giving up what has not changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from bsdcarp.dataclass import dataclass
from bsdcarp.plan.change import LiveChange
from bsdcarp.plan.command import Command, command
from bsdcarp.platforms.desired import Desired, DesiredService, DesiredVhid
from bsdcarp.platforms.linux_carpd import CARPD
from bsdcarp.platforms.linux_services import CARPD_TEST, INITS, unit_name
from bsdcarp.platforms.paths import CARPD_CONFIG, CARPD_PROGRAM
from bsdcarp.snapshot import CarpdStatus, CarpdVhid, LinuxFacts, Snapshot

__all__ = ["LinuxSteps", "linux_steps", "runs_as_wanted"]

_MULTICAST = frozenset({"224.0.0.18", "ff02::12"})


@dataclass(frozen=True, slots=True)
class LinuxSteps:
    """Live changes before and after the files change, and what makes daemons read old files that were put back."""

    early: tuple[LiveChange, ...] = ()
    late: tuple[LiveChange, ...] = ()
    restored: tuple[Command, ...] = ()


def linux_steps(desired: Desired, snapshot: Snapshot, touched: Collection[str]) -> LinuxSteps:
    """Return the commands that go with changing the files ``touched``."""
    facts = snapshot.linux or LinuxFacts(init=desired.init)
    table = INITS[desired.init]
    wanted = {service.name for service in desired.services}
    gone = [n for n in dict.fromkeys(map(unit_name, desired.previous.files)) if n and n not in wanted]
    known = any(unit_name(path) for path in touched)
    late = list(_parents(desired, facts))
    if CARPD in wanted and {CARPD_CONFIG, CARPD_PROGRAM} & set(touched):
        late.append(_test())
    stale = any(facts.service(name).stale for name in wanted)
    if table.read_again and (known or stale):
        late.append(LiveChange("units are read again", command(table.read_again)))
    for service in desired.services:
        late += _service(service, desired, snapshot, touched)
    restored = [command(table.read_again)] if table.read_again and known else []
    restored += [r for service in desired.services if (r := _again(service, desired, facts, touched))]
    return LinuxSteps(tuple(_gone(gone, desired, facts)), tuple(late), tuple(restored))


def _say(template: str, name: str) -> Command:
    return command(template.format(name=name))


def _parents(desired: Desired, facts: LinuxFacts) -> Iterator[LiveChange]:
    """Carpd sets these itself while it runs; they are set first, so that it has nothing to give back when it ends."""
    low = {path: value for path, value in desired.parents.items() if facts.sysctls.get(path, 0) < value}
    if low:
        old = [f"{path}={facts.sysctls[path]}" for path in low if path in facts.sysctls]
        undo = (command("sysctl -w", *old),) if old else ()
        new = (f"{path}={value}" for path, value in low.items())
        yield LiveChange("real interfaces keep quiet about shared addresses", command("sysctl -w", *new), undo)


def _test() -> LiveChange:
    return LiveChange("carpd accepts its configuration", command(CARPD_TEST))


def _gone(names: Collection[str], desired: Desired, facts: LinuxFacts) -> Iterator[LiveChange]:
    table = INITS[desired.init]
    for name in names:
        state = facts.service(name)
        if state.running:
            numbers = tuple(owned.vhid for owned in desired.previous.vhids)
            yield LiveChange(f"{name} ends", _say(table.stop, name), (_say(table.start, name),), restarts=numbers)
        if state.enabled and table.disable:
            yield LiveChange(f"{name} leaves the boot", _say(table.disable, name), (_say(table.enable, name),))


def _service(
    service: DesiredService, desired: Desired, snapshot: Snapshot, touched: Collection[str]
) -> Iterator[LiveChange]:
    facts = snapshot.linux or LinuxFacts(init=desired.init)
    table, state, name = INITS[desired.init], facts.service(service.name), service.name
    if table.enable and not state.enabled:
        yield LiveChange(f"{name} starts at boot", _say(table.enable, name), (_say(table.disable, name),))
    if not state.running:
        yield LiveChange(f"{name} starts", _say(table.start, name), (_say(table.stop, name),), restarts=service.vhids)
    elif state.stale or set(service.restarted_by) & set(touched):
        yield LiveChange(f"{name} runs anew", _say(table.restart, name), restarts=service.vhids)
    elif set(service.reloaded_by) & set(touched) or not _in_force(service, desired, facts):
        changed = _changed(service, desired, facts.carpd)
        yield LiveChange(f"{name} reads its configuration", _say(table.reload, name), restarts=changed)


def _again(service: DesiredService, desired: Desired, facts: LinuxFacts, touched: Collection[str]) -> Command | None:
    """Return what makes a daemon that ran before run with its old files again."""
    if not facts.service(service.name).running:
        return None  # the undo of its start stops it
    if set(service.restarted_by) & set(touched):
        return _say(INITS[desired.init].restart, service.name)
    if set(service.reloaded_by) & set(touched):
        # A reload may be the very thing that failed, and the daemon must not be left between two configurations.
        either = (_say(text, service.name).shell for text in (INITS[desired.init].reload, INITS[desired.init].restart))
        return Command(("sh", "-c", " || ".join(either)))
    return None


def _in_force(service: DesiredService, desired: Desired, facts: LinuxFacts) -> bool:
    """A daemon that nobody can ask is taken at its word; the judges will say that it does not answer."""
    return service.name != CARPD or facts.carpd is None or not _changed(service, desired, facts.carpd, settings=True)


def _changed(
    service: DesiredService, desired: Desired, status: CarpdStatus | None, *, settings: bool = False
) -> tuple[int, ...]:
    """Return the vhids that the daemon carries otherwise than wanted; with ``settings``, all where those differ."""
    if status is None:
        return service.vhids
    if settings and any(status.settings.get(name) != value for name, value in desired.sysctls.items()):
        return service.vhids
    wanted = {(v.interface, v.vhid) for v in desired.vhids}
    there = {(v.interface, v.vhid): v for v in status.vhids}
    return tuple(
        dict.fromkeys(
            [v.vhid for v in desired.vhids if not runs_as_wanted(v, there)]
            + [number for interface, number in there if (interface, number) not in wanted]
        )
    )


def runs_as_wanted(vhid: DesiredVhid, there: Mapping[tuple[str, int], CarpdVhid]) -> bool:
    """Return whether carpd carries ``vhid`` as it should; ``there`` is what it carries, by interface and number."""
    found = there.get((vhid.interface, vhid.vhid))
    return found is not None and (
        (found.advbase, found.advskew, found.digest, found.virtual_mac)
        == (vhid.advbase, vhid.advskew, vhid.password.digest, vhid.virtual_mac)
        and set(found.addresses) == {str(address) for address in vhid.addresses}
        and ({found.peer, found.peer6} - _MULTICAST - {""}) == {vhid.peer, vhid.peer6} - {None}
    )
