"""Loading: the example, the values that come out, and files that cannot be read at all."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_interface
from pathlib import Path

import pytest
from inventories import EXAMPLE, ROOT, Change, inventory, loaded

from bsdcarp.errors import InventoryError
from bsdcarp.inventory import load, load_text, require
from bsdcarp.inventory.groups import default_advskews
from bsdcarp.model import Become, Inventory, KernelWish, PasswordSource


@pytest.fixture(scope="module")
def example() -> Inventory:
    return require(load(EXAMPLE))


def test_the_example_has_nothing_to_complain_about() -> None:
    assert load(EXAMPLE).findings == ()


def test_the_example_holds_the_articles_cluster_word_for_word(example: Inventory) -> None:
    for name, address in (("server1", "192.168.90.2"), ("server2", "192.168.90.3")):
        host = example.hosts[name]
        assert (host.address, host.interface, str(host.os), host.legacy_ssh) == (address, "em0", "freebsd-7.2", True)
        wish = host.sysctl
        assert (wish.allow, wish.preempt, wish.log, wish.arpbalance) == (1, 1, 1, 1)
    carp1, carp2 = example.groups["carp1"], example.groups["carp2"]
    assert (carp1.vhid, [member.host for member in carp1.members]) == (1, ["server1", "server2"])
    assert (carp2.vhid, [member.host for member in carp2.members]) == (2, ["server2", "server1"])
    assert [str(vip) for vip in carp1.addresses] == [str(vip) for vip in carp2.addresses] == ["192.168.90.1/24"]
    assert [member.advskew for member in carp1.members] == [0, 100]


def test_the_example_holds_a_firewall_pair_with_vlans_and_both_families(example: Inventory) -> None:
    outside, inside = example.groups["outside"], example.groups["inside"]
    assert [vip.family for vip in outside.addresses] == ["inet", "inet", "inet6"]
    assert {member.interface for member in outside.members} == {"vlan10"}
    assert {member.interface for member in inside.members} == {"em0.20"}
    assert set(example.hosts["fw1"].interfaces) == {"vlan10", "em0.20"}
    management = example.hosts["fw1"].address
    networks = [vip.interface.network for group in (outside, inside) for vip in group.addresses]
    assert not any(ip_interface(management).ip in network for network in networks)


def test_the_example_holds_a_mixed_pair(example: Inventory) -> None:
    releases = [example.hosts[member.host].os for member in example.groups["web"].members]
    assert [(release.family if release else "") for release in releases] == ["freebsd", "linux"]


def test_every_password_of_the_example_has_a_variable_of_its_own(example: Inventory) -> None:
    sources = [group.password for group in example.groups.values()]
    assert {source.kind for source in sources} == {"env"}
    assert len({source.argument for source in sources}) == len(sources)


@pytest.mark.parametrize(
    ("count", "skews"),
    [(1, (0,)), (2, (0, 100)), (3, (0, 100, 200)), (4, (0, 80, 160, 240)), (5, (0, 60, 120, 180, 240))],
)
def test_default_advskews(count: int, skews: tuple[int, ...]) -> None:
    assert default_advskews(count) == skews


def test_default_advskews_are_distinct_up_to_241_members() -> None:
    assert all(len(set(default_advskews(count))) == count for count in range(242))


def test_a_given_advskew_replaces_that_of_the_position() -> None:
    group = inventory({"groups/web/members": [{"host": "a", "advskew": 7}, "b"]}).groups["web"]
    assert [(member.advskew, member.advskew_given) for member in group.members] == [(7, True), (100, False)]


def test_a_host_takes_what_it_does_not_say_from_defaults() -> None:
    defaults = {
        "user": "admin",
        "become": "sudo",
        "port": 2222,
        "interface": "ix0",
        "os": "freebsd-13.2",
        "arch": "arm64",
        "ssh": "modern",
        "backend": "ucarp",
        "virtual_mac": False,
        "notify": "/usr/local/sbin/carp-changed",
    }
    hosts = inventory({"defaults": defaults, "hosts/a": {"address": "192.0.2.2"}, "hosts/b/user": "root"}).hosts
    a, b = hosts["a"], hosts["b"]
    assert (a.user, a.become, a.port, a.interface, str(a.os)) == ("admin", Become("sudo"), 2222, "ix0", "freebsd-13.2")
    assert (a.arch, a.legacy_ssh, a.backend) == ("arm64", False, "ucarp")
    assert (a.virtual_mac, a.notify) == (False, "/usr/local/sbin/carp-changed")
    assert (b.user, b.interface, str(b.os), b.port) == ("root", "em0", "freebsd-14.2", 2222)


def test_what_nobody_says_is_left_open() -> None:
    host = inventory({"hosts/a": {"address": "192.0.2.2", "interface": "em0"}}).hosts["a"]
    assert (host.os, host.user, host.port, host.arch, host.become) == (None, None, None, "amd64", Become())
    assert host.kernel == KernelWish()
    assert host.sysctl.arpbalance is None


@pytest.mark.parametrize(
    ("written", "legacy"), [("legacy", True), ("modern", False), ({"legacy": True}, True), ({"legacy": False}, False)]
)
def test_legacy_ssh_is_written_in_two_ways(written: object, legacy: bool) -> None:
    assert inventory({"hosts/a/ssh": written}).hosts["a"].legacy_ssh is legacy


def test_become_with_a_password() -> None:
    become = {"method": "su", "password": {"file": "secret"}}
    host = inventory({"hosts/a/become": become, "hosts/a/user": "admin"}).hosts["a"]
    assert host.become.method == "su"
    assert host.become.password is not None
    assert (host.become.password.kind, host.become.password.argument) == ("file", "secret")


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ({"env": "NAME"}, ("env", "NAME")),
        ({"file": "pw/web"}, ("file", "pw/web")),
        ({"command": "pass show web"}, ("command", "pass show web")),
        ("plain", ("plain", "plain")),
    ],
)
def test_password_sources(written: object, source: tuple[str, str]) -> None:
    password = inventory({"groups/web/password": written}).groups["web"].password
    assert (password.kind, password.argument) == source
    assert source[1] not in repr(password).replace("kind='plain'", "")


def test_kernel_of_a_host_stands_over_that_of_the_inventory_key_by_key() -> None:
    hosts = inventory({"kernel": {"method": "static", "ident": "FW"}, "hosts/a/kernel": {"method": "module"}}).hosts
    assert (hosts["a"].kernel.method, hosts["a"].kernel.ident) == ("module", "FW")
    assert (hosts["b"].kernel.method, hosts["b"].kernel.ident) == ("static", "FW")


def test_sysctls_come_from_the_most_specific_place() -> None:
    change: Change = {
        "sysctl": {"allow": 1, "preempt": 1, "log": 1, "arpbalance": "auto"},
        "groups/web/sysctl": {"log": 2, "arpbalance": 0},
        "hosts/a/sysctl": {"log": 0},
    }
    a, b = (inventory(change).hosts[name].sysctl for name in "ab")
    assert (a.allow, a.preempt, a.log, a.arpbalance) == (1, 1, 0, 0)
    assert (b.allow, b.preempt, b.log, b.arpbalance) == (1, 1, 2, 0)
    assert set(a.places) == {"allow", "preempt", "log", "arpbalance"}


def test_two_groups_of_a_host_that_disagree_are_refused_unless_the_host_decides() -> None:
    two = {
        "vhid": 2,
        "password": {"env": "TWO"},
        "addresses": ["192.0.2.11/24"],
        "members": ["b", "a"],
        "sysctl": {"log": 2},
    }
    change: Change = {"groups/web/sysctl": {"log": 1}, "groups/two": two}
    conflicts = [found for found in loaded(change).findings if found.rule == "sysctl-conflict"]
    assert [found.group for found in conflicts] == ["two", "two"]
    assert "sysctl: {log: 2}" in conflicts[0].remedy
    decided = {**change, "hosts/a/sysctl": {"log": 0}, "hosts/b/sysctl": {"log": 2}}
    assert {host.sysctl.log for host in inventory(decided).hosts.values()} == {0, 2}
    agreeing = {**change, "groups/web/sysctl": {"log": 2}}
    assert {host.sysctl.log for host in inventory(agreeing).hosts.values()} == {2}


def test_truth_values_stand_for_0_and_1() -> None:
    wish = inventory({"sysctl": {"allow": True, "preempt": True, "log": False}}).hosts["a"].sysctl
    assert (wish.allow, wish.preempt, wish.log) == (1, 1, 0)


def test_interfaces_with_none_one_and_several_addresses() -> None:
    interfaces = {"em0": ["192.0.2.2/24", "2001:db8::2/64"], "em1": None, "em2": "198.51.100.2/24", "em3": []}
    host = inventory({"hosts/a/interfaces": interfaces}).hosts["a"]
    assert host.interfaces["em0"] == (ip_interface("192.0.2.2/24"), ip_interface("2001:db8::2/64"))
    assert host.interfaces["em1"] == ()
    assert host.interfaces["em2"] == (ip_interface("198.51.100.2/24"),)
    assert host.interfaces["em3"] == ()


def test_addresses_come_out_in_canonical_form() -> None:
    group = inventory({"groups/web/addresses": ["2001:DB8:0::1/064"[:13] + "/64"]}).groups["web"]
    assert str(group.addresses[0]) == "2001:db8::1/64"


class TestPeers:
    V6 = ("192.0.2.10/24", "2001:db8::10/64")

    def peers(self, change: Change) -> list[tuple[str | None, str | None]]:
        return [(member.peer, member.peer6) for member in inventory(change).groups["web"].members]

    def test_auto_is_the_other_members_address(self) -> None:
        assert self.peers({"groups/web/peer": "auto"}) == [("192.0.2.3", None), ("192.0.2.2", None)]

    def test_auto_prefers_the_own_address_of_the_interface(self) -> None:
        change: Change = {
            "hosts/a/address": "10.0.0.1",
            "hosts/b/address": "fw2.example.org",
            "hosts/a/interfaces": {"em0": ["192.0.2.5/24", "2001:db8::5/64"]},
            "hosts/b/interfaces": {"em0": ["192.0.2.6/24", "2001:db8::6/64"]},
            "groups/web/addresses": list(self.V6),
            "groups/web/peer": "auto",
        }
        assert self.peers(change) == [("192.0.2.6", "2001:db8::6"), ("192.0.2.5", "2001:db8::5")]

    def test_auto_needs_an_address_of_each_family_in_use(self) -> None:
        findings = loaded({"groups/web/addresses": list(self.V6), "groups/web/peer": "auto"}).errors
        assert [found.rule for found in findings] == ["peer-unresolved"] * 2
        assert "IPv6" in findings[0].message
        assert "interfaces: {em0: ADDRESS/LENGTH}" in findings[0].remedy

    def test_auto_needs_two_members(self) -> None:
        change: Change = {
            "hosts/c": {"address": "192.0.2.4", "interface": "em0"},
            "groups/web/members": ["a", "b", "c"],
        }
        findings = loaded({**change, "groups/web/peer": "auto"}).findings
        assert [found.rule for found in findings] == ["peer-unresolved"]

    def test_auto_leaves_an_unknown_member_to_its_rule(self) -> None:
        rules = {found.rule for found in loaded({"groups/web/members": ["a", "x"], "groups/web/peer": "auto"}).errors}
        assert rules == {"unknown-host"}

    def test_one_address_for_all(self) -> None:
        assert self.peers({"groups/web/peer": "192.0.2.99"}) == [("192.0.2.99", None)] * 2

    def test_one_per_member_and_family(self) -> None:
        peer = {"a": ["192.0.2.3", "2001:db8::3"], "b": "2001:db8::2"}
        change: Change = {"groups/web/addresses": list(self.V6), "groups/web/peer": peer}
        assert self.peers(change) == [("192.0.2.3", "2001:db8::3"), (None, "2001:db8::2")]

    def test_a_member_stands_over_its_group(self) -> None:
        members = [{"host": "a", "peer": "192.0.2.77", "peer6": "2001:db8::77"}, "b"]
        change: Change = {"groups/web/members": members, "groups/web/peer": {"a": "192.0.2.3", "b": "192.0.2.2"}}
        assert self.peers(change)[0] == ("192.0.2.77", "2001:db8::77")


def test_require_gives_an_inventory_with_warnings_only() -> None:
    result = loaded({"sysctl/preempt": 0})
    assert result.findings
    assert result.errors == ()
    assert require(result).hosts


def test_require_refuses_with_the_first_error_and_the_number_of_others() -> None:
    with pytest.raises(
        InventoryError, match=r"^test.yml:\d+:\d+: version 2 is not known, and 1 more \(write version: 1\)$"
    ):
        require(loaded({"version": 2, "groups/web/vhid": 0}))
    with pytest.raises(InventoryError, match="vhid 0 of group web is out of range \\(use 1 to 255\\)"):
        require(loaded({"groups/web/vhid": 0}))


def test_an_inventory_with_a_broken_rule_is_still_there_to_look_at() -> None:
    assert loaded({"groups/web/vhid": 0}).inventory is not None
    assert loaded({"groups/web/vhid": "x"}).inventory is None


def refusal(path: Path | str) -> str:
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_that_cannot_be_read_get_one_line(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yml") == f"{tmp_path}/none.yml: no such file (start from inventory.example.yml)"
    assert "a directory, not a file" in refusal(tmp_path)
    assert "cannot be read: Not a directory" in refusal(EXAMPLE / "x")
    assert "not a usable file name" in refusal("a\0b")
    latin = tmp_path / "latin.yml"
    latin.write_bytes("version: 1\n# café\n".encode("latin-1"))
    assert "not UTF-8 text, byte 0xe9 in line 2 (save it as UTF-8)" in refusal(latin)
    empty = tmp_path / "empty.yml"
    for content in ("", "# nothing yet\n", "---\n"):
        empty.write_text(content)
        assert "the file is empty" in refusal(empty)


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "bom.yml"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.read_bytes())
    assert load(path).findings == ()


def test_the_name_of_the_file_is_in_inventory_and_places() -> None:
    assert require(load(str(EXAMPLE))).path == str(EXAMPLE)
    assert load_text("x", "here.yml").findings[0].place.file == "here.yml"


def test_importing_and_loading_needs_neither_paramiko_nor_jinja2_and_yaml_only_when_used() -> None:
    code = (
        "import sys\n"
        "import bsdcarp.inventory, bsdcarp.platforms.capabilities\n"
        "print([m for m in ('ruamel.yaml', 'paramiko', 'jinja2', 'rich', 'subprocess') if m in sys.modules])\n"
        f"bsdcarp.inventory.load({str(EXAMPLE)!r})\n"
        "print([m for m in ('paramiko', 'jinja2', 'rich') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n[]\n"


def test_a_password_source_does_not_show_its_argument() -> None:
    assert "hunter2" not in repr(PasswordSource("plain", "hunter2"))
