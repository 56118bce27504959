"""A trial boot of a host that serves: its peer takes over before, or nothing is rebooted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_lab import KernelLab, kernel_lab

pytestmark = pytest.mark.timeout(240)

TEXT = """\
version: 1
sysctl: {allow: 1, preempt: 1, log: 1}
hosts:
  a: {address: 10.1.0.2, interface: em0, os: freebsd-12.1, kernel: {method: module}}
  b: {address: 10.1.0.3, interface: em0, os: freebsd-12.1, kernel: {method: module}}
groups:
  one: {vhid: 1, password: {env: LAB_PASSWORD}, addresses: [10.1.0.1/24], members: [a, b]}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[KernelLab]:
    """Two hosts that serve with the module; a is MASTER, and its kernel is built."""
    with kernel_lab(tmp_path, TEXT) as bench:
        assert bench.run("apply", "--yes").status == 0
        bench.path.write_text(TEXT.replace("method: module", "method: static", 1))
        assert bench.kernel("build", "--host", "a").row[0] == "built"
        yield bench


def test_the_peer_is_master_before_the_host_goes_down(bench: KernelLab) -> None:
    seen: list[object] = []
    bench.machine.on_down.append(lambda: seen.append(list(bench.lab.freebsd("b").carp_states().values())))
    result = bench.kernel("install", "--host", "a")
    assert result.row[0] == "changed", result
    assert "/boot/kernel.CARP was tried" in result.row[1]
    assert seen == [["MASTER"]]
    assert not bench.lab.root("a").joinpath("var/run/bsdcarp.lock").exists()
    verified = bench.run("verify")
    assert verified.status == 0, verified


def test_without_a_healthy_peer_nothing_is_rebooted_unless_an_outage_is_allowed(bench: KernelLab) -> None:
    bench.lab.freebsd("b").power_off()
    generation = bench.machine.generation
    result = bench.kernel("install", "--host", "a")
    assert result.status == 1, result
    assert result.row[0] == "refused"
    assert "would be left without a healthy member" in result.row[1]
    assert "--outage" in result.row[1]
    assert bench.machine.generation == generation
    assert not bench.machine.tree.exists("/boot/kernel.CARP")
    assert bench.kernel("install", "--host", "a", "--outage").row[0] == "changed"
