"""Who listens to a machine's going down and coming up hears of both in that order, from whatever thread they come."""

from __future__ import annotations

import threading

from bsdcarp.lab.network import Network


def test_what_is_told_later_waits_for_what_is_being_told() -> None:
    network = Network()
    heard: list[str] = []
    going, go_on = threading.Event(), threading.Event()

    def down() -> None:
        going.set()
        assert go_on.wait(10)
        heard.append("down")

    first = threading.Thread(target=network.tell, args=([down],))
    first.start()
    assert going.wait(10)
    second = threading.Thread(target=network.tell, args=([lambda: heard.append("up")],))
    second.start()
    second.join(0.1)
    assert heard == []
    go_on.set()
    first.join(10)
    second.join(10)
    assert heard == ["down", "up"]


def test_a_listener_may_tell_others() -> None:
    network = Network()
    heard: list[str] = []
    network.tell([lambda: network.tell([lambda: heard.append("inner")]), lambda: heard.append("next")])
    assert heard == ["next", "inner"]
