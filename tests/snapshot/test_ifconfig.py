"""ifconfig(8) of every era, as recorded on FreeBSD 9.3, 10.4 and 12.1 or worded by its source (14, 15)."""

from __future__ import annotations

from bsdcarp.model import Secret
from bsdcarp.snapshot.ifconfig import parse_ifconfig

PSEUDO = """\
vtnet1: flags=8943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST> metric 0 mtu 1500
\toptions=80028<VLAN_MTU,JUMBO_MTU,LINKSTATE>
\tether 52:54:00:93:02:1a
\tinet6 fe80::5054:ff:fe93:21a%vtnet1 prefixlen 64 scopeid 0x2 
\tinet 192.168.90.2 netmask 0xffffff00 broadcast 192.168.90.255
\tnd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>
\tmedia: Ethernet 10Gbase-T <full-duplex>
\tstatus: active
carp0: flags=49<UP,LOOPBACK,RUNNING> metric 0 mtu 1500
\tinet 192.168.90.1 netmask 0xffffff00 
\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>
\tcarp: MASTER vhid 1 advbase 1 advskew 0
carp1: flags=8<LOOPBACK> metric 0 mtu 1500
"""

TWELVE = """\
vtnet1: flags=8943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST> metric 0 mtu 1500
\tether 52:54:00:12:02:0a
\tinet 10.9.0.11 netmask 0xffffff00 broadcast 10.9.0.255
\tinet 10.9.0.1 netmask 0xffffffff broadcast 10.9.0.1 vhid 2
\tinet6 2001:db8::1 prefixlen 128 vhid 2
\tcarp: INIT vhid 1 advbase 1 advskew 0
\tcarp: BACKUP vhid 2 advbase 2 advskew 100 key "has "quote""
\tstatus: active
"""

FOURTEEN = """\
em0.20: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\tinet 192.0.2.10 netmask 0xffffffff broadcast 192.0.2.10 vhid 1
\tcarp: MASTER vhid 1 advbase 1 advskew 100
\t      peer 198.51.100.2 peer6 ff02::12
"""


def test_pseudo_interfaces_carry_their_vhid_and_addresses() -> None:
    found = parse_ifconfig(PSEUDO)
    assert list(found) == ["vtnet1", "carp0", "carp1"]
    assert [str(a.interface) for a in found["carp0"].addresses] == ["192.168.90.1/24"]
    state = found["carp0"].vhid(1)
    assert state is not None
    assert (state.state, state.advbase, state.advskew, state.key) == ("MASTER", 1, 0, None)
    assert found["carp1"].flags == {"LOOPBACK"}
    assert found["vtnet1"].inet6_disabled
    assert not found["carp0"].inet6_disabled
    assert found["vtnet1"].status == "active"
    assert found["vtnet1"].ether == "52:54:00:93:02:1a"


def test_addresses_know_their_vhid_and_keys_stay_secret() -> None:
    interface = parse_ifconfig(TWELVE)["vtnet1"]
    assert [(a.text, a.vhid) for a in interface.addresses] == [
        ("10.9.0.11", 0), ("10.9.0.1", 2), ("2001:db8::1", 2)]  # fmt: skip
    assert [a.text for a in interface.addresses_of(2)] == ["10.9.0.1", "2001:db8::1"]
    state = interface.vhid(2)
    assert state is not None
    assert state.key == Secret('has "quote"')
    assert "quote" not in repr(interface)
    assert interface.vhid(3) is None


def test_the_peer_line_belongs_to_the_vhid_above_it() -> None:
    interface = parse_ifconfig(FOURTEEN)["em0.20"]
    assert (interface.vhids[0].peer, interface.vhids[0].peer6) == ("198.51.100.2", "ff02::12")


def test_what_is_not_ifconfig_output_yields_nothing() -> None:
    assert parse_ifconfig("ifconfig: illegal option\n\tcarp: MASTER\n") == {}
    assert parse_ifconfig("") == {}


def test_damaged_lines_are_skipped_one_by_one() -> None:
    text = (
        "em0: flags=1<UP> mtu 1\n\tinet 300.1.1.1 netmask 0xff000000\n\tinet nonsense\n\tcarp: what\n\tinet 10.0.0.1\n"
    )
    interface = parse_ifconfig(text)["em0"]
    assert [str(a.interface) for a in interface.addresses] == ["10.0.0.1/32"]
    assert interface.vhids == ()
