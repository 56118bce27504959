"""Where things are on a host: paths that are asked for before there is anything else to know about it."""

from __future__ import annotations

from bsdcarp.model import Host

__all__ = [
    "CARPD_CONFIG",
    "CARPD_PROGRAM",
    "LINUX_RECORD_PATH",
    "LINUX_SYSCTL_PATH",
    "RECORD_PATH",
    "kernconf_path",
]

RECORD_PATH = "/var/db/bsdcarp/record"
LINUX_RECORD_PATH = "/var/lib/bsdcarp/record"
CARPD_CONFIG = "/etc/bsdcarp/carpd.json"
CARPD_PROGRAM = "/usr/local/lib/bsdcarp/carpd.pyz"
LINUX_SYSCTL_PATH = "/etc/sysctl.d/90-bsdcarp.conf"


def kernconf_path(host: Host) -> str:
    """Return where the kernel configuration of ``host`` lives (config(8), build(7))."""
    return f"/usr/src/sys/{host.arch}/conf/{host.kernel.ident}"
