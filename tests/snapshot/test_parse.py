"""The reading script's answer, cut and parsed; the script itself under the real sh."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from bsdcarp.errors import HostRefused, RemoteError
from bsdcarp.snapshot import parse, read_script
from bsdcarp.snapshot.script import salt

TOKEN = "0123456789abcdef"
SALT = salt(TOKEN)


def section(head: str, body: str = "") -> str:
    return f"\n{TOKEN} {head}\n{body}"


BOOTTIME = "kern.boottime: { sec = 1795351602, usec = 408951 } Sun Nov 22 12:46:42 2026\n"
FACTS = section("sysctl", BOOTTIME) + section("ifconfig", "lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST>\n")


def answer(system: str = "FreeBSD a 12.1-STABLE amd64", *more: str) -> bytes:
    """What is given last counts, where something is given twice."""
    said = section("begin", system) + section("uid", "0\n") + FACTS + "".join(more) + section("end")
    return f"noise from .cshrc\n{said}".encode()


def test_freebsd_facts() -> None:
    snapshot = parse(
        answer(
            "FreeBSD fw1 12.1-STABLE amd64",
            section(
                "sysctl",
                "kern.osreldate: 1201517\nkern.ident: GENERIC\nkern.bootfile: /boot/kernel/kernel\n"
                f"{BOOTTIME}kern.securelevel: -1\n"
                "net.inet.carp.preempt: 1\nnet.inet.carp.demotion: -10\n",
            ),
            section("kldstat", "Id Refs Address Size Name\n 1 3 0xf 1 kernel\n 2 1 0xf 5e70 carp.ko\n"),
            section("files", "rw /etc/rc.conf\nro /boot/loader.conf\n"),
            section(
                "contents",
                f"==> /mnt{SALT}/etc/rc.conf <==\na=1\n==> /etc/rc.conf <==\nno newline at the end\n"
                f"==> /mnt{SALT}/boot/loader.conf <==\n\n==> /dev/null <==\n",
            ),
            section("kernel kernel carp"),
            section("kernel kernel.old none"),
            section("kernel kernel.new none static"),
            section("kernel kernel.odd none anything"),
            section("zfs"),
            section("unwritable /boot"),
            section("sources"),
            section("rc-begin"),
            section("rc ifconfig_em0", "inet 10.0.0.1/24\nsecond line"),
            section("rc-end"),
        ),
        TOKEN,
        host="fw1",
    )
    assert (snapshot.release.family, snapshot.release.major, snapshot.release.minor) == ("freebsd", 12, 1)
    assert str(snapshot.release) == "freebsd-12.1"
    assert (snapshot.osreldate, snapshot.boottime, snapshot.securelevel) == (1201517, 1795351602, -1)
    assert (snapshot.hostname, snapshot.machine, snapshot.ident) == ("fw1", "amd64", "GENERIC")
    assert snapshot.carp == "module"
    assert snapshot.sysctls == {"preempt": 1, "demotion": -10}
    assert snapshot.text("/etc/rc.conf") == "a=1\n==> /etc/rc.conf <==\nno newline at the end"
    assert snapshot.text("/boot/loader.conf") == ""
    assert not snapshot.files["/boot/loader.conf"].writable
    assert snapshot.text("/etc/absent") == ""
    assert snapshot.rc == {"ifconfig_em0": "inet 10.0.0.1/24\nsecond line"}
    assert [(k.name, k.module, k.newer) for k in snapshot.kernels] == [
        ("kernel", "carp", ""),
        ("kernel.old", "", ""),
        ("kernel.new", "", "static"),
        ("kernel.odd", "", "unknown"),
    ]
    assert snapshot.boot_on_zfs
    assert snapshot.unwritable == {"/boot"}
    assert snapshot.sources


@pytest.mark.parametrize(
    "contents",
    ["==> /dev/null <==\n", f"==> {SALT}/etc/rc.conf <==\nab", "==> /etc/rc.conf <==\nab\n==> /dev/null <==\n", ""],
)
def test_a_file_that_goes_away_while_it_is_read_is_noticed(contents: str) -> None:
    listed = section("files", "rw /etc/rc.conf\n") + section("contents", contents)
    with pytest.raises(RemoteError, match="went away while"):
        parse(answer("FreeBSD a 14.2 amd64", listed), TOKEN, host="a")


def test_files_that_are_asked_for_twice_or_name_each_other_are_cut_apart(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    rc, sysctl = "a=1\n\n==> /etc/sysctl.conf <==\nb=2", "\n==> /dev/null <==\n"
    (tmp_path / "etc/rc.conf").write_text(rc)
    (tmp_path / "etc/sysctl.conf").write_text(sysctl)
    (tmp_path / "etc/empty").write_text("")
    programs = {"sysctl": 'echo "kern.ostype: FreeBSD\nkern.hostname: a\nkern.osrelease: 14.2\nhw.machine: amd64"'}
    programs["sysctl"] += f"; echo '{BOOTTIME.strip()}'"
    programs["ifconfig"] = "echo 'lo0: flags=8049<UP> mtu 1'"
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    token = "ab" * 16
    script = read_script(token, ["/etc/sysctl.conf", "/etc/empty", "/etc/rc.conf", "/etc/rc.conf", "/etc/empty"])
    environment = {**os.environ, "BSDCARP_ROOT": str(tmp_path), "BSDCARP_PATH": str(tmp_path)}
    done = subprocess.run(["/bin/sh", "-s"], input=script, capture_output=True, env=environment, check=True)
    snapshot = parse(done.stdout, token, host="a")
    assert {path: state.text for path, state in snapshot.files.items()} == {
        "/etc/rc.conf": rc,
        "/etc/sysctl.conf": sysctl,
        "/etc/empty": "",
    }


def test_carp_without_a_module_file_is_static() -> None:
    snapshot = parse(
        answer(
            "FreeBSD a 9.3-RELEASE amd64",
            section("sysctl", f"{BOOTTIME}net.inet.carp.allow: 1\n"),
            section("kldstat", "Id\n1 1 0xf 1 kernel\n"),
        ),
        TOKEN,
        host="a",
    )
    assert snapshot.carp == "static"


def test_an_rc_conf_that_does_not_parse_is_told_in_sh_words() -> None:
    snapshot = parse(
        answer("FreeBSD a 12.1 amd64", section("rc-begin", "/etc/rc.conf: 15: Syntax error: \x1b[31mEOF\n")),
        TOKEN,
        host="a",
    )
    assert snapshot.rc == {}
    assert snapshot.rc_error == "/etc/rc.conf: line 15: syntax error"


def test_no_error_repeats_what_stands_in_files_or_keys() -> None:
    secret = section("ifconfig", 'carp: MASTER vhid 1 advbase 1 advskew 0 key "hunter2"\n')
    with pytest.raises(RemoteError) as caught:
        parse(answer("FreeBSD a 12.1 amd64", secret)[:-6], TOKEN, host="a")
    assert "hunter2" not in str(caught.value)
    stumbled = section("rc-begin", '/etc/rc.conf: 3: Syntax error: "hunter2" unexpected\n')
    assert (
        parse(answer("FreeBSD a 12.1 amd64", stumbled), TOKEN, host="a").rc_error
        == "/etc/rc.conf: line 3: syntax error"
    )


@pytest.mark.parametrize(
    ("cut", "error", "words"),
    [
        (b"", RemoteError, "said: nothing"),
        (b"csh: no match\n", RemoteError, "no match"),
        (answer()[:-20], RemoteError, "incomplete"),
        (answer("SunOS a 5.11 i86pc"), HostRefused, "this is SunOS"),
        (answer("FreeBSD"), RemoteError, "no usable answer"),
        (answer("FreeBSD a 14.2 amd64", section("sysctl", "")), RemoteError, "sysctl did not answer"),
        (answer("FreeBSD a 14.2 amd64", section("ifconfig", "")), RemoteError, "ifconfig did not answer"),
        (answer("FreeBSD a 14.2 amd64", section("sysctl"), section("ifconfig")), RemoteError, "sysctl and ifconfig"),
    ],
)
def test_answers_that_are_none_are_told_in_one_line(cut: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        parse(cut, TOKEN, host="h")
    assert str(caught.value).startswith("h: ")
    assert "\n" not in str(caught.value)


def run_script(root: Path, tools: Path, *more: str) -> bytes:
    environment = {"BSDCARP_ROOT": str(root), "BSDCARP_PATH": str(tools), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["/bin/sh", "-s"], input=read_script(TOKEN, more), env=environment, capture_output=True, check=True, timeout=20
    )
    return done.stdout


def tool(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def freebsd(tmp_path: Path) -> tuple[Path, Path]:
    """A root directory and tools that answer as a FreeBSD host would."""
    root, tools = tmp_path / "root", tmp_path / "tools"
    for directory in ("etc/rc.conf.d", "boot/kernel", "var/db", "usr/src/sys/amd64/conf"):
        (root / directory).mkdir(parents=True)
    tool(tools, "uname", "echo FreeBSD fw1 14.2-RELEASE amd64")
    tool(tools, "id", "echo 0")
    tool(tools, "sysctl", "echo kern.osreldate: 1402000; echo 'kern.boottime: { sec = 1795351602, usec = 1 } Sun'")
    tool(tools, "kldstat", 'if [ "$1" = -q ]; then exit 1; fi; echo Id Refs Address Size Name')
    tool(tools, "ifconfig", 'case $1 in -k) exit 1 ;; -a) echo "em0: flags=1<UP,MULTICAST>" ;; *) exit 9 ;; esac')
    return root, tools


def test_the_script_reads_files_and_lets_sh_evaluate_rc_conf(freebsd: tuple[Path, Path]) -> None:
    root, tools = freebsd
    (root / "etc/rc.conf").write_bytes(
        b'ifconfig_em0="inet 10.0.0.1/24"\nx=7\nifconfig_em0_alias0="v $x"\necho loud\n\xff'
    )
    (root / "etc/rc.conf.local").write_text("cloned_interfaces='lo1 it'\\''s'\n")
    (root / "etc/rc.conf.d/network").write_text('ifconfig_em0="late"\n')
    (root / "boot/kernel/kernel").touch()
    (root / "boot/kernel/carp.ko").touch()
    (root / "usr/src/sys/amd64/conf/GENERIC").touch()
    (root / "var/db/note").write_text("extra")
    before = sorted(p for p in root.rglob("*"))
    snapshot = parse(run_script(root, tools, "/var/db/note"), TOKEN, host="fw1")
    assert snapshot.rc["ifconfig_em0"] == "late"
    assert snapshot.rc["ifconfig_em0_alias0"] == "v 7"
    assert snapshot.rc["cloned_interfaces"] == "lo1 it's"
    assert snapshot.rc_error == ""
    assert snapshot.text("/etc/rc.conf").endswith("\udcff")
    assert snapshot.text("/var/db/note") == "extra"
    assert list(snapshot.interfaces) == ["em0"]
    assert [(k.name, k.module) for k in snapshot.kernels] == [("kernel", "carp")]
    assert snapshot.carp == "absent"
    assert sorted(p for p in root.rglob("*")) == before


def names_in_programs() -> set[str]:
    """The lower-case variables of all that may run in the shell that reads rc.conf, before or for that."""
    package = Path(__file__).parents[2] / "bsdcarp"
    # The undo, and all about kernels, have shells of their own.
    programs = [path for path in package.glob("*/*.sh") if path.name != "undo.sh" and path.parent.name != "kernels"]
    assert {"read_host.sh", "transact.sh", "waits.sh"} <= {path.name for path in programs}
    lines = [line for path in programs for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    patterns = (r"(?:^|[\s;{(&|])([a-z]\w*)=", r"\bfor ([a-z]\w*) in", r"\bread -r ([a-z]\w*)")
    found = {name for pattern in patterns for line in lines for name in re.findall(pattern, line)}
    return {name for name in found if not name.startswith("rc_")}


def test_rc_conf_is_read_without_what_the_programs_know(freebsd: tuple[Path, Path]) -> None:
    root, tools = freebsd
    names = sorted(names_in_programs())
    (root / "etc/rc.conf").write_text(f'network_interfaces="x{"".join(f"${{{name}-}}" for name in names)}"\n')
    before = "".join(f"{name}=leak_{name}\n" for name in names).encode()
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=before + read_script(TOKEN),
        env={"BSDCARP_ROOT": str(root), "BSDCARP_PATH": str(tools), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert parse(done.stdout, TOKEN, host="fw1").rc["network_interfaces"] == "x"


def test_a_syntax_error_in_rc_conf_does_not_end_the_reading(freebsd: tuple[Path, Path]) -> None:
    root, tools = freebsd
    (root / "etc/rc.conf").write_text('a="unbalanced\n')
    snapshot = parse(run_script(root, tools), TOKEN, host="fw1")
    assert "nterminated" in snapshot.rc_error or "yntax" in snapshot.rc_error or "EOF" in snapshot.rc_error
    assert snapshot.text("/etc/rc.conf") == 'a="unbalanced\n'


@pytest.mark.parametrize(
    ("path", "name"),
    [("usr/local/opnsense/", "OPNsense"), ("data/freenas-v1.db", "TrueNAS"), ("etc/platform", "pfSense")],
)
def test_appliances_are_recognised(freebsd: tuple[Path, Path], path: str, name: str) -> None:
    root, tools = freebsd
    target = root / path
    if path.endswith("/"):
        target.mkdir(parents=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    if name == "pfSense":
        (root / "cf/conf").mkdir(parents=True)
    assert parse(run_script(root, tools), TOKEN, host="h").appliance == name


def test_a_script_that_arrives_cut_off_does_nothing(freebsd: tuple[Path, Path]) -> None:
    root, tools = freebsd
    whole = read_script(TOKEN)
    environment = {"BSDCARP_ROOT": str(root), "BSDCARP_PATH": str(tools), "PATH": os.environ["PATH"]}
    for length in (len(whole) // 3, len(whole) - 25):
        done = subprocess.run(
            ["/bin/sh", "-s"], input=whole[:length], env=environment, capture_output=True, check=False
        )
        assert done.stdout == b""
