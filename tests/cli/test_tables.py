from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bstsearch.cli.tables import MISSING, SHORTEST_TEXT, Column, render

CELLS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
LONG = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=90)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[list[str | None]]]:
    """Up to a dozen columns, and rows of cells that are as long as they like."""
    heads = st.builds(Column, LONG, CELLS, st.booleans(), st.integers(0, 4))
    columns = draw(st.lists(heads, min_size=1, max_size=12))
    row = st.lists(st.none() | LONG, min_size=len(columns), max_size=len(columns))
    return columns, draw(st.lists(row, max_size=4))


@given(tables(), st.integers(20, 130), st.none() | st.integers(0, 3))
def test_no_line_is_wider_than_the_terminal(
    table: tuple[list[Column], list[list[str | None]]], width: int, marked: int | None
) -> None:
    assert max(map(len, render(*table, marked, width).split("\n"))) <= width


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1))
def test_every_row_is_one_line_and_no_cell_is_cut_where_there_is_room(rows: list[tuple[str, str, str]]) -> None:
    lines = render([Column("a"), Column("b", is_number=True), Column("c", "s")], rows, None, 80).split("\n")
    assert len(lines) == 3 + len(rows)
    for row, line in zip(rows, lines[3:], strict=True):
        assert line.split() == [cell for cell in row if cell]


COLUMNS = [Column("id"), Column("MACs", rank=2), Column("in the\nspace", rank=1), Column("size", rank=2)]
ROWS = [["w1of4-d1", "12", "yes", "1.5"]]


@pytest.mark.parametrize(
    ("width", "last", "names"),
    [
        (80, "w1of4-d1  12    yes     1.5", None),
        (26, "w1of4-d1 12   yes    1.5", None),
        (23, "w1of4-d1  12    yes", "size"),
        (15, "w1of4-d1 yes", "MACs, size"),
        (13, "w1of4-d1", "MACs, in the space, size"),
    ],
)
def test_gaps_go_first_then_columns_by_rank_and_a_line_names_them(width: int, last: str, names: str | None) -> None:
    lines = render(COLUMNS, ROWS, None, width).split("\n")
    row = next(line for line in lines if line.startswith("w1of4"))
    assert row == last.rstrip()
    told = " ".join(lines[lines.index(row) + 1 :])
    assert told == (f"left out for width: {names}; a wider terminal or --json shows all" if names else "")


def test_texts_are_cut_where_no_column_can_go_and_ids_stay_whole() -> None:
    columns = [Column("id"), Column("answer"), Column("share", "%", is_number=True)]
    lines = render(columns, [["w1of4-d1of4", "a very long answer indeed", "12.5"]], None, 35).split("\n")
    assert lines[-1] == "w1of4-d1of4 a very long ans..  12.5"


def test_numbers_are_never_cut_beside_others() -> None:
    """A column of numbers that fits nowhere is left out, even of rank 0."""
    columns = [Column("id"), *(Column(f"device{index}", "ms", is_number=True) for index in range(6))]
    lines = render(columns, [["w1-d1", *["1234.5"] * 6]], None, 30).split("\n")
    assert lines[3].split() == ["w1-d1", "1234.5", "1234.5", "1234.5"]
    assert "device3, device4, device5" in " ".join(lines[4:])


def test_none_is_a_dash() -> None:
    assert render([Column("a")], [[None]], None, 80).split("\n")[-1] == MISSING


def test_shortest_text_holds_an_id() -> None:
    assert len("w3of4-d3of4") <= SHORTEST_TEXT
