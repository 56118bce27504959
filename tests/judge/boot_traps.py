"""Boot traps as data: a clean host for each release, edits to its files, and what the next boot makes of them.

Nothing here runs anything, so the same cases serve the pure judge and machines that really (or seemingly) boot:
write ``CLEAN[release]`` to a host, make ``trap.edits``, boot it, and see ``trap.outcome``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CLEAN", "TRAPS", "CleanHost", "Edit", "Outcome", "Trap", "WantedVhid"]

Outcome = Literal[
    "panics", "hangs", "stops", "no-carp", "vhid-missing", "vhid-wrong", "sysctl-wrong", "sysctl-late", "same"
]
"""What the boot shows: no system, no network, the vhids not there or not as wanted, a sysctl wrong for good or wrong
while the vhids come up, or nothing but a remark."""


@dataclass(frozen=True)
class WantedVhid:
    group: str
    vhid: int
    advskew: int
    password: str
    addresses: tuple[str, ...]
    unit: str = ""
    peer: str | None = None


@dataclass(frozen=True)
class CleanHost:
    """A host that comes up as wanted."""

    release: str
    files: Mapping[str, str]
    vhids: tuple[WantedVhid, ...]
    interface: str = "em0"
    own: tuple[str, ...] = ("192.168.90.2/24",)
    carp: str = "module"
    kernels: Mapping[str, str] = field(default_factory=lambda: {"kernel": "carp"})
    """Directory below /boot, and the module beside the kernel ("" for none)."""
    sysctls: Mapping[str, int] = field(default_factory=lambda: {"allow": 1, "preempt": 1, "log": 1})


@dataclass(frozen=True)
class Edit:
    """One change to a file: ``write`` the whole, ``append`` to it, or ``replace`` every ``old``; "" removes the file."""

    path: str
    text: str
    how: Literal["write", "append", "replace"] = "write"
    old: str = ""


@dataclass(frozen=True)
class Trap:
    name: str
    release: str
    edits: tuple[Edit, ...]
    rule: str
    path: str
    """The file the finding points at."""
    line: str
    """Text that stands in the line it points at; "" where it points at the file as a whole."""
    outcome: Outcome
    severity: Literal["error", "warning", "info"] = "error"
    carp: str | None = None
    """What the running kernel has, when not that of the clean host."""
    kernels: Mapping[str, str] | None = None
    bootfile: str = ""


RC, LOADER, SYSCTL = "/etc/rc.conf", "/boot/loader.conf", "/etc/sysctl.conf"

_SYSCTL = "# local settings\nnet.inet.carp.allow=1\nnet.inet.carp.preempt=1\nnet.inet.carp.log=1\n"
_PSEUDO_RC = (
    'hostname="server1"\n'
    'ifconfig_em0="inet 192.168.90.2 netmask 255.255.255.0"\n'
    'cloned_interfaces="carp1 carp2"\n'
    'ifconfig_carp1="vhid 1 advskew 0 pass secret1 192.168.90.1/24"\n'
    'ifconfig_carp2="vhid 2 advskew 100 pass secret2 192.168.90.1/24"\n'
)
_PSEUDO_VHIDS = (
    WantedVhid("carp1", 1, 0, "secret1", ("192.168.90.1/24",), unit="carp1"),
    WantedVhid("carp2", 2, 100, "secret2", ("192.168.90.1/24",), unit="carp2"),
)
_VHID_RC = (
    'hostname="fw1"\n'
    'ifconfig_em0="inet 192.168.90.2/24"\n'
    'ifconfig_em0_ipv6="inet6 2001:db8::2/64"\n'
    'ifconfig_em0_alias0="inet vhid 1 advskew 0 pass secret1 alias 192.168.90.1/32"\n'
    'ifconfig_em0_alias1="inet vhid 1 advskew 0 pass secret1 alias 192.168.90.4/32"\n'
    'ifconfig_em0_alias2="inet6 vhid 1 advskew 0 pass secret1 alias 2001:db8::1/128"\n'
    'ifconfig_em0_alias3="inet vhid 7 advskew 100 pass secret7 alias 192.168.90.7/32"\n'
)
_VHID_VHIDS = (
    WantedVhid("lan", 1, 0, "secret1", ("192.168.90.1/32", "192.168.90.4/32", "2001:db8::1/128")),
    WantedVhid("dns", 7, 100, "secret7", ("192.168.90.7/32",)),
)
_ALL_SYSCTLS = {"allow": 1, "preempt": 1, "log": 1, "arpbalance": 1}


def _vhid_host(release: str) -> CleanHost:
    files = {RC: _VHID_RC, SYSCTL: _SYSCTL, LOADER: 'autoboot_delay="1"\ncarp_load="YES"\n'}
    return CleanHost(release, files, _VHID_VHIDS, own=("192.168.90.2/24", "2001:db8::2/64"))


def _pseudo_host(release: str, loader: str, carp: str, module: str) -> CleanHost:
    return CleanHost(
        release,
        {RC: _PSEUDO_RC, SYSCTL: f"{_SYSCTL}net.inet.carp.arpbalance=1\n", LOADER: loader},
        _PSEUDO_VHIDS,
        carp=carp,
        kernels={"kernel": module},
        sysctls=_ALL_SYSCTLS,
    )


CLEAN: Mapping[str, CleanHost] = {
    "7.2": _pseudo_host("7.2", 'autoboot_delay="1"\n', "static", ""),
    "9.3": _pseudo_host("9.3", 'if_carp_load="YES"\n', "module", "if_carp"),
    **{release: _vhid_host(release) for release in ("10.4", "12.1", "14.2", "15.0")},
}


def _append(path: str, text: str) -> Edit:
    return Edit(path, text, "append")


def _swap(path: str, old: str, new: str) -> Edit:
    return Edit(path, new, "replace", old)


_NO_LOAD = _swap(LOADER, 'carp_load="YES"\n', "")
_KLD = (_NO_LOAD, _append(RC, 'kld_list="carp"\n'))
_A1 = 'ifconfig_em0_alias1="inet vhid 1 advskew 0 pass secret1 alias 192.168.90.4/32"\n'
_CARP_KERNEL = "/boot/kernel.CARP/kernel"
_CARP_KERNELS = {"kernel": "", "kernel.CARP": "carp"}

_KERNEL = (
    Trap("nothing loads carp", "12.1", (_NO_LOAD,), "persist-carp-absent", LOADER, "", "no-carp"),
    Trap(
        "module loaded by hand only",
        "9.3",
        (_swap(LOADER, 'if_carp_load="YES"\n', ""), _swap(RC, 'cloned_interfaces="carp1 carp2"\n', "")),
        "persist-carp-absent",
        LOADER,
        "",
        "no-carp",
    ),
    Trap(
        "no module exists",
        "7.2",
        (_append(LOADER, 'if_carp_load="YES"\n'),),
        "persist-loader-name",
        LOADER,
        "if_carp_load",
        "no-carp",
        "warning",
        carp="absent",
    ),
    Trap(
        "old module name",
        "12.1",
        (_swap(LOADER, "carp_load", "if_carp_load"),),
        "persist-loader-name",
        LOADER,
        "if_carp_load",
        "no-carp",
        "warning",
    ),
    Trap(
        "new module name on 9",
        "9.3",
        (_swap(LOADER, "if_carp_load", "carp_load"),),
        "persist-loader-name",
        LOADER,
        "carp_load",
        "sysctl-late",
        "warning",
    ),
    Trap(
        "module file missing",
        "12.1",
        (),
        "persist-module-missing",
        LOADER,
        "carp_load",
        "no-carp",
        kernels={"kernel": ""},
    ),
    Trap(
        "kernel= chooses a directory without the module",
        "12.1",
        (_append(LOADER, 'kernel="kernel.bare"\n'),),
        "persist-module-missing",
        LOADER,
        'kernel="kernel.bare"',
        "no-carp",
        kernels={"kernel": "carp", "kernel.bare": ""},
    ),
    Trap(
        "kernel= chooses a directory that does not exist",
        "14.2",
        (_append(LOADER, 'kernel="kernel.gone"\n'),),
        "persist-kernel-missing",
        LOADER,
        'kernel="kernel.gone"',
        "stops",
    ),
    Trap(
        "kernel= leaves the static kernel",
        "12.1",
        (_swap(LOADER, 'carp_load="YES"', 'kernel="kernel"'),),
        "persist-kernel-other",
        LOADER,
        'kernel="kernel"',
        "no-carp",
        carp="static",
        kernels=_CARP_KERNELS,
        bootfile=_CARP_KERNEL,
    ),
    Trap(
        "static kernel, carp.ko beside it, carp_load",
        "12.1",
        (_append(LOADER, 'kernel="kernel.CARP"\n'),),
        "persist-panic",
        LOADER,
        "carp_load",
        "panics",
        carp="static",
        kernels=_CARP_KERNELS,
        bootfile=_CARP_KERNEL,
    ),
    Trap(
        "static kernel, no carp.ko beside it, carp_load",
        "12.1",
        (),
        "persist-loader-redundant",
        LOADER,
        "carp_load",
        "same",
        "info",
        carp="static",
        kernels={"kernel": ""},
    ),
    Trap(
        "loader.conf.local switches the module off",
        "12.1",
        (Edit(f"{LOADER}.local", 'carp_load="NO"\n'),),
        "persist-carp-absent",
        LOADER,
        "",
        "no-carp",
    ),
    Trap(
        "loader.conf.d switches the module off",
        "14.2",
        (Edit(f"{LOADER}.d/local.conf", 'carp_load="NO"\n'),),
        "persist-carp-absent",
        LOADER,
        "",
        "no-carp",
    ),
    Trap(
        "malformed loader.conf",
        "10.4",
        (_append(LOADER, 'module_path="/boot\n'),),
        "persist-loader-malformed",
        LOADER,
        "module_path",
        "same",
        "warning",
    ),
    Trap(
        "kld_list before 9.0",
        "7.2",
        (_append(RC, 'kld_list="if_carp"\n'),),
        "persist-kld-list",
        RC,
        "kld_list",
        "no-carp",
        carp="absent",
    ),
    Trap(
        "kld_list names the old module",
        "12.1",
        (_NO_LOAD, _append(RC, 'kld_list="if_carp"\n')),
        "persist-kld-list",
        RC,
        "kld_list",
        "no-carp",
    ),
    Trap(
        "kld_list without the module file",
        "12.1",
        _KLD,
        "persist-kld-list",
        RC,
        "kld_list",
        "no-carp",
        kernels={"kernel": ""},
    ),
    Trap(
        "kld_list where rc.d/kld does not look",
        "12.1",
        (_NO_LOAD, Edit("/etc/rc.conf.d/network", 'kld_list="carp"\n')),
        "persist-rc-unread",
        "/etc/rc.conf.d/network",
        "kld_list",
        "no-carp",
        "warning",
    ),
    Trap(
        "nextboot is pending",
        "12.1",
        (Edit("/boot/nextboot.conf", 'nextboot_enable="YES"\nkernel="kernel.new"\n'),),
        "persist-nextboot",
        "/boot/nextboot.conf",
        "kernel.new",
        "same",
        "info",
        kernels={"kernel": "carp", "kernel.new": "carp"},
    ),
)

_SYSCTLS = (
    Trap("kld_list only", "12.1", _KLD, "persist-sysctl-late", RC, "kld_list", "sysctl-late", "warning"),
    Trap("kld_list only on 14", "14.2", _KLD, "persist-sysctl-late", RC, "kld_list", "sysctl-late", "warning"),
    Trap(
        "ifconfig loads if_carp.ko",
        "9.3",
        (_swap(LOADER, 'if_carp_load="YES"\n', ""),),
        "persist-sysctl-late",
        RC,
        "cloned_interfaces",
        "sysctl-late",
        "warning",
    ),
    Trap(
        "missing from sysctl.conf",
        "12.1",
        (_swap(SYSCTL, "net.inet.carp.preempt=1\n", ""),),
        "persist-sysctl",
        SYSCTL,
        "",
        "sysctl-wrong",
    ),
    Trap(
        "another value in sysctl.conf",
        "14.2",
        (_swap(SYSCTL, "preempt=1", "preempt=0"),),
        "persist-sysctl",
        SYSCTL,
        "preempt=0",
        "sysctl-wrong",
    ),
    Trap(
        "a later line undoes it",
        "10.4",
        (_append(SYSCTL, "net.inet.carp.preempt=0\n"),),
        "persist-sysctl-overridden",
        SYSCTL,
        "preempt=0",
        "sysctl-wrong",
    ),
    Trap(
        "sysctl.conf.local undoes it",
        "12.1",
        (Edit(f"{SYSCTL}.local", "net.inet.carp.preempt=0\n"),),
        "persist-sysctl-overridden",
        f"{SYSCTL}.local",
        "preempt=0",
        "sysctl-wrong",
    ),
    Trap(
        "blanks around = on 9",
        "9.3",
        (_swap(SYSCTL, "preempt=1", "preempt = 1"),),
        "persist-sysctl-odd",
        SYSCTL,
        "preempt = 1",
        "sysctl-wrong",
        "warning",
    ),
    Trap(
        "a glued comment on 9",
        "9.3",
        (_swap(SYSCTL, "arpbalance=1", "arpbalance=1# share"),),
        "persist-sysctl-odd",
        SYSCTL,
        "arpbalance=1#",
        "sysctl-wrong",
        "warning",
    ),
    Trap(
        "a colon on 9",
        "9.3",
        (_swap(SYSCTL, "preempt=1", "preempt: 1"),),
        "persist-sysctl-odd",
        SYSCTL,
        "preempt: 1",
        "sysctl-wrong",
        "warning",
    ),
    Trap(
        "no newline at the end on 9",
        "9.3",
        (_swap(SYSCTL, "arpbalance=1\n", "arpbalance=1"),),
        "persist-sysctl-odd",
        SYSCTL,
        "arpbalance=1",
        "sysctl-wrong",
        "warning",
    ),
    Trap(
        "two words on 12",
        "12.1",
        (_swap(SYSCTL, "preempt=1", "preempt=1 on"),),
        "persist-sysctl-odd",
        SYSCTL,
        "preempt=1 on",
        "sysctl-wrong",
        "warning",
    ),
    Trap(
        "no = on 12",
        "12.1",
        (_swap(SYSCTL, "preempt=1", "preempt 1"),),
        "persist-sysctl-odd",
        SYSCTL,
        "preempt 1",
        "sysctl-wrong",
        "warning",
    ),
    Trap(
        "demotion in sysctl.conf",
        "12.1",
        (_append(SYSCTL, "net.inet.carp.demotion=240\n"),),
        "persist-sysctl-demotion",
        SYSCTL,
        "demotion",
        "sysctl-wrong",
    ),
    Trap(
        "arpbalance after 9",
        "14.2",
        (_append(SYSCTL, "net.inet.carp.arpbalance=1\n"),),
        "persist-sysctl-unknown",
        SYSCTL,
        "arpbalance",
        "same",
        "warning",
    ),
    Trap(
        "suppress_preempt is read only",
        "9.3",
        (_append(SYSCTL, "net.inet.carp.suppress_preempt=0\n"),),
        "persist-sysctl-read-only",
        SYSCTL,
        "suppress_preempt",
        "same",
        "warning",
    ),
    Trap(
        "allow=0 as a loader tunable",
        "14.2",
        (_append(LOADER, 'net.inet.carp.allow="0"\n'), _swap(SYSCTL, "net.inet.carp.allow=1\n", "")),
        "persist-allow-tunable",
        LOADER,
        "net.inet.carp.allow",
        "sysctl-wrong",
    ),
    Trap(
        "allow=0 as a loader tunable until sysctl.conf",
        "14.2",
        (_append(LOADER, 'net.inet.carp.allow="0"\n'),),
        "persist-allow-tunable",
        LOADER,
        "net.inet.carp.allow",
        "same",
        "info",
    ),
    Trap(
        "a sysctl in loader.conf before 14",
        "12.1",
        (_append(LOADER, 'net.inet.carp.preempt="1"\n'), _swap(SYSCTL, "net.inet.carp.preempt=1\n", "")),
        "persist-loader-sysctl",
        LOADER,
        "net.inet.carp.preempt",
        "sysctl-wrong",
        "warning",
    ),
)

_RC = (
    Trap(
        "unbalanced quote",
        "12.1",
        (_append(RC, 'sshd_enable="YES\n'),),
        "persist-rc-unreadable",
        RC,
        "sshd_enable",
        "stops",
    ),
    Trap(
        "unbalanced quote in rc.conf.local",
        "9.3",
        (Edit(f"{RC}.local", "ntpd_enable='YES\n"),),
        "persist-rc-unreadable",
        f"{RC}.local",
        "ntpd_enable",
        "stops",
    ),
    Trap(
        "rc.conf.local overrides",
        "12.1",
        (Edit(f"{RC}.local", 'ifconfig_em0_alias3="inet vhid 7 advskew 50 pass secret7 alias 192.168.90.7/32"\n'),),
        "persist-rc-overridden",
        f"{RC}.local",
        "alias3",
        "vhid-wrong",
    ),
    Trap(
        "rc.conf.d/network overrides",
        "10.4",
        (Edit("/etc/rc.conf.d/network", 'ifconfig_em0_alias3="inet 192.168.90.7/32"\n'),),
        "persist-rc-overridden",
        "/etc/rc.conf.d/network",
        "alias3",
        "vhid-missing",
    ),
    Trap(
        "rc.conf.d/netif overrides",
        "14.2",
        (Edit("/etc/rc.conf.d/netif", 'ifconfig_em0_alias3="inet 192.168.90.7/32"\n'),),
        "persist-rc-overridden",
        "/etc/rc.conf.d/netif",
        "alias3",
        "vhid-missing",
    ),
    Trap(
        "rc.conf.d/netif is not read",
        "10.4",
        (
            _swap(RC, 'ifconfig_em0_alias3="inet vhid 7 advskew 100 pass secret7 alias 192.168.90.7/32"\n', ""),
            Edit(
                "/etc/rc.conf.d/netif",
                'ifconfig_em0_alias3="inet vhid 7 advskew 100 pass secret7 alias 192.168.90.7/32"\n',
            ),
        ),
        "persist-rc-unread",
        "/etc/rc.conf.d/netif",
        "alias3",
        "vhid-missing",
        "warning",
    ),
    Trap(
        "a later assignment in the same file",
        "14.2",
        (_append(RC, 'ifconfig_em0_alias3="inet vhid 7 advskew 100 pass other alias 192.168.90.7/32"\n'),),
        "persist-rc-overridden",
        RC,
        "pass other",
        "vhid-wrong",
    ),
    Trap(
        "cloned_interfaces assigned again",
        "9.3",
        (_append(RC, 'cloned_interfaces="lo1"\n'),),
        "persist-not-cloned",
        RC,
        '"lo1"',
        "vhid-missing",
    ),
    Trap(
        "under a condition that does not hold",
        "12.1",
        (
            _swap(RC, _A1, ""),
            _append(RC, f"if [ -e /nonexistent ]; then\n{_A1}fi\n"),
        ),
        "persist-rc-conditional",
        RC,
        "alias1",
        "vhid-wrong",
    ),
    Trap(
        "computed by sh",
        "12.1",
        (_swap(RC, '"inet vhid 7', '"inet vhid $((6+1))'),),
        "persist-rc-computed",
        RC,
        "alias3",
        "same",
        "info",
    ),
    Trap(
        "netif switched off",
        "12.1",
        (_append(RC, 'netif_enable="NO"\n'),),
        "persist-netif-disabled",
        RC,
        "netif_enable",
        "stops",
    ),
    Trap(
        "network_interfaces leaves it out",
        "12.1",
        (_append(RC, 'network_interfaces="lo0 em1"\n'),),
        "persist-interface-skipped",
        RC,
        "network_interfaces",
        "vhid-missing",
    ),
    Trap(
        "NOAUTO",
        "14.2",
        (_swap(RC, 'ifconfig_em0="inet', 'ifconfig_em0="NOAUTO inet'),),
        "persist-interface-skipped",
        RC,
        "NOAUTO",
        "vhid-missing",
    ),
    Trap(
        "renamed by rc.conf",
        "12.1",
        (_append(RC, 'ifconfig_em0_name="lan0"\n'),),
        "persist-interface-renamed",
        RC,
        "ifconfig_em0_name",
        "vhid-missing",
    ),
)

_ALIASES = (
    Trap(
        "hyphen behind a hex digit",
        "12.1",
        (_swap(RC, "pass secret7", "pass face-book"),),
        "persist-hyphen",
        RC,
        "alias3",
        "hangs",
    ),
    Trap(
        "hyphen in an alias that is not ours",
        "14.2",
        (_append(RC, 'ifconfig_em0_alias9="inet vhid 99 pass K8- 192.168.90.99/32"\n'),),
        "persist-hyphen",
        RC,
        "alias9",
        "hangs",
    ),
    Trap(
        "hyphen in _aliases",
        "10.4",
        (_append(RC, 'ifconfig_em0_aliases="inet vhid 9 pass a-b 192.168.90.9/32"\n'),),
        "persist-hyphen",
        RC,
        "_aliases",
        "hangs",
    ),
    Trap(
        "any hyphen on 9",
        "9.3",
        (_append(RC, 'ifconfig_carp2_alias0="inet 192.168.90.5/24 pass x-y"\n'),),
        "persist-hyphen",
        RC,
        "carp2_alias0",
        "hangs",
    ),
    Trap(
        "two hyphens",
        "12.1",
        (_swap(RC, "pass secret7", "pass ab--cd"),),
        "persist-hyphen-dropped",
        RC,
        "alias3",
        "vhid-missing",
    ),
    Trap(
        "an empty alias",
        "12.1",
        (_swap(RC, _A1, 'ifconfig_em0_alias1=""\n'),),
        "persist-alias-empty",
        RC,
        "alias1",
        "vhid-missing",
    ),
    Trap(
        "a gap up to 9.0",
        "7.2",
        (_append(RC, 'ifconfig_em0_alias1="inet 192.168.91.2/24"\n'),),
        "persist-alias-gap",
        RC,
        "alias1",
        "same",
    ),
    Trap(
        "no family word",
        "9.3",
        (_append(RC, 'ifconfig_carp1_alias0="192.168.90.1/24"\n'),),
        "persist-alias-family",
        RC,
        "carp1_alias0",
        "same",
        "warning",
    ),
    Trap(
        "no family word on 12",
        "12.1",
        (_swap(RC, '"inet vhid 7', '"vhid 7'),),
        "persist-alias-family",
        RC,
        "alias3",
        "same",
        "warning",
    ),
    Trap(
        "two families in one alias",
        "12.1",
        (
            _swap(RC, "alias 192.168.90.4/32", "alias 192.168.90.4/32 inet6 vhid 1 2001:db8::1/128"),
            _swap(RC, 'ifconfig_em0_alias2="inet6 vhid 1 advskew 0 pass secret1 alias 2001:db8::1/128"\n', ""),
        ),
        "persist-alias-mixed",
        RC,
        "alias1",
        "vhid-wrong",
    ),
    Trap(
        "the same address twice",
        "12.1",
        (_append(RC, 'ifconfig_em0_alias4="inet vhid 7 advskew 100 pass secret7 alias 192.168.90.7/32"\n'),),
        "persist-alias-duplicate",
        RC,
        "alias4",
        "same",
        "warning",
    ),
    Trap(
        "one address on two vhids",
        "12.1",
        (_append(RC, 'ifconfig_em0_alias4="inet vhid 8 advskew 0 pass other alias 192.168.90.7/32"\n'),),
        "persist-alias-conflict",
        RC,
        "alias4",
        "vhid-missing",
    ),
    Trap(
        "an own address takes it away",
        "12.1",
        (_append(RC, 'ifconfig_em0_alias4="inet 192.168.90.7/32"\n'),),
        "persist-alias-conflict",
        RC,
        "alias4",
        "vhid-missing",
    ),
    Trap(
        "vhid out of range",
        "12.1",
        (_swap(RC, "vhid 7", "vhid 300"),),
        "persist-ifconfig-refused",
        RC,
        "alias3",
        "vhid-missing",
    ),
    Trap(
        "advskew out of range",
        "10.4",
        (_swap(RC, "advskew 100", "advskew 255"),),
        "persist-ifconfig-refused",
        RC,
        "alias3",
        "vhid-missing",
    ),
    Trap(
        "pass before vhid",
        "14.2",
        (_swap(RC, "inet vhid 7 advskew 100 pass secret7", "inet pass secret7 vhid 7 advskew 100"),),
        "persist-ifconfig-refused",
        RC,
        "alias3",
        "vhid-missing",
    ),
    Trap(
        "peer before 14",
        "12.1",
        (_swap(RC, "pass secret7", "peer 192.168.90.3 pass secret7"),),
        "persist-ifconfig-refused",
        RC,
        "alias3",
        "vhid-missing",
    ),
    Trap(
        "no ifconfig_IF_ipv6",
        "12.1",
        (_swap(RC, 'ifconfig_em0_ipv6="inet6 2001:db8::2/64"\n', ""),),
        "persist-ipv6-variable",
        RC,
        "alias2",
        "vhid-wrong",
    ),
    Trap(
        "no ifconfig_IF",
        "12.1",
        (_swap(RC, 'ifconfig_em0="inet 192.168.90.2/24"\n', ""),),
        "persist-own-address",
        RC,
        "",
        "vhid-wrong",
    ),
    Trap(
        "legacy cloned carp0",
        "12.1",
        (_append(RC, 'cloned_interfaces="carp0"\n'),),
        "persist-legacy-carp",
        RC,
        "cloned_interfaces",
        "same",
        "warning",
    ),
    Trap(
        "vhid on a real interface before 10",
        "9.3",
        (_append(RC, 'ifconfig_em0_alias0="inet vhid 3 pass x 192.168.90.9/32"\n'),),
        "persist-ifconfig-refused",
        RC,
        "em0_alias0",
        "same",
    ),
)

_UNITS = (
    Trap(
        "cloned_interfaces missing",
        "7.2",
        (_swap(RC, 'cloned_interfaces="carp1 carp2"\n', ""),),
        "persist-not-cloned",
        RC,
        "ifconfig_carp1",
        "vhid-missing",
    ),
    Trap(
        "cloned_interfaces without carp2",
        "9.3",
        (_swap(RC, "carp1 carp2", "carp1"),),
        "persist-not-cloned",
        RC,
        "cloned_interfaces",
        "vhid-missing",
    ),
    Trap(
        "carpN in descending order",
        "9.3",
        (_swap(RC, "carp1 carp2", "carp2 carp1"),),
        "persist-carp-order",
        RC,
        "ifconfig_carp1",
        "vhid-wrong",
    ),
    Trap(
        "no parent address",
        "7.2",
        (_swap(RC, 'ifconfig_em0="inet 192.168.90.2 netmask 255.255.255.0"\n', ""),),
        "persist-parent-address",
        RC,
        "ifconfig_carp1",
        "vhid-missing",
    ),
    Trap(
        "parent in another network",
        "9.3",
        (_swap(RC, "192.168.90.2 netmask", "192.168.91.2 netmask"),),
        "persist-parent-address",
        RC,
        "ifconfig_carp1",
        "vhid-missing",
    ),
    Trap(
        "the same vhid twice",
        "9.3",
        (_swap(RC, '"vhid 2', '"vhid 1'),),
        "persist-vhid-duplicate",
        RC,
        "ifconfig_carp2",
        "vhid-missing",
    ),
    Trap(
        "owner of the address",
        "9.3",
        (_swap(RC, "192.168.90.2 netmask", "192.168.90.1 netmask"),),
        "persist-owner",
        RC,
        "ifconfig_carp2",
        "vhid-wrong",
        "warning",
    ),
    Trap(
        "ifconfig_carp2 missing",
        "9.3",
        (_swap(RC, 'ifconfig_carp2="vhid 2 advskew 100 pass secret2 192.168.90.1/24"\n', ""),),
        "persist-vhid-missing",
        RC,
        "",
        "vhid-missing",
    ),
)

_VALUES = (
    Trap(
        "another password",
        "12.1",
        (_swap(RC, "pass secret7", "pass secret8"),),
        "persist-password",
        RC,
        "alias3",
        "vhid-wrong",
    ),
    Trap("no password", "14.2", (_swap(RC, "pass secret7 ", ""),), "persist-password", RC, "alias3", "vhid-wrong"),
    Trap(
        "another password on 7",
        "7.2",
        (_swap(RC, "pass secret2", "pass secret8"),),
        "persist-password",
        RC,
        "ifconfig_carp2",
        "vhid-wrong",
    ),
    Trap(
        "another advskew",
        "14.2",
        (_swap(RC, "advskew 100", "advskew 50"),),
        "persist-advskew",
        RC,
        "alias3",
        "vhid-wrong",
    ),
    Trap(
        "another advbase",
        "10.4",
        (_swap(RC, "advskew 100", "advbase 2 advskew 100"),),
        "persist-advbase",
        RC,
        "alias3",
        "vhid-wrong",
    ),
    Trap(
        "an address missing",
        "14.2",
        (_swap(RC, _A1, 'ifconfig_em0_alias1="inet 192.168.95.1/32"\n'),),
        "persist-address-missing",
        RC,
        "alias0",
        "vhid-wrong",
    ),
    Trap(
        "an address too many",
        "12.1",
        (_append(RC, 'ifconfig_em0_alias4="inet vhid 7 alias 192.168.90.8/32"\n'),),
        "persist-address-extra",
        RC,
        "alias4",
        "vhid-wrong",
    ),
    Trap(
        "another prefix length",
        "12.1",
        (_swap(RC, "192.168.90.7/32", "192.168.90.7/24"),),
        "persist-address-prefix",
        RC,
        "alias3",
        "vhid-wrong",
    ),
    Trap(
        "a mask left out",
        "12.1",
        (_swap(RC, "192.168.90.7/32", "192.168.90.7"),),
        "persist-address-prefix",
        RC,
        "alias3",
        "vhid-wrong",
    ),
    Trap(
        "unicast in the file, multicast wanted",
        "14.2",
        (_swap(RC, "pass secret7", "pass secret7 peer 192.168.90.3"),),
        "persist-peer",
        RC,
        "alias3",
        "vhid-wrong",
    ),
    Trap(
        "a vhid that runs nowhere yet",
        "12.1",
        (_append(RC, 'ifconfig_em0_alias4="inet vhid 9 pass x alias 192.168.90.9/32"\n'),),
        "persist-file-only",
        RC,
        "alias4",
        "vhid-wrong",
        "warning",
    ),
)

TRAPS = (*_KERNEL, *_SYSCTLS, *_RC, *_ALIASES, *_UNITS, *_VALUES)
