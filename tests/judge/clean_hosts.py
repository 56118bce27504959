"""A host of each release that comes up as wanted, as data: its files, its kernel, what it should have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CLEAN", "CleanHost", "WantedVhid"]


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
