"""verify_group: what only all members together can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_interface

import pytest
from judge_hosts import UP

from bsdcarp.judge import verify_group
from bsdcarp.model import Finding, Group, Member, PasswordSource, Release, Secret, vip
from bsdcarp.platforms.capabilities import LINUX, capabilities, parse_release
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.snapshot import InterfaceAddress, NetworkInterface, Snapshot, VhidState

Pair = tuple[Desired, Snapshot]


@dataclass(frozen=True)
class Side:
    """One host of a two-host cluster with the groups lan (vhid 1) and dmz (vhid 2)."""

    name: str
    own: str
    states: tuple[str, str]
    skews: tuple[int, int]
    preempt: int = 1
    keys: tuple[str, str] = ("k1", "k2")
    addresses: tuple[str, ...] = ("10.0.0.1/32",)
    peer: str | None = None
    demotion: int = 0
    advbase: int = 1
    live_skew: int | None = None
    print_key: bool = True

    def pair(self) -> Pair:
        wanted = ("10.0.0.1/32", "10.0.0.2/32")
        desired = Desired(
            host=self.name,
            capabilities=capabilities(parse_release("freebsd-14.2")),
            files={},
            vhids=tuple(
                DesiredVhid(g, n, "em0", 1, skew, Secret("k"), (vip(a),), peer=self.peer)
                for g, n, skew, a in zip(("lan", "dmz"), (1, 2), self.skews, wanted, strict=True)
            ),
        )
        live = (self.skews[0] if self.live_skew is None else self.live_skew, self.skews[1])
        keys = [Secret(k) if self.print_key else None for k in self.keys]
        states = tuple(
            VhidState(n, state, self.advbase, skew, key)
            for n, state, skew, key in zip((1, 2), self.states, live, keys, strict=True)
            if state
        )
        found = [InterfaceAddress(ip_interface(f"{self.own}/24")), InterfaceAddress(ip_interface("10.0.0.2/32"), 2)]
        found += [InterfaceAddress(ip_interface(a), 1) for a in self.addresses]
        interface = NetworkInterface("em0", UP, tuple(found), states)
        sysctls = {"preempt": self.preempt, "demotion": self.demotion}
        return desired, Snapshot(Release("freebsd", 14, 2), sysctls=sysctls, interfaces={"em0": interface})


A = Side("fw1", "10.0.0.11", ("MASTER", "BACKUP"), (0, 100))
B = Side("fw2", "10.0.0.12", ("BACKUP", "MASTER"), (100, 0))
GROUP = Group(
    "lan",
    1,
    PasswordSource("plain", "k"),
    (vip("10.0.0.1/32"),),
    (Member("fw1", 0, "em0"), Member("fw2", 100, "em0")),
)


def judge(*sides: Side, unreachable: tuple[str, ...] = (), group: Group = GROUP) -> list[Finding]:
    members: Mapping[str, Pair] = {side.name: side.pair() for side in sides}
    return verify_group(group, members, unreachable)


def rules(*sides: Side, unreachable: tuple[str, ...] = ()) -> list[str]:
    return [finding.rule for finding in judge(*sides, unreachable=unreachable)]


def test_a_healthy_group_yields_nothing() -> None:
    assert judge(A, B) == []


def test_a_group_whose_roles_are_crossed_on_purpose_yields_nothing_without_preempt() -> None:
    assert judge(replace(A, preempt=0), replace(B, preempt=0)) == []


def test_hosts_that_are_no_members_are_left_out() -> None:
    desired, snapshot = A.pair()
    stranger = replace(desired, host="fw3", vhids=())
    members = {"fw1": A.pair(), "fw2": B.pair(), "fw3": (stranger, snapshot)}
    assert verify_group(GROUP, members, ["fw9"]) == []


def test_no_master_is_an_election() -> None:
    finding = judge(replace(A, states=("BACKUP", "BACKUP")), B)[0]
    assert finding.rule == "verify-master-none"
    assert "election" in finding.message
    assert "4 s" in finding.remedy
    assert finding.group == "lan"


def test_no_master_because_all_are_down() -> None:
    finding = judge(replace(A, states=("INIT", "BACKUP")), replace(B, states=("", "MASTER")))[0]
    assert finding.rule == "verify-master-none"
    assert "fw1 INIT, fw2 without it" in finding.message


def test_an_unreachable_member_may_be_the_master() -> None:
    found = judge(B, unreachable=("fw1",))
    assert [f.rule for f in found] == ["verify-unreachable", "verify-master-none"]
    assert {f.severity.value for f in found} == {"warning"}
    assert found[0].host == "fw1"


def test_nobody_reachable_says_only_that() -> None:
    assert rules(unreachable=("fw1", "fw2")) == ["verify-unreachable", "verify-unreachable"]


def two_masters(**changes: object) -> list[Finding]:
    other = replace(B, states=("MASTER", "MASTER"), **changes)  # type: ignore[arg-type]  # any field may be changed
    return [f for f in judge(A, other) if f.rule == "verify-master-many"]


def test_two_masters_with_different_address_lists() -> None:
    assert "address lists differ" in two_masters(addresses=("10.0.0.1/32", "10.0.0.9/32"))[0].message


def test_two_masters_with_different_passwords() -> None:
    finding = two_masters(keys=("other", "k2"))[0]
    assert "passwords differ" in finding.message
    assert "other" not in finding.message.replace("the other", "").replace("other's", "")


def test_two_masters_of_which_one_is_unicast() -> None:
    assert "one sends to a peer" in two_masters(peer="10.0.0.11")[0].message


def test_two_masters_that_agree_do_not_hear_each_other() -> None:
    finding = two_masters()[0]
    assert "do not hear each other" in finding.message
    assert "not every key" not in finding.message
    assert "112" in finding.remedy
    assert "not every key could be read" in two_masters(print_key=False)[0].message


def test_address_lists_and_passwords_are_compared_with_one_master_too() -> None:
    assert rules(A, replace(B, addresses=())) == ["verify-address-list"]
    assert rules(A, replace(B, keys=("other", "k2"))) == ["verify-password-differs"]


def test_equal_advskew_is_an_error() -> None:
    assert "verify-advskew-equal" in rules(A, replace(B, live_skew=0))


def test_the_preferred_master_should_have_taken_over() -> None:
    found = judge(replace(A, states=("BACKUP", "BACKUP")), replace(B, states=("MASTER", "MASTER")))
    assert [f.rule for f in found] == ["verify-preferred-master"]
    assert "should have taken over" in found[0].message
    assert found[0].host == "fw1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"demotion": 240}, "demoted by 240"), ({"states": ("INIT", "BACKUP")}, "fw1 is INIT")],
)
def test_why_the_preferred_master_is_not(changes: dict[str, object], words: str) -> None:
    side = replace(A, **{"states": ("BACKUP", "BACKUP"), **changes})  # type: ignore[arg-type]  # any field
    found = judge(side, replace(B, states=("MASTER", "MASTER")))
    assert words in next(f.message for f in found if f.rule == "verify-preferred-master")


def test_without_preempt_the_backup_keeps_the_role() -> None:
    found = judge(
        replace(A, states=("BACKUP", "BACKUP"), preempt=0), replace(B, states=("MASTER", "MASTER"), preempt=0)
    )
    assert [(f.rule, f.severity.value) for f in found] == [("verify-preferred-master", "info")]


def test_mixed_preempt_is_told() -> None:
    assert rules(A, replace(B, preempt=0)) == ["verify-preempt-mixed"]


def test_arpbalance_must_be_the_same_everywhere() -> None:
    members = {}
    for side, value in ((A, 1), (B, 0)):
        desired, snapshot = side.pair()
        members[side.name] = (desired, replace(snapshot, sysctls={**snapshot.sysctls, "arpbalance": value}))
    found = verify_group(GROUP, members, [])
    assert [(f.rule, f.severity.value) for f in found] == [("verify-arpbalance-mixed", "error")]


def test_groups_that_belong_together_are_split_without_preempt() -> None:
    a = replace(A, states=("BACKUP", "MASTER"), skews=(0, 0), preempt=0)
    b = replace(B, states=("MASTER", "BACKUP"), skews=(100, 100), preempt=0)
    found = judge(a, b)
    assert [f.rule for f in found] == ["verify-preferred-master", "verify-mastership-mixed"]
    assert "dmz" in found[1].message
    together = judge(replace(a, states=("BACKUP", "BACKUP")), replace(b, states=("MASTER", "MASTER")))
    assert [f.rule for f in together] == ["verify-preferred-master"]


def test_peers_of_each_other_are_fine() -> None:
    assert judge(replace(A, peer="10.0.0.12"), replace(B, peer="10.0.0.11")) == []


def test_a_peer_that_nobody_has() -> None:
    found = rules(replace(A, peer="10.0.0.99"), replace(B, peer="10.0.0.11"))
    assert found == ["verify-peer-unknown", "verify-peer-one-way"]


def test_one_member_on_multicast_and_one_on_a_peer() -> None:
    assert rules(replace(A, peer="10.0.0.12"), B) == ["verify-peer-mixed"]


def test_a_peer_is_not_judged_while_a_member_is_unreachable() -> None:
    assert rules(replace(A, peer="10.0.0.12"), unreachable=("fw2",)) == ["verify-unreachable"]


def linux(*, master: bool) -> Pair:
    desired, snapshot = B.pair()
    held = (InterfaceAddress(ip_interface("10.0.0.1/32")),) if master else ()
    interface = NetworkInterface("em0", UP, (InterfaceAddress(ip_interface("10.0.0.12/24")), *held))
    return replace(desired, capabilities=LINUX), replace(snapshot, sysctls={}, interfaces={"em0": interface})


def test_a_linux_member_is_master_when_it_holds_the_addresses() -> None:
    assert verify_group(GROUP, {"fw1": A.pair(), "fw2": linux(master=False)}, []) == []
    found = verify_group(GROUP, {"fw1": A.pair(), "fw2": linux(master=True)}, [])
    assert [f.rule for f in found] == ["verify-master-many"]


def test_a_linux_member_without_its_interface_is_no_master() -> None:
    desired, snapshot = linux(master=True)
    found = verify_group(GROUP, {"fw1": A.pair(), "fw2": (desired, replace(snapshot, interfaces={}))}, [])
    assert found == []
