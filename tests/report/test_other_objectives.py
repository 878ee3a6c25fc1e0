"""A front of other objectives, and of a score that is better when lower, in every form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bstsearch.report.devices_table import devices_table
from bstsearch.report.page import page_data
from bstsearch.report.picture import make_figure
from bstsearch.report.table import front_table
from bstsearch.report.terminal_plot import ASCII, HEIGHT, terminal_plot
from bstsearch.score import Metric
from bstsearch.searching.costs import Objectives
from bstsearch.searching.front_file import FrontFile

MakeFront = Callable[..., FrontFile]

ERROR = Metric(name="error", unit="m", is_higher_better=False, best=0.0)
MEMORY = Objectives.of(["accuracy", "memory", "latency"])
WRONG = Objectives.of(["accuracy", "latency", "parameters"], ERROR)


def test_the_table_begins_with_what_is_traded(make_front: MakeFront) -> None:
    titles = [head[0].split("\n")[0] for head in front_table(make_front(objectives=MEMORY)).heads]
    assert titles == [
        *("row", "id", "width", "depth", "accuracy", "memory", "latency", "GFLOPs", "MACs", "params", "size")
    ]
    ranks = {head[0]: head[3:] for head in front_table(make_front(objectives=MEMORY)).heads}
    assert not any(ranks["memory"]), "a narrow terminal shows it, too"


def test_the_table_names_the_metric(make_front: MakeFront) -> None:
    file = make_front(objectives=WRONG)
    table = front_table(file)
    assert ("error\n95 % interval", "m", True) in table.heads
    best = file.front[-1]
    assert table.rows[-1][4].removeprefix("~") == f"{best.score:.4g} ({0.9 * best.score:.4g}-{1.1 * best.score:.4g})"
    assert table.marked == file.front.index(file.recommended)


def test_several_devices_are_compared_by_the_first_cost(make_front: MakeFront) -> None:
    files = [make_front(device=name, objectives=MEMORY) for name in ("laptop", "phone")]
    table = devices_table(files)
    assert [head[:2] for head in table.heads[2:]] == [
        ("laptop\nmemory measured", "MB"),
        ("phone\nmemory measured", "MB"),
    ]
    assert table.rows[0][2] == f"{files[0].front[0].memory.bytes / 1e6:.1f} +"


def test_the_picture_draws_the_first_two_costs(make_front: MakeFront) -> None:
    panels = make_figure(make_front(objectives=MEMORY)).axes
    assert [panel.get_xlabel().partition(" (")[0] for panel in panels] == ["peak memory, MB", "latency, ms"]
    (panel,) = make_figure(make_front(objectives=Objectives.of(["accuracy", "size"]))).axes
    assert panel.get_xlabel() == "size of the parameters, MB (log scale)"


def test_a_lower_score_is_drawn_lower_and_the_edge_goes_down(make_front: MakeFront) -> None:
    file = make_front(objectives=WRONG)
    panel = make_figure(file).axes[0]
    assert panel.get_ylabel() == "error on validation, m (lower is better)"
    (edge,) = (line for line in panel.lines if line.get_drawstyle() == "steps-post")
    heights = list(edge.get_ydata())
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == pytest.approx(min(one.score for one in file.front))


def test_the_terminal_names_metric_and_cost(make_front: MakeFront) -> None:
    file = make_front(objectives=WRONG)
    plot = terminal_plot(file, 100, ASCII)
    assert plot is not None
    assert plot.lines[0] == "error, m (lower is better)"
    assert "latency, ms" in plot.lines[-1]
    assert f"{len(file.front)}" in plot.lines[HEIGHT], "the least error is at the bottom"
    plot = terminal_plot(make_front(objectives=MEMORY), 100, ASCII)
    assert plot is not None
    assert "peak memory, MB" in plot.lines[HEIGHT + 3]


def test_the_page_has_what_is_traded_first(make_front: MakeFront) -> None:
    data = page_data({Path("front.json"): make_front(objectives=WRONG)})
    assert list(data["costs"]) == ["latency_ms", "parameters", "gflops", "size_mb", "memory_mb"]
    trade = data["fronts"][0]["front"]["trade"]
    assert trade["costs"] == ["latency_ms", "parameters"]
    assert trade["metric"]["title"] == "error, m (lower is better)"
    assert data["rules"]["within"] == "the best by error within the budget"
