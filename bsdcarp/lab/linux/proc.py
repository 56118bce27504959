"""The files below /proc that scripts read: they are the state itself, so writing one changes the kernel."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping

from bsdcarp.lab.filetree import FileTree

__all__ = ["Proc"]

_SYS = "/proc/sys"
# Names with their values at boot (Documentation/networking/ip-sysctl.rst).  Debian's kernel leaves rp_filter at 0.
_GLOBAL = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/ip_nonlocal_bind": "0",
    "net/ipv6/ip_nonlocal_bind": "0",
}
_CONF_4 = {"arp_ignore": "0", "arp_announce": "0", "arp_notify": "0", "rp_filter": "0", "forwarding": "0"}
_CONF_6 = {"accept_dad": "1", "accept_ra": "1", "disable_ipv6": "0", "forwarding": "0", "addr_gen_mode": "0"}
_INTEGER = re.compile(r"\s*-?[0-9]+\s*")


class Proc:
    """/proc/sys and a little of /proc of one machine, kept as files below its root."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree

    def reset(self, *, boot_id: str, btime: int, hostname: str, kernel: Mapping[str, str]) -> None:
        """Write what a freshly started kernel shows."""
        shutil.rmtree(self._tree.path("/proc"), ignore_errors=True)
        self._tree.write("/proc/stat", f"cpu  0 0 0 0 0 0 0 0 0 0\nbtime {btime}\nprocesses 1\n")
        self._put(
            {
                "kernel/random/boot_id": boot_id,
                "kernel/hostname": hostname,
                **{f"kernel/{name}": value for name, value in kernel.items()},
                **_GLOBAL,
            }
        )
        for name in ("all", "default"):
            self.add_interface(name)

    def add_interface(self, name: str) -> None:
        """Give an interface its values; those of ``default`` are copied, as the kernel does."""
        for family, values in (("ipv4", _CONF_4), ("ipv6", _CONF_6)):
            copied = {key: self.get(f"net/{family}/conf/default/{key}") or value for key, value in values.items()}
            self._put({f"net/{family}/conf/{name}/{key}": value for key, value in copied.items()})

    def remove_interface(self, name: str) -> None:
        """Take the values of an interface away with it."""
        for family in ("ipv4", "ipv6"):
            shutil.rmtree(self._tree.path(f"{_SYS}/net/{family}/conf/{name}"), ignore_errors=True)

    def get(self, key: str) -> str | None:
        """Read ``net/ipv4/ip_forward``; None where there is no such file."""
        text = self._tree.read(f"{_SYS}/{key}")
        return None if text is None else text.rstrip("\n")

    def set(self, key: str, value: str) -> None:
        """Write a value.  FileNotFoundError for no such name, PermissionError and ValueError as the kernel refuses."""
        if self.get(key) is None:
            raise FileNotFoundError(key)
        if key.startswith("kernel/") and key != "kernel/hostname":
            raise PermissionError(key)
        if key.startswith("net/"):
            if not _INTEGER.fullmatch(value):
                raise ValueError(value)
            value = value.strip()
        self._put({key: value})

    def is_directory(self, key: str) -> bool:
        return self._tree.path(f"{_SYS}/{key}").is_dir()

    def all(self) -> Iterable[str]:
        """Yield every name, sorted."""
        base = self._tree.path(_SYS)
        return sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())

    def _put(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            self._tree.write(f"{_SYS}/{key}", f"{value}\n")
