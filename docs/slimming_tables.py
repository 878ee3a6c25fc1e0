"""Writes the tables of docs/slimming.md from benchmarks/results/slimming-*.json: part of `make docs`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "slimming.md"
MARKED = re.compile(r"^(<!-- (slimming-[\w-]+) -->\n)(?:\|.*\n)*", re.MULTILINE)
NOT_TRAINED = "-"


def table(figures: dict[str, Any]) -> str:
    """One row per submodel: accuracy on the test part in the supernet, trained alone, and as a cut."""
    head = "| submodel | in the supernet | trained alone | cut from the full model |\n|---|---:|---:|---:|\n"
    return head + "".join(_row(name, parts["test"]) for name, parts in figures["submodels"].items())


def rewritten(text: str) -> str:
    """`text` with every marked table made anew."""
    return MARKED.sub(lambda match: match[1] + table(_figures(match[2])), text)


def _row(name: str, shares: dict[str, float | None]) -> str:
    cells = [NOT_TRAINED if shares[side] is None else f"{shares[side]:.2f}" for side in ("supernet", "alone", "cut")]
    return f"| `{name}` | {' | '.join(cells)} |\n"


def _figures(name: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["figures"]
    return figures


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
