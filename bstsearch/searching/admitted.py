"""The part of a space that is within the budget: submodels are made smaller until they fit, or listed (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bstsearch.searching.choices import Choices, Rows
from bstsearch.space import Space, Submodel

LISTED = 2048  # spaces up to this size are listed


class Admitted:
    """The submodels of `space` that `is_admitted`."""

    def __init__(self, space: Space, is_admitted: Callable[[Submodel], bool]) -> None:
        self.space, self.choices, self._is_admitted = space, Choices(space), is_admitted

    @property
    def is_small(self) -> bool:
        """Whether the space is small enough to be listed."""
        return self.space.size <= LISTED

    def __contains__(self, submodel: Submodel) -> bool:
        return submodel in self.space and self._is_admitted(submodel)

    def drawn(self, draw: np.random.Generator, count: int) -> list[Submodel]:
        """Up to `count` at random, small and large ones."""
        return self.fitted(self.choices.drawn(draw, count), draw)

    def fitted(self, rows: Rows, draw: np.random.Generator) -> list[Submodel]:
        """The submodels of settled rows, each once, made smaller where they are over the budget until they just fit."""
        submodels = self.choices.submodels(rows)
        found = [
            one if self._is_admitted(one) else self._descended(row, draw)
            for one, row in zip(submodels, rows, strict=True)
        ]
        return list(dict.fromkeys(one for one in found if one is not None))

    def listed(self) -> Iterator[Submodel]:
        """All of them where the space is small.

        Of a large one those that growth from the smallest reaches, one choice one option larger at a time, without
        leaving the budget: all, where costs never fall as a choice grows. There may be very many.
        """
        if self.is_small:
            yield from filter(self._is_admitted, self.space)
            return
        smallest = self.space.smallest
        seen, waiting = {smallest}, [self.choices.row(smallest)] if self._is_admitted(smallest) else []
        while waiting:
            row = waiting.pop(0)
            yield from self.choices.submodels(row[None])
            grown = self.choices.grown(row)
            for one, larger in zip(self.choices.submodels(grown), grown, strict=True):
                if one not in seen and self._is_admitted(one):
                    seen.add(one)
                    waiting.append(larger)

    def _descended(self, row: Rows, draw: np.random.Generator) -> Submodel | None:
        """The first of the row's descent that is admitted, by bisection: costs fall along it, as good as always.

        None where the smallest submodel is not admitted.
        """
        path = self.choices.descent(draw, row)
        over, within = 0, len(path) - 1
        while within - over > 1:
            middle = (over + within) // 2
            if self._is_admitted(self._at(path, middle)):
                within = middle
            else:
                over = middle
        found = self._at(path, within)
        return found if self._is_admitted(found) else None

    def _at(self, path: Rows, place: int) -> Submodel:
        return self.choices.submodels(path[place : place + 1])[0]
