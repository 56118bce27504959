"""ifconfig_IF_aliasN from FreeBSD 10 on, and what all aliases have in common."""

from __future__ import annotations

from traps.case import APPLY, BACK, RC, Trap, append, cut, error, swap, warning

__all__ = ["ALIASES"]

_ALIAS2 = 'ifconfig_em0_alias2="inet vhid 1 advskew 0 pass secret1 alias 192.168.90.4/32"\n'
_ALIAS3 = 'ifconfig_em0_alias3="inet6 vhid 1 advskew 0 pass secret1 alias 2001:db8::1/128"\n'
_FOREIGN = 'ifconfig_em0_alias10="inet vhid 99 pass K8- 192.168.90.99/32"\n'
_AGAIN = 'ifconfig_em0_alias5="inet vhid 7 advskew 100 pass secret2 alias 192.168.90.7/32"\n'

ALIASES = (
    Trap(
        "hyphen behind a hex digit",
        "12.1",
        (swap(RC, "pass secret2", "pass face-book"),),
        error("persist-hyphen", RC, "alias4"),
        shows=("host: rc never comes to its end",),
    ),
    Trap(
        "hyphen in an alias that is not ours",
        "14.2",
        (append(RC, _FOREIGN),),
        error("persist-hyphen", RC, "alias10"),
        shows=("host: rc never comes to its end",),
        cure=(BACK,),
    ),
    Trap(
        "hyphen in _aliases",
        "10.4",
        (append(RC, 'ifconfig_em0_aliases="inet vhid 9 pass a-b 192.168.90.9/32"\n'),),
        error("persist-hyphen", RC, "_aliases"),
        shows=("host: rc never comes to its end",),
        cure=(BACK,),
    ),
    Trap(
        "a range behind vhid",
        "12.1",
        (swap(RC, "alias 192.168.90.7/32", "192.168.90.7-9/32"),),
        error("persist-hyphen", RC, "alias4"),
        shows=("host: rc never comes to its end",),
    ),
    Trap(
        "two hyphens",
        "12.1",
        (swap(RC, "pass secret2", "pass ab--cd"),),
        error("persist-hyphen-dropped", RC, "alias4"),
        shows=("vhid 7: missing",),
    ),
    Trap(
        "an empty alias",
        "12.1",
        (swap(RC, _ALIAS2, 'ifconfig_em0_alias2=""\n'),),
        error("persist-alias-empty", RC, "alias2"),
        shows=("vhid 1 192.168.90.4/32: missing", "vhid 1 2001:db8::1/128: missing", "vhid 7: missing"),
        cure=(cut(RC, 'ifconfig_em0_alias2=""\n'), APPLY),
    ),
    Trap(
        "no family word on 12",
        "12.1",
        (swap(RC, '"inet vhid 7', '"vhid 7'),),
        warning("persist-alias-family", RC, "alias4"),
        cure=(BACK,),
    ),
    Trap(
        "two families in one alias",
        "12.1",
        (swap(RC, "alias 192.168.90.4/32", "alias 192.168.90.4/32 inet6 vhid 1 2001:db8::1/128"), cut(RC, _ALIAS3)),
        error("persist-alias-mixed", RC, "alias2"),
        shows=("vhid 1 2001:db8::1/128: missing",),
    ),
    Trap("the same address twice", "12.1", (append(RC, _AGAIN),), warning("persist-alias-duplicate", RC, "alias5")),
    Trap(
        "the same address twice, up to 11.2",
        "11.2",
        (append(RC, _AGAIN),),
        error("persist-alias-duplicate", RC, "alias5"),
        shows=("vhid 7: missing",),
    ),
    Trap(
        "one address on two vhids",
        "12.1",
        (append(RC, 'ifconfig_em0_alias5="inet vhid 8 advskew 0 pass other alias 192.168.90.7/32"\n'),),
        error("persist-alias-conflict", RC, "alias5"),
        shows=("vhid 7: INIT without an address", "vhid 8: on em0"),
    ),
    Trap(
        "an own address takes it away",
        "12.1",
        (append(RC, 'ifconfig_em0_alias5="inet 192.168.90.7/32"\n'),),
        error("persist-alias-conflict", RC, "alias5"),
        shows=("vhid 7: INIT without an address", "192.168.90.7/32 on em0: there"),
        cure=(BACK,),
    ),
    Trap(
        "vhid out of range",
        "12.1",
        (swap(RC, "vhid 7", "vhid 300"),),
        error("persist-ifconfig-refused", RC, "alias4"),
        shows=("vhid 7: missing",),
    ),
    Trap(
        "advskew out of range",
        "10.4",
        (swap(RC, "advskew 100", "advskew 255"),),
        error("persist-ifconfig-refused", RC, "alias4"),
        shows=("vhid 7: INIT without an address",),
    ),
    Trap(
        "advskew below zero",
        "12.1",
        (swap(RC, "advskew 100", "advskew -1"),),
        error("persist-advskew", RC, "alias4"),
        shows=("vhid 7 advskew: 0",),
    ),
    Trap(
        "pass before vhid",
        "14.2",
        (swap(RC, "inet vhid 7 advskew 100 pass secret2", "inet pass secret2 vhid 7 advskew 100"),),
        error("persist-ifconfig-refused", RC, "alias4"),
        shows=("vhid 7: missing",),
    ),
    Trap(
        "peer before 14",
        "12.1",
        (swap(RC, "pass secret2", "peer 192.168.90.3 pass secret2"),),
        error("persist-ifconfig-refused", RC, "alias4"),
        shows=("vhid 7: missing",),
    ),
    Trap(
        "one line without the peer",
        "14.2 unicast",
        (swap(RC, "peer 192.168.90.3 peer6 2001:db8::3 alias 2001:db8::1/128", "alias 2001:db8::1/128"),),
        error("persist-peer", RC, "alias3"),
        shows=("vhid 1 peer: 224.0.0.18", "vhid 1 peer6: ff02::12"),
    ),
    Trap(
        "no ifconfig_IF_ipv6",
        "12.1",
        (cut(RC, 'ifconfig_em0_ipv6="inet6 2001:db8::2 prefixlen 64"\n'),),
        error("persist-ipv6-variable", RC, "alias3"),
        shows=("2001:db8::2/64 on em0: missing", "vhid 1 2001:db8::1/128: missing"),
        cure=(BACK,),
    ),
    Trap(
        "ipv6_network_interfaces leaves it out",
        "12.1",
        (append(RC, 'ipv6_network_interfaces="em1"\n'),),
        error("persist-ipv6-variable", RC, "alias3"),
        shows=("vhid 1 2001:db8::1/128: missing",),
        cure=(BACK,),
    ),
    Trap(
        "no ifconfig_IF",
        "12.1",
        (cut(RC, 'ifconfig_em0="inet 192.168.90.2 netmask 255.255.255.0"\n'),),
        error("persist-own-address", RC),
        shows=("192.168.90.2/24 on em0: missing",),
        cure=(BACK,),
    ),
)
