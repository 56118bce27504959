"""Draw docs/diff.svg, the picture in the README: a real diff against the embedded lab.

python docs/screenshot.py
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.theme import Theme

from bsdcarp.fleet.course import plan_hosts
from bsdcarp.fleet.hosts import Fleet, Options
from bsdcarp.inventory import load, require
from bsdcarp.lab.up import Lab
from bsdcarp.model import Secret
from bsdcarp.report.plans import show_plans
from bsdcarp.report.screen import STYLES

DOCS = Path(__file__).resolve().parent


def main() -> None:
    inventory = require(load(DOCS.parent / "inventory.example.yml"))
    hosts = ("server1", "fw1")
    secrets = {group: Secret("x" * 12) for group in inventory.groups}
    with (
        tempfile.TemporaryDirectory() as scratch,
        Lab.start(inventory, Path(scratch), hosts=[*hosts, "server2", "fw2"]) as lab,
        Fleet(inventory, Options(ssh_config=lab.ssh_config)) as fleet,
    ):
        plans = plan_hosts(inventory, fleet.look(hosts), secrets)
    console = Console(record=True, width=118, theme=Theme(STYLES), highlight=False, file=io.StringIO(), emoji=False)
    console.print("$ bsdcarp diff inventory.yml --host server1 --host fw1", style="bold")
    show_plans(console, plans.values())
    console.save_svg(str(DOCS / "diff.svg"), title="bsdcarp diff", theme=MONOKAI)


if __name__ == "__main__":
    main()
