"""Writes the table of docs/transformers.md, what is found of the stock classes that the tests try: `make docs`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "transformers.md"
BEGIN, END = "<!-- table: docs/transformers_table.py -->", "<!-- end of table -->"
# Reasons that every class has, which the text says once.
USUAL = re.compile(r"set by the inputs|nothing depends on it|no weight follows it|the number of outputs|position")


def row(found: dict[str, Any]) -> str:
    """One class: its groups with their parts and errors, its lists of layers, what else is fixed and why."""
    groups = "; ".join(
        f"{' + '.join(map(_short, group['sizes']))} ({_error(group['error'])})" for group in found["groups"]
    )
    parts = "; ".join(f"{name} {of}" for name, of in sorted(_parts(found).items())) or "-"
    layers = "; ".join(
        f"{_short(stack['count'])}" + "".join(f", {_short(of)}" for of in stack["follows"]) for stack in found["stacks"]
    )
    fixed = {name: why for name, why in found["fixed"].items() if not USUAL.search(f"{name} {why}")}
    why = "; ".join(f"{_short(name)}: {text}" for name, text in fixed.items()) or "-"
    return f"| {found['class']} | {groups} | {parts} | {layers} | {_error(found['error'])} | {why} |"


def _parts(found: dict[str, Any]) -> dict[str, str]:
    """The weights that hold several parts, by the last words of their names."""
    named = [one for group in found["groups"] for one in group["parts"] if one["parameter"].endswith("weight")]
    return {
        _last(one["parameter"].removesuffix(".weight")): "(" + ",".join(map(str, one["parts"])) + ")" for one in named
    }


def _last(name: str) -> str:
    """The last word, with the one before it where that is a number."""
    words = name.split(".")
    return ".".join(words[-2:]) if words[-1].isdigit() else words[-1]


def _short(name: str) -> str:
    return name.replace("text_config.", "text ").replace("vision_config.", "vision ")


def _error(error: float) -> str:
    return f"{error:.0e}" if error else "0"


def table() -> str:
    """The whole table; takes a minute or two."""
    sys.path.insert(0, str(ROOT / "tests" / "stock"))
    from classes import CLASSES, inspected

    from bstsearch.stock.report import described

    lines = ["| class | shrink together (error) | parts | layers, and what follows them | all | fixed, and why |"]
    lines.append("|---|---|---|---|---:|---|")
    return "\n".join([*lines, *(row(described(inspected(name))) for name in CLASSES)])


def main() -> None:
    """Replaces the table."""
    text = TARGET.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    TARGET.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
