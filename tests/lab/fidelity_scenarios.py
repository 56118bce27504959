"""The machines on which each recording is replayed: builds, files and state as the recording says they were."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bsdcarp.lab.clock import ManualClock
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.releases import Release, release_named

Hook = Callable[[dict[str, Machine], Network], None]

STOCK_LOADER = 'autoboot_delay="1"\nconsole="comconsole"\nbeastie_disable="YES"\n'
R12 = release_named("12.1").with_build("12.1-STABLE", 1201517, "FreeBSD {release} {ident}\n")
_BUILT = "FreeBSD {release} #0: Sun Nov 22 12:54:27 UTC 2026\n    root@vm:/obj/sys/{ident}\n"
R9 = release_named("9.3").with_build("9.3-RELEASE", 903000, _BUILT)
R10 = release_named("10.4").with_build("10.4-RELEASE", 1004000, _BUILT)
R10_SECOND = release_named("10.4").with_build("10.4-RELEASE", 1004000, _BUILT.replace("#0", "#2"))


@dataclass(frozen=True, slots=True)
class Act:
    """Recordings that were made one after the other on the same machines."""

    name: str
    release: Release
    files: tuple[str, ...]
    build: Callable[[Path, Network], dict[str, Machine]]
    hooks: dict[str, Hook] = field(default_factory=dict)
    paces: dict[str, float] = field(default_factory=dict)
    slow: tuple[tuple[str, float], ...] = ()
    to_login: float = 4.0


def rc_conf(host: str, address: str, more: str = "") -> str:
    """The recorded machines' rc.conf."""
    return (
        f'hostname="{host}.example.test"\n'
        'ifconfig_vtnet0="inet 10.0.2.15 netmask 255.255.255.0"\ndefaultrouter="10.0.2.2"\n'
        f'ifconfig_vtnet1="inet {address} netmask 255.255.255.0"\n'
        'sshd_enable="YES"\nsendmail_enable="NONE"\nsyslogd_flags="-ss"\ncron_enable="NO"\ndevd_enable="NO"\n'
        f'gptboot_enable="NO"\nbackground_fsck="NO"\ndumpdev="NO"\n{more}'
    )


# The kernel configuration of the recorded 12.1 systems, a small one.
_OPTIONS_12 = [
    "SC_PIXEL_MODE",
    "EARLY_AP_STARTUP",
    "SMP",
    "INCLUDE_CONFIG_FILE",
    "CAPABILITIES",
    "CAPABILITY_MODE",
    "KBD_INSTALL_CDEV",
    "PRINTF_BUFR_SIZE=128",
    "_KPOSIX_PRIORITY_SCHEDULING",
    "SYSVSEM",
    "SYSVMSG",
    "SYSVSHM",
    "STACK",
    "KTRACE",
    "SCSI_DELAY=5000",
    "COMPAT_FREEBSD11",
    "COMPAT_FREEBSD10",
    "GEOM_LABEL",
    "GEOM_PART_GPT",
    "PSEUDOFS",
    "PROCFS",
    "MSDOSFS",
    "UFS_DIRHASH",
    "UFS_ACL",
    "SOFTUPDATES",
    "FFS",
    "INET6",
    "INET",
    "PREEMPTION",
    "SCHED_ULE",
    "VIMAGE",
    "NFSCL",
    "TMPFS",
    "CD9660",
    "KDB",
    "KDB_TRACE",
]
_DEVICES_12 = [
    "acpi",
    "pci",
    "ahci",
    "scbus",
    "da",
    "cd",
    "pass",
    "atkbdc",
    "atkbd",
    "psm",
    "kbdmux",
    "vga",
    "splash",
    "sc",
    "uart",
    "loop",
    "ether",
    "vlan",
    "tun",
    "md",
    "gif",
    "random",
    "bpf",
    "virtio",
    "virtio_pci",
    "vtnet",
    "virtio_blk",
]


def _configuration(ident: str, options: list[str], devices: list[str], make: str = "") -> str:
    lines = [f"ident {ident}", "machine amd64", "cpu HAMMER", *([f"makeoptions {make}"] if make else [])]
    lines += [f"options {each}" for each in options] + [f"device {each}" for each in devices]
    return "\n".join(lines) + "\n"


_CONF = "usr/src/sys/amd64/conf"
CONFIGURATIONS = {
    "12": {
        f"{_CONF}/GENERIC": _configuration("GENERIC", _OPTIONS_12, _DEVICES_12),
        f"{_CONF}/CARP": "include GENERIC\nident CARP\ndevice carp\n",
    },
    "9": {
        f"{_CONF}/CARP": _configuration("CARP", ["INET", "INET6"], ["carp", "virtio", "vtnet"], "NO_MODULES=yes"),
        f"{_CONF}/NOCARP": _configuration("NOCARP", ["INET", "INET6"], ["virtio", "vtnet"], "NO_MODULES=yes"),
    },
}


def machine(
    root: Path, network: Network, name: str, release: Release, macs: tuple[str, str], conf: str, **more: object
) -> Machine:
    """Create one of the recorded machines, not booted yet."""
    nics = [Nic("vtnet0", macs[0], f"user network of {name}"), Nic("vtnet1", macs[1], "lan")]
    kernel = str(more.get("kernel", "GENERIC"))
    made = Machine(name, release, root / name, nics, network=network, kernel=kernel)
    files = {str(key): str(value) for key, value in dict(more.get("files", {})).items()}  # type: ignore[call-overload]
    made.create(conf, loader_conf=str(more.get("loader", STOCK_LOADER)), files=files)
    return made


def sh(target: Machine, *commands: str) -> None:
    """Run simulated commands; they must succeed."""
    for command in commands:
        reply = target.command(command.split())
        assert reply.status == 0, (command, reply)


def edit(target: Machine, path: str, pattern: str, replacement: str) -> None:
    target.tree.write(path, re.sub(pattern, replacement, target.read(path) or "", flags=re.MULTILINE))


# -- FreeBSD 12.1 ------------------------------------------------------------------------------------------------------

_SYSCTL_12 = """\
# $FreeBSD: stable/12/sbin/sysctl/sysctl.conf 337624 2018-08-11 13:28:03Z brd $
#
#  This file is read when going to multi-user and its contents piped thru
#  ``sysctl'' to adjust kernel values.  ``man 5 sysctl.conf'' for details.
#

# Uncomment this to prevent users from seeing information about processes that
# are being run under another UID.
#security.bsd.see_other_uids=0
"""
_BOOTRC = """\
sysrc ifconfig_vtnet1_alias0="inet vhid 1 advskew 0 pass testpass1 alias 10.9.0.1/32"
sysrc ifconfig_vtnet1_alias1="inet vhid 2 advskew 100 pass testpass2 10.9.0.2/32"
sysrc ifconfig_vtnet1_alias3="inet vhid 3 advskew 10 pass testpass3 alias 10.9.0.3/32"
echo net.inet.carp.preempt=1 >>"$BSDCARP_ROOT/etc/sysctl.conf"
cat "$BSDCARP_ROOT/etc/sysctl.conf"
"""


def twelve(root: Path, network: Network, **loaders: str) -> dict[str, Machine]:
    made = {}
    for letter, host, last in (("a", "hosta", 11), ("b", "hostb", 12)):
        macs = (f"52:54:00:12:01:0{letter}", f"52:54:00:12:02:0{letter}")
        files = {**CONFIGURATIONS["12"], "etc/sysctl.conf": _SYSCTL_12, "tmp/bootrc.sh": _BOOTRC}
        conf = rc_conf(host, f"10.9.0.{last}")
        made[host] = machine(root, network, host, R12, macs, conf, files=files, loader=loaders.get(host, STOCK_LOADER))
        tree = made[host].tree
        tree.install_kernel("CARP", "kernel.CARP", module=False)
        tree.write("/boot/kernel/linker.hints", "")
        made[host].boot()
    return made


def twelve_boots(root: Path, network: Network) -> dict[str, Machine]:
    made = twelve(root, network, hosta=STOCK_LOADER + 'carp_load="YES"\n')
    sh(
        made["hostb"],
        "kldload carp",
        "sysctl net.inet.carp.preempt=1",
        "ifconfig vtnet1 vhid 1 advskew 100 pass testpass1 alias 10.9.0.1/32",
        "ifconfig vtnet1 vhid 2 advskew 0 pass testpass2 alias 10.9.0.2/32",
        "ifconfig vtnet1 vhid 2 alias 10.9.0.3/32",
    )
    network.advance(6)
    return made


def twelve_adverts(root: Path, network: Network) -> dict[str, Machine]:
    made = twelve(root, network)
    for each in made.values():
        sh(each, "kldload carp", "sysctl net.inet.carp.preempt=1")
    sh(made["hosta"], "ifconfig vtnet1 vhid 1 advskew 0 pass testpass1 alias 10.9.0.1/32")
    sh(
        made["hostb"],
        "ifconfig vtnet1 vhid 1 advskew 100 pass testpass1 alias 10.9.0.1/32",
        "ifconfig vtnet1 vhid 2 advskew 0 pass testpass2 alias 10.9.0.2/32",
    )
    network.advance(6)
    return made


def _unload_by_cold_boot(machines: dict[str, Machine], network: Network) -> None:
    for each in machines.values():
        each.power_off()
        each.boot()
    network.advance(5)


# -- FreeBSD 9.3 -------------------------------------------------------------------------------------------------------


def nine(root: Path, network: Network) -> dict[str, Machine]:
    made = {}
    for letter, host, last in (("a", "olda", 11), ("b", "oldb", 12)):
        macs = (f"52:54:00:93:01:1{letter}", f"52:54:00:93:02:1{letter}")
        files = {**CONFIGURATIONS["9"], "etc/sysctl.conf": ""}
        conf = rc_conf(host, f"10.9.0.{last}")
        made[host] = machine(root, network, host, R9, macs, conf, files=files, kernel="CARP")
        made[host].tree.install_kernel("NOCARP", "NOCARP")
        for module in ("if_epair", "if_lagg", "pfsync"):
            made[host].tree.path(f"/boot/kernel/{module}.ko").unlink()
        made[host].boot()
    return made


def _before_boot_and_election(machines: dict[str, Machine], network: Network) -> None:
    """The recording shows both rc.conf with the clones already there, and oldb as it was before."""
    for host, skews in (("olda", (0, 100)), ("oldb", (100, 0))):
        lines = [
            'cloned_interfaces="carp0 carp1"',
            *(
                f'ifconfig_carp{n}="vhid {n + 1} pass x advskew {skew} 10.9.0.{n + 1}/24"'
                for n, skew in enumerate(skews)
            ),
        ]
        machines[host].tree.append("/etc/rc.conf", "\n".join(lines) + "\n")
    oldb = machines["oldb"]
    oldb.power_off()
    oldb.boot()
    network.advance(5)
    for _time in range(2):
        sh(oldb, "ifconfig carp1 down", "ifconfig carp1 up")
        network.advance(4)


def _before_hyphens(machines: dict[str, Machine], network: Network) -> None:
    sh(machines["oldb"], "ifconfig carp1 down")


def _after_hang(machines: dict[str, Machine], network: Network) -> None:
    """On the recorded system ^C on the console let the boot go on; the other host had no carpN from here on."""
    sh(machines["oldb"], "ifconfig carp0 destroy", "ifconfig carp1 destroy")
    olda = machines["olda"]
    assert olda.state == "hung"
    wanted = olda.read("/etc/rc.conf") or ""
    olda.tree.write("/etc/rc.conf", rc_conf("olda", "10.9.0.11"))
    olda.boot()
    olda.tree.write("/etc/rc.conf", wanted)


def _stock_again(machines: dict[str, Machine], network: Network) -> None:
    for host, last in (("olda", 11), ("oldb", 12)):
        machines[host].tree.write("/etc/rc.conf", rc_conf(host, f"10.9.0.{last}"))
        machines[host].tree.write("/etc/sysctl.conf", "")
        machines[host].reboot(0.5)
    network.advance(5)


def nine_module(root: Path, network: Network) -> dict[str, Machine]:
    made = nine(root, network)
    for host, last, skews in (("olda", 2, (0, 100)), ("oldb", 3, (100, 0))):
        lines = [
            'cloned_interfaces="carp0 carp1"',
            *(
                f'ifconfig_carp{n}="vhid {n + 1} advskew {skew} pass secret 192.168.90.1/24"'
                for n, skew in enumerate(skews)
            ),
        ]
        made[host].tree.write("/etc/rc.conf", rc_conf(host, f"192.168.90.{last}", "\n".join(lines) + "\n"))
        made[host].tree.write("/etc/sysctl.conf", "net.inet.carp.preempt=1\nnet.inet.carp.arpbalance=1\n")
        made[host].power_off()
        made[host].boot()
    network.advance(5)
    return made


# -- FreeBSD 10.4 ------------------------------------------------------------------------------------------------------


def ten(root: Path, network: Network, release: Release = R10_SECOND) -> dict[str, Machine]:
    made = {}
    for letter, host, name, last in (("a", "old-a", "olda", 21), ("b", "old-b", "oldb", 22)):
        macs = (f"52:54:00:12:01:1{letter}", f"52:54:00:12:02:1{letter}")
        files = {"etc/sysctl.conf": "", f"{_CONF}/CARP": CONFIGURATIONS["12"][f"{_CONF}/CARP"]}
        made[host] = machine(root, network, host, release, macs, rc_conf(name, f"10.9.0.{last}"), files=files)
        made[host].tree.install_kernel("CARP", "kernel.CARP", module=False)
        # A module for another kernel: the cross-built one of the recording could not be loaded.
        made[host].tree.write("/boot/kernel/carp.ko", "module carp\nneeds kernel 1003000\n")
        made[host].boot()
    return made


def ten_static(root: Path, network: Network) -> dict[str, Machine]:
    made = ten(root, network, R10)
    for each in made.values():
        each.tree.append("/boot/loader.conf", 'kernel="kernel.CARP"\n')
        each.power_off()
        each.boot()
    network.advance(2)
    return made


ACTS = (
    Act(
        "12.1 module, vhid, fail-over",
        R12,
        (
            "freebsd-12.1/01-generic-kernel-before-carp.txt",
            "freebsd-12.1/02-kldload-and-vhid.txt",
            "freebsd-12.1/03-failover-demotion-errors.txt",
        ),
        twelve,
        paces={"freebsd-12.1/03-failover-demotion-errors.txt": 0.15},
        # a name look-up that fails slowly; and a pause of the person who typed
        slow=((r"10\.9\.0\.300", 4.0), (r"vhid 2 alias 10\.9\.0\.1/32", 1.3)),
    ),
    Act("12.1 sysrc and service", R12, ("freebsd-12.1/05-sysrc-service.txt",), twelve),
    Act(
        "12.1 boots",
        R12,
        ("freebsd-12.1/06-boot-rc.conf.txt", "freebsd-12.1/07-netif-restart-carp-kernel.txt"),
        twelve_boots,
        paces={"freebsd-12.1/06-boot-rc.conf.txt": 0.2},
        slow=((r"^service netif restart$", 3.5),),
    ),
    Act(
        "12.1 adverts and more",
        R12,
        ("freebsd-12.1/08-pcap-adverts.txt", "freebsd-12.1/09-more-12.1.txt"),
        twelve_adverts,
    ),
    Act("12.1 re-adding", R12, ("freebsd-12.1/11-readd-is-disruptive.txt",), twelve),
    Act(
        "9.3 all but the module",
        R9,
        (
            "freebsd-9.3/01-basics.txt",
            "freebsd-9.3/02-ifconfig.txt",
            "freebsd-9.3/03-kldload-builtin.txt",
            "freebsd-9.3/04-boot-and-election.txt",
            "freebsd-9.3/05-rcconf-and-sysctlconf.txt",
            "freebsd-9.3/06-arpbalance.txt",
        ),
        nine,
        hooks={
            "real rc boot, carp0 and carp1 from rc.conf": _before_boot_and_election,
            "passwords with a hyphen": _before_hyphens,
            "second boot: the hyphen only": _after_hang,
            "what decides under arpbalance": _stock_again,
        },
        paces={"freebsd-9.3/04-boot-and-election.txt": 0.25},
        to_login=2.0,
    ),
    Act("9.3 module", R9, ("freebsd-9.3/08-nocarp-kernel-and-module.txt",), nine_module, to_login=2.0),
    Act("10.4 without carp", R10, ("freebsd-10.4/10-freebsd-10.4.txt",), ten),
    Act("10.4 static kernel", R10, ("freebsd-10.4/10b-freebsd-10.4-carp-kernel.txt",), ten_static),
)


def new_network() -> Network:
    return Network(ManualClock(1_795_351_602.408951))
