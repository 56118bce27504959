"""carpN of FreeBSD 9 and before."""

from __future__ import annotations

from traps.case import BACK, RC, Trap, append, cut, error, swap, warning

__all__ = ["UNITS"]

_OWN = 'ifconfig_em0="inet 192.168.90.2 netmask 255.255.255.0"\n'
_CARP2 = 'ifconfig_carp2="vhid 2 advskew 100 pass secret2 192.168.90.1/24"\n'

UNITS = (
    Trap(
        "cloned_interfaces missing",
        "7.2",
        (cut(RC, 'cloned_interfaces="carp1 carp2"\n'),),
        error("persist-not-cloned", RC, "ifconfig_carp1"),
        shows=("carp1: missing", "carp2: missing"),
    ),
    Trap(
        "cloned_interfaces without carp2",
        "9.3",
        (swap(RC, "carp1 carp2", "carp1"),),
        error("persist-not-cloned", RC, "cloned_interfaces"),
        shows=("carp2: missing",),
    ),
    Trap(
        "carpN in descending order",
        "9.3",
        (swap(RC, "carp1 carp2", "carp2 carp1"),),
        error("persist-carp-order", RC, "ifconfig_carp1"),
        shows=("order of the vhids: another",),
    ),
    Trap(
        "no parent address",
        "7.2",
        (cut(RC, _OWN),),
        error("persist-parent-address", RC, "ifconfig_carp1"),
        shows=("192.168.90.2/24 on em0: missing", "carp1: INIT without an address", "carp2: INIT without an address"),
        cure=(BACK,),
    ),
    Trap(
        "parent in another network",
        "9.3",
        (swap(RC, "192.168.90.2 netmask", "192.168.91.2 netmask"),),
        error("persist-parent-address", RC, "ifconfig_carp1"),
        shows=(
            "192.168.90.2/24 on em0: missing",
            "carp1: INIT without an address",
            "carp2: INIT without an address",
            "192.168.91.2/24 on em0: there",
        ),
        cure=(BACK,),
    ),
    Trap(
        "the same vhid twice",
        "9.3",
        (swap(RC, '"vhid 2', '"vhid 1'),),
        error("persist-vhid-duplicate", RC, "ifconfig_carp2"),
        shows=("carp2: INIT without an address",),
    ),
    Trap(
        "owner of the address",
        "9.3",
        (append(RC, 'ifconfig_em0_alias1="inet 192.168.90.5/32"\n'),),
        warning("persist-owner", RC, "carp2_alias0"),
        shows=("carp2 advskew: 0", "192.168.90.5/32 on em0: there"),
        cure=(BACK,),
    ),
    Trap(
        "ifconfig_carp2 missing",
        "9.3",
        (cut(RC, _CARP2),),
        error("persist-vhid-missing", RC),
        shows=("carp2: missing",),
    ),
    Trap(
        "a gap in the aliases up to 9.0",
        "7.2",
        (swap(RC, "ifconfig_carp2_alias0", "ifconfig_carp2_alias1"),),
        error("persist-alias-gap", RC, "carp2_alias1"),
        shows=("carp2 192.168.90.5/24: missing",),
    ),
    Trap(
        "any hyphen on 9",
        "9.3",
        (swap(RC, "inet 192.168.90.5/24", "inet 192.168.90.5/24 pass x-y"),),
        error("persist-hyphen", RC, "carp2_alias0"),
        shows=("host: rc never comes to its end",),
    ),
    Trap(
        "a hyphen in ifconfig_carpN itself",
        "9.3",
        (swap(RC, "pass secret2", "pass face-book"),),
        error("persist-password", RC, "ifconfig_carp2"),
        shows=("carp2 password: face-book",),
    ),
    Trap(
        "no family word",
        "9.3",
        (swap(RC, "inet 192.168.90.5/24", "192.168.90.5/24"),),
        warning("persist-alias-family", RC, "carp2_alias0"),
        cure=(BACK,),
    ),
    Trap(
        "vhid on a real interface before 10",
        "9.3",
        (append(RC, 'ifconfig_em0_alias1="inet vhid 3 pass x 192.168.90.9/32"\n'),),
        warning("persist-ifconfig-refused", RC, "em0_alias1"),
        cure=(BACK,),
    ),
    Trap(
        "advskew that is no number, on 9",
        "9.3",
        (swap(RC, "advskew 100", "advskew abc"),),
        error("persist-advskew", RC, "ifconfig_carp2"),
        shows=("carp2 advskew: 0",),
    ),
    Trap(
        "another password on 7",
        "7.2",
        (swap(RC, "pass secret2", "pass secret8"),),
        error("persist-password", RC, "ifconfig_carp2"),
        shows=("carp2 password: secret8",),
    ),
)
