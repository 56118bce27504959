"""What goes wrong on a host is told in one line, and stays with that host and its group."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.conftest import Bench

pytestmark = pytest.mark.timeout(180)

TWO_GROUPS = """\
version: 1
sysctl: {allow: 1, preempt: 1, log: 1}
hosts:
  a: {address: 10.1.0.2, interface: em0, os: freebsd-14.2}
  b: {address: 10.1.0.3, interface: em0, os: freebsd-14.2}
  c: {address: 10.2.0.2, interface: em0, os: freebsd-12.1}
  d: {address: 10.2.0.3, interface: em0, os: freebsd-12.1}
groups:
  one: {vhid: 1, password: {env: LAB_PASSWORD}, addresses: [10.1.0.1/24], members: [a, b]}
  two: {vhid: 2, password: {env: LAB_PASSWORD}, addresses: [10.2.0.1/24], members: [c, d]}
"""


def test_a_host_that_is_down_stops_its_group_and_no_other(bench: Callable[[str], Bench]) -> None:
    lab = bench(TWO_GROUPS)
    lab.lab.machine("a").power_off()
    before = lab.file("b", "/etc/rc.conf").read_text()
    result = lab.run("apply", "--yes", "--json")
    assert result.status == 5, result
    results = {host: row["result"] for host, row in result.document["results"].items()}
    assert results == {"a": "unreachable", "b": "skipped", "c": "changed", "d": "changed"}
    assert lab.file("b", "/etc/rc.conf").read_text() == before
    assert "vhid 2" in lab.file("c", "/etc/rc.conf").read_text()
    assert lab.run("verify", "--group", "two").status == 0
    assert lab.run("verify").status == 5


def test_an_rc_conf_that_sh_cannot_parse_is_not_touched(bench: Callable[[str], Bench]) -> None:
    lab = bench(TWO_GROUPS)
    broken = lab.file("a", "/etc/rc.conf").read_text() + 'oops="unbalanced\n'
    lab.file("a", "/etc/rc.conf").write_text(broken)
    result = lab.run("apply", "--yes", "--group", "one")
    assert result.status == 1, result
    assert "cannot parse rc.conf" in result.out
    assert lab.file("a", "/etc/rc.conf").read_text() == broken


def test_a_failing_command_rolls_back_and_says_so(bench: Callable[[str], Bench]) -> None:
    lab = bench(TWO_GROUPS)
    files = ("/etc/rc.conf", "/etc/sysctl.conf", "/boot/loader.conf")
    before = {path: lab.file("b", path).read_bytes() for path in files}
    sabotage = lab.file("b", ".lab/bin/ifconfig")
    real = sabotage.rename(sabotage.with_name("ifconfig.real"))
    sabotage.write_text(
        '#!/bin/sh\ncase "$*" in *"alias 10."*) echo "ifconfig: SIOCAIFADDR: $*" >&2; exit 1 ;; esac\n'
        f'n=ifconfig; . "{real}"\n'
    )
    sabotage.chmod(0o755)
    result = lab.run("apply", "--yes", "--group", "one", "--json")
    assert result.status == 6, result
    results = {host: row["result"] for host, row in result.document["results"].items()}
    assert results == {"a": "skipped", "b": "undone"}
    assert "SIOCAIFADDR" in result.document["results"]["b"]["detail"]
    assert {path: lab.file("b", path).read_bytes() for path in files} == before


def test_a_missing_interface_is_told_before_anything_changes(bench: Callable[[str], Bench]) -> None:
    lab = bench(TWO_GROUPS)
    before = lab.file("a", "/etc/rc.conf").read_text()
    lab.rewrite("a: {address: 10.1.0.2, interface: em0", "a: {address: 10.1.0.2, interface: em9")
    result = lab.run("apply", "--yes", "--group", "one")
    assert result.status == 1, result
    assert "there is no interface em9" in result.out
    assert lab.file("a", "/etc/rc.conf").read_text() == before


def test_the_wrong_release_in_the_inventory_is_told(bench: Callable[[str], Bench]) -> None:
    lab = bench(TWO_GROUPS)
    lab.rewrite(
        "c: {address: 10.2.0.2, interface: em0, os: freebsd-12.1",
        "c: {address: 10.2.0.2, interface: em0, os: freebsd-9.3",
    )
    lab.rewrite(
        "d: {address: 10.2.0.3, interface: em0, os: freebsd-12.1",
        "d: {address: 10.2.0.3, interface: em0, os: freebsd-9.3",
    )
    result = lab.run("diff", "--host", "c")
    assert result.status == 1, result
    assert "the host runs freebsd-12.1" in result.out


def test_an_unknown_host_key_is_refused_and_accepted_only_when_asked(
    bench: Callable[[str], Bench], tmp_path: Path
) -> None:
    lab = bench(TWO_GROUPS)
    known = tmp_path / "known_hosts"
    config = tmp_path / "ssh_config"
    text = lab.lab.ssh_config.read_text().replace(str(lab.lab.known_hosts), str(known))
    config.write_text(text.replace("StrictHostKeyChecking yes", ""))
    assert lab.run("status", "--host", "a", "--ssh-config", str(config)).status == 5
    assert lab.run("status", "--host", "a", "--ssh-config", str(config), "--accept-new").status == 0
    assert lab.run("status", "--host", "a", "--ssh-config", str(config)).status == 0
    assert len(known.read_text().splitlines()) == 1


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.4, 0.8])
def test_an_interrupt_leaves_every_host_untouched_or_complete(bench: Callable[[str], Bench], delay: float) -> None:
    lab = bench(TWO_GROUPS)
    hosts = "abcd"
    before = {h: lab.file(h, "/etc/rc.conf").read_text() for h in hosts}
    with subprocess.Popen(
        lab.words("apply", "--yes", "-v"), env=lab.process_environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr
        assert process.stdout
        for line in process.stderr:
            if "applying" in line:
                break
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read() + process.stdout.read()
        process.wait(timeout=60)
    complete = {h for h in hosts if lab.file(h, "/etc/rc.conf").read_text() != before[h]}
    assert (process.returncode == 0) == (len(complete) == len(hosts)), said
    for host in hosts:
        loader = lab.file(host, "/boot/loader.conf").read_text()
        sysctl = lab.file(host, "/etc/sysctl.conf").read_text()
        assert ("carp_load" in loader) == (host in complete)
        assert ("carp.preempt=1" in sysctl) == (host in complete)
        assert not list(lab.file(host, "/etc").glob("*.bsdcarp-*"))
        assert not lab.file(host, "/var/run/bsdcarp.lock").exists()
        live = lab.lab.machine(host).command(["ifconfig", "em0"], "/", {}).stdout.decode()
        assert ("vhid" in live) == (host in complete)
    again = lab.run("apply", "--yes")
    assert again.status == 0, again
