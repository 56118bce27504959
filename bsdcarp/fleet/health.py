"""Who could serve while one host is away: the members of its groups, judged by what they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, HostRefused
from bsdcarp.fleet.course import Assessment, assess
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.order import units
from bsdcarp.judge.groupmember import GroupMember, read_member
from bsdcarp.model import Group, Inventory, Secret
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["Situation", "observe", "unfit"]

_DEMOTED = 240


@dataclass(frozen=True, slots=True)
class Situation:
    """Hosts at one moment: what each was, and what it should be."""

    inventory: Inventory
    secrets: Mapping[str, Secret]
    looks: Mapping[str, Look]
    desired: Mapping[str, Desired]
    errors: Mapping[str, BsdcarpError]
    """Why a host cannot be judged: not reached, or nothing that could be wanted of it."""

    @property
    def absent(self) -> dict[str, Look]:
        """The looks at hosts that could not be reached."""
        return {name: look for name, look in self.looks.items() if look.snapshot is None}

    def snapshot(self, host: str) -> Snapshot:
        """Return what ``host`` was; raises its error."""
        look = self.looks[host]
        if host in self.errors or look.snapshot is None:
            raise self.errors.get(host) or HostRefused("not read", place=host)
        return look.snapshot

    def members(self, group: Group) -> dict[str, GroupMember]:
        """Return the members of ``group`` that could be judged."""
        found: dict[str, GroupMember] = {}
        for name, desired in self.desired.items():
            member = read_member(group.name, name, desired, self.snapshot(name))
            if member:
                found[name] = member
        return found

    def held(self, host: str) -> tuple[str, ...]:
        """Return the groups that ``host`` is MASTER of."""
        groups = self.inventory.groups_of(host)
        return tuple(g.name for g in groups if (m := self.members(g).get(host)) and m.state == "MASTER")

    def master(self, group: str, *, other_than: str) -> str:
        """Return who else is MASTER of ``group``, empty when nobody is."""
        members = self.members(self.inventory.groups[group])
        return next((n for n, m in members.items() if n != other_than and m.state == "MASTER"), "")

    def preempting(self, host: str) -> tuple[str, ...]:
        """Return the groups of ``host`` in which another healthy member has preempt on."""
        return tuple(
            group.name
            for group in self.inventory.groups_of(host)
            if any(n != host and not unfit(m) and m.preempt for n, m in self.members(group).items())
        )

    def bereft(self, host: str) -> list[str]:
        """Return, for each group that nobody else could serve without ``host``, a sentence that says why.

        A group that ``host`` does not serve itself, and could not, loses nothing by it.
        """
        found: list[str] = []
        for group in self.inventory.groups_of(host):
            members = self.members(group)
            mine = members.get(host)
            if mine is None or mine.state not in ("MASTER", "BACKUP"):
                continue
            others = [member.host for member in group.members if member.host != host]
            reasons = {n: unfit(members[n]) if n in members else _unread(self, n) for n in others}
            if not others:
                found.append(f"{group.name} has no other member")
            elif all(reasons.values()):
                text = "; ".join(f"{name} {why}" for name, why in reasons.items())
                found.append(f"{group.name} would be left without a healthy member: {text}")
        return found

    def judge(self, hosts: Iterable[str] | None = None, *, boot: bool = False) -> Assessment:
        """Judge these hosts (all of them when not said), live or for their next boot."""
        names = self.looks if hosts is None else hosts
        looks = {name: self.looks[name] for name in names}
        return assess(self.inventory, looks, self.secrets, boot=boot)

    def sequence(self, hosts: Iterable[str]) -> list[list[str]]:
        """Cut ``hosts`` into units that share no group; in each, who is MASTER of the least comes first."""
        return [sorted(unit, key=lambda name: len(self.held(name))) for unit in units(self.inventory, hosts)]


def unfit(member: GroupMember) -> str:
    """Return why ``member`` could not serve its group, empty when it could."""
    if member.state not in ("MASTER", "BACKUP"):
        return f"is {member.state}" if member.state else "does not carry it"
    if member.sent_away:
        return "was told to leave it to others (carpd ctl failover)"
    demotion = member.snapshot.sysctls.get("demotion", 0)
    if demotion >= _DEMOTED:
        return f"is demoted by {demotion}"
    there = {address.ip for address in member.addresses}
    lacking = [vip.address for vip in member.vhid.addresses if member.live and vip.interface.ip not in there]
    return f"lacks {', '.join(lacking)}" if lacking else ""


def observe(
    fleet: Fleet, secrets: Mapping[str, Secret], hosts: Iterable[str], *, absent: Mapping[str, Look] | None = None
) -> Situation:
    """Read these hosts side by side; those that are ``absent`` already are not waited for again."""
    names = list(hosts)
    gone = {name: look for name, look in (absent or {}).items() if name in names}
    looks = {**fleet.look(name for name in names if name not in gone), **gone}
    desired: dict[str, Desired] = {}
    errors: dict[str, BsdcarpError] = {}
    for name, look in looks.items():
        try:
            if look.snapshot is None:
                raise look.error or HostRefused("not read", place=name)
            desired[name] = desire(fleet.inventory, fleet.inventory.hosts[name], secrets, look.snapshot)
        except BsdcarpError as error:
            errors[name] = error
    return Situation(fleet.inventory, secrets, looks, desired, errors)


def _unread(situation: Situation, name: str) -> str:
    error = situation.errors.get(name)
    return f"cannot be asked ({error.cause})" if error else "was not asked"
