"""How `bstsearch profile` reaches a device, and what it does with the measurement."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.cli.output import Output
from bstsearch.errors import InputError, UsageError
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.stored import LOCAL

if TYPE_CHECKING:
    from bstsearch.measuring.driver import Device
    from bstsearch.measuring.drivers.browser.driver import PageOptions
    from bstsearch.measuring.measure import Measurement
    from bstsearch.profiles.profile import DeviceProfile


BOARD_PYTHON = "python3"
# How like a stored name (difflib) a slip is: "pixle7" and "raspberrypi" are, "laptop" is less like "x86-laptop".
SLIP = 0.8
WASM, WEBGPU = "wasm", "webgpu"


class Via(StrEnum):
    """The ways to reach a device."""

    local = "local"
    ssh = "ssh"
    browser = "browser"
    adb = "adb"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Means:
    """What the options say of how to reach the device."""

    via: Via | None = None
    threads: int | None = None
    cores: str | None = None
    host: str | None = None
    python: str = BOARD_PYTHON
    is_lan: bool = False
    ort_web: Path | None = None
    provider: str = WASM
    serial: str | None = None

    def refuse_strays(self) -> None:
        """UsageError where an option is given that the way to the device has no use for."""
        given = {
            "--cores": (self.cores is not None, (None, Via.local, Via.ssh)),
            "--host": (self.host is not None, (Via.ssh,)),
            "--board-python": (self.python != BOARD_PYTHON, (Via.ssh,)),
            "--lan": (self.is_lan, (Via.browser,)),
            "--ort-web": (self.ort_web is not None, (Via.browser, Via.adb)),
            "--webgpu": (self.provider != WASM, (Via.browser, Via.adb)),
            "--serial": (self.serial is not None, (Via.adb,)),
        }
        for option, (is_given, ways) in given.items():
            if is_given and self.via not in ways:
                words = " or ".join(f"--via {way}" for way in ways if way)
                raise UsageError(f"{option} goes with {words}, not with {self.via or 'this machine'}")

    def checked(
        self, device: str, before: DeviceProfile | None, known: Sequence[str], *, is_shipped: bool = False
    ) -> Means:
        """These means with the way filled in; UsageError or InputError where that cannot be what was meant.

        Without --via only `local` is this machine, and a name under which the user has measured it before:
        under any other one its numbers would be taken for that device's. `known` are names to take a slip for.
        """
        via = self.via
        if via is None and before is not None and (before.via != Via.local or is_shipped):
            raise UsageError(
                f"device {device!r} ({before.obtained}, {before.hardware.title}) is not known to be this machine; "
                "say how to reach it with --via ssh, browser or adb (or --via local, if it is)"
            )
        if via is None and before is None and device != LOCAL:
            near = difflib.get_close_matches(device.lower(), known, n=3, cutoff=SLIP)
            question = f"did you mean {', '.join(near)}? " if near else ""
            raise InputError(
                f"no profile of device {device!r}; {question}"
                "to measure it, add --via local if it is this machine, else --via browser, ssh or adb"
            )
        if via is Via.ssh and self.host is None:
            raise UsageError("--via ssh needs --host USER@BOARD")
        return dataclasses.replace(self, via=via or Via.local)

    def open(self, output: Output) -> AbstractContextManager[Device]:
        """The device, reached; it waits for its workload."""
        match self.via:
            case Via.ssh:
                from bstsearch.measuring.drivers.ssh import driver as ssh

                assert self.host is not None
                return ssh.open_device(
                    self.host,
                    threads=self.threads,
                    cores=parse_cores(self.cores),
                    python=self.python,
                    note=output.note,
                )
            case Via.browser:
                from bstsearch.measuring.drivers.browser import driver as browser

                return browser.open_device(note=output.note, is_lan=self.is_lan, **self._page)
            case Via.adb:
                from bstsearch.measuring.drivers import adb

                return adb.open_device(note=output.note, serial=self.serial, **self._page)
            case _:
                from bstsearch.measuring.drivers import local

                return local.open_device(threads=self.threads, cores=parse_cores(self.cores))

    @property
    def _page(self) -> PageOptions:
        return {"ort_web": self.ort_web, "threads": self.threads, "provider": self.provider}


def parse_cores(text: str | None) -> tuple[int, ...]:
    """The core numbers in a list like "0,2"; UsageError where it is none.

    >>> parse_cores("0,2")
    (0, 2)
    """
    if text is None:
        return ()
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"--cores {text!r} is no list of core numbers; write it like 0,1")
    return tuple(map(int, parts))


def measure_device(
    folder: SupernetFolder, device: str, profiles: Path | None, means: Means, output: Output, *, is_strict: bool = False
) -> Path:
    """Measures the device, writes its profile, and returns the profile's path.

    With `is_strict` a device that is not at rest is refused.
    """
    from bstsearch.measuring.assemble import assemble
    from bstsearch.measuring.machine import OthersLoad
    from bstsearch.measuring.measure import measure
    from bstsearch.profiles.profile_file import load_profile, save_profile
    from bstsearch.profiles.stored import home_folder

    home, via = home_folder(profiles), means.via or Via.local
    if via is Via.local:
        _look_around(device, means, output, is_strict=is_strict)
    with output.progress("building graphs") as bar:
        found = measure(
            folder,
            lambda: means.open(output),
            partial=home / f".{device}.partial",
            remedy="Close other programs on the device, let it cool, and run the same command again",
            is_strict=is_strict,
            others=OthersLoad if via is Via.local else None,
            progress=bar.report,
        )
    notes = _load_notes(found)
    path = home / f"{device}.json"
    before = load_profile(path) if path.exists() else None
    return save_profile(assemble(device, via.value, found, notes, before), home)


def profile_this_machine(folder: SupernetFolder, profiles: Path | None, output: Output) -> bool:
    """Measures this machine as device `local` where no profile of it holds this model; returns whether it had to."""
    from bstsearch.profiles.profile_file import load_profile
    from bstsearch.profiles.stored import profile_folders, stored_profiles

    stored = stored_profiles(profile_folders(profiles))
    before = load_profile(stored[LOCAL]) if LOCAL in stored else None
    if before is not None and _holds(before, folder):
        output.note(f"device: {LOCAL}, read from {stored[LOCAL]}; --device changes it")
        return False
    means = Means().checked(LOCAL, before, list(stored))
    output.note(f"no device has been profiled here: this machine is measured first, as {LOCAL}; --device takes another")
    path = measure_device(folder, LOCAL, profiles, means, output)
    made = load_profile(path)
    for note in (*made.notes, *made.find_model(folder.architecture, folder.family).warnings):
        output.warning(note)
    output.note(f"written to {path}; 'bstsearch profile' shows it")
    return True


def _holds(profile: DeviceProfile, folder: SupernetFolder) -> bool:
    """Whether the profile tells the latencies of this model: as measured, or of any model from rates."""
    wanted = (folder.architecture, folder.family)
    return not profile.models or wanted in {(model.architecture, model.family) for model in profile.models}


def _look_around(device: str, means: Means, output: Output, *, is_strict: bool) -> None:
    """Says what is measured; with `is_strict` returns once this machine is at rest."""
    from bstsearch.measuring.machine import all_cores, available_cores, cpu_name, quota_note
    from bstsearch.measuring.quiet import wait_until_quiet

    threads = means.threads or len(parse_cores(means.cores)) or available_cores()
    output.note(f"measuring this machine as device {device!r}: {cpu_name()}, threads: {threads}")
    if note := quota_note(threads):
        output.note(note)
    if is_strict:
        wait_until_quiet(threads=min(threads, all_cores()), cores=all_cores(), note=output.note)


def _load_notes(found: Measurement) -> tuple[str, ...]:
    """What the computer's load meanwhile gives cause to say."""
    from bstsearch.measuring.advice import find_load_warnings

    load = found.model.load
    others = load.other_cores if load else None
    return find_load_warnings(threads=found.runtime.threads, cores=found.hardware.cores, others=others or 0.0)
