"""front.png: every scored submodel and the whole front, accuracy over latency and over GFLOPs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from bstsearch.files import writing
from bstsearch.front_file import FrontFile
from bstsearch.pareto import Candidate, Front, find_front
from bstsearch.report.staircase import staircase
from bstsearch.report.table import ID_WIDTH, latency_kind, shorten

BLUE, GREY, INK, GRID = "#2563eb", "#94a3b8", "#1e293b", "#e2e8f0"
# Where a label may go, as a shift in points and the side that it hangs on; the first free place is taken.
PLACES = (
    (7, -6, "left", "top"),
    (-7, 6, "right", "bottom"),
    (7, 6, "left", "bottom"),
    (-7, -6, "right", "top"),
    (0, -12, "center", "top"),
    (0, 12, "center", "bottom"),
)

Cost = Callable[[Candidate], float]
Range = Callable[[Candidate], tuple[float, float]]
PANELS: tuple[tuple[str, Cost, Range | None], ...] = (
    ("latency, ms", lambda one: one.latency.ms, lambda one: (one.latency.low_ms, one.latency.high_ms)),
    ("GFLOPs, two per multiply-add", lambda one: one.gflops, None),
)


def draw_picture(file: FrontFile, path: Path) -> None:
    """Replaces the PNG at `path`; it does not depend on the budget."""
    scored = [candidate for candidate in file.candidates if candidate.accuracy is not None]
    front = find_front(scored)
    figure = Figure(figsize=(11, 4.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (label, cost, range_of) in zip(panels, PANELS, strict=True):
        _draw_panel(axes, scored, front, cost)
        if range_of:
            _draw_ranges(axes, front, range_of)
        axes.set_xlabel(f"{label} ({latency_kind(front)})" if range_of else label, color=INK)
    panels[0].set_ylabel(f"accuracy on {file.origin.split}, %", color=INK)
    panels[0].legend(loc="lower right", frameon=False, fontsize=9, labelcolor=INK)
    figure.suptitle(_title(file, scored), x=0.008, ha="left", fontsize=11, color=INK)
    figure.draw_without_rendering()  # gives everything its place, so that labels find the free ones
    for axes, (_, cost, _) in zip(panels, PANELS, strict=True):
        _label(axes, scored, front, cost)
    with writing(path) as temporary:
        figure.savefig(temporary, format="png")


def _title(file: FrontFile, scored: Sequence[Candidate]) -> str:
    kind = "exact front" if file.is_exact and not file.searched else "front"
    device = file.origin.device["name"]
    return f"{file.origin.supernet['family']} on {device}: {kind} of {len(scored)} scored submodels"


def _draw_panel(axes: Axes, scored: Sequence[Candidate], front: Front, cost: Cost) -> None:
    behind = [candidate for candidate in scored if candidate not in front]
    if behind:
        axes.scatter(list(map(cost, behind)), list(map(_percent, behind)), s=22, color=GREY, label="dominated")
    steps = staircase([(cost(one), _percent(one)) for one in front])
    axes.step(*zip(*steps, strict=True), where="post", color=BLUE, linewidth=1.2, alpha=0.5)
    bars = [
        [_percent(one) - 100 * one.interval[0] for one in front],
        [100 * one.interval[1] - _percent(one) for one in front],
    ]
    axes.errorbar(
        [cost(one) for one in front],
        [_percent(one) for one in front],
        yerr=bars,
        fmt="o",
        markersize=6,
        color=BLUE,
        elinewidth=1,
        label="front, with 95 % intervals",
    )
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.margins(x=0.12, y=0.12)


def _draw_ranges(axes: Axes, front: Front, range_of: Range) -> None:
    """Where the costs of the front's rows may lie, a faint line through each."""
    lows, highs = zip(*map(range_of, front), strict=True)
    axes.hlines(list(map(_percent, front)), lows, highs, color=BLUE, linewidth=1, alpha=0.35)


def _label(axes: Axes, scored: Sequence[Candidate], front: Front, cost: Cost) -> None:
    """Writes the ids of front rows where there is room; one that fits nowhere stays unlabelled."""
    points = axes.transData.transform([(cost(one), _percent(one)) for one in scored])
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in points]
    legend = axes.get_legend()
    if legend:
        taken.append(legend.get_window_extent())
    for candidate in front:
        for dx, dy, ha, va in PLACES:
            text = axes.annotate(
                shorten(candidate.id, ID_WIDTH),
                (cost(candidate), _percent(candidate)),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=8,
                color=INK,
            )
            text.set_in_layout(False)
            box = text.get_window_extent()
            is_inside = axes.get_window_extent().padded(4).containsx(box.x0) and axes.bbox.padded(4).containsx(box.x1)
            if is_inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _percent(candidate: Candidate) -> float:
    return 100 * candidate.share
