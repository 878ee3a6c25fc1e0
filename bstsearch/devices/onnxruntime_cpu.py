"""This machine, measured with ONNX Runtime on its processor: every submodel's own graph, whole.

Whole models, not blocks: a block measured alone finds its caches warm and reads up to a fifth too fast.
Weights are random, since a latency depends on shapes only; so no trained supernet is needed.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bstsearch
from bstsearch.devices import peak_memory, rounds, statistics
from bstsearch.devices.machine import OthersLoad, available_cores, this_machine
from bstsearch.devices.profile import (
    DeviceProfile,
    EstimateErrors,
    MeasuredRow,
    Model,
    RelativeError,
    Runtime,
    Schedule,
    Units,
)
from bstsearch.devices.rounds import Timer, Timing
from bstsearch.devices.warnings import find_warnings, noise_remedy
from bstsearch.errors import DeviceError
from bstsearch.folder import SupernetFolder
from bstsearch.latency import METHOD, held_out_errors
from bstsearch.space import Submodel

RUNTIME = "onnxruntime"
PROVIDER = "CPUExecutionProvider"
BATCH = 1

Progress = Callable[[str, int, int], None]


def measure(
    folder: SupernetFolder,
    device: str,
    *,
    threads: int | None = None,
    seed: int = 0,
    timer: Timer = time.perf_counter,
    progress: Progress | None = None,
) -> DeviceProfile:
    """A profile of this machine, named `device`: one row for every submodel of the supernet's grid.

    `threads` is by default the physical cores that this process may use. Raises DeviceError where ONNX
    Runtime cannot run, NoisyMeasurementError where its times disagree too much.
    """
    runtime = _runtime(threads or available_cores())
    steps = _Steps(progress, submodels=len(list(folder.space.grid())))
    with tempfile.TemporaryDirectory(prefix="bstsearch-") as scratch:
        graphs, inputs = _write_graphs(folder, Path(scratch), seed, steps)
        memory = {name: _peak_memory(graph, inputs, runtime.threads, steps) for name, graph in graphs.items()}
        sizes = {name: graph.stat().st_size for name, graph in graphs.items()}
        feed = _read_inputs(inputs)
        runs = {name: open_graph(graph, feed, runtime.threads) for name, graph in graphs.items()}
    load = OthersLoad()
    timings = rounds.time_in_rounds(runs, timer=timer, seed=seed, on_round=steps.round)
    machine, others = this_machine(), load.cores()
    rounds.refuse_noise(timings, remedy=noise_remedy(others=others, threads=runtime.threads))
    rows = tuple(_row(name, timing, sizes[name], memory[name]) for name, timing in timings.items())
    return DeviceProfile(
        format=1,
        device=device,
        machine=machine,
        obtained="measured",
        date=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        bstsearch=bstsearch.__version__,
        runtime=runtime,
        model=_model(folder, feed),
        units=Units(latency="ms", memory="bytes"),
        schedule=Schedule(rounds=len(next(iter(timings.values())).rounds_ms), seed=seed),
        error=_estimate_errors(rows),
        warnings=find_warnings(timings, threads=runtime.threads, cores=machine.cores, others=others),
        rows=rows,
    )


class _Steps:
    """Counts graphs written, memories measured and rounds timed as equal steps; each takes some 0.3 s."""

    def __init__(self, progress: Progress | None, *, submodels: int) -> None:
        self._progress, self._done, self._before = progress, 0, 2 * submodels

    def step(self, text: str) -> None:
        self._done += 1
        self._report(text, self._done, rounds.ROUNDS)

    def round(self, done: int, planned: int) -> None:
        self._report("Timing in rounds", self._before + done, planned)

    def _report(self, text: str, done: int, planned: int) -> None:
        if self._progress:
            self._progress(text, done, self._before + planned)


def _runtime(threads: int) -> Runtime:
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceError(f"cannot load ONNX Runtime: {error}; 'pip install onnxruntime' installs it") from error
    if PROVIDER not in (available := onnxruntime.get_available_providers()):
        raise DeviceError(f"this ONNX Runtime has no {PROVIDER}, only {', '.join(available)}; reinstall onnxruntime")
    return Runtime(
        name=RUNTIME, version=onnxruntime.__version__, provider=PROVIDER, threads=threads, precision="float32"
    )


def _write_graphs(folder: SupernetFolder, where: Path, seed: int, steps: _Steps) -> tuple[dict[str, Path], Path]:
    """The ONNX file of every submodel by id, and an .npz file with inputs that fit them all."""
    import numpy as np
    import torch

    from bstsearch.family import config_from_json, get_family
    from bstsearch.onnx_file import write_onnx

    family = get_family(folder.family)
    config = config_from_json(family.config, folder.config)
    inputs = family.example_inputs(config, BATCH)
    graphs = {}
    for submodel in folder.space.grid():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = family.build(family.shrink(config, submodel))
        graphs[submodel.id] = where / f"{submodel.id}.onnx"
        write_onnx(model, inputs, graphs[submodel.id], family.free_axes(config))
        steps.step("Building graphs")
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in inputs.items()}
    np.savez(where / "inputs.npz", **arrays)
    return graphs, where / "inputs.npz"


def _read_inputs(path: Path) -> dict[str, Any]:
    import numpy as np

    with np.load(path) as arrays:
        return dict(arrays)


def _peak_memory(graph: Path, inputs: Path, threads: int, steps: _Steps) -> int:
    # -P: the script's folder stays off the path, where profile.py and statistics.py would hide Python's own.
    command = [sys.executable, "-P", peak_memory.__file__, str(graph), str(inputs), str(threads)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]
        raise DeviceError(f"ONNX Runtime cannot run submodel {graph.stem!r}: {reason}")
    steps.step("Measuring memory")
    return int(result.stdout)


def open_graph(graph: Path, feed: Mapping[str, Any], threads: int) -> rounds.Run:
    """A call that runs the graph once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Else the threads of the submodel that ran before spin on, and take the cores from the one being timed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(graph, options, providers=[PROVIDER])
    return lambda: session.run(None, feed)


def _model(folder: SupernetFolder, feed: Mapping[str, Any]) -> Model:
    inputs = {name: array.shape for name, array in feed.items()}
    return Model(family=folder.family, architecture=folder.architecture, batch=BATCH, inputs=inputs)


def _row(submodel: str, timing: Timing, file_bytes: int, peak_memory_bytes: int) -> MeasuredRow:
    low_ms, high_ms = timing.interval_ms
    times_ms = timing.times_ms
    return MeasuredRow(
        id=submodel,
        latency_ms=timing.latency_ms,
        low_ms=low_ms,
        high_ms=high_ms,
        p90_ms=statistics.p90(times_ms),
        spread=statistics.spread(times_ms),
        outliers=statistics.count_outliers(times_ms),
        times_ms=times_ms,
        file_bytes=file_bytes,
        peak_memory_bytes=peak_memory_bytes,
    )


def _estimate_errors(rows: Sequence[MeasuredRow]) -> EstimateErrors | None:
    submodels = [Submodel.from_id(row.id) for row in rows]
    latency = held_out_errors(submodels, [row.latency_ms for row in rows])
    memory = held_out_errors(submodels, [row.peak_memory_bytes for row in rows])
    if not latency:
        return None
    return EstimateErrors(method=METHOD, latency=_summary(latency), memory=_summary(memory))


def _summary(errors: Sequence[float]) -> RelativeError:
    return RelativeError(median=statistics.median(errors), worst=max(errors))
