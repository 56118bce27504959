"""The CARP protocol core: what to say, when to say it and what to make of what others say.

It has no socket, no clock, no thread and no file.  Time is an argument (monotonic seconds), packets are bytes, and what
should happen is returned as a tuple of actions.  The embedded lab drives it as its simulated kernels, the Linux daemon
as the real thing.  Start reading at ``actions`` (what comes out), ``state`` (the table) and ``node`` (what goes in).

It imports nothing of the project but itself and runs on Python 3.8.
"""

from __future__ import annotations

from bsdcarp.carp import arpbalance
from bsdcarp.carp.actions import (
    Action,
    AddAddresses,
    DemotionChanged,
    LinkState,
    Log,
    RemoveAddresses,
    SendAdvert,
    SendGratuitousArp,
    SendUnsolicitedNa,
    StateChanged,
)
from bsdcarp.carp.counters import Heard, Statistics
from bsdcarp.carp.frames import Frame, parse_frame, virtual_mac
from bsdcarp.carp.machine import Machine
from bsdcarp.carp.node import Node
from bsdcarp.carp.packet import Advertisement, BadPacket, Reason, decode, encode
from bsdcarp.carp.personality import Personality, personality
from bsdcarp.carp.vhid import Family, Protocol, Settings, State, Vhid

__all__ = [
    "Action",
    "AddAddresses",
    "Advertisement",
    "BadPacket",
    "DemotionChanged",
    "Family",
    "Frame",
    "Heard",
    "LinkState",
    "Log",
    "Machine",
    "Node",
    "Personality",
    "Protocol",
    "Reason",
    "RemoveAddresses",
    "SendAdvert",
    "SendGratuitousArp",
    "SendUnsolicitedNa",
    "Settings",
    "State",
    "StateChanged",
    "Statistics",
    "Vhid",
    "arpbalance",
    "decode",
    "encode",
    "parse_frame",
    "personality",
    "virtual_mac",
]
