"""What submodels cost at the moment: from what was known at the start on, as is seen while they answer (no torch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

SHARE = 0.75  # of what is seen, how much should take no longer than is expected
QUICKLY, SLOWLY = 0.1, 0.01  # by what share an expectation moves with what is seen


class Quantile:
    """A number above which lie 1 - `share` of those that are seen, the latest counting most."""

    def __init__(self, start: float, share: float = SHARE, step: float = QUICKLY) -> None:
        self.value, self._share, self._step = start, share, step

    def see(self, number: float) -> None:
        """Moves up where `number` is larger, and down where it is not, by shares that balance at the quantile."""
        self.value *= math.exp(self._step * (self._share if number > self.value else self._share - 1))


class LiveCosts:
    """Seconds that each submodel takes for a request, the most accurate first; `start` is for its model alone.

    All of them share the pace of the machine: one that has not answered for long is not taken for as slow as it was
    when others kept the machine busy. What is around the model (decoding, handing over) costs the same for each.
    `loading` tells what it takes to have a submodel in memory, if it is not there.
    """

    def __init__(self, start: Mapping[str, float], loading: Callable[[str], float] = lambda _: 0.0) -> None:
        self.names = tuple(start)
        self._typical = {name: Quantile(seconds, step=SLOWLY) for name, seconds in start.items()}
        self._pace = Quantile(1.0)
        self._around = Quantile(min(start.values()) / 10)
        self._loading = loading

    def seconds(self, name: str) -> float:
        """How long the submodel of that id will take to answer one request."""
        return self.model_seconds(name) + self._around.value + self._loading(name)

    def model_seconds(self, name: str) -> float:
        """How long its model alone will take."""
        return self._pace.value * self._typical[name].value

    def saw(self, name: str, model_s: float, around_s: float | None) -> None:
        """A request was answered, and took so long in the submodel's model and around it (None: unlike most)."""
        typical = self._typical[name]
        self._pace.see(model_s / typical.value)
        typical.see(model_s / self._pace.value)
        if around_s is not None:
            self._around.see(around_s)
