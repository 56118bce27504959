"""For the tests of what surrounds the daemon: a loop that turns until something is so, and a daemon that only tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_interface
from typing import Any

from bsdcarp.carp import Settings, State, Statistics
from bsdcarp.carpd.config import VhidConfig
from bsdcarp.carpd.loop import Loop
from bsdcarp.carpd.observer import Change
from bsdcarp.carpd.snapshot import Finding, Snapshot, VhidStatus

PASSWORD = "correct horse"


def turn(loop: Loop, until: Callable[[], Any], seconds: float = 10.0) -> None:
    """Run ``loop`` until ``until()`` is true; fail after ``seconds``."""
    end = time.monotonic() + seconds
    late = []

    def look() -> None:
        if until():
            loop.stop()
        elif time.monotonic() > end:
            late.append(True)
            loop.stop()
        else:
            loop.call_later(0.002, look)

    loop.call_later(0, look)
    loop.run()
    assert not late, "it did not happen in time"


def vhid(
    number: int = 1,
    interface: str = "eth0",
    *addresses: str,
    state: State = State.MASTER,
    failover: bool = False,
    present: bool = True,
    peer: str | None = None,
    virtual_mac: bool = True,
) -> VhidStatus:
    """One vhid as the daemon tells it."""
    config = VhidConfig(
        group="web",
        vhid=number,
        interface=interface,
        advbase=1,
        advskew=0,
        password=PASSWORD,
        peer=None if peer is None else IPv4Address(peer),
        peer6=None,
        addresses=tuple(map(ip_interface, addresses or ("192.0.2.1/24", "2001:db8::1/64"))),
        virtual_mac=virtual_mac,
    )
    return VhidStatus(
        config=config,
        state=state,
        since=90.0,
        reason="master timed out",
        effective_advskew=254 if failover else 0,
        failover=failover,
        present=present,
    )


def snapshot(*vhids: VhidStatus, demotion: int = 0, findings: tuple[Finding, ...] = (), **settings: int) -> Snapshot:
    """A snapshot of a daemon that started 60 seconds before its clock says 100."""
    return Snapshot(
        now=100.0,
        started=40.0,
        demotion=demotion,
        settings=Settings(**settings),
        statistics=Statistics(carps_ipackets=3),
        vhids=vhids or (vhid(),),
        findings=findings,
    )


def change(new: State = State.MASTER, number: int = 1, interface: str = "eth0", **other: Any) -> Change:
    """One change of state."""
    facts: dict[str, Any] = {
        "group": "web", "vhid": number, "interface": interface, "label": f"{number}@{interface}", "old": State.BACKUP,
        "new": new, "reason": "master timed out", "addresses": ("192.0.2.1/24", "2001:db8::1/64"), "time": 1.0,
    }  # fmt: skip
    return Change(**{**facts, **other})


class Told:
    """A daemon that writes down what it is asked for."""

    def __init__(self) -> None:
        self.demotion = 0
        self.vhids: tuple[VhidStatus, ...] = (vhid(),)
        self.calls: list[tuple[Any, ...]] = []
        self.refusal = ""

    def snapshot(self) -> Snapshot:
        return snapshot(*self.vhids, demotion=self.demotion)

    def demote(self, amount: int) -> None:
        self.calls.append(("demote", amount))
        self.demotion += amount

    def undemote(self) -> int:
        self.calls.append(("undemote",))
        taken, self.demotion = self.demotion, 0
        return taken

    def failover(self, vhid: int, interface: str | None = None, *, undo: bool = False) -> None:
        self.calls.append(("failover", vhid, interface, undo))
        if self.refusal:
            raise LookupError(self.refusal)
