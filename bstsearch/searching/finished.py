"""Finished searches whose scores answer here, too: on another device only the costs are others (no torch)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from bstsearch.errors import BstsearchError
from bstsearch.score import Metric
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import by_name, known_costs
from bstsearch.searching.front_file import NAME, FrontFile, read_front
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance


def front_files(folders: Iterable[Path]) -> list[Path]:
    """The front files in these folders and in those directly in them."""
    found = {place for folder in folders for name in (NAME, f"*/{NAME}") for place in folder.glob(name)}
    return sorted(found)


def taken_over(
    paths: Iterable[Path], origin: Provenance, metric: Metric, reprice: Callable[[Candidate], Candidate]
) -> Iterator[tuple[Path, FrontFile]]:
    """The front files at `paths` with the submodels and scores of a search of `origin`, priced for its device.

    They are by the same `metric`. A file that cannot be read is passed over: to search anew is always right. So is one
    of a sampled search within a budget that the device decides, such as a latency: what it left out may fit here.
    """
    for path in paths:
        try:
            file = read_front(path)
        except (BstsearchError, OSError):
            continue
        if file.objectives.metric != metric or file.origin.space != origin.space:
            continue
        if origin.has_same_scores(file.origin):
            priced = _priced(file, origin, reprice)
            if priced is not None:
                yield path, priced


def _priced(file: FrontFile, origin: Provenance, reprice: Callable[[Candidate], Candidate]) -> FrontFile | None:
    """The file with this device's costs; None where what its search left out may fit here."""
    space, candidates = origin.space, _still_beaten({one.id: reprice(one) for one in file.candidates})
    open_again = sum(one.beaten_by is None for one in candidates.values() if file.get(one.id).beaten_by is not None)
    is_whole = sum(one.found is not None and one.submodel in space for one in candidates.values()) == space.size
    is_same = file.origin.device == origin.device
    known = known_costs(candidates.values())
    if any(cost not in known for cost in file.objectives.costs):
        return None
    if not (is_whole or is_same) and any(by_name()[name].of(file.full).source for name in file.searched.limits):
        return None
    return FrontFile.solve(
        tuple(candidates.values()),
        Budget(at=file.searched.at),
        origin=origin,
        sampler=file.sampler,
        is_exact=(file.is_exact and not open_again) or is_whole,
        trials=file.trials - open_again,
        searched=Budget(at=file.searched.at) if is_whole else file.searched,
        objectives=file.objectives,
        aimed_at=file.aimed_at,
        stacks=file.stacks,
        searched_on=file.searched_on or (None if is_same else str(file.origin.device["name"])),
    )


def _still_beaten(candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """These by id, where a submodel that was dropped for a rival that costs more here has not been scored."""
    from bstsearch.searching.racing import is_no_costlier

    def settle(one: Candidate) -> Candidate:
        rival = candidates.get(one.beaten_by or "")
        if one.beaten_by is None or (rival is not None and is_no_costlier(rival, one)):
            return one
        return dataclasses.replace(one, partial=None, beaten_by=None)

    return {name: settle(one) for name, one in candidates.items()}
