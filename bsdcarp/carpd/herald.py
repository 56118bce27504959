"""What the daemon's surroundings hear of it: the log, the service manager, the notify script and `carpd ctl events`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsdcarp.carpd.observer import Change, Observer

if TYPE_CHECKING:
    from bsdcarp.carpd.control import Control
    from bsdcarp.carpd.daemon import Daemon
    from bsdcarp.carpd.hooks import Hooks
    from bsdcarp.carpd.logs import Logger
    from bsdcarp.carpd.loop import Loop, Timer
    from bsdcarp.carpd.notify import Notify

__all__ = ["Herald", "summary"]

_NAMED = 4
_CALM = 0.2


class Herald(Observer):
    """Passes on what happens.  Give it ``daemon`` and ``control`` once they exist."""

    def __init__(self, loop: Loop, logger: Logger, notify: Notify, hooks: Hooks) -> None:
        self._loop = loop
        self._logger = logger
        self._notify = notify
        self._hooks = hooks
        self._status: Timer | None = None
        self.daemon: Daemon | None = None
        self.control: Control | None = None

    def log(self, level: str, text: str) -> None:
        self._logger.write(level, text)

    def changed(self, change: Change) -> None:
        self._publish(
            "state",
            group=change.group,
            vhid=change.vhid,
            interface=change.interface,
            old=change.old.value,
            new=change.new.value,
            reason=change.reason,
            addresses=list(change.addresses),
        )
        if self.daemon:
            self._hooks.changed(self.daemon.config.notify, change)
        if self._status is None:
            # 255 vhids change at once when a link goes down: the service manager gets one line about all of them.
            self._status = self._loop.call_later(_CALM, self._show)

    def demoted(self, amount: int, total: int, reason: str) -> None:
        self._publish("demotion", amount=amount, total=total, reason=reason)

    def ready(self) -> None:
        self._notify.ready(self._summary())

    def reloading(self) -> None:
        self._notify.reloading(self._loop.now())

    def reloaded(self, error: str | None) -> None:
        self._notify.ready(self._summary())
        self._publish("reload", ok=error is None, error=error)

    def stopping(self) -> None:
        self._notify.stopping()
        self._publish("stop")

    def _show(self) -> None:
        self._status = None
        self._notify.status(self._summary())

    def _summary(self) -> str:
        if self.daemon is None:
            return ""
        return summary([(f"{v.config.vhid}@{v.config.interface}", v.state.value) for v in self.daemon.snapshot().vhids])

    def _publish(self, event: str, **details: object) -> None:
        if self.control:
            self.control.publish({"event": event, **details})


def summary(vhids: list[tuple[str, str]]) -> str:
    """Return one line about (label, state) pairs, by name if they are few: "MASTER 1@eth0, BACKUP 2@eth0"."""
    if not vhids:
        return "no vhids"
    if len(vhids) <= _NAMED:
        return ", ".join(f"{state} {label}" for label, state in vhids)
    states = [state for _, state in vhids]
    counts = [f"{states.count(state)} {state}" for state in ("MASTER", "BACKUP", "INIT") if state in states]
    return f"{len(vhids)} vhids: " + ", ".join(counts)
