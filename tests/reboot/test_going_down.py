"""A host on its way down or up may still take a session, and end programs in it one by one: that is no answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import pytest

from bsdcarp.errors import BsdcarpError, RemoteError, SshError
from bsdcarp.fleet import reboot
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.reboot import BootIdentity, Rebooted, reboot_host
from bsdcarp.inventory import load_text, require
from bsdcarp.model import Release
from bsdcarp.snapshot import Snapshot
from reboot.bench import inventory_text

OLD = "@ id \n@ boottime { sec = 1700000000, usec = 42 } Tue Nov 14\n@ now 1700000900\n"
NEW = "@ id \n@ boottime { sec = 1700000950, usec = 7 } Tue Nov 14\n@ now 1700000960\n"
SILENT = "@ id \n@ boottime \n@ now 1700000901\n"
BACK = Snapshot(Release("freebsd", 9, 3), boottime=1700000950)


class Going(Fleet):
    """Both of the fleets that a reboot uses: it says what it is told to, and nothing but the last at last."""

    def __init__(
        self, answers: Iterable[str | BsdcarpError], reads: Iterable[Snapshot | BsdcarpError] = (BACK,)
    ) -> None:
        super().__init__(require(load_text(inventory_text([("freebsd-9.3", "freebsd-9.3")]), "t.yml")))
        self.answers = list(answers)
        self.reads = list(reads)
        self.orders = 0

    def __enter__(self) -> Self:
        return self

    def run(self, name: str, script: bytes, *, timeout: float = 30.0) -> bytes:
        if b"shutdown -r now" in script:
            self.orders += 1
            return b"status 0\n"
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BsdcarpError):
            raise answer
        token = script.partition(b"\n")[0].removeprefix(b"T=").decode()
        return answer.replace("@", token).encode()

    def read(self, name: str, more_files: Iterable[str] = ()) -> Snapshot:
        answer = self.reads.pop(0)
        if isinstance(answer, BsdcarpError):
            raise answer
        return answer


def rebooted(fleet: Going, deadline: float = 20.0) -> Rebooted:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reboot, "Fleet", lambda *_: fleet)
        patch.setattr(reboot, "_PAUSE", 0.01)
        return reboot_host(fleet, "h0a", deadline=deadline)


def test_a_session_in_which_programs_are_killed_is_not_the_end_of_the_reboot() -> None:
    fleet = Going([OLD, OLD, SILENT, "", SshError("refused"), NEW])
    back = rebooted(fleet)
    assert (str(back.before), str(back.after)) == ("1700000000.000042", "1700000950.000007")
    assert fleet.orders == 1


def test_a_look_in_which_programs_are_killed_is_taken_again() -> None:
    reads = (RemoteError("sysctl did not answer"), SshError("the connection was lost"), BACK)
    assert rebooted(Going([OLD, NEW], reads)).snapshot is BACK


def test_what_never_says_its_boot_is_not_back_and_the_last_answer_is_told() -> None:
    with pytest.raises(SshError, match="not come back within 0 s; the last try said: it does not say which boot"):
        rebooted(Going([OLD, SILENT]), deadline=0.2)


def test_what_cannot_say_its_boot_beforehand_is_not_rebooted() -> None:
    fleet = Going([SILENT])
    with pytest.raises(RemoteError, match="which boot"):
        rebooted(fleet)
    assert fleet.orders == 0


def test_half_an_answer_about_process_1_is_not_another_boot() -> None:
    assert not BootIdentity("aa", "17").another_boot(BootIdentity("aa", ""), 1)
