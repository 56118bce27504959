"""Values under /proc/sys that carpd needs changed on interfaces that are not its own, and their way back.

Several vhids on one interface need the same value: the first sets it, the last restores it.  What somebody else has
changed in the meantime is left alone.  Settings under "all" are never touched, so no other interface is weakened:
where the kernel takes the maximum of "all" and the interface, the macvlan's own value is chosen to fit.
"""

from __future__ import annotations

from pathlib import Path

from bsdcarp.carpd.journal import Journal, Setting

__all__ = ["Sysctls"]


class Sysctls:
    """Paths are relative to ``root``: net/ipv4/conf/eth0/arp_ignore.  What does not exist is skipped."""

    def __init__(self, journal: Journal, root: Path = Path("/proc/sys")) -> None:
        self._journal = journal
        self._root = root
        self._holds: dict[str, int] = {}

    def read(self, path: str) -> str | None:
        """The value now; None if there is none, for instance because the interface is gone."""
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int:
        """The value now as a number, 0 if there is none."""
        try:
            return int(self.read(path) or "0")
        except ValueError:
            return 0

    def write(self, path: str, value: str) -> bool:
        """Set a value for good: on an interface that is ours, and goes with it.  False if that cannot be."""
        try:
            (self._root / path).write_text(value + "\n", encoding="utf-8")
        except OSError:
            return False
        return True

    def raise_to(self, path: str, minimum: int) -> None:
        """Hold a value at ``minimum`` or above, until ``release`` was called as often."""
        self._hold(path, str(minimum), self.number(path) >= minimum)

    def put(self, path: str, value: str) -> None:
        """Hold exactly this value, until ``release`` was called as often.  The first who holds decides."""
        self._hold(path, value, self.read(path) == value)

    def release(self, path: str) -> None:
        """Give one hold back; the last one restores the value from before, if it is still the one set here."""
        if path not in self._holds:
            return
        self._holds[path] -= 1
        if not self._holds[path]:
            del self._holds[path]
            self._restore(path)

    def release_all(self) -> tuple[str, ...]:
        """Restore everything, a dead predecessor's values included; the paths that were changed."""
        self._holds.clear()
        return tuple(path for path in tuple(self._journal.settings) if self._restore(path))

    def _hold(self, path: str, value: str, fits: bool) -> None:
        self._holds[path] = self._holds.get(path, 0) + 1
        if fits:
            return
        was = self.read(path)
        if was is None:
            return
        recorded = self._journal.settings.get(path)
        # Somebody reset it while it was held: what was there first is still what has to come back.
        self._journal.set(path, Setting(recorded.was if recorded else was, value))
        self.write(path, value)

    def _restore(self, path: str) -> bool:
        recorded = self._journal.settings.get(path)
        if recorded is None:
            return False
        changed = self.read(path) == recorded.now and self.write(path, recorded.was)
        self._journal.set(path, None)
        return changed
