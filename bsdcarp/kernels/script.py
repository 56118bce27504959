"""The programs of this package as they are sent, completed with what they are about."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import UsageError
from bsdcarp.hostlock import lock_program, waits_program
from bsdcarp.shellwords import quote

__all__ = [
    "Place",
    "build_script",
    "end_trial_script",
    "install_script",
    "look_script",
    "rooted",
    "trial_script",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Which kernel configuration, and which system of the host: the running one, or one mounted below ``target``."""

    ident: str
    arch: str
    target: str = ""

    def __post_init__(self) -> None:
        if self.target and (not self.target.startswith("/") or self.target.strip("/") == "" or "\n" in self.target):
            raise UsageError("a root is an absolute path, and not / itself", place=self.target)


def look_script(place: Place, *, token: str) -> bytes:
    """Return the script that looks at kernels, sources and the state of a build, and changes nothing."""
    return _sent(place, token, [], ["look.sh"], "look")


def build_script(place: Place, *, jobs: int, token: str) -> bytes:
    """Return the script that starts a build with ``jobs`` compilers, or finds the one that runs."""
    return _sent(place, token, [f"JOBS={jobs}", f"RUN={quote(_program('run.sh'))}"], ["build.sh"], "build")


def install_script(place: Place, name: str, *, owner: str, steal: bool = False, token: str) -> bytes:
    """Return the script that installs what was built into /boot/``name``."""
    return _sent(place, token, _install_head(name, owner, steal=steal), ["install.sh"], "install_kernel")


def trial_script(place: Place, name: str, *, options: str = "", token: str) -> bytes:
    """Return the script that chooses /boot/``name`` for the next boot only; ``options`` go to nextboot(8).

    It takes no lock: whoever sends it holds the lock of the host.
    """
    return _sent(place, token, _install_head(name, options=options), ["install.sh"], "try_kernel")


def end_trial_script(place: Place, name: str, *, token: str) -> bytes:
    """Return the script that takes the choice of /boot/``name`` back."""
    return _sent(place, token, _install_head(name), ["install.sh"], "end_trial")


def rooted(script: bytes, target: str) -> bytes:
    """Return ``script`` for the system mounted at ``target``; the running one where that is empty."""
    if not target:
        return script
    head = f'BSDCARP_ROOT="${{BSDCARP_ROOT-}}"{quote(target)}\nexport BSDCARP_ROOT\n'
    return head.encode("utf-8", "surrogateescape") + script


@cache
def _program(name: str) -> str:
    return (files("bsdcarp.kernels") / name).read_text(encoding="utf-8")


def _install_head(name: str, owner: str = "", *, options: str = "", steal: bool = False) -> list[str]:
    steals = "yes" if steal else ""
    return [f"NAME={quote(name)}", f"OWNER={quote(owner)}", f"OPTIONS={quote(options)}", f"STEAL={steals}"]


def _sent(place: Place, token: str, head: list[str], programs: Iterable[str], entry: str) -> bytes:
    about = [f"T={quote(token)}", f"IDENT={quote(place.ident)}", f"ARCH={quote(place.arch)}"]
    about.append(f"TARGET={quote(place.target)}")
    parts = [*about, *head, waits_program(), lock_program(), *map(_program, ["common.sh", *programs])]
    parts.append(f"{entry} </dev/null")
    return ("\n".join(parts) + "\n").encode("utf-8", "surrogateescape")
