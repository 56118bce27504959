"""What each release can do, as one table: every other module asks for a capability and never compares versions.

``capabilities(release)`` looks a release up in ``ERAS``.  A row holds what changed against the row above it, so the
table reads like a history.  Where a column's value comes from is said next to the column in ``Capabilities``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.model import Release

__all__ = ["ERAS", "LINUX", "OLDEST", "Capabilities", "capabilities", "parse_release"]

_PSEUDO_SYSCTLS = frozenset({"allow", "preempt", "log", "arpbalance", "suppress_preempt", "stats"})
_VHID_SYSCTLS = frozenset(
    {"allow", "preempt", "log", "demotion", "ifdown_demotion_factor", "senderr_demotion_factor", "stats"}
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one release offers.  Files are of the FreeBSD source tree, numbers in brackets are manual sections."""

    syntax: Literal["pseudo", "vhid", "linux"]
    """``pseudo``: cloned carpN interfaces; ``vhid``: an attribute of addresses (UPDATING 20111215); ``linux``: a
    daemon."""
    module: Literal["if_carp", "carp"] | None
    """File name of the module without ``.ko``; sys/modules/if_carp came with r211157 (8.2), renamed in 10.0."""
    sysctls: frozenset[str]
    """Leaf names below net.inet.carp; sys/netinet/ip_carp.c of each release, carp(4)."""
    include_generic: bool = True
    """config(5) ``include``; sys/i386/conf/PAE of 5.x uses it already, so every release with CARP has it."""
    arpbalance: bool = False
    """Load sharing by ARP; carp_iamatch() in ip_carp.c up to 9.x, dropped by UPDATING 20111216."""
    ipv6: bool = True
    """IPv6 addresses on a vhid come up from rc.conf alone.  Before 9.0 rc(8) needs ``ipv6_enable`` and configures
    inet6 in network_ipv6, after the carpN interfaces (etc/network.subr, etc/rc.d/network_ipv6): not offered there."""
    unicast: bool = False
    """ifconfig ``peer`` and ``peer6``; main commit 137818006de5 (2023-03-20), sbin/ifconfig/carp.c of 14.0."""
    unicast_own_mac: bool = False
    """Unicast adverts leave with the interface's own source MAC, not the virtual one; ip_carp.c of 15.0, and reported
    for 14 in opnsense/src#239, so it is assumed for all that have unicast."""
    vrrp: bool = False
    """ifconfig ``carpver 3``; main commit 37115154672f (2024-05-08), hence 15.0."""
    state_keyword: bool = False
    """ifconfig ``vhid N state backup``; ifconfig(8) of 10.0."""
    print_key: bool = False
    """``ifconfig -k`` shows the key to root; sbin/ifconfig/carp.c of 10.4."""
    peer_line: bool = False
    """ifconfig prints a second line ``peer A peer6 B`` for each vhid; sbin/ifconfig/carp.c of 14.0."""
    trailing_space: bool = False
    """ifconfig ends address lines with a blank; recorded on 10.4, gone in 12.1 (sbin/ifconfig/af_inet.c of 11.0)."""
    cidr_output: bool = False
    """``ifconfig -f inet:cidr``; ifconfig(8) of 11.0."""
    advbase_zero: bool = False
    """advbase 0 with advskew > 0 is accepted; carp_ioctl() up to 9.x."""
    bow_out: bool = False
    """A vhid that goes down says goodbye (advbase and advskew 255); carp_send_ad_all() up to 9.x."""
    sorted_digest: bool = True
    """The HMAC covers the addresses in ascending order; carp_hmac_prepare() of 7.1 on, interface order before."""
    readd_restarts: bool = True
    """Adding an address that is there already restarts or destroys the vhid; recorded on 12.1, in_control() of 10.x.
    Nobody looked on the older ones, and sparing an address costs nothing, so it is assumed there."""
    readd_destroys: bool = False
    """Adding it again destroys the vhid and then fails, so that it is gone; in_difaddr_ioctl() in netinet/in.c of 11.0
    to 11.2 (opnsense/core#2486)."""
    owner_advskew_zero: bool = False
    """An address that another interface owns forces advskew 0; carp_set_addr() up to 9.x."""
    ascending_vhids: bool = False
    """The order of creation decides which vhid answers ARP, so they are created in ascending order; recorded on 9.3."""
    gap_ends_aliases: bool = False
    """A missing ifconfig_IF_aliasN hides all later ones; ifalias_up() in etc/network.subr up to 9.0."""
    hyphen_trap: Literal["any", "hex"] | None = None
    """Which text in an alias line rc takes for an address range, and recurses for ever: ``any`` hyphen (network.subr of
    9.x, recorded on 9.3) or a ``hex`` digit before a hyphen (10.0 and later, network.subr of 10.4)."""
    kld_list: bool = False
    """``kld_list`` in rc.conf; etc/rc.d/kld of 9.0."""
    sysctl_kld_d: bool = False
    """/etc/sysctl.kld.d/MODULE.conf; load_kld() in libexec/rc/rc.subr, sysctl.conf(5) of 14.0."""
    allow_tunable: bool = False
    """net.inet.carp.allow may stand in loader.conf; CTLFLAG_RWTUN in ip_carp.c of 14.0."""
    allow_restarts: bool = False
    """Writing net.inet.carp.allow sends every vhid to INIT and back; carp_allow_sysctl() of 11.0."""
    loader_conf_d: bool = False
    """/boot/loader.conf.d/*.conf; main commit 72cf7db3aaf1 (July 2020), hence 13.0."""
    nextboot_zfs: bool = False
    """nextboot(8) is for one boot on ZFS, too: the loader keeps its switch in the label of the pool; main commit
    e307eb94ae52 (2020-09-21), hence 13.0."""
    netif_reads_netif: bool = False
    """rc.d/netif reads /etc/rc.conf.d/netif besides network; etc/rc.d/netif, read in 10.4 (no) and 12.1 (yes)."""
    sysrc: bool = False
    """sysrc(8) is in the base system, HISTORY: 9.2."""
    freebsd_version: bool = False
    """freebsd-version(1), HISTORY: 10.0."""
    boot_id: bool = False
    """sysctl kern.boot_id; sys/kern/kern_mib.c, not in 12.1."""
    csh_login: bool = False
    """root logs in to csh; etc/master.passwd before main commit d410b585b6f0 (14.0)."""
    devd_system: Literal["IFNET", "CARP"] | None = None
    """The devd(8) system of role changes; carp(4)."""
    log_style: Literal["carpN", "VHID", "vhid"] | None = None
    """Words of the kernel's log: ``carp0: INIT -> BACKUP``, ``carp: VHID 1@em0: ...`` (10.x), ``carp: 1@em0: ...``."""
    ssh: Literal["sha1", "sha1-rsa", "modern"] = "modern"
    """sshd of the base system: ``sha1`` knows only SHA-1 key exchange and ssh-rsa or DSA keys (OpenSSH before 5.7),
    ``sha1-rsa`` has modern key exchange but signs RSA with SHA-1 only (before 7.2), ``modern`` has rsa-sha2."""
    max_password: int = 19
    """ifconfig copies the password with strlcpy into CARP_KEY_LEN (20) bytes, cutting it; sbin/ifconfig/carp.c."""
    max_advskew: int = 254
    """carp_ioctl() refuses 255 in every release."""

    @property
    def demotion(self) -> str | None:
        """Leaf name of the demotion counter: ``demotion`` (a write adds), ``suppress_preempt`` (read only), None."""
        return next((leaf for leaf in ("demotion", "suppress_preempt") if leaf in self.sysctls), None)

    @property
    def default_method(self) -> Literal["static", "module"] | None:
        """How CARP gets into the kernel when nobody says: the module where there is one; None on Linux."""
        if self.syntax == "linux":
            return None
        return "module" if self.module else "static"


def _history() -> tuple[tuple[tuple[int, int], Capabilities], ...]:
    """Return the eras of FreeBSD, oldest first, each with the first release it holds for."""
    v5_4 = Capabilities(
        syntax="pseudo",
        module=None,
        sysctls=_PSEUDO_SYSCTLS,
        arpbalance=True,
        ipv6=False,
        advbase_zero=True,
        bow_out=True,
        sorted_digest=False,
        owner_advskew_zero=True,
        ascending_vhids=True,
        gap_ends_aliases=True,
        csh_login=True,
        devd_system="IFNET",
        log_style="carpN",
        ssh="sha1",
    )
    v7_1 = replace(v5_4, sorted_digest=True)
    v8_2 = replace(v7_1, module="if_carp")
    v9_0 = replace(v8_2, ipv6=True, kld_list=True, hyphen_trap="any", ssh="sha1-rsa")
    v9_1 = replace(v9_0, gap_ends_aliases=False)
    v9_2 = replace(v9_1, sysrc=True)
    v10_0 = replace(
        v9_2,
        syntax="vhid",
        module="carp",
        sysctls=_VHID_SYSCTLS,
        arpbalance=False,
        state_keyword=True,
        trailing_space=True,
        advbase_zero=False,
        bow_out=False,
        owner_advskew_zero=False,
        ascending_vhids=False,
        hyphen_trap="hex",
        freebsd_version=True,
        devd_system="CARP",
        log_style="VHID",
    )
    v10_3 = replace(v10_0, ssh="modern")
    v10_4 = replace(v10_3, print_key=True)
    v11_0 = replace(
        v10_4, trailing_space=False, cidr_output=True, allow_restarts=True, log_style="vhid", readd_destroys=True
    )
    v11_3 = replace(v11_0, sysctls=_VHID_SYSCTLS | {"dscp"}, readd_destroys=False)
    v12_0 = replace(v11_3, netif_reads_netif=True)
    v13_0 = replace(v12_0, loader_conf_d=True, boot_id=True, nextboot_zfs=True)
    v14_0 = replace(
        v13_0,
        unicast=True,
        unicast_own_mac=True,
        peer_line=True,
        sysctl_kld_d=True,
        allow_tunable=True,
        csh_login=False,
    )
    v15_0 = replace(v14_0, vrrp=True)
    return (
        ((5, 4), v5_4),
        ((7, 1), v7_1),
        ((8, 2), v8_2),
        ((9, 0), v9_0),
        ((9, 1), v9_1),
        ((9, 2), v9_2),
        ((10, 0), v10_0),
        ((10, 3), v10_3),
        ((10, 4), v10_4),
        ((11, 0), v11_0),
        ((11, 3), v11_3),
        ((12, 0), v12_0),
        ((13, 0), v13_0),
        ((14, 0), v14_0),
        ((15, 0), v15_0),
    )


ERAS = _history()
"""FreeBSD's eras: the first release each row holds for, and what it can do."""

OLDEST = ERAS[0][0]
"""The first FreeBSD release with CARP."""

LINUX = Capabilities(
    syntax="linux",
    module=None,
    sysctls=frozenset({"allow", "preempt", "log", "arpbalance", "demotion"}),
    include_generic=False,
    arpbalance=True,
    unicast=True,
    peer_line=True,
    bow_out=True,
    readd_restarts=False,
)
"""A Linux host: the daemon speaks CARP, so nothing depends on the kernel's release."""


def capabilities(release: Release) -> Capabilities:
    """Return what ``release`` can do.

    A minor release that is not said counts as the first of its major one, so nothing is promised that only a later
    one has.  A release before the table gets its first row, one after it the last.
    """
    if release.family == "linux":
        return LINUX
    version = (release.major, max(release.minor, 0))
    found = ERAS[0][1]
    for first, row in ERAS:
        if first > version:
            break
        found = row
    return found


_FREEBSD = re.compile(r"freebsd[-_/ ]?v?(\d{1,2})(?:\.(\d{1,2}))?(?:-[a-z][a-z0-9.-]*)?", re.IGNORECASE | re.ASCII)
_LINUX_NAMES = (
    *("linux", "debian", "ubuntu", "devuan", "raspbian", "mint", "fedora", "rhel", "redhat", "centos", "rocky", "alma"),
    *("almalinux", "oracle", "amazon", "alpine", "arch", "manjaro", "gentoo", "void", "nixos", "opensuse", "suse"),
    *("sles", "proxmox"),
)
_LINUX = re.compile(r"([a-z]+)(?:[-_/ ]v?(\d{1,4})(?:\.(\d{1,2}))?)?", re.IGNORECASE | re.ASCII)
_OTHERS = {"openbsd", "netbsd", "dragonfly", "dragonflybsd", "macos", "darwin", "illumos", "solaris", "windows"}


def parse_release(text: str) -> Release:
    """Read ``freebsd-7.2``, ``freebsd-14``, ``FreeBSD 12.1-STABLE``, ``debian-12``, ``ubuntu-24.04`` or ``linux``.

    Raises ``ValueError`` with one sentence that says what was expected.
    """
    written = text.strip()
    if found := _FREEBSD.fullmatch(written):
        return Release("freebsd", int(found[1]), int(found[2]) if found[2] else -1, written)
    found = _LINUX.fullmatch(written)
    if found and found[1].lower() in _LINUX_NAMES:
        return Release("linux", int(found[2] or 0), int(found[3]) if found[3] else -1, written)
    raise ValueError(_unknown_release(found[1].lower() if found else written.lower()))


def _unknown_release(name: str) -> str:
    if name in _OTHERS:
        return f"{name} is not managed, only FreeBSD and Linux are"
    if name == "freebsd":
        return "the release number is missing, write it as in freebsd-14.2"
    near = get_close_matches(name, [*_LINUX_NAMES, "freebsd"], n=1)
    return f"not a known release{f', did you mean {near[0]}?' if near else ''}"
