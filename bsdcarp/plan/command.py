"""A command for a host: words, some of them secret, that become shell text only at the very edge."""

from __future__ import annotations

from bsdcarp.dataclass import dataclass
from bsdcarp.model import Secret
from bsdcarp.plaintext import printable
from bsdcarp.shellwords import quote

__all__ = ["Command", "command"]


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command; a ``Secret`` among its words stays one until ``shell`` is asked."""

    words: tuple[str | Secret, ...]

    @property
    def lasting(self) -> bool:
        """Whether it changes what the next start does, and not by a file of the plan: systemctl(1), rc-update(8)."""
        return self.words[:2] in (("systemctl", "enable"), ("systemctl", "disable")) or self.words[0] == "rc-update"

    @property
    def shell(self) -> str:
        """The command as sh text, passwords included: only for the script that goes to the host."""
        return " ".join(quote(word.reveal() if isinstance(word, Secret) else word) for word in self.words)

    def __str__(self) -> str:
        return printable(" ".join(str(word) if isinstance(word, Secret) else quote(word) for word in self.words))


def command(text: str, *more: str | Secret) -> Command:
    """Build a command from blank-separated ``text`` and further words taken as they are."""
    return Command((*text.split(), *more))
