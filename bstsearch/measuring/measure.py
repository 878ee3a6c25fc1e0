"""A device measured with one architecture: whole submodels timed in rounds, and blocks fitted to them.

Whole models, not blocks: a block measured alone finds its caches warm and reads up to a fifth too fast.
"""

from __future__ import annotations

import math
import numbers
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bstsearch.errors import DeviceError, InputError, NoisyMeasurementError
from bstsearch.holding import scratch
from bstsearch.measuring import rounds, selection
from bstsearch.measuring.assemble import Measurement, model_of
from bstsearch.measuring.driver import Device, Hardware, OpenDevice, Run, Runtime, Session, Visit, Workload
from bstsearch.measuring.estimator import Rounds, Timing, preempted_share
from bstsearch.measuring.journal import Journal
from bstsearch.measuring.quiet import Load as Others
from bstsearch.measuring.quiet import check_meaningful, check_steady
from bstsearch.measuring.runner import POOL, write_pool
from bstsearch.measuring.workload import make_workload, write_complete
from bstsearch.model.lookup import restored
from bstsearch.model.phase import WHOLE, Phase
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.profiles.profile import Load
from bstsearch.reading import parsing, shown

# Graphs that are open at once hold at most this many bytes of weights: what the smallest phone has to spare.
OPEN_BYTES = 256_000_000
# Up to this many bytes the whole grid's peak memory is measured, beyond it the smallest, middle and largest one's.
PEAK_BYTES = 500_000_000

Progress = Callable[[str, int, int], None]


def measure(
    folder: SupernetFolder,
    open_device: OpenDevice,
    *,
    journal: Path,
    remedy: str,
    phase: Phase = WHOLE,
    is_strict: bool = False,
    others: Callable[[], Others] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Measurement:
    """The measurement of the supernet in `folder`, of a `phase` of its work, on the device that `open_device` reaches.

    Rounds are kept in the file `journal` as they come, and an interrupted measurement goes on from there; who stores
    what is returned removes it. `others` begins to look at what else the device does. NoisyMeasurementError, with
    `remedy`, where the times say nothing, or with `is_strict` are not those of a device at rest; DeviceError where the
    device fails.
    """
    family, config = restored(folder.family, folder.config)
    family.get_work(config, phase)  # or InputError, before the device is looked for
    roles = selection.choose(folder.space, is_layerwise=_is_layerwise(folder), seed=seed)
    listeners = [progress] if progress else []
    steps = _Steps(listeners, graphs=len(roles))
    with open_device() as device, scratch() as where:
        workload = make_workload(folder, list(roles), where, phase=phase, on_graph=lambda: steps.graph(device))
        with device.take(workload) as session:
            _check_facts(session)
            listeners.append(session.report)
            store = Journal(path=journal, origin=_origin(folder, session, seed, phase))
            looking = others() if others else None
            timings = _time(workload, session, store, seed, steps, is_strict=is_strict)
            load = Load(other_cores=looking.cores() if looking else None, preempted=preempted_share(timings))
            _check_usable(timings, store, remedy, is_strict=is_strict)
            peaks = _peaks(folder, workload, session, where)
            hardware, runtime = session.hardware, session.runtime
        model = model_of(folder, roles, workload, timings, load, peaks, seed, phase)
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


def _check_facts(session: Session) -> None:
    """Passes where a profile can hold what the session says of the device; else DeviceError, before it is timed."""
    methods = ("report", "open", "time", "peak_memory")
    if lacking := [name for name in methods if not callable(getattr(session, name, None))]:
        raise DeviceError(f"the driver's session lacks {', '.join(lacking)}; write what bstsearch.Driver says of it")
    for name, kind in (("hardware", Hardware), ("runtime", Runtime)):
        found = getattr(session, name, None)
        if not isinstance(found, kind):
            raise DeviceError(
                f"the driver's session has no attribute {name!r} of class {kind.__name__}; see docs/device.md"
            )
        try:
            with parsing(f"the driver's {name}"):
                msgspec.convert(msgspec.to_builtins(found), kind)
        except InputError as error:
            raise DeviceError(f"{error}; see docs/device.md") from error


def _origin(folder: SupernetFolder, session: Session, seed: int, phase: Phase) -> dict[str, Any]:
    """What an interrupted measurement must have in common with this one to be gone on with."""
    device = {"hardware": session.hardware.to_json(), "runtime": session.runtime.to_json()}
    part = {} if phase == WHOLE else {"phase": phase}
    return {"architecture": folder.architecture, "space": folder.space.to_json(), "seed": seed, **part, **device}


def _time(
    workload: Workload, session: Session, store: Journal, seed: int, steps: _Steps, *, is_strict: bool
) -> dict[str, Timing]:
    def keep(known: Rounds, _share: float) -> None:
        store.add(known)
        steps.round(known)

    return rounds.time_in_rounds(
        list(_groups(workload, seed)),
        lambda visits: _sound(session.hardware.title, visits, session.time(visits)),
        open_group=session.open,
        known=store.load(is_strict=is_strict),
        seed=seed,
        on_round=keep,
    )


def _sound(title: str, visits: Sequence[Visit], found: Any) -> list[tuple[Run, ...]]:
    """The runs that were asked for of the device with that title; DeviceError where it gave something else."""
    if not isinstance(found, Sequence) or len(found) != len(visits):
        raise DeviceError(f"{title} answered {len(visits)} visits with {shown(found)}; see docs/device.md")
    taken = []
    for visit, runs in zip(visits, found, strict=True):
        if not isinstance(runs, Sequence) or len(runs) != visit.count or not all(map(_is_sound, runs)):
            raise DeviceError(
                f"{title} gave {shown(runs)} for {shown(visit.name)}; expected {visit.count} runs of more than 0 ms; "
                "see docs/device.md"
            )
        taken.append(tuple(map(_plain, runs)))
    return taken


def _is_sound(run: object) -> bool:
    """Whether a driver's run can have been: a time above zero, and nothing in it below."""
    if not isinstance(run, Run) or not _is_amount(run.wall_ms) or run.wall_ms == 0:
        return False
    return all(number is None or _is_amount(number) for number in run)


def _is_amount(number: Any) -> bool:
    try:
        return isinstance(number, numbers.Real) and 0 <= float(number) < math.inf
    except OverflowError:  # a whole number beyond every float
        return False


def _plain(run: Run) -> Run:
    """With Python's own numbers, whichever the driver counts with."""
    cpu_ms, switches = run.cpu_ms, run.switches
    return Run(
        float(run.wall_ms), None if cpu_ms is None else float(cpu_ms), None if switches is None else int(switches)
    )


def _check_usable(timings: Mapping[str, Timing], store: Journal, remedy: str, *, is_strict: bool) -> None:
    """Passes where the times serve; else NoisyMeasurementError, and their rounds are kept for a less strict judge."""
    check_meaningful(timings, remedy=remedy)
    if is_strict:
        try:
            check_steady(timings, remedy=remedy)
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


def _peaks(folder: SupernetFolder, workload: Workload, session: Session, where: Path) -> dict[str, int]:
    """Submodel id -> measured peak memory, of some submodels; none where the device cannot tell."""
    space, graphs = folder.space, workload.graphs
    submodels = list(space.grid())
    if sum(graphs[submodel.id].weight_bytes for submodel in submodels) > PEAK_BYTES:
        submodels = [space.smallest, space.middle, space.largest]
    if not (where / POOL).exists():  # this machine's session has written it
        write_pool(where, max(graph.weight_bytes for graph in graphs.values()))
    peaks = {}
    for submodel in submodels:
        model = where / "complete.onnx"
        write_complete(graphs[submodel.id], model)
        peak: Any = session.peak_memory(model)
        if peak is None:
            break
        if not isinstance(peak, int) or peak <= 0:
            title = session.hardware.title
            raise DeviceError(f"{title} gave {shown(peak)} as peak memory; expected bytes, or None; see docs/device.md")
        peaks[submodel.id] = peak
    return peaks
