"""Many hosts at once: who waits for whom, sessions, progress events, and the verbs' common course."""

from __future__ import annotations

from bsdcarp.fleet.course import Assessment, HostPlan, assess, plan_hosts
from bsdcarp.fleet.hosts import Fleet, Look, Options
from bsdcarp.fleet.order import units
from bsdcarp.fleet.progress import Event, Listener, Stage, silent

__all__ = [
    "Assessment",
    "Event",
    "Fleet",
    "HostPlan",
    "Listener",
    "Look",
    "Options",
    "Stage",
    "assess",
    "plan_hosts",
    "silent",
    "units",
]
