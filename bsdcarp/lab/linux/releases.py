"""The Linux distributions of the lab, as data.  What is not listed behaves like Debian 12 under its own name.

Sources: os-release(5) and the packages of each distribution; the kernel's release is that of its first installer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bsdcarp.errors import LabError

__all__ = ["LinuxRelease", "linux_release_named"]


@dataclass(frozen=True, slots=True)
class LinuxRelease:
    """One distribution.  ``python`` is the version of its python3, ``systemd`` that of systemd."""

    name: str
    version: tuple[int, int]
    pretty: str
    like: str
    uname_r: str
    uname_v: str
    python: str = "3.11.2"
    systemd: int = 252
    arch: str = "x86_64"

    @property
    def family(self) -> Literal["linux"]:
        return "linux"

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return self.pretty.split(" (")[0].replace("GNU/Linux ", "")

    @property
    def login_shell(self) -> Literal["csh", "sh"]:
        return "sh"

    @property
    def os_release(self) -> str:
        """The text of /etc/os-release."""
        identifier, _, version = self.name.partition("-")
        lines = [f'PRETTY_NAME="{self.pretty}"', f'NAME="{self.pretty.split(" ", 1)[0]}"']
        if version:
            lines.append(f'VERSION_ID="{version}"')
        lines.append(f"ID={identifier}")
        if self.like:
            lines.append(f"ID_LIKE={self.like}")
        return "\n".join(lines) + "\n"


_DEBIAN_12 = LinuxRelease(
    name="debian-12",
    version=(12, -1),
    pretty="Debian GNU/Linux 12 (bookworm)",
    like="",
    uname_r="6.1.0-18-amd64",
    uname_v="#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)",
)
_KNOWN = (
    replace(
        _DEBIAN_12,
        name="debian-11",
        version=(11, -1),
        pretty="Debian GNU/Linux 11 (bullseye)",
        uname_r="5.10.0-28-amd64",
        uname_v="#1 SMP Debian 5.10.209-2 (2024-01-31)",
        python="3.9.2",
        systemd=247,
    ),
    _DEBIAN_12,
    replace(
        _DEBIAN_12,
        name="debian-13",
        version=(13, -1),
        pretty="Debian GNU/Linux 13 (trixie)",
        uname_r="6.12.38+deb13-amd64",
        uname_v="#1 SMP PREEMPT_DYNAMIC Debian 6.12.38-1 (2025-07-16)",
        python="3.13.5",
        systemd=257,
    ),
    replace(
        _DEBIAN_12,
        name="ubuntu-22.04",
        version=(22, 4),
        pretty="Ubuntu 22.04.4 LTS",
        like="debian",
        uname_r="5.15.0-94-generic",
        uname_v="#104-Ubuntu SMP Tue Jan 9 15:25:40 UTC 2024",
        python="3.10.12",
        systemd=249,
    ),
    replace(
        _DEBIAN_12,
        name="ubuntu-24.04",
        version=(24, 4),
        pretty="Ubuntu 24.04 LTS",
        like="debian",
        uname_r="6.8.0-31-generic",
        uname_v="#31-Ubuntu SMP PREEMPT_DYNAMIC Sat Apr 20 00:40:06 UTC 2024",
        python="3.12.3",
        systemd=255,
    ),
)


def linux_release_named(name: str) -> LinuxRelease:
    """Find ``debian-12`` or ``Ubuntu 24.04``; another name is Debian 12 that calls itself so.

    Raises :class:`LabError` when there is no name.
    """
    words = name.lower().replace("-", " ").split()
    if not words:
        raise LabError("a Linux release needs a name", remedy="write for instance debian-12")
    wanted = "debian-12" if words == ["linux"] else "-".join(words)
    found = next((release for release in _KNOWN if release.name == wanted), None)
    if found is not None:
        return found
    digits = [int(part) if part.isdigit() else -1 for part in (words[-1].split(".") if len(words) > 1 else ["-1"])]
    version = (digits[0], digits[1] if len(digits) > 1 else -1)
    return replace(_DEBIAN_12, name=wanted, version=version, pretty=" ".join(word.capitalize() for word in words))
