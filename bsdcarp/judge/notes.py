"""Collecting findings about one host: the judges say what is wrong, this remembers where, how bad and about what."""

from __future__ import annotations

from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.model import NOWHERE, Finding, Place, Severity
from bsdcarp.plaintext import printable

__all__ = ["Notes", "Trouble"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A finding, and what it is about, so that a trap on an interface that nobody manages stays out of the report."""

    finding: Finding
    interface: str = ""
    """The interface or carpN concerned, empty when it is the whole host."""
    fatal: bool = False
    """The boot stops here: whatever comes later in rc's order is not reached."""


@dataclass(slots=True)
class Notes:
    """Findings about ``host``, in the order they were made, each once.

    Text from the host is made printable on the way in.  Every method takes the stable rule id, the message, what the
    operator can do, and the place.
    """

    host: str
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        return [trouble.finding for trouble in self.troubles]

    def place(self, path: str, line: int = 0) -> Place:
        """Return ``HOST:PATH`` with its line, or nowhere without a path."""
        return Place(f"{self.host}:{path}", line) if path else NOWHERE

    def error(
        self,
        rule: str,
        message: str,
        remedy: str = "",
        place: Place = NOWHERE,
        *,
        group: str = "",
        interface: str = "",
        fatal: bool = False,
    ) -> None:
        self._add(Severity.ERROR, rule, (message, remedy, group), place, interface, fatal=fatal)

    def warning(
        self,
        rule: str,
        message: str,
        remedy: str = "",
        place: Place = NOWHERE,
        *,
        group: str = "",
        interface: str = "",
    ) -> None:
        self._add(Severity.WARNING, rule, (message, remedy, group), place, interface)

    def info(
        self,
        rule: str,
        message: str,
        remedy: str = "",
        place: Place = NOWHERE,
        *,
        group: str = "",
        interface: str = "",
    ) -> None:
        self._add(Severity.INFO, rule, (message, remedy, group), place, interface)

    def _add(
        self,
        severity: Severity,
        rule: str,
        texts: tuple[str, str, str],
        place: Place,
        interface: str,
        *,
        fatal: bool = False,
    ) -> None:
        message, remedy, group = texts
        finding = Finding(rule, severity, printable(message), printable(remedy), place, self.host, group)
        trouble = Trouble(finding, interface, fatal)
        if trouble not in self.troubles:
            self.troubles.append(trouble)
