"""All boot traps, and those that a simulated boot cannot show."""

from __future__ import annotations

from traps.aliases import ALIASES
from traps.case import Trap
from traps.linux import LINUX
from traps.loading import LOADING
from traps.rcfiles import RC_FILES
from traps.sysctls import SYSCTLS
from traps.units import UNITS
from traps.values import VALUES

__all__ = ["NOT_SHOWN", "TRAPS"]

TRAPS: tuple[Trap, ...] = (*LOADING, *SYSCTLS, *RC_FILES, *ALIASES, *UNITS, *VALUES, *LINUX)

NOT_SHOWN = (
    (
        "pf or ipfw drops the adverts once its rules are loaded at boot",
        (
            "only the filter itself can read its rules, and the simulated hosts have none; `verify` sees two MASTERs after "
            "the boot, and the counters of `netstat -s -p carp` tell why"
        ),
    ),
    (
        "a switch or a hypervisor passes no multicast or no foreign MAC addresses",
        "nothing on the host says so; it shows as two MASTERs",
    ),
    (
        "a lone host is demoted a minute after the boot, because the bulk update of pfsync(4) fails",
        "it depends on the other host being there, not on any file; `verify` names the demotion",
    ),
    (
        "a host takes its role back before its services have started",
        "the files are as wanted: that is what preempt=1 asks for",
    ),
    (
        "a script of rc.d or rc.local sets a sysctl early, and the last pass over sysctl.conf takes it back",
        (
            "what scripts do cannot be known without running them; what counts in the end is sysctl.conf, whose lines are "
            "judged (`persist-sysctl`)"
        ),
    ),
    (
        "a carp.ko that was built for another kernel lies beside the one that boots",
        "neither file tells; `bsdcarp kernel install` puts kernel and modules there together",
    ),
    (
        "an interface that rc.conf does not name was given a name with a number at its end by hand",
        "it cannot be told from a driver's own name; `persist-interface-renamed` covers those without one",
    ),
    (
        "an image or a configuration system writes a managed file at boot",
        (
            "what it would write is not known before; `reboot` compares every managed file afterwards and names those "
            "that changed (`reboot-file-changed`)"
        ),
    ),
    (
        "/etc lies in memory and is made anew at every boot (NanoBSD, mfsBSD)",
        "what is kept is decided by scripts of the image; nobody has looked at such a host",
    ),
    (
        "the netmask of 14.0 and 14.1 without a prefix length (FreeBSD-EN-24:14.ifconfig)",
        (
            "shown for the classful default of the others (a mask left out); `validate` asks for a length, and bsdcarp "
            "writes one everywhere"
        ),
    ),
    (
        "rc.local or an OpenRC script that does not start carpd",
        "the simulated Linux hosts run systemd; `persist-boot-hook` and `persist-service` are tested on recorded looks",
    ),
    (
        "systemd-networkd keeps the interface down",
        "the simulated Debian has ifupdown; `persist-interface-idle` is tested on files alone",
    ),
)
"""Name and reason."""
