"""What slimming costs a stock model of transformers: classes of BERT-base and ViT-base size, float32, one thread.

For each class, with a submodel of half its width and depth:

- "bind_ms": pointing a bound submodel at its slices, and letting go of it. Target: below 1 ms.
- "full_over_plain": bind, forward and backward of the full-size model over the plain model. Target: 1.02.
- "small_over_materialised": the same of the bound submodel over a model that owns these numbers. Target: 1.03.
- "exported_over_by_hand": forward of the exported folder, loaded by transformers, over the class built at that size.
  Target: 1.00.

Ratios are of processor time, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from binding import HALF, Figures, bind_ms, bound, plain
from bstsearch import Submodel, Supernet
from bstsearch.stock.configuration import usual_orders
from bstsearch.stock.exporting import write_stock
from bstsearch.stock.family import FAMILY
from bstsearch.stock.inspecting import inspect
from bstsearch.stock.module import get_class, stock_config
from timing import busy, in_turns, medians_ms, ratio, report, tell

CLASSES = ("BertModel", "ViTModel")  # whose own defaults are the sizes of BERT-base and ViT-base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {}
    for name in CLASSES:
        figures[name] = figures_of(name, options.batch, options.rounds)
        tell(f"{name}: {figures[name]}")
    report("stock_models", {"batch": options.batch, "rounds": options.rounds, **figures, "busy": busy()})


def figures_of(name: str, batch: int, rounds: int) -> Figures:
    """All figures of one class."""
    supernet = of_class(name)
    inputs = supernet.family.example_inputs(supernet.config, batch)
    sides = {
        "full_over_plain": (bound(supernet, Submodel(), inputs), plain(supernet.model, inputs)),
        "small_over_materialised": (bound(supernet, HALF, inputs), plain(supernet.materialise(HALF), inputs)),
        "exported_over_by_hand": both_ways(supernet, inputs),
    }
    figures: Figures = {"bind_ms": bind_ms(supernet, HALF)}
    for what, (ours, theirs) in sides.items():
        seconds = in_turns({"ours": ours, "theirs": theirs}, rounds, is_warmed=True, clock=time.process_time)
        figures[what] = round(ratio(seconds, "ours", "theirs"), 3)
        figures[f"{what}_medians_ms"] = medians_ms(seconds)
    return figures


def of_class(name: str) -> Supernet:
    """A supernet of that class with random weights, at the sizes that its configuration has by itself."""
    torch.manual_seed(0)
    config = inspect(name, get_class(name).config_class().to_dict()).config
    return Supernet(FAMILY, dataclasses.replace(config, orders=usual_orders(config))).eval()


def both_ways(supernet: Supernet, inputs: dict[str, Tensor]) -> tuple[Callable[[], None], Callable[[], None]]:
    """Forward of the exported submodel as transformers loads it, and of the same class built at that size."""
    config = FAMILY.shrink(supernet.config, HALF)
    kind = get_class(config.architecture)
    with tempfile.TemporaryDirectory() as folder:
        write_stock(supernet, HALF, Path(folder) / "none", Path(folder))
        exported = kind.from_pretrained(folder).eval()
    return forward(exported, inputs), forward(kind(stock_config(kind, config.settings)).eval(), inputs)


def forward(model: nn.Module, inputs: dict[str, Tensor]) -> Callable[[], None]:
    """A side that runs the model forward, without gradients."""

    def step() -> None:
        with torch.no_grad():
            model(**inputs)

    return step


if __name__ == "__main__":
    main()
