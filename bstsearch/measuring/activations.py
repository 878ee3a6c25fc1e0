"""The largest live set of activations of one submodel, from a graph of it with random weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bstsearch.graphs.live_set import largest_live_set
from bstsearch.measuring.workload import input_shapes, make_workload
from bstsearch.model.supernet_folder import SupernetFolder
from bstsearch.space import Submodel


def live_set(folder: SupernetFolder, submodel: Submodel) -> int:
    """Bytes of activations that `submodel` holds at most at once; its graph is built, and thrown away."""
    with tempfile.TemporaryDirectory(prefix="bstsearch-") as scratch:
        workload = make_workload(folder, [submodel], Path(scratch))
        return largest_live_set(workload.graphs[submodel.id].path, input_shapes(workload))
