"""What a model costs on any device: parameters and multiply-adds, and what follows from them (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from bstsearch.reading import Whole

Amounts = tuple[Whole, Whole, Whole]  # the fields of a cost, in order


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """Parameters, and multiply-adds (MACs) at batch 1.

    `recurrent_macs` of them are products that each wait for the one before: an LSTM's hidden-to-hidden ones.
    They are products with vectors, whose time is that of reading the weights once for every step.

    >>> cost = Cost(parameters=9_533_963, macs=82_279_936, recurrent_macs=14_680_064)
    >>> round(cost.gflops, 4), cost.size_bytes, cost.recurrent_bytes
    (0.1646, 38135852, 58720256)
    """

    parameters: int
    macs: int
    recurrent_macs: int = 0

    @classmethod
    def of(cls, amounts: Iterable[int]) -> Cost:
        """The cost whose fields are these, in order."""
        parameters, macs, recurrent_macs = amounts
        return cls(parameters=parameters, macs=macs, recurrent_macs=recurrent_macs)

    @property
    def gflops(self) -> float:
        """Floating-point operations in units of 1e9, two to a multiply-add."""
        return 2 * self.macs / 1e9

    @property
    def recurrent_bytes(self) -> int:
        """Bytes of float32 weights read for the recurrent products: each weight takes part in one MAC a step."""
        return 4 * self.recurrent_macs

    @property
    def size_bytes(self) -> int:
        """Bytes of the parameters in float32."""
        return 4 * self.parameters

    @property
    def amounts(self) -> Amounts:
        """Its fields, in order."""
        return self.parameters, self.macs, self.recurrent_macs


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs.

    >>> total([Cost(parameters=1, macs=2), Cost(parameters=3, macs=5)])
    Cost(parameters=4, macs=7, recurrent_macs=0)
    """
    return Cost.of(map(sum, zip((0, 0, 0), *(cost.amounts for cost in costs), strict=True)))
