"""What has to be done about a host's kernel, if anything: nothing is built that is there already."""

from __future__ import annotations

from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.kernels.facts import KernelFacts
from bsdcarp.kernels.method import Method
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.snapshot import Snapshot

__all__ = [
    "SPACE_BUILD",
    "SPACE_INSTALL",
    "Decision",
    "NextBoot",
    "Step",
    "decide",
    "new_directory",
    "running_directory",
]

Step = Literal["nothing", "module", "default", "build", "install", "refuse"]
"""Nothing; let loader.conf load the module; make the running kernel the default; build; install what is built and try
it; or nothing that bsdcarp would do."""

SPACE_BUILD = 4_000_000
"""Kilobytes wanted in /usr/obj.  A rule of thumb: nothing tells how much a GENERIC with its modules and symbols takes
before it is built, and it grows from release to release."""
SPACE_INSTALL = 400_000
"""Kilobytes wanted in /boot, on the same terms: the kernel and its modules without their symbols."""
_SPARE = 9
"""Directories that are tried for a new kernel before the old ones have to go."""


@dataclass(frozen=True, slots=True)
class NextBoot:
    """What the boot configuration says, as a judge worked it out."""

    directory: str
    """Below /boot."""
    source: str
    """Where carp will come from: ``static``, ``loader``, ``kld``, ``autoload`` or ``absent``."""
    where: str = ""
    """File and line that bring it."""
    panics: bool = False
    """Whether that boot would load a module into a kernel that has it compiled in."""
    once: bool = False
    """Whether nextboot(8) chose it, for that boot only."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step, the reason for it, and what the operator can do where there is none."""

    step: Step
    why: str
    remedy: str = ""


def decide(method: Method, snapshot: Snapshot, facts: KernelFacts, can: Capabilities, boot: NextBoot) -> Decision:
    """Return the next step for a host that should have carp by ``method``."""
    if method.name == "none":
        return Decision("nothing", method.why)
    running = running_directory(snapshot)
    if boot.panics:
        return Decision("default", f"the next boot would panic: {boot.where} loads a module that is compiled in")
    if snapshot.carp == "static":
        if boot.directory == running:
            return Decision("nothing", f"the running kernel /boot/{running} has carp compiled in, and is the default")
        if method.name == "static":
            return Decision(
                "default", f"/boot/{running} runs and has carp compiled in, but /boot/{boot.directory} boots next"
            )
    if method.name == "module":
        return _module(snapshot, facts, can, boot)
    return _static(snapshot, facts)


def _module(snapshot: Snapshot, facts: KernelFacts, can: Capabilities, boot: NextBoot) -> Decision:
    kernel = facts.kernel(boot.directory)
    if kernel and kernel.static:
        # Loading a module at the next boot of such a kernel is what made a 12.1 panic.
        return Decision(
            "nothing" if snapshot.carp != "absent" else "refuse",
            f"/boot/{boot.directory}, which boots next, has carp compiled in",
            "reboot, and it is there",
        )
    if kernel and kernel.module != can.module and not facts.stray:
        return Decision(
            "refuse",
            f"/boot/{boot.directory} boots next and holds no {can.module}.ko",
            "install the modules that belong to that kernel, or write `method: static` in the inventory",
        )
    if snapshot.carp == "module" and boot.source == "loader":
        return Decision("nothing", f"the module is loaded, and {boot.where or 'loader.conf'} loads it at the next boot")
    if snapshot.carp == "absent" and snapshot.securelevel > 0:
        return Decision(
            "module",
            f"kern.securelevel {snapshot.securelevel} forbids loading {can.module}.ko now; loader.conf will do it",
        )
    return Decision("module", "loader.conf has to load it")


def _static(snapshot: Snapshot, facts: KernelFacts) -> Decision:
    if facts.sources is None and not facts.built:
        return Decision(
            "refuse",
            "there is no source tree in /usr/src",
            f"put the sources of {snapshot.release} there, for instance from src.txz of the release",
        )
    if facts.sources not in (None, "unknown") and facts.sources.split(".")[0] != str(snapshot.release.major):
        return Decision(
            "refuse",
            f"the sources in /usr/src are FreeBSD {facts.sources}, the host runs {snapshot.release}",
            "kernel and programs have to be of one release; fetch the right sources",
        )
    if facts.build.state == "running":
        return Decision("build", "the build runs")
    if facts.built:
        return Decision("install", "the kernel is built, and neither configuration nor sources changed since")
    match facts.build.state:
        case "failed":
            return Decision("build", "the last build failed")
        case "interrupted":
            return Decision("build", "the last build was cut off by a restart")
        case "done":
            return Decision("build", "the configuration or the sources changed since the last build")
        case _:
            return Decision("build", "the running kernel has no carp compiled in")


def running_directory(snapshot: Snapshot) -> str:
    """Return the directory below /boot of the running kernel, empty when kern.bootfile does not tell."""
    words = snapshot.bootfile.strip("/").split("/")
    return words[-2] if len(words) >= 2 and words[-1] == "kernel" else ""


def new_directory(ident: str, snapshot: Snapshot, boot: NextBoot, *, running: bool = True) -> str:
    """Return a directory below /boot for a kernel called ``ident`` that neither runs now nor boots next.

    So a power loss while it is filled leaves the loader everything it needs.  A trial that was chosen and never booted
    is begun anew in the same place: installing takes that choice back first.
    """
    taken = {"" if boot.once else boot.directory, running_directory(snapshot) if running else ""}
    names = [f"kernel.{ident}", *(f"kernel.{ident}-{number}" for number in range(2, _SPARE))]
    return next(name for name in names if name not in taken)
