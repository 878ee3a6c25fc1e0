"""What submodels cost, without torch where it is known: from a table that ships, or from the user's cache folder.

The rest is counted, and kept in that folder, one file for an architecture of this package's families (other people's
code may change without a sign). A file that is broken, or was counted by other code than this, is as good as none;
where none can be written, the next process counts again.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bstsearch import doors
from bstsearch.environment import cache_folder
from bstsearch.errors import BstsearchError, InputError
from bstsearch.listener import SILENT, Listener
from bstsearch.measuring.selection import alike, measured_space
from bstsearch.model.cost import Cost
from bstsearch.model.cost_table import CostTable, shipped_table
from bstsearch.reading import digest, read_json, said
from bstsearch.space import FLOAT32
from bstsearch.writing import write_json

if TYPE_CHECKING:
    from bstsearch.model.layer_costs import Ratio
    from bstsearch.model.supernet_folder import SupernetFolder
    from bstsearch.space import Space, Submodel

Value = TypeVar("Value", Cost, int)

PACKAGE = Path(__file__).parents[1]
# The code that a count depends on.
COUNTING = ("space.py", "model/*.py", "graphs/*.py", "measuring/workload.py")
MODELS = ("families/*.py", "layers/*.py")


class KnownCosts:
    """The costs of the submodels of one supernet or preset: sums over their layers, else each counted at most once."""

    def __init__(self, folder: SupernetFolder, listener: Listener = SILENT) -> None:
        self._listener = listener
        self._folder, self._table, self._has_read_cache = folder, shipped_table(folder), False
        self._has_composed = False
        self._live: dict[tuple[Ratio, Ratio, Ratio], int] = {}

    def cost(self, submodel: Submodel) -> Cost:
        """Parameters and multiply-adds, in microseconds once layers are known; InputError where it cannot be counted.

        What layers cost is found when a submodel is asked for that no table tells of.
        """
        if found := _summed(self._table, submodel):
            return found
        submodel = submodel.at(FLOAT32)  # which neither of the two depends on
        if not self._has_composed and self._read(lambda table: _told(table, submodel)) is None:
            self._compose()
        return self._find(lambda table: _told(table, submodel), lambda: self._counted(submodel))

    @property
    def fixed_macs(self) -> int:
        """The multiply-adds that every submodel has: those of the part that is never slimmed."""
        return self._find(lambda table: table.fixed_macs, self._counted_fixed)

    def live_bytes(self, submodel: Submodel) -> int:
        """The largest live set of activations, that of the hungriest of its layers' shares."""
        width, tokens = submodel.width.as_integer_ratio(), submodel.tokens.as_integer_ratio()
        shares = {width, *map(Fraction.as_integer_ratio, (*submodel.heads, *submodel.ffn))}
        return max([self._live_of(width, tokens, share) for share in shares])

    def _live_of(self, width: Ratio, tokens: Ratio, share: Ratio) -> int:
        """The largest live set of the submodels of that width and those tokens whose layers all have that share."""
        found = self._live.get((width, tokens, share))
        if found is None:
            one = alike(self._measured, Fraction(*width), Fraction(*share), Fraction(*tokens)).at(FLOAT32)
            found = self._live[width, tokens, share] = self._live_bytes(one)
        return found

    @functools.cached_property
    def _measured(self) -> Space:
        return measured_space(self._folder.space, is_layerwise=True)

    def _live_bytes(self, submodel: Submodel) -> int:
        return self._find(lambda table: table.live_bytes.get(submodel.id), lambda: self._counted_live(submodel))

    def _find(self, read: Callable[[CostTable], Value | None], count: Callable[[], CostTable]) -> Value:
        found = self._read(read)
        if found is None:
            with self._counting():
                counted = count()
            self._keep(counted)
            found = read(counted)
            assert found is not None
        return found

    def _read(self, read: Callable[[CostTable], Value | None]) -> Value | None:
        """What `read` finds in what is known, the user's cache included."""
        found = read(self._table)
        if found is None and not self._has_read_cache:
            self._table, self._has_read_cache = self._table.merged(read_cached(self._folder)), True
            found = read(self._table)
        return found

    def _keep(self, counted: CostTable) -> None:
        self._table = self._table.merged(counted)
        keep(counted)

    def _compose(self) -> None:
        """Finds what the layers of the space's submodels cost; nothing where it cannot: each is counted then.

        What is wrong with a single one is told when that one is counted.
        """
        from bstsearch.model.composing import compose

        self._has_composed = True
        with contextlib.suppress(InputError), self._counting():
            if layers := compose(*self._model, self._folder.space, self._listener):
                self._keep(CostTable(folder=self._folder, layers=layers))

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        """InputError where the family's code, which is ours, cannot run at these sizes: they take too much memory."""
        try:
            yield
        except (RuntimeError, MemoryError, ValueError, ArithmeticError) as error:
            if not doors.is_ours("family", self._folder.family):
                raise
            raise InputError(f"{self._folder.family} cannot be counted at these sizes: {said(error)}") from error

    @functools.cached_property
    def _model(self) -> tuple[Any, Any]:
        from bstsearch.model.lookup import restored

        return restored(self._folder.family, self._folder.config)

    def _counted(self, submodel: Submodel) -> CostTable:
        from bstsearch.model.counting import count

        return CostTable(folder=self._folder, costs={submodel.id: count(*self._model, submodel, self._listener)})

    def _counted_fixed(self) -> CostTable:
        from bstsearch.model.counting import fixed_macs

        return CostTable(folder=self._folder, fixed_macs=fixed_macs(*self._model))

    def _counted_live(self, submodel: Submodel) -> CostTable:
        from bstsearch.measuring.workload import live_set

        return CostTable(folder=self._folder, live_bytes={submodel.id: live_set(self._folder, submodel)})


def _summed(table: CostTable, submodel: Submodel) -> Cost | None:
    return table.layers.cost(submodel) if table.layers else None


def _told(table: CostTable, submodel: Submodel) -> Cost | None:
    return _summed(table, submodel) or table.costs.get(submodel.id)


def cache_file(folder: SupernetFolder) -> Path:
    """Where costs of that architecture are kept; DeviceError where the user has no home."""
    return cache_folder() / "bstsearch" / "costs" / f"{folder.architecture}.json"


def read_cached(folder: SupernetFolder) -> CostTable:
    """What earlier processes counted of that architecture; an empty table where that is nothing, or cannot be read."""
    if not doors.is_ours("family", folder.family):  # whose code is no part of the digest
        return CostTable(folder=folder)
    with contextlib.suppress(BstsearchError, OSError):
        data = read_json(cache_file(folder))
        table = CostTable.from_json(data)
        if (data.get("counted_by"), table.folder.architecture) == (_counted_by(), folder.architecture):
            return table
    return CostTable(folder=folder)


def keep(table: CostTable) -> None:
    """Adds `table` to what is kept of its architecture; where that cannot be written, nothing happens.

    When two processes write at once, one may lose what it added; it is then counted again another time.
    """
    if not doors.is_ours("family", table.folder.family):
        return
    with contextlib.suppress(BstsearchError, OSError):
        known = read_cached(table.folder).merged(table)
        write_json(cache_file(table.folder), {"counted_by": _counted_by(), **known.to_json()})


@functools.cache
def _counted_by() -> str:
    """A digest of the code that counts, so that another version's numbers are not taken for this one's."""
    files = [path for pattern in (*COUNTING, *MODELS) for path in sorted(PACKAGE.glob(pattern))]
    if not files:
        raise InputError(f"{PACKAGE} holds no source files")
    return digest(*files)
