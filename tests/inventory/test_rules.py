"""Every rule: what breaks it, what does not, and that its finding is of use."""

from __future__ import annotations

from typing import Any

import pytest
from inventories import ROOT, Change, found, inventory, loaded, rules, sound

from bsdcarp.inventory.rules import REGISTRY
from bsdcarp.inventory.rules.page import rules_page
from bsdcarp.inventory.rules.registry import Context, declare, finding
from bsdcarp.model import NOWHERE, Severity

OLD = {"address": "192.0.2.2", "interface": "em0", "os": "freebsd-7.2", "ssh": "legacy"}
OLD_B = {**OLD, "address": "192.0.2.3"}
TWO: dict[str, Any] = {"vhid": 2, "password": {"env": "TWO"}, "addresses": ["192.0.2.11/24"], "members": ["b", "a"]}
DUAL = {"em0": ["192.0.2.2/24", "2001:db8::2/64"]}


def members(*skews: int) -> Change:
    """Return a change that makes one member per skew."""
    names = "abcdef"[: len(skews)]
    hosts = {f"hosts/{name}": {"address": f"192.0.2.{i + 2}", "interface": "em0"} for i, name in enumerate(names)}
    return {**hosts, "groups/web/members": [{"host": n, "advskew": s} for n, s in zip(names, skews, strict=True)]}


BROKEN: list[tuple[str, Change]] = [
    ("vhid-range", {"groups/web/vhid": 0}),
    ("vhid-range", {"groups/web/vhid": 256}),
    ("vhid-range", {"groups/web/vhid": -1}),
    ("vhid-twice", {"groups/two": {**TWO, "vhid": 1}}),
    ("vhid-twice", {"groups/two": {**TWO, "vhid": 1, "segment": "lan"}, "groups/web/segment": "dmz"}),
    (
        "vhid-twice",
        {
            "hosts/c": {"address": "198.51.100.2", "interface": "em0"},
            "groups/web/segment": "lan",
            "groups/two": {**TWO, "vhid": 1, "segment": "lan", "members": ["c"], "addresses": ["198.51.100.9/24"]},
        },
    ),
    (
        "vhid-twice",
        {
            "hosts/c": {"address": "198.51.100.2", "interface": "em0"},
            "groups/two": {**TWO, "vhid": 1, "members": ["c"]},
        },
    ),
    (
        "vhid-twice",
        {
            "hosts/a/interfaces": {"em0": "2001:db8::2/64"},
            "groups/web/addresses": ["2001:db8::9/128"],
            "hosts/c": {"address": "198.51.100.2", "interface": "em0"},
            "groups/two": {**TWO, "vhid": 1, "members": ["c"], "addresses": ["2001:db8::a/64"]},
        },
    ),
    ("advbase-range", {"groups/web/advbase": 0}),
    ("advbase-range", {"groups/web/advbase": 256}),
    ("advskew-range", members(0, 255)),
    ("advskew-range", members(0, -1)),
    ("advskew-capped", members(0, 241)),
    ("equal-advskew", members(50, 50)),
    ("equal-advskew", members(0, 241, 254)),
    ("unknown-host", {"groups/web/members": ["a", "bb"]}),
    ("duplicate-member", {"groups/web/members": ["a", "b", "a"]}),
    ("single-member", {"groups/web/members": ["a"]}),
    ("host-idle", {"groups/web/members": ["a"]}),
    ("host-idle", {"groups": {}}),
    ("host-idle", {"groups": None}),
    ("host-idle", {"groups": ...}),
    ("address-twice", {"groups/web/addresses": ["192.0.2.10/24", "192.0.2.10/32"]}),
    ("address-special", {"groups/web/addresses": ["127.0.0.1/8"]}),
    ("address-special", {"groups/web/addresses": ["224.0.0.18/24"]}),
    ("address-special", {"groups/web/addresses": ["0.0.0.0/32"]}),
    ("address-special", {"groups/web/addresses": ["255.255.255.255/32"]}),
    ("address-special", {"groups/web/addresses": ["::ffff:192.0.2.1/128"]}),
    ("address-special", {"groups/web/addresses": ["::1/128"]}),
    ("address-network", {"groups/web/addresses": ["192.0.2.0/24"]}),
    ("address-network", {"groups/web/addresses": ["192.0.2.255/24"]}),
    ("address-network", {"groups/web/addresses": ["2001:db8::/64"]}),
    ("address-network", {"groups/web/addresses": ["192.0.2.255/32"], "hosts/b/interfaces": {"em0": "192.0.2.3/24"}}),
    ("address-outside", {"groups/web/addresses": ["192.0.3.1/24"], "hosts/a/interfaces": {"em0": "192.0.2.2/24"}}),
    ("address-outside", {"groups/web/addresses": ["2001:db9::1/64"], "hosts/a/interfaces": DUAL}),
    ("address-own", {"groups/web/addresses": ["192.0.2.3/24"]}),
    (
        "address-own",
        {"groups/web/addresses": ["198.51.100.2/24"], "hosts/a/interfaces": {"em0": None, "em1": "198.51.100.2/24"}},
    ),
    ("address-shared", {"groups/two": {**TWO, "addresses": ["192.0.2.10/24"]}}),
    ("address-shared", {"hosts/a": OLD, "hosts/b": OLD_B, "groups/two": {**TWO, "addresses": ["192.0.2.10/24"]}}),
    ("address-shared", {"hosts/a/os": ..., "groups/two": {**TWO, "addresses": ["192.0.2.10/24"]}}),
    (
        "address-shared",
        {
            "hosts/a": {**OLD, "os": "freebsd-9.3"},
            "hosts/b": {**OLD_B, "os": "freebsd-9.3"},
            "sysctl/arpbalance": "auto",
            "groups/web/addresses": ["2001:db8::1/64"],
            "groups/two": {**TWO, "addresses": ["2001:db8::1/64"]},
        },
    ),
    (
        "address-shared",
        {
            "hosts/c": {"address": "192.0.2.4", "interface": "em0"},
            "groups/two": {**TWO, "addresses": ["192.0.2.10/24"], "members": ["c"]},
        },
    ),
    (
        "arpbalance-uneven",
        {
            "hosts/a": OLD,
            "hosts/b": OLD_B,
            "sysctl/arpbalance": "auto",
            "groups/two": {**TWO, "addresses": ["192.0.2.10/24"], "members": ["b"]},
        },
    ),
    ("address-many", {"groups/web/addresses": [f"192.0.2.{i}/24" for i in range(10, 75)]}),
    ("name-syntax", {"hosts/c d": {"address": "192.0.2.4"}}),
    ("name-syntax", {"hosts/..": {"address": "192.0.2.4"}}),
    ("name-syntax", {"groups/a\u202eb": TWO}),
    ("name-syntax", {"groups/web/segment": "../lan"}),
    ("host-address", {"hosts/a/address": "300.1.1.1"}),
    ("host-address", {"hosts/a/address": "root@server1"}),
    ("host-address", {"hosts/a/address": "-oProxyCommand=x"}),
    ("host-twice", {"hosts/b/address": "192.0.2.2"}),
    ("host-twice", {"hosts/b/address": "192.0.2.2", "hosts/b/port": 22}),
    ("user-syntax", {"hosts/a/user": "ro ot"}),
    ("user-syntax", {"defaults/user": "-x"}),
    ("become-missing", {"hosts/a/user": "admin"}),
    ("become-missing", {"defaults/user": "admin"}),
    ("ssh-legacy-needed", {"hosts/a": {**OLD, "ssh": "modern"}}),
    ("ssh-legacy-modern", {"hosts/a/ssh": "legacy"}),
    ("ssh-legacy-modern", {"defaults/ssh": {"legacy": True}}),
    ("interface-missing", {"hosts/a/interface": ...}),
    ("interface-name", {"hosts/a/interface": "em0; reboot"}),
    ("interface-name", {"hosts/a/interface": "a" * 16}),
    ("interface-name", {"hosts/a/interfaces": {"0em": None, "em0": None}}),
    ("interface-kind", {"hosts/a/interface": "lo0"}),
    ("interface-kind", {"defaults/interface": "carp0", "hosts/a/interface": ...}),
    ("interface-kind", {"hosts/a/interface": "wg0", "hosts/a/os": "debian-12"}),
    ("interface-kind", {"groups/web/members": [{"host": "a", "interface": "tun3"}, "b"]}),
    ("interface-unlisted", {"hosts/a/interfaces": {"em1": None}}),
    ("interface-clash", {"hosts/a/interfaces": {"em0": None, "em0.5": None, "em0_5": None}}),
    ("kernel-ident", {"kernel/ident": "GENERIC"}),
    ("kernel-ident", {"kernel/ident": "../../etc"}),
    ("kernel-ident", {"kernel/ident": "device"}),
    ("kernel-ident", {"hosts/a/kernel": {"ident": "4CARP"}}),
    ("release-too-old", {"hosts/a/os": "freebsd-5.3"}),
    ("release-too-old", {"hosts/a/os": "freebsd-4"}),
    ("release-unknown", {"hosts/a/os": "freebsd-16.0"}),
    ("arpbalance-unsupported", {"sysctl/arpbalance": 1}),
    (
        "arpbalance-real-mac",
        {"hosts/a/os": "debian-12", "hosts/a/sysctl": {"arpbalance": 1}, "hosts/a/virtual_mac": False},
    ),
    ("linux-key", {"hosts/a/virtual_mac": False}),
    ("linux-key", {"hosts/a/notify": "/bin/x"}),
    ("linux-key", {"hosts/b/os": "debian-12", "hosts/b/backend": "ucarp", "hosts/b/notify": "/bin/x"}),
    ("notify-path", {"hosts/a/notify": "bin/x"}),
    ("notify-path", {"hosts/a/notify": "/bin/"}),
    (
        "ucarp-limits",
        {"hosts/b/os": "debian-12", "hosts/b/backend": "ucarp", "hosts/b/sysctl": {"arpbalance": 1}},
    ),
    ("unicast-unsupported", {"hosts/a/os": "freebsd-13.2", "groups/web/peer": "auto"}),
    ("unicast-floods", {"hosts/a/os": "debian-12", "groups/web/peer": "auto"}),
    ("unicast-one-sided", {"groups/web/peer": {"a": "192.0.2.3"}}),
    ("unicast-peer", {"groups/web/peer": {"a": "192.0.2.2", "b": "192.0.2.2"}}),
    ("unicast-peer", {"groups/web/peer": "192.0.2.10"}),
    ("unicast-peer", {"groups/web/members": ["a", {"host": "b", "peer": "192.0.2.3"}]}),
    ("module-missing", {"hosts/a": OLD, "kernel/method": "module"}),
    ("ipv6-unsupported", {"hosts/a": OLD, "groups/web/addresses": ["2001:db8::1/64"]}),
    (
        "digest-order",
        {"hosts/a": {**OLD, "os": "freebsd-6.4"}, "groups/web/addresses": ["192.0.2.11/24", "192.0.2.10/24"]},
    ),
    (
        "ucarp-limits",
        {
            "hosts/b/os": "debian-12",
            "hosts/b/backend": "ucarp",
            "groups/web/addresses": ["192.0.2.11/24", "192.0.2.12/24"],
        },
    ),
    (
        "ucarp-limits",
        {"hosts/b/os": "debian-12", "defaults/backend": "ucarp", "groups/web/addresses": ["2001:db8::1/64"]},
    ),
    ("ucarp-limits", {"hosts/b/os": "debian-12", "hosts/b/backend": "ucarp", "groups/web/peer": "auto"}),
    ("backend-freebsd", {"hosts/a/backend": "ucarp"}),
    ("preempt-off", {"sysctl/preempt": 0}),
    ("preempt-off", {"sysctl": ...}),
    ("preempt-off", {"hosts/a/sysctl": {"preempt": False}}),
    ("allow-off", {"hosts/a/sysctl": {"allow": 0}}),
    ("password-plain", {"groups/web/password": "s3cret"}),
    ("password-plain", {"hosts/a/become": {"method": "sudo", "password": "s3cret"}}),
]


@pytest.mark.parametrize(("rule", "change"), BROKEN, ids=[f"{rule}-{i}" for i, (rule, _) in enumerate(BROKEN)])
def test_a_broken_rule_is_found_with_place_cause_and_remedy(rule: str, change: Change) -> None:
    findings = found(rule, change)
    assert findings
    for one in findings:
        assert one.severity is REGISTRY[rule].severity
        assert one.message
        assert one.remedy
        assert one.place.file == "test.yml"
        assert one.place.line >= 1
        assert one.place.column >= 1


def test_every_rule_over_the_inventory_has_a_case_here() -> None:
    checked = {rule.id for rule in REGISTRY.values() if rule.check is not None}
    assert checked == {rule for rule, _ in BROKEN}


KEPT: list[tuple[str, Change]] = [
    ("vhid-range", {"groups/web/vhid": 255}),
    ("advskew-range", members(0, 254)),
    ("advskew-capped", members(0, 240)),
    ("equal-advskew", members(0, 1)),
    (
        "vhid-twice",  # another interface of the same hosts is another network
        {
            "groups/two": {
                **TWO,
                "vhid": 1,
                "addresses": ["198.51.100.1/24"],
                "members": [{"host": "a", "interface": "em1"}, {"host": "b", "interface": "em1"}],
            },
        },
    ),
    (
        "vhid-twice",  # the same private network at two sites
        {
            "hosts/c": {"address": "203.0.113.2", "interface": "em0"},
            "groups/web/segment": "one",
            "groups/two": {**TWO, "vhid": 1, "members": ["c"], "segment": "other"},
        },
    ),
    (
        "address-shared",
        {
            "hosts/c": {"address": "203.0.113.2", "interface": "em0"},
            "groups/web/segment": "one",
            "groups/two": {**TWO, "addresses": ["192.0.2.10/24"], "members": ["c"], "segment": "other"},
        },
    ),
    (
        "address-shared",
        {
            "hosts/a": OLD,
            "hosts/b": OLD_B,
            "sysctl/arpbalance": "auto",
            "groups/two": {**TWO, "addresses": ["192.0.2.10/24"]},
        },
    ),
    ("address-network", {"groups/web/addresses": ["192.0.2.0/31", "192.0.2.9/32", "2001:db8::/127"]}),
    ("address-outside", {"hosts/a/interfaces": {"em0": "192.0.2.2/24"}, "groups/web/addresses": ["2001:db8::1/64"]}),
    ("address-outside", {"hosts/a/interfaces": {"em0": "2001:db8::2/64"}, "groups/web/addresses": ["fe80::1/64"]}),
    ("address-outside", {"hosts/a/interfaces": DUAL, "groups/web/addresses": ["192.0.2.9/32", "2001:db8::1/128"]}),
    ("address-own", {"hosts/c": {"address": "192.0.2.10"}}),
    ("host-address", {"hosts/a/address": "server1.example.org"}),
    ("host-address", {"hosts/a/address": "2001:db8::2"}),
    ("host-twice", {"hosts/b/address": "192.0.2.2", "hosts/b/port": 2222}),
    ("become-missing", {"hosts/a/user": "admin", "hosts/a/become": "doas"}),
    ("ssh-legacy-modern", {"hosts/a/ssh": "legacy", "hosts/a/os": "freebsd-9.3"}),
    ("ssh-legacy-needed", {"hosts/a/os": "freebsd-9.3"}),
    ("interface-kind", {"hosts/a/interface": "lagg0"}),
    ("interface-kind", {"hosts/a/interface": "vlan10"}),
    ("interface-kind", {"hosts/a/interface": "enc600", "hosts/a/os": "debian-12"}),
    ("unicast-floods", {"hosts/a/os": "debian-12", "hosts/b/os": "debian-12", "groups/web/peer": "auto"}),
    ("interface-name", {"hosts/a/interface": "em0.20"}),
    ("arpbalance-unsupported", {"sysctl/arpbalance": "auto"}),
    ("arpbalance-unsupported", {"sysctl/arpbalance": 0}),
    ("unicast-unsupported", {"hosts/a/os": "debian-12", "groups/web/peer": "auto"}),
    ("unicast-one-sided", {"groups/web/peer": "auto"}),
    ("module-missing", {"hosts/a/os": "debian-12", "kernel/method": "module"}),
    ("module-missing", {"hosts/a/os": "freebsd-8.2", "kernel/method": "module"}),
    ("ipv6-unsupported", {"hosts/a/os": "freebsd-9.3", "groups/web/addresses": ["2001:db8::1/64"]}),
    (
        "digest-order",
        {"hosts/a": {**OLD, "os": "freebsd-6.4"}, "groups/web/addresses": ["192.0.2.9/24", "192.0.2.10/24"]},
    ),
    (
        "digest-order",  # both in the order given
        {
            "hosts/a": {**OLD, "os": "freebsd-6.4"},
            "hosts/b": {**OLD_B, "os": "freebsd-6.4"},
            "groups/web/addresses": ["192.0.2.11/24", "192.0.2.10/24"],
        },
    ),
    ("ucarp-limits", {"hosts/b/os": "debian-12", "hosts/b/backend": "ucarp"}),
    ("backend-freebsd", {"defaults/backend": "ucarp"}),
    ("arpbalance-unsupported", {"hosts/a/os": "debian-12", "hosts/a/sysctl": {"arpbalance": 1}}),
    ("arpbalance-real-mac", {"hosts/a/os": "debian-12", "hosts/a/virtual_mac": False, "sysctl/arpbalance": "auto"}),
    ("linux-key", {"hosts/b/os": "debian-12", "hosts/b/notify": "/bin/x", "hosts/b/virtual_mac": False}),
    ("linux-key", {"defaults/virtual_mac": False, "defaults/notify": "/bin/x"}),
    ("notify-path", {"hosts/a/notify": "/usr/local/sbin/carp changed"}),
    ("preempt-off", {"sysctl/preempt": True}),
    ("preempt-off", {"sysctl/preempt": 0, "groups/web/sysctl": {"preempt": 1}}),
    ("release-too-old", {"hosts/a/os": "freebsd-5"}),
]


@pytest.mark.parametrize(("rule", "change"), KEPT, ids=[f"{rule}-{i}" for i, (rule, _) in enumerate(KEPT)])
def test_what_a_rule_allows(rule: str, change: Change) -> None:
    assert not found(rule, change)


def test_the_sound_inventory_breaks_no_rule() -> None:
    assert rules() == set()


def test_what_defaults_say_is_reported_once_not_per_host() -> None:
    assert len(found("user-syntax", {"defaults/user": "ro ot"})) == 1


def test_a_rule_about_absence_keeps_quiet_when_part_of_the_file_could_not_be_read() -> None:
    assert rules({"groups/web/members": "a, b"}) == {"wrong-type"}


def test_a_host_that_could_not_be_read_is_still_known_as_a_member() -> None:
    assert rules({"hosts/b/address": 4}) == {"wrong-type"}


def test_the_other_rules_look_at_a_group_whose_password_and_vhid_are_wrong() -> None:
    broken = rules({"groups/web/password": [], "groups/web/vhid": "1", **members(5, 5)})
    assert broken == {"wrong-type", "equal-advskew"}


def test_an_equal_advskew_finding_offers_a_free_one() -> None:
    (one,) = found("equal-advskew", members(0, 100, 100))
    assert one.host == "c"
    assert "advskew: 150" in one.remedy
    (one,) = found("equal-advskew", members(240, 240))
    assert "advskew: 200" in one.remedy


def test_a_misspelt_member_or_interface_is_guessed() -> None:
    (one,) = found("unknown-host", {"groups/web/members": ["a", "bb"]})
    assert one.remedy == "did you mean b?"
    (one,) = found("interface-unlisted", {"hosts/a/interfaces": {"em1": None}})
    assert one.remedy == "did you mean em1?"


def test_a_member_that_is_like_no_host_is_told_to_be_added() -> None:
    (one,) = found("unknown-host", {"groups/web/members": ["a", "zebra"]})
    assert one.remedy == "add zebra under hosts"


def test_findings_name_host_and_group() -> None:
    (one,) = found("unicast-unsupported", {"hosts/a/os": "freebsd-13.2", "groups/web/peer": "auto"})
    assert (one.host, one.group) == ("a", "web")


def test_rules_can_judge_an_inventory_that_was_not_read_from_a_file() -> None:
    context = Context(inventory({"groups/web/members": ["a"]}))
    hits = [hit for rule in REGISTRY.values() if rule.check is not None for hit in rule.check(context)]
    assert {hit.host or hit.group for hit in hits} == {"b", "web"}
    assert context.place("groups", "web", "vhid") is NOWHERE


def test_the_rules_page_is_current() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert page == rules_page(), "run: python -m bsdcarp.inventory.rules.page > docs/rules.md"


def test_every_rule_is_on_the_page_once() -> None:
    page = rules_page()
    assert all(page.count(f"| `{rule}` |") == 1 for rule in REGISTRY)


def test_a_rule_id_is_used_once() -> None:
    with pytest.raises(ValueError, match="vhid-range"):
        declare("Groups and members", "vhid-range", Severity.INFO, "again")


def test_a_declared_rule_gives_its_findings_id_and_severity() -> None:
    one = finding("yaml-syntax", NOWHERE, "cause", "remedy", host="a", group="g")
    assert (one.rule, one.severity, one.host, one.group) == ("yaml-syntax", Severity.ERROR, "a", "g")


def test_findings_come_in_the_order_of_the_file() -> None:
    places = [one.place for one in loaded({"groups/web/vhid": 0, "hosts/a/os": "freebsd-99", "version": 2}).findings]
    assert len(places) == 3
    assert places == sorted(places)


def test_a_sound_inventory_is_sound_data() -> None:
    assert sound() == sound({})


def test_two_groups_that_share_two_addresses_are_told_once() -> None:
    both = ["192.0.2.10/24", "192.0.2.11/24"]
    assert len(found("address-shared", {"groups/web/addresses": both, "groups/two": {**TWO, "addresses": both}})) == 1
