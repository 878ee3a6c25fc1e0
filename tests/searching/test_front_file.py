from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bstsearch.errors import InputError
from bstsearch.model.stack_shape import StackShape
from bstsearch.score import Accuracy
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import DEFAULT, Objectives, known_costs
from bstsearch.searching.front_file import FORMAT, FrontFile, read_front, write_front
from bstsearch.searching.pareto import Candidate
from bstsearch.searching.provenance import Provenance
from bstsearch.searching.racing import write_rights
from bstsearch.space import Space

MakeCandidate = Callable[..., Candidate]

SPACE = Space.bst(stacks=(4, 4))
ORIGIN = Provenance(
    supernet={"path": "runs/a", "digest": "a" * 16, "architecture": "b" * 16, "family": "mcan"},
    space=SPACE,
    split="validation",
    device={"name": "local", "obtained": "measured", "digest": "c" * 16, "runtime": {"threads": 2}},
)


@pytest.fixture
def candidates(make_candidate: MakeCandidate) -> list[Candidate]:
    """The ten submodels, each better and slower than the one before."""
    return [
        make_candidate(submodel.id, ms=1.0 + row, macs=1000 * (1 + row), correct=900 + 10 * row)
        for row, submodel in enumerate(SPACE)
    ]


def solve(candidates: list[Candidate], budget: Budget | None = None, **fields: Any) -> FrontFile:
    defaults = {"sampler": "exact", "is_exact": True, "trials": 10, "searched": Budget()}
    return FrontFile.solve(candidates, budget or Budget(), origin=ORIGIN, **{**defaults, **fields})


def test_file_round_trip(tmp_path: Path, candidates: list[Candidate]) -> None:
    file = solve(candidates, Budget(latency_ms=4.0))
    write_front(file, tmp_path / "front.json")
    assert read_front(tmp_path / "front.json") == file


def test_schema(tmp_path: Path, candidates: list[Candidate]) -> None:
    write_front(solve(candidates, Budget(latency_ms=4.0)), tmp_path / "front.json")
    data = json.loads((tmp_path / "front.json").read_text())
    kinds = {
        "format": int,
        "created": str,
        "bstsearch": str,
        "supernet": dict,
        "space": dict,
        "split": str,
        "device": dict,
        "stacks": list,
        "sampler": str,
        "is_exact": bool,
        "trials": int,
        "searched": dict,
        "searched_on": type(None),
        "min_accuracy": type(None),
        "budget": dict,
        "objectives": list,
        "aimed_at": list,
        "hypervolume": dict,
        "candidates": list,
        "front": list,
        "not_apart": list,
        "recommended": str,
        "rule": str,
    }
    assert {key: type(value) for key, value in data.items()} == kinds
    assert data["format"] == FORMAT
    assert data["budget"] == {
        **dict.fromkeys(cost.name for cost in known_costs(candidates)),
        "latency_ms": 4.0,
        "at": "high",
    }
    assert data["front"] == [candidate.id for candidate in candidates[:4]]
    assert data["recommended"] == candidates[3].id
    assert data["hypervolume"]["reference"] == {"accuracy": 0.0, "latency_ms": 10.0, "gflops": 2e-5}
    assert 0 < data["hypervolume"]["value"] < 1


def test_stacks_are_kept_and_must_fit_the_space(candidates: list[Candidate]) -> None:
    stacks = tuple(StackShape(name=name, keep_order=(0, 3, 1, 2), ffn=(8,) * 4) for name in ("encoder", "decoder"))
    file = solve(candidates, stacks=stacks)
    data = json.loads(json.dumps(file.to_json()))
    assert FrontFile.from_json(data) == file
    assert file.resolve(Budget(latency_ms=3.0)).stacks == stacks
    for wrong in (data["stacks"][:1], "encoder", [1, 2]):
        with pytest.raises(InputError, match="stack"):
            FrontFile.from_json({**data, "stacks": wrong})


def test_files_of_older_versions_have_no_stacks(candidates: list[Candidate]) -> None:
    data = json.loads(json.dumps(solve(candidates).to_json()))
    del data["stacks"]
    assert FrontFile.from_json(data) == FrontFile.from_json({**data, "stacks": []})


def test_neighbours_that_chance_may_have_ordered_are_named(candidates: list[Candidate]) -> None:
    """Without the value of each question 900 of 1,000 are apart from 930, but not from 910; row by row they may be."""
    pairs = [(one.id, other.id) for one, other in itertools.pairwise(candidates)]
    file = solve(candidates)
    assert file.not_apart == tuple(pairs[:9])
    assert file.apart == (True, *[False] * 9, *[True] * (len(candidates) - 10))
    assert solve([candidates[0], *candidates[3:]], is_exact=False).not_apart[0] != (candidates[0].id, candidates[3].id)
    rights = [write_rights(np.arange(1000) < one.accuracy.correct) for one in candidates if one.accuracy]
    nested = [dataclasses.replace(one, rights=text) for one, text in zip(candidates, rights, strict=True)]
    known = solve(nested)
    assert known.not_apart == ()
    assert all(known.apart)
    assert FrontFile.from_json(json.loads(json.dumps(known.to_json()))) == known


def test_damaged_values_are_told(candidates: list[Candidate]) -> None:
    damaged = [dataclasses.replace(one, rights="AAAA") for one in candidates]
    with pytest.raises(InputError, match="rights of 1,000 examples are damaged"):
        solve(damaged)


def test_members_get_test_scores_and_keep_them(candidates: list[Candidate], tmp_path: Path) -> None:
    file = solve(candidates)
    assert not file.has_tests
    assert "test_accuracy" not in file.to_json()["candidates"][0]
    scores = {one.id: Accuracy(correct=row, total=10) for row, one in enumerate(candidates[:9])}
    tested = file.tested(scores)
    assert tested.has_tests
    assert [one.test for one in tested.front] == [*scores.values(), None]
    assert tested.recommended.test == scores.get(tested.recommended.id)
    write_front(tested, tmp_path / "front.json")
    assert read_front(tmp_path / "front.json") == tested
    again = tested.resolve(Budget(latency_ms=4.0))
    assert [one.test for one in again.front] == list(scores.values())[:4]
    assert (
        dataclasses.replace(tested, candidates=file.candidates, front=file.front, recommended=file.recommended) == file
    )


def test_a_dropped_submodel_is_on_no_front_and_needs_no_scoring(candidates: list[Candidate]) -> None:
    dropped = dataclasses.replace(
        candidates[5], accuracy=None, partial=Accuracy(correct=99, total=100), beaten_by=candidates[4].id
    )
    file = solve([*candidates[:5], dropped, *candidates[6:]])
    assert dropped not in file.front
    assert file.answers(Budget(), trials=1000)
    assert FrontFile.from_json(json.loads(json.dumps(file.to_json()))) == file
    assert "beaten_by" not in file.to_frame().columns
    unscored = dataclasses.replace(dropped, partial=None, beaten_by=None)
    assert not solve([*candidates[:5], unscored, *candidates[6:]]).answers(Budget(), trials=1000)


def test_front_is_of_what_the_budget_admits(candidates: list[Candidate]) -> None:
    file = solve(candidates).resolve(Budget(latency_ms=3.0))
    assert file.front == tuple(candidates[:3])
    assert file.recommended == candidates[2]
    assert file.resolve(Budget()).front == tuple(candidates)


def test_corners(candidates: list[Candidate]) -> None:
    assert [one.id for one in solve(candidates).corners] == ["w1of4-d1of4", SPACE.middle.id, "w1-d1"]


def test_a_complete_file_answers_every_budget(candidates: list[Candidate]) -> None:
    assert solve(candidates, searched=Budget(latency_ms=20.0)).answers(Budget(), trials=1000)


def test_an_unscored_admitted_candidate_needs_scoring(
    candidates: list[Candidate], make_candidate: MakeCandidate
) -> None:
    candidates[-1] = make_candidate(candidates[-1].id, ms=10.0, macs=10_000)
    file = solve(candidates, Budget(latency_ms=9.0), searched=Budget(latency_ms=9.0))
    assert file.answers(Budget(latency_ms=5.0), trials=10)
    assert not file.answers(Budget(latency_ms=10.0), trials=10)
    assert not file.answers(Budget(), trials=10)


def test_a_sample_answers_tighter_budgets_and_no_more_trials(candidates: list[Candidate]) -> None:
    few = [*candidates[:2], *candidates[4:]]
    file = solve(few, sampler="nsga2", is_exact=False, trials=8, searched=Budget(latency_ms=20.0))
    assert file.answers(Budget(latency_ms=2.0), trials=8)
    assert not file.answers(Budget(latency_ms=2.0), trials=9)
    assert not file.answers(Budget(latency_ms=30.0), trials=8)
    exhausted = solve(few, sampler="nsga2", is_exact=True, trials=8, searched=Budget(latency_ms=20.0))
    assert exhausted.answers(Budget(latency_ms=2.0), trials=9)


def test_pick_takes_a_row_or_an_id(candidates: list[Candidate]) -> None:
    file = solve(candidates, Budget(latency_ms=3.0))
    assert file.pick("1") == candidates[0]
    assert file.pick("3") == candidates[2]
    assert file.pick("w1-d1") == candidates[-1]


@pytest.mark.parametrize("name", ["0", "4", "99"])
def test_pick_of_a_row_that_is_not_there_tells_the_rows(candidates: list[Candidate], name: str) -> None:
    with pytest.raises(InputError, match=f"rows 1 to 3, no row {name}"):
        solve(candidates, Budget(latency_ms=3.0)).pick(name)


def test_pick_of_an_unknown_or_unscored_id_tells_the_ids(
    candidates: list[Candidate], make_candidate: MakeCandidate
) -> None:
    candidates[-1] = make_candidate("w1-d1", ms=10.0, macs=10_000)
    file = solve(candidates, Budget(latency_ms=2.0))
    for name in ("w1of3-d1", "w1-d1"):
        with pytest.raises(
            InputError, match=rf"no submodel '{name}'; its ids: {candidates[0].id}, {candidates[1].id};"
        ):
            file.pick(name)


def test_missing_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; 'bstsearch pareto --out"):
        read_front(tmp_path / "front.json")


def test_truncated_file_is_an_input_error(tmp_path: Path, candidates: list[Candidate]) -> None:
    path = tmp_path / "front.json"
    write_front(solve(candidates), path)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(InputError, match="truncated"):
        read_front(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"is_exact": "yes"}, "is_exact"),
        ({"candidates": {}}, "candidates"),
        ({"candidates": [{}]}, r"front, candidates\[0\]: object missing required field"),
        ({"front": []}, "recommended"),
        ({"front": ["w1-d1", "w1-d1"], "recommended": "w1-d1"}, "front has 'w1-d1' twice"),
        ({"recommended": "w1of3-d1"}, "recommended"),
        ({"front": ["w1of3-d1"], "recommended": "w1of3-d1"}, "lack 'w1of3-d1'"),
        ({"front": [["w1-d1"], "w1-d1"], "recommended": "w1-d1"}, r"front\[0\]: expected str, got array"),
        ({"budget": {"watts": 1}}, "budget: object contains unknown field watts"),
        ({"space": {}}, "space: object missing required field"),
        ({"device": None}, "device"),
        ({"device": ORIGIN.device | {"latency_error": "low"}}, "device, latency_error: expected float . null, got str"),
        ({"device": ORIGIN.device | {"runtime": {"threads": 0}}}, "device, runtime.threads: expected int >= 1"),
        ({"hypervolume": {"value": -1}}, "hypervolume.value: expected float >= 0.0"),
        ({"device": ORIGIN.device | {"name": "a\x1b[2Jb"}}, "device, name: expected str without control characters"),
        ({"split": "x" * 300_000}, "split: expected str of length <= 300"),
        ({"sampler": 3}, "sampler: expected str, got int"),
        ({"trials": -1}, "trials: expected int >= 0"),
        ({"metric": {"name": 3}}, "metric.name: expected str, got int"),
        ({"objectives": ["accuracy", "x" * 300_000]}, "unknown objective"),
    ],
)
def test_malformed_file_is_an_input_error(
    tmp_path: Path, candidates: list[Candidate], change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "front.json"
    path.write_text(json.dumps(solve(candidates).to_json() | change))
    with pytest.raises(InputError, match=words) as caught:
        read_front(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) - len(str(path)) < 300
    assert "bstsearch pareto --force" in str(caught.value)


def test_front_row_without_accuracy_is_an_input_error(
    tmp_path: Path, candidates: list[Candidate], make_candidate: MakeCandidate
) -> None:
    data = solve(candidates).to_json()
    data["candidates"][0] = make_candidate(candidates[0].id).to_json()
    (tmp_path / "front.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="has no accuracy"):
        read_front(tmp_path / "front.json")


MEMORY = Objectives.of(["accuracy", "memory"])


def test_other_objectives_are_answered_from_the_same_scores(candidates: list[Candidate]) -> None:
    """All take the same memory, so only the most accurate is left."""
    file = solve(candidates).resolve(Budget(), MEMORY)
    assert [one.id for one in file.front] == [SPACE.largest.id]
    assert file.objectives == MEMORY
    assert file.resolve(Budget(), DEFAULT).front == solve(candidates).front


def test_what_a_sampler_aimed_at_is_remembered(candidates: list[Candidate], tmp_path: Path) -> None:
    file = solve(candidates, is_exact=False, sampler="nsga2").resolve(Budget(), MEMORY)
    write_front(file, tmp_path / "front.json")
    again = read_front(tmp_path / "front.json")
    assert (again.objectives, again.aimed_at) == (MEMORY, DEFAULT)
    assert again.resolve(Budget(latency_ms=4.0)).aimed_at == DEFAULT


def test_the_same_again_computes_nothing(candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch) -> None:
    """For what computes a hypervolume takes long to import."""
    file = solve(candidates)
    monkeypatch.setattr("bstsearch.searching.front_file.hypervolume", None)
    assert file.resolve(Budget()).hypervolume == file.hypervolume


def test_a_front_that_names_no_objectives_is_read(candidates: list[Candidate]) -> None:
    """Those of bstsearch 0.1.0, which knew fewer costs, too."""
    file = solve(candidates, Budget(latency_ms=4.0))
    data = {name: value for name, value in file.to_json().items() if name not in ("objectives", "aimed_at")}
    for name in ("searched", "budget"):
        data[name] = {key: value for key, value in data[name].items() if key in ("latency_ms", "gflops", "memory_mb")}
    assert FrontFile.from_json(data) == file


def test_a_frame_holds_every_candidate_and_its_row(candidates: list[Candidate]) -> None:
    unscored = [*candidates[:-1], dataclasses.replace(candidates[-1], accuracy=None)]
    file = solve(unscored, Budget(latency_ms=4.0))
    frame = file.to_frame()
    assert list(frame.index) == [one.id for one in candidates]
    assert frame.row.dropna().to_dict() == {one.id: number for number, one in enumerate(file.front, start=1)}
    assert list(frame.index[frame.is_recommended]) == [file.recommended.id]
    assert frame.accuracy.isna().sum() == 1
    assert frame.loc[candidates[2].id, "latency_ms"] == 3.0


def test_a_notebook_shows_the_front_as_a_table(candidates: list[Candidate]) -> None:
    shown = solve(candidates[::-1], Budget(latency_ms=2.0))._repr_html_()
    assert "<caption>Pareto front on local; * is the most accurate within the budget</caption>" in shown
    assert "<th>accuracy, %</th><th>latency, ms</th><th>GFLOPs, two per multiply-add</th>" in shown
    assert "<td>1</td><td>w1of4-d1of4</td><td>90.0 (88.0-91.7)</td><td>1.00</td>" in shown
    assert shown.count("<tr>") == 3
    assert "<td>* 2</td>" in shown


def test_names_from_outside_cannot_break_a_notebook(candidates: list[Candidate]) -> None:
    file = solve(candidates)
    origin = dataclasses.replace(file.origin, device={**file.origin.device, "name": "<script>"})
    assert "<script>" not in dataclasses.replace(file, origin=origin)._repr_html_()


def test_a_candidate_that_is_there_twice_is_refused(tmp_path: Path, candidates: list[Candidate]) -> None:
    data = solve(candidates).to_json()
    data["candidates"].append({**data["candidates"][0], "macs": 7})
    (tmp_path / "front.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=rf"candidates has '{candidates[0].id}' twice"):
        read_front(tmp_path / "front.json")
