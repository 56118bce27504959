"""Who makes a change final: apply itself over a new connection, the operator in time, or nobody."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bsdcarp.fleet.terms import shortest_window
from bsdcarp.inventory import load, require
from integration.conftest import PAIR, PASSWORD, Bench, soon

pytestmark = pytest.mark.timeout(180)
Start = Callable[[str], Bench]
HOSTS = "ab"


def states(site: Bench) -> list[dict[str, bytes | str]]:
    return [site.state(host) for host in HOSTS]


def token(site: Bench) -> str:
    kept = (site.path.parent / "operator/bsdcarp/pending.json").read_text()
    return str(re.findall(r"[0-9a-f]{32}", kept)[-1])


def test_the_operator_confirms_with_the_token_and_nobody_without_it(bench: Start) -> None:
    site = bench(PAIR)
    before = states(site)
    result = site.run("apply", "--yes", "--confirm", "manual", "--json", status=0)
    assert result.results == {"a": "pending", "b": "pending"}
    waiting = result.document["pending"]
    assert waiting["a"] == waiting["b"], "one apply is one transaction, with one token"
    assert waiting["a"]["window"] == 120
    kept = site.path.parent / "operator/bsdcarp/pending.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert site.transactions("a") == [waiting["a"]["name"]]

    listed = site.run("pending", "--json", status=0).document["hosts"]
    assert {host: entry["pending"] for host, entry in listed.items()} == dict.fromkeys(HOSTS, waiting["a"]["name"])
    again = site.run("apply", "--yes", "--json", status=1)
    assert again.results == {"a": "refused", "b": "refused"}
    assert f"{waiting['a']['name']} waits for `bsdcarp confirm`" in again.detail("a")
    site.rewrite("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.9/24]")
    assert site.run("apply", "--yes", "--json", status=1).results == {"a": "refused", "b": "refused"}
    site.rewrite(", 10.1.0.9/24", "")

    wrong = site.run("confirm", "--token", "0" * 32, "--json", status=1)
    assert "not the token" in wrong.detail("a")
    kept.unlink()
    assert "give it with --token" in site.run("confirm", "--json", status=1).detail("a")
    assert all(site.pending(host) for host in HOSTS)
    assert site.run("confirm", "--host", "a", "--token", waiting["a"]["token"], "--json").results == {"a": "confirmed"}
    assert site.pending("b")
    assert site.run("confirm", "--token", waiting["a"]["token"], "--json", status=0).results == {
        "a": "unchanged",
        "b": "confirmed",
    }
    assert all(site.settled(host) for host in HOSTS)
    assert [site.state(host) != old for host, old in zip(HOSTS, before, strict=True)] == [True, True]
    assert site.run("verify").status == 0


def test_what_nobody_confirms_is_taken_back_and_a_late_confirmation_says_so(bench: Start) -> None:
    site = bench(PAIR)
    before = states(site)
    shown = site.run("apply", "--yes", "--confirm", "manual", "--window", "20", status=0)
    assert f"--token {token(site)}" in shown.out
    for host in HOSTS:
        site.hasten(host)
    assert soon(lambda: not any(site.pending(host) for host in HOSTS))
    assert states(site) == before
    late = site.run("confirm", "--json", status=6)
    assert late.results == {"a": "rolled back", "b": "rolled back"}
    window = shortest_window(require(load(site.path)), HOSTS)
    assert f"nobody confirmed it within {window} s" in late.detail("a"), "20 s were asked for, the floor is more"
    assert site.run("confirm", "--token", "0" * 32).status == 6
    assert site.run("diff").status == 3


def test_rolling_back_what_waits_what_was_confirmed_and_a_rollback(bench: Start) -> None:
    site = bench(PAIR)
    nothing = states(site)
    site.run("apply", "--yes", "--confirm", "manual", "--no-wait", status=0)
    assert site.run("rollback", "--json", status=0).results == {"a": "changed", "b": "changed"}
    assert states(site) == nothing
    assert site.run("confirm").status == 6
    assert site.run("rollback").status == 1, "nothing is left to go back to"

    site.run("apply", "--yes", status=0)
    one = states(site)
    (first,) = (name for name in site.transactions("a")[-1:])
    site.rewrite("preempt: 1", "preempt: 0")
    site.run("apply", "--yes", "--no-wait", status=0)
    two = states(site)
    site.rewrite("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.9/24]")
    site.run("apply", "--yes", status=0)
    three = states(site)

    site.run("rollback", status=0)
    assert states(site) == two
    site.run("rollback", status=0)
    assert states(site) == three, "taking a rollback back"
    site.run("rollback", "--to", first, status=0)
    assert states(site) == nothing
    site.run("rollback", status=0)
    assert states(site) == three
    refused = site.run("rollback", "--to", "tx-20200101-000000-abcdef")
    assert refused.status == 1
    assert "no transaction tx-20200101-000000-abcdef" in refused.err
    assert site.run("rollback", "--host", "a", "--json", status=0).results == {"a": "changed"}
    assert site.state("b") == three[1]
    assert one != two != three


def test_a_host_that_has_nothing_of_the_newest_apply_is_left_alone_by_rollback(bench: Start) -> None:
    site = bench(PAIR)
    site.run("apply", "--yes", status=0)
    whole = states(site)
    site.rewrite("members: [a, b]", "members: [a, {host: b, advskew: 50}]")
    assert site.run("apply", "--yes", "--json", status=0).results == {"a": "unchanged", "b": "changed"}
    assert site.run("rollback", "--json", status=0).results == {"a": "unchanged", "b": "changed"}
    assert states(site) == whole


def test_the_window_is_never_shorter_than_the_elections_and_a_new_connection(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yml"
    path.write_text(PAIR.replace("password: {env: LAB_PASSWORD}", f"advbase: 10, password: {PASSWORD}"))
    assert shortest_window(require(load(path)), ["a"]) == 3 * 10 * 2 + 20


def test_twenty_transactions_are_kept_and_the_oldest_goes(bench: Start) -> None:
    site = bench(PAIR)
    site.run("apply", "--yes", "--no-wait", status=0)
    (first,) = site.transactions("a")
    for number in range(25):
        old = f"tx-20250101-{number:06}-aaaaaa"
        shutil.copytree(site.file("a", f"/var/db/bsdcarp/{first}"), site.file("a", f"/var/db/bsdcarp/{old}"))
    site.rewrite("log: 1", "log: 2")
    site.run("apply", "--yes", "--no-wait")
    kept = site.transactions("a")
    assert len(kept) == 20
    assert kept[0] == "tx-20250101-000007-aaaaaa"
    assert site.transactions("b") == kept[-2:]
