"""What computing with slices costs: of a model as large as BERT-base, and of the demo.

- "bind_ms": pointing a bound submodel at its slices, and letting go of it; nothing is computed. Target: below 1 ms.
- "full_over_plain": bind, forward and backward of the full-size model over the plain model. Target: 1.02.
- "small_over_materialised": the same of a small bound submodel over a model that owns these numbers. Target: 1.03.

Ratios are of processor time, which other programs disturb less. `--also PATH` measures the first one with another
checkout of this package, too: what it was before a change.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor, nn

from bstsearch import DEMO, Submodel, Supernet
from bstsearch.model.lookup import get_preset
from timing import busy, in_turns, medians_ms, ratio, report

HALF = Submodel(width=Fraction(1, 2), depth=Fraction(1, 2))
THREE_QUARTERS = Submodel(width=Fraction(3, 4))
BINDS = 50
Figures = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--also", type=Path, metavar="PATH", help="a checkout of another version of bstsearch")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bind-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.bind_only:
        print(json.dumps(bind_figures()))
        return
    figures: Figures = {"bind_ms": bind_figures()}
    if options.also:
        figures["bind_ms_before"] = json.loads(elsewhere(options.also))
    report("binding", {**figures, **step_figures(options.batch, options.rounds), "busy": busy()})


def elsewhere(checkout: Path) -> str:
    """What this script prints of the bind times of another version."""
    command = [sys.executable, __file__, "--bind-only"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(checkout)}).stdout


def base() -> Supernet:
    """Twelve layers of 768, twelve heads and 3,072 FFN units."""
    torch.manual_seed(0)
    return Supernet(*get_preset("uniter-base"))


def bind_figures() -> dict[str, dict[str, float]]:
    """Milliseconds of a bind, by model and submodel."""
    demo = Supernet.load(DEMO)
    chosen = {"uniter-base": (base(), [THREE_QUARTERS, HALF]), "demo": (demo, [demo.space.middle])}
    return {name: {one.id: bind_ms(supernet, one) for one in ids} for name, (supernet, ids) in chosen.items()}


def bind_ms(supernet: Supernet, submodel: Submodel) -> float:
    """The median of fifty binds, after one that builds the small model."""
    seconds = []
    for _ in range(BINDS + 1):
        start = time.perf_counter()
        with supernet.bind(submodel):
            pass
        seconds.append(time.perf_counter() - start)
    return round(1000 * statistics.median(seconds[1:]), 3)


def step_figures(batch: int, rounds: int) -> Figures:
    """Ratios and medians of forward and backward, whose gradients add up on both sides, as within a step."""
    supernet = base()
    inputs = supernet.family.example_inputs(supernet.config, batch)
    pairs = {
        "full_over_plain": (bound(supernet, Submodel(), inputs), plain(supernet.model, inputs)),
        "small_over_materialised": (bound(supernet, HALF, inputs), plain(supernet.materialise(HALF), inputs)),
    }
    figures: Figures = {"batch": batch, "rounds": rounds}
    for name, (ours, theirs) in pairs.items():
        sides = {"ours": ours, "theirs": theirs}
        seconds = in_turns(sides, rounds, is_warmed=True, clock=time.process_time)
        figures[name] = round(ratio(seconds, "ours", "theirs"), 3)
        figures[f"{name}_medians_ms"] = medians_ms(seconds)
    return figures


def bound(supernet: Supernet, submodel: Submodel, inputs: dict[str, Tensor]) -> Callable[[], None]:
    """A side that binds the submodel, and runs forward and backward of it."""

    def step() -> None:
        with supernet.bind(submodel) as model:
            model(**inputs).square().sum().backward()

    return step


def plain(model: nn.Module, inputs: dict[str, Tensor]) -> Callable[[], None]:
    """A side that runs forward and backward of a model with parameters of its own."""

    def step() -> None:
        model(**inputs).square().sum().backward()

    return step


if __name__ == "__main__":
    main()
