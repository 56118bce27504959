from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from pathlib import Path

import pytest
from edge_net import (
    Sniffer,
    Wire,
    cable,
    fresh_namespace,
    inside,
    kernel_makes,
    needs_namespaces,
    run,
    settle_links,
    sysctl,
)

from bsdcarp.carp import virtual_mac
from bsdcarp.carpd import kernel as kernel_module
from bsdcarp.carpd import linkdowns
from bsdcarp.carpd.errors import NetlinkError, ParentMissing, Refused
from bsdcarp.carpd.journal import Journal
from bsdcarp.carpd.kernel import Kernel
from bsdcarp.carpd.parent import device_name
from bsdcarp.carpd.presence import Interface, Presence, Spec, recover, remove_all
from bsdcarp.carpd.rtnl.messages import Address
from bsdcarp.carpd.rtnl.monitor import AddressEvent, LinkEvent
from bsdcarp.carpd.sysctls import Sysctls

pytestmark = needs_namespaces

MAC = "00:00:5e:00:01:01"


def interfaces(*texts: str) -> tuple[Interface, ...]:
    return tuple(ip_interface(text) for text in texts)


BOTH = interfaces("192.0.2.1/24", "2001:db8::1/64")


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with cable(tmp_path) as made:
        yield made


@pytest.fixture
def presence(wire: Wire) -> Iterator[Presence]:
    made = Presence(Spec(1, "eth0", BOTH), wire.kernel)
    yield made
    with contextlib.suppress(NetlinkError):
        made.remove()


def everything() -> str:
    """The state of the host that a presence touches, for comparison."""
    said = [
        run("ip -o link show").replace("qdisc noqueue state DOWN", "qdisc noop state DOWN"),
        run("ip -o addr show"),
        run("ip rule"),
        run("ip -6 rule"),
        run("ip route show table all"),
        run("ip -6 route show table all"),
    ]
    for name in ("all", "default", "eth0"):
        values = ("arp_ignore", "arp_announce", "arp_filter", "rp_filter")
        said += [f"{name} {value} {sysctl(f'net/ipv4/conf/{name}/{value}')}" for value in values]
    return "\n".join("\n".join(sorted(each.splitlines())) for each in said)


def wait_for(condition: object, seconds: float = 3.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if callable(condition) and condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def is_down(name: str) -> bool:
    return "state DOWN" in run(f"ip link show {name}")


def answered(wire: Wire, address: str, client: str = "192.0.2.99") -> bool:
    """Whether the neighbour gets an answer from the address."""
    command = ["ping", "-c1", "-W1", "-n", "-I", client, address]
    with inside(wire.neighbour):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def sources_of_traffic(wire: Wire, vip: str, destination: str) -> set[bytes]:
    """The source MACs of the packets that leave with the VIP as source."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    sniffer = wire.sniff()
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((vip, 0))
        for _ in range(3):
            sock.sendto(b"x", (destination, 9))
    packed = ip_address(vip).packed
    start = 22 if family == socket.AF_INET6 else 26
    kind = b"\x86\xdd" if family == socket.AF_INET6 else b"\x08\x00"
    seen: set[bytes] = set()
    protocol = 20 if family == socket.AF_INET6 else 23
    deadline = time.monotonic() + 3
    while not seen and time.monotonic() < deadline:
        seen |= {
            f[6:12]
            for f in sniffer.frames(1, 0.5, kind=kind)
            if f[start : start + len(packed)] == packed and f[protocol] == 17
        }
    sniffer.close()
    return seen


def test_a_prepared_presence_is_a_macvlan_that_is_down_and_empty(presence: Presence) -> None:
    presence.prepare()
    said = run(f"ip -d link show {presence.device}")
    index = socket.if_nametoindex("eth0")
    assert presence.device == f"carp1.{index}"
    assert {MAC, "private", "bsdcarp", "none"} <= set(said.split())
    assert "alias bsdcarp vhid 1 on eth0" in said
    assert is_down(presence.device)
    assert presence.mac == virtual_mac(1)
    assert (presence.parent_index, presence.index) == (index, socket.if_nametoindex(presence.device))
    assert " inet" not in run(f"ip addr show {presence.device}")
    assert presence.missing() == ()
    assert presence.notes == ()


def test_after_remove_the_host_is_as_before(presence: Presence) -> None:
    before = everything()
    presence.prepare()
    presence.appear()
    assert everything() != before
    presence.remove()
    assert everything() == before
    assert not presence.prepared
    assert not presence.appeared
    presence.remove()
    assert everything() == before


def test_after_vanish_the_host_is_as_prepared(presence: Presence) -> None:
    presence.prepare()
    before = everything()
    for _ in range(3):
        presence.appear()
        presence.appear()
        presence.vanish()
        presence.vanish()
    wait_for(lambda: is_down(presence.device))
    assert everything() == before


def test_the_master_answers_for_its_addresses_with_the_virtual_mac_only(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    sniffer = wire.sniff()
    assert not answered(wire, "192.0.2.1")
    presence.appear()
    wire.far("ip neigh flush dev far0")
    for vip in ("192.0.2.1", "2001:db8::1"):
        assert answered(wire, vip, "far0")
        assert wire.neighbour_of(vip) == MAC
    answers = [
        f
        for f in sniffer.frames(50, 0.3, kind=b"\x08\x06")
        if f[20:22] == b"\0\2" and f[28:32] == bytes([192, 0, 2, 1])
    ]
    assert {f[6:12] for f in answers} == {f[22:28] for f in answers} == {virtual_mac(1)}
    sniffer.close()


def test_the_host_keeps_answering_for_itself_with_its_own_mac(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    wire.far("ip neigh flush dev far0")
    own = run("ip link show eth0").split("link/ether ")[1].split()[0]
    for address in ("192.0.2.10", "2001:db8::10"):
        assert answered(wire, address, "far0")
        assert wire.neighbour_of(address) == own


def test_packets_for_an_ipv6_address_are_taken_from_the_first_moment_on(presence: Presence) -> None:
    presence.prepare()
    for _ in range(5):
        presence.appear()
        # The kernel's own route comes a moment later, from a work item, and on a busy machine much later.
        assert "local 2001:db8::1 " in run("ip -6 route show table local proto 112")
        presence.vanish()
        assert "2001:db8::1 " not in run("ip -6 route show table local")


def test_after_vanish_nobody_answers(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    assert answered(wire, "192.0.2.1")
    presence.vanish()
    wire.far("ip neigh flush dev far0")
    assert not answered(wire, "192.0.2.1")
    assert answered(wire, "192.0.2.10")


@pytest.mark.parametrize(("vip", "destination"), [("192.0.2.1", "192.0.2.99"), ("2001:db8::1", "2001:db8::99")])
def test_traffic_of_a_vip_on_the_segment_carries_the_virtual_mac(
    wire: Wire, presence: Presence, vip: str, destination: str
) -> None:
    presence.prepare()
    presence.appear()
    assert sources_of_traffic(wire, vip, destination) == {virtual_mac(1)}


@pytest.mark.parametrize(
    ("vip", "gateway", "destination"),
    [("192.0.2.1", "192.0.2.99", "198.51.100.1"), ("2001:db8::1", "2001:db8::99", "2001:db8:5::1")],
)
def test_traffic_of_a_vip_over_a_gateway_carries_the_virtual_mac(
    wire: Wire, presence: Presence, vip: str, gateway: str, destination: str
) -> None:
    run(f"ip route add default via {gateway}")
    wire.kernel.refresh()
    presence.prepare()
    presence.appear()
    assert sources_of_traffic(wire, vip, destination) == {virtual_mac(1)}
    assert presence.notes == ()


def test_the_hosts_own_traffic_keeps_its_own_mac_and_address(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    own = socket.if_nametoindex("eth0")
    link = wire.route.link(own)
    assert link is not None
    assert sources_of_traffic(wire, "192.0.2.10", "192.0.2.99") == {link.mac}
    for family, far in ((socket.AF_INET, "192.0.2.99"), (socket.AF_INET6, "2001:db8::99")):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((far, 9))
            assert sock.getsockname()[0] in ("192.0.2.10", "2001:db8::10")


def test_a_link_local_vip_works_without_leaving_the_interface(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth0", interfaces("fe80::1:1/64")), wire.kernel)
    presence.prepare()
    presence.appear()
    assert answered(wire, "fe80::1:1%far0", "far0")
    assert wire.neighbour_of("fe80::1:1") == MAC
    presence.remove()


def test_the_virtual_mac_makes_no_link_local_address(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    assert {str(a.ip) for a in wire.route.addresses(presence.index)} == {"192.0.2.1", "2001:db8::1"}


def test_a_vhid_without_ipv6_has_no_ipv6(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth0", interfaces("192.0.2.1/24")), wire.kernel)
    presence.prepare()
    assert sysctl(f"net/ipv6/conf/{presence.device}/disable_ipv6") == "1"
    presence.appear()
    presence.change(BOTH)
    assert presence.missing() == ()
    assert answered(wire, "2001:db8::1", "far0")
    presence.remove()


def test_a_client_that_uses_the_vip_as_gateway_passes_a_strict_host(wire: Wire, presence: Presence) -> None:
    sysctl("net/ipv4/conf/all/rp_filter", "1")
    sysctl("net/ipv4/ip_forward", "1")
    run("ip link add out0 type veth peer name out1")
    run("ip addr add 198.51.100.1/24 dev out0")
    run("ip link set out0 up")
    run("ip link set out1 up")
    settle_links("out0", "out1")
    run("ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:07 dev out0")
    wire.kernel.refresh()
    presence.prepare()
    presence.appear()
    assert sysctl("net/ipv4/conf/all/rp_filter") == "1"
    wire.far("ip route add 198.51.100.0/24 via 192.0.2.1")
    sniffer = Sniffer("out1")
    with inside(wire.neighbour), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"through", ("198.51.100.7", 9))
    (frame,) = [f for f in sniffer.frames(1, 3, kind=b"\x08\x00") if f.endswith(b"through")]
    assert frame[26:30] == IPv4Address("192.0.2.99").packed
    sniffer.close()


def test_routes_over_other_interfaces_are_not_swallowed_by_the_copy(wire: Wire, presence: Presence) -> None:
    run("ip link add out0 type veth peer name out1")
    run("ip addr add 198.51.100.1/24 dev out0")
    run("ip link set out0 up")
    run("ip link set out1 up")
    run("ip route add default via 192.0.2.99")
    run("ip route add 203.0.113.0/24 via 198.51.100.2")
    run("ip route add blackhole 203.0.114.0/24")
    wire.kernel.refresh()
    presence.prepare()
    presence.appear()
    assert f"dev {presence.device}" in run("ip route get 8.8.8.8 from 192.0.2.1")
    assert "dev out0" in run("ip route get 198.51.100.7 from 192.0.2.1")
    assert "via 198.51.100.2 dev out0" in run("ip route get 203.0.113.7 from 192.0.2.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("192.0.2.1", 0))
        with pytest.raises(OSError, match=r"Invalid argument|unreachable"):
            sock.sendto(b"x", ("203.0.114.1", 9))
    presence.vanish()
    assert "proto 112" not in run("ip route show table all")


def test_routes_that_change_are_followed(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    assert not presence.follow()
    presence.appear()
    assert not presence.follow()
    run("ip route add 198.51.100.0/24 via 192.0.2.99")
    wire.kernel.refresh()
    assert presence.follow()
    assert f"dev {presence.device}" in run("ip route get 198.51.100.1 from 192.0.2.1")
    run("ip route del 198.51.100.0/24")
    wire.kernel.refresh()
    assert presence.follow()
    assert "198.51.100.0" not in run("ip route show table all")
    assert not presence.follow()


def test_rules_that_somebody_flushed_are_put_back(presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    run("ip rule del pref 11200")
    presence.follow()
    assert "from 192.0.2.1 lookup" in run("ip rule")


def test_a_full_routing_table_is_not_copied_and_said_so(
    wire: Wire, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_module, "LIMIT", 10)
    for n in range(20):
        run(f"ip route add 198.51.{n}.0/24 via 192.0.2.99")
    wire.kernel.refresh()
    presence.prepare()
    presence.appear()
    assert "too many routes" in presence.notes[0]
    assert f"dev {presence.device}" in run("ip route get 192.0.2.99 from 192.0.2.1")
    assert "dev eth0" in run("ip route get 198.51.3.1 from 192.0.2.1")


def test_a_route_that_the_kernel_will_not_copy_is_no_failure(wire: Wire, presence: Presence) -> None:
    run("ip -6 route add 2001:db8:77::/48 via 2001:db8:99::1 dev eth0 onlink")
    wire.kernel.refresh()
    presence.prepare()
    presence.appear()
    assert presence.appeared
    assert presence.notes == ("1 routes cannot be copied: traffic over them carries the real MAC",)


def test_an_address_that_somebody_removed_is_missed_and_put_back(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    assert presence.missing() == presence.restore() == ()
    run(f"ip addr del 192.0.2.1/32 dev {presence.device}")
    run(f"ip link set {presence.device} down")
    assert set(presence.missing()) == set(BOTH)
    assert set(presence.restore()) == set(BOTH)
    assert presence.missing() == ()
    assert sources_of_traffic(wire, "192.0.2.1", "192.0.2.99") == {virtual_mac(1)}


def test_a_changed_list_moves_only_the_difference(wire: Wire, presence: Presence) -> None:
    presence.change(BOTH)
    presence.prepare()
    presence.appear()
    run(f"ip addr change 192.0.2.1/32 dev {presence.device} valid_lft 5000 preferred_lft 5000")
    presence.change(interfaces("192.0.2.1/24", "192.0.2.2/24"))
    assert {str(a.ip) for a in wire.route.addresses(presence.index)} == {"192.0.2.1", "192.0.2.2"}
    assert "valid_lft 5000sec" in run(f"ip addr show {presence.device}") or "valid_lft 4999sec" in run(
        f"ip addr show {presence.device}"
    )
    assert "2001:db8::1" not in run("ip -6 rule")
    assert "from 192.0.2.2 lookup" in run("ip rule")
    assert wire.journal.presences["1@eth0"].addresses == ("192.0.2.1", "192.0.2.2")
    presence.vanish()
    presence.change(BOTH)
    presence.appear()
    assert presence.missing() == ()


def test_events_of_its_device_and_addresses_concern_it(wire: Wire, presence: Presence) -> None:
    parent = wire.route.link("eth0")
    assert parent is not None
    assert not presence.concerns(LinkEvent(replace(parent, index=0), new=True))
    presence.prepare()
    device = wire.route.link(presence.device)
    assert device is not None
    assert presence.concerns(LinkEvent(device, new=False))
    assert not presence.concerns(LinkEvent(parent, new=False))
    vip = Address(presence.index, IPv4Address("192.0.2.1"), 32)
    assert presence.concerns(AddressEvent(vip, new=False))
    assert not presence.concerns(AddressEvent(replace(vip, index=parent.index), new=False))
    assert not presence.concerns(AddressEvent(replace(vip, ip=IPv6Address("::5")), new=False))


def test_without_virtual_mac_the_addresses_are_on_the_parent_and_nothing_else_changes(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth0", BOTH, virtual_mac=False), wire.kernel)
    before = everything()
    presence.prepare()
    assert everything() == before
    parent = wire.route.link("eth0")
    assert parent is not None
    assert (presence.device, presence.index, presence.mac) == ("eth0", parent.index, parent.mac)
    presence.appear()
    assert presence.notes == ()
    wait_for(lambda: answered(wire, "2001:db8::1", "far0"))
    assert wire.neighbour_of("2001:db8::1") == run("ip link show eth0").split("link/ether ")[1].split()[0]
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(("2001:db8::99", 9))
        assert sock.getsockname()[0] == "2001:db8::10"
    run("ip addr del 192.0.2.1/32 dev eth0")
    assert [str(each.ip) for each in presence.restore()] == ["192.0.2.1"]
    presence.vanish()
    assert everything() == before
    run("ip link set eth0 address 02:00:00:00:00:42")
    presence.prepare()
    assert presence.mac == b"\2\0\0\0\0\x42"
    presence.remove()


def test_a_parent_that_is_missing_is_waited_for(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth7", BOTH), wire.kernel)
    with pytest.raises(ParentMissing, match="eth7: no such interface"):
        presence.prepare()
    with pytest.raises(ParentMissing):
        presence.appear()
    presence.vanish()
    assert wire.journal.presences == {}
    run("ip link add eth7 type veth peer name far7")
    presence.prepare()
    assert presence.prepared
    presence.remove()


def test_a_parent_that_goes_and_comes_back_is_prepared_anew(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    first = presence.index
    run("ip link del eth0")
    assert presence.missing() == BOTH
    with pytest.raises(ParentMissing):
        presence.prepare()
    assert not presence.appeared
    assert "proto 112" not in run("ip rule") + run("ip route show table all")
    run("ip link add eth0 type veth peer name far1")
    run("ip link set eth0 up")
    run("ip link set far1 up")
    settle_links("eth0")
    presence.prepare()
    assert presence.index != first
    presence.appear()
    assert presence.missing() == ()
    presence.remove()
    assert wire.journal.settings == {}


def test_a_device_that_somebody_deleted_is_made_again(presence: Presence) -> None:
    presence.prepare()
    presence.prepare()
    presence.appear()
    run(f"ip link del {presence.device}")
    presence.prepare()
    assert not presence.appeared
    presence.appear()
    assert presence.missing() == ()


def test_an_address_that_the_kernel_refuses_is_an_error_and_nothing_is_left(presence: Presence) -> None:
    presence.prepare()
    before = everything()
    sysctl(f"net/ipv6/conf/{presence.device}/disable_ipv6", "1")
    with pytest.raises(NetlinkError, match="vhid 1 on eth0: address 2001:db8::1: Permission denied") as caught:
        presence.appear()
    assert caught.value.errno == errno.EACCES
    assert not presence.appeared
    wait_for(lambda: is_down(presence.device))
    assert everything() == before


def test_a_parent_that_was_down_makes_no_difference_once_it_is_up(wire: Wire, presence: Presence) -> None:
    run("ip link set eth0 down")
    presence.prepare()
    run("ip link set eth0 up")
    settle_links("eth0")
    wire.kernel.refresh()
    presence.appear()
    assert answered(wire, "192.0.2.1")


def test_a_port_of_a_bridge_is_refused_and_the_bridge_named(wire: Wire, presence: Presence) -> None:
    run("ip link add br0 type bridge")
    run("ip link set eth0 master br0")
    with pytest.raises(Refused, match=r"eth0: is a port of br0 \(give vhid 1 the interface br0"):
        presence.prepare()
    assert wire.journal.presences == {}


def test_an_interface_without_ethernet_is_refused(wire: Wire) -> None:
    with pytest.raises(Refused, match="lo: not an Ethernet interface"):
        Presence(Spec(1, "lo", BOTH), wire.kernel).prepare()


def test_keepalived_with_the_same_id_is_refused(presence: Presence) -> None:
    run(f"ip link add link eth0 name vrrp.1 address {MAC} type macvlan mode private")
    with pytest.raises(Refused, match=rf"eth0: vrrp.1 has the MAC {MAC} of vhid 1 already \(keepalived"):
        presence.prepare()
    run("ip link del vrrp.1")
    presence.prepare()


def test_keepalived_that_comes_later_is_refused_at_appear(presence: Presence) -> None:
    presence.prepare()
    run(f"ip link add link eth0 name vrrp.1 address {MAC} type macvlan mode private")
    run("ip link set vrrp.1 up")
    with pytest.raises(Refused, match=f"another macvlan with the MAC {MAC} of vhid 1 is up"):
        presence.appear()
    assert "192.0.2.1/32" not in run("ip addr")
    assert "proto 112" not in run("ip rule")


def test_a_parent_with_the_virtual_mac_itself_is_refused(presence: Presence) -> None:
    run(f"ip link set eth0 address {MAC}")
    with pytest.raises(Refused, match="eth0: eth0 has the MAC"):
        presence.prepare()


@pytest.mark.parametrize("virtual", [True, False])
def test_an_address_that_the_operator_configured_is_refused(wire: Wire, virtual: bool) -> None:
    presence = Presence(Spec(1, "eth0", BOTH, virtual_mac=virtual), wire.kernel)
    run("ip addr add 192.0.2.1/24 dev eth0")
    with pytest.raises(Refused, match=r"eth0: 192.0.2.1 of vhid 1 is configured on eth0 already"):
        presence.prepare()
    run("ip addr del 192.0.2.1/24 dev eth0")
    presence.prepare()
    presence.remove()


def test_a_wireless_interface_is_refused_unless_the_real_mac_is_used(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_module, "is_wireless", lambda name: name == "eth0")
    with pytest.raises(Refused, match="eth0: is wireless"):
        Presence(Spec(1, "eth0", BOTH), wire.kernel).prepare()
    presence = Presence(Spec(1, "eth0", BOTH, virtual_mac=False), wire.kernel)
    presence.prepare()
    presence.remove()


def test_a_parent_that_cannot_have_a_macvlan_is_refused_with_the_way_out(wire: Wire, presence: Presence) -> None:
    index = socket.if_nametoindex("eth0")
    run(f"ip link add carp1.{index} type veth peer name other")
    with pytest.raises(Refused, match=r"no macvlan can be put on it: File exists.*virtual_mac false"):
        presence.prepare()
    assert wire.journal.presences == {}


def test_several_vhids_share_the_parents_sysctls_and_the_last_restores_them(wire: Wire) -> None:
    first = Presence(Spec(1, "eth0", interfaces("192.0.2.1/24")), wire.kernel)
    second = Presence(Spec(2, "eth0", interfaces("192.0.2.2/24")), wire.kernel)
    for each in (first, second):
        each.prepare()
        each.appear()
    first.remove()
    assert (sysctl("net/ipv4/conf/eth0/arp_ignore"), sysctl("net/ipv4/conf/eth0/arp_announce")) == ("1", "2")
    assert answered(wire, "192.0.2.2")
    second.remove()
    assert (sysctl("net/ipv4/conf/eth0/arp_ignore"), sysctl("net/ipv4/conf/eth0/arp_announce")) == ("0", "0")


def test_remove_all_leaves_nothing(wire: Wire) -> None:
    before = everything()
    many = [
        Presence(Spec(n, "eth0", interfaces(f"192.0.2.{n}/24", f"2001:db8::a:{n}/64")), wire.kernel)
        for n in range(1, 6)
    ]
    many.append(Presence(Spec(200, "eth0", interfaces("192.0.2.200/24"), virtual_mac=False), wire.kernel))
    many.append(Presence(Spec(201, "eth7", interfaces("192.0.2.201/24")), wire.kernel))
    for each in many[:-1]:
        each.prepare()
        each.appear()
    remove_all(many)
    remove_all(many)
    assert everything() == before
    assert wire.journal.presences == {}
    assert wire.journal.settings == {}


def crashed(wire: Wire) -> tuple[Journal, Sysctls]:
    """What the next process begins with when this one was killed."""
    wire.journal._unlock()
    journal = Journal(wire.journal._path)
    journal.acquire()
    return journal, Sysctls(journal)


@pytest.mark.parametrize("with_journal", [True, False])
def test_after_a_crash_everything_stale_is_found_and_removed(wire: Wire, with_journal: bool) -> None:
    run("ip route add default via 192.0.2.99")
    run("ip route add blackhole 203.0.113.0/24")
    wire.kernel.refresh()
    before = everything()
    for spec in (
        Spec(1, "eth0", BOTH),
        Spec(2, "eth0", interfaces("192.0.2.2/24", "2001:db8::2/64"), virtual_mac=False),
    ):
        presence = Presence(spec, wire.kernel)
        presence.prepare()
        presence.appear()
    if not with_journal:
        wire.journal._path.unlink()
        sysctl("net/ipv4/conf/eth0/arp_ignore", "0")
        sysctl("net/ipv4/conf/eth0/arp_announce", "0")
    journal, sysctls = crashed(wire)
    said = recover(wire.route, journal, sysctls)
    index = socket.if_nametoindex("eth0")
    assert f"removed stale interface carp1.{index}" in said
    assert "removed stale address 192.0.2.2 from eth0" in said
    assert ("restored net/ipv4/conf/eth0/arp_ignore" in said) == with_journal
    assert everything() == before
    assert recover(wire.route, journal, sysctls) == ()
    journal.close()
    assert not wire.journal._path.exists()


def test_recovery_touches_nothing_of_others(wire: Wire) -> None:
    run("ip link add link eth0 name vrrp.1 address 00:00:5e:00:01:01 type macvlan mode private")
    run("ip link set vrrp.1 alias keepalived")
    run("ip addr add 192.0.2.50/32 dev eth0")
    run("ip addr add 2001:db8::50/128 dev eth0 nodad")
    run("ip rule add from 192.0.2.50 lookup 112 pref 11200 protocol 112")
    run("ip route add throw 203.0.113.0/24 table 112")
    before = everything()
    assert recover(wire.route, wire.journal, wire.sysctls) == ()
    assert everything() == before


def test_the_mark_of_an_old_kernel_is_missing_and_the_journal_knows_the_address(wire: Wire) -> None:
    presence = Presence(Spec(2, "eth0", interfaces("192.0.2.2/24"), virtual_mac=False), wire.kernel)
    presence.prepare()
    run("ip addr add 192.0.2.2/32 dev eth0")
    journal, sysctls = crashed(wire)
    assert recover(wire.route, journal, sysctls) == ("removed stale address 192.0.2.2 from eth0",)
    journal.close()


def test_a_left_device_with_our_mark_is_replaced_and_one_without_is_not(wire: Wire, presence: Presence) -> None:
    index = socket.if_nametoindex("eth0")
    run(f"ip link add link eth0 name carp1.{index} address 02:00:00:00:00:01 type macvlan mode private")
    with pytest.raises(Refused, match="File exists"):
        presence.prepare()
    run(f"ip link del carp1.{index}")
    presence.prepare()
    other = Presence(presence.spec, Kernel(wire.route, wire.sysctls, wire.journal))
    other.prepare()
    assert other.index != presence.index
    other.remove()


def test_appear_right_after_vanish_finds_the_link_up_or_waits_for_it(presence: Presence) -> None:
    presence.prepare()
    for pause in (0, 0.02, 0.03, 0.05):
        presence.appear()
        presence.vanish()
        time.sleep(pause)
        presence.appear()
        assert presence.missing() == ()
        assert not is_down(presence.device)
        presence.vanish()
    wait_for(lambda: is_down(presence.device))


def test_a_single_interface_goes_down_at_once_and_only_many_wait_for_a_pause(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linkdowns, "_PAUSE", 3600.0)
    made = [Presence(Spec(vhid, "eth0", interfaces(f"192.0.2.{vhid}/24")), wire.kernel) for vhid in (1, 2, 3)]
    for each in made:
        each.prepare()
        each.appear()
    made[0].vanish()
    wait_for(lambda: is_down(made[0].device))
    made[1].vanish()
    made[2].vanish()
    assert not is_down(made[2].device)
    wire.kernel.linkdowns.close()
    assert is_down(made[1].device)
    assert is_down(made[2].device)
    remove_all(made)


def test_an_address_on_lo_needs_to_be_on_the_parent_to_be_answered_for(wire: Wire, presence: Presence) -> None:
    run("ip addr add 192.0.2.77/32 dev lo")
    assert answered(wire, "192.0.2.77")
    presence.prepare()
    wire.far("ip neigh flush dev far0")
    assert not answered(wire, "192.0.2.77")
    run("ip addr add 192.0.2.77/32 dev eth0")
    # The neighbour asks again a second after its last question, which is as long as one ping waits.
    wait_for(lambda: answered(wire, "192.0.2.77"))


def test_closing_sets_down_what_is_pending(wire: Wire, presence: Presence) -> None:
    presence.prepare()
    presence.appear()
    presence.vanish()
    wire.kernel.linkdowns.close()
    assert is_down(presence.device)
    presence.appear()
    presence.vanish()
    wait_for(lambda: is_down(presence.device))


def _parent(kind: str, namespace: int, wire: Wire) -> None:
    with inside(namespace):
        name = "eth0" if namespace == wire.host else "far0"
        if kind == "vlan":
            run(f"ip link add link {name} name up0 type vlan id 5")
        else:
            run(f"ip link add up0 type {kind}")
            run(f"ip link set {name} down")
            run(f"ip link set {name} master up0")
            run(f"ip link set {name} up")
        run("ip link set up0 up")
        run(f"ip addr add 198.51.100.{10 if namespace == wire.host else 99}/24 dev up0")


@pytest.mark.parametrize("kind", ["vlan", "bridge", "bond"])
def test_vlan_bridge_and_bond_are_parents(wire: Wire, kind: str) -> None:
    if not kernel_makes(kind):
        pytest.skip(f"this kernel has no {kind} interfaces")
    for namespace in (wire.host, wire.neighbour):
        _parent(kind, namespace, wire)
    settle_links("up0")
    with inside(wire.neighbour):
        settle_links("up0")
    wire.kernel.refresh()
    presence = Presence(Spec(1, "up0", interfaces("198.51.100.1/24")), wire.kernel)
    presence.prepare()
    presence.appear()
    assert answered(wire, "198.51.100.1", "198.51.100.99")
    assert f"lladdr {MAC}" in wire.far("ip neigh show 198.51.100.1")
    presence.remove()


def test_a_host_without_ipv6_has_ipv4_vips(tmp_path: Path) -> None:
    with cable(tmp_path) as wire:
        for name in ("all", "default"):
            sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1")
        presence = Presence(Spec(1, "eth0", interfaces("192.0.2.1/24")), wire.kernel)
        presence.prepare()
        presence.appear()
        assert answered(wire, "192.0.2.1")
        presence.remove()


def test_arpbalance_keeps_the_kernel_silent_and_the_addresses_there(wire: Wire) -> None:
    pair = [Presence(Spec(n, "eth0", interfaces("192.0.2.1/24"), arpbalance=True), wire.kernel) for n in (1, 2)]
    for each in pair:
        each.prepare()
        each.appear()
    assert not answered(wire, "192.0.2.1")
    assert "proto 112" not in run("ip rule") + run("ip route show table all")
    assert not pair[0].follow()
    assert pair[0].notes == ()
    for vhid in (1, 2):
        wire.far(f"ip neigh replace 192.0.2.1 lladdr 00:00:5e:00:01:0{vhid} dev far0")
        assert answered(wire, "192.0.2.1")
    pair[0].vanish()
    assert answered(wire, "192.0.2.1")
    remove_all(pair)


def test_names_of_presences_fit_every_interface() -> None:
    assert all(len(device_name(255, index)) <= 15 for index in (1, 9_999_999, 10_000_000, 2**31 - 1))


def test_nothing_of_a_failed_creation_stays(tmp_path: Path) -> None:
    with fresh_namespace():
        run("ip link add eth0 type veth peer name far0")
        wire = Wire(0, 0, tmp_path)
        presence = Presence(Spec(1, "eth0", BOTH), wire.kernel)
        before = len(list(Path("/proc/self/fd").iterdir()))
        presence.prepare()
        presence.remove()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        wire.close()
