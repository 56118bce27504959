"""What systemctl prints about units without changing anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bsdcarp.lab.linux.commands.order import Order, warn_if_stale
from bsdcarp.lab.linux.systemd import Service

if TYPE_CHECKING:
    from bsdcarp.lab.linux.machine import LinuxMachine

__all__ = ["cat", "is_active", "is_enabled", "is_system_running", "list_units", "show", "status"]

# In the order in which systemctl show prints them: those of the service, then those of the unit.
_PROPERTIES: dict[str, Callable[[LinuxMachine, Service], str]] = {
    "Type": lambda _m, s: "" if s.unit is None else s.unit.last("Service", "Type", "simple"),
    "MainPID": lambda _m, s: str(s.pid),
    "Result": lambda _m, s: s.result,
    "NRestarts": lambda _m, s: str(s.restarts),
    "ExecMainStatus": lambda _m, s: str(s.status),
    "Id": lambda _m, s: s.name,
    "Description": lambda _m, s: s.name if s.unit is None else s.unit.last("Unit", "Description", s.name),
    "LoadState": lambda m, s: m.systemd.loaded(s.name),
    "ActiveState": lambda _m, s: s.active,
    "SubState": lambda _m, s: s.sub,
    "FragmentPath": lambda _m, s: "" if s.unit is None else s.unit.path,
    "DropInPaths": lambda _m, s: "" if s.unit is None else " ".join(s.unit.dropins),
    "UnitFileState": lambda m, s: m.systemd.files.state(s.name),
    "NeedDaemonReload": lambda m, s: "yes" if m.systemd.stale(s.name) else "no",
}


def is_active(order: Order) -> None:
    """Print the state of units; 3 when none is active, 1 when none has failed."""
    states = [order.machine.systemd.service(name).active for name in order.names]
    wanted = "failed" if order.verb == "is-failed" else "active"
    if "-q" not in order.flags and "--quiet" not in order.flags:
        order.out += [f"{state}\n" for state in states]
    if wanted not in states:
        order.status = 1 if wanted == "failed" else 3


def is_enabled(order: Order) -> None:
    """Print whether units start at boot."""
    good = False
    for name in order.names:
        state = order.machine.systemd.files.state(name)
        if not state:
            order.err.append(f"Failed to get unit file state for {name}: No such file or directory\n")
        elif "-q" not in order.flags and "--quiet" not in order.flags:
            order.out.append(f"{state}\n")
        good |= state in {"enabled", "static"}
    order.status = 0 if good else 1


def show(order: Order) -> None:
    """Print properties as lines KEY=VALUE, a block for each unit."""
    chosen = [key for key in _PROPERTIES if not order.properties or key in order.properties]
    blocks: list[str] = []
    for name in order.names:
        service = order.machine.systemd.service(name)
        values = {key: _PROPERTIES[key](order.machine, service) for key in chosen}
        if "--value" in order.flags:
            blocks.append("".join(f"{value}\n" for value in values.values()))
        else:
            shown = ((key, value) for key, value in values.items() if value or order.properties)
            blocks.append("".join(f"{key}={value}\n" for key, value in shown))
    order.out.append("\n".join(blocks))


def status(order: Order) -> None:
    """Describe units for people."""
    machine = order.machine
    for name in order.names:
        service = machine.systemd.service(name)
        if machine.systemd.loaded(name) == "not-found":
            order.fail(f"Unit {name} could not be found.", 4)
            continue
        warn_if_stale(order, name)
        order.out.append(_description(machine, service, order.lines))
        if service.active != "active":
            order.status = order.status or 3


def _description(machine: LinuxMachine, service: Service, lines: int) -> str:
    dot = {"active": "●", "failed": "\u00d7", "activating": "●"}.get(service.active, "○")
    unit = service.unit
    state = machine.systemd.files.state(service.name)
    path = "" if unit is None else f" ({unit.path}; {state}; preset: enabled)"
    if state == "masked":
        path = f" (Reason: Unit {service.name} is masked.)"
    how = f"{service.active} ({service.sub})"
    if service.active == "failed":
        how = f"failed (Result: {service.result})"
    elif service.sub == "auto-restart":
        how = f"activating (auto-restart) (Result: {service.result})"
    text_lines = [
        f"{dot} {service.name if unit is None else unit.title}",
        f"     Loaded: {machine.systemd.loaded(service.name)}{path}",
        f"     Active: {how}{_since(machine, service.since)}",
    ]
    if service.pid:
        text_lines.append(f"   Main PID: {service.pid} (python3)")
    elif service.last_pid and unit is not None and service.result != "success":
        code = f"code=exited, status={service.status}"
        text_lines.append(f"    Process: {service.last_pid} ExecStart={unit.last('Service', 'ExecStart')} ({code})")
        text_lines.append(f"   Main PID: {service.last_pid} ({code})")
    said = machine.journal.of(service.name, machine.generation)[-lines:] if lines else []
    if said:
        text_lines += ["", *(entry.line(machine.hostname) for entry in said)]
    return "".join(f"{line}\n" for line in text_lines)


def _since(machine: LinuxMachine, moment: float | None) -> str:
    if moment is None:
        return ""
    clock = machine.network.clock
    ago = max(0.0, clock.now() - moment)
    when = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(clock.wall() - ago))
    return f" since {when}; {int(ago)}s ago"


def cat(order: Order) -> None:
    """Print unit files with their drop-ins."""
    for name in order.names:
        unit = order.machine.systemd.files.read(name)
        if unit is None:
            order.fail(f"No files found for {name}.")
            continue
        order.out.append("\n".join(f"# {p}\n{order.machine.read(p) or ''}" for p in (unit.path, *unit.dropins)))


def list_units(order: Order) -> None:
    """Print what is not inactive."""
    for name in order.names or order.machine.systemd.files.enabled():
        service = order.machine.systemd.service(name)
        if service.active != "inactive":
            title = "" if service.unit is None else service.unit.last("Unit", "Description")
            order.out.append(f"  {name} loaded {service.active} {service.sub} {title}\n")


def is_system_running(order: Order) -> None:
    """Say whether something has failed."""
    names = order.machine.systemd.files.enabled()
    broken = any(order.machine.systemd.service(name).active == "failed" for name in names)
    order.out.append("degraded\n" if broken else "running\n")
    order.status = 1 if broken else 0
