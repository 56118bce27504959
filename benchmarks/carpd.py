"""carpd beside ucarp and keepalived: takeover, planned handover, jitter, what they cost, and 255 vhids in one process.

    sudo python benchmarks/carpd.py [--rounds 7] [--seconds 60] [part ...]

Everything happens in network namespaces of this machine, all three daemons in the same minutes, so that its noise meets
all of them.  keepalived speaks VRRPv2 with a virtual MAC and the same interval of 1 s.  The client sends 100 pings a
second; "gap" is the longest time between two answers, so 10 ms is none.  Times on the wire are the kernel's.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "carpd")]

from carpd_net import Host, Segment, eventually, sweep  # noqa: E402 - the harness lives with the tests
from carpd_net_daemons import Carpd, Keepalived, Ucarp, vhid  # noqa: E402
from carpd_net_tap import Pinger, Pings, Tap  # noqa: E402

VIP = "192.0.2.1"
SKEW = 100
PRIORITY = 256 - SKEW  # RFC 3768: (256 - priority) / 256, so that both wait equally long


@dataclass
class Pair:
    """MASTER, BACKUP, how to see that the BACKUP took over, and the processes to be weighed."""

    segment: Segment
    tap: Tap
    client: Host
    master: Carpd | Ucarp | Keepalived
    backup: Carpd | Ucarp | Keepalived

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tap.close()
        self.segment.close()
        shutil.rmtree(self.segment.directory)

    def on_wire(self, port: str) -> list[float]:
        """Times of this host's adverts of either protocol."""
        return [
            frame.time
            for frame in self.tap.frames
            if frame.port == port and frame.ethertype == 0x0800 and frame.data[23] == 112
        ]


def make(kind: str, *, count: int = 1, preempt: int = 1) -> Pair:
    """Start two of a kind and wait until the first is MASTER and the second has heard it."""
    segment = Segment(Path(tempfile.mkdtemp(prefix="bsdcarp-bench-")))
    one, two, client = segment.numbered("one", 11), segment.numbered("two", 12), segment.numbered("client", 200)
    tap = Tap(segment)
    master: Carpd | Ucarp | Keepalived
    backup: Carpd | Ucarp | Keepalived
    if kind == "carpd":
        entries = [vhid(1 + n, f"{address(n, count)}/24") for n in range(count)]
        master = Carpd(one, *entries, preempt=preempt)
        master.wait("MASTER", count, patience=30)
        backup = Carpd(two, *({**entry, "advskew": SKEW} for entry in entries), preempt=preempt)
    elif kind == "ucarp":
        master = Ucarp(one, 1, VIP, preempt=bool(preempt))
        for n in range(1, count):
            Ucarp(one, 1 + n, address(n, count))
        eventually(lambda: master.master)  # type: ignore[union-attr]  # narrowed to Ucarp here
        backup = Ucarp(two, 1, VIP, advskew=SKEW, preempt=bool(preempt))
    else:
        master = Keepalived(one, 1, VIP if count == 1 else "", priority=255 - 1, preempt=bool(preempt), count=count)
        eventually(lambda: one.holds(address(0, count)), 30)
        backup = Keepalived(two, 1, VIP if count == 1 else "", priority=PRIORITY, preempt=bool(preempt), count=count)
    time.sleep(3.5 if count < 100 else 20)
    return Pair(segment, tap, client, master, backup)


def address(number: int, count: int) -> str:
    return VIP if count == 1 else f"198.51.{number >> 8}.{number & 255}"


def took_over(pair: Pair) -> bool:
    return pair.backup.host.holds(VIP)


# --- takeover and handover ------------------------------------------------------------------------------------------


def crash(kind: str) -> tuple[float, Pings]:
    """The MASTER's machine dies.  Returns first advert of the new MASTER minus last of the old one, and the pings."""
    with make(kind) as pair, Pinger(pair.client, [VIP]) as pinger:
        time.sleep(0.3)
        pair.master.kill()
        pair.master.host.unplug()
        eventually(lambda: took_over(pair))
        time.sleep(1.2)
        return pair.on_wire("two")[0] - pair.on_wire("one")[-1], pinger.one()


def stop(kind: str) -> tuple[float, Pings]:
    """The MASTER is stopped in an orderly way."""
    with make(kind) as pair, Pinger(pair.client, [VIP]) as pinger:
        time.sleep(0.3)
        begun = time.time()
        pair.master.stop()
        eventually(lambda: took_over(pair))
        time.sleep(1.2)
        return min(at for at in pair.on_wire("two") if at > begun) - begun, pinger.one()


def there_and_back(kind: str, rounds: int) -> dict[str, list[Pings]]:
    """Hand over while both stay up, and take back."""
    found: dict[str, list[Pings]] = {"failover": [], "failover --undo": [], "demote 240": [], "undemote": []}
    with make(kind) as pair, Pinger(pair.client, [VIP]) as pinger:
        spans: list[tuple[str, float]] = []
        master = pair.master
        if isinstance(master, Carpd):
            for _ in range(rounds):
                for name, command, words in (
                    ("failover", "failover", {"vhid": 1, "interface": None, "undo": False}),
                    ("failover --undo", "failover", {"vhid": 1, "interface": None, "undo": True}),
                    ("demote 240", "demote", {"amount": 240}),
                    ("undemote", "undemote", {}),
                ):
                    spans.append((name, time.monotonic()))
                    master.ask(command, **words)
                    time.sleep(2.6)
        elif isinstance(master, Ucarp):
            for _ in range(rounds):
                spans.append(("failover", time.monotonic()))
                master.process.send(signal.SIGUSR2)
                eventually(lambda: took_over(pair))
                time.sleep(2)
                spans.append(("failover --undo", time.monotonic()))
                eventually(lambda: not took_over(pair), 20)
                time.sleep(2)
        spans.append(("", time.monotonic()))
        seen = pinger.one()
    for (name, start), (_, end) in pairwise(spans):
        found[name].append(seen.between(start - 0.05, end - 0.05))
    return {name: pings for name, pings in found.items() if pings}


# --- jitter, cost, many vhids ---------------------------------------------------------------------------------------


def deviations(pair: Pair, seconds: float, nominal: float = 1.0) -> list[float]:
    """How much each interval between two adverts of one vhid was off, in seconds."""
    begun = time.time()
    time.sleep(seconds)
    per_vhid: dict[int, list[float]] = {}
    for frame in pair.tap.frames:
        if frame.port == "one" and frame.time >= begun and frame.ethertype == 0x0800 and frame.data[23] == 112:
            per_vhid.setdefault(frame.data[14 + (frame.data[14] & 15) * 4 + 1], []).append(frame.time)
    return [abs(later - earlier - nominal) for times in per_vhid.values() for earlier, later in pairwise(times)]


def processor_seconds(pair: Pair, host: str) -> float:
    """What the daemons of one host have had of the processors, from the scheduler's own account."""
    total = 0
    for pid in pids(pair, host):
        for task in Path("/proc", str(pid), "task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory(pair: Pair, host: str) -> tuple[float, float]:
    """RSS and PSS of the daemons of one host, in MiB."""
    rss = pss = 0
    for pid in pids(pair, host):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            rss += int(rest.split()[0]) if name == "Rss" else 0
            pss += int(rest.split()[0]) if name == "Pss" else 0
    return rss / 1024, pss / 1024


def pids(pair: Pair, host: str) -> list[int]:
    wanted = next(each for each in pair.segment.hosts if each.name == host)
    return wanted.pids()


def cost(kind: str, seconds: float) -> str:
    with make(kind) as pair:
        before = [processor_seconds(pair, host) for host in ("one", "two")]
        time.sleep(seconds)
        spent = [
            (processor_seconds(pair, host) - was) / seconds * 100
            for host, was in zip(("one", "two"), before, strict=True)
        ]
        rss, pss = memory(pair, "one")
        return f"| {kind} | {spent[0]:.3f} % | {spent[1]:.3f} % | {rss:.1f} | {pss:.1f} |"


def many(kind: str, seconds: float) -> str:
    """255 vhids on one interface."""
    begun = time.monotonic()
    with make(kind, count=255) as pair:
        started = time.monotonic() - begun
        before = [processor_seconds(pair, host) for host in ("one", "two")]
        late = sorted(deviations(pair, seconds))
        spent = [
            (processor_seconds(pair, host) - was) / seconds * 100
            for host, was in zip(("one", "two"), before, strict=True)
        ]
        missed = sum(each > 0.5 for each in late)
        wrong = len({frame for frame in pair.on_wire("two") if frame > time.time() - seconds})
        rss, _ = memory(pair, "one")
        pair.master.kill()
        pair.master.host.unplug()
        time.sleep(6)
        ends: dict[int, list[float]] = {}
        for frame in pair.tap.frames:
            if frame.ethertype == 0x0800 and frame.data[23] == 112:
                number = frame.data[14 + (frame.data[14] & 15) * 4 + 1]
                last_one, first_two = ends.setdefault(number, [0.0, 0.0])
                if frame.port == "one":
                    ends[number][0] = frame.time
                elif not first_two and last_one:
                    ends[number][1] = frame.time
        took = sorted(two - one for one, two in ends.values() if two)
        return (
            f"| {kind} | {started:.0f} s | {len(late)} | {missed} | {wrong} | {percentile(late, 99) * 1000:.1f} ms | "
            f"{late[-1] * 1000:.1f} ms | {spent[0]:.1f} / {spent[1]:.1f} % | {rss:.0f} | {len(took)}: "
            f"{statistics.median(took):.3f} to {took[-1]:.3f} s |"
        )


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


# --- the run --------------------------------------------------------------------------------------------------------

KINDS = ("carpd", "ucarp", "keepalived")


def together(work: Callable[[str], object], kinds: Sequence[str] = KINDS) -> dict[str, object]:
    with ThreadPoolExecutor(len(kinds)) as pool:
        futures = {kind: pool.submit(work, kind) for kind in kinds}
        return {kind: future.result() for kind, future in futures.items()}


def report(title: str, results: dict[str, list[tuple[float, Pings]]], nominal: float | None) -> None:
    print(f"\n### {title}\n")
    head = "time on the wire - nominal: median (worst)" if nominal else "until the other's advert: median (worst)"
    print(f"| | n | {head} | gap of the client: median (worst) | pings lost: median | client itself late by at most |")
    print("|---|---|---|---|---|---|")
    for kind, runs in results.items():
        off = [(took - nominal if nominal else took) * 1000 for took, _ in runs]
        gaps = [pings.gap * 1000 for _, pings in runs]
        lost = statistics.median(pings.lost for _, pings in runs)
        stall = max(pings.stall for _, pings in runs) * 1000 - 10
        worst = max(off, key=abs)
        print(
            f"| {kind} | {len(runs)} | {statistics.median(off):+.1f} ms ({worst:+.1f}) | "
            f"{statistics.median(gaps):.0f} ms ({max(gaps):.0f}) | {lost:.0f} | {stall:.0f} ms |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("part", nargs="*", help="crash stop handover jitter cost many (default: all)")
    chosen = parser.parse_args()
    wanted = chosen.part or ["crash", "stop", "handover", "jitter", "cost", "many"]
    sweep()
    cpu = next(
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(
        f"{now}, {cpu}, {os.cpu_count()} processors, Linux {platform.release()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.2f}"
    )
    for argv in (["ucarp", "-h"], ["keepalived", "--version"]):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        print("* " + (done.stdout + done.stderr).strip().splitlines()[0])
    for name, work, nominal, title in (
        ("crash", crash, 3 + SKEW / 256, "The MASTER's machine dies (SIGKILL and the cable): nominal 3.391 s"),
        ("stop", stop, None, "The MASTER is stopped (SIGTERM)"),
    ):
        if name in wanted:
            results: dict[str, list[tuple[float, Pings]]] = {kind: [] for kind in KINDS}
            for _ in range(chosen.rounds):
                for kind, result in together(work).items():
                    results[kind].append(result)  # type: ignore[arg-type]  # what crash and stop return
            report(title, results, nominal)
    if "handover" in wanted:
        print(
            "\n### Handover by hand while both stay up\n\n"
            "| | n | gap: median (worst) | lost: median | late |\n|---|---|---|---|---|"
        )
        both = together(lambda kind: there_and_back(kind, chosen.rounds), ("carpd", "ucarp"))
        for kind, found in both.items():
            for name, pings in found.items():  # type: ignore[attr-defined]  # what there_and_back returns
                gaps = [each.gap * 1000 for each in pings]
                print(
                    f"| {kind} {name} | {len(gaps)} | {statistics.median(gaps):.0f} ms ({max(gaps):.0f}) | "
                    f"{statistics.median(each.lost for each in pings):.0f} | "
                    f"{max(each.stall for each in pings) * 1000 - 10:.0f} ms |"
                )
    if "jitter" in wanted:
        jitter(chosen.seconds)
    if "cost" in wanted:
        print(f"\n### Cost at rest, one vhid, {chosen.seconds:.0f} s\n")
        print("| | processor as MASTER | as BACKUP | RSS MiB | PSS MiB |\n|---|---|---|---|---|")
        for line in together(lambda kind: cost(kind, chosen.seconds)).values():
            print(line)
    if "many" in wanted:
        print(f"\n### 255 vhids on one interface, {chosen.seconds:.0f} s, then the MASTER's machine dies\n")
        print(
            "| | start and first election | intervals | missed | adverts of the BACKUP | off by, p99 | worst | "
            "processor MASTER / BACKUP | RSS MiB | takeovers: median to last |\n"
            "|---|---|---|---|---|---|---|---|---|---|"
        )
        for kind in ("carpd", "keepalived"):
            print(many(kind, chosen.seconds))


def jitter(seconds: float) -> None:
    """Eight vhids of each kind while every processor is kept busy by somebody else."""
    print(f"\n### Advert intervals, 8 vhids each, {seconds:.0f} s\n")
    print("| | processors | intervals | off by, median | p99 | worst |\n|---|---|---|---|---|---|")
    pairs = together(lambda kind: make(kind, count=8))
    for label in ("as they are", "all busy"):
        hogs = [
            subprocess.Popen([sys.executable, "-I", "-c", "while True: pass"])
            for _ in range(os.cpu_count() or 1)
            if label == "all busy"
        ]
        try:
            time.sleep(2)
            found = together(lambda kind: deviations(pairs[kind], seconds))  # type: ignore[arg-type]  # what make returns
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
        for kind, late in found.items():
            ordered = sorted(each * 1000 for each in late)  # type: ignore[attr-defined]  # what deviations returns
            print(
                f"| {kind} | {label} | {len(ordered)} | {statistics.median(ordered):.2f} ms | "
                f"{percentile(ordered, 99):.2f} ms | {ordered[-1]:.2f} ms |"
            )
    for pair in pairs.values():
        pair.__exit__()  # type: ignore[attr-defined]  # what make returns


if __name__ == "__main__":
    main()
