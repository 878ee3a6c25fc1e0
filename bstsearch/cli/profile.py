"""`bstsearch profile`: a device's latencies and memory, shown where they are stored, measured where they are not."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bstsearch import doors
from bstsearch.cli.options import (
    DeviceOption,
    FamilyOption,
    JsonOption,
    PrecisionOption,
    ProfilesOption,
    SpaceOption,
    SupernetOption,
)
from bstsearch.cli.output import Column, Output
from bstsearch.cli.remembered import Memory
from bstsearch.errors import UsageError
from bstsearch.model.phase import PHASES, WHOLE, parse_phases
from bstsearch.model.supernet_folder import DEMO, SupernetFolder, read_folder
from bstsearch.profiles.stored import LOCAL
from bstsearch.reading import read_json, shown
from bstsearch.space_names import TRAINED, parse_precisions

if TYPE_CHECKING:
    from bstsearch.measuring.run import Profiled
    from bstsearch.model.phase import Phase
    from bstsearch.profiles.profile import DeviceProfile, MeasuredModel


def _complete_driver(incomplete: str) -> list[str]:
    """The names of the drivers that start with `incomplete`."""
    return [name for name in doors.names("driver") if name.startswith(incomplete)]


def profile(
    device: DeviceOption = LOCAL,
    supernet: SupernetOption = DEMO,
    space: SpaceOption = TRAINED,
    precision: PrecisionOption = None,
    phase: Annotated[
        str | None,
        typer.Option(
            "--phase",
            metavar="NAME[,NAME...]",
            help=f"Of a model that writes text, which parts of its work: {', '.join(PHASES)}.",
            show_default=WHOLE,
        ),
    ] = None,
    profiles: ProfilesOption = None,
    has_to_measure: Annotated[bool, typer.Option("--measure", help="Measure, even if a profile is stored.")] = False,
    via: Annotated[
        str | None,
        typer.Option(
            "--via",
            metavar="DRIVER",
            help="How to reach the device to measure: local, ssh, browser, adb, or a driver of your own, FILE.py:NAME; "
            "implies --measure.",
            autocompletion=_complete_driver,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads of the runtime; default: the physical cores it may use."),
    ] = None,
    cores: Annotated[
        str | None, typer.Option(metavar="LIST", help="local, ssh: run on these cores only, as in 0,1.")
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="USER@BOARD", help="ssh: the board, as ssh knows it.")] = None,
    board_python: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="ssh: the Python that has onnxruntime.", show_default="python3"),
    ] = None,
    is_lan: Annotated[bool, typer.Option("--lan", help="browser: let phones in this network open the page.")] = False,
    ort_web: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="browser, adb: folder of onnxruntime-web, used instead of its CDN."),
    ] = None,
    is_webgpu: Annotated[
        bool, typer.Option("--webgpu", help="browser, adb: run on the GPU, where there is WebGPU.")
    ] = False,
    serial: Annotated[
        str | None, typer.Option(metavar="ID", help="adb: serial number of the phone, if there are several.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of a driver of your own. May be given again."),
    ] = None,
    is_strict: Annotated[
        bool, typer.Option("--strict", help="Fail if the device is not at rest, instead of giving wider intervals.")
    ] = False,
    _family: FamilyOption = None,
    is_json: JsonOption = False,
) -> None:
    """Measure a device, or show what is stored of it.

    A profile holds latencies and memory for a model's shapes; its weights do not matter. With --space only submodels of
    that part are measured, and replace what the profile holds of this model. Each --precision and each
    --phase is measured by itself; what the profile holds of others stays. Profiles are looked for in --profiles,
    $BSTSEARCH_PROFILES, ./profiles, and those shipped with bstsearch. A new one goes to --profiles, else to
    $BSTSEARCH_PROFILES, else to ./profiles.
    'bstsearch devices' lists them. Later commands in this folder use this device and its options, unless you name
    others.

    \b
    Examples:
      bstsearch profile
      bstsearch profile --precision float32,int8 --measure
      bstsearch profile --supernet runs/gpt2 --phase whole,prefill,decode
      bstsearch profile --device pixel7
      bstsearch profile --device my-laptop --via local --threads 2
      bstsearch profile --device raspberrypi4 --via ssh --host pi@raspberrypi.local
      bstsearch profile --device my-phone --via browser --lan
      bstsearch profile --device my-box --via box.py:Box --option port=4242
    """
    from bstsearch.measuring.run import profile_device

    output, folder = Output(is_json), read_folder(supernet).part(space, parse_precisions(precision))
    phases = parse_phases(phase)
    words = [*_data_words(folder), *([] if space == TRAINED else ["--space", space])]  # first: it may be refused
    words += [] if precision is None else ["--precision", precision]
    options = {"threads": threads, "cores": cores, "host": host, "board_python": board_python, "ort_web": ort_web}
    options |= {"lan": is_lan or None, "webgpu": is_webgpu or None, "serial": serial, **_pairs(option or ())}
    with output.listening("profile") as listener:
        found = profile_device(
            folder,
            device,
            profiles,
            phases=phases,
            via=via,
            options=options,
            is_measured_anew=has_to_measure,
            is_strict=is_strict,
            listener=listener,
        )
    _show(found.profile, folder, phases, output)
    _say(found, folder, threads, phases, output)
    _hint(found.profile, None if supernet == DEMO else supernet, words, profiles, output)
    output.json({"path": str(found.path), "is_new": found.is_new, "profile": found.profile.to_json()})


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as name and value; UsageError where one is not of that form."""
    pairs = [text.partition("=") for text in texts]
    for text, (name, sign, _) in zip(texts, pairs, strict=True):
        if not (name and sign):
            raise UsageError(f"--option {shown(text)} is not of the form NAME=VALUE; write it like port=4242")
    return {name: value for name, _, value in pairs}


def _say(found: Profiled, folder: SupernetFolder, threads: int | None, phases: Sequence[Phase], output: Output) -> None:
    from bstsearch.measuring.run import mismatches, warnings_of

    shown = found.profile
    beside = warnings_of(shown, folder, phases) or _extrapolations(shown, folder)
    for line in (*beside, *([] if found.is_new else mismatches(shown, folder, threads, phases))):
        output.warning(line)
    output.note(f"written to {found.path}" if found.is_new else f"read from {found.path}")


def _hint(
    shown: DeviceProfile, supernet: Path | None, further: Sequence[str], profiles: Path | None, output: Output
) -> None:
    """What to type next; the folder remembers this device from now on."""
    is_remembered = Memory(output).keep_profiled(shown.device, profiles, supernet)
    words = _words(shown.device, supernet, profiles)
    if not shown.models:
        output.note(
            f"to measure the real one: {shlex.join(['bstsearch', 'profile', *words, '--via', 'browser', '--lan'])}"
        )
    output.hint(f"next: {shlex.join(['bstsearch', 'pareto', *([] if is_remembered else words), *further])}")


def _show(shown: DeviceProfile, folder: SupernetFolder, phases: Sequence[Phase], output: Output) -> None:
    from bstsearch.measuring.run import measured_models

    runtime, hardware = shown.runtime, shown.hardware
    output.text(f"{shown.device}: {shown.obtained} {shown.date:%Y-%m-%d}, {hardware.title}, {hardware.cores} cores")
    where = f" on {runtime.cores_used}" if runtime.cores_used else ""
    precisions = ", ".join(reversed(folder.space.precisions))
    output.text(f"{runtime.words}, threads: {runtime.threads}{where}, {precisions}, batch: 1")
    if not shown.models:
        _show_predicted(shown, folder, output)
        return
    for model in measured_models(shown, folder, phases):
        if model.phase != WHOLE:
            output.text(_phase_words(model))
        _show_measured(model, folder, output)


def _show_measured(model: MeasuredModel, folder: SupernetFolder, output: Output) -> None:
    from bstsearch.report.table import digits

    columns = [
        Column("id"),
        Column("latency\nquiet", "ms", is_number=True),
        Column("95 %\ninterval", "ms", is_number=True, rank=1),
        Column("latency\nas seen", "ms", is_number=True, rank=2),
        Column("p90", "ms", is_number=True, rank=3),
        Column("weights", "MB", is_number=True, rank=4),
        Column("peak\nmemory", "MB", is_number=True),
    ]
    grid = {submodel.at(model.precision).id for submodel in folder.space.grid()}
    rows = [
        [
            row.id,
            digits(row.latency_ms),
            f"{digits(row.low_ms)}-{digits(row.high_ms)}",
            digits(row.seen_ms) if row.seen_ms else None,
            digits(row.p90_ms),
            f"{row.weight_bytes / 1e6:.2f}",
            f"{row.peak_memory_bytes / 1e6:.1f}" if row.peak_memory_bytes else None,
        ]
        for row in model.submodels
        if row.id in grid
    ]
    output.table(columns, rows)
    output.text(_certainty(model))
    if model.error:
        output.note(
            f"other submodels are composed of {len(model.blocks)} blocks; on {model.error.rows} measured ones that the "
            f"blocks had not seen such sums were off by {model.error.median:.1%} (median), {model.error.p90:.1%} (90th "
            f"percentile), {model.error.worst:.1%} at worst; the same submodel measured twice: {model.noise:.1%}"
        )


def _phase_words(model: MeasuredModel) -> str:
    """Which part of the work was measured, of a text of how many tokens."""
    tokens = max(model.inputs[name][1] for name in ("input_ids", "attention_mask") if name in model.inputs)
    if model.phase == "prefill":
        return f"prefill: a text of {tokens} tokens is read, up to the logits of the next one"
    return f"decode: token {tokens} of a text, whose first {tokens - 1} have been read"


def _certainty(model: MeasuredModel) -> str:
    """How well the latencies are known, and what else the device did, in one line."""
    known = f"nine of ten latencies known to +-{model.uncertainty:.1%} or better"
    parts = [f"grade {model.grade}: {known}" if model.grade else known, f"{model.schedule.rounds} rounds"]
    if model.load and model.load.other_cores is not None:
        parts.append(f"other programs kept {model.load.other_cores:.1f} cores busy")
    if model.load and model.load.preempted is not None:
        parts.append(f"{model.load.preempted:.0%} of runs interrupted")
    return "; ".join(parts)


def _show_predicted(shown: DeviceProfile, folder: SupernetFolder, output: Output) -> None:
    from bstsearch.profiles.latency import range_text
    from bstsearch.searching.pricing import make_table

    table = make_table(folder, shown)
    columns = [Column("id"), Column("latency", "ms", is_number=True), Column("peak\nmemory", "MB", is_number=True)]
    rows = [
        [one.id, f"{range_text(table.latency(one))} {shown.obtained}", f">{table.memory(one).bytes / 1e6:.1f}"]
        for one in folder.space.grid()
    ]
    output.table(columns, rows)
    if shown.error:
        output.note(
            f"{shown.obtained}, not measured: of {shown.error.rows} published latencies that the rates had not seen "
            f"half were within {shown.error.median:.0%}, nine of ten within {shown.error.p90:.0%}; "
            f"'bstsearch devices show {shown.device}' tells where they come from"
        )


def _extrapolations(shown: DeviceProfile, folder: SupernetFolder) -> list[str]:
    """Where rates are used for models unlike those that they come from."""
    from bstsearch.searching.pricing import extrapolations, known_costs

    if shown.models:
        return []
    costs, ends = known_costs(folder), (folder.space.smallest, folder.space.largest)
    return extrapolations(folder, shown, {submodel: costs.cost(submodel).gflops for submodel in ends})


def _words(device: str, supernet: Path | None, profiles: Path | None) -> list[str]:
    """The options that lead other commands to this profile, where it is not remembered."""
    given = {"--device": device, "--supernet": supernet, "--profiles": profiles}
    return [word for option, value in given.items() if value for word in (option, str(value))]


def _data_words(folder: SupernetFolder) -> list[str]:
    """The option that scoring needs where the model's data set comes with no package."""
    from bstsearch.tasks import FILE, ON_DISK

    own, words = (folder.path / name for name in (FILE, "vocabulary.json"))
    if own.exists() and isinstance(typed := read_json(own).get("from"), str):
        return ["--data", typed]
    is_on_disk = any(
        path.exists() and read_json(path).get(key) in ON_DISK for path, key in ((own, "name"), (words, "data"))
    )
    return ["--data-dir", "DIR"] if is_on_disk else []
