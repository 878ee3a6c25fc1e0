"""Writes the tables of docs/transformers.md: what is found of stock classes, those that the tests try and others.

`make docs`; the others are tried anew with --others only, which takes some minutes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "transformers.md"
BEGIN, END = "<!-- table: docs/transformers_table.py -->", "<!-- end of table -->"
OF_OTHERS = "<!-- table of others: docs/transformers_table.py -->", "<!-- end of table of others -->"
HERE = re.compile("^settings[.]")
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


def short_row(name: str, settings: dict[str, Any]) -> str:
    """One of the other classes: its groups, its lists of layers; or why it cannot be slimmed."""
    from bstsearch.errors import InputError
    from bstsearch.stock.inspecting import inspect

    try:
        found = inspect(name, settings)
    except InputError as error:
        return f"| {name} | - | - | {str(error).removeprefix(name + ' ').removeprefix(name + ': ')} |"
    groups = "; ".join(" + ".join(_short(HERE.sub("", size)) for size in group) for group in found.config.found.groups)
    layers = "; ".join(_short(HERE.sub("", stack.count)) for stack in found.config.found.stacks) or "-"
    return f"| {name} | {groups} | {layers} | {_error(found.error)} |"


def table() -> str:
    """The table of the classes that the tests try; takes a minute or two."""
    from classes import CLASSES, inspected

    from bstsearch.stock.report import described

    lines = ["| class | shrink together (error) | parts | layers, and what follows them | all | fixed, and why |"]
    lines.append("|---|---|---|---|---:|---|")
    return "\n".join([*lines, *(row(described(inspected(name))) for name in CLASSES)])


def others() -> str:
    """The table of the other classes."""
    from others import OTHERS

    lines = ["| class | shrink together | layers | error, or why not |", "|---|---|---|---|"]
    return "\n".join([*lines, *(short_row(name, settings) for name, settings in OTHERS.items())])


def _replaced(text: str, begin: str, end: str, inside: str) -> str:
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{inside}\n\n{end}{rest.partition(end)[2]}"


def main() -> None:
    """Replaces the tables."""
    sys.path.insert(0, str(ROOT / "tests" / "stock"))
    text = TARGET.read_text(encoding="utf-8")
    places, new = (OF_OTHERS, others) if "--others" in sys.argv[1:] else ((BEGIN, END), table)
    TARGET.write_text(_replaced(text, *places, new()), encoding="utf-8")


if __name__ == "__main__":
    main()
