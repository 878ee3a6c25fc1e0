"""front.html: one or more fronts as a page that needs nothing else, not even a network (no torch)."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.files import read_text, write_text
from bstsearch.search.budget import COSTS
from bstsearch.search.front_file import FrontFile
from bstsearch.search.pareto import rule

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
    "page",
)


def write_page(fronts: Mapping[Path, FrontFile], path: Path) -> None:
    """Replaces the page at `path` by one of these front files, each with the path under which `export` finds it."""
    style, script = _read("page.css"), f'"use strict";\n(() => {{\n{page_script()}}})();\n'
    places = {
        "policy": f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'",
        "title": html.escape(_title(list(fronts.values()))),
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
    """What the page is drawn from: the front files in full precision, and the words of costs and rules."""
    return {
        "fronts": [
            {"path": shlex.quote(str(path)), "size": file.origin.space.size, "front": _packed(file)}
            for path, file in fronts.items()
        ],
        "costs": {name: {"label": cost.label, "unit": cost.unit} for name, cost in COSTS.items()},
        "rules": {"within": rule(has_budget=True), "free": rule(has_budget=False)},
    }


def _packed(file: FrontFile) -> dict[str, Any]:
    """front.json, its candidates' keys written once: of a large search they would be most of the page."""
    data = file.to_json()
    rows = data["candidates"]
    return {**data, "candidates": {"keys": list(rows[0]), "rows": [list(row.values()) for row in rows]}}


def _title(files: Sequence[FrontFile]) -> str:
    devices = ", ".join(file.origin.device["name"] for file in files)
    return f"Pareto front of {files[0].origin.supernet['family']} on {devices}"


def _embedded(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _read(name: str) -> str:
    return read_text(PARTS / name, "part of the page")
