"""`bstsearch.profile`: what is known of a device, read where it is stored, measured where it is not (no torch)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.measuring.reach import check_meant, check_stray_options, get_driver, make_driver
from bstsearch.model.phase import WHOLE, Phase
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.profiles.profile import DeviceProfile, MeasuredModel
from bstsearch.profiles.profile_file import load_profile, save_profile
from bstsearch.profiles.stored import (
    LOCAL,
    check_name,
    home_folder,
    profile_folders,
    shipped_folder,
    stored_profiles,
)
from bstsearch.space import FLOAT32, Precision
from bstsearch.space_names import TRAINED
from bstsearch.writing import as_path

if TYPE_CHECKING:
    from bstsearch.measuring.assemble import Measurement
    from bstsearch.measuring.driver import Driver


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profiled:
    """A device's profile, its file, and whether that was measured just now."""

    profile: DeviceProfile
    path: Path
    is_new: bool


def profile(
    device: str = LOCAL,
    supernet: Path | str = DEMO,
    *,
    precisions: Sequence[Precision] = (),
    phases: Sequence[Phase] = (WHOLE,),
    profiles: Path | str | None = None,
    via: str | None = None,
    is_measured_anew: bool = False,
    is_strict: bool = False,
    listener: Listener = SILENT,
    **options: object,
) -> DeviceProfile:
    """What is known of `device` for the model in the folder `supernet`: read where stored, else measured and stored.

    `via` names the driver that reaches the device to measure it, or its file, FILE.py:NAME; `options` are that
    driver's, such as threads=2, or of "ssh" host="pi@raspberrypi.local". With `is_strict` a device that is not at rest
    is refused. `profiles` is a folder to look into first, to which a new profile goes. Each of the `precisions`,
    by default float32 only, is measured by itself; so is each of the `phases` of a model that writes text.

    Raises:
        UsageError: the options do not fit the driver, or which device is meant is not clear.
        InputError: there is no such supernet, or a stored profile is broken, or of another model.
        DeviceError: the device cannot be reached, or fails.
        NoisyMeasurementError: the times say nothing.
    """
    return profile_device(
        read_folder(Path(supernet)).part(TRAINED, precisions),
        device,
        as_path(profiles),
        phases=phases,
        via=via,
        options=options,
        is_measured_anew=is_measured_anew,
        is_strict=is_strict,
        listener=listener,
    ).profile


def profile_device(
    folder: SupernetFolder,
    device: str,
    profiles: Path | None,
    *,
    phases: Sequence[Phase] = (WHOLE,),
    via: str | None = None,
    options: Mapping[str, object] | None = None,
    is_measured_anew: bool = False,
    is_strict: bool = False,
    listener: Listener = SILENT,
) -> Profiled:
    """As `profile`, with the file."""
    check_name(device)
    given = {name: value for name, value in (options or {}).items() if value is not None}
    stored = stored_profiles(profile_folders(profiles))
    path, is_new = stored.get(device), via is not None or is_measured_anew or device not in stored
    if via is None:
        check_stray_options(given)
    if is_new or given:
        driver = make_driver(get_driver(via or LOCAL), given)
    if is_new:
        before = load_profile(path) if path else None
        if via is None:
            check_meant(device, before, list(stored), is_shipped=path is not None and path.parent == shipped_folder())
        for precision, phase in itertools.product(reversed(folder.space.precisions), phases):
            part = folder.part(TRAINED, [precision])
            path = measure_device(part, device, profiles, driver, phase=phase, is_strict=is_strict, listener=listener)
    assert path is not None
    found = load_profile(path)
    if found.models:
        measured_models(found, folder, phases)  # or InputError
    return Profiled(profile=found, path=path, is_new=is_new)


def profile_this_machine(folder: SupernetFolder, profiles: Path | None, listener: Listener = SILENT) -> bool:
    """Measures this machine as device `local` where no profile of it holds this model; returns whether it had to."""
    stored = stored_profiles(profile_folders(profiles))
    before = load_profile(stored[LOCAL]) if LOCAL in stored else None
    if before is not None and _holds(before, folder):
        listener.note(f"device: {LOCAL}, read from {stored[LOCAL]}; --device changes it")
        return False
    listener.note(
        f"no device has been profiled here: this machine is measured first, as {LOCAL}; --device takes another"
    )
    made = profile_device(folder, LOCAL, profiles, is_measured_anew=True, listener=listener)
    for line in warnings_of(made.profile, folder):
        listener.warning(line)
    listener.note(f"written to {made.path}; 'bstsearch profile' shows it")
    return True


def measure_device(
    folder: SupernetFolder,
    device: str,
    profiles: Path | None,
    driver: Driver,
    *,
    phase: Phase = WHOLE,
    is_strict: bool = False,
    listener: Listener = SILENT,
) -> Path:
    """Measures the device at a `phase` of the model's work, writes its profile, and returns the profile's path.

    What can be refused is refused before: the folder, and a file of that name that is no profile.
    """
    from bstsearch.measuring.assemble import assemble
    from bstsearch.measuring.machine import OthersLoad
    from bstsearch.measuring.measure import measure

    home = home_folder(profiles)
    path, journal = home / f"{device}.json", home / f".{device}.partial"
    with holding(path, "--profiles"):
        before = load_profile(path) if path.exists() else None
        threads = driver.threads_here()
        if threads is not None:
            others = [word for word in (folder.space.precisions[-1], phase) if word not in (FLOAT32, WHOLE)]
            _look_around(device, threads, others, is_strict=is_strict, listener=listener)
        listener.progress("building graphs")
        found = measure(
            folder,
            lambda: driver.open(device, listener.note),
            journal=journal,
            phase=phase,
            remedy="Close other programs on the device, let it cool, and run the same command again",
            is_strict=is_strict,
            others=OthersLoad if threads is not None else None,
            progress=listener.progress,
        )
        saved = save_profile(assemble(device, driver.name, found, _load_notes(found), before), home)
        journal.unlink(missing_ok=True)  # not before: who is killed in between would measure everything again
    return saved


def warnings_of(known: DeviceProfile, folder: SupernetFolder, phases: Sequence[Phase] = (WHOLE,)) -> list[str]:
    """What a measured profile says of itself that whoever uses its numbers must know."""
    if not known.models:
        return []
    return [*known.notes, *(line for model in measured_models(known, folder, phases) for line in model.warnings)]


def mismatches(
    known: DeviceProfile, folder: SupernetFolder, threads: int | None, phases: Sequence[Phase] = (WHOLE,)
) -> list[str]:
    """Where a stored profile is not quite what was asked for."""
    found = []
    if threads not in (None, known.runtime.threads):
        found.append(f"the profile is for --threads {known.runtime.threads}; add --measure to measure {threads}")
    if known.models:
        models = measured_models(known, folder, phases)
        rows = {(model.phase, row.id) for model in models for row in model.submodels}
        grid = {(model.phase, one.at(model.precision).id) for one in folder.space.grid() for model in models}
        if missing := sorted(grid - rows):
            found.append(
                f"the profile has no row for {len(missing)} of this supernet's {len(grid)} submodels, such as "
                f"{missing[0][1]}; add --measure"
            )
    return found


def measured_models(
    known: DeviceProfile, folder: SupernetFolder, phases: Sequence[Phase] = (WHOLE,)
) -> list[MeasuredModel]:
    """What was measured of the model in each precision of its space at each phase; InputError where one lacks."""
    wanted = (folder.architecture, folder.family)
    parts = itertools.product(reversed(folder.space.precisions), phases)
    return [known.get_model(*wanted, precision, phase) for precision, phase in parts]


def _holds(known: DeviceProfile, folder: SupernetFolder) -> bool:
    """Whether the profile tells the latencies of this model: as measured, or of any model from rates."""
    wanted = (folder.architecture, folder.family)
    return not known.models or wanted in {
        (model.architecture, model.family) for model in known.models if model.phase == WHOLE
    }


def _look_around(device: str, threads: int, others: Sequence[str], *, is_strict: bool, listener: Listener) -> None:
    """Says what is measured, `others` being an unusual precision and phase.

    With `is_strict` it returns once this machine is at rest.
    """
    from bstsearch.measuring.machine import all_cores, cpu_name, quota_note
    from bstsearch.measuring.quiet import wait_until_quiet

    words = ", ".join((f"threads: {threads}", *others))
    listener.note(f"measuring this machine as device {device!r}: {cpu_name()}, {words}")
    if note := quota_note(threads):
        listener.note(note)
    if is_strict:
        wait_until_quiet(threads=min(threads, all_cores()), cores=all_cores(), note=listener.note)


def _load_notes(found: Measurement) -> tuple[str, ...]:
    """What is to be said of the computer's load during the measurement."""
    from bstsearch.measuring.advice import find_load_warnings

    load = found.model.load
    others = load.other_cores if load else None
    return find_load_warnings(threads=found.runtime.threads, cores=found.hardware.cores, others=others or 0.0)
