"""YAML text to a plain tree that knows where everything stands: line and column of each key and each value.

The tree is made from ruamel's nodes before any value is built, so nothing is lost: two equal keys are both still there,
``vhid: 010`` is still the text ``010``, and aliases cannot blow up the memory, because their size is counted first.
ruamel is imported inside ``parse``: a command that reads no inventory does not pay for it.
"""

from __future__ import annotations

import re
import warnings
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.inventory.rules.registry import finding
from bsdcarp.model import Finding, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_DEPTH", "MAX_NODES", "MAX_TEXT", "Mapping", "Node", "Scalar", "Sequence", "describe", "parse"]

MAX_TEXT = 2_000_000
"""Longest inventory read, in characters; ten thousand hosts fit."""

MAX_NODES = 200_000
"""Most values after aliases are followed."""

MAX_DEPTH = 100
"""Most brackets open at once, those in texts and comments counted too."""

_SPLIT = "split it into several inventories"
_COMPARE = "compare it with inventory.example.yml"
_NAME = "write a name before the colon"
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BOOL = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "merge"))
_TAGS_OF_COLLECTIONS = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written.  ``plain`` is false when it stood in quotes or was a block."""

    text: str
    plain: bool
    place: Place

    @property
    def kind(self) -> Literal["text", "null", "bool", "int", "float"]:
        """What YAML 1.2's core schema makes of it; ``no``, ``on`` and ``1_000`` are text there."""
        if not self.plain:
            return "text"
        if self.text in _NULL:
            return "null"
        if self.text in _BOOL:
            return "bool"
        if _INTEGER.fullmatch(self.text):
            return "int"
        return "float" if _FLOAT.fullmatch(self.text) else "text"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A YAML list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """A YAML mapping, in the order written; of two equal keys only the first is kept."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place


Node = Scalar | Sequence | Mapping


def describe(node: Node) -> str:
    """Name what a node is, for a message; texts are not quoted, since one may be a password."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    kinds = {"text": "a text", "null": "empty", "bool": "a truth value", "float": "a number with a fraction"}
    return kinds.get(node.kind, "a number")


def parse(text: str, file: str) -> tuple[Node | None, list[Finding]]:
    """Return the tree of ``text`` (None when there is none) and what is wrong with it as YAML.  Raises nothing."""
    lines = _Lines(text, file)
    if len(text) > MAX_TEXT:
        return None, [finding("yaml-size", Place(file, 1, 1), f"longer than {MAX_TEXT} characters", _SPLIT)]
    if (deep := _too_deep(text)) is not None:
        return None, [
            finding("yaml-size", lines.place(deep), f"more than {MAX_DEPTH} brackets are open here", "close them")
        ]
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an anchor that is defined twice: YAML allows it
            composed = YAML(typ="safe", pure=True).compose(text)
    except ReaderError as error:
        return None, [_control_character(error, lines)]
    except MarkedYAMLError as error:
        return None, [_syntax(error, lines)]
    except RecursionError:
        return None, [finding("yaml-size", Place(file, 1, 1), "nested too deeply", _SPLIT)]
    except Exception:  # noqa: BLE001 - whatever ruamel trips over, to the operator it is text that is not YAML
        return None, [finding("yaml-syntax", Place(file, 1, 1), "this cannot be read as YAML", _COMPARE)]
    if composed is None:
        return None, []
    return _Builder(lines).tree(composed)


def _too_deep(text: str) -> int | None:
    """Return where more brackets are open than any inventory has; ruamel takes seconds to find that out by itself."""
    depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        if depth > MAX_DEPTH:
            return bracket.start()
    return None


class _Lines:
    """Turns an index into the text into a place; only line feeds count, as in editors and compilers."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, index: int) -> Place:
        index = min(max(index, 0), len(self.text))
        if index and index == len(self.text) and self.text.endswith("\n"):
            index -= 1  # "at the end of the file" is on its last line, not behind it
        line = bisect_right(self.starts, index)
        return Place(self.file, line, index - self.starts[line - 1] + 1)


def _control_character(error: Any, lines: _Lines) -> Finding:
    place = lines.place(error.position)
    return finding("yaml-syntax", place, "a control character stands here", "remove it; YAML is plain text")


def _syntax(error: Any, lines: _Lines) -> Finding:
    problem = str(error.problem or error.context or "this cannot be read as YAML")
    opened = lines.place(error.context_mark.index) if error.context_mark else Place(lines.file, 1, 1)
    place = lines.place(error.problem_mark.index) if error.problem_mark else opened
    if "unexpected end of stream" in problem:
        return finding("yaml-syntax", opened, "a quote is opened here and never closed", "close it")
    start = lines.starts[place.line - 1]
    before = lines.text[start : start + place.column]
    if "\t" in before and not before.strip():
        return finding("yaml-syntax", place, "a tab is used to indent", "indent with spaces")
    for part, message, remedy in _SYNTAX_ERRORS:
        if part in problem:
            return finding("yaml-syntax", place, message.format(opened=opened.line), remedy)
    return finding("yaml-syntax", place, f"not valid YAML: {problem}", _COMPARE)


# What ruamel says, and what to say instead; an alias's name is left out: it may be a password that begins with *.
_SYNTAX_ERRORS = (
    ("found another document", "a second document begins here", "keep one inventory in a file, without `---` inside"),
    ("mapping values are not allowed", "a colon makes no sense here", "look for a second `: ` or a missing quote"),
    ("undefined alias", "an alias (*name) has no anchor", "put a text that begins with * in quotes"),
    ("cannot start any token", "no text can begin with this character", "put the text in quotes"),
    (
        "expected ',' or ']'",
        "the list in brackets that begins in line {opened} goes wrong here",
        "close it with ], put commas between items",
    ),
    (
        "expected ',' or '}'",
        "the mapping in braces that begins in line {opened} goes wrong here",
        "close it with }, put commas between entries",
    ),
    ("expected <block end>", "this does not line up with what is above", "begin entries of one mapping in one column"),
    ("could not find expected ':'", "a key has no colon", "write `key: value`, with a blank after the colon"),
)


class _Builder:
    """Copies ruamel's nodes, follows aliases once, and counts what they would grow to."""

    def __init__(self, lines: _Lines) -> None:
        self.lines = lines
        self.findings: list[Finding] = []
        self.done: dict[int, tuple[Node, int]] = {}
        self.open: set[int] = set()

    def tree(self, composed: Any) -> tuple[Node | None, list[Finding]]:
        node, size = self.copy(composed)
        if size > MAX_NODES:
            message = f"aliases make this more than {MAX_NODES} values"
            return None, [*self.findings, finding("yaml-size", node.place, message, "write the values out")]
        return node, self.findings

    def copy(self, raw: Any) -> tuple[Node, int]:
        place = self.lines.place(raw.start_mark.index)
        if id(raw) in self.open:
            self.findings.append(finding("yaml-size", place, "an alias contains itself", "write the values out"))
            return Scalar("", plain=True, place=place), 1
        if id(raw) in self.done:
            return self.done[id(raw)]
        self.open.add(id(raw))
        node: Node
        size = 1
        if isinstance(raw.value, str):
            node = self.scalar(raw, place)
        else:
            self.check_tag(raw, place, _TAGS_OF_COLLECTIONS)
            pairs = bool(raw.value) and isinstance(raw.value[0], tuple)
            node, size = (self.mapping if pairs or raw.tag.endswith(":map") else self.sequence)(raw, place)
        self.open.discard(id(raw))
        self.done[id(raw)] = (node, size)
        return node, size

    def scalar(self, raw: Any, place: Place) -> Scalar:
        self.check_tag(raw, place, _TAGS)
        as_text = raw.style is not None or (raw.tag.endswith(":str") and _looks_typed(raw.value))
        return Scalar(raw.value, plain=not as_text, place=place)

    def sequence(self, raw: Any, place: Place) -> tuple[Node, int]:
        copies = [self.copy(item) for item in raw.value]
        return Sequence(tuple(node for node, _ in copies), place), 1 + sum(size for _, size in copies)

    def mapping(self, raw: Any, place: Place) -> tuple[Node, int]:
        entries: dict[str, tuple[Scalar, Node]] = {}
        total = 1
        for key, value, size in self.pairs(raw):
            total += size
            if key.text in entries:
                first = entries[key.text][0].place
                message = f"the key {key.text} stands here a second time, first in line {first.line}"
                self.findings.append(finding("duplicate-key", key.place, message, "keep one of them"))
            else:
                entries[key.text] = (key, value)
        return Mapping(tuple(entries.values()), place), total

    def pairs(self, raw: Any) -> Iterator[tuple[Scalar, Node, int]]:
        for raw_key, raw_value in raw.value:
            key, _ = self.copy(raw_key)
            value, size = self.copy(raw_value)
            if not isinstance(key, Scalar):
                self.findings.append(
                    finding("wrong-type", key.place, f"a key must be a text, this is {describe(key)}", _NAME)
                )
            elif key.kind == "null":
                self.findings.append(finding("wrong-type", key.place, "a key is missing before the colon", _NAME))
            else:
                yield key, value, size + 1

    def check_tag(self, raw: Any, place: Place, known: frozenset[str]) -> None:
        if str(raw.tag) not in known:
            self.findings.append(finding("wrong-type", place, "YAML tags (!name) mean nothing here", "remove the tag"))


def _looks_typed(text: str) -> bool:
    """Tell whether ``text`` would be more than a text if it stood there plainly, so that a ``!!str`` was meant."""
    return Scalar(text, plain=True, place=Place()).kind != "text"
