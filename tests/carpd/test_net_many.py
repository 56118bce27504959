"""255 vhids on one interface, in one process."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import pairwise

import pytest
from carpd_net import Segment, eventually, needs_namespaces
from carpd_net_daemons import Carpd, vhid
from carpd_net_stage import scenario, stage
from carpd_net_tap import Tap

__all__ = ["stage"]  # the fixture of every scenario

pytestmark = [needs_namespaces, pytest.mark.long]


@scenario
def test_255_vhids_without_a_missed_advert_and_all_of_them_taken_over(segment: Segment, tap: Tap) -> None:
    hosts = segment.numbered("one", 11), segment.numbered("two", 12)
    before = hosts[1].footprint()
    vhids = [vhid(number, f"198.51.100.{number}/24") for number in range(1, 256)]
    active = Carpd(hosts[0], *vhids)
    eventually(lambda: {entry["state"] for entry in active.status()["vhids"]} == {"MASTER"}, 30)
    standby = Carpd(hosts[1], *({**entry, "advskew": 100} for entry in vhids))
    begun = time.time()
    time.sleep(20)
    times: dict[int, list[float]] = defaultdict(list)
    for advert in tap.adverts("one", since=begun):
        times[advert.vhid].append(advert.time)
    assert sorted(times) == list(range(1, 256))
    assert max(later - earlier for each in times.values() for earlier, later in pairwise(each)) < 1.5
    assert not tap.adverts("two")
    active.kill()
    hosts[0].unplug()
    eventually(lambda: {entry["state"] for entry in standby.status()["vhids"]} == {"MASTER"}, 10)
    assert hosts[1].holds("198.51.100.1")
    assert hosts[1].holds("198.51.100.255")
    standby.stop()
    assert hosts[1].footprint() == before
