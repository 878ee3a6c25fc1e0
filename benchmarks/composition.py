"""How far composed latencies and memory lie from measured ones, on whole submodels that no fit has seen.

    python benchmarks/composition.py                      easy-vqa and full-size MCAN, one thread; some ten minutes

Each model is profiled as `bstsearch profile` does it. The error of the composition stands beside the noise floor (the
same submodel measured twice), and beside other schemes fitted to the same rows: one rate for all FLOPs and a
constant; differences between uniform submodels of two depths; version 0.1.0's five features. `composed_from_medians` is
the composition of the same runs, each submodel's latency taken as the median of its runs in place of its quiet latency.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from bstsearch.measuring import selection
from bstsearch.measuring.drivers import local
from bstsearch.measuring.fitting import fit_blocks
from bstsearch.measuring.measure import measure
from bstsearch.measuring.runner import write_pool
from bstsearch.measuring.workload import make_workload, write_complete
from bstsearch.model.config import config_to_json
from bstsearch.model.counting import count
from bstsearch.model.lookup import get_preset, restored
from bstsearch.model.supernet_folder import SUPERNETS, SupernetFolder, read_folder
from bstsearch.profiles.latency import LatencyTable
from bstsearch.profiles.profile import MeasuredModel
from bstsearch.space import Space, Submodel
from timing import report

COMPOSED = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("easy-vqa", "mcan-vqa-v2"))
    options = parser.parse_args()
    folders = {"easy-vqa": read_folder(SUPERNETS / "easy-vqa"), "mcan-vqa-v2": _of_preset("mcan-vqa-v2")}
    names = [options.only] if options.only else list(folders)
    figures = {name: _figures(folders[name], options.threads) for name in names}
    report("composition", {"threads": options.threads, **figures})


def _of_preset(name: str) -> SupernetFolder:
    """A supernet that has no weights, which no profile needs."""
    family, config = get_preset(name)
    return SupernetFolder(
        path=Path(name), family=family.name, config=config_to_json(config), space=family.space(config)
    )


def _figures(folder: SupernetFolder, threads: int) -> dict[str, Any]:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        measurement = measure(
            folder,
            lambda: local.open_device(threads=threads),
            journal=Path(scratch) / "partial",
            remedy="measure on a machine at rest",
        )
    seconds, model = time.perf_counter() - start, measurement.model
    table = LatencyTable("here", model)
    assert model.error is not None
    return {
        "profile_seconds": round(seconds, 1),
        "submodels_measured": len(model.submodels),
        "unseen_submodels": model.error.rows,
        "noise_floor": _percent([model.noise or 0.0]),
        "composed": {
            **_summary(_composed_errors(model)),
            "rank_correlation": round(model.error.rank_correlation or 0, 4),
        },
        "composed_from_medians": _summary(_composed_errors(_with_medians(model, folder.space))),
        "other_schemes": {name: _summary(errors(folder, model)) for name, errors in SCHEMES.items()},
        "memory_unseen": _summary(_memory_errors(folder, model, table, threads)),
        f"seconds_to_compose_{COMPOSED}": round(_seconds_to_compose(folder, table), 3),
    }


def _with_medians(model: MeasuredModel, space: Space) -> MeasuredModel:
    """The same measurement with the median of all runs for each submodel's latency."""
    rows = tuple(
        structs.replace(row, **dict.fromkeys(("latency_ms", "low_ms", "high_ms"), row.seen_ms))
        for row in model.submodels
    )
    blocks, _ = fit_blocks(rows, model.stacks, selection.measured_space(space, is_layerwise=True))
    return structs.replace(model, submodels=rows, blocks=blocks)


def _composed_errors(model: MeasuredModel) -> Sequence[float]:
    # Without the checked rows the table must compose them.
    fitted = tuple(row for row in model.submodels if row.role == selection.FIT)
    table = LatencyTable("here", structs.replace(model, submodels=fitted))
    return _errors(model, lambda submodel: table.latency(submodel).ms)


def _errors(model: MeasuredModel, predict: Callable[[Submodel], float]) -> Sequence[float]:
    checked = [row for row in model.submodels if row.role == selection.CHECK]
    return [abs(row.latency_ms / predict(Submodel.from_id(row.id)) - 1) for row in checked]


def _flops_only(folder: SupernetFolder, model: MeasuredModel) -> Sequence[float]:
    family, config = restored(folder.family, folder.config)
    return _least_squares(model, lambda submodel: [1.0, count(family, config, submodel).gflops])


def _five_features(_folder: SupernetFolder, model: MeasuredModel) -> Sequence[float]:
    def features(submodel: Submodel) -> list[float]:
        width, depth = float(submodel.width), float(submodel.depth)
        heads, ffn = (float(np.mean(row or (submodel.width,))) for row in (submodel.heads, submodel.ffn))
        return [1.0, width, depth, depth * heads, depth * width * ffn]

    return _least_squares(model, features)


def _least_squares(model: MeasuredModel, features: Callable[[Submodel], list[float]]) -> Sequence[float]:
    """Least squares of relative errors on the fitted rows."""
    fitted = [row for row in model.submodels if row.role == selection.FIT]
    relative = np.array([features(Submodel.from_id(row.id)) for row in fitted])
    scaled = relative / np.array([row.latency_ms for row in fitted])[:, None]
    weights = np.linalg.lstsq(scaled, np.ones(len(fitted)))[0]
    return _errors(model, lambda submodel: float(np.dot(features(submodel), weights)))


def _depth_differences(_folder: SupernetFolder, model: MeasuredModel) -> Sequence[float]:
    """A layer costs what a deeper uniform submodel takes more than a shallower one, interpolated over shares."""
    measured = {row.id: row.latency_ms for row in model.submodels}
    uniform = [submodel for name in measured if not (submodel := Submodel.from_id(name)).heads]

    def line(width: Any) -> tuple[float, float]:
        """Constant and slope over depth of this width's uniform submodels."""
        points = [(float(one.depth), measured[one.id]) for one in uniform if one.width == width]
        depths, times = zip(*sorted(points), strict=True)
        if len(points) == 1:  # the widest has one depth only: take its layers for all there is
            return 0.0, times[0] / depths[0]
        slope = (times[-1] - times[0]) / (depths[-1] - depths[0])
        return times[0] - slope * depths[0], slope

    def predict(submodel: Submodel) -> float:
        constant, slope = line(submodel.width)
        share = float(np.mean([*submodel.heads, *submodel.ffn])) / float(submodel.width)
        return constant + slope * float(submodel.depth) * share

    return _errors(model, predict)


SCHEMES = {
    "flops_and_a_constant": _flops_only,
    "differences_between_depths": _depth_differences,
    "five_features": _five_features,
}


def _memory_errors(folder: SupernetFolder, model: MeasuredModel, table: LatencyTable, threads: int) -> Sequence[float]:
    """abs(measured / composed - 1) of the peak memory of the checked submodels, which are measured here."""
    submodels = [Submodel.from_id(row.id) for row in model.submodels if row.role == selection.CHECK]
    errors = []
    with tempfile.TemporaryDirectory() as scratch:
        workload = make_workload(folder, submodels, Path(scratch))
        write_pool(Path(scratch), max(graph.weight_bytes for graph in workload.graphs.values()))
        with local.open_device(threads=threads) as device, device.take(workload) as driver:
            for submodel in submodels:
                complete = Path(scratch) / "complete.onnx"
                write_complete(workload.graphs[submodel.id], complete)
                peak = driver.peak_memory(complete)
                assert peak is not None
                errors.append(abs(peak / table.memory(submodel).bytes - 1))
    return errors


def _seconds_to_compose(folder: SupernetFolder, table: LatencyTable) -> float:
    space = folder.space
    draw = np.random.default_rng(0)
    cells = list(space.grid())
    submodels = []
    for number in range(COMPOSED):
        cell = cells[number % len(cells)]
        layers = space.kept_layers(cell)
        heads, ffn = (tuple(space.widths[n] for n in draw.integers(len(space.widths), size=layers)) for _ in range(2))
        submodels.append(dataclasses.replace(cell, heads=heads, ffn=ffn))
    start = time.perf_counter()
    for submodel in submodels:
        table.latency(submodel)
    return time.perf_counter() - start


def _summary(errors: Sequence[float]) -> dict[str, str]:
    return {"median": _percent(errors), "p90": _percent(errors, 90), "worst": _percent(errors, 100)}


def _percent(errors: Sequence[float], rank: float = 50) -> str:
    return f"{100 * np.percentile(errors, rank):.2f} %"


if __name__ == "__main__":
    main()
