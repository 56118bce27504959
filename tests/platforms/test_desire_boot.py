"""sysctl.conf, loader.conf, the kernel and the record: what is written, what is left alone, what goes again."""

from __future__ import annotations

import pytest
from desired_hosts import (
    KERNCONF,
    LOADER,
    PASSWORD,
    RC,
    RECORD,
    SYSCTL,
    again,
    desired,
    group,
    inventory,
    snapshot,
    texts,
)

from bsdcarp.errors import PlanError
from bsdcarp.model import Secret
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.record import parse_record

LOCAL = "/etc/sysctl.conf.local"
WEB = {"web": group(1, "192.0.2.10/24")}
SHARED = {"web": group(1, "192.0.2.10/24"), "db": group(2, "192.0.2.10/24")}
ALL = "net.inet.carp.allow=1\nnet.inet.carp.preempt=1\nnet.inet.carp.log=1\n"


class TestSysctl:
    def test_a_right_line_stays_foreign_and_outlives_us(self) -> None:
        files = {SYSCTL: "net.inet.carp.preempt=1\nkern.maxfiles=9\n"}
        first = desired("14.2", WEB, files)
        text = texts(first)[SYSCTL] or ""
        assert text.startswith(files[SYSCTL])
        assert text.count("preempt") == 1
        assert texts(again("14.2", {}, files, first))[SYSCTL] == files[SYSCTL]

    def test_sysctl_conf_local_is_read_last_so_what_it_says_is_corrected_there(self) -> None:
        files = {SYSCTL: "", LOCAL: "net.inet.carp.preempt=0\n"}
        first = desired("14.2", WEB, files)
        assert texts(first)[LOCAL] == "net.inet.carp.preempt=1\n"
        assert "preempt" not in (texts(first)[SYSCTL] or "")
        assert texts(again("14.2", WEB, files, first)) == texts(first)
        assert texts(again("14.2", {}, files, first))[LOCAL] == ""

    def test_a_line_that_only_newer_releases_understand_is_rewritten_for_older_ones(self) -> None:
        files = {SYSCTL: "net.inet.carp.preempt = 1\n"}
        assert "net.inet.carp.preempt=1\n" in (texts(desired("9.3", WEB, files))[SYSCTL] or "")
        assert "net.inet.carp.preempt = 1\n" in (texts(desired("12.1", WEB, files))[SYSCTL] or "")

    @pytest.mark.parametrize(
        ("release", "groups", "line"),
        [
            ("7.2", SHARED, "net.inet.carp.arpbalance=1\n"),
            ("9.3", WEB, "net.inet.carp.arpbalance=0\n"),
            ("14.2", WEB, ""),
        ],
    )
    def test_arpbalance_auto(self, release: str, groups: dict, line: str) -> None:  # type: ignore[type-arg]  # test data
        assert texts(desired(release, groups))[SYSCTL] == ALL + line


class TestKernel:
    @pytest.mark.parametrize(
        ("release", "carp", "need", "loader"),
        [
            ("7.2", "absent", "static", None),
            ("7.2", "static", "present", None),
            ("9.3", "absent", "module", 'if_carp_load="YES"\n'),
            ("9.3", "static", "present", None),
            ("12.1", "absent", "module", 'carp_load="YES"\n'),
            ("12.1", "module", "present", 'carp_load="YES"\n'),
            ("12.1", "static", "present", None),
        ],
    )
    def test_need_and_loader_line(self, release: str, carp: str, need: str, loader: str | None) -> None:
        found = desired(release, WEB, {}, carp=carp, sources=True)
        assert found.kernel == need
        assert texts(found).get(LOADER) == loader
        assert (KERNCONF in found.files) == (release == "7.2")

    def test_static_asked_on_a_release_with_a_module(self) -> None:
        wish = {"kernel": {"method": "static"}}
        first = desired("12.1", WEB, {}, carp="module", sources=True)
        asked = again("12.1", WEB, {}, first, host=wish, carp="module", sources=True)
        assert asked.kernel == "static"
        assert texts(asked)[LOADER] == 'carp_load="YES"\n'  # the next boot still needs it
        assert "device\t\tcarp" in (texts(asked)[KERNCONF] or "")
        booted = again("12.1", WEB, texts(asked) | {}, asked, host=wish, carp="static", sources=True)  # type: ignore[arg-type]  # no None there
        assert texts(booted)[LOADER] == ""
        assert booted.kernel == "present"
        gone = again("12.1", {}, {}, booted, host=wish, carp="static", sources=True)
        assert texts(gone)[KERNCONF] is None

    @pytest.mark.parametrize("path", [LOADER, f"{LOADER}.local", "/boot/loader.conf.d/net.conf"])
    def test_a_module_beside_a_static_kernel_would_panic_so_its_line_goes(self, path: str) -> None:
        files = {path: 'a="1"\ncarp_load="YES"\nb="2"\n'}
        assert texts(desired("14.2", WEB, files, carp="static"))[path] == 'a="1"\nb="2"\n'
        assert texts(desired("14.2", {}, files, carp="static")).get(path, files[path]) == files[path]
        off = {path: 'carp_load="NO"\n'}
        assert texts(desired("14.2", WEB, off, carp="static")).get(path, off[path]) == off[path]

    def test_a_foreign_loader_line_stays_in_its_spelling_and_outlives_us(self) -> None:
        files = {LOADER: "carp_load=yes\n"}
        first = desired("14.2", WEB, files, carp="module")
        assert texts(first)[LOADER] == files[LOADER]
        assert texts(again("14.2", {}, files, first, carp="module"))[LOADER] == files[LOADER]
        own = desired("14.2", WEB, {}, carp="module")
        assert texts(again("14.2", {}, {}, own, carp="module"))[LOADER] == ""

    def test_a_foreign_kernel_configuration_only_gets_the_device(self) -> None:
        text = "include GENERIC\nident CARP\noptions ALTQ\n"
        found = desired("7.2", WEB, {KERNCONF: text}, sources=True)
        assert (texts(found)[KERNCONF] or "").startswith(text)
        assert KERNCONF not in found.record.files

    def test_no_kernel_configuration_without_sources(self) -> None:
        assert KERNCONF not in desired("7.2", WEB, {}, sources=False).files

    def test_another_machine_than_the_inventory_says(self) -> None:
        with pytest.raises(PlanError, match="write `arch: amd64`"):
            desired("7.2", WEB, {}, host={"arch": "i386"}, sources=True)


class TestRecord:
    def test_it_is_read_back_as_written_and_holds_no_password(self) -> None:
        found = desired("14.2", {"web": group(1, "192.0.2.10/24", "2001:db8::10/64")}, {RC: ""})
        text = texts(found)[RECORD] or ""
        assert parse_record(text) == found.record
        assert found.record
        assert PASSWORD not in text
        assert found.files[RECORD].mode == 0o600

    def test_a_damaged_record_only_forgets(self) -> None:
        assert not parse_record("vhid em0 x 1\nvhid em0\nnonsense\n\x00\nline a\nfile\n# vhid em0 1 1.2.3.4\n")
        assert parse_record("vhid em0 1 192.0.2.1\ngarbage\n").vhids[0].vhid == 1

    def test_no_record_without_a_host(self) -> None:
        assert RECORD not in desired("14.2", WEB).files


def test_an_inventory_that_is_wrong_about_the_era_is_refused() -> None:
    plan = inventory("9.3", WEB)
    host = snapshot("12.1", {})
    with pytest.raises(PlanError, match="configures CARP differently"):
        desire(plan, plan.hosts["a"], {"web": Secret("x")}, host)
