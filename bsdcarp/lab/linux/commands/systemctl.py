"""systemctl(1) of systemd 252: what it prints, on which stream, and the status it leaves with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bsdcarp.lab.linux.commands import unitquestions
from bsdcarp.lab.linux.commands.order import Order, warn_if_stale
from bsdcarp.lab.linux.systemd import Result, Service
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.linux.machine import LinuxMachine

__all__ = ["run"]

_GRACE = 0.05
_SUFFIXES = (".service", ".target", ".socket", ".timer", ".path", ".mount", ".slice")
_NO_INSTALL = """\
The unit files have no installation config (WantedBy=, RequiredBy=, Also=,
Alias= settings in the [Install] section, and DefaultInstance= for template
units). This means they are not meant to be enabled using systemctl.
{blank}
Possible reasons for having this kind of units are:
• A unit may be statically enabled by being symlinked from another unit's
  .wants/ or .requires/ directory.
• A unit's purpose may be to act as a helper for some other unit which has
  a requirement dependency on it.
• A unit may be started when needed via activation (socket, path, timer,
  D-Bus, udev, scripted systemctl call, ...).
• In case of template units, the unit is meant to be enabled with some
  instance name specified.
""".format(blank=" ")  # as systemd prints it
_WITH_VALUE = {"-p", "--property", "-n", "--lines", "-o", "--output", "-s", "--signal", "-t", "--type", "--state"}
_FLAGS = {
    "-q", "--quiet", "--now", "--no-pager", "--no-block", "--value", "-l", "--full", "-a", "--all", "--no-legend",
    "--system", "-f", "--force", "--no-ask-password", "--wait", "--no-reload", "--plain", "--runtime",
}  # fmt: skip


def run(machine: LinuxMachine, call: Call) -> Reply:
    """Run systemctl."""
    order = Order(machine, "", [], set(), [])
    words = list(call.args)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            order.names.append(word)
        elif name in _WITH_VALUE:
            value = value if equals else (words.pop(0) if words else "")
            if name in {"-p", "--property"}:
                order.properties += value.split(",")
            elif name in {"-n", "--lines"} and value.isdigit():
                order.lines = int(value)
        elif word in _FLAGS:
            order.flags.add(word)
        elif word == "--version":
            return text(f"systemd {machine.release.systemd} ({machine.release.systemd})\n+PAM +AUDIT +SELINUX\n")
        elif word.startswith("--"):
            return failure(f"systemctl: unrecognized option '{name}'")
        else:
            return failure(f"systemctl: invalid option -- '{word[1:2]}'")
    order.verb = order.names.pop(0) if order.names else "list-units"
    return _verb(order, is_root=call.is_root)


def _verb(order: Order, *, is_root: bool) -> Reply:
    verb = order.verb
    if verb not in _VERBS:
        return failure(f"Unknown command verb {verb}.")
    action, least, changes = _VERBS[verb]
    if len(order.names) < least:
        return failure("Too few arguments.")
    if least == 0 and order.names and verb not in {"status", "show", "list-units", "reset-failed"}:
        return failure("Too many arguments.")
    order.names = [_full(name) for name in order.names]
    if changes and not is_root:
        return _unauthorised(verb, order.names)
    action(order)
    return order.reply()


def _full(name: str) -> str:
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def _unauthorised(verb: str, names: Sequence[str]) -> Reply:
    if verb in {"enable", "disable", "mask", "unmask", "reenable"}:
        return failure(f"Failed to {verb} unit: Access denied")
    if verb == "daemon-reload":
        return failure("Reload daemon failed: Access denied")
    if not names:
        return failure(f"Call to {verb.capitalize()} failed: Access denied")
    unit = names[0]
    return failure(
        f"Failed to {verb} {unit}: Access denied\nSee system logs and 'systemctl status {unit}' for details.", 4
    )


# -- jobs -----------------------------------------------------------------------------------------------------------


def _job(order: Order) -> None:
    verb = order.verb
    for name in order.names:
        warn_if_stale(order, name)
        if _refused(order, name, "restart" if "restart" in verb else verb):
            continue
        service = order.machine.systemd.service(name)
        running = service.active == "active"
        if verb == "start":
            _report(order, name, order.machine.systemd.start(name))
        elif verb == "stop":
            order.machine.systemd.stop(name)
        elif verb == "restart" or (verb == "try-restart" and running):
            _report(order, name, order.machine.systemd.restart(name))
        elif verb == "reload" or (verb == "reload-or-restart" and running and _reloads(service)):
            _report(order, name, order.machine.systemd.reload(name))
        elif verb == "reload-or-restart":
            _report(order, name, order.machine.systemd.restart(name))


def _reloads(service: Service) -> bool:
    return service.unit is not None and bool(service.unit.settings.get(("Service", "ExecReload")))


def _refused(order: Order, name: str, verb: str) -> bool:
    systemd = order.machine.systemd
    state = systemd.loaded(name)
    if verb == "stop":
        if state == "not-found" and systemd.service(name).active == "inactive":
            order.fail(f"Failed to stop {name}: Unit {name} not loaded.", 5)
            return True
        return False
    if state == "masked":
        order.fail(f"Failed to {verb} {name}: Unit {name} is masked.")
    elif state == "not-found":
        order.fail(f"Failed to {verb} {name}: Unit {name} not found.", 5)
    elif verb == "reload" and not _reloads(systemd.service(name)):
        order.fail(f"Failed to reload {name}: Job type reload is not applicable for unit {name}.", 3)
    else:
        return False
    return True


def _report(order: Order, name: str, result: Result) -> None:
    if result in {"failed", "unreloaded"}:
        why = " because the control process exited with error code" if result == "failed" else ""
        order.fail(
            f'Job for {name} failed{why}.\nSee "systemctl status {name}" and "journalctl -xeu {name}" for details.'
        )
    elif result == "invalid":
        order.fail(f"{name} is not active, cannot reload.")


def _daemon_reload(order: Order) -> None:
    order.machine.systemd.daemon_reload()


def _reset_failed(order: Order) -> None:
    systemd = order.machine.systemd
    for name in order.names or systemd.files.enabled():
        if systemd.loaded(name) == "not-found":
            order.fail(f"Failed to reset failed state of unit {name}: Unit {name} not loaded.")
        systemd.reset_failed(name)


def _kill(order: Order) -> None:
    for name in order.names:
        order.machine.systemd.kill(name)


# -- unit files -----------------------------------------------------------------------------------------------------


def _enable(order: Order) -> None:
    files = order.machine.systemd.files
    for name in order.names:
        path = files.find(name)
        if path is None:
            order.fail(f"Failed to {order.verb} unit: Unit file {name} does not exist.")
            return
        if files.masked(name):
            order.fail(f"Failed to {order.verb} unit: Unit file {path} is masked.")
            return
        if order.verb == "reenable":
            order.err += [f'Removed "{link}".\n' for link in files.disable(name)]
        if not files.wanted_by(name):
            order.err.append(_NO_INSTALL)
        order.err += [f"Created symlink {link} → {target}.\n" for link, target in files.enable(name)]
        order.machine.systemd.daemon_reload()
        if "--now" in order.flags:
            _report(order, name, order.machine.systemd.start(name))


def _disable(order: Order) -> None:
    files = order.machine.systemd.files
    for name in order.names:
        gone = files.disable(name)
        if files.find(name) is None and not gone:
            order.fail(f"Failed to disable unit: Unit file {name} does not exist.")
            return
        order.err += [f'Removed "{link}".\n' for link in gone]
        order.machine.systemd.daemon_reload()
        if "--now" in order.flags:
            order.machine.systemd.stop(name)


def _mask(order: Order) -> None:
    files = order.machine.systemd.files
    for name in order.names:
        if order.verb == "unmask":
            if (link := files.unmask(name)) is not None:
                order.err.append(f'Removed "{link}".\n')
        elif not files.masked(name):
            if files.find(name) is None:
                order.err.append(f"Unit {name} does not exist, proceeding anyway.\n")
            link = files.mask(name)
            if link is None:
                order.fail(f"Failed to mask unit: File {files.find(name)} already exists.")
                return
            order.err.append(f"Created symlink {link} → /dev/null.\n")
        order.machine.systemd.daemon_reload()


def _power(order: Order) -> None:
    machine = order.machine
    machine.network.schedule(_GRACE, machine.reboot if order.verb == "reboot" else machine.halt)


_VERBS: dict[str, tuple[Callable[[Order], None], int, bool]] = {
    **dict.fromkeys(("start", "stop", "restart", "try-restart", "reload", "reload-or-restart"), (_job, 1, True)),
    **dict.fromkeys(("enable", "reenable"), (_enable, 1, True)),
    "disable": (_disable, 1, True),
    **dict.fromkeys(("mask", "unmask"), (_mask, 1, True)),
    "daemon-reload": (_daemon_reload, 0, True),
    "reset-failed": (_reset_failed, 0, True),
    "kill": (_kill, 1, True),
    **dict.fromkeys(("reboot", "poweroff"), (_power, 0, True)),
    **dict.fromkeys(("is-active", "is-failed"), (unitquestions.is_active, 1, False)),
    "is-enabled": (unitquestions.is_enabled, 1, False),
    "show": (unitquestions.show, 0, False),
    "status": (unitquestions.status, 0, False),
    "cat": (unitquestions.cat, 1, False),
    "list-units": (unitquestions.list_units, 0, False),
    "is-system-running": (unitquestions.is_system_running, 0, False),
}
"""Verb -> what it does, how many units it wants at least, and whether it changes anything."""
