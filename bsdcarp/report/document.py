"""One JSON document per verb, built from the same data that people see; passwords are not in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bsdcarp.fleet.course import HostPlan
from bsdcarp.fleet.hosts import Look
from bsdcarp.fleet.past import Memory
from bsdcarp.fleet.results import Row
from bsdcarp.model import Finding

__all__ = ["dumps", "finding_document", "history_document", "look_document", "plan_document", "row_document"]


def dumps(document: Mapping[str, Any]) -> str:
    """Return the document as text, safe in any terminal encoding."""
    return json.dumps(document, indent=2, ensure_ascii=True)


def finding_document(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as a list of objects."""
    return [
        {
            "rule": f.rule,
            "severity": f.severity.value,
            "message": f.message,
            "remedy": f.remedy,
            "file": f.place.file,
            "line": f.place.line,
            "column": f.place.column,
            "host": f.host,
            "group": f.group,
        }
        for f in findings
    ]


def plan_document(plans: Iterable[HostPlan]) -> dict[str, Any]:
    """Return plans by host: masked diffs, masked commands, notes, or the error."""
    return {
        entry.host: {
            "error": str(entry.error) if entry.error else None,
            "release": str(entry.snapshot.release) if entry.snapshot else None,
            "changes": bool(entry.plan),
            "files": [
                {"path": c.path, "change": c.kind, "diff": c.diff()} for c in (entry.plan.files if entry.plan else ())
            ],
            "live": [
                {"command": str(c.command), "why": c.why, "undo": [str(u) for u in c.undo]}
                for c in (entry.plan.live if entry.plan else ())
            ],
            "notes": finding_document(entry.plan.notes if entry.plan else ()),
        }
        for entry in plans
    }


def row_document(rows: Iterable[Row]) -> dict[str, Any]:
    """Return results by host."""
    return {row.host: {"result": row.result, "detail": row.detail} for row in rows}


def look_document(looks: Mapping[str, Look]) -> dict[str, Any]:
    """Return the CARP state of hosts, without keys."""
    found: dict[str, Any] = {}
    for name, look in looks.items():
        if look.snapshot is None:
            found[name] = {"error": str(look.error)}
            continue
        snapshot = look.snapshot
        found[name] = {
            "release": str(snapshot.release),
            "carp": snapshot.carp,
            "sysctl": dict(snapshot.sysctls),
            "boottime": snapshot.boottime,
            "vhids": [
                {
                    "interface": interface.name,
                    "vhid": state.vhid,
                    "state": state.state,
                    "advbase": state.advbase,
                    "advskew": state.advskew,
                    "peer": state.peer,
                    "peer6": state.peer6,
                    "addresses": [str(a.interface) for a in interface.addresses if a.vhid == state.vhid or not a.vhid]
                    if interface.name.startswith("carp")
                    else [str(a.interface) for a in interface.addresses_of(state.vhid)],
                }
                for interface in snapshot.interfaces.values()
                for state in interface.vhids
            ],
        }
    return found


def history_document(memories: Mapping[str, Memory]) -> dict[str, Any]:
    """Return what hosts keep: the pending transaction, and every one with its outcome and its files."""
    return {
        name: {
            "error": str(memory.error) if memory.error else None,
            "pending": memory.history.pending or None,
            "transactions": [
                {
                    "name": past.name,
                    "owner": past.record.owner,
                    "outcome": past.outcome,
                    "files": [file.path for file in past.record.files],
                    "live": [str(change.command) for change in past.record.live],
                }
                for past in memory.history.past
            ],
        }
        for name, memory in memories.items()
    }
