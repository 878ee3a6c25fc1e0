"""`bstsearch devices`: the stored device profiles, what each of them rests on, and whether a file is one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bstsearch.cli.options import JsonOption, ProfilesOption, complete_device
from bstsearch.cli.output import PIPED_WIDTH, Column, Output
from bstsearch.errors import InputError
from bstsearch.space import FLOAT32

if TYPE_CHECKING:
    from bstsearch.profiles.profile import Cluster, DeviceProfile, LatencyError, MeasuredModel, Rates

SOC_WIDTH = 22  # so that a row fits into 80 columns
COLUMNS = (
    Column("device"),
    Column("SoC", rank=1),
    Column("obtained"),
    Column("error", is_number=True),
    Column("runtime", rank=2),
    Column("threads", is_number=True, rank=3),
)
MEANING = {
    "measured": "measured on that device by bstsearch; other submodels are composed of measured blocks",
    "calibrated": "a model fitted to published latencies of that device; nothing was measured by bstsearch",
    "estimated": "computed from specifications and published latencies of similar devices; nothing was measured",
}

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Device.", autocompletion=complete_device)]


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """A file in a folder of profiles: what is in it, or why that cannot be told."""

    path: Path
    profile: DeviceProfile | None
    problem: str | None


def devices(context: typer.Context, profiles: ProfilesOption = None, is_json: JsonOption = False) -> None:
    """List the stored device profiles, or explain or check one.

    The error says how far a latency may be off. For a measured device, it is the error of submodels composed of
    measured blocks; for the others, it is the error of the predictions.

    \b
    Examples:
      bstsearch devices
      bstsearch devices show pixel7
      bstsearch devices validate my-phone.json
    """
    from bstsearch.profiles.stored import profile_folders, stored_profiles

    if context.invoked_subcommand is not None:
        return
    output = Output(is_json)
    folders = profile_folders(profiles)
    found = [_load(path) for _, path in sorted(stored_profiles(folders).items())]
    for folder in dict.fromkeys(folders):
        if rows := [_row(one) for one in found if one.path.parent == folder]:
            output.table(COLUMNS, rows, title=f"{folder}/")
            output.text()
    for one in found:
        if one.problem:
            output.warning(one.problem)
    output.hint(f"next: bstsearch devices show {found[0].path.stem}" if found else "next: bstsearch profile")
    output.json({"devices": [_listed(one) for one in found]})


def show(name: NameArgument, profiles: ProfilesOption = None, is_json: JsonOption = False) -> None:
    """Explain one device profile.

    Shows its hardware, runtime, error, rates and their sources, and how to measure the real device.

    Example: bstsearch devices show pixel7
    """
    from bstsearch.profiles.profile_file import load_profile
    from bstsearch.profiles.stored import get_profile_file, profile_folders

    output = Output(is_json)
    path = get_profile_file(name, profile_folders(profiles))
    profile = load_profile(path)
    output.text(f"{profile.device}: {profile.hardware.title}, {profile.obtained} {profile.date:%Y-%m-%d}")
    for title, lines in _sections(profile, path):
        output.text()
        output.text(title)
        for line in lines:
            output.text(_wrapped(line, min(output.width, PIPED_WIDTH)))
    output.json({"path": str(path), "profile": profile.to_json()})


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Device profile.")], is_json: JsonOption = False
) -> None:
    """Check that a file is a device profile.

    Prints one line. If the file is not a device profile, the line says what is wrong, and the exit code is 4.

    Example: bstsearch devices validate profiles/my-phone.json
    """
    from bstsearch.profiles.profile_file import load_profile

    output, profile = Output(is_json), load_profile(file)
    output.text(f"valid: {file} is a profile of {profile.device!r}, {profile.obtained} {profile.date:%Y-%m-%d}")
    output.json({"path": str(file), **_some(profile, "device", "obtained", "date")})


def _wrapped(line: str, width: int) -> str:
    """The line in `width` columns, addresses unbroken where they fit."""
    return textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _load(path: Path) -> _Stored:
    from bstsearch.profiles.profile_file import load_profile

    try:
        return _Stored(path=path, profile=load_profile(path), problem=None)
    except InputError as error:
        return _Stored(path=path, profile=None, problem=str(error))


def _row(one: _Stored) -> list[str | None]:
    profile = one.profile
    if profile is None:
        return [one.path.stem, None, "broken", None, None, None]
    soc = (
        profile.hardware.soc
        if len(profile.hardware.soc) <= SOC_WIDTH
        else f"{profile.hardware.soc[: SOC_WIDTH - 3]}..."
    )
    error = f"+-{interval:.0%}" if (interval := _interval(profile)) is not None else None
    return [profile.device, soc, profile.obtained, error, profile.runtime.name, str(profile.runtime.threads)]


def _interval(profile: DeviceProfile) -> float | None:
    """What latencies on the device may be off by; of several measured models, the one that is off most."""
    errors = [profile.error, *(model.error for model in profile.models)]
    return max((error.interval for error in errors if error is not None), default=None)


def _listed(one: _Stored) -> dict[str, Any]:
    profile = one.profile
    known = {} if profile is None else _some(profile, "obtained", "via", "date", "runtime")
    return {
        "device": one.path.stem,
        "path": str(one.path),
        "problem": one.problem,
        "title": profile and profile.hardware.title,
        "soc": profile and profile.hardware.soc,
        **{key: known.get(key) for key in ("obtained", "via", "date", "runtime")},
        "interval": profile and _interval(profile),
    }


def _some(profile: DeviceProfile, *keys: str) -> dict[str, Any]:
    data = profile.to_json()
    return {key: data[key] for key in keys}


# One profile, explained


def _sections(profile: DeviceProfile, path: Path) -> Iterator[tuple[str, list[str]]]:
    runtime = profile.runtime
    cores = f" on {runtime.cores_used}" if runtime.cores_used else ""
    yield "file", [str(path)]
    yield "hardware", _hardware(profile)
    yield "runtime", [f"{runtime.words}, {runtime.provider}, {runtime.precision}, threads: {runtime.threads}{cores}"]
    yield "how it was obtained", [f"{profile.obtained}: {MEANING[profile.obtained]}"]
    if profile.error is not None and profile.rates is not None:
        yield "error", _error(profile.error)
        yield "rates", _rates(profile.rates)
    for model in profile.models:
        words = "" if model.precision == FLOAT32 else f" in {model.precision}"
        yield f"model: {model.family} {model.architecture}{words}", _model(model)
    if profile.notes:
        yield "notes", list(profile.notes)
    if profile.sources:
        yield "sources", [f"{source.what}: {source.where}" for source in profile.sources]
    yield "to measure the real device in its place", [_measure(profile, path)]


def _hardware(profile: DeviceProfile) -> list[str]:
    hardware = profile.hardware
    memory = [] if hardware.memory_bytes is None else [f"{hardware.memory_bytes / 1e9:.1f} GB of memory"]
    if hardware.memory_gb_per_s is not None:
        evidence = f" ({hardware.memory_evidence})" if hardware.memory_evidence else ""
        memory.append(f"memory at {hardware.memory_gb_per_s:g} GB/s{evidence}")
    system = [hardware.system] if hardware.system else []
    lines = [", ".join([hardware.soc, f"{hardware.cores} cores", *memory, *system])]
    return [*lines, *map(_cluster, hardware.clusters)]


def _cluster(cluster: Cluster) -> str:
    return f"{cluster.core}: {cluster.arithmetic} ({cluster.evidence})"


def _error(error: LatencyError) -> list[str]:
    factor = 1 + error.interval
    ranks = (
        [] if error.rank_correlation is None else [f"order of latencies: rank correlation {error.rank_correlation:.3f}"]
    )
    return [
        f"+-{error.interval:.0%}: a latency is shown as ms / {factor:.3g} to ms x {factor:.3g}, so 41 ms as "
        f"{41 / factor:.0f}-{41 * factor:.0f}",
        f"off by {error.median:.1%} (median), {error.p90:.1%} (90th percentile), {error.worst:.1%} at worst",
        f"over {error.computed_on}",
        *ranks,
    ]


def _rates(rates: Rates) -> list[str]:
    return [
        f"ms = 1000 x GFLOPs^{rates.exponent:g} / {rates.gflops_per_s:g} + recurrent MB / {rates.gb_per_s:g}",
        rates.arithmetic,
        f"from models of {rates.smallest_gflops:.2g} to {rates.largest_gflops:.3g} GFLOPs; of smaller or larger ones "
        "they say nothing",
    ]


def _model(model: MeasuredModel) -> list[str]:
    whole, blocks = len(model.submodels), len(model.blocks)
    lines = [f"{whole} whole submodels and {blocks} blocks, {model.date:%Y-%m-%d}, batch {model.batch}"]
    if model.error is None:
        return [*lines, "no error is known: no submodel was kept from the blocks"]
    noise = [] if model.noise is None else [f"the same submodel measured twice differs by {model.noise:.1%} (median)"]
    return [*lines, *_error(model.error), *noise]


def _measure(profile: DeviceProfile, path: Path) -> str:
    from bstsearch.profiles.stored import shipped_folder

    here = "--via local" if path.parent == shipped_folder() else "--measure"
    ways = {None: "--via browser --lan", "local": here, "ssh": "--via ssh --host USER@BOARD"}
    ways["browser"] = ways[None]
    return f"bstsearch profile --device {profile.device} {ways.get(profile.via, f'--via {profile.via}')}"
