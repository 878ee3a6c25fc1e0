"""Which submodels to score next: the trained grid, then what is likely to enlarge the front most (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from bstsearch.errors import UsageError
from bstsearch.searching.admitted import Admitted
from bstsearch.searching.costs import Objectives
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Space, Submodel

ENUMERATED = 64  # spaces up to this size are scored whole
AUTO, EXACT = "auto", "exact"
OPTUNA = ("nsga2", "nsga3", "tpe", "gp", "random")  # samplers of Optuna
SAMPLERS = (AUTO, *OPTUNA)

Cost = Callable[[Submodel], Candidate]
IsAdmitted = Callable[[Submodel], bool]


class Proposer(Protocol):
    """Says what to score next."""

    @property
    def quality(self) -> float | None:
        """The rank correlation of what it foretold with the scores that came; None where it foretells nothing."""

    def propose(self, scored: Sequence[Candidate], count: int) -> list[Submodel]:
        """Up to `count` submodels of the space that are not among `scored` and are admitted; fewer where there are none.

        They follow from the seed and from what is scored, in whatever order.
        """


class Strategy(Protocol):
    """Says what to score next once the trained grid has been scored."""

    @property
    def quality(self) -> float | None:
        """As `Proposer.quality`."""

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
    admitted, name = Admitted(space, is_admitted), choose_sampler(name, space)
    if name == EXACT:
        return _GridFirst(admitted, _Nothing(), seed)
    if name == AUTO:
        from bstsearch.searching.foretelling import Foretelling

        return _GridFirst(admitted, Foretelling(admitted, objectives, cost, seed), seed)
    from bstsearch.searching.optuna_sampling import OptunaSampling

    return _GridFirst(admitted, OptunaSampling(name, admitted, objectives, seed), seed)


def is_small(space: Space) -> bool:
    """Whether `space` is small enough to be scored whole."""
    return space.size <= ENUMERATED


def choose_sampler(name: str, space: Space) -> str:
    """`name`, or for "auto" in a small space "exact", which lists it; UsageError where there is no such sampler."""
    if name not in SAMPLERS:
        raise UsageError(f"unknown sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return EXACT if name == AUTO and is_small(space) else name


class _Nothing:
    """The strategy of a space that is listed."""

    quality = None

    def choose(
        self,
        scored: Sequence[Candidate],  # noqa: ARG002
        taken: Collection[Submodel],  # noqa: ARG002
        count: int,  # noqa: ARG002
        draw: np.random.Generator,  # noqa: ARG002
    ) -> Iterable[Submodel]:
        """None: all that is left is proposed in turn."""
        return ()


class _GridFirst:
    """The trained grid first, so that no front is behind that of a smaller space; then what `strategy` chooses."""

    def __init__(self, admitted: Admitted, strategy: Strategy, seed: int) -> None:
        self._admitted, self._strategy, self._seed = admitted, strategy, seed

    @property
    def quality(self) -> float | None:
        """As `Proposer.quality`."""
        return self._strategy.quality

    def propose(self, scored: Sequence[Candidate], count: int) -> list[Submodel]:
        """As `Proposer.propose`."""
        scored = sorted(scored, key=lambda one: one.id)
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
        """The ends of the space and the trained grid, as far as they are admitted and not taken."""
        space = self._admitted.space
        first = dict.fromkeys([space.smallest, space.largest, *space.grid()])
        return (one for one in first if one not in taken and one in self._admitted)
