"""A measurement as a device profile: a row for each submodel, the model that they make, and the profile around it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import bstsearch
from bstsearch.graphs.live_set import largest_live_set
from bstsearch.measuring import selection
from bstsearch.measuring.advice import find_warnings
from bstsearch.measuring.driver import Workload
from bstsearch.measuring.estimator import Timing, grade
from bstsearch.measuring.fitting import fit_blocks, fit_memory
from bstsearch.measuring.selection import Role
from bstsearch.measuring.workload import BATCH, input_shapes
from bstsearch.model.lookup import restored
from bstsearch.model.phase import WHOLE, Phase
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.profile import (
    FORMAT,
    MEASURED,
    ActivationRow,
    DeviceProfile,
    Hardware,
    Load,
    MeasuredModel,
    MeasuredRow,
    Runtime,
    Schedule,
    Units,
)
from bstsearch.profiles.robust import count_outliers, median, p90, spread
from bstsearch.space import Space, Submodel


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a measurement found: the device, its runtime, and one model's rows."""

    hardware: Hardware
    runtime: Runtime
    model: MeasuredModel


def assemble(
    device: str, via: str, measurement: Measurement, notes: Sequence[str], before: DeviceProfile | None
) -> DeviceProfile:
    """The profile of `device` with this measurement.

    Models that `before` holds stay, where they were measured in the same way on the same hardware and runtime.
    """
    kept = before.models if before and _is_alike(before, via, measurement) else ()
    others = tuple(model for model in kept if model.key != measurement.model.key)
    return DeviceProfile(
        format=FORMAT,
        device=device,
        hardware=measurement.hardware,
        runtime=measurement.runtime,
        obtained=MEASURED,
        via=via,
        date=measurement.model.date,
        bstsearch=bstsearch.__version__,
        units=Units(latency="ms", memory="bytes"),
        sources=(),
        notes=tuple(notes),
        error=None,
        rates=None,
        models=(*others, measurement.model),
    )


def _is_alike(before: DeviceProfile, via: str, measurement: Measurement) -> bool:
    now = via, measurement.hardware, measurement.runtime
    return (before.via, before.hardware, before.runtime) == now


def model_of(
    folder: SupernetFolder,
    roles: Mapping[Submodel, Role],
    workload: Workload,
    timings: Mapping[str, Timing],
    load: Load,
    peaks: Mapping[str, int],
    seed: int,
    phase: Phase = WHOLE,
) -> MeasuredModel:
    """What was measured of a `phase` of the model in `folder`: its rows, and what is fitted to them."""
    shapes = input_shapes(workload)
    rows = tuple(
        _row(submodel, role, workload, timings[submodel.id], shapes, peaks) for submodel, role in roles.items()
    )
    stacks = _stacks(folder)
    space = selection.measured_space(folder.space, is_layerwise=any(row.role == selection.CHECK for row in rows))
    blocks, error = fit_blocks(rows, stacks, space)
    return MeasuredModel(
        family=folder.family,
        architecture=folder.architecture,
        precision=folder.space.precisions[-1],
        phase=phase,
        date=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        batch=BATCH,
        inputs=shapes,
        stacks=stacks,
        schedule=Schedule(rounds=min(len(timing.visits) for timing in timings.values()), seed=seed),
        load=load,
        grade=grade(timings),
        noise=median([timing.noise for timing in timings.values()]),
        error=error,
        memory=fit_memory(rows),
        warnings=find_warnings(timings),
        blocks=blocks,
        activations=_activations(space, rows),
        submodels=rows,
    )


def _stacks(folder: SupernetFolder) -> dict[str, int]:
    family, config = restored(folder.family, folder.config)
    return {stack.prefix: len(stack.keep_order) for stack in family.stacks(config)}


def _row(
    submodel: Submodel,
    role: Role,
    workload: Workload,
    timing: Timing,
    shapes: Mapping[str, tuple[int, ...]],
    peaks: Mapping[str, int],
) -> MeasuredRow:
    graph, times_ms = workload.graphs[submodel.id], timing.times_ms
    cpu_ms, switches = ([getattr(run, name) for run in timing.runs] for name in ("cpu_ms", "switches"))
    return MeasuredRow(
        id=submodel.id,
        role=role,
        latency_ms=timing.latency_ms,
        low_ms=timing.low_ms,
        high_ms=timing.high_ms,
        seen_ms=timing.seen_ms,
        p90_ms=p90(times_ms),
        spread=spread(times_ms),
        outliers=count_outliers(times_ms),
        visits=len(timing.visits),
        times_ms=tuple(times_ms),
        cpu_ms=None if None in cpu_ms else tuple(cpu_ms),
        switches=None if None in switches else tuple(switches),
        weight_bytes=graph.weight_bytes,
        activation_bytes=largest_live_set(graph.path, shapes),
        peak_memory_bytes=peaks.get(submodel.id),
    )


def _activations(space: Space, rows: Sequence[MeasuredRow]) -> tuple[ActivationRow, ...]:
    """The largest live set for each width, share and number of tokens, where such a submodel was measured."""
    measured = {row.id: row.activation_bytes for row in rows}
    found = []
    for (width, share, tokens), submodel in selection.uniform(space).items():
        if (size := measured.get(submodel.id)) is not None:
            text = None if tokens == 1 else str(tokens)
            found.append(ActivationRow(width=str(width), share=str(share), activation_bytes=size, tokens=text))
    return tuple(found)
