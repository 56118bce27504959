"""Where carp comes from: loader.conf, the kernel that is chosen, kld_list, nextboot."""

from __future__ import annotations

from traps.case import BACK, LOADER, RC, Trap, append, copy, cut, error, info, remove, swap, warning, write

__all__ = ["LOADING"]

_NO_LOAD = cut(LOADER, 'carp_load="YES"\n')
_LOAD = append(LOADER, 'carp_load="YES"\n')
_NEXTBOOT = "/boot/nextboot.conf"
_PANICS = "bsdcarp lab kernel\nident\tGENERIC\noptions\tPANIC_AT_BOOT\n"

LOADING = (
    Trap("nothing loads carp", "12.1", (_NO_LOAD,), error("persist-carp-absent", LOADER), shows=("carp: missing",)),
    Trap(
        "module loaded by hand only",
        "9.3",
        (cut(LOADER, 'if_carp_load="YES"\n'), cut(RC, 'cloned_interfaces="carp1 carp2"\n')),
        error("persist-carp-absent", LOADER),
        shows=("carp: missing",),
    ),
    Trap(
        "a kernel without carp in place of the one with it",
        "7.2",
        (copy("/boot/kernel.old/kernel", "/boot/kernel/kernel"),),
        error("persist-kernel-replaced", "/boot/kernel/kernel"),
        shows=("carp: missing",),
        cure=(copy("/boot/kernel.spare/kernel", "/boot/kernel/kernel"),),
    ),
    Trap(
        "freebsd-update puts GENERIC over a kernel with carp",
        "12.1 static in /boot/kernel",
        (copy("/boot/kernel.old/kernel", "/boot/kernel/kernel"),),
        error("persist-kernel-replaced", "/boot/kernel/kernel"),
        shows=("carp: missing",),
        cure=(copy("/boot/kernel.spare/kernel", "/boot/kernel/kernel"),),
    ),
    Trap(
        "installkernel of a kernel with carp where the module is loaded",
        "12.1",
        (swap("/boot/kernel/kernel", "device\tem\n", "device\tem\ndevice\tcarp\n"),),
        error("persist-panic", LOADER, "carp_load"),
        shows=("host: the kernel panics",),
        cure=(_NO_LOAD,),
    ),
    Trap(
        "no module exists",
        "7.2",
        (append(LOADER, 'if_carp_load="YES"\n'),),
        warning("persist-loader-name", LOADER, "if_carp_load"),
        cure=(BACK,),
    ),
    Trap(
        "old module name",
        "12.1",
        (swap(LOADER, "carp_load", "if_carp_load"),),
        warning("persist-loader-name", LOADER, "if_carp_load"),
        shows=("carp: missing",),
        cure=(BACK,),
    ),
    Trap(
        "new module name on 9",
        "9.3",
        (swap(LOADER, "if_carp_load", "carp_load"),),
        warning("persist-loader-name", LOADER, "carp_load"),
        shows=(
            "net.inet.carp.preempt while the vhids come up: 0",
            "net.inet.carp.arpbalance while the vhids come up: 0",
        ),
        cure=(BACK,),
    ),
    Trap(
        "module file missing",
        "12.1",
        (remove("/boot/kernel/carp.ko"),),
        error("persist-module-missing", LOADER, "carp_load"),
        shows=("carp: missing",),
        cure=(write("/boot/kernel/carp.ko", "module carp\n"),),
    ),
    Trap(
        "kernel= chooses a directory without the module",
        "12.1",
        (copy("/boot/kernel/kernel", "/boot/kernel.bare/kernel"), append(LOADER, 'kernel="kernel.bare"\n')),
        error("persist-module-missing", LOADER, 'kernel="kernel.bare"'),
        shows=("carp: missing",),
        cure=(cut(LOADER, 'kernel="kernel.bare"\n'),),
    ),
    Trap(
        "kernel= chooses a directory that does not exist",
        "14.2",
        (append(LOADER, 'kernel="kernel.gone"\n'),),
        error("persist-kernel-missing", LOADER, 'kernel="kernel.gone"'),
        shows=("host: the loader finds no kernel",),
        cure=(BACK,),
    ),
    Trap(
        "kernel= leaves the static kernel",
        "12.1 static",
        (swap(LOADER, 'kernel="kernel.CARP"', 'kernel="kernel"'),),
        error("persist-kernel-other", LOADER, 'kernel="kernel"'),
        shows=("carp: missing",),
        cure=(swap(LOADER, 'kernel="kernel"', 'kernel="kernel.CARP"'),),
    ),
    Trap(
        "static kernel, carp.ko beside it, carp_load",
        "12.1 static",
        (write("/boot/kernel.CARP/carp.ko", "module carp\n"), _LOAD),
        error("persist-panic", LOADER, "carp_load"),
        shows=("host: the kernel panics",),
    ),
    Trap(
        "static kernel, no carp.ko beside it, carp_load",
        "12.1 static",
        (_LOAD,),
        info("persist-loader-redundant", LOADER, "carp_load"),
    ),
    Trap(
        "loader.conf.local switches the module off",
        "12.1",
        (write(f"{LOADER}.local", 'carp_load="NO"\n'),),
        error("persist-carp-absent", LOADER),
        shows=("carp: missing",),
        cure=(BACK,),
    ),
    Trap(
        "loader.conf.d switches the module off",
        "14.2",
        (write(f"{LOADER}.d/local.conf", 'carp_load="NO"\n'),),
        error("persist-carp-absent", LOADER),
        shows=("carp: missing",),
        cure=(BACK,),
    ),
    Trap(
        "malformed loader.conf",
        "10.4",
        (append(LOADER, 'module_path="/boot\n'),),
        warning("persist-loader-malformed", LOADER, "module_path"),
        cure=(BACK,),
    ),
    Trap(
        "kld_list before 9.0",
        "7.2",
        (copy("/boot/kernel.old/kernel", "/boot/kernel/kernel"), append(RC, 'kld_list="if_carp"\n')),
        error("persist-kld-list", RC, "kld_list"),
        shows=("carp: missing",),
        cure=(BACK,),
    ),
    Trap(
        "kld_list names the old module",
        "12.1",
        (_NO_LOAD, append(RC, 'kld_list="if_carp"\n')),
        error("persist-kld-list", RC, "kld_list"),
        shows=("carp: missing",),
    ),
    Trap(
        "kld_list without the module file",
        "12.1",
        (_NO_LOAD, append(RC, 'kld_list="carp"\n'), remove("/boot/kernel/carp.ko")),
        error("persist-kld-list", RC, "kld_list"),
        shows=("carp: missing",),
        cure=(BACK,),
    ),
    Trap(
        "kld_list where rc.d/kld does not look",
        "12.1",
        (_NO_LOAD, write(f"{RC}.d/network", 'kld_list="carp"\n')),
        warning("persist-rc-unread", f"{RC}.d/network", "kld_list"),
        shows=("carp: missing",),
    ),
    Trap(
        "nextboot is pending",
        "12.1",
        (
            copy("/boot/kernel/kernel", "/boot/kernel.new/kernel"),
            copy("/boot/kernel/carp.ko", "/boot/kernel.new/carp.ko"),
            write(_NEXTBOOT, 'nextboot_enable="YES"\nkernel="kernel.new"\n'),
        ),
        info("persist-nextboot", _NEXTBOOT, "kernel.new"),
        cure=(remove(_NEXTBOOT),),
    ),
    Trap(
        "nextboot into a kernel without the module",
        "12.1",
        (
            copy("/boot/kernel/kernel", "/boot/kernel.new/kernel"),
            write(_NEXTBOOT, 'nextboot_enable="YES"\nkernel="kernel.new"\n'),
        ),
        error("persist-module-missing", LOADER, "carp_load"),
        shows=("carp: missing",),
        cure=(remove(_NEXTBOOT),),
    ),
    Trap(
        "nextboot into a kernel that panics, on ZFS",
        "12.1 ZFS",
        (
            write("/boot/kernel.new/kernel", _PANICS),
            copy("/boot/kernel/carp.ko", "/boot/kernel.new/carp.ko"),
            write(_NEXTBOOT, 'nextboot_enable="YES"\nkernel="kernel.new"\n'),
        ),
        warning("persist-nextboot-zfs", _NEXTBOOT, "kernel.new"),
        shows=("host: the kernel panics, reboots and panics again",),
        cure=(remove(_NEXTBOOT),),
    ),
)
