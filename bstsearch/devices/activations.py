"""The largest live set of activations of any submodel, from the graphs of uniform ones, built when first asked for."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from bstsearch.devices.chosen import uniform
from bstsearch.devices.live_set import largest_live_set
from bstsearch.devices.workload import input_shapes, make_workload
from bstsearch.folder import SupernetFolder
from bstsearch.space import Submodel


def live_sets(folder: SupernetFolder) -> Callable[[Submodel], int]:
    """A function from a submodel to bytes; a graph is built for every width and share it meets, once."""
    uniform_ones = uniform(folder.space)

    @functools.cache
    def of_uniform(width: Fraction, share: Fraction) -> int:
        submodel = uniform_ones[width, share]
        with tempfile.TemporaryDirectory(prefix="bstsearch-") as scratch:
            workload = make_workload(folder, [submodel], Path(scratch))
            return largest_live_set(workload.graphs[submodel.id].path, input_shapes(workload))

    return lambda submodel: max(
        of_uniform(submodel.width, share) for share in {submodel.width, *submodel.heads, *submodel.ffn}
    )
