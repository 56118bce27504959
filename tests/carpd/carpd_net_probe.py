"""A client that pings addresses at a fixed rate and writes down each answer.  Run as a program inside a namespace.

Raw ICMP sockets, so it needs no flood privilege of ping(8), and the times are its own: one JSON object on standard
output after standard input was closed, {target: [[seconds of sending, seconds of the answer or null], ...]} on
CLOCK_MONOTONIC, which all processes of a machine share.  Standard library only; started with ``python -I -S``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import time

LINGER = 0.5
"""How long it waits for late answers."""


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def _echo(number: int, identity: int, v6: bool) -> bytes:
    body = struct.pack("!HHQ", identity, number & 0xFFFF, number)
    if v6:
        return struct.pack("!BBH", 128, 0, 0) + body  # the kernel fills in the checksum
    return struct.pack("!BBH", 8, 0, _checksum(struct.pack("!BBH", 8, 0, 0) + body)) + body


def main(interval: float, targets: list[str]) -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(20))  # the client must not be what is late
    identity = os.getpid() & 0xFFFF
    v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    for sock in (v4, v6):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    seen: dict[str, list[list[float | None]]] = {target: [] for target in targets}
    poll = select.poll()
    for descriptor in (v4.fileno(), v6.fileno(), 0):
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    due, until, number = time.monotonic(), float("inf"), 0
    while time.monotonic() < until:
        pause = max(0.0, min(due, until) - time.monotonic())
        for descriptor, _ in poll.poll(pause * 1000):
            if descriptor == 0:
                if not os.read(0, 4096):
                    poll.unregister(0)
                    until, due = time.monotonic() + LINGER, float("inf")
            else:
                _receive(v4 if descriptor == v4.fileno() else v6, identity, seen)
        now = time.monotonic()
        if now >= due:
            for target in targets:
                seen[target].append([now, None])
                six = ":" in target
                with contextlib.suppress(OSError):
                    (v6 if six else v4).sendto(_echo(number, identity, six), (target, 0))
            number += 1
            due += interval
            if due < now:
                due = now + interval
    json.dump(seen, sys.stdout)


def _receive(sock: socket.socket, identity: int, seen: dict[str, list[list[float | None]]]) -> None:
    while True:
        try:
            data, sender = sock.recvfrom(2048)
        except OSError:
            return
        now = time.monotonic()
        wanted = 129
        if sock.family == socket.AF_INET:
            data, wanted = data[(data[0] & 15) * 4 :], 0
        if len(data) < 16 or data[0] != wanted:
            continue
        their_identity, _, number = struct.unpack("!HHQ", data[4:16])
        entries = seen.get(sender[0])
        if their_identity == identity and entries is not None and number < len(entries) and entries[number][1] is None:
            entries[number][1] = now


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
