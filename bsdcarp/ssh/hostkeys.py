"""Is this the host it claims to be?  The decision about a host key, and which key types to ask the host for."""

from __future__ import annotations

from collections.abc import Iterable

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SshError
from bsdcarp.shellwords import quote
from bsdcarp.ssh.knownhosts import KnownKey, append, fingerprint, host_name, known_keys
from bsdcarp.ssh.target import SshTarget

__all__ = ["Acquaintance", "acquaintance"]

_REVOKED = "@revoked"
_AUTHORITY = "@cert-authority"


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What known_hosts says about one target before it is asked for its key."""

    target: SshTarget
    name: str
    """The name the target is looked up by."""
    lines: tuple[KnownKey, ...]
    """Lines about that name."""
    portless: tuple[KnownKey, ...]
    """Lines about the name without its port, which OpenSSH falls back to for a port other than 22."""

    @property
    def key_types(self) -> tuple[str, ...]:
        """Types of the keys known for the target, in the order of the files: to be asked for first."""
        plain = _plain(self.lines) or _plain(self.portless)
        return tuple(dict.fromkeys(key.key_type for key in plain))

    def check(self, key_type: str, blob: bytes) -> None:
        """Accept the key the target presents, writing it down if it is new and new keys are welcome.

        Raises ``SshError`` for a key that is revoked, changed or unknown.
        """
        place, shown = self.target.name, fingerprint(blob)
        for key in (*self.lines, *self.portless):
            if key.marker == _REVOKED and key.blob == blob:
                raise SshError(
                    f"the host presents a revoked {key_type} key, {shown} ({key.place})",
                    place=place,
                    remedy="do not use this host until its key has been replaced",
                )
        known = _plain(self.lines)
        if any(key.blob == blob for key in known):
            return
        if known:
            raise self._changed(known, key_type, shown)
        if any(key.blob == blob for key in _plain(self.portless)):
            return
        self._meet(key_type, blob, shown)

    def _changed(self, known: Iterable[KnownKey], key_type: str, shown: str) -> SshError:
        same = [key for key in known if key.key_type == key_type]
        old = same[0] if same else next(iter(known))
        what = "has CHANGED" if same else "is of another type than the known one"
        file = old.place.rpartition(":")[0]
        return SshError(
            f"the host key {what}: known is {old.key_type} {fingerprint(old.blob)} ({old.place}), "
            f"presented is {key_type} {shown}",
            place=self.target.name,
            remedy="somebody may be in between; if the host was reinstalled, "
            f"ssh-keygen -R {quote(self.name)} -f {quote(file)} forgets the old key",
        )

    def _meet(self, key_type: str, blob: bytes, shown: str) -> None:
        target = self.target
        if any(key.marker == _AUTHORITY for key in self.lines):
            authority = next(key for key in self.lines if key.marker == _AUTHORITY)
            raise SshError(
                f"host certificates (@cert-authority, {authority.place}) are not supported, "
                f"and the {key_type} key {shown} itself is not known",
                place=target.name,
                remedy=f"compare the fingerprint and add the host's own key to known_hosts under {self.name}",
            )
        if target.strict == "yes":
            raise SshError(
                f"the {key_type} host key {shown} of {self.name} is not known",
                place=target.name,
                remedy="compare it with what 'ssh-keygen -lf' says of the key there, then use --accept-new",
            )
        if target.new_keys_file is None:
            raise SshError(
                "there is no file to write the new host key to",
                place=target.name,
                remedy="UserKnownHostsFile is 'none'; name a file",
            )
        append(target.new_keys_file, self.name, key_type, blob)


def acquaintance(target: SshTarget) -> Acquaintance:
    """Look ``target`` up in its known_hosts files.  Raises ``SshError`` if one cannot be read."""
    if target.host_key_alias is not None:
        name = target.host_key_alias.lower()
        return Acquaintance(target, name, known_keys(target.known_hosts_files, name), ())
    name = host_name(target.hostname, target.port)
    bare = host_name(target.hostname, 22)
    lines = known_keys(target.known_hosts_files, name)
    return Acquaintance(target, name, lines, known_keys(target.known_hosts_files, bare) if bare != name else ())


def _plain(keys: Iterable[KnownKey]) -> tuple[KnownKey, ...]:
    return tuple(key for key in keys if not key.marker)
