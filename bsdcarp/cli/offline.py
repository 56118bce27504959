"""Verbs that reach no host: validate, render, schema, genpass."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bsdcarp.cli.options import Groups, Hosts, InventoryFile, Json, Verbose

__all__ = ["genpass", "render", "schema", "validate"]


def validate(inventory: InventoryFile, json: Json = False, verbose: Verbose = 0) -> None:
    """Check an inventory without reaching any host."""
    from dataclasses import replace

    from bsdcarp.cli.begin import screen
    from bsdcarp.inventory import check_passwords, load
    from bsdcarp.inventory.secrets import resolve_all
    from bsdcarp.model import Severity
    from bsdcarp.report.findings import show_findings, summarise

    to = screen(json=json, verbose=verbose)
    loaded = load(inventory)
    findings = list(loaded.findings)
    if loaded.inventory:
        # A password that is not at hand is no fault of the inventory: whoever applies it must have it.
        secrets, missing = resolve_all(loaded.inventory)
        findings += [replace(f, severity=Severity.WARNING) for f in missing]
        findings += check_passwords(loaded.inventory, secrets)
    failed = any(f.severity is Severity.ERROR for f in findings)
    if json:
        from bsdcarp.report.document import dumps, finding_document

        to.out.print(
            dumps({"verb": "validate", "valid": not failed, "findings": finding_document(findings)}), soft_wrap=True
        )
    else:
        show_findings(to.out, [f for f in findings if f.severity is not Severity.INFO or verbose])
        counts = ""
        if loaded.inventory:
            hosts, groups = len(loaded.inventory.hosts), len(loaded.inventory.groups)
            counts = f"{hosts} host{'' if hosts == 1 else 's'}, {groups} group{'' if groups == 1 else 's'}: "
        to.out.print(f"{inventory}: {counts}{summarise(findings)}", style="bad" if failed else "good", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def render(
    inventory: InventoryFile,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write DIR/HOST/etc/rc.conf and so on.")
    ],
    host: Hosts = None,
    group: Groups = None,
    json: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Write what each file would hold if it were empty before; reaches no host."""
    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.platforms.desire import desire
    from bsdcarp.platforms.write import write_tree

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=host, groups=group)
    desired = [desire(start.inventory, start.inventory.hosts[name], start.secrets, None) for name in start.hosts]
    written = [(one.host, path) for one in desired for path in write_tree(one, out)]
    if json:
        from bsdcarp.report.document import dumps

        to.out.print(dumps({"verb": "render", "files": [str(path) for _, path in written]}), soft_wrap=True)
        return
    for name, path in written:
        to.out.print(f"{name}: {path}", soft_wrap=True)
    to.err.print(f"{len(written)} files; some hold passwords, so they are readable by you alone", style="faint")


def schema() -> None:
    """Print the JSON Schema of an inventory, for editors and other tools."""
    import json

    from bsdcarp.inventory.schema import schema as inventory_schema

    typer.echo(json.dumps(inventory_schema(), indent=2))


def genpass(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 1,
) -> None:
    """Make passwords that every release takes: 19 letters and digits, no trap for rc(8) among them."""
    import secrets
    import string

    alphabet = string.ascii_letters + string.digits
    for _ in range(count):
        typer.echo("".join(secrets.choice(alphabet) for _ in range(19)))
