"""Fronts of one supernet on several devices side by side: one row per submodel that is on any of them."""

from __future__ import annotations

from collections.abc import Sequence

from bstsearch.report.shapes import short_name
from bstsearch.report.table import Head, Table, cost_kind
from bstsearch.searching.comparison import on_all_fronts
from bstsearch.searching.front_file import FrontFile

ON_FRONT, RECOMMENDED = "+", "*"
NAMED = 10  # ids at most that a line below the table lists


def devices_table(files: Sequence[FrontFile]) -> Table:
    """Every submodel on some front, smallest first: its score, and on each device its first cost and a mark.

    The mark is "+" on a device whose front has it, "*" where it is the recommended one.
    """
    ids = dict.fromkeys(one.id for file in files for one in file.front)
    first = {name: next(file.get(name) for file in files if file.is_on_front(name)) for name in ids}
    ordered = sorted(ids, key=lambda name: (first[name].macs, name))
    metric = files[0].objectives.metric
    score: Head = (f"{metric.name}\n95 % interval", metric.unit, True, 1)
    heads: list[Head] = [("id", "", False), score, *(_head(file) for file in files)]
    rows = [
        [
            short_name(files[0].origin.space, first[name].submodel),
            files[0].objectives.score_text(first[name]),
            *(_cell(file, name) for file in files),
        ]
        for name in ordered
    ]
    shared = on_all_fronts(files)
    few = ", ".join(shared) if len(shared) <= NAMED else f"{len(shared)} submodels, listed in fronts.json"
    legend = [
        f"{ON_FRONT} on that device's front, {RECOMMENDED} recommended there",
        f"on all {len(files)} fronts: {few or 'none'}",
    ]
    return Table(title=f"Pareto fronts on {len(files)} devices", heads=heads, rows=rows, legend=legend)


def _head(file: FrontFile) -> Head:
    cost = file.objectives.first
    words = [] if cost.key == "latency" else [cost.head[0]]
    lines = [str(file.origin.device["name"]), " ".join([*words, cost_kind(file.front, cost)]).strip()]
    return "\n".join(lines), cost.unit, True


def _cell(file: FrontFile, name: str) -> str:
    found = next((one for one in file.candidates if one.id == name), None)
    if found is None:
        return "-"
    mark = RECOMMENDED if name == file.recommended.id else ON_FRONT if file.is_on_front(name) else " "
    return f"{file.objectives.first.text(found)} {mark}"
