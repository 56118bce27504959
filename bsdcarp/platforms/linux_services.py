"""What each init system of Linux needs for a service to start now and at boot, as one table.

systemd and OpenRC know services by name.  Where there is neither, a shell script starts the daemon, and a line in
rc.local, which sysvinit, runit and busybox's init of the usual distributions all run last, starts it at boot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from bsdcarp.dataclass import dataclass
from bsdcarp.model import Release
from bsdcarp.platforms.paths import CARPD_CONFIG, CARPD_PROGRAM
from bsdcarp.snapshot import InitSystem

__all__ = ["CARPD_TEST", "INITS", "UNIT_DIRECTORY", "Init", "default_init", "service_step", "unit_name", "unit_path"]

CARPD_TEST = f"python3 -I {CARPD_PROGRAM} run -n -c {CARPD_CONFIG}"
"""Whether carpd accepts its configuration."""

UNIT_DIRECTORY = "/etc/systemd/system"
_SCRIPT = "/usr/local/lib/bsdcarp/bsdcarp-carpd.sh"


@dataclass(frozen=True, slots=True)
class Init:
    """One init system.  In commands ``{name}`` is the service's name without ``.service``."""

    path: str
    """Where the file that describes carpd to it goes."""
    template: str
    mode: int
    start: str
    stop: str
    restart: str
    reload: str
    enable: str = ""
    """Empty where a line in a file does it."""
    disable: str = ""
    read_again: str = ""
    """Tells it that such a file changed; empty where it reads them each time."""
    logs: str = ""
    """Where its services' messages are found."""


INITS: Mapping[InitSystem, Init] = MappingProxyType(
    {
        "systemd": Init(
            path=f"{UNIT_DIRECTORY}/bsdcarp-carpd.service",
            template="linux/bsdcarp-carpd.service",
            mode=0o644,
            start="systemctl start {name}.service",
            stop="systemctl stop {name}.service",
            restart="systemctl restart {name}.service",
            reload="systemctl reload {name}.service",
            enable="systemctl enable {name}.service",
            disable="systemctl disable {name}.service",
            read_again="systemctl daemon-reload",
            logs="journalctl -u {name}",
        ),
        "openrc": Init(
            path="/etc/init.d/bsdcarp-carpd",
            template="linux/bsdcarp-carpd.openrc",
            mode=0o755,
            start="rc-service {name} start",
            stop="rc-service {name} stop",
            restart="rc-service {name} restart",
            reload="rc-service {name} reload",
            enable="rc-update add {name} default",
            disable="rc-update del {name} default",
            logs="the system's log",
        ),
        "sh": Init(
            path=_SCRIPT,
            template="linux/bsdcarp-carpd.sh",
            mode=0o755,
            start=f"{_SCRIPT} start",
            stop=f"{_SCRIPT} stop",
            restart=f"{_SCRIPT} restart",
            reload=f"{_SCRIPT} reload",
            logs="the system's log",
        ),
    }
)

_STEPS = ("start", "stop", "restart", "reload", "enable", "disable", "read_again")
_WITH_OPENRC = ("alpine", "gentoo")


def default_init(release: Release | None) -> InitSystem:
    """Return what a distribution usually has, where no host could be asked."""
    return "openrc" if release and release.name.lower().startswith(_WITH_OPENRC) else "systemd"


def unit_path(name: str) -> str:
    """Return where systemd's unit of service ``name`` is."""
    return f"{UNIT_DIRECTORY}/{name}.service"


def unit_name(path: str) -> str:
    """Return the service that ``path`` describes to an init system, empty where it describes none."""
    if path in (init.path for init in INITS.values()):
        return "bsdcarp-carpd"
    if path.startswith(f"{UNIT_DIRECTORY}/bsdcarp-ucarp-") and path.endswith(".service"):
        return path.rpartition("/")[2].removesuffix(".service")
    return ""


@cache
def service_step(text: str) -> tuple[str, str] | None:
    """Return what a command does to which service, by the table read backwards; None for any other command.

    The first is a column of the table, or ``test``; of alternatives joined by ``||`` it is that of the first.  No
    service is named where that concerns all of them.
    """
    first = text.partition(" || ")[0]
    if first == CARPD_TEST:
        return "test", "bsdcarp-carpd"
    for init in INITS.values():
        for step in _STEPS:
            template = str(getattr(init, step))
            pattern = re.escape(template).replace(re.escape("{name}"), r"(?P<name>\S+)")
            if template and (match := re.fullmatch(pattern, first)):
                return step, "" if step == "read_again" else match.groupdict().get("name", "bsdcarp-carpd")
    return None
