"""Vhids that come up with something else than the inventory wants, and what runs but stands in no file."""

from __future__ import annotations

from traps.case import BACK, RC, SYSCTL, Trap, append, cut, error, info, live, swap, warning

__all__ = ["VALUES"]

_ALIAS2 = 'ifconfig_em0_alias2="inet vhid 1 advskew 0 pass secret1 alias 192.168.90.4/32"\n'
_VHID9 = 'ifconfig_em0_alias5="inet vhid 9 pass x alias 192.168.90.9/32"\n'

VALUES = (
    Trap(
        "another password",
        "12.1",
        (swap(RC, "pass secret2", "pass secret8"),),
        error("persist-password", RC, "alias4"),
        shows=("vhid 7 password: secret8",),
    ),
    Trap(
        "another password, with the other host there",
        "12.1 pair",
        (swap(RC, "pass secret2", "pass secret8"),),
        error("persist-password", RC, "alias3"),
        shows=("vhid 7 password: secret8", "vhid 7 state: MASTER"),
    ),
    Trap(
        "an address less than the other host has",
        "12.1 pair",
        (cut(RC, _ALIAS2.replace("em0_alias2", "em0_alias1")),),
        error("persist-address-missing", RC, "alias0"),
        shows=("vhid 1 192.168.90.4/32: missing", "fw2 vhid 1 state: MASTER"),
    ),
    Trap(
        "without preempt the role is not taken back",
        "12.1 pair",
        (cut(SYSCTL, "net.inet.carp.preempt=1\n"),),
        error("persist-sysctl", SYSCTL),
        shows=("vhid 1 state: BACKUP", "net.inet.carp.preempt: 0", "fw2 vhid 1 state: MASTER"),
    ),
    Trap(
        "a group that has left the inventory",
        "12.1",
        (append(RC, _VHID9), append("/var/db/bsdcarp/record", "vhid em0 9 192.168.90.9\n")),
        error("persist-stale", RC, "alias5"),
        shows=("vhid 9: on em0",),
    ),
    Trap(
        "another peer6",
        "14.2 unicast",
        (swap(RC, "peer6 2001:db8::3 alias 2001:db8::1/128", "peer6 2001:db8::4 alias 2001:db8::1/128"),),
        error("persist-peer6", RC, "alias3"),
        shows=("vhid 1 peer6: 2001:db8::4",),
    ),
    Trap(
        "no password",
        "14.2",
        (cut(RC, "pass secret2 "),),
        error("persist-password", RC, "alias4"),
        shows=("vhid 7 password: none",),
    ),
    Trap(
        "another advskew",
        "14.2",
        (swap(RC, "advskew 100", "advskew 50"),),
        error("persist-advskew", RC, "alias4"),
        shows=("vhid 7 advskew: 50",),
    ),
    Trap(
        "another advbase",
        "10.4",
        (swap(RC, "advskew 100", "advbase 2 advskew 100"),),
        error("persist-advbase", RC, "alias4"),
        shows=("vhid 7 advbase: 2",),
    ),
    Trap(
        "an address missing",
        "15.0",
        (cut(RC, _ALIAS2),),
        error("persist-address-missing", RC, "alias1"),
        shows=("vhid 1 192.168.90.4/32: missing",),
    ),
    Trap(
        "an address too many",
        "12.1",
        (append(RC, 'ifconfig_em0_alias5="inet vhid 7 alias 192.168.90.8/32"\n'),),
        error("persist-address-extra", RC, "alias5"),
        shows=("vhid 7 192.168.90.8/32: there",),
    ),
    Trap(
        "another prefix length",
        "12.1",
        (swap(RC, "192.168.90.7/32", "192.168.90.7/24"),),
        error("persist-address-prefix", RC, "alias4"),
        shows=("vhid 7 192.168.90.7/32: missing", "vhid 7 192.168.90.7/24: there"),
    ),
    Trap(
        "a mask left out",
        "12.1",
        (swap(RC, "192.168.90.7/32", "192.168.90.7"),),
        error("persist-address-prefix", RC, "alias4"),
        shows=("vhid 7 192.168.90.7/32: missing", "vhid 7 192.168.90.7/24: there"),
    ),
    Trap(
        "unicast in the file, multicast wanted",
        "14.2",
        (swap(RC, "pass secret2", "pass secret2 peer 192.168.90.3"),),
        error("persist-peer", RC, "alias4"),
        shows=("vhid 7 peer: 192.168.90.3",),
    ),
    Trap(
        "a vhid that runs nowhere yet",
        "12.1",
        (append(RC, _VHID9),),
        warning("persist-file-only", RC, "alias5"),
        shows=("vhid 9: on em0",),
        cure=(BACK,),
    ),
    Trap(
        "a vhid made by hand",
        "12.1",
        (live("ifconfig em0 inet vhid 9 pass x 192.168.90.9/32 alias"),),
        warning("persist-live-only", RC),
        shows=("vhid 9: missing",),
        cure=(append(RC, _VHID9),),
    ),
    Trap(
        "an own address given by hand",
        "14.2",
        (live("ifconfig em0 inet 192.168.90.78/32 alias"),),
        error("persist-own-address", RC, "ifconfig_em0="),
        shows=("192.168.90.78/32 on em0: missing",),
        cure=(append(RC, 'ifconfig_em0_alias5="inet 192.168.90.78/32"\n'),),
    ),
    Trap(
        "a sysctl set by hand",
        "12.1",
        (live("sysctl net.inet.carp.ifdown_demotion_factor=0"),),
        warning("persist-live-sysctl", SYSCTL),
        shows=("net.inet.carp.ifdown_demotion_factor: 240",),
        cure=(live("sysctl net.inet.carp.ifdown_demotion_factor=240"),),
    ),
    Trap(
        "a host taken out of service by demotion",
        "12.1",
        (live("sysctl net.inet.carp.demotion=240"),),
        info("persist-demotion-lost", SYSCTL),
        shows=("net.inet.carp.demotion: 0",),
        cure=(live("sysctl net.inet.carp.demotion=-240"),),
    ),
)
