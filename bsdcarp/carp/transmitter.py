"""The sending side of one vhid: counters, digests, what was sent lately, and failures to send."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from bsdcarp.carp.actions import SendAdvert
from bsdcarp.carp.digest import Key
from bsdcarp.carp.frames import TOS
from bsdcarp.carp.packet import LENGTH, Advertisement, encode
from bsdcarp.carp.personality import Personality, SendErrors
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6, Family, Vhid

__all__ = ["BOW_OUT", "Transmitter"]

# advbase and advskew of an advert that says good-bye; no setting can produce it.
BOW_OUT = (255, 255)
# CARP_SENDAD_MAX_ERRORS and CARP_SENDAD_MIN_SUCCESS.
_LIMIT = 3
# IPTOS_LOWDELAY, what IPv4 adverts carried before net.inet.carp.dscp; IPv6 ones carried nothing.
_OLD_CLASS = {Family.IPV4: 0x10, Family.IPV6: 0}


class Transmitter:
    """Builds adverts and knows its own again.  ``draw(64)`` gives 64 random bits."""

    def __init__(self, personality: Personality, draw: Callable[[int], int], config: Vhid) -> None:
        self._personality = personality
        self._draw = draw
        self._counter = draw(64)
        self._random = personality.follows_counter
        self._sent: deque[bytes] = deque(maxlen=personality.remembers_sent)
        self._heard: deque[bytes] = deque(maxlen=personality.remembers_heard)
        self._errors = 0
        self._successes = 0
        self.rekey(config)

    def rekey(self, config: Vhid) -> None:
        """Prepare the digest anew, after a change of key, vhid or addresses."""
        self._key = Key(config.key, config.vhid, config.v4, config.v6, ordered=self._personality.ordered_digest)

    def accepts(self, advert: Advertisement) -> bool:
        """Whether the digest is right; if so, its counter is taken over where the release does that."""
        if not self._key.verify(advert.counter, advert.digest):
            return False
        if self._personality.follows_counter:
            # No replay check, as in every BSD: a rebooted peer starts anew with a random counter.
            self._counter = advert.counter
            self._random = False
        return True

    def is_own(self, payload: bytes) -> bool:
        """Whether these very bytes were sent here lately.

        A counter alone would prove nothing: FreeBSD peers count on from ours.  Their advskew makes the difference.
        """
        return payload[:LENGTH] in self._sent

    def is_replay(self, payload: bytes) -> bool:
        """Whether these very bytes were accepted lately.  To be asked once for each accepted advert.

        No ground for refusal: OpenBSD never changes its counter, and a segment may deliver a packet twice.
        """
        known = payload[:LENGTH] in self._heard
        if not known:
            self._heard.append(payload[:LENGTH])
        return known

    def adverts(
        self, config: Vhid, parent: str, interval: tuple[int, int], traffic_class: int = TOS
    ) -> Iterator[SendAdvert]:
        """One advert for each family of the vhid, with consecutive counters and the same digest input."""
        rules = self._personality
        advbase, advskew = interval
        for family in config.families:
            counter = self._counter = self._draw(64) if self._random else (self._counter + 1) % 2**64
            # The kernel assigns an int to a byte: a negative sum wraps around where there is no floor.
            advert = Advertisement(config.vhid, advskew & 0xFF, advbase, counter, self._key.digest(counter))
            payload = encode(advert)
            self._sent.append(payload)
            peer, group = (config.peer, GROUP_V4) if family is Family.IPV4 else (config.peer6, GROUP_V6)
            destination = peer if peer and rules.unicast else group
            tos = traffic_class if rules.dscp else _OLD_CLASS[family]
            yield SendAdvert(config.vhid, parent, family, advert, payload, destination, tos)

    @property
    def failing(self) -> bool:
        """Whether the host is demoted because of this vhid's failures to send."""
        return self._errors >= _LIMIT

    def failed(self) -> bool:
        """Note that an advert could not be sent.  True at the third in a row: now the host has to be demoted."""
        self._errors += 1
        self._successes = 0
        return self._errors == _LIMIT

    def succeeded(self) -> bool:
        """Note that an advert was sent.  True if that is the one which undoes the demotion."""
        rule = self._personality.send_errors
        failing = self.failing
        if failing or (rule is SendErrors.STEADY and self._errors):
            self._successes += 1
        undone = failing and self._successes >= _LIMIT
        patient = failing if rule is SendErrors.AFTER_THREE_SENT else rule is SendErrors.STEADY
        if not patient or self._successes >= _LIMIT:
            self._errors = 0
            self._successes = 0
        return undone
