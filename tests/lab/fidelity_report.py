"""The figures of docs/lab-fidelity.md, and the page itself: written from tables, so that a test can hold it current."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from out_of_scope import EXCLUSIONS


@dataclass(frozen=True, slots=True)
class Figures:
    """How many steps of a recording match, and how many are out of the lab's scope."""

    matched: int
    outside: int

    @property
    def total(self) -> int:
        return self.matched + self.outside


# Each replay asserts its line; a change for the better has to be written here.
FIGURES: dict[str, Figures] = {
    "freebsd-12.1/01-generic-kernel-before-carp.txt": Figures(38, 1),
    "freebsd-12.1/02-kldload-and-vhid.txt": Figures(44, 3),
    "freebsd-12.1/03-failover-demotion-errors.txt": Figures(79, 0),
    "freebsd-12.1/05-sysrc-service.txt": Figures(80, 2),
    "freebsd-12.1/06-boot-rc.conf.txt": Figures(35, 7),
    "freebsd-12.1/07-netif-restart-carp-kernel.txt": Figures(41, 2),
    "freebsd-12.1/08-pcap-adverts.txt": Figures(10, 5),
    "freebsd-12.1/09-more-12.1.txt": Figures(34, 0),
    "freebsd-12.1/11-readd-is-disruptive.txt": Figures(17, 0),
    "freebsd-9.3/01-basics.txt": Figures(35, 4),
    "freebsd-9.3/02-ifconfig.txt": Figures(68, 4),
    "freebsd-9.3/03-kldload-builtin.txt": Figures(7, 0),
    "freebsd-9.3/04-boot-and-election.txt": Figures(50, 1),
    "freebsd-9.3/05-rcconf-and-sysctlconf.txt": Figures(21, 4),
    "freebsd-9.3/06-arpbalance.txt": Figures(60, 2),
    "freebsd-9.3/08-nocarp-kernel-and-module.txt": Figures(39, 0),
    "freebsd-10.4/10-freebsd-10.4.txt": Figures(69, 2),
    "freebsd-10.4/10b-freebsd-10.4-carp-kernel.txt": Figures(46, 0),
    "debian-12/01-carpd-under-systemd.txt": Figures(81, 0),
}

_SYSTEMS = {"freebsd": "FreeBSD", "debian": "Debian"}
_HEAD = """\
# How faithful the lab is

`tests/lab/transcripts/` holds recordings of real systems: every command typed, what it printed on standard
output and standard error, and its exit status. `tests/lab/test_fidelity.py` sets up simulated machines of the same
release, with the files and the state that each recording names, types the same commands into the same shell (a real
csh), lets the same time pass, and compares line by line. Nothing of a recording is kept in the lab: what it prints comes
out of its simulated kernel and files.

Taken out on both sides before comparing: times and dates, process ids, kernel addresses and the sizes of kernel files,
sizes of files, and packet counts other than zero. Console output of a boot is compared as a sequence of lines: every
recorded line about the network, CARP, modules and rc warnings has to appear, in that order; roles are left out there,
because a simulated boot takes no time while a real one lasts as long as an election.

The recording of Linux was made on Debian 12 (systemd 252, iproute2 6.1.0, procps 4.0.2) in a container, with the real
daemon and its unit, in root's bash; `tests/lab/test_linux_fidelity.py` replays it in `/bin/sh`.

A step is a recorded command, a recorded boot, or a round of ARP requests sent from outside.

| release | steps | match | out of scope |
|---|---|---|---|
"""
_MIDDLE = """
Every step is either compared and equal, or listed below; a step that differs fails the tests.

## Out of scope

| commands (pattern) | in | reason |
|---|---|---|
"""
_TAIL = """
## Left out of the recordings

The frames that tcpdump printed, the spinner of the boot loader, and the negotiation of an SSH connection.

## By file

| recording | match | out of scope |
|---|---|---|
"""


def page() -> str:
    """Return the text of docs/lab-fidelity.md."""
    by_release: dict[str, list[Figures]] = defaultdict(list)
    for file, figures in FIGURES.items():
        system, _, release = file.split("/")[0].partition("-")
        by_release[f"{_SYSTEMS[system]} {release}"].append(figures)
    rows = []
    for release in sorted(by_release, key=lambda name: (name.split()[0], float(name.split()[1]))):
        matched = sum(each.matched for each in by_release[release])
        outside = sum(each.outside for each in by_release[release])
        rows.append(f"| {release} | {matched + outside} | {matched} | {outside} |\n")
    matched = sum(each.matched for each in FIGURES.values())
    total = sum(each.total for each in FIGURES.values())
    rows.append(f"| all | {total} | {matched} ({100 * matched / total:.1f} %) | {total - matched} |\n")
    reasons = [
        f"| `{each.pattern.replace('|', chr(92) + '|')}` | {each.file or 'all'} | {each.reason} |\n"
        for each in EXCLUSIONS
    ]
    files = [f"| {file} | {each.matched} | {each.outside} |\n" for file, each in FIGURES.items()]
    return _HEAD + "".join(rows) + _MIDDLE + "".join(reasons) + _TAIL + "".join(files)
