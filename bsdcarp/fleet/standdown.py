"""A host gives its roles away before it is rebooted, and gets them back when the reboot does not happen.

From FreeBSD 10 on by demotion, where a peer preempts; up to 9 by carpN down, which says goodbye; on Linux by carpd's
failover, which does so too.  The host's lock is held from here to the reboot, so that nobody changes it meanwhile.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Collection
from functools import cache
from importlib.resources import files

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import HostRefused, SshError
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.terms import operator
from bsdcarp.hostlock import lock_program, waits_program
from bsdcarp.plaintext import printable
from bsdcarp.platforms.desired import Desired
from bsdcarp.platforms.linux_carpd import CARPD
from bsdcarp.platforms.paths import CARPD_PROGRAM
from bsdcarp.shellwords import quote

__all__ = ["LOCK", "StandDown", "Way", "stand_down", "take_back", "way_down", "welcome"]

LOCK = "/var/run/bsdcarp.lock"
_AMOUNT = 240
"""What the kernel itself adds when an interface goes down: no advskew of a peer is behind it."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a host gives its roles away: what it runs, what takes that back, and which groups move by it."""

    give: tuple[str, ...] = ()
    """Shell commands, as text."""
    take: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    """The groups that a peer takes over at once."""
    left: tuple[str, ...] = ()
    """The groups that a peer takes over only once no advert has come for 3 x advbase + advskew/256 s."""
    said: str = ""
    """For people: what is done, or why nothing is."""


@dataclass(frozen=True, slots=True)
class StandDown:
    """A host that has stood down, under this key."""

    host: str
    key: str
    way: Way


def way_down(desired: Desired, held: Collection[str], preempting: Collection[str]) -> Way:
    """Return how a host that is MASTER of the groups ``held`` gives them away.

    ``preempting`` are the groups in which a healthy peer has preempt on: only such a one takes over from a demoted
    MASTER (carp_input_c() in ip_carp.c; seen both ways on FreeBSD 10.4 and 12.1).
    """
    vhids = [vhid for vhid in desired.vhids if vhid.group in held]
    groups = tuple(vhid.group for vhid in vhids)
    if not vhids:
        return Way(said="it is MASTER of nothing")
    can = desired.capabilities
    if can.syntax == "linux":
        if not any(service.name == CARPD for service in desired.services):
            return Way(left=groups, said="ucarp cannot be told to give its role away; the peers time out")
        ctl = f"python3 -I {CARPD_PROGRAM} ctl failover"
        give = tuple(f"{ctl} {vhid.vhid} --interface {quote(vhid.interface)}" for vhid in vhids)
        return Way(give, tuple(f"{command} --undo" for command in give), groups, said="carpd ctl failover")
    if can.syntax == "pseudo":
        # carp_ioctl() of 5.4 to 9.x: a MASTER whose IFF_UP goes sends advbase and advskew 255, which ends its reign.
        give = tuple(f"ifconfig {quote(vhid.unit)} down" for vhid in vhids)
        take = tuple(f"ifconfig {quote(vhid.unit)} up" for vhid in vhids)
        units = ", ".join(vhid.unit for vhid in vhids)
        return Way(give, take, groups, said=f"{units} down: this release cannot be demoted, but says goodbye")
    moved = tuple(group for group in groups if group in preempting)
    left = tuple(group for group in groups if group not in preempting)
    if not moved:
        return Way(left=left, said="not demoted: no peer has preempt=1, so the peers time out")
    oid = "net.inet.carp.demotion"
    # A write adds.  Where the demotion is gone already, by a reboot or by hand, there is nothing to take back.
    undo = f'[ "$(sysctl -n {oid})" -lt {_AMOUNT} ] || sysctl {oid}=-{_AMOUNT}'
    return Way((f"sysctl {oid}={_AMOUNT}",), (undo,), moved, left, said=f"demotion +{_AMOUNT}")


def stand_down(fleet: Fleet, host: str, way: Way, *, family: str, window: float, steal: bool = False) -> StandDown:
    """Lock ``host`` and let it give its roles away; after ``window`` seconds without a reboot it takes them back.

    With ``steal`` the lock of a process that is gone is taken away.
    Raises ``HostRefused`` when somebody holds the lock, a transaction waits, or a command fails; then nothing is left.
    """
    key = f"r{randomness.token_hex(8)}"
    back = f"KEY={key}\nKEEP={LOCK}\ntake() {{\n{_commands(way.take)}\n}}\n{_text('takeback.sh')}"
    head = [
        f"T={key}",
        f"KEEP={LOCK}",
        f"OWNER={quote(f'{operator()}, rebooting it')}",
        f"STEAL={'yes' if steal else ''}",
        f"WINDOW={int(window)}",
        f"SYSTEM={quote(family)}",
        f"BACK={quote(back)}",
        f"give() {{\n{_commands(way.give)}\n}}",
    ]
    word, text = _run(fleet, host, head, "stand_down", key)
    standing = StandDown(host, key, way)
    match word:
        case "given":
            return standing
        case "locked":
            alive, _, owner = text.partition(" ")
            remedy = "wait: it ends by itself"
            if alive != "alive":
                remedy = "its process is gone; look what it left, then remove /var/run/bsdcarp.lock"
            raise HostRefused(f"held by {owner or 'somebody'}", place=host, remedy=remedy)
        case "pending":
            raise HostRefused(
                f"{text} waits for its confirmation", place=host, remedy="bsdcarp confirm, or bsdcarp rollback"
            )
        case "failed":
            raise HostRefused(f"it cannot give its roles away: {text}", place=host, remedy="nothing was changed")
        case _:
            # Whatever it did before the answer was cut off, it takes back; where it did nothing, this finds nothing.
            take_back(fleet, standing)
            raise HostRefused("it did not say whether it gave its roles away", place=host, remedy="try again")


def take_back(fleet: Fleet, standing: StandDown) -> str:
    """Give a host its roles back; return what went wrong, empty when nothing did.

    Where the host cannot be asked it does so by itself when its window is over.
    """
    try:
        word, text = _run(fleet, standing.host, _named(standing), "take_back", standing.key)
    except SshError as error:
        return f"cannot be told to take its roles back ({error.cause}); it does so by itself"
    return "" if word in ("taken", "absent") else f"could not take its roles back: {text or word}"


def welcome(fleet: Fleet, standing: StandDown) -> None:
    """Remove what a host that has rebooted still keeps of its standing down.  Raises ``SshError``."""
    _run(fleet, standing.host, _named(standing), "welcome", standing.key)


def _named(standing: StandDown) -> list[str]:
    return [f"KEY={standing.key}", "T=$KEY", f"KEEP={LOCK}"]


def _commands(commands: tuple[str, ...]) -> str:
    return " &&\n".join(commands) or ":"


@cache
def _text(name: str) -> str:
    return (files("bsdcarp.fleet") / name).read_text(encoding="utf-8")


def _run(fleet: Fleet, host: str, head: list[str], call: str, key: str) -> tuple[str, str]:
    script = "\n".join([*head, waits_program(), lock_program(), _text("standdown.sh"), f"{call} </dev/null\n"])
    answer = fleet.run(host, script.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
    found = [line for line in answer.splitlines() if line.startswith(f"{key} ")]
    if not found:
        return "", ""
    _, word, text = (*found[0].split(" ", 2), "")[:3]
    return word, printable(text.strip())
