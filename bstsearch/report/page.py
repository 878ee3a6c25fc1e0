"""front.html: one or more fronts as a page that needs nothing else, not even a network (no torch)."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.reading import parsing, plain, read_text
from bstsearch.searching.apart import find_not_apart
from bstsearch.searching.comparison import Comparison
from bstsearch.searching.costs import Cost, Objectives, by_name, known_costs
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate, find_front, rule
from bstsearch.writing import write_text

PARTS = Path(__file__).with_name("html")
# In this order they are one script: what a file uses when it is read stands before it.
SCRIPTS = (
    "rule",
    "numbers",
    "layers",
    "scale",
    "view",
    "dom",
    "plot",
    "gestures",
    "table",
    "details",
    "matrix",
    "levels",
    "page",
)


def write_page(fronts: Mapping[Path, FrontFile], path: Path) -> None:
    """Replaces the page at `path` by one of these front files, each with the path under which `export` finds it."""
    style, script = _read("page.css"), f'"use strict";\n(() => {{\n{page_script()}}})();\n'
    places = {
        "policy": f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'",
        "title": html.escape(plain(_title(list(fronts.values())))),
        "style": style,
        "data": _embedded(page_data(fronts)),
        "script": script,
    }
    page = _read("page.html")
    for name, text in places.items():
        page = page.replace(f"<!--{name}-->", text)
    write_text(path, page)


def page_script(names: Sequence[str] = SCRIPTS) -> str:
    """The page's script, or only some of its files."""
    return "".join(_read(f"{name}.js") for name in names)


def page_data(fronts: Mapping[Path, FrontFile]) -> dict[str, Any]:
    """What the page is drawn from: the front files in full precision, and the words of costs, score and rules."""
    together = Comparison.of(fronts)
    objectives = together.objectives
    known = known_costs(one for file in fronts.values() for one in file.candidates)
    order = dict.fromkeys(cost.name for cost in (*objectives.costs, *known))
    return {
        "fronts": [
            {"name": name, "path": shlex.quote(str(path)), "size": file.origin.space.size, "front": _packed(file, path)}
            for (name, file), path in zip(together.files.items(), together.paths, strict=True)
        ],
        "has_same_scores": together.has_same_scores,
        "costs": {name: _words(by_name()[name]) for name in order},
        "rules": {
            "within": rule(objectives, has_budget=True),
            "free": rule(objectives, has_budget=False),
            "first": objectives.first.first,
        },
    }


def trade(objectives: Objectives) -> dict[str, Any]:
    """What the page's rules compare: the names of the costs, and the metric of the score."""
    metric = objectives.metric
    words = {"title": metric.title, "factor": metric.factor}
    return {"costs": [cost.name for cost in objectives.costs], "metric": {**metric.to_json(), **words}}


def packed_candidate(one: Candidate) -> dict[str, Any]:
    """A candidate as the page has it: its score, and of each cost value, ends and source, as far as these say more."""
    data = one.to_json()
    kept = ("id", "width", "depth", "accuracy", "accuracy_low", "accuracy_high", "correct", "questions")
    found = ("test_accuracy", "test_accuracy_low", "test_accuracy_high", "beaten_by")  # by some of them
    costs = {}
    for cost in known_costs([one]):
        value, low, high, source, has_range = cost.of(one)
        costs[cost.name] = [value, low, high, source] if source or has_range else [value]
    return {**{name: data[name] for name in kept}, **{name: data.get(name) for name in found}, "costs": costs}


def _packed(file: FrontFile, path: Path) -> dict[str, Any]:
    """front.json, its candidates' keys written once: of a large search they would be most of the page."""
    with parsing(path):
        compared = _compared(file)
    rows, known = list(map(packed_candidate, file.candidates)), [cost.name for cost in known_costs(file.candidates)]
    keys = [key for key in rows[0] if key != "costs"]
    return {
        **file.to_json(),
        **compared,
        "trade": trade(file.objectives),
        "candidates": {
            "keys": keys,
            "costs": known,
            "rows": [[*(row[key] for key in keys), *(row["costs"][name] for name in known)] for row in rows],
        },
    }


def _compared(file: FrontFile) -> dict[str, Any]:
    """The rows that a budget may make neighbours and whose values are known, and which two of them are not apart.

    Rows are told by id, pairs by the places of both in that list.
    """
    scored = [one for one in file.candidates if one.accuracy is not None]
    rows = {one.id: one for one in (*find_front(scored, file.objectives), *file.front) if one.rights is not None}
    places = {name: place for place, name in enumerate(rows)}
    pairs = find_not_apart(itertools.combinations(rows.values(), 2))
    return {"compared": list(rows), "not_apart": [[places[one], places[other]] for one, other in pairs]}


def _words(cost: Cost) -> dict[str, Any]:
    title, unit = cost.head
    return {
        "label": cost.label,
        "unit": cost.unit,
        "axis": title[:1].upper() + title[1:],
        "head": unit,
        "title": cost.caption.partition(",")[0],
        "caption": cost.caption,
        "beyond": f"beyond the {cost.most}",
        "below": f"below the {cost.least}",
    }


def _title(files: Sequence[FrontFile]) -> str:
    family = files[0].origin.supernet["family"]
    devices = ", ".join(dict.fromkeys(str(file.origin.device["name"]) for file in files))
    return f"Pareto front of {family} on {devices}"


def _embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return read_text(PARTS / name)
