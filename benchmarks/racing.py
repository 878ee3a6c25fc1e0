"""What racing saves on real questions: forward passes, and the front with and without; each pass beside its floor.

    python benchmarks/racing.py [--supernet DIR] [--submodels 96] [--orders 200]

Random submodels of the supernet's space, the uniform ones first, arrive in generations as in a search. First each is
scored on the whole split; then all race. The same race is then resampled over other orders of the questions, from the
values of the first run. On an idle core the demo takes about six minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from bstsearch import DEMO, Supernet
from bstsearch.model.counting import count, fixed_macs
from bstsearch.model.supernet_folder import read_folder
from bstsearch.searching.pareto import Candidate, find_front
from bstsearch.searching.pricing import get_profile, make_pricer
from bstsearch.searching.racer import Racer
from bstsearch.searching.racing import Race, find_rivals, part_ends, read_rights
from bstsearch.searching.scoring import Outcome
from bstsearch.space import Submodel
from bstsearch.tasks import load_split, read_metric
from bstsearch.training.sandwich import draw_submodel
from timing import in_turns, report

GENERATION = 8
Score = Callable[[Candidate, dict[str, str]], Outcome]


def main() -> None:
    options = parsed()
    supernet, metric = Supernet.load(options.supernet), read_metric(options.supernet)
    split = load_split(options.supernet, "validation", data_dir=options.data_dir)
    folder = read_folder(options.supernet)
    price = make_pricer(folder, get_profile(folder, options.device, None)[1])
    arrivals = [price(submodel) for submodel in drawn(supernet, options.submodels)]
    print(f"{len(arrivals)} submodels of {options.supernet.name}, {len(split):,} questions", flush=True)
    flops, racer = flops_a_second(), Racer(supernet, split, metric)
    racer.score(supernet.space.smallest)  # computes the fixed part
    whole = Timed(racer, supernet, len(split), flops)
    scored, _ = race(arrivals, whole.score, metric, is_racing=False)
    front = find_front(scored)
    racing = Timed(racer, supernet, len(split), flops)
    raced, rows = race(arrivals, racing.score, metric, is_racing=True)
    by_id = {one.id: one for one in scored}
    shares, lost = [], 0
    for seed in range(options.orders):
        again, looked_at = race(arrivals, Resampled(by_id, metric, len(split), seed).score, metric, is_racing=True)
        shares.append(looked_at / len(split) / len(arrivals))
        lost += len({one.id for one in front} - {one.id for one in find_front(again)})
    shares.sort()
    figures = {
        "supernet": options.supernet.name,
        "questions": len(split),
        "submodels": len(arrivals),
        "front": len(front),
        "passes_share": round(rows / len(split) / len(arrivals), 3),
        "front_is_the_same": front_scores(front) == front_scores(find_front(raced)),
        "seconds_whole": round(whole.seconds, 2),
        "seconds_raced": round(racing.seconds, 2),
        "gemm_gflops": round(flops / 1e9, 1),
        "whole_over_floor": round(whole.seconds / whole.floor, 2),
        "resampled": {
            "orders": len(shares),
            "passes_share": {name: round(shares[int(at * (len(shares) - 1))], 3) for name, at in AT.items()},
            "members_lost": lost,
            "members_held": len(front) * len(shares),
        },
    }
    report(f"racing-{options.supernet.name}", figures)


AT = {"least": 0.0, "median": 0.5, "most": 1.0}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--supernet", type=Path, default=DEMO)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--device", default="pixel7")
    parser.add_argument("--submodels", type=int, default=96)
    parser.add_argument("--orders", type=int, default=200)
    return parser.parse_args()


def drawn(supernet: Supernet, number: int) -> list[Submodel]:
    """The uniform submodels, then random ones, each once; of a space of uniform ones only, the elastic ones around."""
    space, source = supernet.space, random.Random(0)
    found = list(space.uniform.grid())
    space = space if space.is_elastic else space.elastic
    while len(found) < number:
        found = list(dict.fromkeys([*found, draw_submodel(space, source)]))
    return found[:number]


def flops_a_second(size: int = 1024) -> float:
    """Of a square matrix product, by the processor's time as below."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    return 2 * size**3 / min(in_turns({"gemm": lambda: a @ b}, 20, clock=time.process_time)["gemm"])


class Timed:
    """Scores on the supernet, prints what each took, and adds up seconds and their floor."""

    def __init__(self, racer: Racer, supernet: Supernet, questions: int, flops: float) -> None:
        self.racer, self.supernet, self.questions, self.flops = racer, supernet, questions, flops
        self.fixed = fixed_macs(supernet.family, supernet.config)
        self.seconds = self.floor = 0.0

    def score(self, candidate: Candidate, rivals: dict[str, str]) -> Outcome:
        """As `Scorer.score`."""
        start = time.process_time()  # beside other programs the clock on the wall would count their time
        found = self.racer.score(candidate.submodel, rivals)
        seconds = time.process_time() - start
        macs = count(self.supernet.family, self.supernet.config, candidate.submodel).macs - self.fixed
        floor = 2 * macs * found.score.total / self.flops
        self.seconds, self.floor = self.seconds + seconds, self.floor + floor
        words = "" if found.is_whole else f", beaten by {found.beaten_by}"
        print(
            f"{candidate.id}: {found.score.value:.4f} on {found.score.total:,} rows, {seconds:.2f} s "
            f"({seconds / floor:.1f} times the floor){words}",
            flush=True,
        )
        return found


class Resampled:
    """Scores from the values of an earlier run, the questions in another order."""

    def __init__(self, scored: dict[str, Candidate], metric: object, questions: int, seed: int) -> None:
        self.scored, self.metric = scored, metric
        self.rows = np.random.default_rng(1000 + seed).permutation(questions)

    def score(self, candidate: Candidate, rivals: dict[str, str]) -> Outcome:
        """As `Scorer.score`."""
        known = self.scored[candidate.id]
        values = read_rights(known.rights, len(self.rows))
        contest = Race.of(rivals, len(self.rows), self.metric)
        for end in part_ends(len(self.rows))[:-1]:
            rows = self.rows[:end]
            if winner := contest.winner(values[rows], rows):
                return Outcome(score=dataclasses.replace(known.accuracy, correct=0, total=end), beaten_by=winner)
        return Outcome(score=known.accuracy, rights=known.rights)


def race(
    arrivals: Sequence[Candidate], score: Score, metric: object, *, is_racing: bool
) -> tuple[list[Candidate], int]:
    """The candidates, scored in generations, and on how many rows together."""
    found: list[Candidate] = []
    rows = 0
    for start in range(0, len(arrivals), GENERATION):
        earlier = list(found)
        for candidate in arrivals[start : start + GENERATION]:
            outcome = score(candidate, find_rivals(candidate, earlier, metric) if is_racing else {})
            rows += outcome.score.total
            found.append(outcome.of(candidate))
    return found, rows


def front_scores(front: Sequence[Candidate]) -> list[tuple[str, float]]:
    return [(one.id, one.score) for one in front]


if __name__ == "__main__":
    main()
