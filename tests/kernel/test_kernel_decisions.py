"""What is decided about kernels, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.errors import PlanError, RemoteError, UsageError
from bsdcarp.kernels import (
    Build,
    InstalledKernel,
    KernelFacts,
    NextBoot,
    Place,
    choose_method,
    decide,
    default_plan,
    look_script,
    module_plan,
    parse_facts,
    progress_of,
    read_report,
    rooted,
)
from bsdcarp.kernels.decide import new_directory
from bsdcarp.kernels.default import file_plan
from bsdcarp.kernels.kernconf import kernconf_text
from bsdcarp.model import Host, KernelWish
from bsdcarp.platforms.capabilities import capabilities, parse_release
from bsdcarp.snapshot import FileState, Snapshot
from bsdcarp.textfiles import LoaderConf

HOST = Host("a", "10.0.0.1", kernel=KernelWish())
DONE = Build(state="done", stamp="1 2")
RUNS = NextBoot("kernel", "absent")


def snapshot(release: str = "12.1", carp: str = "absent", **files: str) -> Snapshot:
    return Snapshot(
        release=parse_release(f"freebsd-{release}"),
        machine="amd64",
        bootfile="/boot/kernel/kernel",
        carp=carp,  # type: ignore[arg-type]  # one of its three words
        files=MappingProxyType(
            {path.replace("__", "/").replace("_dot_", "."): FileState(t) for path, t in files.items()}
        ),
    )


def with_files(texts: dict[str, str], release: str = "12.1", carp: str = "absent") -> Snapshot:
    return replace(snapshot(release, carp), files=MappingProxyType({p: FileState(t) for p, t in texts.items()}))


@pytest.mark.parametrize(
    ("release", "wish", "name"),
    [
        ("5.4", "auto", "static"),
        ("8.1", "auto", "static"),
        ("8.2", "auto", "module"),
        ("9.3", "auto", "module"),
        ("12.1", "auto", "module"),
        ("12.1", "module", "module"),
        ("12.1", "static", "static"),
    ],
)
def test_the_method_follows_the_release_and_the_wish(release: str, wish: str, name: str) -> None:
    host = replace(HOST, kernel=KernelWish(method=wish))  # type: ignore[arg-type]  # one of its three words
    found = parse_release(f"freebsd-{release}")
    method = choose_method(host, found, capabilities(found), wanted=True)
    assert method.name == name
    assert method.why
    assert choose_method(host, found, capabilities(found), wanted=False).name == "none"
    linux = parse_release("debian-12")
    assert choose_method(host, linux, capabilities(linux), wanted=True).name == "none"


def step(facts: KernelFacts, boot: NextBoot = RUNS, *, carp: str = "absent", wish: str = "static") -> str:
    host = replace(HOST, kernel=KernelWish(method=wish))  # type: ignore[arg-type]  # one of its three words
    look = snapshot(carp=carp)
    can = capabilities(look.release)
    return decide(choose_method(host, look.release, can, wanted=True), look, facts, can, boot).step


def test_the_next_step_follows_the_facts() -> None:
    sources = KernelFacts(sources="12.1", stamp="1 2")
    assert step(KernelFacts()) == "refuse"
    assert step(sources) == "build"
    assert step(replace(sources, sources="14.2")) == "refuse"
    assert step(replace(sources, build=DONE)) == "install"
    assert step(replace(sources, build=replace(DONE, stamp="3 4"))) == "build"
    for state in ("failed", "interrupted", "running"):
        assert step(replace(sources, build=Build(state=state))) == "build"
    assert step(sources, carp="static") == "nothing"
    assert step(sources, NextBoot("kernel.old", "absent"), carp="static") == "default"
    assert step(sources, NextBoot("kernel", "static", panics=True), carp="static") == "default"
    assert step(sources, NextBoot("kernel.old", "absent"), carp="static", wish="auto") == "module"


def test_a_module_is_not_loaded_into_a_kernel_that_has_it_compiled_in() -> None:
    generic = KernelFacts(kernels=(InstalledKernel("kernel", static=False, module="carp"),))
    compiled = KernelFacts(kernels=(InstalledKernel("kernel", static=True, module="carp"),))
    bare = KernelFacts(kernels=(InstalledKernel("kernel", static=False),))
    assert step(generic, wish="module") == "module"
    assert step(compiled, wish="module") == "refuse"
    assert step(compiled, carp="module", wish="module") == "nothing"
    assert step(bare, wish="module") == "refuse"
    assert step(generic, NextBoot("kernel", "loader"), carp="module", wish="module") == "nothing"
    assert step(generic, NextBoot("kernel", "kld"), carp="module", wish="module") == "module"


@given(
    st.sampled_from(["kernel", "kernel.CARP", "kernel.CARP-2", "GENERIC"]), st.sampled_from(["kernel", "kernel.CARP"])
)
def test_a_new_kernel_never_goes_where_one_runs_or_boots(running: str, default: str) -> None:
    look = replace(snapshot(), bootfile=f"/boot/{running}/kernel")
    assert new_directory("CARP", look, NextBoot(default, "absent")) not in (running, default)


def test_a_trial_that_was_never_booted_is_begun_anew_in_its_place() -> None:
    look = replace(snapshot(), bootfile="/boot/kernel/kernel")
    assert new_directory("CARP", look, NextBoot("kernel.CARP", "static", once=True)) == "kernel.CARP"
    tried = replace(look, bootfile="/boot/kernel.CARP/kernel")
    assert new_directory("CARP", tried, NextBoot("kernel.CARP", "static", once=True)) == "kernel.CARP-2"


_LINES = st.lists(
    st.sampled_from(
        [
            'carp_load="YES"',
            'carp_load="yes"',
            'carp_load="NO"',
            'if_carp_load="YES"',
            'kernel="kernel"',
            'kernel="x"',
            "# no",
            "",
        ]
    ),
    max_size=6,
)


@given(_LINES, _LINES, _LINES)
def test_a_default_never_keeps_what_loads_the_module(main: list[str], local: list[str], more: list[str]) -> None:
    texts = {"/boot/loader.conf": main, "/boot/loader.conf.local": local, "/boot/loader.conf.d/x.conf": more}
    before = with_files({path: "".join(f"{line}\n" for line in lines) for path, lines in texts.items()}, "14.2")
    plan = default_plan("a", before, "kernel.CARP", capabilities(before.release))
    after = {path: state.text for path, state in before.files.items()}
    after |= {change.path: change.after for change in plan.files if isinstance(change.after, str)}
    values: dict[str, str] = {}
    for path in texts:
        for entry in LoaderConf.parse(after[path]).entries:
            values[entry.name] = entry.value
            assert not (entry.name in ("carp_load", "if_carp_load") and entry.value.upper() == "YES")
    assert values["kernel"] == "kernel.CARP"
    # loader.conf, which may name the new kernel, is the last of them.
    paths = [change.path for change in plan.files if change.path.startswith("/boot/loader.conf")]
    assert "/boot/loader.conf" not in paths[:-1]
    again = with_files(after, "14.2")
    assert not default_plan("a", again, "kernel.CARP", capabilities(again.release))


def test_a_default_forgets_what_it_takes_away() -> None:
    record = "line /boot/loader.conf carp_load\nline /etc/sysctl.conf net.inet.carp.log\n"
    look = with_files({"/boot/loader.conf": 'carp_load="YES"\n', "/var/db/bsdcarp/record": record})
    plan = default_plan("a", look, "kernel.CARP", capabilities(look.release))
    after = {change.path: str(change.after) for change in plan.files}
    assert "carp_load" not in after["/var/db/bsdcarp/record"]
    assert "net.inet.carp.log" in after["/var/db/bsdcarp/record"]


def test_a_module_goes_where_it_is_switched_off() -> None:
    texts = {"/boot/loader.conf": 'carp_load="YES"\n', "/boot/loader.conf.local": 'carp_load="NO"\n'}
    look = with_files(texts)
    plan = module_plan("a", look, capabilities(look.release))
    assert [c.path for c in plan.files] == ["/boot/loader.conf.local", "/var/db/bsdcarp/record"]
    assert [str(c.command) for c in plan.live] == ["kldload carp"]
    assert not module_plan("a", replace(look, securelevel=1), capabilities(look.release)).live
    pseudo = with_files({}, "9.3")
    assert module_plan("a", pseudo, capabilities(pseudo.release)).live[0].undo == ()
    broken = with_files({"/boot/loader.conf": "oops\n"})
    with pytest.raises(PlanError, match="line 1 may stop the loader"):
        module_plan("a", broken, capabilities(broken.release))


def test_the_operator_s_own_configuration_only_gets_the_device() -> None:
    path = "/usr/src/sys/amd64/conf/CARP"
    can = capabilities(parse_release("freebsd-12.1"))
    own = with_files({path: "include GENERIC\nident MINE\n"})
    assert kernconf_text(HOST, can, own) == "include GENERIC\nident MINE\ndevice\t\tcarp\n"
    ours = with_files({path: "old\n", "/var/db/bsdcarp/record": f"file {path}\n"})
    assert kernconf_text(HOST, can, ours) == kernconf_text(HOST, can)
    plan = file_plan("a", own, path, "new\n")
    assert [change.path for change in plan.files] == [path]
    assert not file_plan("a", with_files({path: "new\n"}), path, "new\n")


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (Build(), "begun"),
        (Build("running", seconds=10, lines=50, expected=100), "50%, about 10 s left"),
        (
            Build("running", seconds=600, lines=100, expected=400, stage="stage 3.1"),
            "stage 3.1, 25%, about 30 min left",
        ),
        (Build("running", seconds=60, modules=30, all_modules=60), "50%, about 60 s left"),
        (Build("running", seconds=60, lines=1, expected=1000), "0%"),
        (Build("running", seconds=60, lines=500, expected=100), "99%, about 1 s left"),
        (Build("done", lines=3), "100%"),
    ],
)
def test_progress_is_worked_out_from_the_log(build: Build, text: str) -> None:
    assert str(progress_of(build)) == text


@given(st.binary(max_size=400))
def test_any_answer_is_read_or_refused(noise: bytes) -> None:
    with pytest.raises(RemoteError):
        parse_facts(noise.replace(b"end", b""), "T", host="a")
    assert read_report(noise, "T").reason is not None


@given(st.lists(st.tuples(st.sampled_from(
    ["kernel", "boot", "obj", "cpus", "build", "lines", "modules", "seconds", "stage", "log", "sources", "stamp"]
), st.text(max_size=20).filter(lambda text: "\n" not in text)), max_size=8))  # fmt: skip
def test_odd_facts_never_raise(lines: list[tuple[str, str]]) -> None:
    answer = "".join(f"\nT {word} {rest}\n" for word, rest in lines) + "\nT end \n"
    facts = parse_facts(answer.encode("utf-8", "surrogateescape"), "T", host="a")
    assert facts.cpus >= 1
    assert facts.build.seconds >= 0


def test_reports_say_who_holds_a_lock() -> None:
    assert (
        read_report(b"\nT locked alive joe@x\n", "T").reason
        == "held by joe@x, who is still at work: wait, it ends by itself"
    )
    assert "--steal-lock" in read_report(b"\nT locked gone \n", "T").reason
    assert "bsdcarp confirm" in read_report(b"\nT pending tx-1\n", "T").reason
    assert "run it again" in read_report(b"\nT begin \n", "T").reason
    assert read_report(b"\nT log \none\ntwo\n\nT failed why\n", "T").log == ("one", "two")


def test_scripts_quote_what_they_are_told() -> None:
    script = look_script(Place("CA$RP", "amd64", "/mnt/a b"), token="T").decode()
    assert "IDENT='CA$RP'" in script
    assert "TARGET='/mnt/a b'" in script
    assert rooted(b"x", "/mnt/a b").startswith(b"BSDCARP_ROOT=\"${BSDCARP_ROOT-}\"'/mnt/a b'\n")
    assert rooted(b"x", "") == b"x"
    for bad in ("mnt", "/", "//", "/a\nb"):
        with pytest.raises(UsageError):
            Place("CARP", "amd64", bad)
