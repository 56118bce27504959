"""Whatever cuts an installation off, at whatever step: the next boot comes up, with carp, and so does the one after.

The host is the one that can go wrong worst: FreeBSD 12.1 with ``carp_load="YES"``, on its way to a kernel that has
carp compiled in.  With a carp.ko beside it such a kernel panics (recorded on 12.1).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernel_lab import KernelLab, kernel_lab, pair

from bsdcarp.fleet.terms import new_terms
from bsdcarp.kernels import Place, default_plan, install_script, trial_script
from bsdcarp.lab.kernconf import parse_kernel_file
from bsdcarp.lab.marks import MARK, kill_marked
from bsdcarp.platforms.capabilities import capabilities
from bsdcarp.snapshot import Snapshot, parse, read_script
from bsdcarp.transaction import transaction_script

pytestmark = pytest.mark.timeout(300)

PLACE = Place("CARP", "amd64")
TOKEN = "0123456789abcdef"
PROGRAMS = (
    "awk", "cat", "chmod", "cksum", "config", "cp", "daemon", "date", "fsync", "grep", "head", "ifconfig", "kldxref",
    "ln", "make", "mkdir", "mv", "nextboot", "rm", "rmdir", "sed", "sleep", "sync", "sysctl", "tail", "touch", "wc",
)  # fmt: skip
# Kills the whole session before or after its N-th program, as a power loss does.
SHIM = """\
#!/bin/sh
PATH=${PATH#"$SHIM_PATH:"}
BSDCARP_PATH=${BSDCARP_PATH#"$SHIM_PATH:"}
export PATH BSDCARP_PATH
read -r n <"$SHIM_COUNT"
n=$((n + 1))
echo "$n" >"$SHIM_COUNT"
[ "$n" -ne "$SHIM_BEFORE" ] || kill -9 0
case $PATH in *"$SHIM_PATH"*) exit 99 ;; esac
%(name)s "$@"
status=$?
[ "$n" -ne "$SHIM_AFTER" ] || kill -9 0
exit "$status"
"""


class Saboteur:
    """Runs scripts on the machine and pulls its plug between two programs of theirs."""

    def __init__(self, bench: KernelLab, directory: Path) -> None:
        self.bench = bench
        self.machine = bench.machine
        self.directory = directory
        self.path = directory / "shims"
        self.path.mkdir()
        paths = ("/boot/loader.conf", "/var/db/bsdcarp/record")
        self.untouched = {path: self.machine.read(path) or "" for path in paths}
        for name in PROGRAMS:
            shim = self.path / name
            shim.write_text(SHIM % {"name": name})
            shim.chmod(0o755)

    def run(self, script: bytes, *, before: int = 0, after: int = 0) -> tuple[bool, str]:
        """Run a script; return whether it came to its end, and what it said."""
        count = self.directory / "count"
        count.write_text("0")
        environment = {**os.environ, **self.machine.session_env()}
        environment["BSDCARP_PATH"] = f"{self.path}:{environment['BSDCARP_PATH']}"
        # What a script leaves running ends with the machine, too.
        environment[MARK] = str(self.directory)
        environment |= {"SHIM_COUNT": str(count), "SHIM_PATH": str(self.path)}
        environment |= {"SHIM_BEFORE": str(before), "SHIM_AFTER": str(after)}
        with subprocess.Popen(
            ["/bin/sh", "-s"], env=environment, cwd=self.machine.root, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            out, _ = process.communicate(script, timeout=60)
        kill_marked(str(self.directory))
        return process.returncode == 0, out.decode()

    def reboot(self) -> None:
        """Power off and on; the boot hook of a transaction that was cut off may start the host once more."""
        self.bench.reboot()
        end = time.monotonic() + 30
        while self.machine.state == "rebooting" and time.monotonic() < end:
            time.sleep(0.02)

    def boots(self) -> str:
        """Power off and on, twice; carp has to be there both times.  Return the kernel that the first ended with."""
        first = ""
        for _ in range(2):
            self.reboot()
            assert self.machine.alive, self.machine.console
            assert self.machine.kernel.linker.find_module("carp") is not None
            first = first or self.machine.kernel.image.directory
        return first

    def look(self) -> Snapshot:
        done, answer = self.run(read_script(TOKEN))
        assert done
        return parse(answer.encode(), TOKEN, host="a")

    def tidy(self) -> None:
        """Take away what an attempt left, as if there had been none."""
        for path, text in self.untouched.items():
            self.machine.tree.write(path, text)
        for directory in self.machine.tree.path("/boot").glob("kernel.CARP*"):
            shutil.rmtree(directory)
        shutil.rmtree(self.machine.tree.path("/var/run/bsdcarp.lock"), ignore_errors=True)
        for leftover in self.machine.tree.path("/var/db/bsdcarp").glob("tx-*"):
            shutil.rmtree(leftover)
        for name in ("/boot/nextboot.conf", "/var/db/bsdcarp/pending", "/etc/rc.d/bsdcarp_undo"):
            self.machine.tree.path(name).unlink(missing_ok=True)
        if self.machine.kernel.image.directory != "kernel":
            self.reboot()


@pytest.fixture(scope="module")
def saboteur(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saboteur]:
    directory = tmp_path_factory.mktemp("interrupted")
    with kernel_lab(directory, pair("12.1", "module")) as bench:
        assert bench.run("apply", "--yes").status == 0
        bench.path.write_text(pair("12.1", "static"))
        assert bench.kernel("build").row[0] == "built"
        assert 'carp_load="YES"' in (bench.machine.read("/boot/loader.conf") or "")
        yield Saboteur(bench, directory)


def install(name: str = "kernel.CARP") -> bytes:
    return install_script(PLACE, name, owner="test", steal=True, token=TOKEN)


def trial(name: str = "kernel.CARP") -> bytes:
    return trial_script(PLACE, name, options="-e carp_load=NO", token=TOKEN)


def every_step(saboteur: Saboteur, script: bytes, check: Callable[[str], None]) -> int:
    """Cut ``script`` off before and after each of its programs, and ``check`` each time.  Return how many there are."""
    steps = 0
    while steps < 200:
        steps += 1
        done, _ = saboteur.run(script, before=steps)
        check(f"before program {steps}")
        if done:
            break
        done, _ = saboteur.run(script, after=steps)
        check(f"after program {steps}")
    return steps


def no_deadly_pair(saboteur: Saboteur) -> None:
    """No directory that a boot could choose by its own name holds both."""
    for directory in saboteur.machine.tree.path("/boot").iterdir():
        image = parse_kernel_file(saboteur.machine.read(f"/boot/{directory.name}/kernel"), directory.name)
        if image and image.static_carp and not directory.name.endswith(".bsdcarp-new"):
            assert not (directory / "carp.ko").exists(), directory


def test_an_installation_cut_off_anywhere_leaves_a_host_that_boots(saboteur: Saboteur) -> None:
    saboteur.tidy()

    def check(step: str) -> None:
        no_deadly_pair(saboteur)
        assert saboteur.boots() == "kernel", step

    assert every_step(saboteur, install(), check) > 15
    done, said = saboteur.run(install())
    assert done, said
    assert sorted(p.name for p in saboteur.machine.tree.path("/boot").glob("kernel.*")) == ["kernel.CARP"]


def test_a_half_done_installkernel_is_begun_anew(saboteur: Saboteur) -> None:
    saboteur.tidy()
    fresh = saboteur.machine.tree.path("/boot/kernel.CARP.bsdcarp-new")
    saboteur.machine.tree.install_kernel("CARP", fresh.name)
    (fresh / "pf.ko").unlink()
    (fresh / "half-written").write_text("")
    assert saboteur.boots() == "kernel"
    done, said = saboteur.run(install())
    assert done, said
    assert not fresh.exists()
    assert not saboteur.machine.tree.exists("/boot/kernel.CARP/half-written")
    assert saboteur.machine.tree.exists("/boot/kernel.CARP/pf.ko")


def test_a_trial_cut_off_anywhere_leaves_a_host_that_boots(saboteur: Saboteur) -> None:
    saboteur.tidy()
    saboteur.run(install())
    seen = set()

    def check(step: str) -> None:
        seen.add(saboteur.boots())
        assert saboteur.machine.kernel.image.directory == "kernel", step

    every_step(saboteur, trial(), check)
    # Cut off late it was a trial all the same, for one boot.
    assert seen == {"kernel", "kernel.CARP"}


def test_a_new_default_cut_off_anywhere_leaves_a_host_that_boots(saboteur: Saboteur) -> None:
    saboteur.tidy()
    machine = saboteur.machine
    saboteur.run(install())
    saboteur.run(trial())
    saboteur.bench.reboot()
    assert machine.kernel.image.directory == "kernel.CARP"
    plan = default_plan("a", saboteur.look(), "kernel.CARP", capabilities(saboteur.look().release))
    seen = set()

    def attempt(before: int) -> bool:
        saboteur.tidy()
        saboteur.run(install())
        saboteur.run(trial())
        saboteur.bench.reboot()
        assert machine.kernel.image.directory == "kernel.CARP"
        done, said = saboteur.run(transaction_script(plan, new_terms(steal=True), token=TOKEN), before=before)
        assert done or before, said
        seen.add(saboteur.boots())
        return done

    # Every ninth program is where power goes; the steps of a transaction have tests of their own.
    step = 1
    while not attempt(step):
        step += 9
    attempt(0)
    assert "kernel" in seen


def test_a_stale_choice_of_our_own_does_not_stand_in_the_way(saboteur: Saboteur) -> None:
    saboteur.tidy()
    saboteur.run(install())
    saboteur.run(trial())
    done, said = saboteur.run(install())
    assert done, said
    assert not saboteur.machine.tree.exists("/boot/nextboot.conf")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/boot/loader.conf.local", 'kernel="kernel.CARP"\n'),
        ("/boot/loader.conf.local", "kernel=/boot/kernel.CARP\n"),
    ],
)
def test_a_kernel_that_boots_next_is_never_replaced(saboteur: Saboteur, path: str, text: str) -> None:
    saboteur.tidy()
    saboteur.machine.tree.write(path, text)
    done, said = saboteur.run(install())
    saboteur.machine.tree.path(path).unlink()
    assert not done
    assert "/boot/kernel.CARP is in use" in said


def test_somebody_else_s_nextboot_is_left_alone(saboteur: Saboteur) -> None:
    saboteur.tidy()
    saboteur.run(install())
    saboteur.machine.tree.write("/boot/nextboot.conf", 'nextboot_enable="YES"\nkernel="kernel"\n')
    done, said = saboteur.run(trial())
    assert not done
    assert "somebody else has chosen the next boot" in said
    assert 'kernel="kernel"' in (saboteur.machine.read("/boot/nextboot.conf") or "")


def test_the_lock_of_another_is_respected(saboteur: Saboteur) -> None:
    saboteur.tidy()
    lock = saboteur.machine.tree.path("/var/run/bsdcarp.lock")
    lock.mkdir(parents=True)
    (lock / "pid").write_text(f"{os.getpid()}\n")
    (lock / "owner").write_text("somebody@else since noon\n")
    done, said = saboteur.run(install_script(PLACE, "kernel.CARP", owner="test", token=TOKEN))
    assert not done
    assert "locked alive somebody@else" in said
    assert lock.is_dir()
    shutil.rmtree(lock)
    saboteur.machine.tree.write("/var/db/bsdcarp/tx-1/undo", "")
    saboteur.machine.tree.write("/var/db/bsdcarp/pending", "tx-1\n")
    done, said = saboteur.run(install())
    saboteur.tidy()
    assert not done
    assert "pending tx-1" in said
    assert not lock.exists()
