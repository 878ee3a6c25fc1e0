"""What finished searches answer for another device; through the command: tests/cli/test_pareto_devices.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.profiles.latency import Latency
from bstsearch.score import ACCURACY
from bstsearch.searching.budget import Budget
from bstsearch.searching.finished import front_files, taken_over
from bstsearch.searching.front_file import FrontFile, write_front
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.space import Space

MakeCandidate = Callable[..., Candidate]
Found = list[tuple[Path, FrontFile]]

SPACE = Space.bst(stacks=(4, 4))
ORIGIN = Provenance(
    supernet={"path": "runs/a", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=SPACE,
    split="validation",
    device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
)
PHONE = dataclasses.replace(ORIGIN, device={**ORIGIN.device, "name": "phone", "digest": "d" * 16})


def twice(one: Candidate) -> Candidate:
    ms = 2 * one.latency.ms
    return dataclasses.replace(one, latency=Latency(ms=ms, source="estimated", low_ms=ms / 2, high_ms=2 * ms))


@pytest.fixture
def find(make_candidate: MakeCandidate, tmp_path: Path) -> Callable[..., Found]:
    """What is taken over for the phone from a search in which so many of the ten were scored."""

    def take(scored: int = 10, origin: Provenance = ORIGIN, **fields: Any) -> Found:
        candidates = [
            make_candidate(
                one.id, ms=1.0 + row, macs=1000 * (1 + row), correct=900 + 10 * row if row < scored else None
            )
            for row, one in enumerate(SPACE)
        ]
        usual = {"sampler": "exact", "is_exact": True, "trials": scored, "searched": Budget()}
        file = FrontFile.solve(candidates, Budget(), origin=origin, **{**usual, **fields})
        (tmp_path / "local").mkdir(exist_ok=True)
        write_front(file, tmp_path / "local" / "front.json")
        return list(taken_over(front_files([tmp_path]), PHONE, ACCURACY, twice))

    return take


def test_scores_stay_and_costs_are_this_devices(find: Callable[..., Found], tmp_path: Path) -> None:
    ((path, file),) = find()
    assert path == tmp_path / "local" / "front.json"
    assert (file.origin, file.searched_on) == (PHONE, "local")
    assert [one.latency.ms for one in file.candidates] == [2.0 + 2 * row for row in range(10)]
    assert [one.score for one in file.candidates] == [(900 + 10 * row) / 1000 for row in range(10)]
    assert {one.latency.source for one in (*file.front, file.recommended)} == {"estimated"}
    assert file.resolve(Budget(latency_ms=8.0)).recommended.latency.ms == 4.0


def test_a_search_within_a_budget_of_its_own_device_answers_only_where_it_left_nothing_out(
    find: Callable[..., Found],
) -> None:
    assert find(8, searched=Budget(latency_ms=8.5)) == []
    ((_, file),) = find(10, searched=Budget(latency_ms=100.0))
    assert (file.searched, file.is_exact) == (Budget(), True)
    ((_, file),) = find(8, searched=Budget(gflops=1.0), is_exact=False, sampler="nsga2")
    assert (file.searched, file.is_exact) == (Budget(gflops=1.0), False)


@pytest.mark.parametrize("is_faster", [True, False])
def test_who_was_dropped_for_a_rival_that_costs_more_here_has_not_been_scored(
    make_candidate: MakeCandidate, tmp_path: Path, is_faster: bool
) -> None:
    ids = [one.id for one in SPACE]
    rows = [make_candidate(name, ms=1.0 + row, macs=1000 + row, correct=900 + row) for row, name in enumerate(ids)]
    rows[2] = dataclasses.replace(rows[2], accuracy=None, partial=rows[2].accuracy, beaten_by=ids[1])
    usual = {"sampler": "auto", "is_exact": True, "trials": 10, "searched": Budget()}
    write_front(FrontFile.solve(rows, Budget(), origin=ORIGIN, **usual), tmp_path / "front.json")

    def reprice(one: Candidate) -> Candidate:
        ms = 0.5 if is_faster and one.id == ids[2] else one.latency.ms
        return dataclasses.replace(one, latency=Latency(ms=ms, source="estimated", low_ms=ms, high_ms=ms))

    ((_, file),) = taken_over(front_files([tmp_path]), PHONE, ACCURACY, reprice)
    assert file.answers(Budget(), 10) is not is_faster
    assert file.get(ids[2]).beaten_by == (None if is_faster else ids[1])


@pytest.mark.parametrize(
    "other",
    [
        {"supernet": {**ORIGIN.supernet, "digest": "e" * 16}},
        {"split": "test"},
        {"data_set": "other"},
        {"space": dataclasses.replace(SPACE, widths=SPACE.widths[-1:], least_depths=())},
    ],
)
def test_other_scores_and_other_spaces_do_not_answer(find: Callable[..., Found], other: dict[str, Any]) -> None:
    origin = dataclasses.replace(PHONE, **other)
    found = find()
    assert found
    paths = [path for path, _ in found]
    assert list(taken_over(paths, origin, ACCURACY, twice)) == []
    assert list(taken_over(paths, PHONE, dataclasses.replace(ACCURACY, name="other"), twice)) == []


def test_what_cannot_be_read_is_passed_over(find: Callable[..., Found], tmp_path: Path) -> None:
    find()
    (tmp_path / "front.json").write_text("{")
    assert [path.parent.name for path in front_files([tmp_path])] == [tmp_path.name, "local"]
    assert len(list(taken_over(front_files([tmp_path]), PHONE, ACCURACY, twice))) == 1
