"""The status for programs and, from it, the status for people."""

from __future__ import annotations

import json
import os

from operating import PASSWORD, snapshot, vhid

from bsdcarp import __version__
from bsdcarp.carp import State
from bsdcarp.carpd.snapshot import Finding
from bsdcarp.carpd.status import as_text, document, fingerprint


def test_the_document_holds_what_there_is_to_know_and_survives_json() -> None:
    made = document(snapshot(vhid(1, "eth0", peer="192.0.2.3"), demotion=240, preempt=1))
    assert json.loads(json.dumps(made)) == made
    assert made["version"] == 1
    assert made["carpd"] == __version__
    assert made["pid"] == os.getpid()
    assert (made["uptime"], made["demotion"]) == (60.0, 240)
    assert made["settings"]["preempt"] == 1
    assert made["counters"]["carps_ipackets"] == 3
    assert made["findings"] == []
    assert made["vhids"] == [
        {
            "group": "web",
            "vhid": 1,
            "interface": "eth0",
            "present": True,
            "state": "MASTER",
            "since": 10.0,
            "reason": "master timed out",
            "advbase": 1,
            "advskew": 0,
            "effective_advskew": 0,
            "peer": "192.0.2.3",
            "peer6": None,
            "addresses": ["192.0.2.1/24", "2001:db8::1/64"],
            "virtual_mac": "00:00:5e:00:01:01",
            "password_sha256": fingerprint(PASSWORD),
            "failover": False,
        }
    ]


def test_a_vhid_without_virtual_mac_has_none() -> None:
    assert document(snapshot(vhid(virtual_mac=False)))["vhids"][0]["virtual_mac"] is None


def test_the_fingerprint_is_of_sha256_and_the_password_is_nowhere() -> None:
    assert fingerprint("abc") == "ba7816bf8f01"  # FIPS 180-2, appendix B.1
    assert fingerprint("not \udcff utf-8")
    made = document(snapshot())
    assert PASSWORD not in json.dumps(made)
    assert PASSWORD not in as_text(made)


def test_the_text_is_what_ifconfig_would_say() -> None:
    made = document(
        snapshot(vhid(1, "eth0"), vhid(2, "eth0", "192.0.2.2/32", state=State.BACKUP), vhid(1, "eth1", "10.0.0.1/8"))
    )
    assert as_text(made) == (
        "eth0:\n"
        "\tcarp: MASTER vhid 1 advbase 1 advskew 0\n"
        "\t      peer 224.0.0.18 peer6 ff02::12\n"
        "\tinet 192.0.2.1 netmask 0xffffff00 vhid 1\n"
        "\tinet6 2001:db8::1 prefixlen 64 vhid 1\n"
        "\tcarp: BACKUP vhid 2 advbase 1 advskew 0\n"
        "\t      peer 224.0.0.18 peer6 ff02::12\n"
        "\tinet 192.0.2.2 netmask 0xffffffff vhid 2\n"
        "eth1:\n"
        "\tcarp: MASTER vhid 1 advbase 1 advskew 0\n"
        "\t      peer 224.0.0.18 peer6 ff02::12\n"
        "\tinet 10.0.0.1 netmask 0xff000000 vhid 1\n"
    )


def test_what_is_out_of_the_ordinary_is_said() -> None:
    finding = Finding(vhid=1, interface="eth0", text="another host\nadvertises it", remedy="compare the passwords")
    made = document(
        snapshot(vhid(1, peer="192.0.2.3", failover=True, present=False), demotion=-240, findings=(finding,), allow=0)
    )
    assert as_text(made) == (
        "eth0: no such interface\n"
        "\tcarp: MASTER vhid 1 advbase 1 advskew 0\n"
        "\t      peer 192.0.2.3 peer6 ff02::12\n"
        "\t      handed over, advskew 254 until `carpd ctl failover 1 --undo`\n"
        "\tinet 192.0.2.1 netmask 0xffffff00 vhid 1\n"
        "\tinet6 2001:db8::1 prefixlen 64 vhid 1\n"
        "net.inet.carp.demotion: -240\n"
        "net.inet.carp.allow: 0\n"
        "1@eth0: another host\\nadvertises it\n"
        "\tcompare the passwords\n"
    )
