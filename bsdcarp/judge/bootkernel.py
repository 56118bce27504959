"""The first part of the boot: which kernel loader(8) takes, and where carp would come from."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bsdcarp.dataclass import dataclass
from bsdcarp.judge.bootstate import BootCarp
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.rcvalues import Origin, RcValues
from bsdcarp.model import Place
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.snapshot import KernelDirectory, Snapshot
from bsdcarp.textfiles.loaderconf import LoaderConf

__all__ = ["LOADER_CONF", "NEXTBOOT_CONF", "Loader", "boot_carp", "read_loader", "running_directory"]

LOADER_CONF = "/boot/loader.conf"
NEXTBOOT_CONF = "/boot/nextboot.conf"
_BOOTFILE = re.compile(r"(?:/boot/)?(?P<name>[^/]+)/kernel")
_UNIT = re.compile(r"carp\d+")
_DEVICE = re.compile(r"^\s*device\s+carp\s*(#.*)?$", re.MULTILINE)
_STATIC_CURE = "boot a kernel with `device carp`: bsdcarp kernel build, then bsdcarp kernel install"
_MODULES = ("carp", "if_carp")


@dataclass(frozen=True, slots=True)
class Loader:
    """loader.conf and the files beside it, as loader(8) reads them: the last assignment wins."""

    origins: Mapping[str, tuple[Origin, ...]]

    def get(self, name: str) -> str:
        """Return the value of ``name``, empty when it is not set."""
        found = self.origins.get(name)
        return (found[-1].value or "") if found else ""

    def origin(self, name: str) -> Origin:
        found = self.origins.get(name)
        return found[-1] if found else Origin(LOADER_CONF, 0, None)

    def loads(self, module: str) -> bool:
        """Return whether ``MODULE_load`` says yes."""
        return self.get(f"{module}_load").lower() == "yes"


def read_loader(snapshot: Snapshot, can: Capabilities) -> Loader:
    """Read loader.conf, loader.conf.local, then loader.conf.d where the release has it, then nextboot.conf."""
    paths = [LOADER_CONF, f"{LOADER_CONF}.local"]
    if can.loader_conf_d:
        paths += sorted(p for p in snapshot.files if p.startswith(f"{LOADER_CONF}.d/") and p.endswith(".conf"))
    origins = _entries(snapshot, paths)
    nextboot = _entries(snapshot, [NEXTBOOT_CONF])
    # nextboot(8) writes nextboot_enable="YES" and what shall differ for one boot; loader(8) reads it last.
    if Loader(nextboot).get("nextboot_enable").lower() == "yes":
        for name, found in nextboot.items():
            origins[name] = (*origins.get(name, ()), *found)
    return Loader(origins)


def _entries(snapshot: Snapshot, paths: list[str]) -> dict[str, tuple[Origin, ...]]:
    found: dict[str, tuple[Origin, ...]] = {}
    for path in paths:
        if path in snapshot.files:
            for entry in LoaderConf.parse(snapshot.files[path].text).entries:
                found[entry.name] = (*found.get(entry.name, ()), Origin(path, entry.line, entry.value))
    return found


def running_directory(snapshot: Snapshot) -> str:
    """Return the directory below /boot of the running kernel, empty when kern.bootfile does not tell."""
    found = _BOOTFILE.fullmatch(snapshot.bootfile)
    return found["name"] if found else ""


def boot_carp(
    snapshot: Snapshot, can: Capabilities, rc: RcValues, loader: Loader, notes: Notes, *, built_in: bool = False
) -> BootCarp:
    """Decide where the next boot has carp from, and note what is wrong with it.

    With ``built_in`` a kernel with carp in it is what is asked for, and no remedy is to load the module.
    """
    return _Kernel(snapshot, can, rc, loader, notes, built_in=built_in).decide()


class _Kernel:
    """The facts that every step below needs."""

    def __init__(
        self, snapshot: Snapshot, can: Capabilities, rc: RcValues, loader: Loader, notes: Notes, *, built_in: bool
    ) -> None:
        self.built_in = built_in or not can.module
        self.snapshot = snapshot
        self.can = can
        self.rc = rc
        self.loader = loader
        self.notes = notes
        self.chosen = loader.origin("kernel")
        self.name = _directory_name(loader.get("kernel"))

    def decide(self) -> BootCarp:
        directory = self._directory()
        if directory is None:
            return BootCarp("absent", self.name)
        static = self._static(directory)
        self._wrong_names()
        self._malformed()
        source, origin = self._source(directory, static=static)
        if source.source == "absent":
            self._absent(directory, static)
        return BootCarp(source.source, self.name, self._at(origin) if origin else source.place)

    def _at(self, origin: Origin) -> Place:
        return self.notes.place(origin.path, origin.line)

    def _directory(self) -> KernelDirectory | None:
        """Return the directory that will boot; None after noting that it does not exist."""
        if self.chosen.path == NEXTBOOT_CONF:
            self._nextboot()
        found = next((k for k in self.snapshot.kernels if k.name == self.name), None)
        if found is None and self.snapshot.kernels:
            self.notes.error(
                "persist-kernel-missing",
                f"the next boot asks for /boot/{self.name}/kernel, which does not exist",
                f"choose one of {', '.join(k.name for k in self.snapshot.kernels)}",
                self._at(self.chosen),
                fatal=True,
            )
            return None
        return found or KernelDirectory(self.name, self.can.module or "")

    def _nextboot(self) -> None:
        if self.snapshot.boot_on_zfs and not self.can.nextboot_zfs:
            self.notes.warning(
                "persist-nextboot-zfs",
                f"nextboot(8) has chosen /boot/{self.name}, and the loader of this release cannot take that back on "
                "ZFS: should that kernel panic, it is booted again and again",
                "nextboot -D; try it in a boot environment, or with somebody at the console",
                self._at(self.chosen),
            )
        else:
            self.notes.info(
                "persist-nextboot",
                f"nextboot(8) has chosen /boot/{self.name} for the next boot only",
                "nextboot -D takes that back",
                self._at(self.chosen),
            )

    def _static(self, directory: KernelDirectory) -> bool | None:
        """Return whether that kernel has carp compiled in; None when nothing tells."""
        if directory.newer in ("static", "plain"):
            return directory.newer == "static"
        running = running_directory(self.snapshot) or "kernel"
        if self.name == running:
            if directory.newer and self.snapshot.carp == "static":
                self.notes.warning(
                    "persist-kernel-replaced",
                    f"/boot/{self.name}/kernel was installed after this boot, and does not tell whether it has carp as "
                    "the running one has",
                    _STATIC_CURE,
                    self.notes.place(f"/boot/{self.name}/kernel"),
                )
            return self.snapshot.carp == "static"
        for path, state in self.snapshot.files.items():
            ident = path.rpartition("/")[2].lower()
            if "/conf/" in path and _DEVICE.search(state.text) and self.name.lower() in (ident, f"kernel.{ident}"):
                return True
        return None

    def _wrong_names(self) -> None:
        for module in _MODULES:
            if module == self.can.module or not self.loader.loads(module):
                continue
            origin = self.loader.origin(f"{module}_load")
            right = f'{self.can.module}_load="YES"' if self.can.module else "a kernel with `device carp`"
            self.notes.warning(
                "persist-loader-name",
                f"{module}_load does nothing on {self.snapshot.release}: there is no {module}.ko",
                f"this release needs {right}",
                self._at(origin),
            )

    def _malformed(self) -> None:
        """The Forth loader (the only one up to FreeBSD 11) reads nothing behind a line it does not understand."""
        for path in (LOADER_CONF, f"{LOADER_CONF}.local"):
            for line, why in LoaderConf.parse(self.snapshot.text(path)).problems:
                self.notes.warning(
                    "persist-loader-malformed",
                    f"the loader may refuse this line ({why}), and some loaders then ignore what follows it",
                    'write it as name="value"',
                    self.notes.place(path, line),
                )

    def _source(self, directory: KernelDirectory, *, static: bool | None) -> tuple[BootCarp, Origin | None]:
        module = self.can.module
        beside = module is not None and directory.module == module
        load = self.loader.origin(f"{module}_load") if module and self.loader.loads(module) else None
        if static:
            self._static_and(beside, load)
            return BootCarp("static"), None
        if load:
            if beside:
                return BootCarp("loader"), load
            self._no_module_file(load)
        kld = self._kld(beside)
        if kld:
            return BootCarp("kld"), kld
        if self.can.syntax == "pseudo" and beside and any(map(_UNIT.fullmatch, self.rc.words("cloned_interfaces"))):
            # Creating carpN makes ifconfig(8) load if_carp.ko by itself (recorded on 9.3).
            return BootCarp("autoload"), self.rc.origin("cloned_interfaces")
        return BootCarp("absent"), None

    def _static_and(self, beside: bool, load: Origin | None) -> None:
        """A kernel with carp compiled in does not need the module, and may not survive it."""
        if load and beside and self.can.syntax == "vhid":
            self.notes.error(
                "persist-panic",
                f"/boot/{self.name} has carp compiled in and a {self.can.module}.ko beside it; loading that at boot "
                "makes the kernel panic (recorded on FreeBSD 12.1)",
                f"remove {self.can.module}_load from {load.path} before the next reboot",
                self._at(load),
                fatal=True,
            )
        elif load:
            self.notes.info(
                "persist-loader-redundant",
                f"{self.can.module}_load is not needed: /boot/{self.name} has carp compiled in",
                f"remove it, because it becomes dangerous once a {self.can.module}.ko lies beside that kernel",
                self._at(load),
            )

    def _no_module_file(self, load: Origin) -> None:
        where = self._at(load)
        if self.chosen.line and self.chosen.path != NEXTBOOT_CONF:
            where = self._at(self.chosen)
        self.notes.error(
            "persist-module-missing",
            f"{load.path} line {load.line} loads {self.can.module}, but /boot/{self.name} holds no "
            f"{self.can.module}.ko",
            "install the modules that belong to that kernel, or boot another one",
            where,
        )

    def _kld(self, beside: bool) -> Origin | None:
        module = self.can.module
        names = {word.rpartition("/")[2].removesuffix(".ko") for word in self.rc.words("kld_list")}
        asked = names & set(_MODULES)
        for origin in self.rc.unread.get("kld_list", ()):
            self.notes.warning(
                "persist-rc-unread",
                f"kld_list in {origin.path} has no effect: rc.d/kld does not read that file",
                "move it to /etc/rc.conf",
                self._at(origin),
            )
        if not asked:
            return None
        origin = self.rc.origin("kld_list")
        if not self.can.kld_list:
            reason = f"{self.snapshot.release} knows no kld_list"
        elif module not in asked:
            reason = f"there is no {asked.pop()}.ko on {self.snapshot.release}"
        elif not beside:
            reason = f"/boot/{self.name} holds no {module}.ko"
        else:
            return origin
        remedy = self._load_it()
        if not beside and not self.built_in:
            remedy = f"install {module}.ko in /boot/{self.name}, or {_STATIC_CURE}"
        self.notes.error("persist-kld-list", f"kld_list cannot load carp: {reason}", remedy, self._at(origin))
        return None

    def _load_it(self) -> str:
        return _STATIC_CURE if self.built_in else f'write {self.can.module}_load="YES" into {LOADER_CONF}'

    def _absent(self, directory: KernelDirectory, static: bool | None) -> None:
        running = running_directory(self.snapshot)
        where = self._at(self.chosen)
        module = self.can.module
        if directory.newer == "plain" and running == self.name and self.snapshot.carp == "static":
            self.notes.error(
                "persist-kernel-replaced",
                f"/boot/{self.name}/kernel was installed after this boot and has no carp, as the running one has, and "
                "nothing loads it",
                f"put the old one back, or {self._load_it()}",
                self.notes.place(f"/boot/{self.name}/kernel"),
            )
        elif static is None and running and running != self.name:
            self.notes.error(
                "persist-kernel-other",
                f"the next boot takes /boot/{self.name}, not the running /boot/{running}, and nothing loads carp there",
                f'write kernel="{running}" into {LOADER_CONF}' + ("" if self.built_in else ", or load the module"),
                where,
            )
        elif not module:
            self.notes.error(
                "persist-carp-absent",
                f"/boot/{self.name} has no carp, and {self.snapshot.release} has no module for it",
                _STATIC_CURE,
            )
        else:
            why = "it was loaded by hand" if self.snapshot.carp == "module" else "it is not there now either"
            remedy = self._load_it()
            if not directory.module and not self.built_in:
                remedy = f"install {module}.ko in /boot/{self.name}, or {_STATIC_CURE}"
            self.notes.error(
                "persist-carp-absent",
                f"nothing brings carp into the kernel at boot ({why})",
                remedy,
                self.notes.place(LOADER_CONF),
            )


def _directory_name(value: str) -> str:
    """``kernel.CARP``, ``/boot/kernel.CARP`` and ``/boot/kernel.CARP/kernel`` mean the same directory."""
    name = value.removeprefix("/boot/").removesuffix("/kernel").strip("/")
    return name or "kernel"
