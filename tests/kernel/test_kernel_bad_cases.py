"""What goes wrong with kernels: told in one line, and the host boots as before."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kernel_lab import KernelLab, kernel_lab, pair

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def start(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., KernelLab]]:
    with ExitStack() as stack:

        def begin(release: str = "12.1", method: str = "static") -> KernelLab:
            keys = tmp_path_factory.getbasetemp() / "keys"
            keys.mkdir(exist_ok=True)
            return stack.enter_context(kernel_lab(tmp_path, pair(release, method), keys))

        yield begin


def boots_as_before(bench: KernelLab) -> None:
    bench.reboot()
    assert bench.machine.alive, bench.machine.console
    assert bench.machine.kernel.image.directory == "kernel"
    assert "kernel=" not in (bench.machine.read("/boot/loader.conf") or "")


def test_no_source_tree(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.tree.path("/usr/src/sys/amd64/conf/GENERIC").unlink()
    for verb in ("build", "install"):
        result = bench.kernel(verb)
        assert result.status == 1
        assert result.row[0] == "refused"
        assert "no source tree in /usr/src" in result.row[1]
        assert "src.txz" in result.row[1]


def test_sources_of_another_release(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.tree.write("/usr/src/sys/conf/newvers.sh", 'REVISION="14.2"\n')
    result = bench.kernel("build")
    assert result.status == 1
    assert "the sources in /usr/src are FreeBSD 14.2" in result.row[1]


def test_another_architecture(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.path.write_text(pair().replace("kernel:", "arch: i386, kernel:"))
    assert "no source tree" in bench.kernel("build").row[1]
    bench.machine.tree.write("/usr/src/sys/i386/conf/GENERIC", "ident GENERIC\n")
    result = bench.kernel("build")
    assert result.status == 1
    assert "but the host is amd64" in result.row[1]


def test_a_failing_build_shows_its_last_twenty_lines(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.compiler.error = "/usr/src/sys/net/if.c:17:2: error: expected ';'\n1 error generated."
    result = bench.kernel("build")
    assert result.status == 1
    assert result.row[0] == "failed"
    log = result.document["results"]["a"]["log"]
    assert len(log) <= 20
    assert "1 error generated." in log
    assert log[-1] == "Stop."
    shown = bench.run("kernel", "build").out
    assert "expected ';'" in shown
    assert bench.kernel("install").status == 1
    boots_as_before(bench)
    # Mended, it is simply called again.
    bench.machine.compiler.error = ""
    assert bench.kernel("build").row[0] == "built"


def test_a_disk_too_small_to_build_or_to_install(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.disk.free = 900_000
    result = bench.kernel("build")
    assert result.status == 1
    assert "/usr/obj has 900 MB left" in result.row[1]
    bench.machine.disk.free = 20_000_000
    bench.ready()
    bench.machine.disk.free = 90_000
    result = bench.kernel("install")
    assert result.status == 1
    assert "/boot has 90 MB left" in result.row[1]
    assert not list(bench.machine.tree.path("/boot").glob("kernel.*"))


def test_installkernel_that_fails(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    bench.machine.tree.path("/usr/obj/usr/src/sys/CARP/kernel").unlink()
    result = bench.kernel("install")
    assert result.status == 1
    assert result.row == ("failed", "make installkernel failed")
    assert any("No kernel" in line for line in result.document["results"]["a"]["log"])
    boots_as_before(bench)


def test_a_kernel_that_was_built_without_carp_is_not_installed(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    built = bench.machine.tree.path("/usr/obj/usr/src/sys/CARP/kernel")
    conf = bench.machine.tree.path("/usr/src/sys/amd64/conf/CARP")
    assert built.exists()
    # Somebody takes carp out behind our back, and the stamp with it.
    conf.write_text("include GENERIC\nident CARP\n")
    stamp = bench.machine.tree.path("/var/db/bsdcarp/kernel/CARP/stamp")
    done = subprocess.run(["cksum"], input=conf.read_bytes(), capture_output=True, check=True)
    stamp.write_bytes(done.stdout)
    result = bench.kernel("install", "--no-trial")
    assert result.status == 1
    assert "has no carp in it" in result.row[1]
    boots_as_before(bench)


def test_files_that_are_not_applied_are_told_before_the_trial(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.kernel("build")
    generation = bench.machine.generation
    result = bench.kernel("install")
    assert result.status == 1
    assert "a trial boot would prove nothing" in result.row[1]
    assert "apply first" in result.row[1]
    assert bench.machine.generation == generation


def test_zfs_of_an_older_release_is_refused_with_the_reason(start: Callable[..., KernelLab]) -> None:
    bench = start("12.1")
    bench.machine.disk.filesystem = "zfs"
    bench.ready()
    result = bench.kernel("install")
    assert result.status == 1
    assert "a trial would not be for one boot only" in result.row[1]
    assert "boot environment" in result.row[1]
    assert not bench.machine.tree.exists("/boot/nextboot.conf")


def _panicking(bench: KernelLab) -> None:
    """Break the kernel that was built: it panics before it reaches its programs."""
    path = bench.machine.tree.path("/usr/obj/usr/src/sys/CARP/kernel")
    conf = bench.machine.tree.path("/usr/src/sys/amd64/conf/CARP")
    conf.write_text(conf.read_text() + "options PANIC_AT_BOOT\n")
    assert path.exists()
    assert bench.kernel("build").row[0] == "built"


@pytest.mark.parametrize(("release", "filesystem"), [("12.1", "ufs"), ("14.2", "ufs"), ("14.2", "zfs")])
def test_a_kernel_that_panics_boots_the_old_one_by_itself(
    start: Callable[..., KernelLab], release: str, filesystem: str
) -> None:
    bench = start(release)
    bench.machine.disk.filesystem = filesystem  # type: ignore[assignment]  # one of the two it knows
    bench.ready()
    # bsdcarp's own configuration would be written again, so it becomes the operator's.
    record = bench.machine.tree.path("/var/db/bsdcarp/record")
    record.write_text("".join(line for line in record.read_text().splitlines(True) if "conf/CARP" not in line))
    _panicking(bench)
    result = bench.kernel("install")
    assert result.status == 1, result
    assert result.row == ("failed", "it came back with the old kernel /boot/kernel: /boot/kernel.CARP did not come up")
    assert bench.machine.alive
    boots_as_before(bench)


def test_a_host_that_never_returns_boots_the_old_kernel_when_somebody_helps(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    bench.machine.reboot_delay = 3600.0
    result = bench.kernel("install", "--deadline", "4")
    assert result.status == 5, result
    assert "has not come back within 4 s" in result.row[1]
    bench.machine.power_off()
    bench.machine.reboot_delay = 0.1
    # The trial itself, once; then the old kernel.
    bench.machine.boot()
    assert bench.machine.alive
    boots_as_before(bench)


def test_a_host_that_did_not_reboot_does_not_boot_the_new_kernel_later(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    shutdown = bench.machine.tree.path("/.lab/bin/shutdown")
    shutdown.unlink()
    shutdown.write_text("#!/bin/sh\nexit 0\n")
    shutdown.chmod(0o755)
    result = bench.kernel("install", "--deadline", "4")
    assert result.status in (1, 5), result
    assert "has not rebooted" in result.row[1]
    assert not bench.machine.tree.exists("/boot/nextboot.conf")
    boots_as_before(bench)


def test_a_host_that_comes_back_with_another_key_is_refused(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    known = bench.lab.known_hosts
    text = known.read_text()

    def other_key() -> None:
        # What the operator knows is not what answers now.
        lines = [line.split(" ") for line in text.splitlines()]
        for words in lines:
            words[2] = words[2][:-8] + ("AAAAAAAA" if not words[2].endswith("AAAAAAAA") else "BBBBBBBB")
        known.write_text("".join(" ".join(words) + "\n" for words in lines))

    bench.machine.on_down.append(other_key)
    result = bench.kernel("install", "--deadline", "20")
    assert result.status == 5, result
    assert "host key" in result.row[1]
    assert "kernel=" not in (bench.machine.read("/boot/loader.conf") or "")
    known.write_text(text)
    bench.machine.on_down.clear()
    boots_as_before(bench)


def test_a_trial_that_came_up_but_is_worse_does_not_become_the_default(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    # Something in the files that only the next boot brings up.
    bench.machine.on_down.append(
        lambda: bench.machine.tree.write("/etc/sysctl.conf.local", "net.inet.carp.preempt=0\n")
    )
    result = bench.kernel("install")
    assert result.status == 4, result
    assert result.row[0] == "not verified"
    assert "runs for this boot only" in result.row[1]
    bench.machine.on_down.clear()
    boots_as_before(bench)


def test_a_line_that_stops_the_loader_is_told_before_anything_is_installed(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    bench.machine.tree.append("/boot/loader.conf", 'oops="\n')
    result = bench.kernel("install")
    assert result.status == 1
    assert "may stop the loader" in result.row[1]
    assert not list(bench.machine.tree.path("/boot").glob("kernel.*"))


def test_an_unreachable_host_is_told(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.power_off()
    for verb in ("status", "build", "install"):
        assert bench.run("kernel", verb).status == 5
    assert "unreachable" in bench.run("kernel", "status").out
