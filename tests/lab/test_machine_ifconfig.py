"""ifconfig on the simulated kernels: what the recordings do not cover, above all FreeBSD 14 and 15."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_machines import VHID_RELEASES, Bench, refused, run

from bsdcarp.lab.commands.ifconfig_words import atoi
from bsdcarp.lab.interface import Address, link_local
from bsdcarp.lab.machine import Machine

LOADED = 'carp_load="YES"\n'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def fourteen(bench: Bench) -> Machine:
    return bench.machine(release="14.2", loader=LOADED)


def carp_lines(machine: Machine, option: str = "") -> list[str]:
    shown = run(machine, f"ifconfig {option} em0")
    return [line.strip() for line in shown.splitlines() if "carp:" in line or "peer" in line]


def test_fourteen_shows_the_destinations_and_the_new_flag(fourteen: Machine) -> None:
    run(fourteen, "ifconfig em0 vhid 1 pass x alias 192.0.2.1/32")
    shown = run(fourteen, "ifconfig em0")
    assert shown.startswith(
        "em0: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500\n"
    )
    assert "\tcarp: BACKUP vhid 1 advbase 1 advskew 0\n\t      peer 224.0.0.18 peer6 ff02::12\n" in shown


def test_peer_is_forgotten_by_any_later_command_that_leaves_it_out(fourteen: Machine) -> None:
    run(fourteen, "ifconfig em0 vhid 1 peer 192.0.2.3 peer6 2001:db8::3 pass x alias 192.0.2.1/32")
    assert carp_lines(fourteen)[1] == "peer 192.0.2.3 peer6 2001:db8::3"
    run(fourteen, "ifconfig em0 vhid 1 advskew 5 peer 192.0.2.3 mcast6")
    assert carp_lines(fourteen)[1] == "peer 192.0.2.3 peer6 ff02::12"
    run(fourteen, "ifconfig em0 vhid 1 advskew 5 mcast")
    assert carp_lines(fourteen)[1] == "peer 224.0.0.18 peer6 ff02::12"
    run(fourteen, "ifconfig em0 vhid 1 peer 192.0.2.3")
    run(fourteen, "ifconfig em0 vhid 1 alias 192.0.2.4/32")
    assert carp_lines(fourteen)[1] == "peer 224.0.0.18 peer6 ff02::12"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("peer 192.0.2.3", "ifconfig: peer requires vhid"),
        ("peer6 2001:db8::3", "ifconfig: peer6 requires vhid"),
        ("mcast", "ifconfig: mcast requires vhid"),
        ("mcast6", "ifconfig: mcast6 requires vhid"),
        ("vhid 1 peer 2001:db8::3", "ifconfig: 2001:db8::3: bad value"),
        ("vhid 1 peer nonsense", "ifconfig: nonsense: bad value"),
        ("state backup", "ifconfig: state requires vhid"),
        ("advbase 1", "ifconfig: advbase requires vhid"),
        ("netmask bogus", "ifconfig: bogus: bad value"),
        ("inet 192.0.2.9/33", "ifconfig: 33: bad value (width too large)"),
        ("inet 192.0.2.9/x", "ifconfig: x: bad value"),
        ("inet 2001:db8::1/64", "ifconfig: 2001:db8::1: bad value"),
        ("inet6 2001:db8::9 -alias", "ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address"),
        ("name em1", "ifconfig: ioctl SIOCSIFNAME (set name): File exists"),
        ("destroy", "ifconfig: SIOCIFDESTROY: Invalid argument"),
    ],
)
def test_words_that_cannot_be_are_refused_with_ifconfig_s_text(fourteen: Machine, words: str, complaint: str) -> None:
    assert refused(fourteen, f"ifconfig em0 {words}") == complaint


def test_older_releases_take_peer_for_an_address(bench: Bench) -> None:
    machine = bench.machine(loader=LOADED)
    assert refused(machine, "ifconfig em0 vhid 1 peer 192.0.2.3 alias 192.0.2.1/32") == "ifconfig: peer: bad value"


def test_missing_module_shows_in_the_read_up_to_thirteen_and_in_the_address_from_fourteen(bench: Bench) -> None:
    command = "ifconfig em0 inet vhid 1 pass x alias 192.0.2.1/32"
    assert refused(bench.machine("old", "12.1"), command) == "ifconfig: SIOCGVH: Protocol not supported"
    newer = bench.machine("new", "14.2")
    assert refused(newer, command) == "ifconfig: ioctl (SIOCAIFADDR): Protocol not supported"
    assert run(newer, "ifconfig em0 vhid 1") == ""


@pytest.mark.parametrize("release", VHID_RELEASES)
def test_password_is_shown_to_root_only_and_cut_at_nineteen(bench: Bench, release: str) -> None:
    machine = bench.machine(release=release, loader=LOADED)
    run(machine, "ifconfig em0 vhid 1 pass 1234567890123456789XYZ alias 192.0.2.1/32")
    assert 'key "1234567890123456789"' in run(machine, "ifconfig -k em0")
    assert "key" not in run(machine, "ifconfig -k em0", user="joe")
    assert "key" not in run(machine, "ifconfig -a")


def test_up_to_nine_keys_cannot_be_shown(bench: Bench) -> None:
    machine = bench.machine(release="9.3", kernel="CARP")
    run(machine, "ifconfig carp0 create vhid 1 pass secret 192.0.2.1/24")
    assert "secret" not in run(machine, "ifconfig carp0")
    assert "illegal option -- k" in refused(machine, "ifconfig -k carp0")


def test_ipv6_vip_and_families(bench: Bench) -> None:
    machine = bench.machine(release="12.1", loader=LOADED, rc='ifconfig_em0_ipv6="inet6 2001:db8::2/64"\n')
    run(machine, "ifconfig em0 inet6 vhid 3 pass x alias 2001:db8::1 prefixlen 128")
    run(machine, "ifconfig em0 inet6 2001:db8::7 alias")
    assert "inet6 2001:db8::7 prefixlen 64" in run(machine, "ifconfig em0 inet6")
    assert "inet 192.0.2.2" not in run(machine, "ifconfig em0 inet6")
    assert machine.carp_states() == {"3@em0": "BACKUP"}
    run(machine, "ifconfig em0 inet6 2001:db8::1 -alias")
    assert machine.carp_states() == {}


def test_address_without_mask_gets_that_of_its_class(fourteen: Machine) -> None:
    run(fourteen, "ifconfig em1 10.9.0.1 alias")
    run(fourteen, "ifconfig em1 172.16.0.1 alias")
    run(fourteen, "ifconfig em1 198.51.100.1 alias")
    shown = run(fourteen, "ifconfig em1")
    assert "10.9.0.1 netmask 0xff000000" in shown
    assert "172.16.0.1 netmask 0xffff0000" in shown
    assert "198.51.100.1 netmask 0xffffff00" in shown
    run(fourteen, "ifconfig em1 inet 198.51.100.2 netmask 0xffffffe0 alias")
    assert "198.51.100.2 netmask 0xffffffe0" in run(fourteen, "ifconfig em1")


def test_address_under_a_vhid_that_is_not_there(bench: Bench) -> None:
    """Only the raw call can do this: ifconfig always makes the vhid first."""
    machine = bench.machine(loader=LOADED)
    interface = machine.kernel.interfaces["em0"]
    with pytest.raises(OSError, match="Protocol not available"):
        machine.kernel.addressing.add(interface, Address(IPv4Address("192.0.2.1"), 32, 9))
    run(machine, "ifconfig em0 vhid 1 alias 192.0.2.3/32")
    with pytest.raises(OSError, match="No such file"):
        machine.kernel.addressing.add(interface, Address(IPv4Address("192.0.2.1"), 32, 9))
    assert interface.find(IPv4Address("192.0.2.1")) is None


def test_lists_and_options(bench: Bench) -> None:
    machine = bench.machine(release="9.3", kernel="CARP")
    run(machine, "ifconfig carp0 create")
    run(machine, "ifconfig em1 down")
    assert run(machine, "ifconfig -l -d") == "em1 carp0\n"
    assert run(machine, "ifconfig -lu") == "em0 lo0\n"
    assert run(machine, "ifconfig -g carp") == "carp0\n"
    assert run(machine, "ifconfig -g lo") == "lo0\n"
    assert run(machine, "ifconfig -g all").split() == ["em0", "em1", "lo0", "carp0"]
    assert run(machine, "ifconfig -f inet:cidr lo0") == run(machine, "ifconfig lo0")
    assert "illegal option -- Z" in refused(machine, "ifconfig -Z")


def test_clones_of_other_kinds(fourteen: Machine) -> None:
    assert run(fourteen, "ifconfig bridge create") == "bridge0\n"
    run(fourteen, "ifconfig bridge0 inet vhid 1 pass x 198.51.100.1/24 alias")
    assert run(fourteen, "ifconfig vlan7 create vlan 7 vlandev em0") == ""
    run(fourteen, "ifconfig em0.8 create")
    run(fourteen, "ifconfig em0.8 vhid 8 alias 203.0.113.1/24")
    assert set(fourteen.carp_states()) == {"1@bridge0", "8@em0.8"}
    run(fourteen, "ifconfig em0.8 destroy")
    assert set(fourteen.carp_states()) == {"1@bridge0"}
    assert refused(fourteen, "ifconfig carp0 create") == "ifconfig: SIOCIFCREATE2: Invalid argument"
    assert (
        refused(fourteen, "ifconfig vlan9 create vlan 9 vlandev em9") == "ifconfig: SIOCSETVLAN: Device not configured"
    )
    assert run(fourteen, "ifconfig gif0 create") == ""


def test_nothing_is_changed_for_an_ordinary_user(bench: Bench) -> None:
    machine = bench.machine(release="14.2", loader=LOADED)
    for words, complaint in (
        ("bridge0 create", "SIOCIFCREATE2: Operation not permitted"),
        ("em0 up", "up: permission denied"),
        ("em0 mtu 1400", "ioctl (set mtu): permission denied"),
        ("em0 name wan", "SIOCSIFNAME: permission denied"),
        ("em0 destroy", "SIOCIFDESTROY: permission denied"),
        ("em0 inet 192.0.2.8/32 alias", "ioctl (SIOCAIFADDR): permission denied"),
    ):
        assert refused(machine, f"ifconfig {words}", user="joe") == f"ifconfig: {complaint}"
    old = bench.machine("old", "9.3", kernel="CARP")
    run(old, "ifconfig carp0 create")
    assert refused(old, "ifconfig carp0 vhid 1", user="joe") == "ifconfig: SIOCSVH: Operation not permitted"


def test_renamed_parent_keeps_its_vhids(bench: Bench) -> None:
    machine = bench.machine(release="14.2", loader=LOADED)
    run(machine, "ifconfig em0 vhid 1 pass x alias 192.0.2.1/32")
    run(machine, "ifconfig em0 name wan")
    run(machine, "ifconfig wan mtu 1400")
    bench.network.advance(4)
    assert machine.carp_states() == {"1@wan": "MASTER"}
    assert "mtu 1400" in run(machine, "ifconfig wan")


def test_renamed_pseudo_interface_and_parent_stay_together(bench: Bench) -> None:
    machine = bench.machine(release="9.3", kernel="CARP", sysctl="net.inet.carp.arpbalance=1\n")
    run(machine, "ifconfig carp0 create vhid 1 pass x 192.0.2.1/24")
    run(machine, "ifconfig carp0 name vip")
    run(machine, "ifconfig em0 name wan")
    bench.network.advance(4)
    assert machine.carp_states() == {"1@vip": "MASTER"}
    assert machine.kernel.arp_answer("em0", IPv4Address("192.0.2.1"), IPv4Address("192.0.2.7")) == "00:00:5e:00:01:01"
    run(machine, "ifconfig wan down")
    assert machine.carp_states() == {"1@vip": "INIT"}
    assert run(machine, "sysctl -n net.inet.carp.suppress_preempt") == "1\n"


def test_allow_zero_puts_vhids_into_init_from_eleven_on(bench: Bench) -> None:
    for release, role in (("10.4", "MASTER"), ("12.1", "INIT")):
        machine = bench.machine(f"r{release[:2]}", release, loader=LOADED)
        run(machine, "ifconfig em0 vhid 1 pass x alias 192.0.2.1/32")
        bench.network.advance(4)
        run(machine, "sysctl net.inet.carp.allow=0")
        assert machine.carp_states() == {"1@em0": role}


def test_pseudo_interface_corner_cases(bench: Bench) -> None:
    machine = bench.machine(release="9.3", kernel="CARP")
    assert refused(machine, "ifconfig em0 vhid 3") == "ifconfig: SIOCGVH: Invalid argument"
    run(machine, "ifconfig carp0 create vhid 1 pass x 192.0.2.1/24")
    run(machine, "ifconfig carp1 create vhid 2 pass x 192.0.2.9/24")
    assert refused(machine, "ifconfig carp1 vhid 1") == "ifconfig: SIOCSVH: File exists"
    assert refused(machine, "ifconfig carp1 state nonsense") == "ifconfig: unknown state"
    run(machine, "ifconfig carp2 create")
    run(machine, "ifconfig carp2 192.0.2.5/24")
    run(machine, "ifconfig carp2 vhid 5")
    bench.network.advance(4)
    assert machine.carp_states() == {"1@carp0": "MASTER", "2@carp1": "MASTER", "5@carp2": "MASTER"}
    run(machine, "ifconfig carp2 vhid 6")
    assert machine.carp_states()["6@carp2"] == "MASTER"
    run(machine, "ifconfig carp2 state backup")
    assert machine.carp_states()["6@carp2"] == "BACKUP"
    run(machine, "ifconfig carp0 192.0.2.1/24 alias")
    assert "em0: promiscuous mode enabled" in machine.dmesg()
    for name in ("carp0", "carp1", "carp2"):
        run(machine, f"ifconfig {name} destroy")
    assert machine.dmesg()[-1] == "em0: promiscuous mode disabled"
    assert machine.carp_states() == {}


@settings(deadline=None)
@given(st.text(max_size=6))
def test_numbers_are_read_as_c_reads_them(text: str) -> None:
    digits = ""
    rest = text.lstrip(" \t\n\v\f\r")
    sign = rest[:1] if rest[:1] in {"+", "-"} else ""
    for ch in rest[len(sign) :]:
        if ch not in "0123456789":
            break
        digits += ch
    assert atoi(text) == (int(sign + digits) if digits else 0)


# VLANs, IPv6 before 9.0, and repeated addresses


def test_a_vlan_interface_is_put_on_its_card_by_two_words(bench: Bench) -> None:
    machine = bench.machine(
        release="7.2",
        rc='cloned_interfaces="vlan10"\nifconfig_vlan10="inet 203.0.113.3 netmask 255.255.255.0 vlan 10 vlandev em0"\n',
    )
    vlan = machine.kernel.interfaces["vlan10"]
    assert (vlan.kind, vlan.tag, vlan.parent, vlan.ether) == ("vlan", 10, "em0", machine.nics[0].ether)
    assert "broadcast 203.0.113.255" in run(machine, "ifconfig vlan10")
    assert refused(machine, "ifconfig vlan10 vlan 11 vlandev em0") == "ifconfig: SIOCSETVLAN: Device busy"
    run(machine, "ifconfig vlan11 create")
    assert refused(machine, "ifconfig vlan11 vlan 11") == "ifconfig: both vlan and vlandev must be specified"
    assert refused(machine, "ifconfig vlan11 vlan 11 vlandev em9") == "ifconfig: SIOCSETVLAN: Device not configured"
    assert refused(machine, "ifconfig vlan11 vlan 0 vlandev em0") == "ifconfig: SIOCSETVLAN: Invalid argument"
    assert refused(machine, "ifconfig vlan11 vlan 1 vlandev em0", "joe") == "ifconfig: SIOCSETVLAN: permission denied"
    run(machine, "ifconfig vlan11 vlan 11 vlandev em0 up")
    assert refused(machine, "ifconfig vlan12 create vlan 9999 vlandev em0") == "ifconfig: SIOCSETVLAN: Invalid argument"


def test_ipv6_before_nine_has_variables_of_its_own(bench: Bench) -> None:
    rc = (
        'ipv6_ifconfig_em0="2001:db8::2 prefixlen 64"\nipv6_ifconfig_em0_alias0="2001:db8::3 prefixlen 64"\n'
        'ipv6_ifconfig_em0_alias2="2001:db8::5 prefixlen 64"\n'
    )
    without = bench.machine("without", "7.2", rc=rc)
    assert "inet6" not in run(without, "ifconfig em0")
    machine = bench.machine("with", "7.2", rc=f'ipv6_enable="YES"\n{rc}')
    addresses = [line.split()[1] for line in run(machine, "ifconfig em0").splitlines() if "inet6" in line]
    assert addresses == [f"{link_local(machine.nics[0].ether)}%em0", "2001:db8::2", "2001:db8::3"]
    chosen = bench.machine("chosen", "7.2", rc=f'ipv6_enable="YES"\nipv6_network_interfaces="em1"\n{rc}')
    assert "2001:db8::2" not in run(chosen, "ifconfig em0")


def test_an_interface_gets_its_link_local_address_when_ipv6_is_let_in(bench: Bench) -> None:
    machine = bench.machine(release="12.1")
    assert "inet6 fe80" not in run(machine, "ifconfig em0")
    run(machine, "ifconfig em0 inet6 -ifdisabled")
    assert f"inet6 {link_local(machine.nics[0].ether)}%em0" in run(machine, "ifconfig em0")


@pytest.mark.parametrize(("release", "keeps"), [("11.2", False), ("11.4", True), ("12.1", True)])
def test_repeating_the_only_address_of_a_vhid_destroys_it_up_to_11_2(bench: Bench, release: str, keeps: bool) -> None:
    machine = bench.machine(release=release, loader='carp_load="YES"\n')
    line = "ifconfig em0 inet vhid 1 pass secret alias 192.0.2.10/32"
    run(machine, line)
    if keeps:
        run(machine, line)
        assert machine.carp_states() == {"1@em0": "BACKUP"}
        return
    assert refused(machine, line) == "ifconfig: ioctl (SIOCAIFADDR): Protocol not available"
    assert machine.carp_states() == {}
    assert "192.0.2.10" not in run(machine, "ifconfig em0")
    run(machine, line)  # every other time it works
    assert machine.carp_states() == {"1@em0": "BACKUP"}
