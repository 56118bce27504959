"""Reading a Linux host: the real script against a directory with stand-ins for its programs, and shapes of the answer."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linux_hosts import NO_UNIT, host, inventory, link, macvlan, status, unit, wanted

from bsdcarp.errors import RemoteError
from bsdcarp.plan import plan
from bsdcarp.plan.check import check
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Foreign, ServiceState, Snapshot, parse, read_script
from bsdcarp.snapshot.carpdstatus import parse_carpd_status
from bsdcarp.snapshot.foreign import find_foreign
from bsdcarp.transaction import Outcome, Terms, confirmation_script, read_outcome, transaction_script

TOKEN = "0123456789abcdef"
UNITS = "etc/systemd/system"

SYSTEMCTL = r"""
w=$BSDCARP_ROOT/etc/systemd/system/multi-user.target.wants
echo "$*" >>"$BSDCARP_ROOT/told"
case $1 in
show) for u in "$@"; do case $u in *.service)
        f=$BSDCARP_ROOT/etc/systemd/system/$u
        echo "Id=$u"
        if [ -f "$f" ]; then
            echo LoadState=loaded; echo "FragmentPath=/etc/systemd/system/$u"
            if [ -e "$w/$u" ]; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi
        else echo LoadState=not-found; fi
        if [ -e "$BSDCARP_ROOT/run/$u" ]; then echo ActiveState=active; else echo ActiveState=inactive; fi
        echo ;;
    esac; done ;;
enable) mkdir -p "$w"; [ -f "$BSDCARP_ROOT/etc/systemd/system/$2" ] && : >"$w/$2" ;;
disable) [ -f "$BSDCARP_ROOT/etc/systemd/system/$2" ] && rm -f "$w/$2" ;;
start|restart) [ ! -e "$BSDCARP_ROOT/fail" ] && : >"$BSDCARP_ROOT/run/$2" ;;
stop) rm -f "$BSDCARP_ROOT/run/$2" ;;
esac
"""
SYSCTL = r"""
shift
for a in "$@"; do echo "${a#*=}" >"$BSDCARP_ROOT/proc/sys/${a%%=*}"; done
"""


class Host:
    """A host's root directory, its tools, and bsdcarp's own scripts run on it by the real shell."""

    def __init__(self, base: Path) -> None:
        self.transactions = 0
        self.root, self.tools = base / "a root", base / "tools"
        self.tools.mkdir()
        self.write("etc/os-release", 'ID=debian\nVERSION_ID="12"\n')
        self.write("proc/stat", "cpu 1 2\nbtime 1795351602\nintr 1\n")
        self.write("proc/sys/kernel/random/boot_id", "7cea-fd7e\n")
        self.write("proc/17/comm", "ucarp\n")
        self.write("proc/17/cmdline", "/usr/sbin/ucarp\0--interface=eth1\0-v9\0-p\0topsecret\0")
        self.write("proc/18/comm", "sshd\n")
        for name in ("arp_ignore", "arp_announce"):
            self.write(f"proc/sys/net/ipv4/conf/eth0/{name}", "0\n")
        for directory in ("run/systemd/system", "var/lib", "var/run", UNITS):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        for path in ("usr/bin/python3", "usr/sbin/ucarp"):
            self.write(path, "").chmod(0o755)
        self.tool("uname", "echo Linux lin 6.1.0 x86_64")
        self.tool("id", "echo 0")
        self.tool("ip", f"echo '{json.dumps([link('eth0', '192.0.2.2/24')])}'")
        self.tool(
            "python3", 'case $1 in -V) echo Python 3.11.2 ;; *) cat "$BSDCARP_ROOT/status" 2>/dev/null ;; esac; :'
        )
        self.tool("systemctl", SYSTEMCTL)
        self.tool("sysctl", SYSCTL)

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def tool(self, name: str, text: str) -> None:
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def sh(self, script: bytes) -> bytes:
        environment = {"BSDCARP_ROOT": str(self.root), "BSDCARP_PATH": str(self.tools), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script, env=environment, capture_output=True, check=False, timeout=30
        )
        assert done.stderr == b"", done.stderr
        return done.stdout

    def read(self) -> Snapshot:
        more = ("/etc/bsdcarp/carpd.json", "/var/lib/bsdcarp/record")
        return parse(self.sh(read_script(TOKEN, more)), TOKEN, host="lin")

    def apply(self, desired: Desired, snapshot: Snapshot) -> Outcome:
        made = plan(desired, snapshot)
        self.transactions += 1
        terms = Terms(f"tx-20261122-12000{self.transactions}-feedfa", "me", "c1a1m", window=20)
        outcome = read_outcome(self.sh(transaction_script(made, terms, token=TOKEN)), TOKEN, made)
        if outcome.good:
            self.sh(confirmation_script(terms.name, made.state, terms.claim, token=TOKEN))
        return outcome

    def files(self) -> dict[str, bytes]:
        hidden = ("told", "var/lib/bsdcarp/tx-", "fail", "proc/")
        paths = {str(p.relative_to(self.root)): p for p in sorted(self.root.rglob("*")) if p.is_file()}
        return {name: p.read_bytes() for name, p in paths.items() if not name.startswith(hidden)}


@pytest.fixture
def machine(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_everything_is_read_in_one_go(machine: Host) -> None:
    machine.write("etc/sysctl.d/99-own.conf", "net.ipv4.conf.all.arp_ignore=2\n")
    machine.write("etc/sysctl.d/98-other.conf", "kernel.panic=1\n")
    machine.write("etc/network/interfaces", "auto eth0\n")
    snapshot = machine.read()
    facts = snapshot.linux
    assert facts is not None
    assert (str(snapshot.release), snapshot.boottime, snapshot.boot_id, snapshot.uid) == (
        "debian-12",
        1795351602,
        "7cea-fd7e",
        0,
    )
    assert [str(a.interface) for a in snapshot.interfaces["eth0"].addresses] == ["192.0.2.2/24"]
    assert (facts.init, facts.python, facts.program, facts.ucarp) == ("systemd", (3, 11, 2), "", "/usr/sbin/ucarp")
    assert facts.service("bsdcarp-carpd") == ServiceState("absent")
    assert dict(facts.sysctls) == {"net/ipv4/conf/eth0/arp_ignore": 0, "net/ipv4/conf/eth0/arp_announce": 0}
    assert facts.foreign == (Foreign("ucarp", "eth1", 9),)
    assert "topsecret" not in repr(snapshot)
    assert set(snapshot.files) == {"/etc/sysctl.d/99-own.conf", "/etc/network/interfaces"}
    assert facts.carpd is None


def test_carpd_comes_stays_and_goes(machine: Host) -> None:
    before = machine.files()
    first = machine.read()
    desired = wanted(inventory(), first)
    assert check(desired, first) == []
    assert machine.apply(desired, first).good
    machine.write("run/bsdcarp/carpd.sock", "")
    machine.write("status", json.dumps(status(desired)))
    second = machine.read()
    assert second.linux is not None
    assert second.linux.service("bsdcarp-carpd").running
    assert second.linux.sysctls["net/ipv4/conf/eth0/arp_announce"] == 2
    assert not plan(wanted(inventory(), second), second)
    told = (machine.root / "told").read_text(encoding="utf-8").splitlines()
    assert [line for line in told if not line.startswith("show")] == [
        "daemon-reload",
        "enable bsdcarp-carpd.service",
        "start bsdcarp-carpd.service",
    ]
    program = machine.root / "usr/local/lib/bsdcarp/carpd.pyz"
    assert program.stat().st_mode & 0o777 == 0o755
    assert (machine.root / "etc/bsdcarp/carpd.json").stat().st_mode & 0o777 == 0o600
    machine.sh(f"rm '{machine.root}/run/bsdcarp/carpd.sock' '{machine.root}/status'\n".encode())
    third = machine.read()
    assert machine.apply(wanted(inventory({}), third), third).good
    assert machine.files() == before


def test_ucarp_comes_stays_and_goes(machine: Host) -> None:
    before = machine.files()
    found = inventory(backend="ucarp")
    first = machine.read()
    assert machine.apply(wanted(found, first), first).good
    second = machine.read()
    assert not plan(wanted(found, second), second)
    assert (machine.root / "etc/bsdcarp/ucarp-web.pass").stat().st_mode & 0o777 == 0o600
    assert (machine.root / "usr/local/lib/bsdcarp/ucarp-up").stat().st_mode & 0o777 == 0o755
    assert machine.apply(wanted(inventory({}, backend="ucarp"), second), second).good
    assert machine.files() == before


def test_a_daemon_that_does_not_start_leaves_the_host_as_it_was(machine: Host) -> None:
    before = machine.files()
    machine.write("fail", "")
    snapshot = machine.read()
    outcome = machine.apply(wanted(inventory(), snapshot), snapshot)
    assert outcome.state == "undone"
    assert "systemctl start" in outcome.reason
    assert machine.files() == before


def test_a_program_that_does_not_start_gives_way_to_the_old_one(machine: Host) -> None:
    first = machine.read()
    assert machine.apply(wanted(inventory(), first), first).good
    program = machine.root / "usr/local/lib/bsdcarp/carpd.pyz"
    program.write_bytes(b"an older one\0")
    before = machine.files()
    machine.write("fail", "")
    second = machine.read()
    made = machine.apply(wanted(inventory(), second), second)
    # The stand-in refuses every start, that of the old program too, and that is said.
    assert made.state == "broken"
    assert machine.files() == before


def test_a_program_that_was_changed_meanwhile_is_not_overwritten(machine: Host) -> None:
    first = machine.read()
    assert machine.apply(wanted(inventory(), first), first).good
    program = machine.root / "usr/local/lib/bsdcarp/carpd.pyz"
    program.write_bytes(b"an older one\0")
    second = machine.read()
    program.write_bytes(b"another\0")
    outcome = machine.apply(wanted(inventory(), second), second)
    assert outcome.state == "untouched"
    assert program.read_bytes() == b"another\0"


def test_openrc_and_plain_shell_are_recognised_by_what_they_leave(machine: Host) -> None:
    (machine.root / "run/systemd/system").rmdir()
    machine.write("etc/rc.local", "#!/bin/sh\n").chmod(0o755)
    plain = machine.read().linux
    assert plain is not None
    assert (plain.init, plain.executable) == ("sh", frozenset({"/etc/rc.local"}))
    machine.write("run/openrc/softlevel", "default")
    machine.write("etc/init.d/bsdcarp-carpd", "")
    assert machine.read().linux.service("bsdcarp-carpd") == ServiceState("inactive")  # type: ignore[union-attr]
    machine.write("run/openrc/started/bsdcarp-carpd", "")
    (machine.root / "etc/runlevels/default").mkdir(parents=True)
    (machine.root / "etc/runlevels/default/bsdcarp-carpd").symlink_to("/etc/init.d/bsdcarp-carpd")
    found = machine.read().linux
    assert found is not None
    assert found.service("bsdcarp-carpd") == ServiceState("active", enabled=True)


def test_no_python_is_no_version(machine: Host) -> None:
    (machine.root / "usr/bin/python3").unlink()
    (machine.root / "usr/sbin/ucarp").unlink()
    facts = machine.read().linux
    assert facts is not None
    assert (facts.python, facts.ucarp) == ((), "")


def test_the_daemons_vhids_are_where_a_kernel_has_them() -> None:
    desired = wanted(inventory(), host())
    shared = [link("eth0", "192.0.2.2/24"), macvlan(1, "192.0.2.10/32")]
    snapshot = host(carpd=status(desired, "MASTER"), links=shared)
    eth0 = snapshot.interfaces["eth0"]
    assert set(snapshot.interfaces) == {"eth0"}
    assert [str(a.interface) for a in eth0.addresses_of(0)] == ["192.0.2.2/24"]
    assert [str(a.interface) for a in eth0.addresses_of(1)] == ["192.0.2.10/24"]
    assert (eth0.vhids[0].state, eth0.vhids[0].fingerprint) == ("MASTER", desired.vhids[0].password.digest)
    assert dict(snapshot.sysctls) == {"allow": 1, "preempt": 1, "log": 1, "arpbalance": 0, "demotion": 0}
    real = host(carpd=status(desired, "MASTER"), links=[link("eth0", "192.0.2.2/24", "192.0.2.10/32")])
    assert real.interfaces["eth0"].addresses == eth0.addresses
    elsewhere = {**status(desired), "vhids": [{**status(desired)["vhids"][0], "interface": "gone"}]}
    assert host(carpd=elsewhere).interfaces["eth0"].vhids == ()


def test_what_a_unit_says_is_read() -> None:
    text = (
        unit(active="failed", enabled="masked", NeedDaemonReload="yes", DropInPaths="/a.conf /b.conf") + "\n" + NO_UNIT
    )
    found = host(units=text.replace(NO_UNIT, unit("bsdcarp-ucarp-web"))).linux
    assert found is not None
    assert set(found.services) == {"bsdcarp-carpd", "bsdcarp-ucarp-web"}
    assert found.service("bsdcarp-carpd") == ServiceState(
        "failed", masked=True, stale=True, dropins=("/a.conf", "/b.conf"), fragment=f"/{UNITS}/bsdcarp-carpd.service"
    )


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", '{"settings": 1, "vhids": []}', '{"settings": {}, "vhids": [1]}']
)
def test_an_answer_of_another_shape_is_none(text: str) -> None:
    assert parse_carpd_status(text) is None


@given(
    st.text(max_size=200)
    | st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists, max_leaves=5).map(json.dumps)
)
def test_no_answer_raises(text: str) -> None:
    parse_carpd_status(text)
    host(units=text, proc=text, python=text, program=text, boottime=text, carpd=None, init=text)
    with contextlib.suppress(RemoteError):
        host(ip=text)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = ["ifname", "flags", "addr_info", "linkinfo", "ifalias", "operstate", "address", "master"]


@given(st.dictionaries(st.sampled_from(KEYS), ODD), st.dictionaries(st.sampled_from(["local", "prefixlen"]), ODD))
def test_odd_interfaces_are_an_error_of_that_host_or_none(keys: dict[str, Any], info: dict[str, Any]) -> None:
    for odd in ({"ifname": "eth0"} | keys, link("eth0") | keys, {"ifname": "eth0", "addr_info": [info]} | keys):
        with contextlib.suppress(RemoteError):
            host(links=[odd])


@pytest.mark.parametrize(
    "text",
    [
        "Usage: ip [OPTIONS]",
        "null",
        "[1]",
        '[{"ifname": "eth0", "addr_info": [{"local": "192.0.2.2"}]}]',
        '[{"ifname": "eth0", "addr_info": [{"local": "192.0.2.2.2", "prefixlen": 24}]}]',
        '[{"ifname": "eth0", "addr_info": [{"local": "192.0.2.2", "prefixlen": 99}]}]',
        '[{"ifname": "eth0", "linkinfo": ["macvlan"]}]',
        '[{"ifname": "eth0", "flags": null}]',
        "[" * 100_000,
    ],
)
def test_odd_interfaces_name_the_host_and_what_to_do(text: str) -> None:
    answer = b"".join(
        f"\n{TOKEN} {section}\n{body}".encode()
        for section, body in (("begin", "Linux h 6.1 x86_64"), ("uid", "0"), ("ip", text), ("end", ""))
    )
    with pytest.raises(RemoteError, match=r"^web2: what `ip -j -d addr show` prints is not .* \(log in by hand"):
        parse(answer, TOKEN, host="web2")


@pytest.mark.parametrize(
    ("processes", "files", "expected"),
    [
        (("ucarp\n-i\neth0\n-v\n1\n",), {}, (Foreign("ucarp", "eth0", 1),)),
        (("ucarp\n--vhid\n1\n--interface\neth0\n",), {}, (Foreign("ucarp", "eth0", 1),)),
        (
            ("ucarp\n-Pzi\n-v1\n-i\neth0\n", "/x/ucarp\n--preempt\n-v1\n-p\n-v2\n"),
            {},
            (Foreign("ucarp", "eth0", 1), Foreign("ucarp", "", 1)),
        ),
        (("ucarp\n-v\nx\n", "", "sh\n-v\n1\n"), {}, ()),
        (("/usr/sbin/ucarp\n-v\n1\n--passfile=/etc/bsdcarp/ucarp-web.pass\n",), {}, ()),
        (
            ("keepalived\n",),
            {
                "/etc/keepalived/keepalived.conf": "# vrrp_instance no {\nvrrp_instance a {\n interface eth0 ! x\n"
                " virtual_router_id 7\n}\nvrrp_instance b {\n interface eth1\n virtual_router_id 8\n}\nvirtual_server x {}\n"
            },
            (Foreign("keepalived", "eth0", 7), Foreign("keepalived", "eth1", 8)),
        ),
        (
            (),
            {"/etc/network/interfaces": "iface eth0 inet static\n ucarp-vid 3\n ucarp-password x\n"},
            (Foreign("ucarp", "eth0", 3, running=False),),
        ),
        (
            ("ucarp\n-i\neth0\n-v\n3\n",),
            {"/etc/network/interfaces": "iface eth0 inet static\n ucarp-vid 3\n"},
            (Foreign("ucarp", "eth0", 3),),
        ),
    ],
)
def test_who_else_speaks_for_a_vhid(
    processes: tuple[str, ...], files: dict[str, str], expected: tuple[Foreign, ...]
) -> None:
    assert find_foreign(processes, files) == expected
