"""Whether two values that rc hands to ifconfig(8) mean the same, so that a hand-written line can stay as it is."""

from __future__ import annotations

from bsdcarp.textfiles.alias import AliasWords, parse_alias

__all__ = ["same_words"]


_OF_VHID = frozenset({"advbase", "advskew", "pass", "peer", "peer6", "state"})


def same_words(there: str | None, wanted: str, *, vhid_first: bool = True) -> bool:
    """Return whether ``there`` does what ``wanted`` does: order, ``alias`` and defaults that go unsaid are no matter.

    A value with a word that is not understood is never the same as another one, nor is one with a parameter before
    its vhid where ``vhid_first``: from FreeBSD 10 on ifconfig(8) refuses that.
    """
    if there is None or (vhid_first and _parameter_first(there)):
        return False
    if there == wanted:
        return True
    one, other = parse_alias(there), parse_alias(wanted)
    rests = ({*one.rest} - {"up"}, {*other.rest} - {"up"})
    return not any(rests) and _meaning(one) == _meaning(other)


def _parameter_first(value: str) -> bool:
    first = next((word for word in value.split() if word == "vhid" or word in _OF_VHID), "vhid")
    return first != "vhid"


def _meaning(words: AliasWords) -> tuple[object, ...]:
    advbase = 1 if words.advbase is None and words.vhid else words.advbase
    advskew = 0 if words.advskew is None and words.vhid else words.advskew
    # Without a prefix length the mask differs by release; ``ip`` is None then.
    address = words.ip if words.ip or words.address is None else words.address
    return (
        words.family or "inet",
        address,
        words.vhid,
        advbase,
        advskew,
        words.password,
        words.peer,
        words.peer6,
    )
