"""Linux members: units, programs and network files that decide whether carpd comes up."""

from __future__ import annotations

from traps.case import BACK, Trap, append, cut, error, link, live, remove, swap, warning, write

__all__ = ["LINUX"]

_SITE = "Debian 12"
_UNIT = "/etc/systemd/system/bsdcarp-carpd.service"
_TRUE = "ExecStart=/bin/true\n"
_RELOAD = live("systemctl daemon-reload")

LINUX = (
    Trap(
        "the service is not enabled",
        _SITE,
        (remove("/etc/systemd/system/multi-user.target.wants/bsdcarp-carpd.service"),),
        error("persist-service", _UNIT),
        shows=("carpd: does not run",),
    ),
    Trap(
        "the service is masked",
        _SITE,
        (link(_UNIT, "/dev/null"), _RELOAD),
        error("persist-masked", _UNIT),
        shows=("carpd: does not run",),
        cure=(BACK, _RELOAD),
    ),
    Trap(
        "another unit file comes first",
        _SITE,
        (write("/etc/systemd/system.control/bsdcarp-carpd.service", f"[Service]\n{_TRUE}"), _RELOAD),
        error("persist-unit-other", "/etc/systemd/system.control/bsdcarp-carpd.service"),
        shows=("carpd: does not run",),
        cure=(BACK, _RELOAD),
    ),
    Trap(
        "a drop-in starts something else",
        _SITE,
        (write(f"{_UNIT}.d/local.conf", f"[Service]\nExecStart=\n{_TRUE}"), _RELOAD),
        warning("persist-dropin", f"{_UNIT}.d/local.conf"),
        shows=("carpd: does not run",),
        cure=(BACK, _RELOAD),
    ),
    Trap(
        "a drop-in that systemd has not read yet",
        _SITE,
        (write(f"{_UNIT}.d/local.conf", f"[Service]\nExecStart=\n{_TRUE}"),),
        warning("persist-unit-stale", _UNIT),
        shows=("carpd: does not run",),
        cure=(BACK,),
    ),
    Trap(
        "the unit file was edited",
        _SITE,
        (swap(_UNIT, "carpd.pyz", "carpd-old.pyz"),),
        error("persist-file", _UNIT, "carpd-old"),
        shows=("carpd: does not run",),
    ),
    Trap(
        "the configuration is gone",
        _SITE,
        (remove("/etc/bsdcarp/carpd.json"),),
        error("persist-file-missing", "/etc/bsdcarp/carpd.json"),
        shows=("carpd: does not run",),
    ),
    Trap(
        "the configuration is no JSON",
        _SITE,
        (append("/etc/bsdcarp/carpd.json", "}\n"),),
        error("persist-file", "/etc/bsdcarp/carpd.json", "}"),
        shows=("carpd: does not run",),
    ),
    Trap(
        "the program is damaged",
        _SITE,
        (write("/usr/local/lib/bsdcarp/carpd.pyz", "nothing\n"),),
        error("persist-program", "/usr/local/lib/bsdcarp/carpd.pyz"),
        shows=("carpd: does not run",),
    ),
    Trap(
        "python3 is gone",
        _SITE,
        (remove("/usr/bin/python3"),),
        error("persist-python", ""),
        shows=("carpd: does not run",),
        cure=(BACK,),
    ),
    Trap(
        "nothing brings the interface up",
        _SITE,
        (cut("/etc/network/interfaces", "auto eth0\n"),),
        error("persist-interface-idle", "/etc/network/interfaces", "iface eth0"),
        shows=("eth0: down", "192.168.90.2/24 on eth0: missing", "carpd vhid 1@eth0: INIT"),
        cure=(BACK,),
    ),
    Trap(
        "a later file of sysctl.d",
        _SITE,
        (write("/etc/sysctl.d/99-local.conf", "net.ipv4.conf.eth0.arp_ignore = 0\n"),),
        warning("persist-sysctl-overridden", "/etc/sysctl.d/99-local.conf", "arp_ignore"),
        cure=(BACK,),
    ),
)
