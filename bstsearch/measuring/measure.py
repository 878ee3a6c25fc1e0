"""A device measured with one architecture: whole submodels timed in rounds, and blocks fitted to them.

Whole models, not blocks: a block measured alone finds its caches warm and reads up to a fifth too fast.
"""

from __future__ import annotations

import datetime
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bstsearch.errors import InputError, NoisyMeasurementError
from bstsearch.graphs.live_set import largest_live_set
from bstsearch.measuring import rounds, selection
from bstsearch.measuring.advice import find_warnings
from bstsearch.measuring.blocks import fit_blocks
from bstsearch.measuring.driver import Device, Driver, OpenDevice, Workload
from bstsearch.measuring.estimator import Rounds, Timing, grade, preempted_share
from bstsearch.measuring.journal import Partial
from bstsearch.measuring.memory_fit import fit_memory
from bstsearch.measuring.quiet import Load as Others
from bstsearch.measuring.quiet import refuse_nothing, refuse_restless
from bstsearch.measuring.runner import POOL, write_pool
from bstsearch.measuring.selection import Role
from bstsearch.measuring.workload import BATCH, input_shapes, make_workload, write_complete
from bstsearch.model.family import restored
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.profile import ActivationRow, Hardware, Load, MeasuredModel, MeasuredRow, Runtime, Schedule
from bstsearch.profiles.robust import count_outliers, median, p90, spread
from bstsearch.space import Submodel

# Graphs that are open at once hold at most this many bytes of weights: what the smallest phone has to spare.
OPEN_BYTES = 256_000_000
# Up to this many bytes the whole grid's peak memory is measured, beyond it the smallest, middle and largest one's.
PEAK_BYTES = 500_000_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a measurement found: the device, its runtime, and one model's rows."""

    hardware: Hardware
    runtime: Runtime
    model: MeasuredModel


def measure(
    folder: SupernetFolder,
    open_device: OpenDevice,
    *,
    partial: Path,
    remedy: str,
    is_strict: bool = False,
    others: Callable[[], Others] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Measurement:
    """The measurement of the supernet in `folder` on the device that `open_device` reaches.

    Rounds are kept in the file `partial` as they come, and an interrupted measurement goes on from there. `others`
    begins to look at what else the device does. NoisyMeasurementError, with `remedy`, where the times say nothing, or
    with `is_strict` are not those of a device at rest; DeviceError where the device fails.
    """
    roles = selection.choose(folder.space, is_layerwise=_is_layerwise(folder), seed=seed)
    listeners = [progress] if progress else []
    steps = _Steps(listeners, graphs=len(roles))
    with open_device() as device, tempfile.TemporaryDirectory(prefix="bstsearch-") as scratch:
        workload = make_workload(folder, list(roles), Path(scratch), on_graph=lambda: steps.graph(device))
        with device.take(workload) as driver:
            listeners.append(driver.report)
            store = Partial(path=partial, origin=_origin(folder, driver, seed))
            looking = others() if others else None
            timings = _time(workload, driver, store, seed, steps, is_strict=is_strict)
            load = Load(other_cores=looking.cores() if looking else None, preempted=preempted_share(timings))
            _refuse(timings, store, remedy, is_strict=is_strict)
            peaks = _peaks(folder, workload, driver, Path(scratch))
            hardware, runtime = driver.hardware, driver.runtime
        model = _model(folder, roles, workload, timings, load, peaks, seed)
    store.remove()
    return Measurement(hardware=hardware, runtime=runtime, model=model)


class _Steps:
    """Tells whoever listens of graphs that are built and of rounds that are timed."""

    def __init__(self, listeners: Sequence[Progress], *, graphs: int) -> None:
        self._listeners, self._graphs, self._done = listeners, graphs, 0

    def graph(self, device: Device) -> None:
        self._done += 1
        device.prepare(self._done, self._graphs)
        self._report("building graphs", self._done, self._graphs)

    def round(self, known: Rounds) -> None:
        done = sum(map(len, known.values())) // len(known)
        if done <= rounds.ROUNDS:
            self._report("timing in rounds", done, rounds.ROUNDS)
        else:
            planned = -(-done // rounds.TURN) * rounds.TURN
            self._report("timing in more rounds, for narrower intervals", done, planned)

    def _report(self, text: str, done: int, total: int) -> None:
        for listener in self._listeners:
            listener(text, done, total)


def _is_layerwise(folder: SupernetFolder) -> bool:
    """Whether layers of this family may choose their own heads and FFN units, all in whole numbers."""
    family, config = restored(folder.family, folder.config)
    try:
        family.check(config, folder.space.layerwise)
    except InputError:
        return False
    return True


def _origin(folder: SupernetFolder, driver: Driver, seed: int) -> dict[str, Any]:
    """What an interrupted measurement must have in common with this one to be gone on with."""
    device = {"hardware": driver.hardware.model_dump(mode="json"), "runtime": driver.runtime.model_dump(mode="json")}
    return {"architecture": folder.architecture, "space": folder.space.to_json(), "seed": seed, **device}


def _time(
    workload: Workload, driver: Driver, store: Partial, seed: int, steps: _Steps, *, is_strict: bool
) -> dict[str, Timing]:
    def keep(known: Rounds, _share: float) -> None:
        store.add(known)
        steps.round(known)

    return rounds.time_in_rounds(
        list(_groups(workload, seed)),
        driver.time,
        open_group=driver.open,
        known=store.load(is_strict=is_strict),
        seed=seed,
        on_round=keep,
    )


def _refuse(timings: Mapping[str, Timing], store: Partial, remedy: str, *, is_strict: bool) -> None:
    """Passes where the times serve; else NoisyMeasurementError, and their rounds are kept for a less strict judge."""
    refuse_nothing(timings, remedy=remedy)
    if is_strict:
        try:
            refuse_restless(timings, remedy=remedy)
        except NoisyMeasurementError:
            store.mark_refused()
            raise


def _groups(workload: Workload, seed: int) -> Iterator[list[str]]:
    """Graphs that fit in memory together, drawn at random: drift from group to group must not look like size."""
    names, group, size = list(workload.graphs), list[str](), 0
    random.Random(seed).shuffle(names)
    for name in names:
        weight_bytes = workload.graphs[name].weight_bytes
        if group and size + weight_bytes > OPEN_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += weight_bytes
    yield group


def _peaks(folder: SupernetFolder, workload: Workload, driver: Driver, scratch: Path) -> dict[str, int]:
    """Submodel id -> measured peak memory, of some submodels; none where the device cannot tell."""
    space, graphs = folder.space, workload.graphs
    submodels = list(space.grid())
    if sum(graphs[submodel.id].weight_bytes for submodel in submodels) > PEAK_BYTES:
        submodels = [space.smallest, space.middle, space.largest]
    if not (scratch / POOL).exists():  # this machine's driver has written it
        write_pool(scratch, max(graph.weight_bytes for graph in graphs.values()))
    peaks = {}
    for submodel in submodels:
        model = scratch / "complete.onnx"
        write_complete(graphs[submodel.id], model)
        if (peak := driver.peak_memory(model)) is None:
            break
        peaks[submodel.id] = peak
    return peaks


def _model(
    folder: SupernetFolder,
    roles: Mapping[Submodel, Role],
    workload: Workload,
    timings: Mapping[str, Timing],
    load: Load,
    peaks: Mapping[str, int],
    seed: int,
) -> MeasuredModel:
    shapes = input_shapes(workload)
    rows = tuple(
        _row(submodel, role, workload, timings[submodel.id], shapes, peaks) for submodel, role in roles.items()
    )
    stacks = _stacks(folder)
    blocks, error = fit_blocks(rows, stacks, folder.space.widths)
    return MeasuredModel(
        family=folder.family,
        architecture=folder.architecture,
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
        activations=_activations(folder, rows),
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
        times_ms=times_ms,
        cpu_ms=None if None in cpu_ms else tuple(cpu_ms),
        switches=None if None in switches else tuple(switches),
        weight_bytes=graph.weight_bytes,
        activation_bytes=largest_live_set(graph.path, shapes),
        peak_memory_bytes=peaks.get(submodel.id),
    )


def _activations(folder: SupernetFolder, rows: Sequence[MeasuredRow]) -> tuple[ActivationRow, ...]:
    """The largest live set for each width and share, where a submodel of that kind was measured."""
    measured = {row.id: row.activation_bytes for row in rows}
    found = []
    for (width, share), submodel in selection.uniform(folder.space).items():
        if (size := measured.get(submodel.id)) is not None:
            found.append(ActivationRow(width=str(width), share=str(share), activation_bytes=size))
    return tuple(found)
