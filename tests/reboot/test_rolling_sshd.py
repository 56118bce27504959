"""A rolling reboot over OpenSSH's own sshd: sessions that die with the host, ports that are closed meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from realhosts.harness import RealCluster

from bsdcarp.inventory import load_text, require
from reboot.bench import Bench, inventory_text


@pytest.mark.timeout(200)
def test_hosts_with_a_real_sshd_reboot_one_after_the_other(real_hosts: None, tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(inventory_text([("freebsd-9.3", "freebsd-14.2")]), encoding="utf-8")
    inventory = require(load_text(path.read_text(encoding="utf-8"), str(path)))
    with pytest.MonkeyPatch.context() as patch, RealCluster.start(inventory, tmp_path / "hosts") as real:
        patch.setenv("ROLLING_PASSWORD", "RollingPw1")
        bench = Bench(real, path, inventory)
        bench.apply()
        rolled = bench.roll()
    assert [entry.result for entry in rolled.hosts] == ["rebooted", "rebooted"], rolled
    assert {entry.host: dict(entry.heirs) for entry in rolled.hosts} == {
        "h0a": {"one0": "h0b"},
        "h0b": {"two0": "h0a"},
    }
    assert all(entry.down and entry.seconds and entry.down <= entry.seconds for entry in rolled.hosts)
