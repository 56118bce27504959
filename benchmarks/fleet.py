"""How long a fresh apply, a no-op apply and a diff take on 20 hosts, against a plain shell loop over ssh.

Boots 20 hosts, each an OpenSSH sshd in its own network namespace and root with simulated FreeBSD commands, and times,
side by side in one run:

  floor   one ``ssh HOST /bin/sh -s`` per host, all at once, with the same edits and the same live commands, no check
  apply   ``bsdcarp apply --confirm never`` on fresh hosts, verification included: one connection a host, like the
          floor's, three execs (--no-wait: the election itself takes 3 s by protocol)
  armed   the same as it is by default: the undo armed, verified and confirmed over a second connection
  no-op   ``bsdcarp apply`` when nothing has to change
  diff    ``bsdcarp diff`` when nothing has to change

Every figure is a whole process, started anew, Python's own start included.  Needs root on Linux.

Twenty hosts have twenty disks, and FreeBSD's cp(1) loads nothing but libc.  Twenty roots on this machine would share
one disk, whose journal then is most of what is measured, and GNU's cp loads the libraries of SELinux and of ACLs.  So
the roots lie in memory (``--on DIRECTORY`` for elsewhere), and the plain commands are busybox's (``--gnu`` for GNU's);
floor and bsdcarp run on the same hosts either way.

    python benchmarks/fleet.py [--hosts 20] [--rounds 5] [--on DIRECTORY] [--gnu]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from realhosts.harness import RealCluster, why_not  # noqa: E402  # found through the path set above
from realhosts.inventories import pairs  # noqa: E402

from bsdcarp.fleet.course import plan_hosts  # noqa: E402
from bsdcarp.fleet.hosts import Fleet, Look, Options  # noqa: E402
from bsdcarp.model import Inventory, Secret  # noqa: E402
from bsdcarp.plan import FileChange, Plan  # noqa: E402

PASSWORD = "Benchmark1"  # of hosts that live for a minute
FILES = ("/etc/rc.conf", "/etc/sysctl.conf", "/boot/loader.conf")


def inventory_text(inventory: Inventory) -> str:
    lines = ["version: 1", "sysctl: {allow: 1, preempt: 1, log: 1}", "hosts:"]
    lines += [
        f"  {h.name}: {{address: {h.address}, interface: {h.interface}, os: {h.os}}}" for h in inventory.hosts.values()
    ]
    lines.append("groups:")
    for group in inventory.groups.values():
        members = ", ".join(m.host for m in group.members)
        addresses = ", ".join(map(str, group.addresses))
        lines.append(
            f"  {group.name}: {{vhid: {group.vhid}, password: {{env: BENCH_PASSWORD}}, addresses: [{addresses}],"
            f" members: [{members}]}}"
        )
    return "\n".join([*lines, ""])


def plain_script(plan: Plan) -> str:
    """What somebody would send by hand: the added lines appended, the live commands run."""
    lines = ["PATH=/sbin:/bin:/usr/sbin:/usr/bin"]
    for change in plan.files:
        if isinstance(change, FileChange) and change.path in FILES:
            before = (change.before or "").splitlines()
            added = [line for line in (change.after or "").splitlines() if line not in before]
            lines += [f"cat >>{change.path} <<'EOF'", *added, "EOF"]
    lines += [change.command.shell for change in plan.live]
    return "\n".join([*lines, ""])


def timed(arguments: Sequence[str], environment: dict[str, str], expected: Sequence[int] = (0,)) -> float:
    begun = time.perf_counter()
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    spent = time.perf_counter() - begun
    if done.returncode not in expected:
        sys.exit(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return spent


def shell_loop(cluster: RealCluster, scripts: dict[str, Path]) -> float:
    begun = time.perf_counter()
    running = []
    for name, script in scripts.items():
        with script.open("rb") as stream:
            running.append(
                subprocess.Popen(
                    ["ssh", "-F", str(cluster.ssh_config), "-o", "BatchMode=yes", name, "/bin/sh -s"],
                    stdin=stream,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
            )
    for process in running:
        _, errors = process.communicate()
        if process.returncode:
            sys.exit(f"the shell loop failed: {errors.decode()}")
    return time.perf_counter() - begun


def reset(cluster: RealCluster, pristine: dict[str, dict[str, bytes]]) -> None:
    """Bring every host back to fresh: its files as they were, then a boot."""
    for name, machine in cluster.machines.items():
        for path, data in pristine[name].items():
            machine.tree.path(path).write_bytes(data)
        subprocess.run(["rm", "-rf", str(machine.tree.path("/var/db/bsdcarp"))], check=True)
        machine.power_off()
        machine.boot()


def plans_of(cluster: RealCluster, inventory: Inventory, path: Path) -> dict[str, Plan]:
    del path
    secrets = {group: Secret(PASSWORD) for group in inventory.groups}
    with Fleet(inventory, Options(ssh_config=cluster.ssh_config)) as fleet:
        looks: dict[str, Look] = fleet.look(inventory.hosts)
    plans = plan_hosts(inventory, looks, secrets)
    bad = [entry.error for entry in plans.values() if entry.error]
    if bad:
        sys.exit(str(bad[0]))
    return {name: entry.plan for name, entry in plans.items() if entry.plan}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--on", type=Path, help="where the hosts' roots lie (default: /dev/shm, if there is one)")
    parser.add_argument("--gnu", action="store_true", help="GNU's cp, mv and so on instead of busybox's")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        sys.exit(f"this benchmark needs {reason}")
    from bsdcarp.inventory import load, require

    shape = pairs(["14.2"] * options.hosts, PASSWORD)
    memory = Path("/dev/shm")
    on = options.on or (memory if memory.is_dir() else None)
    with tempfile.TemporaryDirectory(prefix="bsdcarp-bench-", dir=on) as scratch:
        path = Path(scratch) / "inventory.yml"
        path.write_text(inventory_text(shape), encoding="utf-8")
        inventory = require(load(path))
        with RealCluster.start(inventory, Path(scratch) / "hosts", small=not options.gnu) as cluster:
            figures = measure(cluster, inventory, path, options.rounds)
    show(figures, options.hosts, as_json=options.json)


def measure(cluster: RealCluster, inventory: Inventory, path: Path, rounds: int) -> dict[str, list[float]]:
    environment = {**os.environ, "BENCH_PASSWORD": PASSWORD}
    # An installed bsdcarp runs from compiled files; make sure that this one does too.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    pristine = {
        name: {path: machine.tree.path(path).read_bytes() for path in FILES}
        for name, machine in cluster.machines.items()
    }
    scripts: dict[str, Path] = {}
    for name, plan in plans_of(cluster, inventory, path).items():
        scripts[name] = cluster.directory / f"{name}.sh"
        scripts[name].write_text(plain_script(plan), encoding="utf-8")
    bsdcarp = [sys.executable, "-m", "bsdcarp"]
    reach = [str(path), "--ssh-config", str(cluster.ssh_config)]
    figures: dict[str, list[float]] = {"floor": [], "apply": [], "armed": [], "no-op": [], "diff": []}
    for turn in range(rounds + 1):
        reset(cluster, pristine)
        floor = shell_loop(cluster, scripts)
        reset(cluster, pristine)
        fresh = timed([*bsdcarp, "apply", *reach, "--yes", "--no-wait", "--confirm", "never"], environment)
        reset(cluster, pristine)
        armed = timed([*bsdcarp, "apply", *reach, "--yes", "--no-wait"], environment)
        time.sleep(4.5)  # the election, which apply was told not to wait for
        again = timed([*bsdcarp, "apply", *reach, "--yes"], environment)
        diff = timed([*bsdcarp, "diff", *reach], environment)
        if turn:  # the first round only warms up
            for name, value in zip(figures, (floor, fresh, armed, again, diff), strict=True):
                figures[name].append(value)
    return figures


def show(figures: dict[str, list[float]], hosts: int, *, as_json: bool) -> None:
    floor = figures["floor"]
    ratios = {name: [v / f for v, f in zip(values, floor, strict=True)] for name, values in figures.items()}
    if as_json:
        print(json.dumps({"hosts": hosts, "seconds": figures, "ratios": ratios}, indent=2))
        return
    print(f"{hosts} hosts, {len(floor)} rounds, seconds (median, min-max) and ratio to the floor of the same round")
    limits = {"apply": 0.8, "no-op": 0.6, "diff": 0.6}
    for name, values in figures.items():
        ratio = statistics.median(ratios[name])
        goal = f"  goal {limits[name]}: {'met' if ratio <= limits[name] else 'MISSED'}" if name in limits else ""
        print(f"  {name:6} {statistics.median(values):6.2f}  ({min(values):.2f}-{max(values):.2f})  x{ratio:.2f}{goal}")


if __name__ == "__main__":
    main()
