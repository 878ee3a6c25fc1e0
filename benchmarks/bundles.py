"""What submodels over one file of weights cost beside a file for each: bytes, latency, loading, memory.

    python benchmarks/bundles.py [--models mcan-vqa-v2,uniter-base,clip-vil-rn50,BertModel,demo] [--rounds 15]

Full-size models with random weights, and the demo; of each, ten submodels as the paper has them, one thread.

- "bytes_over_full": the bundle's weights and graphs over the full model's file. Target: 1.02, of the demo 1.1. Beside
  it, the same of the files of their own.
- "latency_over_own_file": of each submodel, in turns, which go round (the same file twice gives 1.00). Target: 1.05.
- "chosen_over_own_file": the same of the fastest, each time chosen anew by a budget. Target: 1.05.
- "loading_s": processor time in which all are opened, both ways.
- "resident_mb": private memory of a process in which all are open, over one in which none is, both ways.

About ten minutes on a machine at rest, half of them for CLIP-ViL's tower; 2 GB of disk for a while.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch

from bstsearch import DEMO, Supernet
from bstsearch.answering.bundle_folder import WEIGHTS, Bundle, BundleFolder, Member
from bstsearch.answering.exported_folder import open_session
from bstsearch.exporting.bundle_checks import check_folded, check_same_outputs
from bstsearch.model.lookup import get_preset
from bstsearch.searching.budget import Bound
from serving_bundle import ACCURACIES, FULL, write_graphs
from stock_models import of_class
from timing import busy, in_turns, ratio, report, tell

AT_LEAST_S = 0.02  # that a side runs in a round
IN_ANOTHER_PROCESS = """
import json, sys, time
from pathlib import Path
import psutil, onnxruntime
from bstsearch.answering.exported_folder import open_session
before, start = psutil.Process().memory_full_info().uss, time.process_time()
sessions = [open_session(Path(path), threads=1) for path in sys.argv[1:]]
seconds = time.process_time() - start
print(json.dumps([seconds, (psutil.Process().memory_full_info().uss - before) / 1e6]))
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """A submodel's graph in the bundle, and the file that it has by itself."""

    shared: Path
    alone: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="mcan-vqa-v2,uniter-base,clip-vil-rn50,BertModel,demo")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {}
    for name in options.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = figures_of(supernet_of(name), Path(folder), options.rounds)
        tell(f"{name}: {figures[name]}")
    report("bundles", {"rounds": options.rounds, **figures, "busy": busy()})


def supernet_of(name: str) -> Supernet:
    """The demo, or the model of that preset or stock class with random weights."""
    if name == "demo":
        return Supernet.load(DEMO).eval()
    torch.manual_seed(0)
    return of_class(name) if name.isidentifier() else Supernet(*get_preset(name)).eval()


def figures_of(supernet: Supernet, folder: Path, rounds: int) -> dict[str, Any]:
    """All figures of one model."""
    inputs = supernet.family.example_inputs(supernet.config, 1)
    files = write(supernet, folder)
    full = files[FULL].alone.stat().st_size
    shared = sum(one.shared.stat().st_size for one in files.values()) + (folder / WEIGHTS).stat().st_size
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    ratios, alone_ms = {}, {}
    for name, one in files.items():
        check_folded(one.shared, one.alone)
        check_same_outputs(one.shared, one.alone, inputs)
        ratios[name], alone_ms[name] = compare(running(one.shared, feed), running(one.alone, feed), rounds)
        tell(f"{name}: {ratios[name]} of {alone_ms[name]} ms")
    loading, resident = zip(
        *(opened([getattr(one, way) for one in files.values()]) for way in ("shared", "alone")), strict=True
    )
    return {
        "bytes_over_full": round(shared / full, 3),
        "own_files_over_full": round(sum(one.alone.stat().st_size for one in files.values()) / full, 2),
        "full_mb": round(full / 1e6, 1),
        "latency_over_own_file": ratios,
        "own_file_ms": alone_ms,
        "chosen_over_own_file": chosen(files, alone_ms, feed, rounds),
        "loading_s": [round(one, 3) for one in loading],
        "resident_mb": [round(one, 1) for one in resident],
    }


def write(supernet: Supernet, folder: Path) -> dict[str, Files]:
    """Ten submodels over one file of weights, and each with a file of its own."""
    files = {}
    for name, alone in write_graphs(supernet, folder):
        files[name] = Files(shared=folder / f"{name}.onnx", alone=folder / f"{name}.alone.onnx")
        onnx.save(alone, files[name].alone)
    return files


def running(path: Path, feed: Mapping[str, Any]) -> Callable[[], object]:
    """A run of the file, on one thread."""
    session = open_session(path, threads=1)
    return lambda: session.run(None, feed)


def compare(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """How much longer `ours` takes, and the milliseconds of `theirs`."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        theirs()
        times.append(time.perf_counter() - start)
    count = max(1, round(AT_LEAST_S / min(times)))
    seconds = in_turns({"ours": repeated(ours, count), "theirs": repeated(theirs, count)}, rounds, is_told=False)
    return round(ratio(seconds, "ours", "theirs"), 3), round(1000 * statistics.median(seconds["theirs"]) / count, 3)


def repeated(act: Callable[[], object], count: int) -> Callable[[], None]:
    """`act`, so many times."""

    def run() -> None:
        for _ in range(count):
            act()

    return run


def chosen(
    files: Mapping[str, Files], alone_ms: Mapping[str, float], feed: Mapping[str, np.ndarray], rounds: int
) -> float:
    """How much longer the fastest submodel of a bundle takes than its own file, if it is chosen anew for each run."""
    members = [
        {
            "id": name,
            "file": one.shared.name,
            "parameters": 1,
            "accuracy": {"value": ACCURACIES[name]},
            "latencies": {"local": {"ms": alone_ms[name], "high_ms": alone_ms[name]}},
        }
        for name, one in files.items()
    ]
    bundle = BundleFolder(
        path=next(iter(files.values())).shared.parent,
        bundle=Bundle(submodels=msgspec.convert(members, list[Member]), files={}, threads=1),
    )
    sessions = {name: open_session(one.shared, threads=1) for name, one in files.items()}
    fastest = min(alone_ms, key=lambda name: alone_ms[name])
    bound = Bound.parse(str(alone_ms[fastest]), "the budget")
    assert bundle.choose(bound)[0].id == fastest
    return compare(
        lambda: sessions[bundle.choose(bound)[0].id].run(None, feed), running(files[fastest].alone, feed), rounds
    )[0]


def opened(paths: Sequence[Path]) -> tuple[float, float]:
    """Processor seconds to open all of these files in one process, and the private megabytes that they take there."""
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, *map(str, paths)]
    seconds, megabytes = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return seconds, megabytes


if __name__ == "__main__":
    main()
