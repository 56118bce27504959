"""Proof that a host came back as it was: its files, its live state, its groups, and who is MASTER."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError
from bsdcarp.fleet.health import Situation, observe
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.reboot import BOOTING
from bsdcarp.fleet.verification import settle_seconds
from bsdcarp.model import Finding, Place, Secret, Severity
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot
from bsdcarp.snapshot.cksum import cksum

__all__ = ["Proof", "changed_files", "prove"]

_PREFERRED = "verify-preferred-master"
_DEMOTED = 75.0
"""Seconds that pfsync may keep a host demoted after a boot: twelve tries of five seconds (if_pfsync.c)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found at last, and what of it the reboot is to blame for."""

    findings: tuple[Finding, ...] = ()
    serious: tuple[Finding, ...] = ()
    error: BsdcarpError | None = None
    """The host, or a neighbour that could be asked before, cannot be asked any more."""


def changed_files(desired: Desired, before: Snapshot, after: Snapshot) -> tuple[Finding, ...]:
    """Return a finding for every managed file that is another one after the reboot."""
    changed = [path for path in desired.files if _checksum(before, path) != _checksum(after, path)]
    if desired.programs and before.linux and after.linux and before.linux.program != after.linux.program:
        changed += desired.programs
    return tuple(
        Finding(
            "reboot-file-changed",
            Severity.ERROR,
            "the file is not what it was before the reboot: something writes it at boot",
            "look for what does (an image, a configuration system, a read-only root), then run apply",
            Place(f"{desired.host}:{path}"),
            desired.host,
        )
        for path in changed
    )


def _checksum(snapshot: Snapshot, path: str) -> str | None:
    state = snapshot.files.get(path)
    return None if state is None else cksum(state.text.encode("utf-8", "surrogateescape"))


def prove(
    fleet: Fleet,
    secrets: Mapping[str, Secret],
    host: str,
    near: Collection[str],
    *,
    known: Collection[tuple[str, str, str]],
    absent: Mapping[str, Look],
    served: Collection[tuple[str, str]] = (),
) -> Proof:
    """Judge ``host`` and its groups until all is well, or until the election and the boot must be over.

    ``known`` are rule, host and group of what was wrong before, for which this reboot is not to blame unless it is
    about the host itself; ``absent`` are the neighbours that could not be asked before.
    ``served`` are group and host of who was MASTER before: other preferred masters need not be so now.
    """
    groups = tuple(group.name for group in fleet.inventory.groups_of(host))
    begun = time.monotonic()
    election = settle_seconds(fleet.inventory, groups)
    patience = 2 * election + BOOTING
    while True:
        fleet.tell(Event(host, "waiting", "for its roles", max(patience - (time.monotonic() - begun), 0.0)))
        fleet.forget(host)
        proof, demoted = _judged(observe(fleet, secrets, near, absent=absent), host, groups, known, absent, served)
        # What no file would bring up does not come by waiting.
        hopeless = any(f.rule.startswith("persist-") for f in proof.serious)
        limit = election if hopeless else max(patience, _DEMOTED) if demoted else patience
        over = time.monotonic() - begun > limit
        if over or fleet.stopping or not (proof.serious or proof.error):
            return proof
        time.sleep(0.5)


def _judged(
    now: Situation,
    host: str,
    groups: tuple[str, ...],
    known: Collection[tuple[str, str, str]],
    absent: Collection[str],
    served: Collection[tuple[str, str]],
) -> tuple[Proof, bool]:
    live, boot = now.judge(), now.judge([host], boot=True)
    findings = tuple(dict.fromkeys((*live.findings, *boot.findings)))
    error = next((now.errors[name] for name in (host, *now.errors) if name in now.errors and name not in absent), None)
    mine = [f for f in findings if f.host == host or (f.group in groups and f.about not in known)]
    serious = tuple(f for f in mine if f.severity is Severity.ERROR or _robbed(f, host, served))
    snapshot = now.looks[host].snapshot
    return Proof(findings, serious, error), bool(snapshot and snapshot.sysctls.get("demotion", 0))


def _robbed(finding: Finding, host: str, served: Collection[tuple[str, str]]) -> bool:
    """The preferred master, which preempts, has not taken over again; without preempt that is a mere remark."""
    concerned = finding.host == host or (finding.group, finding.host) in served
    return finding.rule == _PREFERRED and finding.severity is Severity.WARNING and concerned
