"""The lab against real FreeBSD: every recorded command is replayed, see docs/lab-fidelity.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fidelity_replay import CSH, Outcome, Replay, load, parse
from fidelity_report import FIGURES, Figures, page
from fidelity_scenarios import ACTS, Act, new_network
from out_of_scope import EXCLUSIONS, exclusion

from bsdcarp.lab.host import Host
from bsdcarp.lab.wire import CommandServer

TRANSCRIPTS = Path(__file__).parent / "transcripts"
PAGE = Path(__file__).parents[2] / "docs" / "lab-fidelity.md"


def replay(act: Act, root: Path) -> list[Outcome]:
    network = new_network()
    machines = act.build(root, network)
    errors: list[tuple[Host, Exception]] = []
    server = CommandServer(machines.values(), failed=lambda machine, error: errors.append((machine, error)))
    server.start()
    try:
        runner = Replay(network, machines, exclusion, act.hooks, act.paces, act.slow, act.to_login)
        outcomes = [each for file in act.files for each in runner.run(file, load(TRANSCRIPTS, file))]
    finally:
        server.stop()
    assert not errors
    return outcomes


@pytest.mark.skipif(CSH is None, reason="the recorded commands were typed into csh, and there is neither csh nor tcsh")
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_lab_prints_what_the_real_system_printed(act: Act, tmp_path: Path) -> None:
    outcomes = replay(act, tmp_path)
    differing = [each for each in outcomes if each.kind == "differs"]
    shown = "\n".join(
        f"{each.file}:{each.step.line} [{each.step.host}] {each.step.command}\n{each.detail}" for each in differing
    )
    assert not differing, shown
    for file in act.files:
        counts = Counter(each.kind for each in outcomes if each.file == file)
        found = Figures(counts["matched"], counts["out of scope"])
        print(f"{file}: {found.matched} of {found.total} steps match, {found.outside} out of scope")  # noqa: T201  # the summary
        assert found == FIGURES[file], f"fidelity_report.py says {FIGURES[file]}, the replay gives {found}"


def test_every_recording_is_replayed_once() -> None:
    files = sorted(f"{path.parent.name}/{path.name}" for path in TRANSCRIPTS.glob("*/*.txt"))
    # What was recorded on Linux is replayed by test_linux_fidelity.py.
    assert sorted(file for act in ACTS for file in act.files) == [file for file in files if file[:7] == "freebsd"]
    assert sorted(FIGURES) == files


def test_every_exclusion_excludes_something_and_says_why() -> None:
    steps = [(file, step) for act in ACTS for file in act.files for step in load(TRANSCRIPTS, file) if step.command]
    used = {reason for file, step in steps if (reason := exclusion(file, step))}
    assert {each.reason for each in EXCLUSIONS} == {reason.removeprefix("skip: ") for reason in used}


def test_nine_in_ten_recorded_commands_match() -> None:
    matched = sum(each.matched for each in FIGURES.values())
    assert matched >= 0.9 * sum(each.total for each in FIGURES.values())


def test_page_on_fidelity_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it with: python tests/lab/write_fidelity_page.py"


def test_recording_is_cut_into_commands_waits_and_remarks() -> None:
    steps = parse(
        "# remark\n[a] # uname\nFreeBSD\n(stderr) oops\nexit=3\n(waited 4 s)\n[outside] $ # seen\nx\nexit=0\n"
    )
    assert [step.remark for step in steps if step.remark] == ["remark"]
    assert [step.waited for step in steps if step.waited] == [4.0]
    uname = steps[1]
    assert (uname.host, uname.command, uname.stdout, uname.stderr, uname.status) == (
        "a",
        "uname",
        ("FreeBSD",),
        ("oops",),
        3,
    )
    assert steps[-1].host == "outside"
    assert steps[-1].console == ("x",)
