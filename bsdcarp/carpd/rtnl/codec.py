"""The frame of netlink: messages, and attributes in them.  Pure, and safe for any bytes.

Numbers are in the byte order of the host, as netlink has it; messages and attributes are padded to four bytes.
Decoding never raises: what is cut short or claims a length that it has not is left out, because half a message from
the kernel means that the buffer was too small, and the next dump tells it all again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "NLMSG_DONE",
    "NLMSG_ERROR",
    "NLM_F_ACK",
    "NLM_F_APPEND",
    "NLM_F_CREATE",
    "NLM_F_DUMP",
    "NLM_F_DUMP_INTR",
    "NLM_F_EXCL",
    "NLM_F_REPLACE",
    "NLM_F_REQUEST",
    "Message",
    "acknowledgement",
    "attribute",
    "attributes",
    "decode",
    "encode",
    "number",
    "text",
    "u8",
    "u32",
]

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x10, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
# The two highest bits of an attribute's type say "nested" and "network byte order" (NLA_TYPE_MASK).
_TYPE_MASK = 0x3FFF
_F_CAPPED, _F_ACK_TLVS = 0x100, 0x200
_ATTR_MESSAGE = 1

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_U32 = struct.Struct("=I")


@dataclass(frozen=True)
class Message:
    """One netlink message: its type, flags, sequence number and port as in the header, and the rest."""

    kind: int
    flags: int
    sequence: int
    port: int
    body: bytes


def _padded(length: int) -> int:
    return (length + 3) & ~3


def encode(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """One message, padded."""
    length = _HEADER.size + len(body)
    return _HEADER.pack(length, kind, flags, sequence, 0) + body + bytes(_padded(length) - length)


def decode(data: bytes) -> Iterator[Message]:
    """The messages of one datagram, up to the first that is damaged."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, sequence, port = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            return
        yield Message(kind, flags, sequence, port, data[at + _HEADER.size : at + length])
        at += _padded(length)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded.  ``value`` may hold attributes itself."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_padded(length) - length)


def attributes(data: bytes) -> dict[int, bytes]:
    """Type -> value, without flag bits; of a type that comes twice the last one, as in the kernel's nla_parse()."""
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            break
        found[kind & _TYPE_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += _padded(length)
    return found


def u8(value: int) -> bytes:
    return bytes((value,))


def u32(value: int) -> bytes:
    return _U32.pack(value)


def number(value: bytes, default: int = 0) -> int:
    """An unsigned number of any width; ``default`` for no bytes at all."""
    if not value:
        return default
    # The kernel pads nothing inside an attribute, so its length is the width.
    return int.from_bytes(value[:8], "little" if _U32.pack(1)[0] else "big")


def text(value: bytes) -> str:
    """A name as the kernel stores it: up to the first NUL, bytes that are no UTF-8 kept as surrogates."""
    return value.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def acknowledgement(message: Message) -> tuple[int, str]:
    """(errno, the kernel's words) of an NLMSG_ERROR or NLMSG_DONE; errno 0 means done."""
    if len(message.body) < _ERROR.size:
        return 0, ""
    (code,) = _ERROR.unpack_from(message.body)
    if message.kind != NLMSG_ERROR or not message.flags & _F_ACK_TLVS:
        return max(0, -code), ""
    # Behind the code stands the header of the refused request, and without NETLINK_CAP_ACK the whole of it.
    skip = _ERROR.size + _HEADER.size
    if not message.flags & _F_CAPPED and len(message.body) >= skip:
        (length,) = _U32.unpack_from(message.body, _ERROR.size)
        skip = _ERROR.size + max(_HEADER.size, _padded(length))
    return max(0, -code), text(attributes(message.body[skip:]).get(_ATTR_MESSAGE, b""))
