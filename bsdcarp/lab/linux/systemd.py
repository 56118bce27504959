"""systemd of a simulated Linux host: units, jobs and what becomes of them, with the journal's lines (systemd 252)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bsdcarp.lab.filetree import FileTree
from bsdcarp.lab.linux.units import Unit, UnitFiles

__all__ = ["EXEC", "Failed", "Process", "Programs", "Service", "Systemd"]

EXEC = 203
"""The status of a process whose program could not be executed (systemd.exec(5))."""
_RESTART_AFTER = 0.1
_EXIT_NAMES = {0: "SUCCESS", 1: "FAILURE", 2: "INVALIDARGUMENT", 78: "CONFIG", 127: "n/a", 203: "EXEC"}
Result = Literal["done", "failed", "unreloaded", "invalid", "skipped"]


class Process(Protocol):
    """The main process of a service."""

    def stop(self) -> None: ...

    def kill(self) -> None: ...


class Failed(Exception):
    """A program left with ``status`` instead of doing what a service does; ``lines`` is what it said."""

    def __init__(self, status: int, *lines: str) -> None:
        super().__init__(status)
        self.status = status
        self.lines = lines


class Programs(Protocol):
    """Runs what ExecStart= names."""

    def spawn(self, command: str, pid: int, log: Callable[[str], None]) -> Process | None:
        """Start a program; None for one that does nothing that the lab simulates.  Raises :class:`Failed`."""
        ...

    def signal(self, process: Process | None, command: str) -> None:
        """Run ExecReload= on a running program.  Raises :class:`Failed`."""
        ...


@dataclass(slots=True)
class Service:
    """What systemd remembers of a unit.  ``unit`` is as it was loaded, whatever its file says by now."""

    name: str
    unit: Unit | None = None
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    pid: int = 0
    last_pid: int = 0
    status: int = 0
    restarts: int = 0
    since: float | None = None
    """When it came to where it is; None for never."""
    process: Process | None = field(default=None, repr=False)


class Systemd:
    """The manager.  ``later`` runs something after so many seconds, ``log`` takes (unit, identifier, pid, text)."""

    def __init__(
        self,
        tree: FileTree,
        programs: Programs,
        *,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
        log: Callable[[str, str, int, str], None],
    ) -> None:
        self.files = UnitFiles(tree)
        self._tree = tree
        self._programs = programs
        self._services: dict[str, Service] = {}
        self._now = now
        self._later = later
        self._log = log
        self._next_pid = 400

    def service(self, name: str) -> Service:
        """Return a unit, loading it when that has not happened or it was not found the last time."""
        known = self._services.get(name)
        if known is None or (known.unit is None and known.active == "inactive"):
            known = Service(name, self.files.read(name))
            if known.unit is not None:
                self._services[name] = known
        return known

    def loaded(self, name: str) -> str:
        """LoadState=: ``loaded``, ``masked`` or ``not-found``."""
        if self.files.masked(name):
            return "masked"
        return "not-found" if self.service(name).unit is None else "loaded"

    def stale(self, name: str) -> bool:
        """NeedDaemonReload=: the file is not what was loaded."""
        unit = self.service(name).unit
        fresh = self.files.read(name)
        return unit is not None and (fresh is None or fresh.text != unit.text)

    def daemon_reload(self) -> None:
        """Read all unit files again."""
        for service in list(self._services.values()):
            service.unit = self.files.read(service.name)
            if service.unit is None and service.active == "inactive":
                del self._services[service.name]

    def new_pid(self) -> int:
        self._next_pid += 11
        return self._next_pid

    # -- jobs -----------------------------------------------------------------------------------------------------

    def start(self, name: str) -> Result:
        """Start a unit that is loaded.  A unit that runs already is done."""
        service = self.service(name)
        if service.active == "active" or service.unit is None:
            return "done"
        if unmet := self._unmet(service.unit):
            self._say(service, f"{service.unit.title} was skipped because of an unmet condition check ({unmet}).")
            return "skipped"
        self._say(service, f"Starting {service.unit.title}...")
        return self._spawn(service, service.unit)

    def stop(self, name: str) -> None:
        """Stop a unit; one that does not run stays as it is, one that failed forgets it."""
        service = self.service(name)
        title = service.name if service.unit is None else service.unit.title
        if service.active == "activating":
            self._say(service, f"Stopped {title}.")
            self._rest(service, "inactive", "dead")
        elif service.active == "active":
            self._say(service, f"Stopping {title}...")
            if service.process is not None:
                service.process.stop()
            self._say(service, f"{service.name}: Deactivated successfully.")
            self._say(service, f"Stopped {title}.")
            self._rest(service, "inactive", "dead")

    def restart(self, name: str) -> Result:
        self.stop(name)
        service = self.service(name)
        return "done" if service.unit is None else self.start(name)

    def reload(self, name: str) -> Result:
        """Run ExecReload=; ``invalid`` when the unit is not active."""
        service = self.service(name)
        if service.active != "active" or service.unit is None:
            self._say(service, f"{name}: Unit cannot be reloaded because it is inactive.")
            return "invalid"
        self._say(service, f"Reloading {service.unit.title}...")
        for command in service.unit.settings.get(("Service", "ExecReload"), ()):
            try:
                self._programs.signal(service.process, command)
            except Failed as failed:
                for line in failed.lines:
                    self._log(name, "python3", self.new_pid(), line)
                self._say(service, f"{name}: Control process exited, code=exited, {_exited(failed.status)}")
                self._say(service, f"Reload failed for {service.unit.title}.")
                return "unreloaded"
        self._say(service, f"Reloaded {service.unit.title}.")
        return "done"

    def kill(self, name: str) -> None:
        """The main process dies by SIGKILL; systemd does what Restart= says."""
        service = self.service(name)
        if service.active != "active" or service.unit is None:
            return
        text = f"{name}: Sent signal SIGKILL to main process {service.pid} (python3) on client request."
        self._say(service, text)
        if service.process is not None:
            service.process.kill()
        self._say(service, f"{name}: Main process exited, code=killed, status=9/KILL")
        self._fail(service, service.unit, "signal", 9)

    def reset_failed(self, name: str) -> None:
        service = self.service(name)
        if service.active == "failed":
            self._rest(service, "inactive", "dead")
            service.result = "success"

    def shutdown(self) -> None:
        """Stop everything, as a reboot does."""
        for service in list(self._services.values()):
            self.stop(service.name)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _spawn(self, service: Service, unit: Unit) -> Result:
        pid = service.last_pid = self.new_pid()
        command = unit.last("Service", "ExecStart")
        try:
            service.process = self._programs.spawn(
                command, pid, lambda text: self._log(service.name, "python3", pid, text)
            )
        except Failed as failed:
            self._died(service, unit, pid, failed)
            return "failed"
        if unit.last("Service", "Type") == "oneshot":
            stays = unit.last("Service", "RemainAfterExit") == "yes"
            self._rest(service, "active" if stays else "inactive", "exited" if stays else "dead")
            self._say(service, f"Finished {unit.title}.")
            return "done"
        self._rest(service, "active", "running")
        service.pid, service.result = pid, "success"
        self._say(service, f"Started {unit.title}.")
        return "done"

    def _died(self, service: Service, unit: Unit, pid: int, failed: Failed) -> None:
        program = (unit.last("Service", "ExecStart").split() or [""])[0].lstrip("-+!@:")
        identifier = program.rsplit("/", 1)[-1]
        if failed.status == EXEC:
            for what in ("to locate executable", "at step EXEC spawning"):
                why = f"{service.name}: Failed {what} {program}: No such file or directory"
                self._log(service.name, f"({identifier[:8]})", pid, why)
        for line in failed.lines:
            self._log(service.name, identifier, pid, line)
        self._say(service, f"{service.name}: Main process exited, code=exited, {_exited(failed.status)}")
        self._fail(service, unit, "exit-code", failed.status)
        self._say(service, f"Failed to start {unit.title}.")

    def _fail(self, service: Service, unit: Unit, result: str, status: int) -> None:
        self._say(service, f"{service.name}: Failed with result '{result}'.")
        prevented = {int(word) for word in unit.last("Service", "RestartPreventExitStatus").split() if word.isdigit()}
        again = unit.last("Service", "Restart", "no") in {"always", "on-failure", "on-abnormal", "on-abort"}
        if again and status not in prevented:
            self._rest(service, "activating", "auto-restart")
            self._later(_seconds(unit.last("Service", "RestartSec", "100ms")), lambda: self._again(service))
        else:
            self._rest(service, "failed", "failed")
        service.result, service.status = result, status

    def _again(self, service: Service) -> None:
        if service.sub != "auto-restart" or service.unit is None:
            return
        service.restarts += 1
        self._say(service, f"{service.name}: Scheduled restart job, restart counter is at {service.restarts}.")
        self._say(service, f"Stopped {service.unit.title}.")
        self._rest(service, "inactive", "dead")
        self.start(service.name)

    def _rest(self, service: Service, active: str, sub: str) -> None:
        service.active, service.sub, service.since = active, sub, self._now()
        service.pid = 0
        if active != "active":
            service.process = None

    def _unmet(self, unit: Unit) -> str:
        for path in unit.settings.get(("Unit", "ConditionFileNotEmpty"), ()):
            if not self._tree.read(path):
                return f"ConditionFileNotEmpty={path}"
        for path in unit.settings.get(("Unit", "ConditionPathExists"), ()):
            if not self._tree.exists(path):
                return f"ConditionPathExists={path}"
        return ""

    def _say(self, service: Service, text: str) -> None:
        self._log(service.name, "systemd", 1, text)


def _exited(status: int) -> str:
    return f"status={status}/{_EXIT_NAMES.get(status, 'n/a')}"


def _seconds(text: str) -> float:
    """Read a time span of systemd.time(7) with one unit, like 200ms or 5s."""
    if text.endswith("ms"):
        return float(text[:-2]) / 1000
    return float(text.removesuffix("s") or _RESTART_AFTER)
