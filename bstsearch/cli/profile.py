"""`bstsearch profile`: this machine's latencies and memory, measured once and shown ever after."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch.cli.options import DeviceOption, JsonOption, ProfilesOption, SupernetOption
from bstsearch.cli.output import Column, Output
from bstsearch.folder import DEMO, SupernetFolder, read_folder

if TYPE_CHECKING:
    from bstsearch.devices.profile import DeviceProfile


def profile(
    device: DeviceOption = "local",
    supernet: SupernetOption = DEMO,
    profiles: ProfilesOption = None,
    has_to_measure: Annotated[bool, typer.Option("--measure", help="Measure, even if a profile is stored.")] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads of ONNX Runtime; default: the physical cores it may use."),
    ] = None,
    is_json: JsonOption = False,
) -> None:
    """Measure every submodel on this machine, or show a stored profile.

    A profile holds each submodel's latency and memory, whatever its weights. Profiles are looked for in
    --profiles, $BSTSEARCH_PROFILES, ./profiles, and those shipped with bstsearch; a new one goes to the
    first of these that is given, else to ./profiles.

    Example: bstsearch profile --device laptop --threads 2
    """
    from bstsearch.devices.profile import check_name, load_profile, profile_folders, stored_profiles

    output, folder = Output(is_json), read_folder(supernet)
    check_name(device)
    stored = None if has_to_measure else stored_profiles(profile_folders(profiles)).get(device)
    path = stored or _measure(folder, device, profiles, threads, output)
    loaded = load_profile(path)
    loaded.require_model(folder.architecture, folder.family)
    _show(loaded, output)
    for warning in (*loaded.warnings, *_mismatches(loaded, folder, threads)):
        output.warning(warning)
    output.note(f"read from {path}; --measure measures it anew" if stored else f"written to {path}")
    output.hint(f"next: {_next_command(device, supernet, profiles)}")
    output.json({"path": str(path), "is_new": stored is None, "profile": loaded.model_dump(mode="json")})


def _measure(folder: SupernetFolder, device: str, profiles: Path | None, threads: int | None, output: Output) -> Path:
    from bstsearch.devices.machine import available_cores, cpu_name
    from bstsearch.devices.onnxruntime_cpu import measure
    from bstsearch.devices.profile import home_folder

    home, threads = home_folder(profiles), threads or available_cores()
    output.note(f"measuring this machine as device {device!r}: {cpu_name()}, threads: {threads}")
    with output.progress("Building graphs") as bar:
        return measure(folder, device, threads=threads, progress=bar.report).save(home)


def _show(shown: DeviceProfile, output: Output) -> None:
    columns = [
        Column("id"),
        Column("latency\nmedian", "ms", is_number=True),
        Column("p90", "ms", is_number=True),
        Column("spread", "%", is_number=True),
        Column("file", "MB", is_number=True),
        Column("peak\nmemory", "MB", is_number=True),
    ]
    rows = [
        [
            row.id,
            f"{row.latency_ms:.3f}",
            f"{row.p90_ms:.3f}",
            f"{100 * row.spread:.1f}",
            f"{row.file_bytes / 1e6:.2f}",
            f"{row.peak_memory_bytes / 1e6:.1f}",
        ]
        for row in shown.rows
    ]
    runtime, machine = shown.runtime, shown.machine
    output.text(f"{shown.device}: {shown.obtained} {shown.date:%Y-%m-%d} on {machine.cpu}, {machine.cores} cores")
    output.text(
        f"{runtime.name} {runtime.version}, threads: {runtime.threads}, {runtime.precision}, batch: {shown.model.batch}"
    )
    output.table(columns, rows)
    if shown.error:
        output.note(
            f"submodels without a row are estimated; such estimates were off by {shown.error.latency.median:.0%} "
            f"(median), {shown.error.latency.worst:.0%} at worst"
        )


def _mismatches(shown: DeviceProfile, folder: SupernetFolder, threads: int | None) -> list[str]:
    """Where the stored profile is not quite what was asked for."""
    found = []
    if threads not in (None, shown.runtime.threads):
        found.append(f"the profile is for --threads {shown.runtime.threads}; add --measure to measure {threads}")
    grid = {submodel.id for submodel in folder.space.grid()}
    if missing := sorted(grid - {row.id for row in shown.rows}):
        found.append(
            f"the profile has no row for {len(missing)} of this supernet's {len(grid)} submodels, such as "
            f"{missing[0]}; they will be estimated, unless you add --measure"
        )
    return found


def _next_command(device: str, supernet: Path, profiles: Path | None) -> str:
    words = ["bstsearch", "pareto", "--device", device]
    if supernet != DEMO:
        words += ["--supernet", str(supernet)]
    if profiles:
        words += ["--profiles", str(profiles)]
    return shlex.join(words)
