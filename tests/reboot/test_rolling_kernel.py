"""A rolling reboot that brings a kernel with carp to two hosts of which neither has it yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bsdcarp.inventory import load_text, require
from bsdcarp.lab.up import Lab
from reboot.bench import PASSWORD, Bench, inventory_text

pytestmark = pytest.mark.timeout(240)


@pytest.mark.long
def test_both_hosts_get_the_kernel_that_was_built_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLING_PASSWORD", PASSWORD)
    text = inventory_text([("freebsd-12.1", "freebsd-12.1")]).replace("em0, os:", "em0, kernel: {method: static}, os:")
    path = tmp_path / "inventory.yml"
    path.write_text(text, encoding="utf-8")
    inventory = require(load_text(text, str(path)))
    with Lab.start(inventory, tmp_path / "lab") as lab:
        bench = Bench(lab, path, inventory)

        def run(*verb: str) -> subprocess.CompletedProcess[str]:
            words = [sys.executable, "-m", "bsdcarp", *verb, str(path), "--ssh-config", str(lab.ssh_config)]
            return subprocess.run(words, env=os.environ, capture_output=True, text=True, check=False, timeout=100)

        unbuilt = bench.command("--yes", "--kernel")
        assert unbuilt.returncode == 1
        assert "bsdcarp kernel build" in unbuilt.stdout
        said = run("apply")
        built = run("kernel", "build")
        assert built.returncode == 0, said.stdout + said.stderr + built.stdout + built.stderr
        done = bench.command("--yes", "--kernel", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        document = json.loads(done.stdout)
        assert {row["result"] for row in document["results"].values()} == {"rebooted"}
        assert all(entry["down"] > 0 for entry in document["hosts"])
        for name in ("h0a", "h0b"):
            assert bench.shell(name, "sysctl -n kern.ident").strip() == "CARP"
        again = bench.command("--yes", "--kernel", "--json", "--host", "h0b")
        assert again.returncode == 0, again.stdout + again.stderr
        bench.settled()
