"""What a boot does before there is a network: cleanvar, and the boot hook that a transaction leaves."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_machines import Bench

from bsdcarp.lab import early
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.marks import MARK, kill_marked
from bsdcarp.lab.wire import CommandServer

PATHS = 'PATH=$BSDCARP_PATH:/sbin:/bin:/usr/bin; R=$BSDCARP_ROOT\n[ "$1" = faststart ] || exit 1\n'


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose programs answer once it is up."""
    made = Bench(tmp_path).machine()
    server = CommandServer([made])
    server.start()
    yield made
    kill_marked(made.session_env()[MARK])
    server.stop()


def hook(machine: Machine, text: str, mode: int = 0o555) -> Path:
    path = machine.tree.path("/etc/rc.d/bsdcarp_undo")
    path.write_text(f"#!/bin/sh\n{PATHS}{text}\n")
    path.chmod(mode)
    return path


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not (done := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return done


def restart(machine: Machine) -> None:
    machine.power_off()
    machine.boot()


def test_a_boot_takes_files_away_from_var_run_and_leaves_directories(machine: Machine) -> None:
    run = machine.tree.path("/var/run")
    (run / "bsdcarp.lock").mkdir()
    (run / "bsdcarp.lock/pid").write_text("4711\n")
    (run / "link").symlink_to("/nowhere")
    os.mkfifo(run / "fifo")
    restart(machine)
    assert sorted(path.name for path in run.rglob("*")) == ["bsdcarp.lock", "dmesg.boot"]
    machine.tree.append("/etc/rc.conf", 'cleanvar_enable="NO"\n')
    (run / "bsdcarp.lock/pid").write_text("4711\n")
    restart(machine)
    assert (run / "bsdcarp.lock/pid").exists()


def test_the_hook_runs_before_the_network_and_what_it_says_is_on_the_console(machine: Machine) -> None:
    hook(
        machine,
        'sed -e s/192.0.2.2/192.0.2.77/ "$R/etc/rc.conf" >"$R/etc/new" && mv "$R/etc/new" "$R/etc/rc.conf"; echo hooked',
    )
    generation = machine.generation
    restart(machine)
    assert machine.generation == generation + 1
    assert "inet 192.0.2.2 " in machine.command(["ifconfig", "em0"]).stdout.decode(), "rc has read its files before"
    assert machine.console.index("hooked") < machine.console.index("Setting hostname")


def test_a_hook_that_calls_reboot_starts_the_machine_once_more(machine: Machine) -> None:
    path = hook(machine, 'rm "$R/etc/rc.d/bsdcarp_undo"; echo "hostname=beta" >>"$R/etc/rc.conf"; reboot')
    generation = machine.generation
    machine.power_off()
    machine.boot()
    assert (machine.alive, machine.state) == (False, "rebooting")
    machine.network.advance(1)
    assert (machine.alive, machine.generation) == (True, generation + 2)
    assert "(beta)" in machine.console
    assert not path.exists()


def test_the_reboot_of_the_machine_that_runs_the_lab_is_never_found_first(machine: Machine) -> None:
    hook(machine, 'command -v reboot; rm "$R/etc/rc.d/bsdcarp_undo"')
    restart(machine)
    assert str(machine.root / ".lab/early/bin/reboot") in machine.console
    found = machine.root / ".lab/early/bin/reboot"
    assert stat.S_IMODE(found.stat().st_mode) == 0o755
    assert str(machine.root / ".lab/bin/reboot") in found.read_text()


def test_simulated_programs_fail_at_once_while_the_machine_boots(machine: Machine) -> None:
    hook(machine, 'sysctl -n kern.ostype; echo "status $?"')
    begun = time.monotonic()
    restart(machine)
    assert "status 255" in machine.console
    assert time.monotonic() - begun < early._PATIENCE


def test_what_the_hook_leaves_running_reaches_the_machine_and_ends_with_it(machine: Machine) -> None:
    until = '[ -p "$BSDCARP_LAB_DIR/request" ]'
    script = f'until {until}; do sleep 0.02; done; sysctl -n kern.ostype >"$R/said"; exec sleep 60'
    hook(machine, f'R=$R /bin/sh -c \'{script}\' </dev/null >/dev/null 2>&1 & echo "$!" >"$R/number"')
    restart(machine)
    said = machine.root / "said"
    assert soon(lambda: said.exists() and said.read_text() == "FreeBSD\n")
    assert kill_marked(machine.session_env()[MARK]) >= 1
    state = Path(f"/proc/{(machine.root / 'number').read_text().strip()}/stat")
    assert soon(lambda: not state.exists() or ") Z " in state.read_text())


def test_a_hook_that_may_not_be_run_is_not(machine: Machine) -> None:
    hook(machine, "echo hooked", 0o444)
    restart(machine)
    assert machine.alive
    assert "hooked" not in machine.console


def test_a_hook_that_does_not_end_is_given_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "_PATIENCE", 0.2)
    hook(machine, "sleep 60")
    restart(machine)
    assert machine.alive
    assert "bsdcarp_undo: does not end" in machine.console


def test_where_a_real_root_runs_its_hook_the_machine_does_not(machine: Machine) -> None:
    hook(machine, "echo hooked")
    machine.runs_hooks = False
    restart(machine)
    assert "hooked" not in machine.console
