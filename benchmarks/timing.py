"""Paired timing for the benchmarks: the sides take turns, so that a drifting machine hits both alike."""

from __future__ import annotations

import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def in_turns(
    sides: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    is_warmed: bool = False,
    clock: Callable[[], float] = time.perf_counter,
    is_told: bool = True,
) -> dict[str, list[float]]:
    """Seconds of each side in each of `rounds` rounds, after one uncounted round; the order turns every round.

    With `is_warmed` each side runs once untimed before it is timed: the caches are still another side's. Unless told
    not to, it says after the uncounted round how long the others will take, and then prints each as it comes.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    begin = time.perf_counter()
    for turn in range(rounds + 1):
        for name in sides if turn % 2 else reversed(sides):
            if is_warmed:
                sides[name]()
            start = clock()
            sides[name]()
            if turn:
                seconds[name].append(clock() - start)
        if is_told and turn:
            tell(f"round {turn}: {', '.join(f'{name} {1000 * times[-1]:.4g} ms' for name, times in seconds.items())}")
        elif is_told:
            tell(
                f"{rounds} rounds of {', '.join(sides)}, about {rounds * (time.perf_counter() - begin):.0f} s; {busy()}"
            )
    return seconds


def tell(line: str) -> None:
    """Prints a line beside the figures, at once."""
    print(line, file=sys.stderr, flush=True)


def busy() -> str:
    """How busy the machine is, in words."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def processor_time() -> float:
    """Seconds of processors, user's and system's, that the processes which this one waited for have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process(command: Sequence[str], **options: Any) -> Callable[[], object]:
    """A side that runs `command` as a process, its output thrown away."""
    return lambda: subprocess.run(command, check=True, capture_output=True, **options)


def ratio(seconds: Mapping[str, Sequence[float]], over: str, under: str) -> float:
    """The median over rounds of one side's time divided by the other's."""
    return statistics.median(a / b for a, b in zip(seconds[over], seconds[under], strict=True))


def medians_ms(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each side, in milliseconds."""
    return {name: round(1000 * statistics.median(times), 3) for name, times in seconds.items()}


def gemm_flops(size: int = 1024, rounds: int = 20, dtype: torch.dtype = torch.float32) -> float:
    """FLOPs a second of a square matrix product with the threads in use: the floor to hold against."""
    a, b = (torch.rand(size, size).to(dtype) for _ in range(2))
    best = min(in_turns({"gemm": lambda: a @ b}, rounds, is_told=False)["gemm"])
    return 2 * size**3 / best


def report(name: str, figures: Mapping[str, Any]) -> None:
    """Prints the figures and writes them, with machine, command and commit, to results/NAME.json."""
    root = Path(__file__).parent
    commit = subprocess.run(["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    record = {
        "command": f"python benchmarks/{Path(sys.argv[0]).name}",
        "commit": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "machine": f"{_cpu()}, {os.cpu_count()} cores",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "figures": figures,
    }
    text = json.dumps(record, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
