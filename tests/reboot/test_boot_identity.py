"""Another boot, or merely another answer?"""

from __future__ import annotations

import pytest

from bsdcarp.errors import RemoteError
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.reboot import BootIdentity, read_identity
from bsdcarp.inventory import load_text, require
from reboot.bench import inventory_text

DAY = 86400.0


@pytest.mark.parametrize(
    ("before", "after", "elapsed", "another"),
    [
        pytest.param(BootIdentity("aa"), BootIdentity("bb"), 60, True, id="another id"),
        pytest.param(BootIdentity("aa"), BootIdentity("aa"), 60, False, id="same id"),
        pytest.param(BootIdentity("aa", "17"), BootIdentity("aa", "99"), 9, True, id="container of the same kernel"),
        pytest.param(BootIdentity("aa", "", "1.0", 9), BootIdentity("aa", "", "8.0", 1), 9, False, id="id counts"),
        pytest.param(BootIdentity("", "", "5.1", DAY), BootIdentity("", "", "5.1", DAY), 1, False, id="same boottime"),
        pytest.param(BootIdentity("", "", "5.1", DAY), BootIdentity("", "", "95.1", 20), 90, True, id="boottime moved"),
        pytest.param(
            BootIdentity("", "", "5.1", DAY), BootIdentity("", "", "3605.1", DAY + 91), 90, False, id="clock was set"
        ),
        pytest.param(BootIdentity("", "", "5.1", 2), BootIdentity("", "", "8.1", 3), 3, True, id="just up before"),
    ],
)
def test_a_boot_is_told_from_a_clock_that_was_set(
    before: BootIdentity, after: BootIdentity, elapsed: float, another: bool
) -> None:
    assert before.another_boot(after, elapsed) is another


class Saying(Fleet):
    """A fleet of one answer."""

    def __init__(self, answer: str) -> None:
        super().__init__(require(load_text(inventory_text([("freebsd-14.2", "debian-12")]), "t.yml")))
        self.answer = answer

    def run(self, name: str, script: bytes, *, timeout: float = 30.0) -> bytes:
        token = script.partition(b"\n")[0].removeprefix(b"T=").decode()
        return self.answer.replace("@", token).encode()


def test_freebsd_says_boottime_and_the_newer_one_a_boot_id() -> None:
    said = "motd\n@ id 0011aabb\n@ boottime { sec = 1700000000, usec = 42 } Tue Nov 14\n@ now 1700000100\n"
    assert read_identity(Saying(said), "h0a") == BootIdentity("0011aabb", "", "1700000000.000042", 100.0)
    old = read_identity(Saying(said.replace("0011aabb", "")), "h0a")
    assert str(old) == "1700000000.000042"


def test_linux_says_its_boot_id_and_when_process_1_began() -> None:
    assert read_identity(Saying("@ id 7c-1\n@ start 215\n@ now 9\n"), "h0b") == BootIdentity("7c-1", "215")


def test_a_host_that_cannot_say_which_boot_it_is_is_refused() -> None:
    with pytest.raises(RemoteError, match="which boot"):
        read_identity(Saying("@ id \n@ boottime \n@ now 9\n"), "h0a")
