"""How long a search takes to price a submodel: all costs as sums over layers, beside counting its model by fvcore.

    python benchmarks/pricing.py        a minute

Random submodels of the elastic space, of easy-vqa's supernet and of full-size MCAN; on a measured device, where latency
and memory are sums of blocks, and on an estimated one, where live sets of activations are found the first time. The
floor is one look into a dictionary for each layer. Multiply-adds of those that are counted are compared as integers.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bstsearch.model.cost_table import shipped_preset
from bstsearch.model.counting import count
from bstsearch.model.lookup import restored
from bstsearch.model.supernet_folder import SUPERNETS, SupernetFolder, read_folder
from bstsearch.searching.pricing import get_profile, make_pricer
from bstsearch.space import Submodel
from bstsearch.training.sandwich import draw_submodel
from timing import report

PRICED, COUNTED = 1500, 20  # submodels; a search re-breeds as many as the first for one proposal
MEASURED, ESTIMATED = "x86-xeon-2core", "pixel7"


def main() -> None:
    mcan = shipped_preset("mcan-vqa-v2")
    assert mcan is not None
    report("pricing", {folder.path.name: _figures(folder) for folder in (read_folder(SUPERNETS / "easy-vqa"), mcan)})


def _figures(folder: SupernetFolder) -> dict[str, Any]:
    folder = dataclasses.replace(folder, space=folder.space.elastic)
    submodels = [draw_submodel(folder.space, random.Random(seed)) for seed in range(PRICED)]
    family, config = restored(folder.family, folder.config)
    figures: dict[str, Any] = {}
    for device in (MEASURED, ESTIMATED):
        _, profile = get_profile(folder, device, Path("profiles"))
        price = make_pricer(folder, profile)
        figures[f"us_the_first_time_on_{device}"] = _microseconds(price, submodels)
        figures[f"us_to_price_on_{device}"] = _microseconds(price, submodels)
        print(folder.path.name, device, figures[f"us_to_price_on_{device}"], "us", flush=True)
    figures["us_to_count"] = _microseconds(lambda one: count(family, config, one), submodels[:COUNTED])
    print(folder.path.name, "counted", figures["us_to_count"], "us", flush=True)
    equal = [price(one).macs == count(family, config, one).macs for one in submodels[:COUNTED]]
    layers = [range(folder.space.kept_layers(one)) for one in submodels]
    known = dict.fromkeys(range(100), 1)
    start = time.perf_counter()
    for row in layers:
        sum([known[layer] for layer in row])
    figures["us_floor"] = round((time.perf_counter() - start) / PRICED * 1e6, 2)
    return {**figures, "counts_that_are_equal": f"{sum(equal)} of {len(equal)}"}


def _microseconds(cost: Callable[[Submodel], object], submodels: Sequence[Submodel]) -> float:
    """The processor's time for each."""
    start = time.process_time()
    for submodel in submodels:
        cost(submodel)
    return round((time.process_time() - start) / len(submodels) * 1e6, 1)


if __name__ == "__main__":
    main()
