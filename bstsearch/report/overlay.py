"""Fronts laid over each other as rows of text: what each of them is, and what each gets for a cost."""

from __future__ import annotations

import itertools

from bstsearch.profiles.latency import digits
from bstsearch.report.table import Head, Table, cost_kind
from bstsearch.searching.comparison import Comparison, Level
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate
from bstsearch.space_names import size_text

HEAD_WIDTH = 18  # characters of a name over a column; fronts with longer ones are numbered there
LEADS, NARROWLY = "*", "~"  # the front ahead at a level: beyond doubt, or by no more than chance makes likely


def fronts_table(comparison: Comparison) -> Table:
    """One row per front: what it is of, how many rows it has, and its share of the one box of all."""
    heads: list[Head] = [
        ("", "", True),
        ("front", "", False),
        ("supernet", "", False, 2),
        ("submodels", "", True, 3),
        ("device", "", False, 2),
        ("latency\nis", "", False, 4),
        ("rows", "", True, 1),
        ("hyper-\nvolume", "", True),
        ("best", comparison.objectives.metric.unit, True, 1),
    ]
    rows = [
        [str(number), name, *_facts(file), str(len(file.front)), f"{comparison.hypervolumes[name]:.4f}", _best(file)]
        for number, (name, file) in enumerate(comparison.files.items(), start=1)
    ]
    return Table(title=f"{len(rows)} Pareto fronts", heads=heads, rows=rows)


def _facts(file: FrontFile) -> list[str]:
    origin, cost = file.origin, file.objectives.first
    name = origin.supernet["path"].rstrip("/").rpartition("/")[2]
    return [name, size_text(file.origin.space.size), str(origin.device["name"]), cost_kind(file.front, cost)]


def _best(file: FrontFile) -> str:
    metric = file.objectives.metric
    return file.objectives.score_text(min(file.front, key=lambda one: metric.loss(one.score)))


def levels_table(comparison: Comparison) -> Table:
    """One row per value of the first cost at which a front gets better: the best that each has for so much.

    A cell is the row of the front that does it (where the front gets better right there), its score, and a mark where
    this front is the best one.
    """
    cost, metric = comparison.objectives.first, comparison.objectives.metric
    heads: list[Head] = [
        (cost.head[0], cost.unit, True),
        *((name, metric.unit, True) for name in column_names(comparison)),
    ]
    rows: list[list[str]] = []
    before: Level | None = None
    for level in comparison.levels:
        cells = [
            _cell(comparison, level, index, is_new=before is None or before.best[index] != one)
            for index, one in enumerate(level.best)
        ]
        rows.append([digits(level.cost), *cells])
        before = level
    legend = [
        f"3: row 3 of that front begins here; {LEADS} best there, {NARROWLY} best by no more than chance makes likely",
        leads_text(comparison),
    ]
    return Table(title=f"Best {metric.name} for a {cost.label} of at most", heads=heads, rows=rows, legend=legend)


def column_names(comparison: Comparison) -> list[str]:
    """The fronts' names as heads of columns, in lines; their numbers where a name is too long."""
    names = [name.replace(", ", "\n") for name in comparison.files]
    if max(len(line) for name in names for line in name.split("\n")) <= HEAD_WIDTH:
        return names
    return [f"front {number}" for number in range(1, len(names) + 1)]


def _cell(comparison: Comparison, level: Level, index: int, *, is_new: bool) -> str:
    one = level.best[index]
    if one is None:
        return "-  "
    mark = "" if index != level.leader else LEADS if level.is_apart else NARROWLY
    row = f"{_row(list(comparison.files.values())[index], one)}:  " if is_new else ""
    return f"{row}{comparison.objectives.value_text(one.score)} {mark:1}"


def _row(file: FrontFile, one: Candidate) -> int:
    return file.front.index(one) + 1


def leads_text(comparison: Comparison) -> str:
    """How often the fronts cross, and which leads beyond doubt from which cost on."""
    cost, leads = comparison.objectives.first, comparison.leads
    clear = [
        next(run) for _, run in itertools.groupby((one for one in leads if one.is_apart), key=lambda one: one.name)
    ]
    words = [f"{lead.name} from {digits(lead.begin)} {cost.unit}".rstrip() for lead in clear]
    return f"crossings: {len(leads) - 1}; best beyond doubt: {', then '.join(words) or 'none'}"
