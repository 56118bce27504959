"""From an inventory to machines: cards, segments, addresses and first files."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.errors import LabError
from bsdcarp.lab.addressing import Addressing, client_of
from bsdcarp.lab.config import MachinePlan, plan_machines
from bsdcarp.lab.firstfiles import csh_noise
from bsdcarp.lab.wiring import Link, links_of, management_link, plug
from bsdcarp.model import Group, Host, Inventory, Member, PasswordSource, Release, vip

PASSWORD = PasswordSource("plain", "secret")


def group(name: str, vhid: int, addresses: list[str], members: list[tuple[str, str]], segment: str = "") -> Group:
    made = tuple(Member(host, 100 * number, interface) for number, (host, interface) in enumerate(members))
    return Group(name, vhid, PASSWORD, tuple(vip(text) for text in addresses), made, segment=segment)


def inventory(hosts: list[Host], groups: list[Group]) -> Inventory:
    return Inventory("i.yml", {host.name: host for host in hosts}, {each.name: each for each in groups})


def host(
    name: str, address: str, interface: str | None = "em0", release: str = "14.2", **interfaces: str | None
) -> Host:
    major, minor = release.split(".")
    own = {key: tuple(ip_interface(text) for text in (value or "").split()) for key, value in interfaces.items()}
    return Host(name, address, interface, Release("freebsd", int(major), int(minor)), interfaces=MappingProxyType(own))


ARTICLE = inventory(
    [host("server1", "192.168.90.2", release="7.2"), host("server2", "192.168.90.3", release="7.2")],
    [
        group("carp1", 1, ["192.168.90.1/24"], [("server1", "em0"), ("server2", "em0")]),
        group("carp2", 2, ["192.168.90.1/24"], [("server2", "em0"), ("server1", "em0")]),
    ],
)


def plans(of: Inventory, **options: object) -> dict[str, MachinePlan]:
    made = plan_machines(of, **options)  # type: ignore[arg-type]  # any option
    return {plan.name: plan for plan in made}


def rc(plan: MachinePlan) -> dict[str, str]:
    """The variables as sh itself reads them."""
    script = f'{plan.rc_conf}\nset | grep -E "^(hostname|ifconfig_|ipv6_|vlans_|cloned_|create_args_|defaultrouter)"'
    done = subprocess.run(
        ["/bin/sh", "-s"], input=script, text=True, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in done.stdout.splitlines())}


# Cards and VLANs by name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["em0"], [Link("em0", "em0")]),
        (["em0.20"], [Link("em0", "em0"), Link("em0.20", "em0", 20)]),
        (["vlan10", "em1.20"], [Link("em1", "em1"), Link("vlan10", "em1", 10), Link("em1.20", "em1", 20)]),
        (["vlan10"], [Link("em0", "em0"), Link("vlan10", "em0", 10)]),
        (["wan", "igb0"], [Link("wan", "igb1"), Link("igb0", "igb0")]),
        (["lagg0", "bridge0"], [Link("lagg0", "lagg0"), Link("bridge0", "bridge0")]),
        (["em0", "em0"], [Link("em0", "em0")]),
        (["vlan0"], [Link("em0", "em0"), Link("vlan0", "em0", 1)]),
        ([], []),
    ],
)
def test_an_interface_name_tells_what_it_is(names: list[str], expected: list[Link]) -> None:
    assert list(links_of(names).values()) == expected


def test_only_a_card_under_another_name_is_renamed() -> None:
    renamed = {link.name: link.renamed for link in links_of(["wan", "em0", "em0.5", "vlan3"]).values()}
    assert renamed == {"wan": True, "em0": False, "em0.5": False, "vlan3": False}


def test_the_management_card_is_one_more_of_the_same_kind() -> None:
    assert management_link(links_of(["vtnet0", "vtnet1"])) == Link("vtnet2", "vtnet2")
    assert management_link({}) == Link("em0", "em0")


# Segments


def segments(of: Inventory) -> dict[tuple[str, str], tuple[str, int | None]]:
    return {(plan.name, nic.name): (nic.segment, nic.vlan) for plan in plans(of).values() for nic in plan.nics}


def test_members_of_a_group_share_a_segment_and_others_do_not() -> None:
    two = inventory(
        [host(name, f"10.0.0.{number}") for number, name in enumerate("abcd", 1)],
        [
            group("g1", 1, ["192.0.2.1/24"], [("a", "em0"), ("b", "em0")]),
            group("g2", 1, ["198.51.100.1/24"], [("c", "em0"), ("d", "em0")]),
        ],
    )
    found = segments(two)
    assert found["a", "em0"] == found["b", "em0"] == ("lan", None)
    assert found["c", "em0"] == found["d", "em0"] == ("lan1", None)
    assert {found[name, "em1"] for name in "abcd"} == {("management", None)}


def test_a_named_segment_joins_its_groups_and_keeps_its_name() -> None:
    named = inventory(
        [host(name, f"10.0.0.{number}") for number, name in enumerate("abcd", 1)],
        [
            group("g1", 1, ["192.0.2.1/24"], [("a", "em0"), ("b", "em0")], segment="dmz"),
            group("g2", 2, ["198.51.100.1/24"], [("c", "em0"), ("d", "em0")], segment="dmz"),
        ],
    )
    assert {segments(named)[name, "em0"] for name in "abcd"} == {("dmz", None)}


def test_an_untagged_member_stands_on_an_access_port_of_the_vlan() -> None:
    mixed = inventory(
        [host("a", "10.0.0.1", "em0.20"), host("b", "10.0.0.2", "igb0")],
        [group("g", 1, ["192.0.2.1/24"], [("a", "em0.20"), ("b", "igb0")])],
    )
    found = segments(mixed)
    assert found["a", "em0"] == ("lan", None)
    assert found["b", "igb0"] == ("lan", 20)


def test_interfaces_of_one_network_meet_without_a_group() -> None:
    sync = inventory(
        [host("a", "10.0.0.1", "em0", em2="172.16.0.1/30"), host("b", "10.0.0.2", "em0", em2="172.16.0.2/30")],
        [group("g", 1, ["192.0.2.1/24"], [("a", "em0"), ("b", "em0")])],
    )
    found = segments(sync)
    assert found["a", "em2"] == found["b", "em2"]
    assert found["a", "em2"] != found["a", "em0"]


def test_every_card_has_an_address_of_its_own() -> None:
    ethers = [nic.ether for plan in plans(ARTICLE).values() for nic in plan.nics]
    assert len(set(ethers)) == len(ethers)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)), max_size=6))
def test_two_members_are_on_one_segment_exactly_if_groups_connect_them(pairs: list[tuple[int, int, int]]) -> None:
    links = {f"h{number}": links_of(["em0"]) for number in range(4)}
    groups = [
        group(f"g{position}", vhid, ["192.0.2.1/24"], [(f"h{first}", "em0"), (f"h{second}", "em0")])
        for position, (first, second, vhid) in enumerate(pairs)
    ]
    nics = plug(groups, links, {})
    colour = list(range(4))
    for first, second, _ in pairs:
        colour = [colour[first] if each == colour[second] else each for each in colour]
    for one in range(4):
        for other in range(4):
            assert (nics[f"h{one}"][0].segment == nics[f"h{other}"][0].segment) == (colour[one] == colour[other])


# Addresses and rc.conf


def test_the_article_needs_one_card_with_the_address_that_ssh_goes_to() -> None:
    plan = plans(ARTICLE)["server1"]
    assert [nic.name for nic in plan.nics] == ["em0"]
    variables = rc(plan)
    assert variables["hostname"] == "server1"
    assert variables["ifconfig_em0"] == "inet 192.168.90.2 netmask 255.255.255.0"
    assert variables["defaultrouter"] == "192.168.90.254"
    assert str(plan.ssh_address) == "192.168.90.2/24"
    assert plan.release.name == "7.2"


def test_one_host_has_an_alias_that_has_nothing_to_do_with_carp() -> None:
    with_alias = [name for name, plan in plans(ARTICLE).items() if "_alias0" in plan.rc_conf]
    assert with_alias == ["server2"]
    assert rc(plans(ARTICLE)["server2"])["ifconfig_em0_alias0"] == "inet 192.168.90.77 netmask 255.255.255.255"


def test_the_foreign_alias_prefers_a_host_where_carp_uses_aliases() -> None:
    mixed = inventory(
        [host("new", "192.0.2.2", release="12.1"), host("old", "192.0.2.3", release="9.3")],
        [group("g", 1, ["192.0.2.1/24"], [("new", "em0"), ("old", "em0")])],
    )
    assert "_alias0" in plans(mixed)["new"].rc_conf
    assert "_alias0" not in plans(mixed)["old"].rc_conf


FIREWALL = inventory(
    [
        host("fw1", "10.0.0.11", None, vlan10="203.0.113.2/24", **{"em0.20": "198.51.100.2/24"}),
        host("fw2", "10.0.0.12", None, release="7.2", vlan10="203.0.113.3/24", **{"em0.20": "198.51.100.3/24"}),
    ],
    [
        group(
            "outside",
            10,
            ["203.0.113.1/24", "203.0.113.20/32", "2001:db8:10::1/64"],
            [("fw1", "vlan10"), ("fw2", "vlan10")],
        ),
        group("inside", 20, ["198.51.100.1/24"], [("fw1", "em0.20"), ("fw2", "em0.20")]),
    ],
)


def test_vlans_as_each_release_makes_them() -> None:
    new, old = rc(plans(FIREWALL)["fw1"]), rc(plans(FIREWALL)["fw2"])
    assert "cloned_interfaces" not in new
    assert new["vlans_em0"] == "vlan10 20"
    assert new["create_args_vlan10"] == "vlan 10"
    assert new["ifconfig_vlan10"] == "inet 203.0.113.2 netmask 255.255.255.0"
    assert new["ifconfig_em0_20"] == "inet 198.51.100.2 netmask 255.255.255.0"
    assert old["cloned_interfaces"] == "vlan10 em0.20"
    assert "vlans_em0" not in old
    assert old["ifconfig_em0_20"] == "inet 198.51.100.3 netmask 255.255.255.0 vlan 20 vlandev em0"
    assert old["ifconfig_vlan10"] == "inet 203.0.113.3 netmask 255.255.255.0 vlan 10 vlandev em0"
    assert new["ifconfig_em0"] == old["ifconfig_em0"] == "up"
    assert new["ifconfig_em1"] == "inet 10.0.0.11 netmask 255.255.255.0"


def test_ipv6_as_each_release_writes_it() -> None:
    new, old = rc(plans(FIREWALL)["fw1"]), rc(plans(FIREWALL)["fw2"])
    assert new["ifconfig_vlan10_ipv6"].startswith("inet6 2001:db8:10::")
    assert old["ipv6_enable"] == "YES"
    assert old["ipv6_ifconfig_vlan10"].startswith("2001:db8:10::")
    assert new["ifconfig_vlan10_ipv6"] != f"inet6 {old['ipv6_ifconfig_vlan10']}"


def test_more_networks_than_one_become_aliases() -> None:
    wide = inventory(
        [host("a", "192.0.2.2"), host("b", "192.0.2.3", release="7.2")],
        [
            group(
                "g",
                1,
                ["192.0.2.1/24", "198.51.100.1/24", "2001:db8:1::1/64", "2001:db8:2::1/64"],
                [("b", "em0"), ("a", "em0")],
            )
        ],
    )
    new, old = rc(plans(wide)["a"]), rc(plans(wide)["b"])
    assert new["ifconfig_em0_alias0"].startswith("inet 198.51.100.")
    assert new["ifconfig_em0_ipv6"].startswith("inet6 2001:db8:1::")
    assert new["ifconfig_em0_alias1"].startswith("inet6 2001:db8:2::")
    assert new["ifconfig_em0_alias2"] == "inet 192.0.2.77 netmask 255.255.255.255"
    assert old["ipv6_ifconfig_em0_alias0"].startswith("2001:db8:2::")


def test_a_renamed_card_is_renamed_by_rc_conf() -> None:
    named = inventory([host("a", "192.0.2.2", "wan")], [group("g", 1, ["192.0.2.1/24"], [("a", "wan")])])
    plan = plans(named)["a"]
    assert [nic.name for nic in plan.nics] == ["em0"]
    assert rc(plan)["ifconfig_em0_name"] == "wan"
    assert rc(plan)["ifconfig_wan"] == "inet 192.0.2.2 netmask 255.255.255.0"


def test_invented_addresses_are_never_used_twice() -> None:
    crowded = inventory(
        [host(f"h{number}", f"10.0.0.{number}") for number in range(1, 5)],
        [group("g", 1, ["192.0.2.9/29", "192.0.2.10/29"], [(f"h{number}", "em0") for number in range(1, 5)])],
    )
    addressing = Addressing(crowded)
    made = [addressing.of(each).by_interface["em0"] for each in crowded.hosts.values()]
    found = [address.ip for addresses in made for address in addresses]
    assert len(found) == len(set(found)) == 4
    assert addressing.invent(made[0][0].network) is None


def test_all_addresses_that_the_inventory_gives_are_configured() -> None:
    given = inventory(
        [host("a", "10.0.0.1", em0="192.0.2.2/24 2001:db8::2/64 198.51.100.2/24", em1="10.0.0.1/8", em2=None)],
        [group("g", 1, ["192.0.2.1/24", "10.9.0.1/8"], [("a", "em0")])],
    )
    variables = rc(plans(given)["a"])
    assert variables["ifconfig_em0"] == "inet 192.0.2.2 netmask 255.255.255.0"
    assert variables["ifconfig_em0_ipv6"] == "inet6 2001:db8::2 prefixlen 64"
    assert variables["ifconfig_em0_alias0"] == "inet 198.51.100.2 netmask 255.255.255.0"
    assert variables["ifconfig_em1"] == "inet 10.0.0.1 netmask 255.0.0.0"
    assert variables["ifconfig_em2"] == "up"
    assert variables["ifconfig_em0_alias1"].startswith("inet 10.0.0.11 ")


def test_a_lonely_shared_address_gets_a_network_around_it() -> None:
    lonely = inventory([host("a", "10.0.0.1")], [group("g", 1, ["192.0.2.1/32", "2001:db8::1/128"], [("a", "em0")])])
    v4, v6 = Addressing(lonely).of(lonely.hosts["a"]).by_interface["em0"]
    assert str(v4.network) == "192.0.2.0/24"
    assert str(v6.network) == "2001:db8::/64"


def test_a_host_known_by_name_gets_a_management_address() -> None:
    by_name = inventory(
        [host("a", "a.example.org"), host("b", "b.example.org")],
        [group("g", 1, ["192.0.2.1/24"], [("a", "em0"), ("b", "em0")])],
    )
    found = plans(by_name)
    assert str(found["a"].ssh_address) == "198.18.0.11/16"
    assert str(found["b"].ssh_address) == "198.18.0.12/16"
    assert found["a"].address == "a.example.org"


def test_ssh_over_ipv6_has_a_management_card_without_a_router() -> None:
    six = inventory([host("a", "2001:db8:ff::5")], [group("g", 1, ["192.0.2.1/24"], [("a", "em0")])])
    variables = rc(plans(six)["a"])
    assert variables["ifconfig_em1_ipv6"] == "inet6 2001:db8:ff::5 prefixlen 64"
    assert "defaultrouter" not in variables


def test_a_router_address_that_is_taken_is_left_out() -> None:
    taken = inventory([host("a", "192.0.2.254")], [group("g", 1, ["192.0.2.1/24"], [("a", "em0")])])
    assert "defaultrouter" not in rc(plans(taken)["a"])


def test_the_client_seems_to_be_a_neighbour() -> None:
    assert client_of(ip_interface("192.0.2.2/24")) == "192.0.2.250"
    assert client_of(ip_interface("10.1.2.3/30")) == "192.0.2.250"
    assert client_of(ip_interface("2001:db8::1/127")) == "2001:db8::250"


def test_a_host_without_groups_is_simulated_too() -> None:
    alone = inventory([host("a", "192.0.2.2", None)], [])
    assert rc(plans(alone)["a"])["ifconfig_em0"] == "inet 192.0.2.2 netmask 255.255.255.0"


# Which hosts, which releases


def test_linux_stands_beside_freebsd_and_an_open_release_is_the_newest_common_one() -> None:
    debian = Host("web2", "192.0.2.12", "eth0", Release("linux", 12, name="debian-12"))
    open_release = Host("web1", "192.0.2.11", "vtnet0")
    both = inventory([open_release, debian], [group("g", 1, ["192.0.2.10/24"], [("web1", "vtnet0"), ("web2", "eth0")])])
    made = plan_machines(both)
    assert [(plan.name, plan.release.title) for plan in made] == [("web1", "FreeBSD 14.2"), ("web2", "Debian 12")]
    assert [nic.name for plan in made for nic in plan.nics] == ["vtnet0", "eth0"]
    assert len({nic.segment for plan in made for nic in plan.nics}) == 1
    assert "iface eth0 inet static\n    address 192.0.2.12/24\n    gateway 192.0.2.254\n" in made[1].interfaces
    assert made[1].rc_conf == ""


def test_releases_can_be_chosen_and_hosts_limited() -> None:
    made = plans(ARTICLE, hosts=["server2"], releases={"server2": "12.1"})
    assert list(made) == ["server2"]
    assert made["server2"].release.name == "12.1"


def test_a_release_without_minor_number_is_the_nearest() -> None:
    bare = inventory([replace(host("a", "192.0.2.2"), os=Release("freebsd", 9))], [])
    assert plans(bare)["a"].release.name == "9.3"


@pytest.mark.parametrize("options", [{"hosts": ["nobody"]}, {"releases": {"nobody": "9.3"}}, {"noise": ["nobody"]}])
def test_an_unknown_host_is_one_clear_line(options: dict[str, object]) -> None:
    with pytest.raises(LabError, match="no host 'nobody'"):
        plans(ARTICLE, **options)


def test_noise_is_a_cshrc_that_greets() -> None:
    files = plans(ARTICLE, noise=["server1"])["server1"].files
    assert "echo 'Welcome to server1" in files["root/.cshrc"]
    assert plans(ARTICLE)["server1"].files == {}
    assert csh_noise("hi").endswith("echo 'hi'\n")


def test_the_example_inventory_can_be_simulated() -> None:
    from bsdcarp.inventory import load, require

    example = Path(__file__).parents[2] / "inventory.example.yml"
    made = plan_machines(require(load(example)))
    assert [plan.name for plan in made] == ["server1", "server2", "fw1", "fw2", "web1", "web2"]
