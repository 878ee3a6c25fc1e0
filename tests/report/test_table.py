from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bstsearch.cli.output import PIPED_WIDTH
from bstsearch.cli.tables import Column, render
from bstsearch.profiles.latency import Latency
from bstsearch.report.table import Table, corner_table, digits, front_table, shorten
from bstsearch.score import Accuracy
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import COSTS, DEFAULT
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate
from bstsearch.space import Space

LATENCY = COSTS["latency"]
MakeFront = Callable[..., FrontFile]
MakeCandidate = Callable[..., Candidate]

GRID = [submodel.id for submodel in Space.bst(stacks=(4, 4)).grid()]


def shown(table: Table, width: int) -> str:
    """The table as a terminal of that width shows it; the line of what was left out may follow."""
    return render([Column(*head) for head in table.heads], table.rows, table.marked, width)


@pytest.mark.parametrize("width", [61, PIPED_WIDTH])
@pytest.mark.parametrize("estimated", [[], ["w1-d1"], GRID], ids=["measured", "mixed", "estimated"])
@pytest.mark.parametrize("is_layerwise", [False, True])
@pytest.mark.parametrize("scale", [1, 100, 1000], ids=["demo", "published", "slow"])
def test_a_narrow_front_keeps_row_id_accuracy_latency_and_its_source(
    make_front: MakeFront, scale: int, is_layerwise: bool, estimated: list[str], width: int
) -> None:
    file = make_front(scale=scale, is_layerwise=is_layerwise, estimated=estimated)
    table = front_table(file)
    lines = shown(table, width).splitlines()
    assert max(map(len, lines)) <= width
    has_ranges = any(one.latency.has_range for one in file.front)
    for row in table.rows:
        (line,) = (line for line in lines if line.removeprefix("* ").split()[:2] == row[:2])
        one = file.front[int(row[0]) - 1]
        wanted = {*row[:2], *DEFAULT.score_text(one).split(), *LATENCY.text(one).split()}
        wanted |= {one.latency.source} if has_ranges and not is_layerwise else set()
        assert wanted <= set(line.replace("~", " ").split())
        assert ("~" in line) is not file.apart[int(row[0]) - 1]


@pytest.mark.parametrize("width", [60, PIPED_WIDTH])
@pytest.mark.parametrize("estimated", [[], ["w1-d1"], GRID], ids=["measured", "mixed", "estimated"])
@pytest.mark.parametrize("is_layerwise", [False, True])
@pytest.mark.parametrize("scale", [1, 100], ids=["demo", "published"])
def test_narrow_corners_keep_ids_and_all_three_budgets(
    make_front: MakeFront, scale: int, is_layerwise: bool, estimated: list[str], width: int
) -> None:
    budget = Budget(latency_ms=0.6 * scale, gflops=0.02 * scale, memory_mb=20.0 * scale)
    file = make_front(scale=scale, is_layerwise=is_layerwise, estimated=estimated)
    table = corner_table(file.corners, budget)
    lines = shown(table, width).splitlines()
    assert max(map(len, lines)) <= width
    for row in table.rows:
        (words,) = (line.split() for line in lines if line.startswith(row[0]))
        assert [words[1], *words[-3:]] == [row[1], *row[-3:]]


def test_front_has_a_row_each_and_marks_the_recommended(make_front: MakeFront) -> None:
    file = make_front(Budget(latency_ms=0.6))
    table = front_table(file)
    assert [row[:4] for row in table.rows] == [
        [str(number), one.id, str(one.submodel.width), str(one.submodel.depth)]
        for number, one in enumerate(file.front, start=1)
    ]
    assert table.marked is not None
    assert table.rows[table.marked][1] == file.recommended.id
    assert table.title == "Pareto front on local (exact, within latency 0.6 ms)"
    assert all(len(row) == len(table.heads) for row in table.rows)


def test_test_scores_stand_in_a_column_of_their_own(make_front: MakeFront) -> None:
    file = make_front(Budget(latency_ms=0.6))
    file = file.tested({one.id: Accuracy(correct=777, total=1000) for one in file.front[1:]})
    table = front_table(file)
    assert table.title.endswith(", accuracy on validation and test")
    heads = [head[:2] for head in table.heads]
    place = heads.index(("test\n95 % interval", "%"))
    assert heads[place - 1] == ("validation\n95 % interval", "%")
    assert [row[place] for row in table.rows] == ["-", *["77.7 (75.0-80.2)"] * (len(file.front) - 1)]
    lines = shown(table, PIPED_WIDTH).splitlines()
    assert max(map(len, lines)) <= PIPED_WIDTH
    assert sum("~" in line for line in lines) == len(file.front) - sum(file.apart) > 0


def test_signs_are_explained_where_there_are_any(make_front: MakeFront) -> None:
    file = dataclasses.replace(make_front(), not_apart=())
    table = front_table(file)
    assert not any("~" in text for text in [*table.legend, *(cell for row in table.rows for cell in row)])


def test_a_front_of_long_ids_tells_sizes_in_their_place(make_front: MakeFront) -> None:
    table = front_table(make_front(is_layerwise=True))
    assert table.title == "Pareto front on local (5 submodels scored, nsga2)"
    assert [head[:2] for head in table.heads][:5] == [
        *(("row", ""), ("width", ""), ("layers", "of 4+4"), ("heads", "%"), ("FFN", "%"))
    ]
    assert table.rows[0][1:5] == ["1/4", "1+1", "25", "25"]
    assert table.legend[-1] == "ids: front.csv; --pick takes the row, too"


def test_rows_that_are_not_significantly_apart_from_the_one_above_have_a_sign(make_front: MakeFront) -> None:
    file = make_front()
    table = front_table(file)
    scores = [DEFAULT.score_text(one) for one in file.front]
    assert [row[4] for row in table.rows] == [
        score if is_apart else f"~{score}" for score, is_apart in zip(scores, file.apart, strict=True)
    ]
    assert len(set(file.apart)) == 2
    assert table.legend == (f"* recommended: {file.rule}", "~ not significantly apart from the row above (95 %)")


def test_what_was_not_measured_says_so(make_front: MakeFront) -> None:
    file = make_front(estimated=["w1-d1"])
    table = front_table(file)
    heads = [head[0] for head in table.heads]
    assert heads[:7] == ["row", "id", "width", "depth", "accuracy\n95 % interval", "latency", "latency\nis"]
    assert [row[6] for row in table.rows] == [one.latency.source for one in file.front]
    assert [row[5] for row in table.rows] == [LATENCY.text(one) for one in file.front]
    assert (table.rows[-1][6], table.rows[0][6]) == ("estimated", "measured")
    assert all(len(row) == len(heads) for row in table.rows)


def test_units_suit_the_largest_row(make_front: MakeFront) -> None:
    small, large = (front_table(make_front(scale=scale)).heads for scale in (1, 1000))
    assert [unit for title, unit, *_ in small if title in ("MACs", "params")] == ["M", "k"]
    assert [unit for title, unit, *_ in large if title in ("MACs", "params")] == ["G", "M"]


def test_corners_tell_which_limits_they_meet(make_front: MakeFront) -> None:
    table = corner_table(make_front().corners, Budget(latency_ms=0.5, memory_mb=20.0))
    assert [row[0] for row in table.rows] == ["smallest", "middle", "largest"]
    assert [row[-2:] for row in table.rows] == [["yes", "yes"], ["yes", "yes"], ["no", "yes"]]
    assert [head[:2] for head in table.heads[-2:]] == [("<=\n0.500", "ms"), ("<=\n20.0", "MB")]


def test_accuracy_comes_with_its_interval(make_candidate: MakeCandidate) -> None:
    assert DEFAULT.score_text(make_candidate(correct=979)) == "97.9 (96.8-98.6)"


def test_latency_that_was_not_measured_comes_with_its_range(make_candidate: MakeCandidate) -> None:
    assert LATENCY.text(make_candidate(ms=2.312)) == "2.31"
    found = Latency(ms=231.2, source="composed", low_ms=210.1, high_ms=274.9)
    assert LATENCY.text(dataclasses.replace(make_candidate(), latency=found)) == "231 (210-275)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00001234, "0.0000123"),
        (0.5, "0.500"),
        (9.876, "9.88"),
        (99.94, "99.9"),
        (123.4, "123"),
        (1e6, "1000000"),
    ],
)
def test_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert digits(value) == text


def test_shorten() -> None:
    assert shorten("w1of2-d1", 8) == "w1of2-d1"
    assert shorten("w1of2-d1-h1", 8) == "w1of2-.."
