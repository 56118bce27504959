"""Reading ``carpd ctl status --json``: whatever a host sends, a wrong shape means no answer, never an exception."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any

from bsdcarp.snapshot.linuxfacts import CarpdFinding, CarpdStatus, CarpdVhid

__all__ = ["parse_carpd_status"]


def parse_carpd_status(text: str) -> CarpdStatus | None:
    """Return the daemon's status, None when there is no usable answer."""
    try:
        document = json.loads(text)
        return CarpdStatus(
            version=str(document.get("carpd", "")),
            demotion=int(document.get("demotion", 0)),
            settings=MappingProxyType({str(k): int(v) for k, v in document["settings"].items()}),
            vhids=tuple(_vhid(entry) for entry in document["vhids"]),
            findings=tuple(_finding(entry) for entry in document.get("findings", ())),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _vhid(entry: Mapping[str, Any]) -> CarpdVhid:
    return CarpdVhid(
        group=str(entry.get("group", "")),
        vhid=int(entry["vhid"]),
        interface=str(entry["interface"]),
        state=str(entry["state"]),
        advbase=int(entry["advbase"]),
        advskew=int(entry["advskew"]),
        peer=str(entry.get("peer") or ""),
        peer6=str(entry.get("peer6") or ""),
        addresses=tuple(str(ip_interface(address)) for address in entry["addresses"]),
        virtual_mac=entry.get("virtual_mac") is not None,
        digest=str(entry.get("password_sha256") or ""),
        failover=entry.get("failover") is True,
        reason=str(entry.get("reason") or ""),
    )


def _finding(entry: Mapping[str, Any]) -> CarpdFinding:
    return CarpdFinding(
        int(entry.get("vhid") or 0),
        str(entry.get("interface") or ""),
        str(entry["text"]),
        str(entry.get("remedy") or ""),
    )
