"""The sysctls that make one host look like two: the parent speaks for itself and the macvlan for the VIPs.

Facts: Documentation/networking/ip-sysctl.rst of Linux 6.1.
"""

from __future__ import annotations

from bsdcarp.carpd.sysctls import Sysctls

__all__ = ["hold_parent", "release_parent", "settle"]

_V4, _V6 = "net/ipv4/conf", "net/ipv6/conf"
# Answer ARP only for addresses on the interface that was asked: otherwise the parent answers for the VIPs as well, and
# with the real MAC.  Ask only in the name of the interface's own addresses: otherwise a request for a VIP's sake
# teaches the neighbours VIP = real MAC.  Both take the maximum of "all" and the interface.
_PARENT = (("arp_ignore", 1), ("arp_announce", 2))
# Milliseconds within which a report about multicast groups is repeated, instead of a second (MLDv1: ten): one that is
# still due when the role moves on would tell the switch the virtual MAC at the old port.
_SOON = "50"
_NEVER_ANSWER = 8
_LOOSE = 2


def settle(sysctls: Sysctls, device: str, parent: str, ipv6: bool, arpbalance: bool) -> None:
    """Set what the macvlan needs.  It is ours and dies with these values, so nothing is recorded."""
    sysctls.write(f"{_V4}/{device}/arp_ignore", str(_NEVER_ANSWER if arpbalance else 1))
    for name in ("arp_filter", "arp_notify", "proxy_arp"):
        sysctls.write(f"{_V4}/{device}/{name}", "0")
    # Clients that use a VIP as their gateway arrive here, yet the way back to them is the parent's.  A strict check
    # would drop them; a loose one passes and, because the maximum counts, "all" need not be weakened for it.
    strict = max(sysctls.number(f"{_V4}/{where}/rp_filter") for where in ("all", parent))
    sysctls.write(f"{_V4}/{device}/rp_filter", str(_LOOSE if strict else 0))
    _copy(sysctls, f"{_V4}/{parent}/forwarding", f"{_V4}/{device}/forwarding")
    sysctls.write(f"{_V6}/{device}/disable_ipv6", "0" if ipv6 else "1")
    if ipv6:
        for name in ("accept_ra", "autoconf", "accept_dad", "ndisc_notify", "keep_addr_on_down"):
            sysctls.write(f"{_V6}/{device}/{name}", "0")
        for version in ("mldv1", "mldv2"):
            sysctls.write(f"{_V6}/{device}/{version}_unsolicited_report_interval", _SOON)
        _copy(sysctls, f"{_V6}/{parent}/forwarding", f"{_V6}/{device}/forwarding")


def hold_parent(sysctls: Sysctls, parent: str) -> None:
    for name, minimum in _PARENT:
        sysctls.raise_to(f"{_V4}/{parent}/{name}", minimum)


def release_parent(sysctls: Sysctls, parent: str) -> None:
    for name, _ in _PARENT:
        sysctls.release(f"{_V4}/{parent}/{name}")


def _copy(sysctls: Sysctls, source: str, target: str) -> None:
    value = sysctls.read(source)
    if value is not None:
        sysctls.write(target, value)
