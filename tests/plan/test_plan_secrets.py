"""No password in anything that is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_host import PASSWORD, SimulatedHost, group, inventory_of

from bsdcarp.plan import FileChange
from bsdcarp.plan.command import command
from bsdcarp.plan.mask import mask


@pytest.mark.parametrize("release", ["9.3", "14.2"])
def test_neither_diff_nor_command_nor_repr_shows_a_password(tmp_path: Path, release: str) -> None:
    with SimulatedHost(tmp_path, release) as host:
        inventory = inventory_of(release, {"web": group(1, "192.0.2.10/24")})
        first = host.apply(inventory)
        second = host.apply(inventory, "Other" + PASSWORD)
        third = host.plan(inventory_of(release, {}))
        shown = [repr(host.desired(inventory))]
        for plan in (first, second, third):
            shown += [repr(plan), *(str(c.command) for c in plan.live), *(str(u) for c in plan.live for u in c.undo)]
            shown += [line for change in plan.files for line in change.diff()]
        assert not [text for text in shown if PASSWORD in text]
        assert any("pass ********(new)" in line for change in second.files for line in change.diff())
        assert any(PASSWORD in change.command.shell for change in first.live)


@pytest.mark.parametrize(
    "text",
    [
        'ifconfig_em0_alias0="inet vhid 1 pass SECRET alias 192.0.2.1/24"',
        'ifconfig_em0_alias0="inet vhid 1 pass \\"SECRET x\\" alias"',
        "ifconfig_em0_alias0='inet vhid 1 pass SECRET'",
        'ifconfig_em0_alias0="inet vhid 1 pass \\\n  SECRET alias 192.0.2.1/24"',
        'ifconfig_em0_aliases="inet vhid 1 pass\n SECRET 192.0.2.1/24"',
        'wpa_psk="x"\nifconfig_wlan0="wepkey SECRET"',
        'ppp_password="SECRET"',
        "export DB_PASSWD='SECRET'",
        '  "password": "SECRET",',
        '{"password":"SECRET"}',
        '"password": "SECRET\\"SECRET"',
    ],
)
def test_passwords_are_masked_in_every_form(text: str) -> None:
    shown = "\n".join(FileChange("/etc/rc.conf", text + "\n", text + "\n# more\n").diff())
    assert "SECRET" not in shown
    assert "********" in shown
    assert "SECRET" not in mask(text)


def test_a_comment_that_ends_in_pass_hides_nothing_of_the_next_line() -> None:
    text = 'pf_enable="YES"   # let it pass\nhostname="a"\n'
    assert mask(text) == text


def test_a_diff_is_a_unified_diff() -> None:
    before = "".join(f"line {n}\n" for n in range(20))
    after = before.replace("line 9\n", "line nine\nand more\n")
    assert FileChange("/x", before, after).diff() == [
        "--- a/x", "+++ b/x", "@@ -7,7 +7,8 @@", " line 6", " line 7", " line 8", "-line 9", "+line nine", "+and more",
        " line 10", " line 11", " line 12",
    ]  # fmt: skip
    assert FileChange("/x", None, "a\n").diff() == ["--- /dev/null", "+++ b/x", "@@ -0,0 +1 @@", "+a"]
    assert FileChange("/x", "a\n", None).diff() == ["--- a/x", "+++ /dev/null", "@@ -1 +0,0 @@", "-a"]
    assert FileChange("/x", "a", "a\n").diff()[3:] == ["-a", "\\ No newline at end of file", "+a"]
    assert FileChange("/x", None, "").diff() == []
    assert FileChange("/x", "", "\x1b[31m\u2028\x0b\n").diff()[-1] == "+\\e[31m\\u2028\\x0b"
    assert [FileChange("/x", *pair).kind for pair in ((None, ""), ("", None), ("", "a"))] == [
        "create",
        "remove",
        "edit",
    ]


def test_a_command_quotes_what_the_shell_would_take_apart() -> None:
    one = command("ifconfig em0", "a b", "$x")
    assert one.shell == str(one)
    assert "'a b'" in one.shell
