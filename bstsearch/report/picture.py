"""front.png: every scored submodel and the front's rows by number, score over the first two costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bstsearch.report.axis import CostAxis, cost_axis, cost_range
from bstsearch.report.labels import Box, numbers, place_labels
from bstsearch.report.shapes import has_long_ids, short_name
from bstsearch.report.staircase import staircase
from bstsearch.report.table import shorten
from bstsearch.score import Metric
from bstsearch.searching.costs import Cost
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate
from bstsearch.writing import writing

BLUE, ORANGE, GREY, INK, GRID = "#2563eb", "#c2410c", "#94a3b8", "#1e293b", "#e2e8f0"
PANELS = 2  # at most, of costs in the order asked for
LABEL_HEIGHT = 14.0  # points, of a row number and its frame
NAMED = 12  # rows whose ids, or sizes where ids are long, stand under the panels
NUMBERED = 24  # rows that all have their number in the panels; of more, only those have one that are named below
NAME_LINES = {True: (2, 64), False: (4, 28)}  # names a line, and characters of each, by whether ids are long
WIDTH, PANEL, HEAD, FOOT, LINE = 11.0, 3.6, 0.85, 0.75, 0.21  # inches

Style = dict[str, Any]
NEAR: Style = {"color": BLUE, "alpha": 0.18, "linewidth": 9}


def draw_picture(file: FrontFile, path: Path, comments: Mapping[str, str] | None = None) -> None:
    """Replaces the PNG at `path`, whatever the user's settings of matplotlib are; `comments` are stored in it."""
    with matplotlib.rc_context(), writing(path) as temporary:
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False  # a name may hold any character
        make_figure(file).savefig(temporary, format="png", metadata=comments)


def make_figure(file: FrontFile) -> Figure:
    """A panel for each of the first two costs, with the same rows; ids underneath.

    The recommended row is orange, the budget a dashed line.
    """
    names = _names(file)
    per_line, _ = NAME_LINES[has_long_ids(file.front)]
    foot = LINE * -(-len(names) // per_line)
    height = HEAD + PANEL + FOOT + foot
    figure = Figure(figsize=(WIDTH, height), dpi=150)
    FigureCanvasAgg(figure)
    bottom, top = (FOOT + foot) / height, 1 - HEAD / height
    figure.subplots_adjust(left=0.06, right=0.985, bottom=bottom, top=top, wspace=0.06)
    _draw_panels(figure, file)
    figure.text(0.012, 1 - 0.3 / height, _title(file), fontsize=11, color=INK)
    _draw_legend(figure, file, y=1 - 0.45 / height)
    for index, (text, is_recommended) in enumerate(names):
        x, y = 0.06 + index % per_line * 0.94 / per_line, foot - (index // per_line + 0.6) * LINE
        color, weight = (ORANGE, "bold") if is_recommended else (INK, "normal")
        figure.text(x, y / height, text, fontsize=9, color=color, weight=weight)
    return figure


def _draw_panels(figure: Figure, file: FrontFile) -> None:
    costs = file.objectives.costs[:PANELS]
    (panels,) = figure.subplots(1, len(costs), sharey=True, squeeze=False)
    all_axes = [cost_axis(file, cost) for cost in costs]
    for axes, axis, cost in zip(panels, all_axes, costs, strict=True):
        _draw_points(axes, file, axis, cost)
        style_axes(axes, axis)
        _draw_budget(axes, axis)
        _draw_floor(axes, file)
    panels[0].set_ylabel(score_label(file), color=INK)
    for axes, axis in zip(panels, all_axes, strict=True):
        _number(axes, file, axis)  # last, when everything has its place


def score_label(file: FrontFile) -> str:
    """What is drawn upwards: the metric, on which split."""
    metric = file.objectives.metric
    return metric.title.replace(metric.name, f"{metric.name} on {file.origin.split}", 1)


def _title(file: FrontFile) -> str:
    scored = sum(one.accuracy is not None for one in file.candidates)
    kind = "exact front" if file.is_exact else "front"
    asked = f", {file.asked}" if file.asked else ""
    return (
        f"{file.origin.supernet['family']} on {file.origin.device['name']}: {kind} of {scored} scored submodels{asked}"
    )


def _picked(file: FrontFile) -> list[int]:
    """The rows that are named, counted from 0: all, or evenly spread ones and the recommended one."""
    count, recommended = len(file.front), file.front.index(file.recommended)
    if count <= NAMED:
        return list(range(count))
    spread = {round(index * (count - 1) / (NAMED - 2)) for index in range(NAMED - 1)}
    return sorted(spread | {recommended})


def _names(file: FrontFile) -> list[tuple[str, bool]]:
    """What stands under the panels: row numbers with what they are, the recommended one told, and how many more."""
    _, width = NAME_LINES[has_long_ids(file.front)]
    rows = [(row + 1, file.front[row]) for row in _picked(file)]
    space, more = file.origin.space, len(file.front) - len(rows)
    names = [
        (f"{row}  {shorten(short_name(space, one.submodel), width)}", one == file.recommended) for row, one in rows
    ]
    return [*names, *([(f"and {more} more: front.csv", False)] if more else [])]


def _draw_points(axes: Axes, file: FrontFile, axis: CostAxis, cost: Cost) -> None:
    metric = file.objectives.metric
    behind = [one for one in file.candidates if one.accuracy is not None and one not in file.front]
    for is_within, face in ((True, GREY), (False, "white")):
        some = [one for one in behind if file.admits(one) == is_within]
        axes.scatter(*_places(some, axis, metric), s=20, facecolor=face, edgecolor=GREY, linewidth=1)
    xs, ys = _places(file.front, axis, metric)
    steps = staircase(zip(xs, ys, strict=True), is_higher_better=metric.is_higher_better)
    axes.step(*zip(*steps, strict=True), where="post", color=BLUE, linewidth=1.2, alpha=0.4)
    pairs = zip(zip(xs, ys, strict=True), zip(xs[1:], ys[1:], strict=True), file.apart[1:], strict=False)
    bands = [(before, row) for before, row, is_apart in pairs if not is_apart]
    axes.add_collection(LineCollection(bands, capstyle="round", zorder=1.5, **NEAR), autolim=False)
    lows, highs = zip(*(cost_range(cost, one) for one in file.front), strict=True)
    axes.hlines(ys, lows, highs, color=BLUE, linewidth=1, alpha=0.35)
    low_ys, high_ys = zip(*(one.interval for one in file.front), strict=True)
    axes.vlines(xs, [metric.factor * y for y in low_ys], [metric.factor * y for y in high_ys], color=BLUE, linewidth=1)
    colors = [ORANGE if one == file.recommended else BLUE for one in file.front]
    axes.scatter(xs, ys, s=22, color=colors, zorder=3)


def _places(candidates: Sequence[Candidate], axis: CostAxis, metric: Metric) -> tuple[list[float], list[float]]:
    return [axis.of(one) for one in candidates], [metric.factor * one.score for one in candidates]


def style_axes(axes: Axes, axis: CostAxis) -> None:
    """Draws the axes as all pictures have them."""
    axes.set_xscale("log" if axis.is_log else "linear")
    axes.set_xlim(axis.low, axis.high)
    axes.xaxis.set_major_locator(FixedLocator(axis.ticks(7)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
    axes.set_xlabel(axis.label, color=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.margins(y=0.1)


def _draw_budget(axes: Axes, axis: CostAxis) -> None:
    """A line at the budget and its words above; only the words, at that edge, where it lies outside."""
    if axis.budget is None:
        return
    place = min(1.0, max(0.0, axis.share(axis.budget)))
    if axis.is_budget_inside:
        axes.axvline(axis.budget, color=ORANGE, linewidth=1.4, linestyle="--")
    side = "left" if place < 0.2 else "right" if place > 0.8 else "center"
    axes.text(place, 1.02, axis.budget_words, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, color=ORANGE)


def _draw_floor(axes: Axes, file: FrontFile) -> None:
    """A line at the worst score that is good enough, where one was asked for."""
    if file.floor is not None:
        axes.axhline(file.objectives.metric.factor * file.floor, color=ORANGE, linewidth=1.4, linestyle=":")


def _number(axes: Axes, file: FrontFile, axis: CostAxis) -> None:
    """Writes the row numbers on the points of the front, or beside them with a line; all is in place by now."""
    point = axes.figure.dpi / 72  # pixels in it
    front, metric = file.front, file.objectives.metric
    rows = list(range(len(front))) if len(front) <= NUMBERED else _picked(file)
    numbered = [front[row] for row in rows]
    others = [one for one in file.candidates if one.accuracy is not None and one not in numbered]
    area = axes.get_window_extent()
    labels = place_labels(
        _shown(axes, numbered, axis, metric),
        _shown(axes, others, axis, metric),
        Box(x0=area.x0, y0=area.y0, x1=area.x1, y1=area.y1),
        first=numbered.index(file.recommended),
        height=LABEL_HEIGHT * point,
    )
    back = axes.transData.inverted().transform
    for label in labels:
        here = [rows[number - 1] for number in label.rows]
        is_recommended = any(front[row] == file.recommended for row in here)
        color = ORANGE if is_recommended else BLUE
        (x, y), end = back(label.centre), back(label.point)
        if label.has_leader:
            axes.plot([end[0], x], [end[1], y], color=color, linewidth=0.8, zorder=3.5)
        frame: Style = {"boxstyle": "round,pad=0.25", "facecolor": color, "edgecolor": "white", "linewidth": 0.8}
        place: Style = {"ha": "center", "va": "center", "zorder": 5 if is_recommended else 4}
        axes.text(x, y, numbers(row + 1 for row in here), color="white", fontsize=8, weight="bold", bbox=frame, **place)


def _shown(axes: Axes, candidates: Sequence[Candidate], axis: CostAxis, metric: Metric) -> list[tuple[float, float]]:
    """Where the candidates lie in pixels."""
    return [tuple(axes.transData.transform(place)) for place in zip(*_places(candidates, axis, metric), strict=True)]


def _draw_legend(figure: Figure, file: FrontFile, y: float) -> None:
    """What the marks mean, beside each other under the title; only those that are there."""
    behind = [one for one in file.candidates if one.accuracy is not None and one not in file.front]
    dot: Style = {"linestyle": "", "marker": "o"}
    shown = [
        Line2D([], [], color=BLUE, label="row of the front, with its 95 % interval", **dot),
        Line2D([], [], color=ORANGE, label=f"recommended: {file.front.index(file.recommended) + 1}", **dot),
    ]
    if any(map(file.admits, behind)):
        shown.append(Line2D([], [], color=GREY, label="dominated", markersize=4, **dot))
    if not all(map(file.admits, behind)):
        words = [*(["over the budget"] if file.budget else []), *([] if file.floor is None else ["not good enough"])]
        label = " or ".join(words)
        shown.append(Line2D([], [], color=GREY, markerfacecolor="white", label=label, markersize=4, **dot))
    if not all(file.apart):
        shown.append(Line2D([], [], label="not significantly apart", solid_capstyle="butt", **NEAR))
    style: Style = {"frameon": False, "fontsize": 9, "labelcolor": INK, "handletextpad": 0.2, "columnspacing": 1.5}
    figure.legend(handles=shown, loc="center left", bbox_to_anchor=(0.002, y), ncols=len(shown), **style)
