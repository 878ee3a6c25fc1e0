"""The interactive plots of front.html, as the plain data that plotly.js takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bstsearch.front_file import FrontFile
from bstsearch.pareto import Candidate
from bstsearch.report.staircase import staircase
from bstsearch.report.table import accuracy_text, digits, latency_kind, latency_text

BLUE, ORANGE, GREY = "#3b82f6", "#f59e0b", "#94a3b8"  # readable on light and on dark


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A cost that can lie along x; `limit` is the budget's field for it, where it has one."""

    key: str
    name: str
    label: str
    cost: Callable[[Candidate], float]
    limit: str | None = None
    range: Callable[[Candidate], tuple[float, float]] | None = None


AXES = (
    Axis(
        key="latency",
        name="Latency",
        label="latency, ms",
        cost=lambda one: one.latency.ms,
        limit="latency_ms",
        range=lambda one: (one.latency.low_ms, one.latency.high_ms),
    ),
    Axis(key="gflops", name="GFLOPs", label="GFLOPs", cost=lambda one: one.gflops, limit="gflops"),
    Axis(key="size", name="Size", label="size of the parameters, MB", cost=lambda one: one.size_bytes / 1e6),
)

Data = dict[str, Any]


def make_plot(file: FrontFile, axis: Axis) -> Data:
    """Traces and layout: accuracy over that cost, the budget's limit a line."""
    scored = [candidate for candidate in file.candidates if candidate.accuracy is not None]
    others = [candidate for candidate in scored if candidate not in file.front]
    within = [candidate for candidate in others if file.budget.admits(candidate)]
    over = [candidate for candidate in others if not file.budget.admits(candidate)]
    rows = [candidate for candidate in file.front if candidate != file.recommended]
    traces = [
        _points("over the budget", over, axis, {"color": GREY, "size": 7, "symbol": "circle-open"}),
        _points("dominated", within, axis, {"color": GREY, "size": 7}),
        _edge(file, axis),
        _points("front", rows, axis, {"color": BLUE, "size": 10}, has_bars=True),
        _points(
            "recommended", [file.recommended], axis, {"color": ORANGE, "size": 15, "symbol": "star"}, has_bars=True
        ),
    ]
    return {"data": [trace for trace in traces if trace["x"]], "layout": _layout(file, axis)}


def _points(name: str, candidates: Sequence[Candidate], axis: Axis, marker: Data, *, has_bars: bool = False) -> Data:
    trace: Data = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [axis.cost(one) for one in candidates],
        "y": [100 * one.share for one in candidates],
        "hovertext": [_hover(one) for one in candidates],
        "hoverinfo": "text",
        "marker": marker,
    }
    if has_bars:
        shares = [(100 * one.interval[0], 100 * one.interval[1]) for one in candidates]
        trace["error_y"] = _bars(trace["y"], shares, marker)
    if has_bars and axis.range:
        trace["error_x"] = _bars(trace["x"], [axis.range(one) for one in candidates], marker)
    return trace


def _bars(values: Sequence[float], ranges: Sequence[tuple[float, float]], marker: Data) -> Data:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, (_, high) in zip(values, ranges, strict=True)],
        "arrayminus": [value - low for value, (low, _) in zip(values, ranges, strict=True)],
        "color": marker["color"],
        "thickness": 1,
        "width": 3,
    }


def _edge(file: FrontFile, axis: Axis) -> Data:
    steps = staircase([(axis.cost(one), 100 * one.share) for one in file.front])
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [cost for cost, _ in steps],
        "y": [accuracy for _, accuracy in steps],
        "line": {"shape": "hv", "color": BLUE, "width": 1.5},
        "opacity": 0.5,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _hover(candidate: Candidate) -> str:
    lines = [
        f"<b>{candidate.id}</b>",
        f"accuracy {accuracy_text(candidate)} %",
        f"latency {latency_text(candidate)} ms, {candidate.latency.source}".replace("<", "&lt;"),
        f"{digits(candidate.gflops)} GFLOPs, {digits(candidate.macs / 1e6)} M MACs",
        f"{digits(candidate.parameters / 1e3)} k parameters, {digits(candidate.size_bytes / 1e6)} MB",
        f"peak memory {digits(candidate.safe_memory_bytes / 1e6)} MB",
    ]
    return "<br>".join(lines)


def _title(file: FrontFile, axis: Axis) -> str:
    return f"{axis.label} ({latency_kind(file.front)})" if axis.range else axis.label


def _layout(file: FrontFile, axis: Axis) -> Data:
    limit = file.budget.limits.get(axis.limit) if axis.limit else None
    layout: Data = {
        "xaxis": {"title": {"text": _title(file, axis)}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": f"accuracy on {file.origin.split}, %"}},
        "margin": {"l": 60, "r": 20, "t": 40, "b": 50},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "hovermode": "closest",
        "shapes": [],
        "annotations": [],
    }
    if limit is not None:
        line = {"color": ORANGE, "width": 2, "dash": "dash"}
        layout["shapes"].append(
            {"type": "line", "x0": limit, "x1": limit, "yref": "paper", "y0": 0, "y1": 1, "line": line}
        )
        note = {"x": limit, "yref": "paper", "y": 0, "text": f"budget {digits(limit)}", "showarrow": False}
        layout["annotations"].append({**note, "xanchor": "left", "yanchor": "bottom", "xshift": 4})
    return layout
