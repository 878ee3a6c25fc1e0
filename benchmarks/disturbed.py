"""How well quiet latencies are found on a machine that is not quiet: against a quiet run of the same submodels.

    python benchmarks/disturbed.py                easy-vqa (68 submodels), full-size MCAN (its ten); some twelve minutes

Quiet and disturbed batches of 20 rounds take turns, so that both see the same hour of the machine; each disturbed
batch is held against the quiet ones before and after it. Errors are those of the ratios of every two submodels that
differ by more than 5 %, as shares; beside the estimator stand the median of all runs and the quickest run of each
visit, on the same runs. `held` is the share of intervals that hold the quiet value. A clock that falls is simulated: in
the second half of a quiet batch every run takes 1 / 0.7 times as long. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bstsearch.measuring import rounds, selection
from bstsearch.measuring.driver import Run, Session, Workload
from bstsearch.measuring.drivers import local
from bstsearch.measuring.estimator import Rounds, Timing, estimate
from bstsearch.measuring.workload import make_workload
from bstsearch.model.config import config_to_json
from bstsearch.model.lookup import get_preset
from bstsearch.model.supernet_folder import SUPERNETS, SupernetFolder, read_folder
from timing import report

BUSY = "while True: pass"
BURSTS = """
import time
while True:
    end = time.monotonic() + 2
    while time.monotonic() < end: pass
    time.sleep(2)
"""
LOADS = {"none": [], "one busy core": [BUSY], "two busy cores": [BUSY] * 2, "bursts of 2 s": [BURSTS] * 2}
FALLING = "a clock that falls by 30 % (simulated)"
APART = 1.05  # submodels that differ by less need no order

Vector = NDArray[np.float64]
Estimator = Callable[[Mapping[str, Timing]], Vector]
OTHERS: Mapping[str, Estimator] = {
    "estimator": lambda timings: np.array([timing.latency_ms for timing in timings.values()]),
    "median_of_runs": lambda timings: np.array([timing.seen_ms for timing in timings.values()]),
    "median_of_quickest": lambda timings: np.array(
        [np.median([min(run.wall_ms for run in visit) for visit in timing.visits]) for timing in timings.values()]
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("easy-vqa", "mcan-vqa-v2"))
    parser.add_argument("--batches", type=int, default=3, help="disturbed batches for each load")
    options = parser.parse_args()
    names = [options.only] if options.only else ["easy-vqa", "mcan-vqa-v2"]
    report("disturbed", {"threads": 1, **{name: _figures(name, options.batches) for name in names}})


def _figures(name: str, batches: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        workload = _workload(name, Path(scratch))
        with local.open_device(threads=1) as device, device.take(workload) as driver:
            driver.open(list(workload.graphs))
            return {load: _under(driver, workload, programs, batches) for load, programs in LOADS.items()} | {
                FALLING: _falling(driver, workload, batches)
            }


def _workload(name: str, scratch: Path) -> Workload:
    if name == "easy-vqa":
        folder = read_folder(SUPERNETS / "easy-vqa")
        return make_workload(folder, list(selection.choose(folder.space, is_layerwise=True, seed=0)), scratch)
    family, config = get_preset(name)
    folder = SupernetFolder(
        path=Path(name), family=family.name, config=config_to_json(config), space=family.space(config)
    )
    return make_workload(folder, list(folder.space.grid()), scratch)


def _batch(driver: Session, workload: Workload) -> Rounds:
    """Twenty rounds, whatever they are like."""
    taken = rounds.time_in_rounds([list(workload.graphs)], driver.time, clock=_Spent())
    return {name: timing.visits[: rounds.ROUNDS] for name, timing in taken.items()}


class _Spent:
    """A clock on which the time for further rounds is up as soon as there are enough."""

    def __init__(self) -> None:
        self._readings = 0

    def __call__(self) -> float:
        self._readings += 1
        return 0.0 if self._readings == 1 else rounds.PATIENCE_S + 1


def _under(driver: Session, workload: Workload, programs: Sequence[str], batches: int) -> dict[str, Any]:
    quiet, disturbed = [_batch(driver, workload)], []
    for _ in range(batches):
        with _running(programs):
            disturbed.append(_batch(driver, workload))
        quiet.append(_batch(driver, workload))
    return _compare(quiet, disturbed)


def _falling(driver: Session, workload: Workload, batches: int) -> dict[str, Any]:
    quiet = [_batch(driver, workload) for _ in range(batches + 1)]
    return _compare(quiet, [{name: _slowed(visits) for name, visits in batch.items()} for batch in quiet[:-1]])


def _slowed(visits: Sequence[tuple[Run, ...]]) -> list[tuple[Run, ...]]:
    half = len(visits) // 2
    slow = [
        tuple(Run(run.wall_ms / 0.7, run.cpu_ms and run.cpu_ms / 0.7, run.switches) for run in visit)
        for visit in visits[half:]
    ]
    return [*visits[:half], *slow]


@contextlib.contextmanager
def _running(programs: Sequence[str]) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", program]) for program in programs]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _compare(quiet: Sequence[Rounds], disturbed: Sequence[Rounds]) -> dict[str, Any]:
    """Each disturbed batch against the quiet ones around it."""
    still, moved = [estimate(batch) for batch in quiet], [estimate(batch) for batch in disturbed]
    figures: dict[str, Any] = {}
    for name, estimator in OTHERS.items():
        values = [estimator(timings) for timings in still]
        truths = [np.sqrt(before * after) for before, after in itertools.pairwise(values)]
        errors = np.concatenate([_errors(estimator(one), truth) for one, truth in zip(moved, truths, strict=True)])
        figures[name] = {"median": _percent(errors, 50), "p90": _percent(errors, 90), "worst": _percent(errors, 100)}
        if name == "estimator":
            figures["held"] = round(float(np.mean([_held(*pair) for pair in zip(moved, truths, strict=True)])), 3)
    figures["half_width"] = _percent(np.array([t.uncertainty for one in moved for t in one.values()]), 50)
    figures["seen_over_quiet"] = round(
        float(np.median([t.seen_ms / t.latency_ms for one in moved for t in one.values()])), 2
    )
    return figures


def _errors(values: Vector, truth: Vector) -> Vector:
    """abs(ratio / true ratio - 1) of every two that truly differ."""
    first, second = np.triu_indices(len(truth), 1)
    apart = np.abs(np.log(truth[first] / truth[second])) > np.log(APART)
    shares = values / truth
    return np.asarray(np.abs(shares[first] / shares[second] - 1)[apart])


def _held(timings: Mapping[str, Timing], truth: Vector) -> float:
    return float(np.mean([t.low_ms <= ms <= t.high_ms for t, ms in zip(timings.values(), truth, strict=True)]))


def _percent(shares: Vector, rank: float) -> str:
    return f"{100 * float(np.percentile(shares, rank)):.2f} %"


if __name__ == "__main__":
    main()
