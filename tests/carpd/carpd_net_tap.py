"""What a segment's wires carry: every frame once, with the port it came in by and the kernel's time; and a pinging client."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from carpd_net import ETH_P_ALL, Host, Segment

__all__ = ["Advert", "Frame", "Pinger", "Pings", "Tap", "tcpdump"]

SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
PACKET_OUTGOING = 4
_PROBE = Path(__file__).with_name("carpd_net_probe.py")


@dataclass(frozen=True)
class Frame:
    """One Ethernet frame; ``time`` is seconds since 1970 as the kernel noted them, ``port`` the sender's name."""

    time: float
    port: str
    data: bytes

    @property
    def destination(self) -> str:
        return self.data[:6].hex(":")

    @property
    def source(self) -> str:
        return self.data[6:12].hex(":")

    @property
    def ethertype(self) -> int:
        return int.from_bytes(self.data[12:14], "big")


@dataclass(frozen=True)
class Advert:
    """A CARP advert as it was on the wire."""

    frame: Frame
    family: int
    source: str
    destination: str
    ttl: int
    payload: bytes

    @property
    def time(self) -> float:
        return self.frame.time

    @property
    def port(self) -> str:
        return self.frame.port

    @property
    def vhid(self) -> int:
        return self.payload[1]

    @property
    def advskew(self) -> int:
        return self.payload[2]

    @property
    def advbase(self) -> int:
        return self.payload[5]

    @property
    def counter(self) -> int:
        return int.from_bytes(self.payload[8:16], "big")

    @property
    def bow_out(self) -> bool:
        return (self.advbase, self.advskew) == (255, 255)


def advert(frame: Frame) -> Advert | None:
    """Return the advert that ``frame`` holds, if it holds one."""
    data = frame.data
    if frame.ethertype == 0x0800 and len(data) >= 70 and data[23] == 112:
        start = 14 + (data[14] & 15) * 4
        addresses = [str(ip_address(data[at : at + 4])) for at in (26, 30)]
        found = Advert(frame, 4, addresses[0], addresses[1], data[22], data[start : start + 36])
    elif frame.ethertype == 0x86DD and len(data) >= 90 and data[20] == 112:
        addresses = [str(ip_address(data[at : at + 16])) for at in (22, 38)]
        found = Advert(frame, 6, addresses[0], addresses[1], data[21], data[54:90])
    else:
        return None
    return found if len(found.payload) == 36 and found.payload[3] == 7 else None


class Tap:
    """Records all frames that come in at the switch's ports, from the moment it is made."""

    def __init__(self, segment: Segment) -> None:
        with segment.switch.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self.damage = False
        """Whether the scenario itself puts damaged packets on the wire."""
        self._frames: list[Frame] = []
        self._lock = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def _record(self) -> None:
        while self._open:
            if select.select([self._socket], [], [], 0.2)[0]:
                self._drain()

    def _drain(self) -> None:
        with self._lock:
            while True:
                try:
                    data, extra, _, sender = self._socket.recvmsg(65536, 128)
                except OSError:
                    return
                if sender[2] == PACKET_OUTGOING or sender[0] == "br0":
                    continue  # the same frame on its way out
                seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
                self._frames.append(Frame(seconds + nanoseconds / 1e9, sender[0], data))

    @property
    def frames(self) -> list[Frame]:
        """All that came in until now."""
        self._drain()
        return list(self._frames)

    def adverts(self, port: str | None = None, vhid: int | None = None, *, since: float = 0.0) -> list[Advert]:
        """Return the adverts, of one host or one vhid."""
        found = (advert(frame) for frame in self.frames if frame.time >= since)
        return [
            each
            for each in found
            if each and (port is None or each.port == port) and (vhid is None or each.vhid == vhid)
        ]

    def close(self) -> None:
        self._open = False
        self._thread.join(2)
        self._socket.close()

    def write(self, path: Path) -> None:
        """Write a capture file for tcpdump."""
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
            for frame in self.frames:
                seconds = int(frame.time)
                rest = int((frame.time - seconds) * 1e9)
                file.write(struct.pack("<IIII", seconds, rest, len(frame.data), len(frame.data)) + frame.data)


def tcpdump(tap: Tap, path: Path) -> list[str]:
    """Return how tcpdump decodes the adverts, one line each."""
    tap.write(path)
    argv = ["tcpdump", "-n", "-t", "-v", "-e", "-T", "carp", "-r", str(path), "ip proto 112 or ip6 proto 112"]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return text.replace("\n    ", " ").splitlines()


@dataclass(frozen=True)
class Pings:
    """What one client saw of one address: (sent, answered or None) on CLOCK_MONOTONIC."""

    entries: tuple[tuple[float, float | None], ...]

    @property
    def sent(self) -> int:
        return len(self.entries)

    @property
    def lost(self) -> int:
        return sum(answered is None for _, answered in self.entries)

    @property
    def gap(self) -> float:
        """The longest time between two answers, in seconds; without loss about the interval of the pings."""
        answers = sorted(answered for _, answered in self.entries if answered is not None)
        ends = [self.entries[0][0], *answers, self.entries[-1][0]]
        return max((later - earlier for earlier, later in pairwise(ends)), default=0.0)

    @property
    def stall(self) -> float:
        """The longest time between two requests: what the client itself was late."""
        times = [sent for sent, _ in self.entries]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    def between(self, start: float, end: float) -> Pings:
        return Pings(tuple(entry for entry in self.entries if start <= entry[0] <= end))

    def __str__(self) -> str:
        return f"{self.lost} of {self.sent} lost, gap {self.gap * 1000:.0f} ms, stall {self.stall * 1000:.0f} ms"


class Pinger:
    """A client at 100 Hz."""

    def __init__(self, host: Host, targets: Sequence[str], interval: float = 0.01) -> None:
        argv = ["ip", "netns", "exec", host.namespace, sys.executable, "-I", "-S", str(_PROBE), str(interval), *targets]
        self._child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._child.stdout
        assert self._child.stdout.readline() == b"ready\n"
        self._targets = targets
        time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        self._child.communicate()

    def stop(self) -> dict[str, Pings]:
        """End it and return what it saw."""
        out, _ = self._child.communicate(timeout=15)
        found: dict[str, list[list[Any]]] = json.loads(out)
        return {target: Pings(tuple((sent, answered) for sent, answered in found[target])) for target in self._targets}

    def one(self) -> Pings:
        """As `stop`, for one target."""
        return self.stop()[self._targets[0]]
