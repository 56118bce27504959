"""Does a group work as a whole?  What no single host can tell: who is MASTER, and whether the members agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bsdcarp.judge.groupmember import GroupMember, read_member
from bsdcarp.judge.notes import Notes
from bsdcarp.model import Finding, Group
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["verify_group"]


def verify_group(
    group: Group, members: Mapping[str, tuple[Desired, Snapshot]], unreachable: Collection[str]
) -> list[Finding]:
    """Return what is wrong with ``group`` across its members.

    ``members`` holds the reachable ones by host name; those in ``unreachable`` are told as unknown.
    """
    judge = _Group(group, [m for m in (read_member(group.name, n, *found) for n, found in members.items()) if m])
    for name in sorted(unreachable):
        if group.member(name):
            judge.unreachable(name)
    judge.masters(waiting=any(group.member(name) for name in unreachable))
    judge.address_lists()
    judge.passwords()
    judge.elections()
    judge.preferred()
    judge.settings()
    judge.peers()
    judge.mixed_mastership(members)
    return judge.notes.findings


class _Group:
    def __init__(self, group: Group, members: list[GroupMember]) -> None:
        self.group = group
        self.members = members
        self.notes = Notes("")
        self.vhid = f"vhid {group.vhid} ({group.name})"

    def error(self, rule: str, message: str, remedy: str = "", host: str = "") -> None:
        self._on(host).error(rule, message, remedy, group=self.group.name)

    def warning(self, rule: str, message: str, remedy: str = "", host: str = "") -> None:
        self._on(host).warning(rule, message, remedy, group=self.group.name)

    def info(self, rule: str, message: str, remedy: str = "", host: str = "") -> None:
        self._on(host).info(rule, message, remedy, group=self.group.name)

    def _on(self, host: str) -> Notes:
        """Return the same list of findings, about ``host``."""
        return Notes(host, self.notes.troubles)

    def in_state(self, state: str) -> list[GroupMember]:
        return [m for m in self.members if m.state == state]

    def unreachable(self, name: str) -> None:
        self.warning(
            "verify-unreachable", f"{name} could not be asked, so its part in {self.vhid} is unknown", "", name
        )

    def masters(self, *, waiting: bool) -> None:
        """Exactly one member is MASTER."""
        masters = self.in_state("MASTER")
        if len(masters) > 1:
            names = ", ".join(m.name for m in masters)
            why, remedy = self._why_many(masters)
            self.error("verify-master-many", f"{self.vhid} has {len(masters)} masters ({names}): {why}", remedy)
        if masters or not self.members:
            return
        backups = self.in_state("BACKUP")
        if waiting and backups:
            names = ", ".join(m.name for m in backups)
            message = (
                f"no reachable member of {self.vhid} is MASTER; {names} hears one, which must be the unreachable one"
            )
            self.warning("verify-master-none", message, "reach that member")
        elif backups:
            seconds = 3 * max(m.pace[0] for m in backups) + 1
            message = f"{self.vhid} has no MASTER: an election is going on, or somebody else answers for this vhid"
            self.error("verify-master-none", message, f"look again in {seconds} s")
        else:
            states = ", ".join(f"{m.name} {m.state or 'without it'}" for m in self.members)
            self.error("verify-master-none", f"{self.vhid} has no MASTER: {states}", "see the findings of each host")

    def _why_many(self, masters: list[GroupMember]) -> tuple[str, str]:
        if len({m.address_list for m in masters if m.live}) > 1:
            return "their address lists differ, so each rejects the other's adverts", "run apply on all members"
        keys = {m.live.fingerprint for m in masters if m.live and m.live.fingerprint}
        if len(keys) > 1:
            return "their passwords differ, so each rejects the other's adverts", "run apply on all members"
        if len({bool(m.vhid.peer or m.vhid.peer6) for m in masters}) > 1:
            return "one sends to a peer, the other to the multicast group", "give every member a peer, or none"
        unknown = "" if all(m.live and m.live.fingerprint for m in masters) else " (not every key could be read)"
        return (
            f"they do not hear each other{unknown}",
            "look for filtered adverts (IP protocol 112, multicast): pf, ipfw, switch, hypervisor; netstat -s -p carp",
        )

    def address_lists(self) -> None:
        """The digest covers all addresses of the vhid, so the lists must be equal."""
        lists = {m.name: m.address_list for m in self.members if m.live}
        if len(set(lists.values())) > 1:
            text = "; ".join(f"{name}: {', '.join(found) or 'none'}" for name, found in lists.items())
            self.error(
                "verify-address-list", f"the members carry different addresses in {self.vhid} ({text})", "run apply"
            )

    def passwords(self) -> None:
        keys = {m.name: m.live.fingerprint for m in self.members if m.live and m.live.fingerprint}
        if len(set(keys.values())) > 1:
            self.error(
                "verify-password-differs",
                f"the members use different passwords for {self.vhid}: {', '.join(sorted(keys))}",
                "run apply on all members",
            )

    def elections(self) -> None:
        """Equal advbase and advskew leave the election to chance."""
        seen: dict[tuple[int, int], str] = {}
        for member in self.members:
            if member.live is None:
                continue
            other = seen.setdefault(member.pace, member.name)
            if other != member.name:
                advbase, advskew = member.pace
                self.error(
                    "verify-advskew-equal",
                    f"{other} and {member.name} both run {self.vhid} with advbase {advbase} advskew {advskew}",
                    "run apply; every member needs its own advskew",
                )

    def preferred(self) -> None:
        """With preempt on, the member with the lowest advskew takes the vhid back."""
        masters = self.in_state("MASTER")
        if len(masters) != 1 or len(self.members) < 2:
            return
        best, master = min(self.members, key=lambda m: m.pace), masters[0]
        if best is master:
            return
        demoted = best.snapshot.sysctls.get(best.desired.capabilities.demotion or "", 0)
        if best.state == "INIT" or not best.state:
            why = f"{best.name} is {best.state or 'without it'}"
        elif best.sent_away:
            why = f"somebody sent it away from {best.name} (carpd ctl failover)"
        elif demoted:
            why = f"{best.name} is demoted by {demoted}"
        elif not best.preempt:
            message = f"{master.name} is MASTER of {self.vhid}, {best.name} is preferred; with preempt=0 it stays so"
            self.info(
                "verify-preferred-master", message, "set preempt=1 where the preferred master should return", best.name
            )
            return
        else:
            why = "it should have taken over by now"
        self.warning(
            "verify-preferred-master",
            f"{master.name} is MASTER of {self.vhid} although {best.name} is preferred: {why}",
            "remove that cause, or wait a few seconds and look again",
            best.name,
        )

    def settings(self) -> None:
        for leaf, rule, why in (
            ("preempt", "verify-preempt-mixed", "a demoted host keeps the vhid unless its peers have preempt=1"),
            ("arpbalance", "verify-arpbalance-mixed", "clients then get two answers, or none"),
        ):
            values = {m.name: m.snapshot.sysctls[leaf] for m in self.members if leaf in m.snapshot.sysctls}
            if len({bool(value) for value in values.values()}) > 1:
                text = ", ".join(f"{name} {value}" for name, value in values.items())
                say = self.error if leaf == "arpbalance" else self.warning
                say(
                    rule,
                    f"net.inet.carp.{leaf} is not the same on all members of {self.vhid} ({text}): {why}",
                    "set it for the whole group in the inventory, and apply",
                )

    def peers(self) -> None:
        """Unicast works only where each member sends to an address of the other."""
        with_peer = [m for m in self.members if m.vhid.peer or m.vhid.peer6]
        if with_peer and len(with_peer) < len(self.members):
            names = ", ".join(m.name for m in self.members if m not in with_peer)
            self.error(
                "verify-peer-mixed", f"{names} uses multicast in {self.vhid}, the others a peer", "give all a peer"
            )
        own = {m.name: m.own for m in self.members}
        for member in with_peer:
            for peer in filter(None, (member.vhid.peer, member.vhid.peer6)):
                target = next((n for n, addresses in own.items() if peer in addresses and n != member.name), None)
                if target is None and len(self.members) == len(self.group.members):
                    self.error(
                        "verify-peer-unknown",
                        f"{member.name} sends its adverts for {self.vhid} to {peer}, which no other member has",
                        "correct `peer` in the inventory",
                        member.name,
                    )
                back = next((m for m in self.members if m.name == target), None)
                if (
                    back
                    and {back.vhid.peer, back.vhid.peer6} - {None}
                    and not {back.vhid.peer, back.vhid.peer6} & own[member.name]
                ):
                    self.error(
                        "verify-peer-one-way",
                        f"{member.name} sends to {target}, but {target} does not send to {member.name} in {self.vhid}",
                        "correct `peer` in the inventory",
                        target or "",
                    )

    def mixed_mastership(self, hosts: Mapping[str, tuple[Desired, Snapshot]]) -> None:
        """Without preempt, groups that should move together can end up on different hosts."""
        masters = self.in_state("MASTER")
        if len(masters) != 1 or len(self.members) < 2 or all(m.preempt for m in self.members):
            return
        best, master = min(self.members, key=lambda m: m.wish), masters[0]
        if best is master:
            return
        for vhid in best.desired.vhids:
            other = [m for m in (read_member(vhid.group, n, *found) for n, found in hosts.items()) if m]
            same_hosts = {m.name for m in other} == {m.name for m in self.members}
            if vhid.group == self.group.name or not same_hosts or min(other, key=lambda m: m.wish).name != best.name:
                continue
            if [m.name for m in other if m.state == "MASTER"] == [best.name]:
                self.warning(
                    "verify-mastership-mixed",
                    f"{master.name} is MASTER of {self.vhid}, {best.name} of {vhid.group}; both prefer {best.name}: "
                    "traffic takes two ways",
                    "set preempt=1 on all members, then they move together",
                    master.name,
                )
