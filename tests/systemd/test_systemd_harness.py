"""The hosts themselves: do they boot, reboot and lose power as machines do, and is nothing left of them?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import systemd_base
from systemd_cluster import Cluster, why_not

pytestmark = pytest.mark.timeout(600)  # the first test ever makes the Debian system


@pytest.fixture(scope="module")
def lone(containers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(["lone"], tmp_path_factory.mktemp("lone"), seeds={"/etc/seeded": "yes\n"}) as cluster:
        yield cluster


def test_systemd_is_process_1_and_content(lone: Cluster) -> None:
    host = lone["lone"]
    assert host.output("cat /proc/1/comm; systemctl is-system-running; hostname; cat /etc/seeded") == (
        "systemd\nrunning\nlone\nyes\n"
    )
    assert {host.address, host.address6} <= host.addresses()
    assert lone.ping(host.address)
    assert lone.ping(host.address6)


def test_a_reboot_keeps_files_and_nothing_else(lone: Cluster) -> None:
    host, boots = lone["lone"], lone["lone"].boots
    before = host.output(
        "echo kept >/etc/kept; echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_ignore; ip addr add 198.18.255.1/32 dev eth0; "
        "touch /run/gone; cat /proc/sys/kernel/random/boot_id"
    )
    host.run("shutdown -r now")
    host.await_boot(boots + 1)
    after = host.output("cat /proc/sys/kernel/random/boot_id /etc/kept /proc/sys/net/ipv4/conf/eth0/arp_ignore")
    assert after.splitlines()[0] != before.strip()
    assert after.splitlines()[1:] == ["kept", "0"]
    assert "198.18.255.1" not in host.addresses()
    assert host.run("test -e /run/gone").status == 1


def test_power_off_and_power_cut_and_on_again(lone: Cluster) -> None:
    host, boots = lone["lone"], lone["lone"].boots
    host.run("poweroff")
    host.await_off()
    assert not lone.ping(host.address)
    host.boot()
    host.power_cut()
    assert not host.on
    host.boot()
    assert host.boots == boots + 2
    assert lone.ping(host.address)


def _traces(pid: int) -> list[str]:
    """What a cluster of process ``pid`` would leave behind."""
    # Groups go while they are looked at, which os.walk takes calmly.
    groups = ((parent, name) for parent, names, _ in os.walk("/sys/fs/cgroup") for name in names)
    marks = [f"{parent}/{name}" for parent, name in groups if name.startswith(f"bsdcarp-test-{pid}-")]
    mounts = [
        line for line in Path("/proc/self/mounts").read_text().splitlines() if "overlay" in line or "nspawn" in line
    ]
    processes = subprocess.run(
        ["pgrep", "-f", f"bsdcarp-test-{pid}-"], capture_output=True, text=True, check=False
    ).stdout.split()
    named = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout.split("\n")
    return [*marks, *mounts, *processes, *[name for name in named if name.startswith("boot")]]


_DIES = """\
import os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from systemd_cluster import Cluster
cluster = Cluster.start(["left"], Path({directory!r}))
print(cluster["left"].address, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_cluster_whose_owner_was_killed(containers: None, tmp_path: Path) -> None:
    before = _traces(0)
    script = _DIES.format(path=sys.path, directory=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as owner:
        said, _ = owner.communicate(timeout=300)
    assert owner.returncode == -signal.SIGKILL
    assert said.startswith("198.18.")
    deadline = time.monotonic() + 10
    while _traces(owner.pid) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _traces(owner.pid) == before
    assert list((tmp_path / "left" / "disk").iterdir()) == []


def test_nothing_is_left_of_a_cluster_that_was_closed(containers: None, tmp_path: Path) -> None:
    before = _traces(0)
    threads, links = set(threading.enumerate()), _links()
    with Cluster.start(["left"], tmp_path) as cluster:
        assert cluster["left"].on
    cluster.close()
    assert _traces(0) == before
    assert set(threading.enumerate()) == threads
    assert len(_links()) <= len(links)
    with pytest.raises(RuntimeError, match="left is gone"):
        cluster["left"].boot()


def _links() -> list[str]:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    ("what", "value", "reason"),
    [
        ("sys.platform", "freebsd14", "needs Linux"),
        ("os.geteuid", lambda: 1000, "needs root"),
        ("missing_programs", lambda: ["systemd-nspawn"], "not installed: systemd-nspawn"),
    ],
)
def test_the_reason_for_skipping_is_clear(
    what: str, value: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    why_not.cache_clear()
    monkeypatch.setattr(f"systemd_cluster.{what}", value)
    assert reason in (why_not() or "")
    monkeypatch.undo()
    why_not.cache_clear()


def test_a_mirror_that_does_not_answer_is_a_reason_too(
    containers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(systemd_base, "_MIRROR", "http://127.0.0.1:9/debian")
    with pytest.raises(systemd_base.BaseError, match="cannot fetch http://127"):
        systemd_base.base()
    assert [path.name for path in (tmp_path / "bsdcarp-tests").iterdir()] == ["lock"]
