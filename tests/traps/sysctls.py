"""sysctl.conf, what else sets net.inet.carp, and when."""

from __future__ import annotations

from traps.case import BACK, LOADER, RC, SYSCTL, Trap, append, cut, error, info, swap, warning, write

__all__ = ["SYSCTLS"]

SYSCTLS = (
    Trap(
        "kld_list only",
        "12.1",
        (cut(LOADER, 'carp_load="YES"\n'), append(RC, 'kld_list="carp"\n')),
        warning("persist-sysctl-late", RC, "kld_list"),
        shows=("net.inet.carp.preempt while the vhids come up: 0",),
    ),
    Trap(
        "kld_list only on 14",
        "14.2",
        (cut(LOADER, 'carp_load="YES"\n'), append(RC, 'kld_list="carp"\n')),
        warning("persist-sysctl-late", RC, "kld_list"),
        shows=("net.inet.carp.preempt while the vhids come up: 0",),
    ),
    Trap(
        "ifconfig loads if_carp.ko",
        "9.3",
        (cut(LOADER, 'if_carp_load="YES"\n'),),
        warning("persist-sysctl-late", RC, "cloned_interfaces"),
        shows=(
            "net.inet.carp.preempt while the vhids come up: 0",
            "net.inet.carp.arpbalance while the vhids come up: 0",
        ),
    ),
    Trap(
        "sysctl.kld.d where loader.conf loads the module",
        "14.2",
        (cut(SYSCTL, "net.inet.carp.preempt=1\n"), write("/etc/sysctl.kld.d/carp.conf", "net.inet.carp.preempt=1\n")),
        error("persist-sysctl", SYSCTL),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "arpbalance on one host only",
        "9.3",
        (cut(SYSCTL, "net.inet.carp.arpbalance=1\n"),),
        error("persist-sysctl", SYSCTL),
        shows=("net.inet.carp.arpbalance: 0",),
    ),
    Trap(
        "missing from sysctl.conf",
        "12.1",
        (cut(SYSCTL, "net.inet.carp.preempt=1\n"),),
        error("persist-sysctl", SYSCTL),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "another value in sysctl.conf",
        "14.2",
        (swap(SYSCTL, "preempt=1", "preempt=0"),),
        error("persist-sysctl", SYSCTL, "preempt=0"),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "a later line undoes it",
        "10.4",
        (append(SYSCTL, "net.inet.carp.preempt=0\n"),),
        error("persist-sysctl-overridden", SYSCTL, "preempt=0"),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "sysctl.conf.local undoes it",
        "12.1",
        (write(f"{SYSCTL}.local", "net.inet.carp.preempt=0\n"),),
        error("persist-sysctl-overridden", f"{SYSCTL}.local", "preempt=0"),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "blanks around = on 9",
        "9.3",
        (swap(SYSCTL, "preempt=1", "preempt = 1"),),
        warning("persist-sysctl-odd", SYSCTL, "preempt = 1"),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "a glued comment on 9",
        "9.3",
        (swap(SYSCTL, "arpbalance=1", "arpbalance=1# share"),),
        warning("persist-sysctl-odd", SYSCTL, "arpbalance=1#"),
        shows=("net.inet.carp.arpbalance: 0",),
    ),
    Trap(
        "a colon on 9",
        "9.3",
        (swap(SYSCTL, "preempt=1", "preempt: 1"),),
        warning("persist-sysctl-odd", SYSCTL, "preempt: 1"),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "no newline at the end on 9",
        "9.3",
        (swap(SYSCTL, "arpbalance=1\n", "arpbalance=1"),),
        warning("persist-sysctl-odd", SYSCTL, "arpbalance=1"),
        shows=("net.inet.carp.arpbalance: 0",),
    ),
    Trap(
        "two words on 12",
        "12.1",
        (swap(SYSCTL, "preempt=1", "preempt=1 on"),),
        warning("persist-sysctl-odd", SYSCTL, "preempt=1 on"),
        shows=("net.inet.carp.preempt: 0",),
    ),
    Trap(
        "no = on 12",
        "12.1",
        (swap(SYSCTL, "preempt=1", "preempt 1"),),
        warning("persist-sysctl-odd", SYSCTL, "preempt 1"),
        shows=("net.inet.carp.preempt: 0",),
        cure=(BACK,),
    ),
    Trap(
        "demotion in sysctl.conf",
        "12.1",
        (append(SYSCTL, "net.inet.carp.demotion=240\n"),),
        error("persist-sysctl-demotion", SYSCTL, "demotion"),
        shows=("net.inet.carp.demotion: 480",),
        cure=(BACK,),
    ),
    Trap(
        "arpbalance after 9",
        "14.2",
        (append(SYSCTL, "net.inet.carp.arpbalance=1\n"),),
        warning("persist-sysctl-unknown", SYSCTL, "arpbalance"),
        cure=(BACK,),
    ),
    Trap(
        "suppress_preempt is read only",
        "9.3",
        (append(SYSCTL, "net.inet.carp.suppress_preempt=0\n"),),
        warning("persist-sysctl-read-only", SYSCTL, "suppress_preempt"),
        cure=(BACK,),
    ),
    Trap(
        "allow=0 as a loader tunable",
        "14.2",
        (append(LOADER, 'net.inet.carp.allow="0"\n'), cut(SYSCTL, "net.inet.carp.allow=1\n")),
        error("persist-allow-tunable", LOADER, "net.inet.carp.allow"),
        shows=("vhid 1 state: INIT", "vhid 7 state: INIT", "net.inet.carp.demotion: 480", "net.inet.carp.allow: 0"),
        cure=(BACK,),
    ),
    Trap(
        "allow=0 as a loader tunable until sysctl.conf",
        "14.2",
        (append(LOADER, 'net.inet.carp.allow="0"\n'),),
        info("persist-allow-tunable", LOADER, "net.inet.carp.allow"),
        cure=(BACK,),
    ),
    Trap(
        "a sysctl in loader.conf before 14",
        "12.1",
        (append(LOADER, 'net.inet.carp.preempt="1"\n'), cut(SYSCTL, "net.inet.carp.preempt=1\n")),
        warning("persist-loader-sysctl", LOADER, "net.inet.carp.preempt"),
        shows=("net.inet.carp.preempt: 0",),
        cure=(BACK,),
    ),
)
