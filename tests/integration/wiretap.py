"""A TCP relay in front of a host's sshd: counts connections and bytes, and cuts one where a test says so."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Direction = Literal["up", "down"]
"""To the host, from the host."""


@dataclass(frozen=True)
class Cut:
    """Where a connection ends: the number of the connection, the direction, and how many bytes still pass."""

    connection: int
    direction: Direction
    after: int


@dataclass
class Wiretap:
    """Listens on loopback; ``counted`` has the bytes of every connection since ``begin``."""

    target: tuple[str, int]
    cut: Cut | None = None
    counted: list[dict[Direction, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def was_cut(self) -> bool:
        cut = self.cut
        if cut is None or len(self.counted) <= cut.connection:
            return False
        return self.counted[cut.connection][cut.direction] >= cut.after

    def begin(self, cut: Cut | None = None) -> None:
        with self._lock:
            self.cut = cut
            self.counted = []

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                server = socket.create_connection(self.target)
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    number, cut, counts = len(self.counted), self.cut, {"up": 0, "down": 0}
                    self.counted.append(counts)  # type: ignore[arg-type]  # literal keys
                here = cut if cut and cut.connection == number else None
                for direction, source, sink in (("up", client, server), ("down", server, client)):
                    words = (direction, source, sink, counts, here)
                    threading.Thread(target=self._relay, args=words, daemon=True).start()

    def _relay(
        self, direction: Direction, source: socket.socket, sink: socket.socket, counts: dict[str, int], cut: Cut | None
    ) -> None:
        limit = cut.after if cut and cut.direction == direction else None
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                room = len(data) if limit is None else limit - counts[direction]
                sink.sendall(data[: max(room, 0)])
                counts[direction] += min(len(data), max(room, 0))
                if limit is not None and counts[direction] >= limit:
                    # Both ends learn of it at once and rudely.
                    for end in (source, sink):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def tapped(ssh_config: Path, host: str) -> Iterator[tuple[Wiretap, Path]]:
    """Put a relay before ``host``; yields it and an ssh_config that leads through it."""
    text = ssh_config.read_text()
    stanza = text[text.index(f"\nHost {host} ") :]
    stanza = stanza[: stanza.find("\nHost ", 1)] if "\nHost " in stanza[1:] else stanza
    name = re.search(r"HostName (\S+)", stanza)
    port = re.search(r"Port (\d+)", stanza)
    known = re.search(r'UserKnownHostsFile "([^"]+)"', stanza)
    assert name
    assert port
    assert known
    tap = Wiretap((name[1], int(port[1])))
    try:
        keys = ssh_config.with_name(f"known_hosts.{host}")
        there = name[1] if port[1] == "22" else f"[{name[1]}]:{port[1]}"
        keys.write_text(Path(known[1]).read_text().replace(there, f"[127.0.0.1]:{tap.port}"))
        through = stanza.replace(f"HostName {name[1]}", "HostName 127.0.0.1")
        through = through.replace(f"Port {port[1]}", f"Port {tap.port}").replace(known[1], str(keys))
        config = ssh_config.with_name(f"ssh_config.{host}")
        config.write_text(text.replace(stanza, through))
        yield tap, config
    finally:
        tap.close()
