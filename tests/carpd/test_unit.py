"""The files that start the daemon: systemd's, OpenRC's and the plain shell's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bsdcarp.platforms.paths import CARPD_CONFIG
from bsdcarp.platforms.zipapp import carpd_zipapp

TEMPLATES = Path(__file__).parents[2] / "templates" / "linux"
UNIT = TEMPLATES / "bsdcarp-carpd.service"
PROGRAM = "/usr/local/lib/bsdcarp/carpd.pyz"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
needs_shellcheck = pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")


def directives(section: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    part = UNIT.read_text().split(f"[{section}]\n")[1].split("\n[")[0]
    for line in part.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_it_starts_what_is_installed_where_it_is_installed() -> None:
    service = directives("Service")
    assert service["ExecStart"] == [f"/usr/bin/python3 -I {PROGRAM} run -c {CARPD_CONFIG}"]
    assert service["ExecReload"] == [
        f"/usr/bin/python3 -I {PROGRAM} run -n -c {CARPD_CONFIG}",
        "/bin/kill -HUP $MAINPID",
    ]
    assert service["ExecStopPost"] == [f"/usr/bin/python3 -I {PROGRAM} clean"]
    assert directives("Unit")["ConditionFileNotEmpty"] == [CARPD_CONFIG]


def test_it_keeps_what_the_daemon_needs() -> None:
    service = directives("Service")
    assert service["CapabilityBoundingSet"] == ["CAP_NET_ADMIN CAP_NET_RAW"]
    assert set(service["RestrictAddressFamilies"][0].split()) >= {"AF_UNIX", "AF_NETLINK", "AF_PACKET"}
    # /proc/sys/net has to stay writable and visible.
    assert not {"ProtectKernelTunables", "ProcSubset", "PrivateNetwork", "PrivateUsers", "RestrictRealtime"} & set(
        service
    )
    assert service["RuntimeDirectoryPreserve"] == ["yes"]
    assert service["RestartPreventExitStatus"] == ["78"]


def test_it_waits_longer_for_the_end_than_the_notify_script_may_take() -> None:
    from bsdcarp.carpd.hooks import LIMIT

    assert int(directives("Service")["TimeoutStopSec"][0]) > LIMIT
    assert directives("Service")["KillMode"] == ["mixed"]


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    shutil.copy(UNIT, unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, [line for line in done.stderr.splitlines() if unit.name in line]) == (
        0,
        "",
        [],
    )


@needs_systemd
def test_systemd_finds_it_well_protected(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    shutil.copy(UNIT, unit)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "--offline" in done.stderr:
        pytest.skip("this systemd-analyze knows no --offline")
    score = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert score, done.stdout + done.stderr
    # A unit with none of this has 9.6.
    assert float(score[1]) <= 3.0


@pytest.mark.parametrize("name", ["bsdcarp-carpd.sh", "bsdcarp-carpd.openrc"])
def test_a_shell_reads_it(name: str) -> None:
    subprocess.run(["sh", "-n", str(TEMPLATES / name)], check=True, timeout=30)


@needs_shellcheck
def test_shellcheck_has_nothing_to_say() -> None:
    subprocess.run(["shellcheck", str(TEMPLATES / "bsdcarp-carpd.sh")], check=True, timeout=60)
    # SC1008, SC2034: openrc-run is a shell with variables of its own.
    subprocess.run(
        ["shellcheck", "-s", "sh", "-e", "SC1008,SC2034", str(TEMPLATES / "bsdcarp-carpd.openrc")],
        check=True,
        timeout=60,
    )


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"),
    reason="needs root on Linux: it makes a network namespace",
)
def test_the_shell_script_starts_shows_reloads_and_stops_the_daemon(tmp_path: Path) -> None:
    program, config, run = tmp_path / "carpd.pyz", tmp_path / "carpd.json", tmp_path / "run"
    program.write_bytes(carpd_zipapp())
    one = {
        "group": "web", "vhid": 1, "interface": "nic0", "advbase": 1, "advskew": 0, "password": "secret",
        "peer": None, "peer6": None, "addresses": ["192.0.2.1/24"],
    }  # fmt: skip
    config.write_text(json.dumps({"version": 1, "settings": {"allow": 1}, "vhids": [one]}))
    config.chmod(0o600)
    steps = f"""
        carpd() {{ sh {TEMPLATES}/bsdcarp-carpd.sh "$@" 2>&1 | tail -1; }}
        carpd status
        mkdir -m 700 {run}; echo $$ >{run}/carpd.pid  # left by a crash, and the number has been used again
        carpd status
        carpd start
        carpd start
        carpd status
        carpd reload
        echo '{{' >{config}
        carpd reload
        carpd stop
        ls {run}
        carpd status
        carpd start
        carpd
    """
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", f"ip link add nic0 type veth peer name nic1 && ip link set nic1 up && ip link set nic0 up\n{steps}"],
        capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": os.environ["PATH"], "CARPD_PYTHON": sys.executable, "CARPD_PROGRAM": str(program),
             "CARPD_CONFIG": str(config), "CARPD_RUN_DIRECTORY": str(run)},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[:2] == ["carpd is not running"] * 2
    assert lines[2].startswith("carpd is running already, pid ")
    assert lines[3] == "\tinet 192.0.2.1 netmask 0xffffff00 vhid 1"
    assert lines[4].startswith(f"carpd: {config}: ")
    assert set(lines[5:-3]) <= {"journal.json.lock"}
    assert lines[-3] == "carpd is not running"
    assert lines[-2].startswith(f"carpd: {config}: ")
    assert lines[-1].startswith("usage: ")
    assert done.stderr == ""


def test_openrc_starts_the_same_thing() -> None:
    text = (TEMPLATES / "bsdcarp-carpd.openrc").read_text()
    assert text.startswith("#!/sbin/openrc-run\n")
    assert f'program="{PROGRAM}"' in text
    assert f'config="{CARPD_CONFIG}"' in text


def test_the_wheel_carries_them() -> None:
    project = (TEMPLATES.parents[1] / "pyproject.toml").read_text()
    assert 'templates = "bsdcarp/templates"' in project
