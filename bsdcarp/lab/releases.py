"""The FreeBSD releases of the lab, as data: nothing else in the lab compares version numbers.

Sources: recordings of FreeBSD 9.3, 10.4 and 12.1 (every wording and column of these three); for 7.2, 14.2 and 15.0
the FreeBSD sources of sbin/ifconfig, sbin/kldstat, sbin/sysctl, usr.sbin/sysrc and libexec/rc (etc/ before 12).
A release in between behaves like the nearest one of its era, the era border being FreeBSD 10.0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bsdcarp.errors import LabError

__all__ = ["RELEASES", "IfconfigShape", "KldShape", "RcShape", "Release", "SysrcShape", "release_named"]

Era = Literal["pseudo", "vhid"]


@dataclass(frozen=True, slots=True)
class IfconfigShape:
    """How ifconfig prints an interface.

    ``lines`` is the order of the line groups.  ``blank_after`` says which address lines end in a blank: none, those
    without a broadcast address (``plain``), or all.  ``lower_up`` adds the flag LOWER_UP, ``peer_line`` the line with
    the CARP destinations, ``keys`` the option -k, ``unicast`` the words peer, peer6, mcast and mcast6.
    """

    lines: tuple[str, ...]
    blank_after: Literal["none", "plain", "all"]
    loopback_options: str
    lower_up: bool = False
    keys: bool = True
    unicast: bool = False
    netlink: bool = False


@dataclass(frozen=True, slots=True)
class KldShape:
    """Columns and manners of kldstat, kldload and kldunload."""

    header: str
    row: str
    module_row: str
    builtin_carp_id: int
    next_module_id: int
    quiet_file: bool = True  # kldstat -q -n is really quiet
    clash: str = "module_register: cannot register {module} from {file}; already loaded from kernel"


@dataclass(frozen=True, slots=True)
class SysrcShape:
    """Where sysrc says that a variable is unknown, and the status it leaves with then."""

    version: str
    unknown_to_stdout: bool
    unknown_status: int
    usage: str


@dataclass(frozen=True, slots=True)
class RcShape:
    """What differs between the rc scripts.

    ``sysctl_loop``: /etc/rc.d/sysctl reads its file line by line in sh instead of calling ``sysctl -f``.
    ``alias_word``: how the warning about a missing family keyword names the variable and the keyword.
    ``netif_status``: rc.d/netif knows the command ``status``.
    ``hyphen``: the pattern that rc takes for an address range in an alias.
    ``network_ipv6``: IPv6 is set up by rc.d/network_ipv6 from ``ipv6_enable`` and ``ipv6_ifconfig_IF``.
    ``gap_ends``: a missing aliasN hides all that come behind it.
    ``early_log``: kernel log lines from before syslogd runs stay in the message buffer that dmesg prints.
    """

    sysctl_loop: bool
    alias_warning: str
    rc_conf_d: tuple[str, ...]
    hyphen: str
    early_log: bool
    lastload_script: str
    inet6_ifdisabled: bool = True
    link_local_anyway: bool = False
    network_ipv6: bool = False
    clone_error: bool = False
    gap_ends: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """One FreeBSD release as the lab simulates it; ``with_build`` gives a variation, for instance a -STABLE."""

    name: str
    version: tuple[int, int]
    uname_r: str
    osreldate: int
    era: Era
    version_text: str
    default_kernel: str
    carp_module: str | None
    login_shell: Literal["csh", "sh"]
    carp_oids: tuple[str, ...]
    sysctl_options: str
    sysctl_usage: tuple[str, ...]
    ifconfig: IfconfigShape
    kld: KldShape
    sysrc: SysrcShape | None
    rc: RcShape
    boot_tail: tuple[str, ...]
    absent_commands: frozenset[str] = frozenset()
    readd_keeps_role: bool = False  # SIOCAIFADDR with an identical address is a no-operation
    readd_loses_vhid: bool = False  # re-adding the only address of a vhid destroys it first, and then fails
    orphan_vhid_stays: bool = True  # moving the only address to another vhid leaves the old vhid behind in INIT
    sysctl_stops: bool = False  # sysctl(8) gives up at the first name it cannot use
    wide_routes: bool = False  # netstat -r prints Refs and Use
    allow_tunable: bool = False  # net.inet.carp.allow can be set in loader.conf
    clones: tuple[str, ...] = ("lo", "gif", "tun", "vlan")
    arch: str = "amd64"
    include_generic: bool = True

    @property
    def family(self) -> Literal["freebsd"]:
        return "freebsd"

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return f"FreeBSD {self.name}"

    def kernel_version(self, ident: str) -> str:
        """Return the text of kern.version for a kernel called ``ident``."""
        return self.version_text.format(release=self.uname_r, ident=ident, arch=self.arch)

    def with_build(self, uname_r: str, osreldate: int, version_text: str) -> Release:
        """Return the same release with the name, number and version text of another build."""
        return replace(self, uname_r=uname_r, osreldate=osreldate, version_text=version_text)


_OIDS_PSEUDO = ("allow", "preempt", "log", "stats", "arpbalance", "suppress_preempt")
_OIDS_10 = ("stats", "ifdown_demotion_factor", "senderr_demotion_factor", "demotion", "log", "preempt", "allow")
_OIDS_12 = (*_OIDS_10[:-1], "dscp", "allow")

_KLD_NARROW = "Id Refs Address            Size     Name"
_KLD_WIDE = "Id Refs Address                Size Name"
_LOOP = (
    "600003<RXCSUM,TXCSUM,RXCSUM_IPV6,TXCSUM_IPV6>",
    "680003<RXCSUM,TXCSUM,LINKSTATE,RXCSUM_IPV6,TXCSUM_IPV6>",
)
_USAGE_9 = ("usage: sysctl [-bdehiNnoqx] name[=value] ...", "       sysctl [-bdehNnoqx] -a")
_USAGE_10 = (
    "usage: sysctl [-bdehiNnoqTtWx] [ -B <bufsize> ] [-f filename] name[=value] ...",
    "       sysctl [-bdehNnoqTtWx] [ -B <bufsize> ] -a",
)
_SYSRC_USAGE_12 = (
    "Usage: sysrc [OPTIONS] {name[[+|-]=value] ... | -a | -A | -l | -L [name ...]}\n"
    "Try `sysrc --help' for more information."
)
_VERSION_OLD = (
    "FreeBSD {release} #0: Thu May  1 08:49:13 UTC 2014\n    root@build.example.org:/usr/obj/usr/src/sys/{ident}\n"
)
_ROOT = "Trying to mount root from ufs:/dev/vtbd0p2 [rw]..."

_R93 = Release(
    name="9.3",
    version=(9, 3),
    uname_r="9.3-RELEASE",
    osreldate=903000,
    era="pseudo",
    version_text=_VERSION_OLD,
    default_kernel="GENERIC",
    carp_module="if_carp",
    login_shell="csh",
    carp_oids=_OIDS_PSEUDO,
    sysctl_options="abdehiNnoqx",
    sysctl_usage=_USAGE_9,
    ifconfig=IfconfigShape(
        lines=("options", "ether", "addresses", "nd6", "media", "status", "carp"),
        blank_after="plain",
        loopback_options=_LOOP[0],
        keys=False,
    ),
    kld=KldShape(
        header=_KLD_NARROW,
        row="{id:2d} {refs:4d} {address} {size:<8x} {name}",
        module_row="\t\t{id:2d} {name}",
        builtin_carp_id=70,
        next_module_id=117,
        quiet_file=False,
        clash="module_register: module {module} already exists!",
    ),
    sysrc=SysrcShape(
        version="6.0 Nov-07,2013",
        unknown_to_stdout=True,
        unknown_status=0,
        usage="Usage: sysrc [OPTIONS] name[=value] ...\nTry `sysrc --help' for more information.",
    ),
    rc=RcShape(
        sysctl_loop=True,
        alias_warning='$ifconfig_{iface}_alias{variable} needs  "inet" keyword for an IPv4 address.',
        rc_conf_d=("network",),
        hyphen="-",
        early_log=False,
        lastload_script="/etc/rc.d/sysctl",
        link_local_anyway=True,
        clone_error=True,
    ),
    boot_tail=(
        "sc0: <System console> at flags 0x100 on isa0",
        "sc0: MDA <16 virtual consoles, flags=0x100>",
        "vga0: <Generic ISA VGA> at port 0x3b0-0x3bb iomem 0xb0000-0xb7fff on isa0",
        "attimer0: <AT timer> at port 0x40 on isa0",
        'Timecounter "i8254" frequency 1193182 Hz quality 0',
        'Event timer "i8254" frequency 1193182 Hz quality 100',
        "Timecounters tick every 1.000 msec",
        'Timecounter "TSC-low" frequency 1300189889 Hz quality 800',
        _ROOT,
    ),
    absent_commands=frozenset({"freebsd-version"}),
    sysctl_stops=True,
    wide_routes=True,
    clones=("lo", "carp", "gif", "tun", "faith", "vlan"),
)

_R72 = replace(
    _R93,
    name="7.2",
    version=(7, 2),
    uname_r="7.2-RELEASE",
    osreldate=702000,
    version_text=_VERSION_OLD.replace("Thu May  1 08:49:13 UTC 2014", "Fri May  1 07:18:07 UTC 2009"),
    default_kernel="CARP",
    carp_module=None,
    sysctl_options="abdehNnoqxAX",
    sysctl_usage=("usage: sysctl [-bdehNnoqx] variable[=value] ...", "       sysctl [-bdehNnoqx] -a"),
    ifconfig=IfconfigShape(
        lines=("options", "ether", "addresses", "media", "status", "carp"),
        blank_after="plain",
        loopback_options="",
        keys=False,
    ),
    sysrc=None,
    # ifalias_up() counts up from alias0, and knows no ranges yet (etc/network.subr up to 9.0 and 8.x).
    rc=replace(_R93.rc, inet6_ifdisabled=False, network_ipv6=True, gap_ends=True, hyphen=r"(?!)"),
    absent_commands=frozenset({"freebsd-version", "sysrc"}),
)

_R104 = replace(
    _R93,
    name="10.4",
    version=(10, 4),
    uname_r="10.4-RELEASE",
    osreldate=1004000,
    era="vhid",
    version_text=_VERSION_OLD.replace("Thu May  1 08:49:13 UTC 2014", "Fri Sep 29 05:38:20 UTC 2017"),
    carp_module="carp",
    carp_oids=_OIDS_10,
    sysctl_options="abdehiNnoqTtWxBf",
    sysctl_usage=_USAGE_10,
    ifconfig=IfconfigShape(
        lines=("options", "ether", "hwaddr", "addresses", "nd6", "media", "status", "carp"),
        blank_after="all",
        loopback_options=_LOOP[0],
    ),
    kld=replace(
        _R93.kld,
        builtin_carp_id=69,
        quiet_file=True,
        clash="module_register: module {module} already exists!",
    ),
    sysrc=SysrcShape(
        version="6.4 Oct-05,2015",
        unknown_to_stdout=True,
        unknown_status=1,
        usage=_SYSRC_USAGE_12,
    ),
    rc=RcShape(
        sysctl_loop=False,
        alias_warning='$ifconfig_{iface}_alias{number} needs leading "inet" keyword for an IPv4 address.',
        rc_conf_d=("network",),
        hyphen="[0-9a-fA-F]-",
        early_log=True,
        lastload_script="/etc/rc.d/sysctl",
    ),
    absent_commands=frozenset(),
    clones=("lo", "bridge", "gif", "tun", "vlan"),
    readd_keeps_role=True,
    orphan_vhid_stays=False,
    sysctl_stops=False,
    wide_routes=False,
)

_R121 = replace(
    _R104,
    name="12.1",
    version=(12, 1),
    uname_r="12.1-RELEASE",
    osreldate=1201000,
    version_text="FreeBSD {release} {ident} \n",
    carp_oids=_OIDS_12,
    ifconfig=IfconfigShape(
        lines=("options", "ether", "addresses", "carp", "groups", "media", "status", "nd6"),
        blank_after="none",
        loopback_options=_LOOP[1],
    ),
    kld=KldShape(
        header=_KLD_WIDE,
        row="{id:2d} {refs:4d} {address} {size:8x} {name}",
        module_row="\t\t{id:3d} {name}",
        builtin_carp_id=70,
        next_module_id=113,
    ),
    sysrc=SysrcShape(version="7.2 Jun-16,2018", unknown_to_stdout=False, unknown_status=1, usage=_SYSRC_USAGE_12),
    rc=replace(_R104.rc, rc_conf_d=("network", "netif")),
    boot_tail=("Timecounters tick every 10.000 msec", _ROOT),
    readd_keeps_role=False,
    orphan_vhid_stays=True,
)

# The same shapes.  Up to 11.2 in_difaddr_ioctl() does not tell carp_detach() to keep the vhid while an address is being
# replaced, so that the address has no vhid to go to (ENOPROTOOPT; seen on 11.1, opnsense/core issue 2486).
_R114 = replace(
    _R121,
    name="11.4",
    version=(11, 4),
    uname_r="11.4-RELEASE",
    osreldate=1104000,
    version_text=_VERSION_OLD.replace("Thu May  1 08:49:13 UTC 2014", "Fri Jun 12 19:42:46 UTC 2020"),
)
_R112 = replace(
    _R114,
    name="11.2",
    version=(11, 2),
    uname_r="11.2-RELEASE",
    osreldate=1102000,
    version_text=_VERSION_OLD.replace("Thu May  1 08:49:13 UTC 2014", "Fri Jun 22 04:32:14 UTC 2018"),
    carp_oids=_OIDS_10,
    readd_loses_vhid=True,
    orphan_vhid_stays=False,
)

_R142 = replace(
    _R121,
    name="14.2",
    version=(14, 2),
    uname_r="14.2-RELEASE",
    osreldate=1402000,
    version_text="FreeBSD {release} releng/14.2 {ident}\n",
    login_shell="sh",
    ifconfig=replace(_R121.ifconfig, lower_up=True, unicast=True, netlink=True),
    sysrc=SysrcShape(version="7.7 Sep-9,2020", unknown_to_stdout=False, unknown_status=1, usage=_SYSRC_USAGE_12),
    rc=replace(_R121.rc, lastload_script="/etc/rc.d/sysctl_lastload"),
    allow_tunable=True,
)

_R150 = replace(
    _R142,
    name="15.0",
    version=(15, 0),
    uname_r="15.0-RELEASE",
    osreldate=1500068,
    version_text="FreeBSD {release} releng/15.0 {ident}\n",
)

RELEASES: tuple[Release, ...] = (_R72, _R93, _R104, _R112, _R114, _R121, _R142, _R150)
"""Every simulated release, oldest first."""


def release_named(name: str) -> Release:
    """Find the release for ``7.2``, ``freebsd-14.2``, ``12`` or ``13.4-RELEASE``; unknown ones map to the nearest.

    Raises :class:`LabError` when the name holds no version.
    """
    digits = name.lower().removeprefix("freebsd").lstrip("- ").split("-", 1)[0].split(".")
    if not digits[0].isdigit() or not all(part.isdigit() for part in digits):
        raise LabError(f"{name!r} is not a FreeBSD release", remedy="write for instance 7.2 or freebsd-14.2")
    wanted = (int(digits[0]), int(digits[1]) if len(digits) > 1 else 0)
    same_era = [release for release in RELEASES if (release.version >= (10, 0)) == (wanted >= (10, 0))]

    def distance(release: Release) -> float:
        return abs(release.version[0] + release.version[1] / 100 - wanted[0] - wanted[1] / 100)

    return min(same_era, key=distance)
