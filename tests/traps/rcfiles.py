"""The rc.conf family as a whole: what sh makes of it, which file wins, which interfaces rc leaves alone."""

from __future__ import annotations

from traps.case import APPLY, BACK, RC, Trap, append, cut, error, info, remove, swap, warning, write

__all__ = ["RC_FILES"]

_ALIAS2 = 'ifconfig_em0_alias2="inet vhid 1 advskew 0 pass secret1 alias 192.168.90.4/32"\n'
_ALIAS4 = 'ifconfig_em0_alias4="inet vhid 7 advskew 100 pass secret2 alias 192.168.90.7/32"\n'
_PLAIN = 'ifconfig_em0_alias4="inet 192.168.90.7/32"\n'

RC_FILES = (
    Trap(
        "unbalanced quote",
        "12.1",
        (append(RC, 'sshd_enable="YES\n'),),
        error("persist-rc-unreadable", RC, "sshd_enable"),
        shows=("host: single-user mode, since sh cannot read rc.conf",),
        cure=(BACK,),
    ),
    Trap(
        "unbalanced quote in rc.conf.local",
        "9.3",
        (write(f"{RC}.local", "ntpd_enable='YES\n"),),
        error("persist-rc-unreadable", f"{RC}.local", "ntpd_enable"),
        shows=("host: single-user mode, since sh cannot read rc.conf",),
        cure=(BACK,),
    ),
    Trap(
        "rc.conf emptied, as by > instead of >>",
        "14.2",
        (write(RC, 'zabbix_enable="YES"\n'),),
        error("persist-own-address", RC),
        shows=(
            "192.168.90.2/24 on em0: missing",
            "2001:db8::2/64 on em0: missing",
            "192.168.90.77/32 on em0: missing",
            "vhid 1: missing",
            "vhid 7: missing",
        ),
        cure=(BACK,),
    ),
    Trap(
        "rc.conf.local overrides",
        "12.1",
        (write(f"{RC}.local", _ALIAS4.replace("100", "50")),),
        error("persist-rc-overridden", f"{RC}.local", "alias4"),
        shows=("vhid 7 advskew: 50",),
    ),
    Trap(
        "rc.conf.d/network overrides",
        "10.4",
        (write(f"{RC}.d/network", _PLAIN),),
        error("persist-rc-overridden", f"{RC}.d/network", "alias4"),
        shows=("vhid 7: missing", "192.168.90.7/32 on em0: there"),
    ),
    Trap(
        "rc.conf.d/netif overrides",
        "14.2",
        (write(f"{RC}.d/netif", _PLAIN),),
        error("persist-rc-overridden", f"{RC}.d/netif", "alias4"),
        shows=("vhid 7: missing", "192.168.90.7/32 on em0: there"),
    ),
    Trap(
        "rc.conf.d/netif is not read",
        "10.4",
        (cut(RC, _ALIAS4), write(f"{RC}.d/netif", _ALIAS4)),
        warning("persist-rc-unread", f"{RC}.d/netif", "alias4"),
        shows=("vhid 7: missing",),
        cure=(remove(f"{RC}.d/netif"), APPLY),
    ),
    Trap(
        "a file that rc_conf_files names overrides",
        "12.1",
        (
            append(RC, 'rc_conf_files="/etc/rc.conf /etc/rc.site"\n'),
            write("/etc/rc.site", _ALIAS4.replace("100", "50")),
        ),
        error("persist-advskew", RC, "alias4"),
        shows=("vhid 7 advskew: 50",),
        cure=(BACK,),
    ),
    Trap(
        "a later assignment in the same file",
        "14.2",
        (append(RC, _ALIAS4.replace("secret2", "other")),),
        error("persist-rc-overridden", RC, "pass other"),
        shows=("vhid 7 password: other",),
    ),
    Trap(
        "cloned_interfaces assigned again",
        "9.3",
        (append(RC, 'cloned_interfaces="lo1"\n'),),
        error("persist-not-cloned", RC, '"lo1"'),
        shows=("carp1: missing", "carp2: missing"),
    ),
    Trap(
        "under a condition that does not hold",
        "12.1",
        (cut(RC, _ALIAS2), append(RC, f"if [ -e /nonexistent ]; then\n{_ALIAS2}fi\n")),
        error("persist-rc-conditional", RC, "alias2"),
        shows=("vhid 1 192.168.90.4/32: missing",),
        cure=(BACK,),
    ),
    Trap(
        "computed by sh",
        "12.1",
        (swap(RC, '"inet vhid 7', '"inet vhid $((6+1))'),),
        info("persist-rc-computed", RC, "alias4"),
        cure=(BACK,),
    ),
    Trap(
        "a dollar sign in a password",
        "12.1",
        (swap(RC, "pass secret2", "pass s$ecret2"),),
        error("persist-password", RC, "alias4"),
        shows=("vhid 7 password: s",),
        cure=(BACK,),
    ),
    Trap(
        "netif switched off",
        "12.1",
        (append(RC, 'netif_enable="NO"\n'),),
        error("persist-netif-disabled", RC, "netif_enable"),
        shows=(
            "192.168.90.2/24 on em0: missing",
            "2001:db8::2/64 on em0: missing",
            "192.168.90.77/32 on em0: missing",
            "vhid 1: missing",
            "vhid 7: missing",
        ),
        cure=(cut(RC, 'netif_enable="NO"\n'),),
    ),
    Trap(
        "network_interfaces leaves it out",
        "12.1",
        (append(RC, 'network_interfaces="lo0 em1"\n'),),
        error("persist-interface-skipped", RC, "network_interfaces"),
        shows=(
            "192.168.90.2/24 on em0: missing",
            "2001:db8::2/64 on em0: missing",
            "192.168.90.77/32 on em0: missing",
            "vhid 1: missing",
            "vhid 7: missing",
        ),
        cure=(swap(RC, "lo0 em1", "AUTO"),),
    ),
    Trap(
        "NOAUTO",
        "14.2",
        (swap(RC, 'ifconfig_em0="inet', 'ifconfig_em0="NOAUTO inet'),),
        error("persist-interface-skipped", RC, "NOAUTO"),
        shows=(
            "192.168.90.2/24 on em0: missing",
            "2001:db8::2/64 on em0: missing",
            "192.168.90.77/32 on em0: missing",
            "vhid 1: missing",
            "vhid 7: missing",
        ),
        cure=(cut(RC, "NOAUTO "),),
    ),
    Trap(
        "renamed by rc.conf",
        "12.1",
        (append(RC, 'ifconfig_em0_name="lan0"\n'),),
        error("persist-interface-renamed", RC, "ifconfig_em0_name"),
        shows=(
            "192.168.90.2/24 on em0: missing",
            "2001:db8::2/64 on em0: missing",
            "192.168.90.77/32 on em0: missing",
            "vhid 1: missing",
            "vhid 7: missing",
        ),
        cure=(BACK,),
    ),
    Trap(
        "renamed by hand",
        "12.1 renamed",
        (cut(RC, 'ifconfig_em0_name="lan"\n'),),
        error("persist-interface-renamed", RC),
        shows=(
            "192.168.90.2/24 on lan: missing",
            "2001:db8::2/64 on lan: missing",
            "192.168.90.77/32 on lan: missing",
            "vhid 1: missing",
            "vhid 7: missing",
        ),
        cure=(BACK,),
    ),
    Trap(
        "a VLAN made by hand",
        "12.1 VLAN",
        (cut(RC, 'vlans_em0="5"\n'),),
        error("persist-interface-not-created", RC),
        shows=(
            "192.168.90.2/24 on em0.5: missing",
            "2001:db8::2/64 on em0.5: missing",
            "192.168.90.77/32 on em0.5: missing",
            "vhid 1: missing",
            "vhid 7: missing",
        ),
        cure=(BACK,),
    ),
    Trap(
        "carp0 of FreeBSD 9 after an upgrade",
        "12.1",
        (
            cut(RC, _ALIAS4),
            append(RC, 'cloned_interfaces="carp0"\nifconfig_carp0="vhid 7 advskew 100 pass secret2 192.168.90.7/32"\n'),
        ),
        error("persist-vhid-missing", RC),
        shows=("vhid 7: missing",),
        cure=(cut(RC, 'cloned_interfaces="carp0"\n'), APPLY),
    ),
    Trap(
        "legacy cloned carp0",
        "12.1",
        (append(RC, 'cloned_interfaces="carp0"\n'),),
        warning("persist-legacy-carp", RC, "cloned_interfaces"),
        cure=(BACK,),
    ),
)
