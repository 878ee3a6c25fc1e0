"""The submodel to answer with, chosen when the question comes: the most accurate one within a time (no torch).

BST's adaptive pruning at run time (Yu et al., arXiv 2203.12814): one set of weights, any of its submodels.
"""

from __future__ import annotations

import msgspec

from bstsearch.errors import InfeasibleBudgetError, InputError
from bstsearch.model.supernet_folder import METRICS, SupernetFolder
from bstsearch.profiles.latency import Latency, Table
from bstsearch.reading import parsing, read_json, shown
from bstsearch.score import Accuracy
from bstsearch.searching.budget import Bound
from bstsearch.space import Submodel


class _Metrics(msgspec.Struct):
    """What is read of a `metrics.json`."""

    validation: dict[str, Accuracy] | None = None


def read_accuracies(folder: SupernetFolder) -> dict[Submodel, Accuracy]:
    """Validation accuracies that `metrics.json` in a supernet folder knows; InputError where there are none."""
    path = folder.path / METRICS
    found = read_json(path, _Metrics).validation or {}
    with parsing(path):
        accuracies = {Submodel.from_id(name): accuracy for name, accuracy in found.items()}
    if not accuracies:
        raise InputError(f"{path} knows no validation accuracy to choose by; name one with --submodel")
    if strangers := [submodel.id for submodel in accuracies if submodel not in folder.space]:
        raise InputError(
            f"{path}: {shown(strangers[0])} is not in the supernet's space; is the file another supernet's?"
        )
    return accuracies


def choose(folder: SupernetFolder, table: Table, bound: Bound) -> tuple[Submodel, Latency]:
    """The most accurate submodel whose latency is within `bound` (the fastest of equals), and that latency.

    InfeasibleBudgetError names the fastest submodel where none is within.
    """
    accuracies = read_accuracies(folder)
    latencies = {submodel: table.latency(submodel) for submodel in accuracies}
    limit_ms = bound.value * (table.latency(Submodel()).safe_ms if bound.is_share else 1)
    within = [submodel for submodel in accuracies if latencies[submodel].safe_ms <= limit_ms]
    if not within:
        nearest = min(accuracies, key=lambda submodel: latencies[submodel].safe_ms)
        raise InfeasibleBudgetError(
            f"no submodel answers within {limit_ms:.3g} ms; the nearest is {nearest.id} with "
            f"{latencies[nearest].safe_ms:.3g} ms; raise the budget"
        )
    best = max(within, key=lambda submodel: (accuracies[submodel].value, -latencies[submodel].ms))
    return best, latencies[best]
