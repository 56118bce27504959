"""The boot hook of an armed transaction: what a host runs early at its next boot, before any network is set up."""

from __future__ import annotations

from bsdcarp.dataclass import dataclass
from bsdcarp.plan import Init

__all__ = ["Hook", "boot_hooks"]

_RC = """\
#!/bin/sh
# Written by bsdcarp for the time of one transaction; it goes away with it.
#
# PROVIDE: bsdcarp_undo
# REQUIRE: FILESYSTEMS mountcritlocal
# BEFORE: netif

case $1 in
    *start) /bin/sh "${BSDCARP_ROOT-}%s/undo" boot ;;
esac
"""
_SYSTEMD = """\
# Written by bsdcarp for the time of one transaction; it goes away with it.
[Unit]
Description=Take back a change that was not confirmed before the restart
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before=systemd-sysctl.service network-pre.target network.target bsdcarp-carpd.service sysinit.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh %s/undo boot
"""
_OPENRC = """\
#!/sbin/openrc-run
# Written by bsdcarp for the time of one transaction; it goes away with it.
depend() {
    need localmount
    before net
}

start() {
    /bin/sh %s/undo boot
}
"""


@dataclass(frozen=True, slots=True)
class Hook:
    """One file of a boot hook, or a symbolic link whose target is ``text``."""

    path: str
    text: str
    mode: int = 0o644
    link: bool = False


def boot_hooks(init: Init, directory: str) -> tuple[Hook, ...]:
    """Return the hook that runs ``directory/undo boot``; empty where nothing but a shell starts the host.

    rc.d scripts between FILESYSTEMS and netif see all local file systems and no address yet (rc(8), rcorder(8)).
    Before 6.3 there is no FILESYSTEMS, and rcorder(8) goes on without it: mountcritlocal is in every release.
    """
    match init:
        case "rc":
            return (Hook("/etc/rc.d/bsdcarp_undo", _RC % directory, 0o555),)
        case "systemd":
            unit = "bsdcarp-undo.service"
            where = "/etc/systemd/system"
            return (
                Hook(f"{where}/{unit}", _SYSTEMD % directory),
                Hook(f"{where}/sysinit.target.wants/{unit}", f"../{unit}", link=True),
            )
        case "openrc":
            return (
                Hook("/etc/init.d/bsdcarp-undo", _OPENRC % directory, 0o755),
                Hook("/etc/runlevels/boot/bsdcarp-undo", "/etc/init.d/bsdcarp-undo", link=True),
            )
        case _:
            return ()
