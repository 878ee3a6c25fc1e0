from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bstsearch.report.picture import NAMED, ORANGE, draw_picture, make_figure
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import COSTS
from bstsearch.searching.front_file import FrontFile
from bstsearch.space import Space

MakeFront = Callable[..., FrontFile]
GRID = [submodel.id for submodel in Space.bst(stacks=(4, 4)).grid()]
Row = tuple[str, tuple[float, float]]


def row_labels(axes: Axes) -> list[Row]:
    """Row numbers with where their labels point to, by a line or by lying there; equal rows share a label."""
    leaders = {(line.get_xdata()[1], line.get_ydata()[1]): line for line in axes.lines if len(line.get_xdata()) == 2}
    found = []
    for text in axes.texts:
        if text.get_bbox_patch():
            leader = leaders.get(text.get_position())
            end = (leader.get_xdata()[0], leader.get_ydata()[0]) if leader else text.get_position()
            found += [(number, end) for number in text.get_text().split(",")]
    return found


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def test_picture_is_a_png_with_comments(make_front: MakeFront, tmp_path: Path) -> None:
    draw_picture(make_front(), tmp_path / "front.png", {"bstsearch": "abc"})
    with Image.open(tmp_path / "front.png") as image:
        assert (image.format, image.info["bstsearch"]) == ("PNG", "abc")


@pytest.mark.parametrize("budget", [Budget(), Budget(latency_ms=0.4), Budget(latency_ms=60.0)])
def test_each_row_has_its_number_on_its_point_or_a_line_there_in_both_panels(
    make_front: MakeFront, budget: Budget
) -> None:
    file = make_front(budget)
    figure = make_figure(file)
    for axes, cost in zip(figure.axes, (lambda one: one.latency.safe_ms, lambda one: one.gflops), strict=True):
        places = dict(row_labels(axes))
        assert set(places) == {str(number) for number in range(1, len(file.front) + 1)}
        for number, one in enumerate(file.front, start=1):
            assert places[str(number)] == pytest.approx((cost(one), 100 * one.score))


def test_the_recommended_row_is_told_in_colour_and_words(make_front: MakeFront) -> None:
    file = make_front()
    figure = make_figure(file)
    number = file.front.index(file.recommended) + 1
    for axes in figure.axes:
        colored = [
            text.get_text()
            for text in axes.texts
            if text.get_bbox_patch() and text.get_bbox_patch().get_facecolor() == matplotlib.colors.to_rgba(ORANGE)
        ]
        assert colored == [str(number)]
    assert f"recommended: {number}" in [text.get_text() for text in figure.legends[0].get_texts()]
    (name,) = (text for text in figure.texts if text.get_text() == f"{number}  {file.recommended.id}")
    assert (name.get_color(), name.get_weight()) == (ORANGE, "bold")


def test_rows_are_named_underneath_up_to_a_dozen(make_front: MakeFront) -> None:
    file = make_front()
    assert all(f"{number}  {one.id}" in words(make_figure(file)) for number, one in enumerate(file.front, start=1))
    long = dataclasses.replace(file, front=(file.front * 4)[:20], recommended=file.front[-1])
    shown = words(make_figure(long))
    assert 20 - NAMED <= int(shown.partition("and ")[2].partition(" more: front.csv")[0]) <= 21 - NAMED
    assert f"  {file.recommended.id}" in shown


@pytest.mark.parametrize(("budget", "lines"), [(None, 0), (0.4, 1), (60.0, 0)])
def test_the_budget_is_a_line_or_a_mark_at_the_edge_and_never_moves_the_axis(
    make_front: MakeFront, budget: float | None, lines: int
) -> None:
    file = make_front(Budget(latency_ms=budget))
    panel, other = make_figure(file).axes
    dashed = [line for line in panel.lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in dashed] == [[budget, budget]] * lines
    told = [text.get_text() for text in panel.texts if "budget" in text.get_text()]
    assert told == {None: [], 0.4: ["budget 0.400 ms"], 60.0: ["budget 60.0 ms, beyond this axis >"]}[budget]
    assert panel.get_xlim()[1] < 1.2 * file.full.latency.safe_ms
    assert not [text for text in other.texts if "budget" in text.get_text()]


def test_what_is_over_the_budget_is_hollow(make_front: MakeFront) -> None:
    texts = [text.get_text() for text in make_figure(make_front(Budget(latency_ms=0.3))).legends[0].get_texts()]
    assert "over the budget" in texts
    assert "over the budget" not in [text.get_text() for text in make_figure(make_front()).legends[0].get_texts()]


def test_a_wide_axis_is_logarithmic(make_front: MakeFront) -> None:
    latency, gflops = make_figure(make_front()).axes
    assert (latency.get_xscale(), gflops.get_xscale()) == ("linear", "log")
    ticks = [text.get_text() for text in gflops.get_xticklabels()]
    assert ticks
    assert not any("$" in tick or "e" in tick for tick in ticks)


def test_latencies_that_were_not_measured_have_a_line_over_their_range(make_front: MakeFront) -> None:
    file = make_front(estimated=["w1-d1"])
    panel, other = make_figure(file).axes
    assert panel.get_xlabel().startswith(
        f"{COSTS['latency'].caption} (estimated or measured, the upper end of each range"
    )
    assert other.get_xlabel().startswith(COSTS["gflops"].caption)
    ranges = {(one.latency.low_ms, one.latency.high_ms) for one in file.front}
    assert ranges <= {tuple(path.vertices[:, 0]) for lines in panel.collections for path in lines.get_paths()}


def test_settings_of_the_user_do_not_matter(make_front: MakeFront, tmp_path: Path) -> None:
    """Nor are they changed."""
    plain, strange = tmp_path / "plain.png", tmp_path / "strange.png"
    draw_picture(make_front(), plain)
    with matplotlib.rc_context(
        {"text.usetex": True, "font.family": "no such font", "figure.dpi": 5, "lines.linewidth": 9}
    ):
        draw_picture(make_front(), strange)
        assert matplotlib.rcParams["text.usetex"]
    assert strange.read_bytes() == plain.read_bytes()


def test_a_name_is_no_formula(make_front: MakeFront, tmp_path: Path) -> None:
    draw_picture(make_front(device="a$_b$^"), tmp_path / "front.png")
    assert (tmp_path / "front.png").exists()


def test_of_a_long_front_a_dozen_rows_have_their_number_and_name(make_front: MakeFront, make_candidate: Any) -> None:
    """Spread over all of it, the recommended one among them; each still has its point."""
    file = make_front(is_layerwise=True)
    rows = [
        make_candidate(one.id, ms=1.0 + number, macs=1000 * (1 + number), correct=500 + 6 * number)
        for number, one in enumerate(itertools.islice(file.origin.space, 60, 140))
    ]
    long = dataclasses.replace(file, front=tuple(rows), candidates=tuple(rows), recommended=rows[33])
    figure = make_figure(long)
    numbers = {int(number) for number, _ in row_labels(figure.axes[0])}
    assert {1, 34, 80} <= numbers
    assert NAMED - 1 <= len(numbers) <= NAMED
    assert f"and {80 - len(numbers)} more: front.csv" in words(figure)
    assert "34  1/4, " in words(figure)
    assert "heads " in words(figure)
    assert len(figure.axes[0].collections[-1].get_offsets()) == 80


def test_rows_that_are_not_apart_are_joined_and_a_floor_is_a_line(make_front: MakeFront) -> None:
    file = make_front()
    bands = [one for one in make_figure(file).axes[0].collections if set(one.get_linewidths()) == {9}]
    assert [len(band.get_segments()) for band in bands] == [file.apart.count(False)]
    labels = [text.get_text() for text in make_figure(file).legends[0].get_texts()]
    assert "not significantly apart" in labels
    above = file.resolve(Budget(), floor=0.95)
    figure = make_figure(above)
    dotted = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert [list(line.get_ydata()) for line in dotted] == [[95.0, 95.0]]
    assert "not good enough" in [text.get_text() for text in figure.legends[0].get_texts()]
