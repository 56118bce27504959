"""Recorded commands that the lab does not claim to simulate, each with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fidelity_replay import Step


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Commands matching ``pattern`` in files matching ``file``; ``perform`` runs them all the same, for their effect.

    ``unless`` is a pattern of recorded output that takes the step into scope again.
    """

    pattern: str
    reason: str
    file: str = ""
    perform: bool = False
    host: str = ""
    unless: str = ""


_HISTORY = "prints the message buffer with events of a session that was not recorded"
_OTHER_PROGRAM = "a program that has nothing to do with CARP, and that the lab leaves to the system it runs on"
_CAPTURE = "a capture or a console log, made outside the hosts"
_SOURCE = "prints FreeBSD's own rc scripts, which the lab does not ship"

EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion(r"^echo \$shell \$version", "prints the version of the shell"),
    Exclusion(r"^arp -an|; arp -an", "the ARP cache holds what earlier traffic left there; the lab keeps no cache"),
    Exclusion(r"^ping ", _OTHER_PROGRAM),
    Exclusion(r"who am i|^uptime$", _OTHER_PROGRAM),
    Exclusion(r"tcpdump", _OTHER_PROGRAM),
    Exclusion(r"^# read from a console log", _CAPTURE, unless=r"^who-has"),
    Exclusion(r"dmesg \| grep -i|dmesg\.boot", _HISTORY, file="12.1/06"),
    Exclusion(r"grep .* /var/log/messages", _HISTORY, file="12.1/06"),
    Exclusion(
        r"^service -e \| head -5", "leaves with the status of a script that head has cut off, a matter of timing"
    ),
    Exclusion(r"load_rc_config network; list_vars", _SOURCE),
    Exclusion(r"^kldload (-n )?if_carp$", "the recording leaves the answer out", file="9.3/01"),
    Exclusion(r"^config -x", "a program was missing on the recorded system", file="9.3/01"),
    Exclusion(r"ls -l /usr/sbin/sysrc", "shows the size of a program"),
    Exclusion(r"^dmesg \| tail -[36]$", _HISTORY, file="9.3/02"),
    Exclusion(r"^dmesg \| grep -i carp", _HISTORY, file="9.3/04", host="oldb"),
    Exclusion(r"/etc/network\.subr \||^sed -n .* /etc/rc\.d/sysctl", _SOURCE),
    Exclusion(
        r"ulimit -t 5;", "an endless recursion that a limit of CPU time ends; in the lab it waits without using any"
    ),
    Exclusion(
        r"^service netif restart$",
        "shows the role after the two seconds that the real script takes; the lab's takes no time",
        perform=True,
    ),
    Exclusion(
        r"^dmesg \| tail -9$",
        "which lines were logged before syslogd ran depends on how long the boot took",
        file="9.3/05",
    ),
    Exclusion(r"rcorder /etc/rc.d/\* 2>/dev/null\" ", _SOURCE),
)


def exclusion(file: str, step: Step) -> str | None:
    """Return the reason why a step is out of scope, ``skip: reason`` when it must not even run, or None."""
    for each in EXCLUSIONS:
        wanted = re.search(each.pattern, step.command) and re.search(each.file, file)
        if each.unless and any(re.search(each.unless, line) for line in step.console):
            continue
        if wanted and (not each.host or each.host == step.host):
            return each.reason if each.perform else f"skip: {each.reason}"
    return None
