"""What a Linux host should be: carpd's files or ucarp's, and what was put there before and is no longer wanted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from linux_hosts import CONFIG, PASSWORD, PROGRAM, RECORD, SYSCTL, UNIT, WEB, applied, host, inventory, link, wanted

from bsdcarp.carpd import silence
from bsdcarp.errors import PlanError
from bsdcarp.platforms.linux_carpd import parent_sysctls
from bsdcarp.platforms.linux_rclocal import HOOK, has_hook, with_hook, without_hook
from bsdcarp.platforms.write import write_tree

UCARP: dict[str, Any] = {"backend": "ucarp"}
UCARP_UNIT = "/etc/systemd/system/bsdcarp-ucarp-web.service"


def test_carpd_gets_its_configuration_program_unit_sysctls_and_record() -> None:
    found = wanted(inventory(notify="/usr/local/sbin/carp changed"), host())
    assert set(found.files) == {CONFIG, UNIT, SYSCTL, RECORD}
    assert set(found.programs) == {PROGRAM}
    assert json.loads(found.files[CONFIG].text or "") == {
        "version": 1,
        "settings": {"allow": 1, "preempt": 1, "log": 1, "arpbalance": 0},
        "notify": "/usr/local/sbin/carp changed",
        "vhids": [
            {
                "group": "web",
                "vhid": 1,
                "interface": "eth0",
                "advbase": 1,
                "advskew": 100,
                "password": PASSWORD,
                "peer": None,
                "peer6": None,
                "addresses": ["192.0.2.10/24"],
                "virtual_mac": True,
            }
        ],
    }
    assert (found.files[CONFIG].mode, found.files[CONFIG].secret) == (0o600, True)
    assert (found.files[SYSCTL].text or "").splitlines()[1:] == [
        "net/ipv4/conf/eth0/arp_ignore = 1",
        "net/ipv4/conf/eth0/arp_announce = 2",
    ]
    assert (found.files[RECORD].text or "").splitlines()[1:] == [
        "vhid eth0 1 192.0.2.10",
        f"file {CONFIG}",
        f"file {SYSCTL}",
        f"file {UNIT}",
        f"file {PROGRAM}",
    ]
    assert PASSWORD not in (found.files[RECORD].text or "") + (found.files[UNIT].text or "")
    assert "ExecStart=/usr/bin/python3 -I" in (found.files[UNIT].text or "")


def test_what_the_daemon_raises_at_a_real_interface_is_what_sysctl_d_says() -> None:
    found = wanted(inventory(), host())
    assert parent_sysctls(found.vhids) == {f"net/ipv4/conf/eth0/{name}": minimum for name, minimum in silence._PARENT}


def test_an_interface_name_with_a_dot_keeps_it() -> None:
    found = wanted(inventory(interface="eth0.20"), host())
    assert set(found.parents) == {"net/ipv4/conf/eth0.20/arp_ignore", "net/ipv4/conf/eth0.20/arp_announce"}


def test_without_virtual_mac_the_kernel_is_left_as_it_is() -> None:
    found = wanted(inventory(virtual_mac=False), host())
    assert SYSCTL not in found.files
    assert json.loads(found.files[CONFIG].text or "")["vhids"][0]["virtual_mac"] is False


def test_groups_that_share_an_address_get_arpbalance() -> None:
    groups = {"web": WEB, "web2": {**WEB, "vhid": 2}}
    found = inventory({**groups, "web": {**WEB, "members": ["lin"]}, "web2": {**WEB, "vhid": 2, "members": ["lin"]}},
                      sysctl={"arpbalance": "auto"})  # fmt: skip
    assert wanted(found, host()).sysctls["arpbalance"] == 1


@pytest.mark.parametrize(
    ("init", "path", "mode"),
    [
        ("openrc", "/etc/init.d/bsdcarp-carpd", 0o755),
        ("sh", "/usr/local/lib/bsdcarp/bsdcarp-carpd.sh", 0o755),
    ],
)
def test_another_init_system_gets_its_own_script(init: str, path: str, mode: int) -> None:
    found = wanted(inventory(), host(init=init))
    assert UNIT not in found.files
    assert found.files[path].mode == mode
    assert found.services[0].described_by == path
    assert ("/etc/rc.local" in found.files) == (init == "sh")


def test_scripts_and_hook_are_sound_shell(tmp_path: Path) -> None:
    for init in ("openrc", "sh"):
        found = wanted(inventory(), host(init=init))
        for path, file in found.files.items():
            if (file.text or "").startswith("#!/bin/sh"):
                script = tmp_path / path.replace("/", "_")
                script.write_text(file.text or "", encoding="utf-8")
                assert subprocess.run(["/bin/sh", "-n", script], check=False).returncode == 0


def test_without_a_host_the_distribution_says_what_starts_services() -> None:
    assert UNIT in wanted(inventory(), None).files
    assert "/etc/init.d/bsdcarp-carpd" in wanted(inventory(os="alpine-3.20"), None).files
    assert RECORD not in wanted(inventory(), None).files


def test_render_writes_the_program_too(tmp_path: Path) -> None:
    written = write_tree(wanted(inventory(), None), tmp_path)
    program = tmp_path / "lin" / PROGRAM.lstrip("/")
    assert program in written
    assert program.read_bytes().startswith(b"#!")
    assert program.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "lin" / CONFIG.lstrip("/")).stat().st_mode & 0o777 == 0o600


def test_what_was_put_there_and_is_no_longer_wanted_goes() -> None:
    before = wanted(inventory(), host())
    found = wanted(inventory({}), applied(before))
    assert {path: file.text for path, file in found.files.items()} == dict.fromkeys((CONFIG, UNIT, SYSCTL, RECORD))
    assert found.programs[PROGRAM].data is None
    assert found.services == ()


def test_the_other_backend_takes_its_place() -> None:
    before = wanted(inventory(), host())
    found = wanted(inventory(**UCARP), applied(before, ucarp="/usr/sbin/ucarp"))
    assert [path for path, file in found.files.items() if file.text is None] == [CONFIG, SYSCTL, UNIT]
    assert found.programs[PROGRAM].data is None
    assert [service.name for service in found.services] == ["bsdcarp-ucarp-web"]


def test_ucarp_gets_a_unit_a_password_file_and_two_scripts() -> None:
    found = wanted(inventory(**UCARP), host(ucarp="/usr/sbin/ucarp"))
    secret = "/etc/bsdcarp/ucarp-web.pass"
    scripts = ["/usr/local/lib/bsdcarp/ucarp-up", "/usr/local/lib/bsdcarp/ucarp-down"]
    assert set(found.files) == {UCARP_UNIT, secret, *scripts, RECORD}
    assert (found.files[secret].text, found.files[secret].mode) == (f"{PASSWORD}\n", 0o600)
    start = next(line for line in (found.files[UCARP_UNIT].text or "").splitlines() if line.startswith("ExecStart="))
    assert start == (
        "ExecStart=/usr/sbin/ucarp --interface=eth0 --srcip=192.0.2.2 --vhid=1 --passfile=/etc/bsdcarp/ucarp-web.pass "
        "--addr=192.0.2.10 --advbase=1 --advskew=100 --upscript=/usr/local/lib/bsdcarp/ucarp-up "
        "--downscript=/usr/local/lib/bsdcarp/ucarp-down --shutdown --xparam=24 --preempt"
    )
    assert PASSWORD not in (found.files[UCARP_UNIT].text or "")
    calm = wanted(inventory(backend="ucarp", sysctl={"preempt": 0}), host(ucarp="/usr/sbin/ucarp"))
    assert "--preempt" not in (calm.files[UCARP_UNIT].text or "")


def test_ucarp_speaks_from_the_address_in_the_network_of_the_shared_one() -> None:
    links = [link("eth0", "10.0.0.2/8", "192.0.2.10/32", "192.0.2.2/24")]
    assert "--srcip=192.0.2.2 " in (wanted(inventory(**UCARP), host(links=links)).files[UCARP_UNIT].text or "")
    near = inventory(backend="ucarp", interfaces={"eth0": "192.0.2.7/24"})
    assert "--srcip=192.0.2.7 " in (wanted(near, None).files[UCARP_UNIT].text or "")
    with pytest.raises(PlanError, match="own on eth0"):
        wanted(inventory(**UCARP), None)


@pytest.mark.parametrize(
    ("group", "host_keys", "words"),
    [
        ({"addresses": ["192.0.2.10/24", "192.0.2.11/24"]}, {}, "2 addresses"),
        ({"addresses": ["2001:db8::10/64"]}, {}, "an IPv6 address"),
        ({"peer": "auto"}, {}, "a unicast peer"),
        ({}, {"sysctl": {"arpbalance": 1}}, "arpbalance"),
    ],
)
def test_what_ucarp_cannot_do_is_refused_where_the_inventory_does_not_tell_the_release(
    group: dict[str, Any], host_keys: dict[str, Any], words: str
) -> None:
    found = inventory({"web": {**WEB, **group}}, backend="ucarp", os=None, **host_keys)
    with pytest.raises(PlanError, match=words):
        wanted(found, host(ucarp="/usr/sbin/ucarp"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"#!/bin/sh\n{HOOK}\n"),
        ("#!/bin/sh\nmount -a\nexit 0\n", f"#!/bin/sh\nmount -a\n{HOOK}\nexit 0\n"),
        ("#!/bin/sh\nmount -a", f"#!/bin/sh\nmount -a\n{HOOK}\n"),
        (f"#!/bin/sh\nexit 0\n{HOOK}\n", f"#!/bin/sh\n{HOOK}\nexit 0\n"),
    ],
)
def test_the_boot_hook_is_one_line_that_is_reached(before: str, after: str) -> None:
    assert with_hook(before) == after
    assert has_hook(after)
    assert with_hook(after) == after
    rest = without_hook(after)
    assert HOOK not in rest
    assert rest == "" if not before else before.replace(f"{HOOK}\n", "").rstrip("\n") == rest.rstrip("\n")


def test_the_boot_hook_is_taken_out_again() -> None:
    before = wanted(inventory(), host(init="sh"))
    extra = {"/etc/rc.local": f"#!/bin/sh\nmount -a\n{HOOK}\nexit 0\n"}
    found = wanted(inventory({}), applied(before, init="sh", extra=extra))
    assert found.files["/etc/rc.local"].text == "#!/bin/sh\nmount -a\nexit 0\n"
    made = wanted(inventory({}), applied(before, init="sh"))
    assert made.files["/etc/rc.local"].text is None
