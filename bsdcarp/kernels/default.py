"""The changes to loader.conf: another kernel becomes the default, or the module is loaded at boot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bsdcarp.errors import PlanError
from bsdcarp.plan import FileChange, LiveChange, Plan
from bsdcarp.plan.command import command
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.freebsd import LOADER_CONF
from bsdcarp.platforms.paths import RECORD_PATH
from bsdcarp.platforms.record import Record, parse_record
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.loaderconf import LoaderConf

__all__ = ["default_plan", "file_plan", "module_plan"]

_LOADS = ("carp_load", "if_carp_load")


def default_plan(host: str, snapshot: Snapshot, name: str, can: Capabilities) -> Plan:
    """Return what makes /boot/``name``, a kernel with carp compiled in, the default; empty when it is.

    ``carp_load`` goes in the same step: with a carp.ko beside that kernel it would make it panic.  Files beside
    loader.conf come first, so that no moment has the new default and the old line.
    Raises ``PlanError`` when loader.conf holds a line that makes some loaders ignore the rest.
    """
    confs = _loader_files(host, snapshot, can)
    before = dict(confs)
    for path, conf in confs.items():
        for load in _LOADS:
            if any(entry.name == load and entry.value.upper() == "YES" for entry in conf.entries):
                confs[path] = confs[path].unset(load)
    if (_value(confs, "kernel") or "kernel") != name:
        home = _home(confs, "kernel")
        confs[home] = confs[home].set("kernel", name)
    record = parse_record(snapshot.text(RECORD_PATH))
    kept = tuple((path, line) for path, line in record.lines if path not in confs or line not in _LOADS)
    files = [*_changes(snapshot, before, confs), *_record(snapshot, replace(record, lines=kept))]
    return Plan(host, tuple(files))


def module_plan(host: str, snapshot: Snapshot, can: Capabilities) -> Plan:
    """Return what lets loader.conf load the carp module, and loads it now where the kernel may.

    Raises ``PlanError`` when loader.conf holds a line that makes some loaders ignore the rest.
    """
    module = can.module or ""
    load = f"{module}_load"
    confs = _loader_files(host, snapshot, can)
    before = dict(confs)
    record = parse_record(snapshot.text(RECORD_PATH))
    if (_value(confs, load) or "").upper() != "YES":
        home = _home(confs, load)
        confs[home] = confs[home].set(load, "YES")
        record = replace(record, lines=tuple(sorted({*record.lines, (home, load)})))
    live: tuple[LiveChange, ...] = ()
    if snapshot.carp == "absent" and snapshot.securelevel <= 0:
        # if_carp.ko refuses to go once it is loaded (recorded on FreeBSD 9.3).
        undo = () if can.syntax == "pseudo" else (command("kldunload", module),)
        live = (LiveChange("carp into the kernel", command("kldload", module), undo),)
    return Plan(host, (*_changes(snapshot, before, confs), *_record(snapshot, record)), live)


def file_plan(host: str, snapshot: Snapshot, path: str, text: str) -> Plan:
    """Return what puts a file of bsdcarp's own on the host; empty when it is there."""
    state = snapshot.files.get(path)
    if state and state.text == text:
        return Plan(host)
    record = parse_record(snapshot.text(RECORD_PATH))
    owned = record if state and path not in record.files else replace(record, files=tuple({*record.files, path}))
    return Plan(host, (FileChange(path, state.text if state else None, text), *_record(snapshot, owned)))


def _loader_files(host: str, snapshot: Snapshot, can: Capabilities) -> dict[str, LoaderConf]:
    """Return the loader's files in the order it reads them; loader.conf is always there."""
    paths = [LOADER_CONF, f"{LOADER_CONF}.local"]
    if can.loader_conf_d:
        paths += sorted(p for p in snapshot.files if p.startswith(f"{LOADER_CONF}.d/") and p.endswith(".conf"))
    confs = {p: LoaderConf.parse(snapshot.text(p)) for p in paths if p == LOADER_CONF or p in snapshot.files}
    for path, conf in confs.items():
        if conf.problems:
            line, why = conf.problems[0]
            raise PlanError(
                f"{path} line {line} may stop the loader from reading what follows: {why}",
                place=host,
                remedy="repair that line first",
            )
    return confs


def _value(confs: dict[str, LoaderConf], name: str) -> str | None:
    values = [value for conf in confs.values() if (value := conf.get(name)) is not None]
    return values[-1] if values else None


def _home(confs: dict[str, LoaderConf], name: str) -> str:
    """Return the file whose value counts, or loader.conf."""
    return next((path for path in reversed([*confs]) if confs[path].get(name) is not None), LOADER_CONF)


def _changes(snapshot: Snapshot, before: dict[str, LoaderConf], after: dict[str, LoaderConf]) -> Iterator[FileChange]:
    """Yield what differs, loader.conf last."""
    for path in sorted(after, key=lambda path: path == LOADER_CONF):
        if before[path].text != after[path].text:
            state = snapshot.files.get(path)
            yield FileChange(path, state.text if state else None, after[path].text)


def _record(snapshot: Snapshot, record: Record) -> Iterator[FileChange]:
    state = snapshot.files.get(RECORD_PATH)
    text = record.text if record else None
    if text != (state.text if state else None):
        yield FileChange(RECORD_PATH, state.text if state else None, text, mode=0o600)
