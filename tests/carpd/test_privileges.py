"""What the daemon takes and gives up, in processes of their own: none of it can be taken back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bsdcarp.carpd.privileges import KEPT, Capabilities, parse_status, protect_from_oom

ROOT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux: it gives up capabilities"
)

STATUS = """\
Name:	python3
CapInh:	0000000000000000
CapPrm:	0000000000003000
CapEff:	0000000000003000
CapBnd:	0000000000003000
CapAmb:	0000000000000000
NoNewPrivs:	1
"""


def child(code: str, *, preamble: str = "") -> list[str]:
    head = "from bsdcarp.carpd import privileges\nimport os, resource\nlines = []\nwrite = lambda *line: lines.append(line)\n"
    done = subprocess.run(
        [sys.executable, "-c", preamble + head + code],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_status_file_is_read_as_proc_5_says() -> None:
    found = parse_status(STATUS)
    assert found == Capabilities(0, KEPT, KEPT, KEPT, 0, no_new_privileges=True)
    assert found.dropped


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CapPrm:\t0000000000003000", "CapPrm:\t000001ffffffffff"),
        ("CapEff:\t0000000000003000", "CapEff:\t0000000000203000"),
        ("CapInh:\t0000000000000000", "CapInh:\t0000000000000001"),
        ("CapAmb:\t0000000000000000", "CapAmb:\t0000000000000400"),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
        ("NoNewPrivs:\t1\n", ""),
        ("CapEff:", "Other:"),
    ],
)
def test_any_set_with_more_in_it_is_not_dropped(old: str, new: str) -> None:
    assert not parse_status(STATUS.replace(old, new)).dropped


@needs_root
def test_only_the_two_capabilities_are_left_and_nothing_started_gets_more() -> None:
    out = child(
        "privileges.drop(write)\n"
        "held = privileges.held()\n"
        "print(lines, held.dropped, held.effective == held.permitted == held.bounding == privileges.KEPT, flush=True)\n"
        "os.execv('/bin/grep', ['grep', '-E', 'Cap|NoNew', '/proc/self/status'])\n"
    )
    assert out[0] == "[] True True"
    assert parse_status("\n".join(out[1:])) == Capabilities(0, KEPT, KEPT, KEPT, 0, no_new_privileges=True)


@needs_root
def test_dropping_twice_is_dropping_once() -> None:
    assert child("privileges.drop(write)\nprivileges.drop(write)\nprint(lines)") == ["[]"]


@needs_root
def test_what_the_unit_has_dropped_already_needs_no_ctypes() -> None:
    out = child(
        "privileges.drop(write)\n"
        "import sys\n"
        "sys.modules.pop('bsdcarp.carpd.libc'); sys.modules['ctypes'] = None\n"
        "privileges.drop(write)\n"
        "print(lines)\n"
    )
    assert out == ["[]"]


@needs_root
def test_a_python_without_ctypes_goes_on_with_a_warning() -> None:
    out = child(
        "import sys\n"
        "sys.modules['ctypes'] = None\n"
        "resource.setrlimit = lambda *_: None\n"
        "privileges.drop(write)\n"
        "privileges.lock_memory(write)\n"
        "print(*lines, sep='\\n')\n"
    )
    assert len(out) == 2
    assert "'warning', 'running with more privileges than needed: Python has no usable ctypes" in out[0]
    assert "'notice', 'memory is not locked and may be swapped out: Python has no usable ctypes" in out[1]


@needs_root
def test_after_dropping_the_daemon_still_does_its_work() -> None:
    # A packet socket, a link, a sysctl of the network and a file of root's own.
    out = child(
        "import ctypes, socket, tempfile\n"
        "assert ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0\n"  # CLONE_NEWNET
        "directory = tempfile.mkdtemp()\n"
        "privileges.drop(write)\n"
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()\n"
        "open('/proc/sys/net/ipv4/conf/lo/arp_ignore', 'w').write('1')\n"
        "os.rmdir(directory)\n"
        "print(lines)\n"
    )
    assert out == ["[]"]


@needs_root
def test_real_time_is_for_the_daemon_and_not_for_what_it_starts() -> None:
    out = child(
        "privileges.raise_priority(write)\n"
        "ours = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.getpriority(os.PRIO_PROCESS, 0)\n"
        "print(lines, ours == (os.SCHED_RR, 0) or ours == (os.SCHED_OTHER, -10), flush=True)\n"
        "if os.fork() == 0:\n"
        "    print(os.sched_getscheduler(0) == os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, 0), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    assert out == ["[] True", "True 0"]


@needs_root
def test_where_real_time_is_refused_there_is_nice_and_without_that_a_line() -> None:
    refuse = (
        "import os\n"
        "real = os.sched_setscheduler\n"
        "def refused(pid, policy, parameter):\n"
        "    if policy & os.SCHED_RR:\n"
        "        raise PermissionError(1, 'Operation not permitted')\n"
        "    real(pid, policy, parameter)\n"
        "os.sched_setscheduler = refused\n"
    )
    show = "privileges.raise_priority(write)\nprint(lines, os.getpriority(os.PRIO_PROCESS, 0))\n"
    assert child(show, preamble=refuse) == ["[] -10"]
    poor = "from bsdcarp.carpd import libc\nresource.setrlimit(13, (0, 0))\nlibc.capset(0)\n"
    assert child(poor + show) == ["[('notice', 'running with ordinary priority: Permission denied')] 0"]


@needs_root
def test_memory_is_locked_now_and_later() -> None:
    out = child(
        "resource.setrlimit = lambda *_: None\n"  # CAP_IPC_LOCK is enough here, and not every root may lift limits
        "privileges.lock_memory(write)\n"
        "more = bytearray(32 << 20)\n"
        "locked = next(l for l in open('/proc/self/status') if l.startswith('VmLck'))\n"
        "print(lines, int(locked.split()[1]) > 32 << 10)\n"
    )
    assert out == ["[] True"]


@needs_root
def test_with_a_limit_that_cannot_be_lifted_memory_is_not_locked_at_all() -> None:
    # Locking would work up to the limit, and then allocations would fail.
    out = child(
        "from bsdcarp.carpd import libc\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 20, 1 << 20))\n"
        "libc.capset(0)\n"
        "privileges.lock_memory(write)\n"
        "more = bytearray(32 << 20)\n"
        "print(*lines, sep='\\n')\n"
    )
    assert len(out) == 1
    assert "memory is not locked" in out[0]


@pytest.mark.parametrize(("before", "after"), [("0", "-900"), ("-1000", "-1000")])
def test_the_oom_killer_is_asked_to_look_elsewhere(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "oom_score_adj"
    path.write_text(before + "\n")
    lines: list[tuple[str, str]] = []
    protect_from_oom(lambda *line: lines.append(line), str(path))
    assert path.read_text().strip() == after
    assert lines == []


def test_an_oom_score_that_cannot_be_set_is_told() -> None:
    lines: list[tuple[str, str]] = []
    protect_from_oom(lambda *line: lines.append(line), "/nonexistent/score")
    assert [level for level, _ in lines] == ["notice"]
