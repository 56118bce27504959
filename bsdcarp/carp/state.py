"""The state machine of one vhid as one table: (state, event) -> next state and what to do on the way.

How to read a row: the machine first takes the next state (and reports it, if it is another one), then performs the
steps from left to right.  Every state has a row for every event, so nothing can arrive unexpectedly.  Releases differ
in what a step does (``personality``), not in the rows.

A received advert becomes one of four events by comparing intervals, own against peer's, in the order in which
carp_input_c() does: see ``heard``.  A restart is two rows one after the other, MASTER or BACKUP -> INIT -> BACKUP.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bsdcarp.carp.vhid import State

__all__ = ["TABLE", "Event", "Step", "Transition", "heard"]


class Event(Enum):
    """What can happen to a vhid."""

    UP = "up"
    """It may run: interface up, an address there, not stopped, and allow=1 where that matters."""
    DOWN = "down"
    """The interface went down or lost its link; from FreeBSD 11 on also allow=0."""
    STOP = "stop"
    """Somebody stopped it politely: ifconfig carpN down, or the daemon ends."""
    RESTART = "restart"
    """Its address list changed, or its interface was looked at again: all start over as BACKUP."""
    READDRESSED = "readdressed"
    """Its address list changed, and that is no reason to start over: one of several removed up to FreeBSD 9, any change
    on Linux as long as one is left."""
    MASTER_DOWN = "master down"
    """The master-down timer of one family ran out."""
    ADVERT_DUE = "advert due"
    """The advert timer ran out."""
    HEARD_BETTER = "heard better"
    """A valid advert, as frequent as ours or more."""
    HEARD_SLOWER = "heard slower"
    """A valid advert, less frequent, but not so slow that its sender must time out; preempt=0."""
    HEARD_PREEMPTIBLE = "heard preemptible"
    """A valid advert, less frequent than ours, and preempt=1."""
    HEARD_TOO_SLOW = "heard too slow"
    """A valid advert, less frequent than three times our advbase, a bow-out among them; preempt=0."""
    FORCE_MASTER = "force master"
    """ifconfig IF vhid N state master."""
    FORCE_BACKUP = "force backup"
    """ifconfig IF vhid N state backup."""
    YIELD = "yield"
    """Somebody wants the role on another host, and this one back at the end of the queue (the Linux daemon)."""
    NEWS = "news"
    """The next advert would say something else than the last: the demotion of the host changed, in either direction, or
    on Linux the addresses, or the vhid is held back no longer."""


class Step(Enum):
    """What the machine does; each is one method of ``machine.Machine``."""

    STOP_TIMERS = "stop all timers"
    STOP_ADVERTS = "stop the advert timer"
    WAIT = "start the master-down timer of each family"
    WAIT_ALSO = "start the master-down timer of a new family, stop that of a lost one"
    WAIT_FAMILY = "restart the master-down timer of the family heard"
    ADVERTISE = "send an advert on each family, restart the advert timer"
    FIRST_INTERVAL = "restart the advert timer, ignoring demotion"
    TAKE_ADDRESSES = "add the addresses"
    LEAVE_ADDRESSES = "remove the addresses"
    EXCHANGE_ADDRESSES = "add and announce the new addresses, remove the old ones"
    ANNOUNCE = "gratuitous ARP and unsolicited NA for each address"
    ANNOUNCE_AGAIN = "announce again two adverts after becoming MASTER (Linux)"
    REASSERT = "announce now and two adverts later (Linux)"
    BOW_OUT = "send an advert with 255/255 (FreeBSD up to 9, Linux)"
    DEMOTE = "demote the host once for this vhid"
    UNDEMOTE = "undo that demotion"


@dataclass(frozen=True)
class Transition:
    """The right-hand side of a row."""

    next: State
    steps: tuple[Step, ...] = ()


_INIT, _BACKUP, _MASTER = State.INIT, State.BACKUP, State.MASTER

# The advert leaves first, because peers act on it within a millisecond while ARP caches are only refreshed.
_TAKE_OVER = Transition(
    _MASTER, (Step.STOP_TIMERS, Step.ADVERTISE, Step.TAKE_ADDRESSES, Step.ANNOUNCE, Step.FIRST_INTERVAL)
)
_STEP_DOWN = Transition(_BACKUP, (Step.STOP_ADVERTS, Step.LEAVE_ADDRESSES, Step.WAIT))
# The bow-out leaves first: the peer answers it within a millisecond, while this host still takes its addresses away.
_YIELD = Transition(_BACKUP, (Step.STOP_ADVERTS, Step.BOW_OUT, Step.LEAVE_ADDRESSES, Step.WAIT))
_STAY_INIT = Transition(_INIT)
_STAY_BACKUP = Transition(_BACKUP)
_STAY_MASTER = Transition(_MASTER)
_LISTEN = Transition(_BACKUP, (Step.WAIT_FAMILY,))
_REASSERT = Transition(_MASTER, (Step.REASSERT,))

TABLE: dict[tuple[State, Event], Transition] = {
    (_INIT, Event.UP): Transition(_BACKUP, (Step.WAIT, Step.UNDEMOTE)),
    (_INIT, Event.DOWN): Transition(_INIT, (Step.STOP_TIMERS, Step.DEMOTE)),
    (_INIT, Event.STOP): _STAY_INIT,
    (_INIT, Event.RESTART): _STAY_INIT,
    (_INIT, Event.READDRESSED): _STAY_INIT,
    (_INIT, Event.MASTER_DOWN): _STAY_INIT,
    (_INIT, Event.ADVERT_DUE): _STAY_INIT,
    (_INIT, Event.HEARD_BETTER): _STAY_INIT,
    (_INIT, Event.HEARD_SLOWER): _STAY_INIT,
    (_INIT, Event.HEARD_PREEMPTIBLE): _STAY_INIT,
    (_INIT, Event.HEARD_TOO_SLOW): _STAY_INIT,
    (_INIT, Event.FORCE_MASTER): _STAY_INIT,
    (_INIT, Event.FORCE_BACKUP): _STAY_INIT,
    (_INIT, Event.YIELD): _STAY_INIT,
    (_INIT, Event.NEWS): _STAY_INIT,
    (_BACKUP, Event.UP): _STAY_BACKUP,
    (_BACKUP, Event.DOWN): Transition(_INIT, (Step.STOP_TIMERS, Step.DEMOTE)),
    (_BACKUP, Event.STOP): Transition(_INIT, (Step.STOP_TIMERS,)),
    (_BACKUP, Event.RESTART): Transition(_INIT, (Step.STOP_TIMERS,)),
    (_BACKUP, Event.READDRESSED): Transition(_BACKUP, (Step.WAIT_ALSO,)),
    (_BACKUP, Event.MASTER_DOWN): _TAKE_OVER,
    (_BACKUP, Event.ADVERT_DUE): _STAY_BACKUP,
    (_BACKUP, Event.HEARD_BETTER): _LISTEN,
    (_BACKUP, Event.HEARD_SLOWER): _LISTEN,
    (_BACKUP, Event.HEARD_PREEMPTIBLE): _TAKE_OVER,
    (_BACKUP, Event.HEARD_TOO_SLOW): _TAKE_OVER,
    (_BACKUP, Event.FORCE_MASTER): _TAKE_OVER,
    (_BACKUP, Event.FORCE_BACKUP): _STAY_BACKUP,
    (_BACKUP, Event.YIELD): Transition(_BACKUP, (Step.WAIT,)),
    (_BACKUP, Event.NEWS): _STAY_BACKUP,
    (_MASTER, Event.UP): _STAY_MASTER,
    (_MASTER, Event.DOWN): Transition(_INIT, (Step.STOP_TIMERS, Step.LEAVE_ADDRESSES, Step.DEMOTE)),
    (_MASTER, Event.STOP): Transition(_INIT, (Step.BOW_OUT, Step.STOP_TIMERS, Step.LEAVE_ADDRESSES)),
    (_MASTER, Event.RESTART): Transition(_INIT, (Step.STOP_TIMERS, Step.LEAVE_ADDRESSES)),
    (_MASTER, Event.READDRESSED): Transition(_MASTER, (Step.EXCHANGE_ADDRESSES,)),
    (_MASTER, Event.MASTER_DOWN): _STAY_MASTER,
    (_MASTER, Event.ADVERT_DUE): Transition(_MASTER, (Step.ADVERTISE, Step.ANNOUNCE_AGAIN)),
    (_MASTER, Event.HEARD_BETTER): _STEP_DOWN,
    (_MASTER, Event.HEARD_SLOWER): _REASSERT,
    (_MASTER, Event.HEARD_PREEMPTIBLE): _REASSERT,
    (_MASTER, Event.HEARD_TOO_SLOW): _REASSERT,
    (_MASTER, Event.FORCE_MASTER): _STAY_MASTER,
    (_MASTER, Event.FORCE_BACKUP): _STEP_DOWN,
    (_MASTER, Event.YIELD): _YIELD,
    (_MASTER, Event.NEWS): Transition(_MASTER, (Step.ADVERTISE,)),
}


def heard(own: tuple[int, int], peer: tuple[int, int], *, preempt: bool) -> Event:
    """Which event a valid advert is.  Intervals are (advbase, effective advskew); the smaller one is preferred."""
    if peer <= own:
        return Event.HEARD_BETTER
    if preempt:
        return Event.HEARD_PREEMPTIBLE
    if (3 * own[0], own[1]) < peer:
        return Event.HEARD_TOO_SLOW
    return Event.HEARD_SLOWER
