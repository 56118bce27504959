"""The same scenarios on another kernel, which also has VLANs and bonds and a clock that may be set.

Debian's user-mode-linux is a Linux kernel that runs as a process; this machine's files, read-only, are its root.  What is
started there is pytest again, with this interpreter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from carpd_net import needs, needs_namespaces

ROOT = Path(__file__).parents[2]
MODULES = Path("/usr/lib/uml/modules")
WANTED = "vlan or bond or bridge or machines_clock"

_INIT = """#!/bin/sh
export PATH='{path}' HOME=/root TMPDIR=/run/tmp PYTHONDONTWRITEBYTECODE=1 BSDCARP_TEST_SETS_THE_CLOCK=1
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /run
mkdir -p /run/tmp /run/modules/lib/modules
cp -r {modules}/"$(uname -r)" /run/modules/lib/modules/
depmod -b /run/modules "$(uname -r)"
for module in ipv6 veth bridge macvlan 8021q bonding nf_tables; do modprobe -d /run/modules $module; done
ip link set lo up
cd '{root}' && '{python}' -m pytest -q --color=no --no-header -p no:cacheprovider -o timeout=300 -k '{wanted}' \
    tests/carpd/test_net_networks.py tests/carpd/test_net_operating.py
echo "RESULT $?"
poweroff -f
"""


@pytest.mark.long
@pytest.mark.timeout(600)
@needs_namespaces
@needs("linux.uml", "modprobe")
def test_vlans_bonds_and_a_clock_that_is_really_set(tmp_path: Path) -> None:
    if "BSDCARP_TEST_SETS_THE_CLOCK" in os.environ:
        pytest.skip("this is the other kernel")
    script = tmp_path / "init"
    script.write_text(
        _INIT.format(path=os.environ["PATH"], modules=MODULES, root=ROOT, python=sys.executable, wanted=WANTED)
    )
    script.chmod(0o755)
    kernel = shutil.which("linux.uml") or ""
    argv = [kernel, "mem=1200M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={script}", f"uml_dir={tmp_path}"]
    argv += ["con=null", "con0=null,fd:1", "quiet"]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, timeout=500)
    assert "RESULT 0" in done.stdout, done.stdout[-8000:]
    assert "skipped" not in done.stdout.split("RESULT")[0].splitlines()[-2], done.stdout[-2000:]
