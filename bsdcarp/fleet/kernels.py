"""The course of kernels over hosts: looking, building, and what leads to an installation.

``kerneltrial`` installs and tries; nothing here changes what a host boots, but for loader.conf loading a module.
"""

from __future__ import annotations

import secrets as randomness
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, PlanError, RemoteError
from bsdcarp.fleet.course import HostPlan
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.mounted import Mounted
from bsdcarp.fleet.policy import Policy
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.results import Row, row_of_error
from bsdcarp.fleet.terms import new_terms
from bsdcarp.fleet.unit import Task, run_unit
from bsdcarp.kernels import (
    Decision,
    KernelFacts,
    Method,
    NextBoot,
    Place,
    Report,
    build_script,
    choose_method,
    decide,
    look_script,
    module_plan,
    parse_facts,
    progress_of,
    read_report,
)
from bsdcarp.kernels.decide import SPACE_BUILD
from bsdcarp.kernels.default import file_plan
from bsdcarp.kernels.kernconf import kernconf_text
from bsdcarp.model import Finding
from bsdcarp.plan import Plan
from bsdcarp.platforms.capabilities import LINUX, Capabilities, capabilities
from bsdcarp.platforms.paths import kernconf_path
from bsdcarp.snapshot import Snapshot

__all__ = [
    "KernelResult",
    "KernelView",
    "build_kernel",
    "load_module",
    "look_at_kernel",
    "look_at_kernels",
    "put_into_force",
    "room_or_refuse",
    "run_program",
    "watch_build",
]

_LONG = 1800.0
"""Seconds that installing may take on a slow disk."""


_ABOUT_KERNELS = frozenset(
    {
        "persist-carp-absent",
        "persist-kernel-missing",
        "persist-kernel-other",
        "persist-kernel-replaced",
        "persist-kld-list",
        "persist-loader-malformed",
        "persist-loader-name",
        "persist-loader-redundant",
        "persist-module-missing",
        "persist-nextboot",
        "persist-nextboot-zfs",
        "persist-panic",
        "persist-rc-unread",
    }
)


_WITHOUT_CARP = frozenset({"persist-carp-absent", "persist-kernel-other", "persist-module-missing"})


@dataclass(frozen=True, slots=True)
class KernelView:
    """One host with everything that decides about its kernel, or the error that prevented a look."""

    host: str
    place: Place
    snapshot: Snapshot | None = None
    facts: KernelFacts | None = None
    method: Method | None = None
    boot: NextBoot | None = None
    decision: Decision | None = None
    findings: tuple[Finding, ...] = ()
    """What the judge of the next boot says about kernel and loader."""
    error: BsdcarpError | None = None

    @property
    def can(self) -> Capabilities:
        """What its release can do."""
        return capabilities(self.snapshot.release) if self.snapshot else LINUX


@dataclass(frozen=True, slots=True)
class KernelResult:
    """How it ended on one host, and the end of a log where that explains it."""

    row: Row
    log: tuple[str, ...] = ()


def look_at_kernels(fleet: Fleet, hosts: Iterable[str], target: str = "") -> dict[str, KernelView]:
    """Look at the kernels of hosts side by side; a host that cannot be looked at carries its error."""
    names = list(hosts)
    found: dict[str, KernelView] = {}

    def one(name: str) -> None:
        found[name] = look_at_kernel(fleet, name, target)

    fleet.each(one, names)
    return {name: found[name] for name in names}


def look_at_kernel(fleet: Fleet, name: str, target: str = "") -> KernelView:
    """Look at one host, or at the system that is mounted at ``target`` there."""
    host = fleet.inventory.hosts[name]
    place = Place(host.kernel.ident, host.arch, target)
    try:
        snapshot = (Mounted(fleet, target) if target else fleet).read(name)
        can = capabilities(snapshot.release)
        method = choose_method(host, snapshot.release, can, wanted=bool(fleet.inventory.groups_of(name)))
        if can.syntax == "linux":
            fleet.tell(Event(name, "read"))
            return KernelView(name, place, snapshot, method=method, decision=Decision("nothing", method.why))
        token = randomness.token_hex(16)
        facts = parse_facts(fleet.run(name, look_script(place, token=token), timeout=60.0), token, host=name)
        boot, findings = _next_boot(name, snapshot, facts, can)
        decision = decide(method, snapshot, facts, can, boot)
    except BsdcarpError as error:
        fleet.tell(Event(name, "failed", str(error)))
        return KernelView(name, place, error=error)
    fleet.tell(Event(name, "read"))
    return KernelView(name, place, snapshot, facts, method, boot, decision, findings)


def _next_boot(
    name: str, snapshot: Snapshot, facts: KernelFacts, can: Capabilities
) -> tuple[NextBoot, tuple[Finding, ...]]:
    """Ask the judge, who knows what runs, and correct it by what the kernels themselves say."""
    from bsdcarp.judge.bootorder import boot  # not small

    state = boot(snapshot, can, name)
    findings = tuple(t.finding for t in state.troubles if t.finding.rule in _ABOUT_KERNELS)
    kernel = facts.kernel(state.carp.directory)
    source, where = state.carp.source, str(state.carp.place).removeprefix(f"{name}:")
    panics = any(finding.rule == "persist-panic" for finding in findings)
    if kernel and kernel.static:
        beside = kernel.module == can.module or bool(facts.stray)
        panics = panics or (can.syntax == "vhid" and beside and source == "loader")
        source = "static"
    if panics:
        where = next((str(f.place).removeprefix(f"{name}:") for f in findings if f.rule == "persist-panic"), where)
    once = any(finding.rule == "persist-nextboot" for finding in findings)
    if source == "static" and not panics:
        # The judge, who does not look into kernels, takes it to be without carp.
        findings = tuple(finding for finding in findings if finding.rule not in _WITHOUT_CARP)
    return NextBoot(state.carp.directory, source, where, panics, once), findings


def put_into_force(fleet: Fleet, plan: Plan, *, target: str = "", steal: bool = False) -> Row:
    """Run one plan as an armed transaction, and make it final over a new connection; taken back where that fails.

    No inventory describes what it is about, so that the host can be reached is all that is verified.
    """
    task = Task(
        Mounted(fleet, target) if target else fleet,
        {plan.host: HostPlan(plan.host, plan=plan)},
        {},
        Policy(back=True),
        new_terms(steal=steal),
    )
    return run_unit(task, [plan.host]).rows[plan.host]


def load_module(fleet: Fleet, view: KernelView, *, steal: bool = False) -> KernelResult:
    """Let loader.conf load the module at every boot, and load it now unless the securelevel forbids it."""
    snapshot, decision = _known(view)
    plan = module_plan(view.host, snapshot, view.can)
    if view.place.target:
        plan = replace(plan, live=())
    row = put_into_force(fleet, plan, target=view.place.target, steal=steal)
    if row.result == "changed":
        later = snapshot.carp == "absent" and not plan.live
        row = replace(row, detail=f"{decision.why}{'; reboot it: `bsdcarp reboot`' if later else ''}")
    return KernelResult(row)


def build_kernel(fleet: Fleet, view: KernelView, *, jobs: int = 0, steal: bool = False) -> KernelResult:
    """Start a build on one host, or find the one that runs.

    ``jobs`` compilers at once; 0 is one for each processor.
    """
    try:
        snapshot, decision = _known(view)
        if decision.step == "refuse":
            raise PlanError(decision.why, place=view.host, remedy=decision.remedy)
        if decision.step == "install":
            return KernelResult(Row(view.host, "built", decision.why))
        if decision.step != "build" or view.facts is None:
            why = f"no kernel has to be built: {view.method.why if view.method else ''}"
            return KernelResult(Row(view.host, "unchanged", decision.why if decision.step == "nothing" else why))
        if view.facts.build.state != "running":
            room_or_refuse(view.host, "/usr/obj", view.facts.obj.free, SPACE_BUILD)
            row = _configure(fleet, view, snapshot, steal=steal)
            if row:
                return KernelResult(row)
        report = run_program(
            fleet, view.host, lambda token: build_script(view.place, jobs=jobs or _jobs(view), token=token)
        )
        if report.word not in ("started", "attached"):
            return KernelResult(Row(view.host, "refused", report.reason), report.log)
    except BsdcarpError as error:
        return KernelResult(row_of_error(view.host, error))
    word = "started" if report.word == "started" else "it was under way already"
    return KernelResult(Row(view.host, "building", f"{word}; it goes on without this session"))


def _jobs(view: KernelView) -> int:
    return view.facts.cpus if view.facts else 1


def room_or_refuse(host: str, directory: str, free: int, wanted: int) -> None:
    """Raise ``PlanError`` where fewer kilobytes are free than wanted."""
    if free < wanted:
        raise PlanError(
            f"{directory} has {free // 1000} MB left, and {wanted // 1000} MB are wanted",
            place=host,
            remedy="make room there, or mount a larger file system",
        )


def _configure(fleet: Fleet, view: KernelView, snapshot: Snapshot, *, steal: bool) -> Row | None:
    """Put the kernel configuration on the host; return how that failed, if it did."""
    host = fleet.inventory.hosts[view.host]
    path = kernconf_path(host)
    plan = file_plan(view.host, snapshot, path, kernconf_text(host, view.can, snapshot))
    if not plan:
        return None
    row = put_into_force(fleet, plan, steal=steal)
    return None if row.result == "changed" else row


def run_program(fleet: Fleet, host: str, script: Callable[[str], bytes], *, timeout: float = _LONG) -> Report:
    """Run what ``script`` makes of a marker, and read how it ended.  Raises ``SshError``."""
    token = randomness.token_hex(16)
    return read_report(fleet.run(host, script(token), timeout=timeout), token)


def watch_build(fleet: Fleet, host: str, *, pause: float = 2.0) -> KernelResult:
    """Follow a build to its end and tell how far it is; an interrupt leaves it running."""
    while True:
        view = look_at_kernel(fleet, host)
        if view.error or view.facts is None:
            error = view.error or RemoteError("nothing is known of its kernels", place=host)
            return KernelResult(row_of_error(host, error))
        build = view.facts.build
        match build.state:
            case "running":
                fleet.tell(Event(host, "waiting", f"building: {progress_of(build)}"))
                if fleet.stopping:
                    return KernelResult(Row(host, "building", "it goes on; `bsdcarp kernel build` shows how far it is"))
            case "done":
                fleet.tell(Event(host, "done"))
                return KernelResult(Row(host, "built", "`bsdcarp kernel install` installs and tries it"))
            case "failed":
                return KernelResult(Row(host, "failed", "the build failed; its last lines follow"), build.log)
            case _:
                return KernelResult(Row(host, "failed", "the build was cut off by a restart"), build.log)
        time.sleep(pause)


def _known(view: KernelView) -> tuple[Snapshot, Decision]:
    if view.error or view.snapshot is None or view.decision is None:
        raise view.error or RemoteError("nothing is known of its kernels", place=view.host)
    return view.snapshot, view.decision
