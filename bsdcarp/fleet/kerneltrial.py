"""Installing a kernel beside the old one, one trial boot, and only then the default.

At no moment does anything but a boot of its own choose the new kernel before it has shown that it works: the trial is
for one boot, so a host that does not come back boots the old kernel the next time, by itself or by its power switch.
"""

from __future__ import annotations

from collections.abc import Mapping

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, PlanError, RemoteError
from bsdcarp.fleet.course import Assessment, assess
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.kernels import (
    KernelResult,
    KernelView,
    load_module,
    look_at_kernel,
    put_into_force,
    room_or_refuse,
    run_program,
)
from bsdcarp.fleet.order import neighbours
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.reboot import Rebooted, reboot_host
from bsdcarp.fleet.results import Row, row_of_error
from bsdcarp.fleet.terms import operator
from bsdcarp.fleet.verification import wait_for_election
from bsdcarp.kernels import default_plan, end_trial_script, install_script, trial_script
from bsdcarp.kernels.decide import SPACE_INSTALL, new_directory, running_directory
from bsdcarp.model import Finding, Secret, Severity
from bsdcarp.platforms.paths import RECORD_PATH
from bsdcarp.snapshot import Snapshot

__all__ = ["Terms", "Trial", "install_kernel"]


@dataclass(frozen=True, slots=True)
class Terms:
    """How an installation goes about its work."""

    steal: bool = False
    """Take the lock away from a process that is gone."""
    trial: bool = True
    """False stops before the trial: the kernel lies beside the old one, and nothing boots it."""


def install_kernel(
    fleet: Fleet, view: KernelView, secrets: Mapping[str, Secret], terms: Terms | None = None
) -> KernelResult | Trial:
    """Bring one host further: the module into loader.conf, or a kernel beside the old one, which then is to be tried.

    Each step looks at what is there, so an installation that was cut off goes on where it stopped.  Reboots nothing.
    """
    how = terms or Terms()
    try:
        if view.error or view.snapshot is None or view.decision is None or view.boot is None:
            if view.decision and view.decision.step == "nothing":
                return KernelResult(Row(view.host, "unchanged", view.decision.why))
            raise view.error or RemoteError("nothing is known of its kernels", place=view.host)
        match view.decision.step:
            case "nothing":
                return KernelResult(Row(view.host, "unchanged", view.decision.why))
            case "refuse":
                raise PlanError(view.decision.why, place=view.host, remedy=view.decision.remedy)
            case "build":
                raise PlanError(view.decision.why, place=view.host, remedy="`bsdcarp kernel build` builds it")
            case "module":
                return load_module(fleet, view, steal=how.steal)
            case "default":
                running = running_directory(view.snapshot)
                name = running if view.snapshot.carp == "static" else view.boot.directory
                return KernelResult(_make_default(fleet, view, view.snapshot, name, view.decision.why, how))
            case "install":
                return _install(fleet, view, view.snapshot, secrets, how)
    except BsdcarpError as error:
        return KernelResult(row_of_error(view.host, error))


def _install(
    fleet: Fleet, view: KernelView, snapshot: Snapshot, secrets: Mapping[str, Secret], how: Terms
) -> KernelResult | Trial:
    if view.facts is None or view.boot is None:
        raise RemoteError("nothing is known of its kernels", place=view.host)
    elsewhere = bool(view.place.target)
    if how.trial and not elsewhere:
        _one_shot(view)
    room_or_refuse(view.host, "/boot", view.facts.boot.free, SPACE_INSTALL)
    # What cannot be made the default need not be tried.
    name = new_directory(view.place.ident, snapshot, view.boot, running=not elsewhere)
    default_plan(view.host, snapshot, name, view.can)
    near = [name for name in neighbours(fleet.inventory, [view.host]) if name != view.host]
    earlier = Assessment()
    if how.trial and not elsewhere:
        earlier = assess(fleet.inventory, {**fleet.look(near), view.host: Look(view.host, snapshot=snapshot)}, secrets)
        _applied(view.host, snapshot, earlier)
    owner = operator()
    fleet.tell(Event(view.host, "applying", f"make installkernel into /boot/{name}"))
    report = run_program(
        fleet, view.host, lambda token: install_script(view.place, name, owner=owner, steal=how.steal, token=token)
    )
    if report.word != "installed":
        return KernelResult(Row(view.host, "failed" if report.log else "refused", report.reason), report.log)
    if elsewhere:
        # Nothing runs there, so nothing can be tried: what boots it for one boot is the boot environment itself.
        why = (
            f"/boot/{name} below {view.place.target}; it is tried when that system boots, so boot that one for one boot"
        )
        return KernelResult(_make_default(fleet, view, snapshot, name, why, how))
    if not how.trial:
        return KernelResult(Row(view.host, "changed", f"/boot/{name} is there, and nothing boots it"))
    return Trial(fleet, view, name, tuple(near), earlier, secrets, how)


def _applied(host: str, snapshot: Snapshot, earlier: Assessment) -> None:
    """Without carp nothing but the files tells what a boot should bring up, so they have to be right."""
    wrong = [f for f in earlier.findings if f.host == host and f.rule in ("verify-file", "verify-file-missing")]
    if snapshot.carp == "absent" and wrong:
        raise PlanError(
            f"{wrong[0].place.file.removeprefix(f'{host}:')} is not as the inventory says, so a trial boot would prove "
            "nothing",
            place=host,
            remedy="apply first; without carp in the kernel it changes the files alone",
        )


def _one_shot(view: KernelView) -> None:
    """Refuse where a kernel that panics would be booted again and again."""
    if view.facts and view.facts.boot.filesystem == "zfs" and not view.can.nextboot_zfs:
        raise PlanError(
            "/boot is on ZFS, which the loader of this release cannot write: a trial would not be for one boot only",
            place=view.host,
            remedy="make a boot environment, mount it, install there with --root, and boot that one from the console's "
            "menu; or install with --no-trial and try the kernel at the console",
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A kernel that lies beside the old one, and its one trial boot, for which the host has to stand down first."""

    fleet: Fleet
    view: KernelView
    name: str
    """Its directory below /boot."""
    near: tuple[str, ...]
    """The other members of the host's groups."""
    before: Assessment
    """What the boot is held against."""
    secrets: Mapping[str, Secret]
    how: Terms

    def boot(self, deadline: float) -> Rebooted:
        """Boot it once; whoever calls holds the host's lock.

        Raises ``RemoteError`` where the host still has its old boot, ``SshError`` where nobody knows.
        """
        host = self.view.host
        # Whatever else it may find: a module is not loaded into the kernel under trial.  nextboot(8) has -e since 9.x.
        options = f"-e {self.view.can.module}_load=NO" if self.view.can.syntax == "vhid" else ""
        report = run_program(
            self.fleet, host, lambda token: trial_script(self.view.place, self.name, options=options, token=token)
        )
        try:
            if report.word != "trying":
                raise RemoteError(report.reason, place=host)
            return reboot_host(self.fleet, host, deadline=deadline)
        except BsdcarpError as error:
            _end_trial(self.fleet, self.view, self.name)
            error.remedy = f"{error.remedy}; the next boot but that one is of the old kernel" if error.remedy else ""
            raise

    def keep(self, back: Rebooted) -> KernelResult:
        """Make it the default if it came up, with carp, and nothing is worse than before."""
        host, name = self.view.host, self.name
        if running_directory(back.snapshot) != name:
            said = running_directory(back.snapshot) or back.snapshot.bootfile
            why = f"it came back with the old kernel /boot/{said}: /boot/{name} did not come up"
            return KernelResult(Row(host, "failed", why))
        if back.snapshot.carp != "static":
            why = f"/boot/{name} came up without carp; the next boot is of the old kernel"
            return KernelResult(Row(host, "failed", why))
        if worse := self._worse(back.snapshot):
            why = f"/boot/{name} runs for this boot only, the next one is of the old kernel: {worse[0].message}"
            return KernelResult(Row(host, "not verified", why))
        now = look_at_kernel(self.fleet, host)
        if now.snapshot is None:
            raise now.error or RemoteError("nothing is known of its kernels", place=host)
        why = f"/boot/{name} was tried in a boot of {back.seconds:.0f} s, and is the default now"
        return KernelResult(_make_default(self.fleet, now, now.snapshot, name, why, self.how))

    def _worse(self, booted: Snapshot) -> list[Finding]:
        """Return the errors that were not there before the trial; an election gets its time, twice.

        Not that a module is still loaded for the old kernel: that goes with making the new one the default.
        """
        host = self.view.host
        plan = default_plan(host, booted, self.name, self.view.can)
        coming = {f"{host}:{path}" for path in (RECORD_PATH, *(change.path for change in plan.files))}
        known = {finding.about for finding in self.before.findings}
        groups = tuple(group.name for group in self.fleet.inventory.groups_of(host))
        worse: list[Finding] = []
        for _ in range(2):
            wait_for_election(self.fleet, groups)
            now = assess(self.fleet.inventory, self.fleet.look([host, *self.near]), self.secrets)
            if host in now.errors:
                raise now.errors[host]
            errors = [f for f in now.findings if f.severity is Severity.ERROR and f.place.file not in coming]
            worse = [finding for finding in errors if finding.about not in known]
            if not any(finding.rule.startswith("verify-master") for finding in worse):
                break
        return worse


def _end_trial(fleet: Fleet, view: KernelView, name: str) -> None:
    """Where it still answers, it shall not boot the new kernel at some later time, when nobody looks."""
    fleet.forget(view.host)
    try:
        run_program(fleet, view.host, lambda token: end_trial_script(view.place, name, token=token), timeout=20.0)
    except BsdcarpError:
        return


def _make_default(fleet: Fleet, view: KernelView, snapshot: Snapshot, name: str, why: str, how: Terms) -> Row:
    plan = default_plan(view.host, snapshot, name, view.can)
    if not plan:
        return Row(view.host, "changed", why)
    row = put_into_force(fleet, plan, target=view.place.target, steal=how.steal)
    return Row(view.host, row.result, why) if row.result == "changed" else row
