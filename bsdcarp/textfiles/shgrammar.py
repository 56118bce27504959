"""Which commands an rc.conf holds: the assignments that surely happen, and everything that may interfere with them.

A recursive descent over the grammar of POSIX 2018, 2.10, as far as FreeBSD's sh(1) has it.  Nothing is run.
What is inside ``if``, ``case``, loops, functions, groups, pipelines and ``&&`` or ``||`` lists may or may not happen
and is only searched for names that it could assign; the inside of subshells cannot matter.
"""

from __future__ import annotations

import re

from bsdcarp.textfiles.sheffects import Command, Effects
from bsdcarp.textfiles.shwords import IDENTIFIER, Unreadable, Word

__all__ = ["Script", "read_script"]

_RESERVED = re.compile(r"(?:!|\{|\}|case|do|done|elif|else|esac|fi|for|if|in|then|until|while)(?=[ \t\n;&|<>()]|\Z)")
_IN = re.compile(r"in(?=[ \t\n;&|<>()]|\Z)")
_OPENERS = frozenset({"{", "case", "for", "if", "until", "while"})
_REDIRECTION = re.compile(r"[0-9]*(<<-|<<|<&|<>|<|>>|>&|>\||>)")


class Script(Effects):
    """The whole reader.  ``line_ends`` are the offsets behind top-level newlines, where a line may be put in."""

    def __init__(self, text: str, *, depth: int = 0) -> None:
        super().__init__(text, depth=depth)
        self.line_ends: list[int] = []
        self._pending: list[tuple[int, str, bool, bool]] = []

    # Lines.  sh parses a whole line before it runs any of it, so a line with an error contributes nothing.

    def read_all(self) -> None:
        while not self.stopped:
            self.skip_blanks()
            if not self.peek():
                return
            self._read_line()

    def _read_line(self) -> None:
        marks = self.marks()
        try:
            if self.peek() != "\n":
                self._read_line_commands()
            if self.peek():
                self._read_newline()
                self.line_ends.append(self.pos)
            elif self._pending:
                self.fail(self._pending[0][0], "unterminated here-document")
        except Unreadable:
            self.forget(marks)
            raise

    def _read_line_commands(self) -> None:
        separator = -1
        while True:
            command = self._read_and_or()
            background = self.peek() == "&"
            if command:
                self.note_top(command, separator, background=background)
            if self.peek() not in {"", "\n", ";", "&"}:
                self.fail(self.pos, f"unexpected {self.peek()}" if self.peek() in "()<>|" else "unexpected word")
            if self.peek() in {"", "\n"}:
                return
            separator = -1 if background else self.pos
            self.pos += 1
            self.skip_blanks()
            if self.peek() in {"", "\n"}:
                return

    def _read_newline(self) -> None:
        self.pos += 1
        while self._pending:
            self._read_here_document(*self._pending.pop(0))

    def _read_here_document(self, offset: int, delimiter: str, quoted: bool, strip: bool) -> None:
        line_start = True
        while True:
            if line_start:
                while strip and self.peek() == "\t":
                    self.pos += 1
                end = self.text.find("\n", self.pos)
                end = len(self.text) if end < 0 else end
                if self.text[self.pos : end] == delimiter:
                    self.pos = min(end + 1, len(self.text))
                    return
            if self.pos >= len(self.text):
                self.fail(offset, "unterminated here-document")
            ch = self.text[self.pos]
            line_start = ch == "\n"
            if quoted or ch not in "\\$`":
                self.pos += 1
            elif ch == "\\":
                self.pos += 2
            else:
                self.read_expansion(in_double=True)

    # Lists.

    def read_substitution(self) -> None:
        start = self.pos - 2
        outer, self._pending = self._pending, []
        self.subshell += 1
        self._read_list(start, "$(", (")",), may_be_empty=True)
        self.subshell -= 1
        if self._pending:
            self.fail(self._pending[0][0], "unterminated here-document")
        if outer and "\n" in self.text[start : self.pos]:
            self.fail(start, "a here-document and a command substitution of several lines on one line")
        self._pending = outer

    def _read_list(self, start: int, opened: str, ends: tuple[str, ...], *, may_be_empty: bool = False) -> str:
        """Read commands up to and including one of ``ends``, which is returned."""
        empty = True
        separated = True
        while True:
            self.skip_blanks()
            if not self.peek():
                self.fail(start, f"unterminated {opened}")
            if self.peek() == "\n":
                self._read_newline()
                separated = True
                continue
            end = next((end for end in ends if self._at(end)), None)
            if end is not None:
                if empty and not may_be_empty:
                    self.fail(self.pos, f"unexpected {end}")
                self.pos += len(end)
                return end
            if not separated:
                self.fail(self.pos, "unexpected word")
            if command := self._read_and_or():
                self.note_uncertain(command)
            empty = False
            separated = self.peek() == "&" or (
                self.peek() == ";" and self.text[self.pos + 1 : self.pos + 2] not in {";", "&"}
            )
            self.pos += separated

    def _at(self, end: str) -> bool:
        if end in {")", ";;", ";&"}:
            return self.text.startswith(end, self.pos)
        found = _RESERVED.match(self.text, self.pos)
        return found is not None and found.group() == end

    def _read_and_or(self) -> Command | None:
        """Read one and-or list; the command comes back when the list is that one simple command and no more."""
        command = self._read_pipeline()
        while self.text.startswith(("&&", "||"), self.pos):
            self.pos += 2
            if command:
                self.note_uncertain(command)
            self._skip_newlines()
            if following := self._read_pipeline():
                self.note_uncertain(following)
            command = None
        return command

    def _read_pipeline(self) -> Command | None:
        self.skip_blanks()
        negated = self._at("!")
        self.pos += negated
        command = self._read_command()
        alone = not negated
        while self.peek() == "|" and not self.text.startswith("||", self.pos):
            self.pos += 1
            alone = False
            if command:
                self.note_uncertain(command)
            self._skip_newlines()
            command = self._read_command()
        if command and not alone:
            self.note_uncertain(command)
        return command if alone else None

    def _skip_newlines(self) -> None:
        self.skip_blanks()
        while self.peek() == "\n":
            self._read_newline()
            self.skip_blanks()

    # Commands.  Each leaves the cursor on the next token.

    def _read_command(self) -> Command | None:
        self.skip_blanks()
        start = self.pos
        reserved = _RESERVED.match(self.text, start)
        if self.peek() == "(" or (reserved and reserved.group() in _OPENERS):
            if self.text.startswith("((", start):
                self.fail(start, "(( which some shells take for arithmetic")
            self.deeper(start)
            self._read_compound(start, reserved.group() if reserved else "(")
            self.depth -= 1
            self.skip_blanks()
            while _REDIRECTION.match(self.text, self.pos):
                self._read_redirection()
            return None
        if reserved:
            self.fail(start, f"unexpected {reserved.group()}")
        return self._read_simple()

    def _read_compound(self, start: int, opener: str) -> None:
        self.pos += len(opener)
        match opener:
            case "(":
                self.subshell += 1
                self._read_list(start, "(", (")",))
                self.subshell -= 1
            case "{":
                self._read_list(start, "{", ("}",))
            case "if":
                self._read_list(start, "if", ("then",))
                while (end := self._read_list(start, "if", ("elif", "else", "fi"))) != "fi":
                    if end == "else":
                        self._read_list(start, "if", ("fi",))
                        return
                    self._read_list(start, "if", ("then",))
            case "case":
                self._read_case(start)
            case _:
                if opener == "for":
                    self._read_for_head(start)
                else:
                    self._read_list(start, opener, ("do",))
                self._read_list(start, opener, ("done",))

    def _read_for_head(self, start: int) -> None:
        self.skip_blanks()
        variable = self._expect_word(start, "for")
        if not variable.bare or not IDENTIFIER.match(variable.text or ""):
            self.fail(variable.start, "not a name after for")
        self.note(variable.text or "", variable.start)
        self._skip_newlines()
        if found := _IN.match(self.text, self.pos):
            self.pos = found.end()
            self.skip_blanks()
            while self.at_word():
                self.read_word()
                self.skip_blanks()
            if self.peek() not in {";", "\n"}:
                self.fail(self.pos, "unterminated for")
        if self.peek() == ";":
            self.pos += 1
        self._skip_newlines()
        if not self._at("do"):
            self.fail(start, "for without do")
        self.pos += len("do")

    def _read_case(self, start: int) -> None:
        self.skip_blanks()
        self._expect_word(start, "case")
        self._skip_newlines()
        keyword = self._expect_word(start, "case")
        if keyword.text != "in" or not keyword.bare:
            self.fail(keyword.start, "case without in")
        while True:
            self._skip_newlines()
            if self._at("esac"):
                self.pos += len("esac")
                return
            if self.peek() == "(":
                self.pos += 1
                self.skip_blanks()
            self._expect_word(start, "case")
            self.skip_blanks()
            while self.peek() == "|":
                self.pos += 1
                self.skip_blanks()
                self._expect_word(start, "case")
                self.skip_blanks()
            if self.peek() != ")":
                self.fail(self.pos, "case pattern without )")
            self.pos += 1
            if self._read_list(start, "case", (";;", ";&", "esac"), may_be_empty=True) == "esac":
                return

    def _expect_word(self, start: int, opened: str) -> Word:
        if not self.peek():
            self.fail(start, f"unterminated {opened}")
        if not self.at_word():
            self.fail(self.pos, "a word is missing")
        return self._read_word_here()

    def _read_word_here(self) -> Word:
        word = self.read_word()
        if self._pending and "\n" in self.text[word.start : word.end]:
            self.fail(word.start, "a word of several lines behind the << of a here-document")
        return word

    def _read_redirection(self) -> None:
        found = _REDIRECTION.match(self.text, self.pos)
        start = self.pos
        self.pos = found.end() if found else start
        self.skip_blanks()
        target = self._expect_word(start, "redirection")
        if target.bare and (target.text or "").isdigit() and self.peek() in {"<", ">"}:
            self.fail(target.start, "a number between two redirections")
        operator = found.group(1) if found else ""
        if operator in {"<<", "<<-"}:
            if target.text is None or "\n" in self.text[target.start : target.end]:
                self.fail(start, "a here-document whose end is not a plain word")
            self._pending.append((start, target.text, not target.bare, operator == "<<-"))
        self.skip_blanks()

    def _read_simple(self) -> Command | None:
        words: list[Word] = []
        redirected = False
        self.skip_blanks()
        start = self.pos
        while True:
            if _REDIRECTION.match(self.text, self.pos):
                self._read_redirection()
                redirected = True
            elif self.at_word():
                words.append(self._read_word_here())
                self.skip_blanks()
            else:
                break
        if words and words[0].start == start and words[0].bare and _RESERVED.fullmatch(words[0].text or ""):
            self.fail(start, "a reserved word split by a joined line")
        if self.peek() == "(":
            self._read_function(start, words, redirected=redirected)
            return None
        if not words and not redirected:
            self.fail(
                self.pos, f"unexpected {self.peek()}" if self.peek() not in {"", "\n"} else "a command is missing"
            )
        return Command(tuple(words), redirected)

    def _read_function(self, start: int, words: list[Word], *, redirected: bool) -> None:
        self.pos += 1
        self.skip_blanks()
        name = words[0].text if len(words) == 1 and words[0].bare else None
        if redirected or not name or not IDENTIFIER.match(name) or self.peek() != ")":
            self.fail(self.pos - 1, "unexpected (")
        self.pos += 1
        self.functions.add(name)
        self._skip_newlines()
        self.deeper(start)
        self.in_function += 1
        if self._read_command() is not None:
            self.fail(start, "a function whose body is a simple command")
        self.in_function -= 1
        self.depth -= 1


def read_script(text: str) -> Script:
    """Read ``text`` as far as it can be followed; ``problems`` of the result says where that was and why."""
    script = Script(text)
    if "\0" in text:
        script.problems.append((text.index("\0"), "a NUL byte"))
    try:
        script.read_all()
    except Unreadable as err:
        script.problems.append((err.offset, err.cause))
    return script
