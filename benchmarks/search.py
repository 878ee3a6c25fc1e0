"""How many scores searchers need: the share of the exact front's hypervolume after so many of them.

    python benchmarks/search.py                                      the large spaces that are made up
    python benchmarks/search.py --table scores.csv                   and submodels with real scores
    python benchmarks/search.py --searchers "auto,Optuna GP" --seeds 5

The table has the columns id, correct, total and macs; beside it lies its space (scores-space.json). Problems are run
without a budget, and with 40 % of the largest submodel's MACs. Each seed of a made-up problem is one of five draws.
Every searcher scores each submodel once; `auto` in generations of eight, its peers one after the other, which favours
them. It needs `pip install pymoo`.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from search_problems import Make, Problem, Synthetic, Table
from searchers import SEARCHERS, Search
from timing import RESULTS, report

AT = (25, 50, 100, 200)
ENOUGH = 0.99
BUDGET = 0.4
DRAWS = 5
TRIED = 32  # scores of the first run, which tells how long all of them take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--only", help="problems, such as 'made up' or 'real, 40%%'")
    parser.add_argument("--searchers", default=",".join(SEARCHERS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--scores", type=int, default=max(AT), help="at most, in one run")
    parser.add_argument("--name", default="search", help="of the file in results/")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    names = options.searchers.split(",")
    problems = {label: make for label, make in _problems(options.table).items() if options.only in (None, label)}
    print(f"expected: {_expected(problems, names, options.seeds, options.scores) / 60:.0f} min", flush=True)
    figures = _kept(options.name)
    for (label, make), name in itertools.product(problems.items(), names):
        runs = [run(SEARCHERS[name], make(seed), seed, options.scores) for seed in range(options.seeds)]
        figures[f"{label}: {name}"] = _summary(runs, options.scores)
        print(f"{label}: {name}: {figures[f'{label}: {name}']}", flush=True)
    report(options.name, figures)


def _kept(name: str) -> dict[str, Any]:
    """The figures of earlier runs, which are added to: with few seeds, all searchers take hours."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else {}


def run(search: Callable[[Problem, int], Search], problem: Problem, seed: int, scores: int) -> dict[str, Any]:
    """The share of the front after each score, and the processor time that the searcher took for one."""
    points, shares, start = [], [], time.process_time()
    found = search(problem, seed)
    spent = 0.0
    for _ in range(scores):
        start = time.process_time()
        one = next(found, None)
        spent += time.process_time() - start
        if one is None:
            break
        points.append((one.macs, problem.accuracy(one.submodel)))
        shares.append(problem.share(points))
    return {"shares": shares, "ms": 1000 * spent / len(shares)}


def _problems(table: Path | None) -> dict[str, Make]:
    found: dict[str, Make] = {
        "made up": lambda seed: _made_up(seed % DRAWS, None),
        f"made up, {BUDGET:.0%}": lambda seed: _made_up(seed % DRAWS, BUDGET),
    }
    if table:
        whole, part = Table(table), Table(table)
        part.limit = BUDGET * whole.whole_front()[-1][0]
        found |= {"real": lambda _: whole, f"real, {BUDGET:.0%}": lambda _: part}
    return found


@functools.cache
def _made_up(draw: int, limit: float | None) -> Synthetic:
    return Synthetic(draw, limit)


def _expected(problems: dict[str, Make], names: list[str], seeds: int, scores: int) -> float:
    """Seconds, by one short run of each searcher on the first problem."""
    make, seconds = next(iter(problems.values())), 0.0
    for name in names:
        start = time.perf_counter()
        run(SEARCHERS[name], make(0), 0, TRIED)
        seconds += (time.perf_counter() - start) * scores / TRIED
    return 1.3 * seconds * seeds * len(problems)


def _summary(runs: list[dict[str, Any]], scores: int) -> dict[str, Any]:
    at = {count: [one["shares"][min(count, len(one["shares"])) - 1] for one in runs] for count in AT if count <= scores}
    needed = [next((n for n, share in enumerate(one["shares"], 1) if share >= ENOUGH), scores + 1) for one in runs]
    median = statistics.median(needed)
    return {
        "seeds": len(runs),
        **{str(count): round(statistics.mean(shares), 3) for count, shares in at.items()},
        "scores to 99 %": median if median <= scores else f"> {scores}",
        "reached by": sum(count <= scores for count in needed),
        "ms a proposal": round(statistics.mean(one["ms"] for one in runs), 1),
    }


if __name__ == "__main__":
    main()
