"""fronts.png: several fronts over each other, a colour for each, score over the first two costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bstsearch.report.axis import fronts_axis
from bstsearch.report.picture import GREY, INK, PANELS, WIDTH, score_label, style_axes
from bstsearch.report.staircase import staircase
from bstsearch.report.table import shorten
from bstsearch.searching.comparison import Comparison
from bstsearch.searching.costs import Cost
from bstsearch.searching.front_file import FrontFile
from bstsearch.writing import writing

# Wong's, of equal weight for every eye; the page has the same, and a mark of its own for each where they repeat.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS = "osD^v"
PANEL, HEAD, FOOT, LINE = 4.0, 0.5, 0.65, 0.24  # inches
NAME_WIDTH, NAMES_A_LINE = 60, 2


def draw_fronts(comparison: Comparison, path: Path) -> None:
    """Replaces the PNG at `path`, whatever the user's settings of matplotlib are."""
    with matplotlib.rc_context(), writing(path) as temporary:
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False  # a name may hold any character
        make_fronts_figure(comparison).savefig(temporary, format="png")


def make_fronts_figure(comparison: Comparison) -> Figure:
    """A panel for each of the first two costs; above them the fronts' names with their shares of one hypervolume."""
    head = HEAD + LINE * -(-len(comparison.files) // NAMES_A_LINE)
    height = head + PANEL + FOOT
    figure = Figure(figsize=(WIDTH, height), dpi=150)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.06, right=0.985, bottom=FOOT / height, top=1 - head / height, wspace=0.06)
    costs = comparison.objectives.costs[:PANELS]
    (panels,) = figure.subplots(1, len(costs), sharey=True, squeeze=False)
    files = list(comparison.files.values())
    for axes, cost in zip(panels, costs, strict=True):
        axis = fronts_axis(files, cost)
        for file, (color, marker) in zip(files, _looks(), strict=False):
            _draw_front(axes, file, cost, color, marker)
        style_axes(axes, axis)
    panels[0].set_ylabel(score_label(files[0]), color=INK)
    title = f"{len(files)} Pareto fronts, hypervolume in one box"
    figure.text(0.012, 1 - 0.3 / height, title, fontsize=11, color=INK)
    _draw_legend(figure, comparison, y=1 - 0.4 / height)
    return figure


def _looks() -> Iterable[tuple[str, str]]:
    """A colour and a marker for each front."""
    return ((color, marker) for marker in itertools.cycle(MARKERS) for color in COLORS)


def _draw_front(axes: Axes, file: FrontFile, cost: Cost, color: str, marker: str) -> None:
    metric = file.objectives.metric
    xs = [cost.of(one).value for one in file.front]
    ys = [metric.factor * one.score for one in file.front]
    steps = staircase(zip(xs, ys, strict=True), is_higher_better=metric.is_higher_better)
    axes.step(*zip(*steps, strict=True), where="post", color=color, linewidth=1.2, alpha=0.6)
    lows, highs = zip(*(one.interval for one in file.front), strict=True)
    low_ys, high_ys = ([metric.factor * y for y in ends] for ends in (lows, highs))
    axes.vlines(xs, low_ys, high_ys, color=color, linewidth=1, alpha=0.45)
    axes.scatter(xs, ys, s=20, color=color, marker=marker, zorder=3)
    best = file.recommended
    place = [cost.of(best).value], [metric.factor * best.score]
    axes.scatter(*place, s=80, facecolor="none", edgecolor=color, marker=marker, linewidth=1.4, zorder=4)


def _draw_legend(figure: Figure, comparison: Comparison, y: float) -> None:
    handles = [
        Line2D([], [], color=color, marker=marker, label=f"{shorten(name, NAME_WIDTH)}: {share:.4f}")
        for (name, share), (color, marker) in zip(comparison.hypervolumes.items(), _looks(), strict=False)
    ]
    ring = Line2D([], [], color=GREY, linestyle="", marker="o", fillstyle="none", markersize=9, label="recommended")
    figure.legend(
        handles=[*handles, ring],
        loc="upper left",
        bbox_to_anchor=(0.002, y),
        ncols=NAMES_A_LINE,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
