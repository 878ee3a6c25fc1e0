"""Problems whose front is known exactly, to compare searchers on: tabulated scores, and a large made-up space."""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from bstsearch.profiles.latency import Latency, Memory
from bstsearch.score import Accuracy
from bstsearch.searching.choices import kept_places
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Space, Submodel, triangle

QUARTERS = tuple(Fraction(n, 4) for n in (1, 2, 3, 4))
QUESTIONS = 4800

Point = tuple[float, float]  # cost, accuracy
Make = Callable[[int], "Problem"]  # from a seed


class Problem:
    """A space, what its submodels cost (MACs), how accurate they are, and its exact front within `limit`."""

    name: str
    space: Space
    questions = QUESTIONS
    limit: float | None = None

    def macs(self, submodel: Submodel) -> int:
        """What it costs."""
        raise NotImplementedError

    def accuracy(self, submodel: Submodel) -> float:
        """How accurate it is in truth."""
        raise NotImplementedError

    def correct(self, submodel: Submodel) -> int:
        """How many questions it answers right when it is scored."""
        raise NotImplementedError

    def whole_front(self) -> list[Point]:
        """The exact front without a budget."""
        raise NotImplementedError

    def is_in(self, submodel: Submodel) -> bool:
        """Whether it is known at all."""
        return submodel in self.space

    def is_admitted(self, submodel: Submodel) -> bool:
        """Whether it is known, and within the budget."""
        return self.is_in(submodel) and (self.limit is None or self.macs(submodel) <= self.limit)

    @functools.cached_property
    def front(self) -> list[Point]:
        """The exact front within the budget."""
        return [point for point in self.whole_front() if self.limit is None or point[0] <= self.limit]

    @functools.cached_property
    def corner(self) -> Point:
        """The worst cost and accuracy that count: the budget, or the front's; 5 % below the front's accuracies."""
        accuracies = [accuracy for _, accuracy in self.front]
        spread = max(accuracies) - min(accuracies)
        return self.limit or self.front[-1][0] * (1 + 1e-9), min(accuracies) - 0.05 * spread

    def share(self, points: Iterable[Point]) -> float:
        """The hypervolume of `points` as a share of the exact front's."""
        return volume(points, self.corner) / volume(self.front, self.corner)

    @functools.cache  # noqa: B019 (a problem lives as long as the program)
    def cost(self, submodel: Submodel) -> Candidate:
        """What the submodel costs, as searches take it."""
        macs = self.macs(submodel)
        ms, size = macs / 1e6, macs // 100 + 1
        return Candidate(
            submodel=submodel,
            parameters=size,
            macs=macs,
            latency=Latency(ms=ms, source="measured", low_ms=ms, high_ms=ms),
            memory=Memory(bytes=size, source="measured", low_bytes=size, high_bytes=size),
            size_bytes=4 * size,
        )


class Table(Problem):
    """Submodels of a supernet with real scores, in a file with the columns id, correct, total, macs."""

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8") as file:
            rows = {Submodel.from_id(row["id"]): row for row in csv.DictReader(file)}
        self._macs = {one: int(row["macs"]) for one, row in rows.items()}
        self._correct = {one: int(row["correct"]) for one, row in rows.items()}
        self.questions = int(next(iter(rows.values()))["total"])
        self.name = f"{len(rows)} submodels with real scores"
        self.space = Space.from_json(json.loads(path.with_name(f"{path.stem}-space.json").read_text(encoding="utf-8")))

    def macs(self, submodel: Submodel) -> int:
        """As counted."""
        return self._macs.get(submodel, 10**15)

    def accuracy(self, submodel: Submodel) -> float:
        """As scored."""
        return self._correct[submodel] / self.questions

    def correct(self, submodel: Submodel) -> int:
        """As scored."""
        return self._correct[submodel]

    def is_in(self, submodel: Submodel) -> bool:
        """Whether it is in the table."""
        return submodel in self._macs

    def whole_front(self) -> list[Point]:
        """By looking at all."""
        return undominated((macs, self.accuracy(one)) for one, macs in self._macs.items())


class Synthetic(Problem):
    """Some 1.7e10 submodels of two stacks of four layers; `draw` sets all that is not said here.

    Each layer gains from its heads and from its FFN units, with diminishing returns and an importance of its own, which
    differ by an order of magnitude. A narrow width lets each gain less. The sum is bent, so that large submodels differ
    little. A score is that of 4,800 questions answered right with this chance, independently. Every second draw has the
    triangle filter.

    For one width and depth, the best sum for each cost is built up layer by layer, which makes the front exact.
    """

    def __init__(self, draw: int, limit: float | None = None) -> None:
        random = np.random.default_rng(draw)
        depths = (Fraction(1, 2), Fraction(3, 4), Fraction(1))
        least = triangle(QUARTERS, depths) if draw % 2 else ()
        stacks = (4, 4)
        self.space = Space(
            widths=QUARTERS, depths=depths, stacks=stacks, least_depths=least, layer_heads=QUARTERS, layer_ffn=QUARTERS
        )
        self.name = f"made up, {self.space.size:.1e}"
        self._gains = random.lognormal(0, 0.8, (2, sum(stacks)))  # of heads, of FFN units
        self._bends = random.uniform(1, 5, (2, sum(stacks)))
        self._costs = [int(random.integers(8, 20)), int(random.integers(8, 30))]
        self._fixed, self._own = int(random.integers(5, 50)), random.uniform(0.0, 0.5)
        self._width_power, self._bend = random.uniform(0.2, 0.8), random.uniform(0.5, 4.0)
        self._low, self._high = random.uniform(0.3, 0.6), random.uniform(0.85, 0.99)
        self._most = self._sum(Submodel())
        self.limit = limit and limit * self.macs(Submodel())

    def macs(self, submodel: Submodel) -> int:
        """Each layer costs its heads and its FFN units, times the width."""
        layers = len(self._layers(submodel.depth))
        units = [4 * sum(row) for row in self._rows(submodel)]
        layer_cost = sum(cost * count for cost, count in zip(self._costs, units, strict=True))
        return int(1000 * (16 * self._fixed + 4 * submodel.width * (layer_cost + 4 * layers)))

    def accuracy(self, submodel: Submodel) -> float:
        """By the bent sum of gains."""
        return self._bent(self._sum(submodel))

    def correct(self, submodel: Submodel) -> int:
        """The same each time that a submodel is scored."""
        seed = int.from_bytes(hashlib.sha256(submodel.id.encode()).digest()[:8], "big")
        return int(np.random.default_rng(seed).binomial(QUESTIONS, self.accuracy(submodel)))

    def whole_front(self) -> list[Point]:
        """From the best sum for each cost, by width and depth."""
        points: list[Point] = []
        for cell in self.space.cells():
            best = np.zeros(1)  # the best sum for each cost so far, counted in quarters of heads and units
            for layer in self._layers(cell.depth):
                best = self._with_layer(best, layer)
            macs = self.macs(Submodel(width=cell.width, depth=cell.depth, heads=(), ffn=()))
            least = macs - int(
                1000 * 4 * cell.width * len(self._layers(cell.depth)) * 4 * cell.width * sum(self._costs)
            )
            points += (
                (least + int(1000 * 4 * cell.width * cost), self._bent(self._factor(cell) * best[cost]))
                for cost in np.flatnonzero(np.isfinite(best)).tolist()
            )
        return undominated(points)

    def _with_layer(self, best: np.ndarray, layer: int) -> np.ndarray:
        longer = np.full(len(best) + 4 * sum(self._costs), -np.inf)
        for heads, units in itertools.product(range(1, 5), repeat=2):
            cost = self._costs[0] * heads + self._costs[1] * units
            gain = self._gain(0, layer, heads / 4) + self._gain(1, layer, units / 4) + self._own
            longer[cost : cost + len(best)] = np.maximum(longer[cost : cost + len(best)], best + gain)
        return longer

    def _gain(self, kind: int, layer: int, share: float) -> float:
        bend = self._bends[kind, layer]
        return float(self._gains[kind, layer] * np.expm1(-bend * share) / np.expm1(-bend))

    def _sum(self, submodel: Submodel) -> float:
        rows = self._rows(submodel)
        layers = self._layers(submodel.depth)
        gains = (
            self._gain(kind, layer, float(row[n])) for kind, row in enumerate(rows) for n, layer in enumerate(layers)
        )
        return self._factor(submodel) * (sum(gains) + self._own * len(layers))

    def _factor(self, submodel: Submodel) -> float:
        return float(submodel.width) ** self._width_power

    def _bent(self, gains: float) -> float:
        bent = np.expm1(-self._bend * gains / self._most) / np.expm1(-self._bend)
        return float(self._low + (self._high - self._low) * bent)

    def _layers(self, depth: Fraction) -> list[int]:
        kept = [kept_places(int(depth * count), count) for count in self.space.stacks]
        return [
            first + place for first, places in zip((0, self.space.stacks[0]), kept, strict=True) for place in places
        ]

    def _rows(self, submodel: Submodel) -> Sequence[Sequence[Fraction]]:
        follow = (submodel.width,) * len(self._layers(submodel.depth))
        return submodel.heads or follow, submodel.ffn or follow


def undominated(points: Iterable[Point]) -> list[Point]:
    """The front among them, least cost first."""
    front: list[Point] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((cost, accuracy))
    return front


def volume(points: Iterable[Point], corner: Point) -> float:
    """The hypervolume of the points up to the corner."""
    front = undominated(point for point in points if point[0] <= corner[0] and point[1] >= corner[1])
    ends = [*(cost for cost, _ in front[1:]), corner[0]][: len(front)]
    return sum((end - cost) * (accuracy - corner[1]) for (cost, accuracy), end in zip(front, ends, strict=True))


def scored(problem: Problem, submodel: Submodel) -> Candidate:
    """The submodel once it is scored."""
    accuracy = Accuracy(correct=problem.correct(submodel), total=problem.questions)
    return dataclasses.replace(problem.cost(submodel), accuracy=accuracy)
