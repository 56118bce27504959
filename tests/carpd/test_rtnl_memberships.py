"""The macvlan of a former MASTER keeps silent: not one frame with the virtual MAC leads the switch back to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from pathlib import Path

import pytest
from edge_net import Wire, cable, fresh_namespace, needs_namespaces, run, sysctl

from bsdcarp.carp import virtual_mac
from bsdcarp.carpd.memberships import Memberships, solicited_node
from bsdcarp.carpd.presence import Presence, Spec

GROUP = "ff02::1:ff00:1"


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with cable(tmp_path) as made:
        yield made


def wait_for(condition: object, seconds: float = 3.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_member(device: str, group: str = GROUP) -> bool:
    return group in run(f"ip maddr show dev {device}").split()


def count(device: str, group: str = GROUP) -> int:
    """How many are members of the group on the device."""
    words = (line.split() for line in Path("/proc/thread-self/net/igmp6").read_text().splitlines())
    packed = IPv6Address(group).packed.hex()
    return sum(int(each[3]) for each in words if each[1] == device and each[2] == packed)


def test_the_group_is_made_of_the_last_three_bytes_of_the_address() -> None:
    assert IPv6Address(solicited_node(IPv6Address("2001:db8::1:2:aabb:ccdd"))) == IPv6Address("ff02::1:ffbb:ccdd")


@needs_namespaces
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_vanished_presence_sends_nothing_any_more(wire: Wire, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    addresses = tuple(ip_interface(text) for text in ("192.0.2.1/24", "2001:db8::1/64", "2001:db8::77/64"))
    presence = Presence(Spec(1, "eth0", addresses), wire.kernel)
    presence.prepare()
    sysctl(f"net/ipv6/conf/{presence.device}/force_mld_version", version)
    # Even while the interface is still up, which it is for as long as the kernel is busy with other things.
    monkeypatch.setattr(wire.kernel.linkdowns, "add", lambda _: None)
    with contextlib.closing(wire.sniff()) as sniffer:
        presence.appear()
        # All the reports about what came: the kernel repeats each of them once.
        assert sniffer.frames(99, 0.3, source=virtual_mac(1))
        presence.vanish()
        assert sniffer.frames(1, 0.2, source=virtual_mac(1)) == []
        presence.remove()
        assert sniffer.frames(1, 0.05, source=virtual_mac(1)) == []


@needs_namespaces
def test_the_groups_of_its_addresses_are_held_from_preparation_to_removal(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth0", (ip_interface("2001:db8::1/64"),)), wire.kernel)
    presence.prepare()
    device = presence.device
    assert is_member(device)
    for _ in range(5):
        presence.appear()
        assert is_member(device)
        # Until the kernel has joined for the address too: before that its leaving would be ours.
        wait_for(lambda: count(device) == 2)
        presence.vanish()
        assert count(device) == 1
    presence.change((ip_interface("2001:db8::2/64"), ip_interface("192.0.2.1/24")))
    assert not is_member(device)
    assert is_member(device, "ff02::1:ff00:2")
    presence.remove()
    assert device not in run("ip link show")


@needs_namespaces
def test_a_membership_that_an_address_has_taken_along_comes_back_with_the_next_one(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth0", (ip_interface("2001:db8::1/64"),)), wire.kernel)
    presence.prepare()
    for _ in range(20):
        presence.appear()
        presence.vanish()
    presence.appear()
    wait_for(lambda: count(presence.device) == 2)
    presence.remove()


@needs_namespaces
def test_a_list_that_gets_its_first_ipv6_address_later_joins_then(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth0", (ip_interface("192.0.2.1/24"),)), wire.kernel)
    presence.prepare()
    assert not is_member(presence.device)
    presence.change((ip_interface("2001:db8::1/64"),))
    assert is_member(presence.device)
    presence.remove()


@needs_namespaces
def test_without_virtual_mac_the_kernel_may_say_what_it_likes(wire: Wire) -> None:
    presence = Presence(Spec(1, "eth0", (ip_interface("2001:db8::1/64"),), virtual_mac=False), wire.kernel)
    presence.prepare()
    assert not is_member("eth0")
    presence.change((ip_interface("2001:db8::2/64"),))
    assert not is_member("eth0", "ff02::1:ff00:2")
    presence.remove()


@needs_namespaces
def test_an_interface_made_anew_is_joined_anew_and_one_that_is_gone_does_no_harm() -> None:
    held = Memberships()
    with fresh_namespace():
        run("ip link add one index 10 type veth peer name two index 11")
        vips: list[IPv4Address | IPv6Address] = [ip_address("2001:db8::1"), ip_address("192.0.2.1")]
        held.hold(10, vips)
        held.hold(11, vips)
        assert not is_member("one")
        assert is_member("two")
        run("ip link del two")
        held.hold(11, [])
        held.hold(12, vips)
        held.close()
        held.close()
