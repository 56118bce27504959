"""After a restart the undo takes back what init keeps besides the plan's files: which services it starts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bsdcarp.plan import LINUX_STATE, FileChange, LiveChange, Plan
from bsdcarp.plan.command import command
from bsdcarp.transaction import Terms, transaction_script

NAME = "tx-20261122-120000-feedfa"


class Machine:
    """A root directory with an init system that writes down what it is told."""

    def __init__(self, base: Path) -> None:
        self.root, self._base = base / "root", base
        for directory in ("etc", "var/run", "run/systemd/system", "tools"):
            (self.root / directory).mkdir(parents=True)
        for name in ("systemctl", "rc-update", "tell"):
            tool = self.root / "tools" / name
            tool.write_text(
                f'#!/bin/sh\n[ "$1" != list-jobs ] || {{ cat {base}/jobs; exit; }}\necho {name} "$@" >>{base}/told\n'
            )
            tool.chmod(0o755)
        (base / "jobs").write_text("  1 multi-user.target start waiting\n")

    def told(self) -> list[str]:
        """What was said since the last time, without what the boot hook is for."""
        path = self._base / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def sh(self, argv: list[str], script: bytes = b"") -> None:
        environment = {
            "BSDCARP_ROOT": str(self.root),
            "BSDCARP_PATH": str(self.root / "tools"),
            "PATH": "/usr/bin:/bin",
        }
        subprocess.run(argv, input=script, env=environment, check=True, capture_output=True, timeout=30)

    def apply(self, plan: Plan) -> None:
        self.sh(["/bin/sh", "-s"], transaction_script(plan, Terms(NAME, "me@here", "c", window=1), token="feedface"))

    @property
    def undo(self) -> Path:
        return self.root / LINUX_STATE.lstrip("/") / NAME / "undo"

    def restart(self) -> None:
        """The watcher is gone before its time is up, as after a power loss, and the boot hook runs."""
        self.sh(["/bin/sh", str(self.undo), "boot"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def change(does: str, undoes: str) -> LiveChange:
    return LiveChange("why", command(does), (command(undoes),))


UNIT = FileChange("/etc/x.service", None, "[Service]\n")
COMING = Plan(
    "h",
    (UNIT,),
    (
        change("tell before", "tell not before"),
        change("systemctl enable x.service", "systemctl disable x.service"),
        change("systemctl start x.service", "systemctl stop x.service"),
    ),
    init="sh",
    state=LINUX_STATE,
)


def test_a_service_that_came_is_not_started_at_the_next_boots(machine: Machine) -> None:
    machine.apply(COMING)
    assert machine.told() == ["tell before", "systemctl enable x.service", "systemctl start x.service"]
    machine.restart()
    assert machine.told() == [
        "systemctl disable x.service",
        "systemctl daemon-reload",
        "systemctl --no-block start multi-user.target",
    ]
    assert not (machine.root / "etc/x.service").exists()
    machine.restart()
    assert machine.told() == []


def test_a_service_that_went_is_back_after_its_files(machine: Machine) -> None:
    (machine.root / "etc/x.service").write_text("[Service]\n")
    early = (
        change("systemctl stop x.service", "systemctl start x.service"),
        change("systemctl disable x.service", "systemctl enable x.service"),
    )
    plan = Plan("h", (FileChange(UNIT.path, "[Service]\n", None),), early, early=2, init="sh", state=LINUX_STATE)
    machine.apply(plan)
    machine.told()
    machine.restart()
    assert machine.told()[0] == "systemctl enable x.service"
    assert (machine.root / "etc/x.service").read_text() == "[Service]\n"


def test_steps_that_a_power_loss_forgot_are_taken_back_too(machine: Machine) -> None:
    machine.apply(COMING)
    machine.told()
    for step in machine.undo.parent.glob("step-live*"):
        step.unlink()
    machine.restart()
    assert machine.told()[0] == "systemctl disable x.service"


def test_who_boots_into_something_else_is_left_there(machine: Machine, tmp_path: Path) -> None:
    machine.apply(COMING)
    machine.told()
    (tmp_path / "jobs").write_text("  1 rescue.target start waiting\n")
    machine.restart()
    assert machine.told()[-1] == "systemctl daemon-reload"


def test_without_a_restart_all_is_taken_back(machine: Machine) -> None:
    machine.apply(COMING)
    machine.told()
    machine.sh(["/bin/sh", str(machine.undo), "now", "because"])
    assert machine.told() == ["systemctl stop x.service", "systemctl disable x.service", "tell not before"]


@pytest.mark.parametrize(
    ("words", "lasting"),
    [
        ("systemctl enable x.service", True),
        ("systemctl disable x.service", True),
        ("rc-update add x default", True),
        ("systemctl start x.service", False),
        ("sysctl -w a=1", False),
    ],
)
def test_what_outlasts_a_restart(words: str, lasting: bool) -> None:
    assert command(words).lasting is lasting
