"""What an elastic space brings: the front of a finished search beside that of the uniform submodels.

    python benchmarks/elastic.py --front DIR [--samples 2000]

DIR is the folder of a finished `bstsearch pareto` on an elastic supernet. Both fronts are of its weights, and chosen
by the validation part. Here their members answer the test part, which took no part in the choice. Told are both
hypervolumes (accuracy up, GFLOPs down), their ratio, and its 95 % interval: test questions are drawn again with
replacement, the same for all submodels. Then the rows of the front that are each better than the one told before by
more than chance makes likely (McNemar's test, 5 %). A few minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import moocore
import numpy as np
from numpy.typing import NDArray

from bstsearch import Supernet
from bstsearch.searching.front_file import NAME, read_front
from bstsearch.searching.pareto import Candidate, find_front
from bstsearch.searching.racing import chance
from bstsearch.tasks import load_split
from bstsearch.tasks.evaluation import outputs_of
from timing import report

Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--front", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args()
    file = read_front(options.front / NAME)
    path = Path(file.origin.supernet["path"])
    supernet, split = Supernet.load(path), load_split(path, "test")
    uniform_space = supernet.space.uniform
    uniform = find_front([one for one in file.candidates if one.submodel in uniform_space], file.objectives)
    rights = {}
    for one in dict.fromkeys([*file.front, *uniform]):
        values = split.values(outputs_of(supernet, one.submodel, split))
        assert values is not None
        rights[one.id] = values.double().numpy()
        print(f"{one.id}: {one.gflops:.4f} GFLOPs, test {100 * rights[one.id].mean():.2f} %", flush=True)
    costs = {one.id: one.gflops / file.full.gflops for one in file.candidates}
    draw = np.random.default_rng(0)
    volumes = {
        name: [_volume(rows, costs, rights, None)] for name, rows in (("elastic", file.front), ("uniform", uniform))
    }
    ratios = []
    for _ in range(options.samples):
        drawn = draw.integers(0, len(split), len(split))
        elastic, plain = (_volume(rows, costs, rights, drawn) for rows in (file.front, uniform))
        ratios.append(elastic / plain)
    low, high = np.quantile(ratios, [0.025, 0.975])
    steps = list(_steps(file.front, rights))
    report(
        f"elastic-{path.name}",
        {
            "supernet": path.name,
            "questions": len(split),
            "scores": file.trials,
            "front": len(file.front),
            "uniform_front": len(uniform),
            "hypervolume_elastic": round(volumes["elastic"][0], 4),
            "hypervolume_uniform": round(volumes["uniform"][0], 4),
            "ratio": round(volumes["elastic"][0] / volumes["uniform"][0], 4),
            "ratio_interval": [round(float(low), 4), round(float(high), 4)],
            "rows_each_significantly_better": steps,
        },
    )


def _volume(rows: Sequence[Candidate], costs: dict[str, float], rights: dict[str, Array], drawn: Array | None) -> float:
    """The share of the box from no cost to the full model's, and from no right answer to all, that `rows` dominate."""
    points = [[costs[one.id], 1 - float(_mean(rights[one.id], drawn))] for one in rows]
    return float(moocore.hypervolume(points, ref=[1.0, 1.0]))


def _mean(values: Array, drawn: Array | None) -> float:
    return float((values if drawn is None else values[drawn]).mean())


def _steps(front: Sequence[Candidate], rights: dict[str, Array], unlikely: float = 0.05) -> list[str]:
    """A chain of rows of rising cost, each better than the one before by more than chance makes likely."""
    chain = list(front[:1])
    for one in front[1:]:
        if 2 * chance(rights[one.id] - rights[chain[-1].id]) < unlikely:
            chain.append(one)
    return [f"{one.id} {100 * rights[one.id].mean():.2f} %" for one in chain]


if __name__ == "__main__":
    main()
