"""The rc.conf family as rc(8) will see it: effective values, and which file and line each one comes from.

The values are those that sh itself found on the host (``Snapshot.rc``); reading the text only adds where they stand,
and what is hidden behind them.  Without sh's answer (a host that was never asked) the text alone has to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.snapshot import FileState, Snapshot
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["RC_CONF", "Origin", "RcValues", "read_rc_values"]

RC_CONF = "/etc/rc.conf"
_MAIN = (RC_CONF, "/etc/rc.conf.local")
_DIRECTORIES = ("/etc/rc.conf.d", "/usr/local/etc/rc.conf.d")


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that assigns a variable.  ``value`` is None where only sh can tell it."""

    path: str
    line: int
    value: str | None = field(repr=False)
    sure: bool = True
    """False inside a condition, a function, a loop."""


@dataclass(frozen=True, slots=True)
class RcValues:
    """What rc's scripts find in their variables at boot."""

    values: Mapping[str, str] = field(repr=False)
    origins: Mapping[str, tuple[Origin, ...]]
    """By name, in the order rc reads them: the last one wins."""
    unread: Mapping[str, tuple[Origin, ...]]
    """Assignments in files that the script in question does not read on this release."""
    unseen: tuple[Origin, ...] = ()
    """Commands such as ``.`` and ``eval``, whose assignments cannot be found by reading."""

    def get(self, name: str) -> str | None:
        """Return the effective value, None when the variable is not set."""
        return self.values.get(name)

    def words(self, name: str) -> tuple[str, ...]:
        """Return the effective value cut at blanks."""
        return tuple((self.values.get(name) or "").split())

    def origin(self, name: str) -> Origin:
        """Return where the effective value comes from; a whole file when no line can be named."""
        found = self.origins.get(name, ())
        value = self.values.get(name)
        last = next((o for o in reversed(found) if o.value == value and value is not None), None)
        if last is None:
            last = found[-1] if found else None
        if last is None and self.unseen:
            return self.unseen[-1]
        return last or Origin(RC_CONF, 0, None)

    def computed(self, name: str) -> bool:
        """Return whether the value is not that of a plain assignment, so that it may differ at the next boot."""
        found = self.origins.get(name, ())
        return name in self.values and (not found or found[-1].value is None or not found[-1].sure)

    def hidden(self, name: str) -> tuple[Origin, ...]:
        """Return the plain assignments that a later one overrides with another value."""
        winner = self.origin(name)
        known = self.values.get(name)
        return tuple(
            o
            for o in self.origins.get(name, ())
            if o.sure and o.value is not None and o.value != known and (o.path, o.line) != (winner.path, winner.line)
        )

    def names(self, prefix: str) -> Iterator[str]:
        """Return the names of the variables that are set and begin with ``prefix``."""
        return (name for name in self.values if name.startswith(prefix))


def read_rc_values(snapshot: Snapshot, can: Capabilities) -> RcValues:
    """Evaluate the rc.conf family of ``snapshot`` as rc.d/netif and rc.d/kld of that release read it."""
    scripts = ("network", "netif") if can.netif_reads_netif else ("network",)
    netif = [*_present(snapshot.files, _MAIN), *_of_scripts(snapshot.files, scripts)]
    kld = [*_present(snapshot.files, _MAIN), *_of_scripts(snapshot.files, ("kld",))]
    others = [p for p in _of_scripts(snapshot.files, ("network", "netif", "kld")) if p not in netif]
    confs = {path: RcConf.parse(snapshot.files[path].text) for path in (*netif, *kld, *others)}
    origins: dict[str, list[Origin]] = {}
    unread: dict[str, list[Origin]] = {}
    for path, conf in confs.items():
        for name, origin in _origins(path, conf):
            read = path in (kld if name == "kld_list" else netif)
            (origins if read else unread).setdefault(name, []).append(origin)
    asked = bool(snapshot.rc)
    values = dict(snapshot.rc) if asked else _static(origins)
    for name, there in unread.items():
        # What sh was asked to read was more than the boot reads: the text of the others decides.
        static = _static({name: origins.get(name, [])})
        if asked and values.get(name) == there[-1].value and values.get(name) != static.get(name):
            values.pop(name, None)
            values.update(static)
    unseen = [Origin(path, line, None, sure=False) for path, conf in confs.items() for line, _ in conf.unseen]
    return RcValues(
        values=values,
        origins={name: tuple(found) for name, found in origins.items()},
        unread={name: tuple(found) for name, found in unread.items()},
        unseen=tuple(unseen),
    )


def _present(files: Mapping[str, FileState], paths: tuple[str, ...]) -> list[str]:
    return [path for path in paths if path in files]


def _of_scripts(files: Mapping[str, FileState], scripts: tuple[str, ...]) -> list[str]:
    """load_rc_config() reads NAME in every rc.conf.d, a file or all files of a directory, script by script."""
    found: list[str] = []
    for script in scripts:
        for directory in _DIRECTORIES:
            start = f"{directory}/{script}"
            found += sorted(path for path in files if path == start or path.startswith(f"{start}/"))
    return found


def _origins(path: str, conf: RcConf) -> list[tuple[str, Origin]]:
    sure = [(a.name, Origin(path, a.line, a.value)) for a in conf.assignments]
    maybe = [(name, Origin(path, line, None, sure=False)) for name, line in conf.conditional_names]
    return sorted((*sure, *maybe), key=lambda found: found[1].line)


def _static(origins: Mapping[str, list[Origin]]) -> dict[str, str]:
    """Return the values that plain assignments leave; one that only sh could tell leaves none."""
    found: dict[str, str] = {}
    for name, places in origins.items():
        sure = [o for o in places if o.sure]
        if sure and sure[-1].value is not None:
            found[name] = sure[-1].value
    return found
