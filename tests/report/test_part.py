"""Fronts of a part of what was trained, "at most half width": the full model is outside, and only its costs count."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from bstsearch.report import draw_report, write_reports
from bstsearch.report.table import corner_table, front_table
from bstsearch.searching.budget import Budget, parse_bounds
from bstsearch.searching.front_file import FrontFile, read_front
from bstsearch.space import Submodel

MakeFront = Callable[..., FrontFile]


@pytest.fixture
def half(make_front: MakeFront) -> FrontFile:
    """The front of the submodels of at most half width; the full model has costs, and no score."""
    whole = make_front()
    widths = tuple(width for width in whole.origin.space.widths if width <= Fraction(1, 2))
    space = dataclasses.replace(whole.origin.space, widths=widths, least_depths=whole.origin.space.least_depths[:2])
    candidates = [one for one in whole.candidates if one.submodel in space]
    candidates.append(dataclasses.replace(whole.full, accuracy=None))
    return FrontFile.solve(
        candidates,
        Budget.resolve(parse_bounds({"latency": "30%"}, ()), whole.full),
        origin=dataclasses.replace(whole.origin, space=space),
        sampler="exact",
        is_exact=True,
        trials=len(candidates) - 1,
        searched=Budget(),
    )


def test_a_share_is_of_the_full_model_which_is_on_no_front(half: FrontFile) -> None:
    assert half.budget.limits["latency_ms"] == pytest.approx(0.3 * half.full.latency.ms)
    assert half.full.submodel == Submodel()
    assert half.full not in half.front
    assert half.corners[2].id == "w1of2-d1"
    assert half.answers(half.budget, trials=1000)
    assert half.resolve(Budget()).front


def test_table_page_picture_csv_and_frame_show_it(half: FrontFile, tmp_path: Path) -> None:
    write_reports(half, tmp_path, tmp_path)
    assert draw_report(half, tmp_path) is None
    assert {path.name for path in tmp_path.iterdir()} == {"front.json", "front.csv", "front.html", "front.png"}
    assert read_front(tmp_path / "front.json") == half
    assert json.loads((tmp_path / "front.json").read_text())["hypervolume"]["reference"]["latency_ms"] == pytest.approx(
        half.full.latency.ms
    )
    assert len(front_table(half).rows) == len(half.front)
    assert [row[1] for row in corner_table(half.corners, half.budget).rows] == ["w1of4-d1of4", "w1of4-d1", "w1of2-d1"]
    frame = half.to_frame()
    assert frame.loc["w1-d1"].isna()["accuracy"]
    assert "w1-d1" not in (tmp_path / "front.csv").read_text()
