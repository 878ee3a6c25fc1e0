from __future__ import annotations

from collections.abc import Callable

import pytest

from bstsearch.budget import Budget
from bstsearch.cli.output import PIPED_WIDTH, Column, _render
from bstsearch.front_file import FrontFile
from bstsearch.pareto import Candidate
from bstsearch.report.table import Table, accuracy_text, corner_table, digits, front_table, latency_text, shorten

MakeFront = Callable[..., FrontFile]
MakeCandidate = Callable[..., Candidate]


def width(table: Table) -> int:
    text = _render([Column(*head) for head in table.heads], table.rows, table.marked, PIPED_WIDTH)
    return max(map(len, text.splitlines()))


@pytest.mark.parametrize("is_layerwise", [False, True])
@pytest.mark.parametrize("scale", [1, 100], ids=["demo", "published"])
def test_front_fits_eighty_columns(make_front: MakeFront, scale: int, is_layerwise: bool) -> None:
    assert width(front_table(make_front(scale=scale, is_layerwise=is_layerwise))) <= PIPED_WIDTH


@pytest.mark.parametrize("scale", [1, 100], ids=["demo", "published"])
def test_corners_with_all_budgets_fit_eighty_columns(make_front: MakeFront, scale: int) -> None:
    budget = Budget(latency_ms=0.6 * scale, gflops=0.02 * scale, memory_mb=20.0 * scale)
    assert width(corner_table(make_front(scale=scale).corners, budget)) <= PIPED_WIDTH


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


def test_layerwise_front_says_how_it_was_found_and_cuts_ids(make_front: MakeFront) -> None:
    table = front_table(make_front(is_layerwise=True))
    assert table.title == "Pareto front on local (5 submodels scored, nsga2)"
    assert [head[0] for head in table.heads][:3] == ["row", "id", "accuracy\n95 % interval"]
    assert any(row[1].endswith("..") for row in table.rows)


def test_units_suit_the_largest_row(make_front: MakeFront) -> None:
    small, large = (front_table(make_front(scale=scale)).heads for scale in (1, 1000))
    assert [unit for title, unit, _ in small if title in ("MACs", "params")] == ["M", "k"]
    assert [unit for title, unit, _ in large if title in ("MACs", "params")] == ["G", "M"]


def test_corners_tell_which_limits_they_meet(make_front: MakeFront) -> None:
    table = corner_table(make_front().corners, Budget(latency_ms=0.5, memory_mb=20.0))
    assert [row[0] for row in table.rows] == ["smallest", "middle", "largest"]
    assert [row[-2:] for row in table.rows] == [["yes", "yes"], ["yes", "yes"], ["no", "yes"]]
    assert [head[:2] for head in table.heads[-2:]] == [("<= 0.500", "ms"), ("<= 20.0", "MB")]


def test_accuracy_comes_with_its_interval(make_candidate: MakeCandidate) -> None:
    assert accuracy_text(make_candidate(correct=979)) == "97.9 (96.8-98.6)"


def test_estimated_latency_comes_with_its_upper_end(make_candidate: MakeCandidate) -> None:
    assert latency_text(make_candidate(ms=2.312)) == "2.31"
    assert latency_text(make_candidate(ms=2.312, high_ms=2.75)) == "2.31 (<2.75)"


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
