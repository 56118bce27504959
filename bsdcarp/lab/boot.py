"""A boot, from the loader to the login prompt: everything a kernel knows afterwards came out of the machine's files.

The order is that of the release's rc (recorded on FreeBSD 9.3, 10.4 and 12.1): the boot hook of a transaction where
there is one, first sysctl pass, kld_list, hostname, netif, routing, syslogd, sshd, last sysctl pass.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, NoReturn

from bsdcarp.lab.commands.sysctl import SysctlRun
from bsdcarp.lab.early import clean_var, wants_another_boot
from bsdcarp.lab.host import Stopped
from bsdcarp.lab.kernconf import parse_kernel_file
from bsdcarp.lab.kernel import Kernel
from bsdcarp.lab.linker import Linker
from bsdcarp.lab.loader import LoaderConf, parse_loader_conf, read_loader_conf
from bsdcarp.lab.netif import EndlessRecursion, Netif
from bsdcarp.lab.rcconf import RcConf, read_rc_conf

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["apply_sysctl_conf", "boot", "start_routing"]

_SINGLE_USER = "Enter full pathname of shell or RETURN for /bin/sh:"
_PANIC = (
    "Timecounters tick every 10.000 msec",
    "carp: error 17 attaching to PF_INET6",
    "kernel trap 12 with interrupts disabled",
    "",
    "",
    "Fatal trap 12: page fault while in kernel mode",
    "cpuid = 0; apic id = 00",
    "fault virtual address\t= 0x20",
    "fault code\t\t= supervisor read data, page not present",
    "current process\t\t= 0 (swapper)",
    "trap number\t\t= 12",
    "panic: page fault",
    "cpuid = 0",
    "time = 1",
)
_COPYRIGHT = (
    "Copyright (c) 1992 The FreeBSD Project.",
    "Copyright (c) 1979, 1980, 1983, 1986, 1988, 1989, 1991, 1992, 1993, 1994",
    "\tThe Regents of the University of California. All rights reserved.",
    "FreeBSD is a registered trademark of The FreeBSD Foundation.",
)
_HARDWARE = (
    "CPU: simulated by the lab (1300.00-MHz K8-class CPU)",
    "real memory  = 536870912 (512 MB)",
    "avail memory = 500170752 (476 MB)",
    "ACPI APIC Table: <LAB>",
    "acpi0: <LAB> on motherboard",
    "pci0: <PCI bus> on pcib0",
    "cpu0: <ACPI CPU> on acpi0",
    "pcib0: <ACPI Host-PCI bridge> on acpi0",
    "isab0: <PCI-ISA bridge> at device 1.0 on pci0",
    "isa0: <ISA bus> on isab0",
    "atkbdc0: <Keyboard controller (i8042)> port 0x60,0x64 irq 1 on acpi0",
    "uart0: <16550 or compatible> port 0x3f8-0x3ff irq 4 flags 0x10 on acpi0",
    "orm0: <ISA Option ROM> at iomem 0xe8800-0xeffff on isa0",
)


def boot(machine: Machine) -> None:
    """Boot ``machine``.  Raises :class:`Stopped` when it hangs, drops to single user or panics."""
    conf = _loader_conf(machine)
    kernel = _start_kernel(machine, conf)
    machine.kernel = kernel
    rc = read_rc_conf(machine.tree.root)
    if not rc.complete:
        for message in rc.messages:
            machine.print_console(message)
        machine.print_console(_SINGLE_USER)
        raise Stopped("hung")
    # etc/rc loads rc.conf once for all its scripts (_rc_conf_loaded in rc.subr): what a hook changes comes too late.
    network = read_rc_conf(machine.tree.root, machine.release.rc.rc_conf_d)
    if rc.yes("cleanvar_enable"):
        clean_var(machine)
    if machine.runs_hooks and wants_another_boot(machine):
        machine.print_console("Rebooting...")
        _start_again(machine)
    _run_rc(machine, kernel, rc, network)


def _loader_conf(machine: Machine) -> LoaderConf:
    tree = machine.tree
    directory = tree.path("/boot/loader.conf.d")
    extra = sorted(f"/boot/loader.conf.d/{path.name}" for path in directory.glob("*.conf"))
    conf = read_loader_conf(tree.read, tuple(extra) if machine.release.allow_tunable else ())
    for error in conf.errors:
        machine.print_console(error)
    once = _nextboot_conf(machine)
    if once is not None:
        conf = LoaderConf({**conf.variables, **once.variables}, conf.errors)
    return conf


def _nextboot_conf(machine: Machine) -> LoaderConf | None:
    """Read nextboot.conf if it is in force, and switch it off before anything of it can go wrong.

    stand/lua/config.lua and stand/forth/support.4th write into its first line, which UFS allows; on ZFS the loader
    of 13.0 and later has the switch in the label of the pool, an older one none at all.
    """
    once = machine.tree.read("/boot/nextboot.conf")
    if once is None:
        return None
    if machine.disk.filesystem == "zfs" and machine.release.version >= (13, 0):
        if machine.disk.nvstore.get("nextboot_enable") != "YES":
            return None
        machine.disk.nvstore["nextboot_enable"] = "NO"
    elif not once.startswith('nextboot_enable="YES"'):
        return None
    elif machine.disk.filesystem == "ufs":
        changed = once.replace('nextboot_enable="YES"', 'nextboot_enable="NO" ', 1)
        machine.tree.write("/boot/nextboot.conf", changed)
    return parse_loader_conf(once, "/boot/nextboot.conf")


def _start_kernel(machine: Machine, conf: LoaderConf) -> Kernel:
    release, tree = machine.release, machine.tree
    image = parse_kernel_file(tree.read(f"/boot/{conf.kernel}/kernel"), conf.kernel)
    if image is None:
        machine.print_console(f"can't load '{conf.kernel}'")
        machine.print_console("OK ")
        raise Stopped("hung")
    builtin = {"carp": release.kld.builtin_carp_id} if image.static_carp else {}
    clashes: list[str] = []
    linker = Linker(conf.kernel, builtin, release.kld.next_module_id, tree.read, machine.complain, release.kld.clash)
    kernel = machine.new_kernel(image, linker)
    present = [name for name in conf.modules() if linker.locate(name) is not None]
    for name in conf.modules():
        if name not in present:
            machine.print_console(f"can't find '{name}'")
    machine.print_console(f"Booting [{image.bootfile}]...")
    _banner(kernel)
    fatal = image.static_carp and release.era == "vhid" and "carp" in present
    if fatal:
        clashes.append(
            release.kld.clash.format(module="carp", file="kernel")
            .replace("from kernel", "from carp.ko")
            .replace("carp from carp.ko", "carp from kernel")
        )
        for line in (*clashes, "Module carp failed to register: 17", *_PANIC):
            machine.print_console(line)
        raise Stopped("panicked")
    if "options\tPANIC_AT_BOOT\n" in image.config:
        _panic_and_reboot(machine)
    if image.static_carp:
        kernel.start_carp()
    for name in present:
        try:
            kernel.load_module(name, by_loader=True)
        except OSError:
            continue  # the linker has complained
    for line in release.boot_tail:
        kernel.printf(line)
    kernel.environment = dict(conf.variables)
    if release.allow_tunable and kernel.carp is not None:
        value = conf.variables.get("net.inet.carp.allow", "")
        if value.isdigit():
            kernel.carp.write("allow", int(value))
    for nic in machine.nics:
        kernel.attach(nic, link=machine.has_link(nic.name))
    kernel.new_interface("lo0", "loop")
    return kernel


def _panic_and_reboot(machine: Machine) -> NoReturn:
    """Do what a kernel without a debugger does after a panic: start again by itself (panic_reboot_wait_time)."""
    for line in (*_PANIC, "Automatic reboot in 15 seconds - press a key on the console to abort"):
        machine.print_console(line)
    _start_again(machine)


def _start_again(machine: Machine) -> NoReturn:
    machine.forget_kernel()
    machine.network.schedule(machine.reboot_delay, machine.boot_again)
    raise Stopped("rebooting")


def _banner(kernel: Kernel) -> None:
    version = kernel.release.kernel_version(kernel.image.ident).rstrip("\n ").split("\n")
    for line in (*_COPYRIGHT, *version[:-1], f"{version[-1]} {kernel.release.arch}", *_HARDWARE):
        kernel.printf(line)


def _run_rc(machine: Machine, kernel: Kernel, rc: RcConf, network: RcConf) -> None:
    say = machine.print_console
    # rc.d/root does `nextboot -D` as soon as it can write.
    machine.tree.path("/boot/nextboot.conf").unlink(missing_ok=True)
    apply_sysctl_conf(machine, last=False, script="/etc/rc", err=_console_text(machine))
    if rc.get("kld_list"):
        say("Loading kernel modules:")
        _load_kld_list(machine, kernel, rc)
    kernel.hostname = rc.get("hostname") or "Amnesiac"
    say(f"Setting hostname: {kernel.hostname}.")
    printed = _console_text(machine)
    if machine.release.rc.network_ipv6:
        kernel.auto_linklocal = rc.yes("ipv6_enable")
    netif = Netif(kernel, network, "/etc/rc", printed, printed)
    try:
        if rc.get("netif_enable").upper() not in {"NO", "FALSE", "OFF", "0"}:
            netif.start()
    except EndlessRecursion:
        raise Stopped("hung") from None
    if machine.release.rc.network_ipv6 and rc.yes("ipv6_enable"):
        netif.start_ipv6()
    if rc.yes("gateway_enable"):
        kernel.plain_oids["net.inet.ip.forwarding"] = 1
    start_routing(kernel, rc, printed)
    say("Starting syslogd.")
    kernel.start_syslog()
    machine.tree.write("/var/run/dmesg.boot", "".join(f"{line}\n" for line in kernel.messages.lines))
    if rc.yes("sshd_enable"):
        say("Starting sshd.")
    apply_sysctl_conf(machine, last=True, script=machine.release.rc.lastload_script, err=printed)
    say(f"\nFreeBSD/{machine.release.arch} ({kernel.hostname}) (ttyu0)\n\nlogin: ")


def _console_text(machine: Machine) -> Callable[[str], None]:
    def put(text: str) -> None:
        for line in text.splitlines():
            machine.print_console(line)

    return put


def _load_kld_list(machine: Machine, kernel: Kernel, rc: RcConf) -> None:
    """Do what rc.d/kld does: load each module whose file is not loaded yet, and warn when that fails."""
    for name in rc.get("kld_list").split():
        if kernel.linker.find_file(name) is not None:
            continue
        try:
            kernel.load_module(name)
        except OSError as error:
            why = "module already loaded or in kernel" if isinstance(error, FileExistsError) else error.strerror
            machine.print_console(f"kldload: can't load {name}: {why}")
            machine.print_console(f"/etc/rc: WARNING: Unable to load kernel module {name}")
            continue
        hook = f"/etc/sysctl.kld.d/{name}.conf"
        if machine.release.allow_tunable and machine.tree.exists(hook):
            SysctlRun(machine).file(hook)


def start_routing(kernel: Kernel, rc: RcConf, out: Callable[[str], None]) -> None:
    """Set the default route (rc.d/routing) when the gateway is on a connected network."""
    gateway = rc.get("defaultrouter")
    try:
        ip = ip_address(gateway)
    except ValueError:
        return
    if isinstance(ip, IPv4Address) and any(
        ip in each.network for interface in kernel.interfaces.values() for each in interface.inet()
    ):
        kernel.default_route = ip
        out(f"add net default: gateway {ip}\n")
    else:
        out("route: writing to routing socket: Network is unreachable\n")
        out(f"add net default: gateway {ip} fib 0: Network is unreachable\n")


def apply_sysctl_conf(machine: Machine, *, last: bool, script: str, err: Callable[[str], None]) -> None:
    """Apply /etc/sysctl.conf and sysctl.conf.local as rc.d/sysctl does; unknown names are told of when ``last``."""
    for path in ("/etc/sysctl.conf", "/etc/sysctl.conf.local"):
        text = machine.tree.read(path)
        if text is None:
            continue
        if machine.release.rc.sysctl_loop:
            _sysctl_by_line(machine, text, last=last, warn=lambda line: err(f"{script}: WARNING: {line}\n"))
        else:
            work = SysctlRun(machine, frozenset() if last else frozenset("i"))
            work.file(path)
            err("".join(work.err))


def _sysctl_by_line(machine: Machine, text: str, *, last: bool, warn: Callable[[str], None]) -> None:
    """Read the file as the sh loop of FreeBSD 9 does: the first word of each line, compared before it is set."""
    # `while read` loses a last line that has no newline.
    for line in text.split("\n")[:-1]:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name, _, wanted = words[0].partition("=")
        value = wanted if "=" in words[0] else words[0]
        probe = SysctlRun(machine, frozenset("n"))
        probe.one(name)
        if probe.status == 0:
            current = probe.out.decode("utf-8", "surrogateescape").rstrip("\n")
            if current != value:
                setting = SysctlRun(machine)
                setting.one(words[0])
                if setting.status != 0:
                    warn(f"unable to set {words[0]}")
        elif last:
            warn(f"sysctl {name} does not exist.")
