"""Text from hosts and inventories, made harmless before a person or a log sees it."""

from __future__ import annotations

__all__ = ["printable"]

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}
# Bidirectional controls and line separators reorder or split what a terminal shows without being "control characters".
_DECEPTIVE = frozenset(
    "\u2028\u2029\u200e\u200f\u061c\ufeff" + "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))
)


def printable(text: str, *, keep: str = "") -> str:
    r"""Return ``text`` on one line, with every control and deceptive character spelled out (``\e``, ``\x07``).

    Characters in ``keep`` stay, so ``keep="\n\t"`` serves for whole files.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(ch if ch in keep else _spelled(ch) for ch in text)


def _spelled(ch: str) -> str:
    code = ord(ch)
    if code < 0x20 or 0x7F <= code < 0xA0:
        return _NAMED.get(ch, f"\\x{code:02x}")
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if ch in _DECEPTIVE or 0xD800 <= code <= 0xDFFF else ch
