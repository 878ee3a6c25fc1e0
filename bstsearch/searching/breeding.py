"""New submodels made from known ones: crossed, changed in a choice or two, made smaller until they fit (no torch)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from bstsearch.searching.choices import Choices, Row
from bstsearch.space import Space, Submodel

IsAdmitted = Callable[[Submodel], bool]

CROSSED = 0.5  # of the children have two parents
STRAY = 0.1  # are drawn at random
WALKED = 4096  # spaces, or what a budget leaves of them, up to this size are walked through


class Breeder:
    """Makes submodels of a space that are admitted, from rows of its choices."""

    def __init__(self, space: Space, is_admitted: IsAdmitted) -> None:
        self.choices = Choices(space)
        self._space, self._is_admitted = space, is_admitted

    def children(self, parents: Sequence[Row], draw: random.Random, count: int) -> list[tuple[Submodel, Row]]:
        """`count` children or fewer, each once and each admitted, with their rows; of no parents random ones."""
        found: dict[Submodel, Row] = {}
        for _ in range(count):
            row = self.fitted(self._child(parents, draw), draw)
            if row is not None:
                found.setdefault(self.choices.submodel(row), row)
        return list(found.items())

    def fitted(self, row: Row, draw: random.Random) -> Row | None:
        """`row`, or the first of its descent that is admitted; None where the smallest submodel is not.

        By bisection: costs fall along the descent, as good as always.
        """
        settled = self.choices.settled(row)
        if self._is_admitted(self.choices.submodel(settled)):
            return settled
        path = self.choices.descent(row, draw)
        over, within = 0, len(path) - 1
        while within - over > 1:
            middle = (over + within) // 2
            if self._is_admitted(self.choices.submodel(path[middle])):
                within = middle
            else:
                over = middle
        return path[within] if self._is_admitted(self.choices.submodel(path[within])) else None

    def listed(self) -> Iterator[Submodel]:
        """All admitted submodels of a space that is small enough to be walked through.

        Of a larger one those that growth from the smallest reaches, one choice one step larger at a time, without
        leaving what is admitted: all, where costs never fall as a choice grows. Look at few of them.
        """
        if self._space.size <= WALKED:
            yield from filter(self._is_admitted, self._space)
            return
        smallest = self._space.smallest
        front = [self.choices.row(smallest)] if self._is_admitted(smallest) else []
        seen = {smallest}
        while front:
            row = front.pop()
            yield self.choices.submodel(row)
            for grown in self._grown(row):
                submodel = self.choices.submodel(grown)
                if submodel not in seen and self._is_admitted(submodel):
                    seen.add(submodel)
                    front.append(grown)

    def _grown(self, row: Row) -> Iterator[Row]:
        for name, options in self.choices.options.items():
            index = options.index(row[name]) + 1
            if index < len(options):
                yield self.choices.settled(row | {name: options[index]})

    def _child(self, parents: Sequence[Row], draw: random.Random) -> Row:
        if not parents or draw.random() < STRAY:
            return self.choices.random_row(draw)
        one = self._whole(draw.choice(parents), draw)
        if draw.random() < CROSSED:
            other = self._whole(draw.choice(parents), draw)
            one = {name: draw.choice((share, other[name])) for name, share in one.items()}
        return self._changed(one, draw)

    def _whole(self, row: Row, draw: random.Random) -> Row:
        """`row` with random choices for the layers that it does not keep, which a deeper child may."""
        kept = self.choices.kept(row)
        return {name: share if name in kept else draw.choice(self.choices.options[name]) for name, share in row.items()}

    def _changed(self, row: Row, draw: random.Random) -> Row:
        """`row` with one to three choices changed, most often by a step."""
        kept = sorted(self.choices.kept(row))
        for name in draw.sample(kept, min(len(kept), draw.choice((1, 1, 2, 3)))):
            options = self.choices.options[name]
            index = options.index(row[name]) + draw.choice((-1, 1))
            row[name] = options[index] if 0 <= index < len(options) else draw.choice(options)
        return row
