"""The one function that compares, and the order in which its changes have to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bsdcarp.model import Finding, Severity
from bsdcarp.plan import live_pseudo, live_vhid
from bsdcarp.plan.change import LINUX_STATE, FileChange, LiveChange, Plan, ProgramChange
from bsdcarp.plan.command import Command, command
from bsdcarp.plan.live_linux import linux_steps
from bsdcarp.plan.livestate import live_state
from bsdcarp.platforms.desired import Desired
from bsdcarp.platforms.freebsd import SYSCTL_CONF, SYSCTL_CONF_LOCAL
from bsdcarp.snapshot import Snapshot
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.textfiles.sysctlconf import SysctlConf

__all__ = ["plan"]

_PREFIX = "net.inet.carp."
_KERNEL_DEFAULTS = {"allow": 1, "preempt": 0, "log": 1, "arpbalance": 0}
"""sys/netinet/ip_carp.c of every release."""


def plan(desired: Desired, snapshot: Snapshot) -> Plan:
    """Return what turns ``snapshot`` into ``desired``; empty when nothing has to change."""
    if desired.capabilities.syntax == "linux":
        return _linux(desired, snapshot)
    files = tuple(_files(desired, snapshot))
    reachable = desired.kernel != "static" or snapshot.carp != "absent"
    live: list[LiveChange] = []
    if desired.kernel == "module":
        live.append(_module(desired))
    if reachable:
        era = live_pseudo if desired.capabilities.syntax == "pseudo" else live_vhid
        live += _sysctls(desired, snapshot)
        live += era.changes(desired, snapshot)
        live += _forgotten_sysctls(desired, snapshot)
    notes = tuple(_notes(desired, snapshot))
    return Plan(desired.host, files, tuple(live), notes, expects=live_state(snapshot))


def _files(desired: Desired, snapshot: Snapshot) -> Iterator[FileChange]:
    for path, wanted in desired.files.items():
        state = snapshot.files.get(path)
        before = state.text if state else None
        if before != wanted.text:
            yield FileChange(path, before, wanted.text, wanted.mode, wanted.hidden)


def _programs(desired: Desired, snapshot: Snapshot) -> Iterator[ProgramChange]:
    for path, wanted in desired.programs.items():
        before = (snapshot.linux.program if snapshot.linux else "") or None
        after = None if wanted.data is None else cksum(wanted.data)
        if before != after:
            yield ProgramChange(path, before, wanted.data, wanted.title, wanted.mode)


def _linux(desired: Desired, snapshot: Snapshot) -> Plan:
    files: tuple[FileChange | ProgramChange, ...] = (*_programs(desired, snapshot), *_files(desired, snapshot))
    steps = linux_steps(desired, snapshot, {change.path for change in files})
    return Plan(
        desired.host,
        files,
        (*steps.early, *steps.late),
        early=len(steps.early),
        restored=steps.restored,
        init=desired.init,
        state=LINUX_STATE,
    )


def _module(desired: Desired) -> LiveChange:
    # if_carp.ko refuses to go once it is loaded (recorded on FreeBSD 9.3).
    stays = desired.capabilities.syntax == "pseudo"
    return LiveChange(
        "carp into the kernel",
        command("kldload", desired.module),
        () if stays else (command("kldunload", desired.module),),
    )


def _sysctls(desired: Desired, snapshot: Snapshot) -> Iterator[LiveChange]:
    yield from _set(desired.sysctls, snapshot)


def _forgotten_sysctls(desired: Desired, snapshot: Snapshot) -> Iterator[LiveChange]:
    """Set what bsdcarp no longer asks for to what the next boot would give: the files' value, or the kernel's own."""
    texts = [desired.files[path].text or "" for path in (SYSCTL_CONF_LOCAL, SYSCTL_CONF) if path in desired.files]
    confs = [SysctlConf.parse(text) for text in texts]
    gone = {
        name.removeprefix(_PREFIX) for path in (SYSCTL_CONF, SYSCTL_CONF_LOCAL) for name in desired.previous.names(path)
    }
    for name, default in _KERNEL_DEFAULTS.items():
        if name in gone and name not in desired.sysctls and name in snapshot.sysctls:
            filed = next((value for conf in confs if (value := conf.get(_PREFIX + name)) is not None), str(default))
            if filed.isascii() and filed.isdigit():
                yield from _set({name: int(filed)}, snapshot)


def _set(wanted: Mapping[str, int], snapshot: Snapshot) -> Iterator[LiveChange]:
    """One sysctl(8) for all that differ: a process each is what costs time on the host."""
    new = {name: value for name, value in wanted.items() if snapshot.sysctls.get(name) != value}
    old = {name: snapshot.sysctls[name] for name in new if name in snapshot.sysctls}
    if new:
        undo = (Command(("sysctl", *_assignments(old))),) if old else ()
        yield LiveChange(f"{_PREFIX}{', '.join(new)}", Command(("sysctl", *_assignments(new))), undo)


def _assignments(values: Mapping[str, int]) -> Iterator[str]:
    return (f"{_PREFIX}{name}={value}" for name, value in values.items())


def _notes(desired: Desired, snapshot: Snapshot) -> Iterator[Finding]:
    if desired.kernel != "static":
        return
    if snapshot.carp == "absent":
        why = "this release has no module for it"
        if desired.capabilities.module:
            why = "the inventory asks for one that has it built in"
        yield Finding(
            "kernel-without-carp",
            Severity.WARNING,
            f"the running kernel has no carp and {why}, so nothing can go live yet",
            "build one and boot it: bsdcarp kernel build, then bsdcarp kernel install; then apply again",
            host=desired.host,
        )
    else:
        yield Finding(
            "kernel-still-module",
            Severity.INFO,
            "carp comes from a module; the kernel with `device carp` that the inventory asks for does not run yet",
            "bsdcarp kernel build, then bsdcarp kernel install",
            host=desired.host,
        )
