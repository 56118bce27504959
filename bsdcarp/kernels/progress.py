"""How far a build is, worked out from its log."""

from __future__ import annotations

from bsdcarp.dataclass import dataclass
from bsdcarp.kernels.facts import Build

__all__ = ["Progress", "progress_of"]

_TRUSTED = 0.02
"""Below this share nothing is foretold: the first minutes are spent on tools, whatever the kernel."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A share between 0 and 1 and the seconds that are left; None where nothing tells yet."""

    share: float | None
    left: int | None
    stage: str = ""

    def __str__(self) -> str:
        words = [self.stage] if self.stage else []
        if self.share is not None:
            words.append(f"{self.share:.0%}")
        if self.left is not None:
            words.append(f"about {_duration(self.left)} left")
        return ", ".join(words) or "begun"


def progress_of(build: Build) -> Progress:
    """Compare a log with the one of the last build that ended well.

    Where there was none, with the modules of the source tree: a buildkernel names each as it comes to it, and modules
    are most of its work (sys/modules, bsd.subdir.mk).  Not every one is built on every machine, so it is a guess.
    """
    share: float | None = None
    if build.expected:
        share = build.lines / build.expected
    elif build.all_modules and build.modules:
        share = build.modules / build.all_modules
    if share is None or build.state != "running":
        return Progress(1.0 if build.state == "done" else share, None, build.stage)
    share = min(share, 0.99)
    left = round(build.seconds * (1 - share) / share) if share > _TRUSTED else None
    return Progress(share, left, build.stage)


def _duration(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min"
