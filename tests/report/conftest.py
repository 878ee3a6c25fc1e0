"""A front like the demo's: ten submodels, of which the half-wide full-depth one is dominated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import pytest

from bstsearch.score import ACCURACY, Value
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT, Objectives
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.space import Space, Submodel

MakeCandidate = Callable[..., Candidate]
MakeFront = Callable[..., FrontFile]


def _error(one: Candidate) -> Value:
    """Better when lower: 0.02 to 0.2, five times the share of wrong answers."""
    error = 5 * (1 - one.score)
    return Value(value=error, low=0.9 * error, high=1.1 * error, total=1000)


@pytest.fixture
def make_front(make_candidate: MakeCandidate) -> MakeFront:
    """Makes a front within a budget; `scale` multiplies every size, `layerwise` takes a space of that kind.

    `estimated` lists the ids whose latencies have a range; of a layer-wise space all but the grid's have one. Of
    another metric than accuracy a score is an error.
    """

    def candidate(submodel: Submodel, scale: int, *, is_estimated: bool) -> Candidate:
        size = float(submodel.width * submodel.depth)
        made = make_candidate(
            submodel.id,
            ms=(0.1 + 0.7 * size) * scale,
            macs=int(21_000_000 * size) * scale,
            correct=900 if submodel.id == "w1of2-d1" else 930 + int(60 * size),
            high_ms=(0.1 + 0.8 * size) * scale if is_estimated else None,
            memory=12_700_000 + int(4_000_000 * size) * scale,
        )
        return dataclasses.replace(
            made, parameters=int(535_000 * size) * scale, size_bytes=int(2_140_000 * size) * scale
        )

    def make(
        budget: Budget | None = None,
        *,
        scale: int = 1,
        is_layerwise: bool = False,
        estimated: Collection[str] = (),
        device: str = "local",
        objectives: Objectives = DEFAULT,
    ) -> FrontFile:
        space = Space.bst(stacks=(4, 4))
        submodels = list(space)
        if is_layerwise:
            space = space.layerwise
            submodels = [*submodels[::3], space.middle]
        candidates = [
            candidate(one, scale, is_estimated=one.id in estimated or bool(is_layerwise and one.heads))
            for one in submodels
        ]
        if objectives.metric != ACCURACY:
            candidates = [dataclasses.replace(one, accuracy=_error(one)) for one in candidates]
        return FrontFile.solve(
            candidates,
            budget or Budget(),
            objectives=objectives,
            origin=Provenance(
                supernet={"path": "runs/<net>", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
                space=space,
                split="validation",
                device={
                    "name": device,
                    "obtained": "measured",
                    "latency_error": 0.25,
                    "digest": "c" * 16,
                    "runtime": {
                        "name": "onnxruntime",
                        "version": "1.20.0",
                        "provider": "CPUExecutionProvider",
                        "threads": 2,
                        "precision": "float32",
                    },
                },
            ),
            sampler="nsga2" if is_layerwise else "exact",
            is_exact=not is_layerwise,
            trials=len(submodels),
            searched=Budget(),
        )

    return make
