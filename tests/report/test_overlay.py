"""Fronts laid over each other, as tables and as a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bstsearch.cli.output import PIPED_WIDTH
from bstsearch.cli.tables import Column, render
from bstsearch.report.overlay import column_names, fronts_table, levels_table
from bstsearch.report.overlay_picture import draw_fronts, make_fronts_figure
from bstsearch.searching.comparison import Comparison, compare
from bstsearch.searching.front_file import FrontFile

MakeFront = Callable[..., FrontFile]


def of_supernet(file: FrontFile, path: str) -> FrontFile:
    supernet = {**file.origin.supernet, "path": path, "digest": path * 9}
    return dataclasses.replace(file, origin=dataclasses.replace(file.origin, supernet=supernet))


@pytest.fixture
def found(make_front: MakeFront) -> Comparison:
    return compare(
        {
            Path("runs/first"): of_supernet(make_front(), "runs/first"),
            Path("runs/second"): of_supernet(make_front(scale=2), "runs/second"),
        }
    )


def test_the_first_table_says_what_each_front_is(found: Comparison) -> None:
    table = fronts_table(found)
    assert table.title == "2 Pareto fronts"
    assert [row[:5] for row in table.rows] == [
        ["1", "first", "first", "10", "local"],
        ["2", "second", "second", "10", "local"],
    ]
    assert float(table.rows[0][7]) > float(table.rows[1][7]), "half the costs in the same box"


def test_the_other_tells_who_is_best_for_so_much(found: Comparison) -> None:
    table = levels_table(found)
    assert [head[0] for head in table.heads] == ["latency", "first", "second"]
    first = [row[1] for row in table.rows]
    assert first[0] == "1:  93.3 *"
    assert table.rows[0][2] == "-  "
    assert all(cell.rstrip()[-1] in "*~" for cell in first), "the second never leads"
    assert table.legend[-1].startswith("crossings: 0; best beyond doubt: first from ")
    for shown in (table, fronts_table(found)):
        text = render([Column(*head) for head in shown.heads], shown.rows, shown.marked, PIPED_WIDTH)
        assert max(map(len, text.splitlines())) <= PIPED_WIDTH


def test_fronts_with_long_names_are_numbered_over_columns(found: Comparison) -> None:
    long = dataclasses.replace(found, files={f"runs/of/a/very/long/name/{n}": f for n, f in found.files.items()})
    assert column_names(long) == ["front 1", "front 2"]


def test_the_picture_has_a_colour_and_a_share_for_each(found: Comparison, tmp_path: Path) -> None:
    figure = make_fronts_figure(found)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [*(f"{name}: {share:.4f}" for name, share in found.hypervolumes.items()), "recommended"]
    assert len({line.get_color() for line in figure.axes[0].lines}) == 2
    draw_fronts(found, tmp_path / "fronts.png")
    with Image.open(tmp_path / "fronts.png") as image:
        assert image.format == "PNG"
