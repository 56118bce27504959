"""What a client loses while `bsdcarp apply` changes a group that serves it.

    sudo python benchmarks/apply_loss.py [--rounds 5] [part ...]

Three Debian hosts with systemd as process 1 on one bridge, reached by real sshd; carpd on them was put there by
bsdcarp.  A client on the same bridge sends 100 pings a second to the group's address all the time.  Each part is one
kind of change: apply makes it (that is measured), apply takes it back (measured, too, where it is the same kind of
change).  "gap" is the longest time between two answers, so 10 ms is none lost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / room) for room in ("", "carpd", "systemd"))]

from systemd_carpd import CONFIG, UNIT, eventually, roles, status  # noqa: E402 - the harness lives with the tests
from systemd_cluster import Cluster, why_not  # noqa: E402
from systemd_host import SystemdHost  # noqa: E402
from systemd_site import Site  # noqa: E402

_PROBE = ROOT / "tests" / "carpd" / "carpd_net_probe.py"
_VHID = 7
_INTERVAL = 0.01
_AROUND = 1.5
"""Seconds before and after the MASTER's files changed that count as its part: its reload comes right after."""
_MEMBERS = (("web1", 0), ("web2", 100))


@dataclass(frozen=True)
class Group:
    """The group of one inventory; ``members`` with their advskews."""

    members: tuple[tuple[str, int], ...] = _MEMBERS
    password: str = "a"
    addresses: int = 1

    def text(self, network: str) -> str:
        """The group as a line of the inventory."""
        listed = ", ".join(f"{network}.{100 + number}/24" for number in range(self.addresses))
        members = ", ".join(f"{{host: {host}, advskew: {advskew}}}" for host, advskew in self.members)
        secret = f"{{env: LOSS_{self.password.upper()}}}"
        return f"  web: {{vhid: {_VHID}, password: {secret}, addresses: [{listed}], members: [{members}]}}"


@dataclass(frozen=True)
class Change:
    """A part: what is changed, into what, and how the way back is called (empty: it is not measured)."""

    name: str
    after: Group
    back: str = ""
    before: Group = Group()


CHANGES = {
    "advskew": [
        Change("advskew of the BACKUP (100 to 150)", Group((("web1", 0), ("web2", 150))), "the same, back"),
        Change("advskew of the MASTER (0 to 20)", Group((("web1", 20), ("web2", 100))), "the same, back"),
        Change("advskews exchanged: the MASTER changes", Group((("web1", 100), ("web2", 0))), "the same, back"),
    ],
    "password": [Change("password", Group(password="b"), "the same, back")],
    "address": [Change("an address added", Group(addresses=2), "an address removed")],
    "member": [
        Change("a new member, last in line", Group((*_MEMBERS, ("web3", 200))), "a member removed, last in line"),
        Change(
            "a new member, the new MASTER",
            Group((("web3", 0), ("web1", 50), ("web2", 100))),
            "the MASTER removed from the group",
            before=Group((("web1", 50), ("web2", 100))),
        ),
    ],
}


@dataclass(frozen=True)
class Seen:
    """What the client saw during one apply."""

    seconds: float
    sent: int
    lost: int
    gap: float
    lost_by_master: int
    gap_by_master: float
    masters: float
    """Seconds in which two hosts called themselves MASTER, by their journals."""
    stall: float
    """How late the client itself was at most."""


class Probe:
    """The client: pings an address until it is stopped."""

    def __init__(self, cluster: Cluster, target: str) -> None:
        namespace = cluster.client
        argv = [sys.executable, "-I", "-S", str(_PROBE), str(_INTERVAL), target]
        self._child = subprocess.Popen(
            ["nsenter", f"--net=/proc/self/fd/{namespace}", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(namespace,),
        )
        self._target = target
        assert self._child.stdout
        assert self._child.stdout.readline() == b"ready\n"

    def stop(self) -> list[tuple[float, float | None]]:
        """End it; (sent, answered or None) of each ping on CLOCK_MONOTONIC."""
        out, _ = self._child.communicate(timeout=20)
        return [(sent, answered) for sent, answered in json.loads(out)[self._target]]


def gap(pings: Sequence[tuple[float, float | None]]) -> float:
    """The longest time between two answers."""
    answers = sorted(answered for _, answered in pings if answered is not None)
    ends = [pings[0][0], *answers, pings[-1][0]]
    return max(later - earlier for earlier, later in pairwise(ends))


def lost(pings: Iterable[tuple[float, float | None]]) -> int:
    """How many were not answered."""
    return sum(answered is None for _, answered in pings)


def double(cluster: Cluster, since: float) -> float:
    """Seconds since ``since`` (CLOCK_REALTIME) in which two hosts were MASTER, as the journals say."""
    turns: list[tuple[float, int]] = []
    for host in cluster.values():
        said = host.output(f"journalctl --no-pager -o short-unix -u {UNIT} | grep -F '{_VHID}@' || true")
        master = False
        for line in said.splitlines():
            when, now = float(line.split()[0]), "-> MASTER" in line
            if " -> " not in line or now == master:
                continue
            master = now
            turns.append((when, 1 if now else -1))
    total, count, before = 0.0, 0, 0.0
    for when, step in sorted(turns):
        if count > 1:
            total += max(when - max(before, since), 0.0)
        count, before = count + step, when
    return total


def measured(site: Site, group: Group) -> Seen:
    """Apply ``group`` and return what a client saw of it."""
    cluster = site.cluster
    before = roles(cluster, _VHID)
    master = next(name for name, role in before.items() if role == "MASTER")
    site.write(group.text(cluster.network))
    probe = Probe(cluster, f"{cluster.network}.100")
    time.sleep(1)
    began = time.time()
    started = time.monotonic()
    answer = site.bsdcarp("apply", "--yes")
    seconds = time.monotonic() - started
    if answer.status != 0:
        sys.exit(f"error: nothing can be measured, because apply ended with {answer}")
    settle(site, group)
    time.sleep(1)
    pings = probe.stop()
    changed = cluster[master].run(f"stat -c %.6Z {CONFIG}").out.strip()
    # One machine, one clock: what the host calls now is what the client calls now.
    moment = float(changed) - time.time() + time.monotonic() if changed else started + seconds
    near = [entry for entry in pings if abs(entry[0] - moment) <= _AROUND]
    return Seen(
        seconds,
        len(pings),
        lost(pings),
        gap(pings),
        lost(near),
        gap(near) if near else 0.0,
        double(cluster, began),
        max(later[0] - earlier[0] for earlier, later in pairwise(pings)),
    )


def settle(site: Site, group: Group) -> None:
    """Wait until the member with the lowest advskew is the only MASTER and nothing is found wrong any more."""
    best = min(group.members, key=lambda member: member[1])[0]
    wanted = {name: "MASTER" if name == best else "BACKUP" for name, _ in group.members}
    wanted |= {name: "" for name in site.cluster if name not in wanted}
    eventually(lambda: roles(site.cluster, _VHID) == wanted, f"the roles are {wanted}", 20)
    for name, _ in group.members:
        host = site.cluster[name]
        eventually(partial(_content, host), f"{name} finds nothing", 20)


def _content(host: SystemdHost) -> bool:
    return not status(host)["findings"]


def rounds(site: Site, change: Change, count: int, tell: Callable[[str], None]) -> None:
    """Measure one change and its way back ``count`` times and print the rows of the table."""
    site.write(change.before.text(site.cluster.network))
    site.good("apply", "--yes")
    settle(site, change.before)
    there: list[Seen] = []
    back: list[Seen] = []
    for number in range(count):
        for found, group in ((there, change.after), (back, change.before)):
            found.append(measured(site, group))
            print(f"  {number + 1} {change.name}: {found[-1]}", file=sys.stderr)
    tell(row(change.name, there))
    if change.back:
        tell(row(change.back, back))


def row(name: str, found: Sequence[Seen]) -> str:
    """Median and worst of several rounds."""

    def both(values: Iterable[float], form: str) -> str:
        listed = list(values)
        return f"{statistics.median(listed):{form}} ({max(listed):{form}})"

    cells = [
        name,
        both((seen.lost for seen in found), ".0f"),
        both((seen.gap for seen in found), ".3f"),
        both((seen.lost_by_master for seen in found), ".0f"),
        both((seen.gap_by_master for seen in found), ".3f"),
        both((seen.masters for seen in found), ".3f"),
        both((seen.stall for seen in found), ".3f"),
        both((seen.seconds for seen in found), ".1f"),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(CHANGES)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(CHANGES):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if (reason := why_not()) is not None:
        sys.exit(f"error: {reason}")
    os.environ.update(LOSS_A="Geheim4711", LOSS_B="Naechstes4712")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bsdcarp-loss-")))
        cluster = stack.enter_context(Cluster.start(["web1", "web2", "web3"], directory / "hosts"))
        site = Site(cluster, directory / "inventory.yml")
        machine = f"{os.cpu_count()} processors, Linux {platform.release()}, Python {platform.python_version()}"
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, {options.rounds} rounds; median (worst)\n")
        print("| change | lost | gap, s | of it by the MASTER's change: lost | gap, s | two MASTERs, s |", end="")
        print(" client late, s | apply took, s |\n|---|---|---|---|---|---|---|---|", flush=True)
        for part in options.parts or CHANGES:
            for change in CHANGES[part]:
                rounds(site, change, options.rounds, lambda line: print(line, flush=True))
        print(f"\nload average {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()
