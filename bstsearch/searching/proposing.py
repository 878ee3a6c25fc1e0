"""Which submodels to score next: the trained grid, then what is likely to enlarge the front most (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from bstsearch.errors import UsageError
from bstsearch.searching.admitted import Admitted
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Space, Submodel

AUTO, EXACT = "auto", "exact"
OPTUNA = ("nsga2", "nsga3", "tpe", "gp", "random")  # samplers of Optuna
ENUMERATED = 64  # spaces up to this size are listed by "auto"
SAMPLERS = (AUTO, *OPTUNA)

Cost = Callable[[Submodel], Candidate]
IsAdmitted = Callable[[Submodel], bool]
NOTHING: Mapping[Submodel, float] = {}


class Proposer(Protocol):
    """Says what to score next."""

    name: str

    @property
    def foretold(self) -> Mapping[Submodel, float]:
        """What scores it foretold of submodels that it proposed, higher better; of others, nothing."""

    def propose(self, scored: Sequence[Candidate], count: int) -> list[Submodel]:
        """Up to `count` admitted submodels of the space that are not among `scored`; fewer where there are none.

        They follow from the seed and from what is scored, in whatever order.
        """


class Strategy(Protocol):
    """Says what to score next once the trained grid has been scored."""

    @property
    def foretold(self) -> Mapping[Submodel, float]:
        """As `Proposer.foretold`."""

    def choose(
        self, scored: Sequence[Candidate], taken: Collection[Submodel], count: int, draw: np.random.Generator
    ) -> Iterable[Submodel]:
        """Up to `count` admitted submodels that are not `taken`."""


def make_proposer(
    name: str,
    space: Space,
    *,
    objectives: Objectives,
    cost: Cost,
    is_admitted: IsAdmitted = lambda _: True,
    seed: int = 0,
) -> Proposer:
    """Proposes submodels of `space` by the sampler `name`; UsageError lists the samplers.

    `cost` prices a submodel, which must take microseconds: thousands are priced for a few that are proposed.
    """
    chosen, admitted = choose_sampler(name, space), Admitted(space, is_admitted)
    if chosen == EXACT:
        return _GridFirst(chosen, admitted, _Listing(), seed)
    if chosen == AUTO:
        from bstsearch.searching.foretelling import Foretelling

        return _GridFirst(chosen, admitted, Foretelling(admitted, objectives, cost, seed), seed)
    from bstsearch.searching.optuna_sampling import OptunaSampling

    return _GridFirst(chosen, admitted, OptunaSampling(chosen, admitted, objectives, seed), seed)


def is_small(space: Space) -> bool:
    """Whether `space` is small enough to be listed."""
    return space.size <= ENUMERATED


def choose_sampler(name: str, space: Space) -> str:
    """`name`, but "exact" for "auto" in a small space; UsageError where there is no such sampler."""
    if name not in SAMPLERS:
        raise UsageError(f"unknown sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return EXACT if name == AUTO and is_small(space) else name


class _Listing:
    """Chooses nothing, so that all there is comes in its order."""

    foretold = NOTHING

    def choose(self, *_: object) -> list[Submodel]:
        """As `Strategy.choose`."""
        return []


class _GridFirst:
    """The trained grid first, so that no front is behind that of a smaller space; then what `strategy` chooses.

    Where that finds no more, what is left is listed.
    """

    def __init__(self, name: str, admitted: Admitted, strategy: Strategy, seed: int) -> None:
        self.name, self._admitted, self._strategy, self._seed = name, admitted, strategy, seed

    @property
    def foretold(self) -> Mapping[Submodel, float]:
        """As `Proposer.foretold`."""
        return self._strategy.foretold

    def propose(self, scored: Sequence[Candidate], count: int) -> list[Submodel]:
        """As `Proposer.propose`."""
        # Of one that was dropped, what was found of it is the best that is known; its interval is wide.
        found = [dataclasses.replace(one, accuracy=one.found) for one in scored if one.found is not None]
        scored = sorted(found, key=lambda one: one.id)
        taken = {one.submodel for one in scored}
        new = list(islice(self._first(taken), count))
        if len(new) < count:
            draw = np.random.default_rng([self._seed, len(scored)])
            new += self._strategy.choose(scored, taken.union(new), count - len(new), draw)
        if len(new) < count:
            rest = (one for one in self._admitted.listed() if one not in taken and one not in new)
            new += list(islice(rest, count - len(new)))
        return new

    def _first(self, taken: Collection[Submodel]) -> Iterable[Submodel]:
        """The ends of the space and the trained grid, as far as they are admitted and not taken.

        Where a width and depth of the grid is over the budget, what fits of it: no search sees what it never tried.
        """
        space = self._admitted.space
        cells = (
            next((one for one in _ever_thinner(cell, space) if one in self._admitted), cell) for cell in space.cells()
        )
        first = dict.fromkeys([space.smallest, space.largest, *cells])
        return (one for one in first if one not in taken and one in self._admitted)


def _ever_thinner(cell: Submodel, space: Space) -> Iterator[Submodel]:
    """`cell`, then submodels of its width and depth whose layers all have the same, ever smaller, choice."""
    yield cell
    layers = space.kept_layers(cell)
    for place in reversed(range(max(len(space.layer_heads), len(space.layer_ffn)))):
        heads, ffn = (choices[: place + 1][-1:] * layers for choices in (space.layer_heads, space.layer_ffn))
        yield dataclasses.replace(cell, heads=heads, ffn=ffn)
