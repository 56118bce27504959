"""What the commands of an rc.conf may do to its variables, judged from their words alone.

Only a simple command that stands by itself on the top level is taken for certain.  Everything else that may assign
a variable, or hide an assignment, is written down with its place, so that an editor can refuse and a person be told.
"""

from __future__ import annotations

from bsdcarp.dataclass import dataclass
from bsdcarp.textfiles.shwords import IDENTIFIER, Word, WordReader

__all__ = ["Assigning", "Command", "Effects"]

# Assignments in front of these outlive the command (POSIX 2018, 2.14).
_SPECIAL = frozenset(
    {".", ":", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times"}
    | {"trap", "unset"}
)
_NAMES_ITS_TARGETS = frozenset({"export", "getopts", "local", "read", "readonly", "unset"})
_RUNS_OTHER_TEXT = frozenset({".", "alias", "eval", "trap"})


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: its words in order, assignments included, and whether a redirection belongs to it."""

    words: tuple[Word, ...]
    redirected: bool


@dataclass(frozen=True, slots=True)
class Assigning:
    """A top-level command that only assigns: ``words[first:]`` are its operands, ``words[:first]`` is ``export``.

    ``separator`` is the offset of the ``;`` before it on its line, -1 when it is the first or follows a ``&``.
    """

    words: tuple[Word, ...]
    first: int
    separator: int


class Effects(WordReader):
    """The word reader with the lists of what was found; each is in the order of the text and holds offsets.

    ``commands`` surely assign.  ``changed`` are names that may be assigned, unset or made read-only somewhere else,
    ``readonly`` those that cannot be assigned any more, ``unseen`` commands that run text which is not in this file.
    """

    def __init__(self, text: str, *, depth: int = 0) -> None:
        super().__init__(text, depth=depth)
        self.commands: list[Assigning] = []
        self.changed: list[tuple[str, int]] = []
        self.readonly: list[tuple[str, int]] = []
        self.unseen: list[tuple[str, int]] = []
        self.problems: list[tuple[int, str]] = []
        self.stopped = False
        self.in_function = 0
        self.functions: set[str] = set()
        self._function_names: set[str] = set()

    def marks(self) -> tuple[int, int, int, int]:
        """Return how much has been found so far, for ``forget``."""
        return len(self.commands), len(self.changed), len(self.readonly), len(self.unseen)

    def forget(self, marks: tuple[int, int, int, int]) -> None:
        """Drop what was found since ``marks`` was taken: the commands of a line that sh would not run."""
        commands, changed, readonly, unseen = marks
        del self.commands[commands:], self.changed[changed:], self.readonly[readonly:], self.unseen[unseen:]

    def note(self, name: str, offset: int) -> None:
        """Write down that ``name`` may be assigned at ``offset``; a subshell cannot do so."""
        if not self.subshell:
            self.changed.append((name, offset))
            if self.in_function:
                self._function_names.add(name)

    def note_top(self, command: Command, separator: int, *, background: bool) -> None:
        """Write down a command that stands by itself on the top level."""
        if self.stopped:
            return
        words = command.words
        operands = next((at for at, word in enumerate(words) if not word.name), len(words))
        certain = not command.redirected and not background
        if certain and operands == len(words):
            self.commands.append(Assigning(words, 0, separator))
        elif certain and operands == 0 and words[0].bare and words[0].text == "export" and _only_names(words[1:]):
            self.commands.append(Assigning(words, 1, separator))
        else:
            self.note_uncertain(command, at_top=not background)

    def note_uncertain(self, command: Command, *, at_top: bool = False) -> None:
        """Write down what a command may do that is perhaps never run, or is more than assignments."""
        if self.subshell:
            return
        words = command.words
        operands = next((at for at, word in enumerate(words) if not word.name), len(words))
        rest = list(words[operands:])
        while len(rest) > 1 and rest[0].text in {"command", "builtin"}:
            del rest[0]
        name = rest[0].text if rest else ""
        if not rest or name is None or name in _SPECIAL or name in self.functions:
            for word in words[:operands]:
                self.note(word.name, word.start)
        if not rest:
            return
        if name is None or (name in _RUNS_OTHER_TEXT and len(rest) > 1):
            self.unseen.append((name or "a command named by an expansion", rest[0].start))
        if self.functions and (name is None or name in self.functions):
            for assigned in sorted(self._function_names):
                self.note(assigned, rest[0].start)
        if name in _NAMES_ITS_TARGETS:
            self._note_targets(name or "", rest[1:])
        if name in {"exit", "return"} or (name == "exec" and len(rest) > 1):
            self._note_end(name or "", rest[0].start, at_top=at_top)

    def _note_targets(self, command: str, words: list[Word]) -> None:
        for word in words:
            target = word.name or (word.text if command != "export" else "")
            if not word.name and (word.text is None or word.globs):
                self.unseen.append((command, word.start))
            elif target and IDENTIFIER.match(target):
                self.note(target, word.start)
                if command == "readonly":
                    self.readonly.append((target, word.start))

    def _note_end(self, command: str, offset: int, *, at_top: bool) -> None:
        if not self.in_function:
            self.problems.append((offset, f"{command} here: what follows may never be read"))
            self.stopped = self.stopped or at_top


def _only_names(words: tuple[Word, ...]) -> bool:
    """Whether every operand of an ``export`` is a name or ``NAME=value``, so that nothing else can happen."""
    return all(word.name or (word.bare and IDENTIFIER.match(word.text or "")) for word in words)
