"""A front as rows of text, narrow enough for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bstsearch.budget import COSTS, Budget
from bstsearch.front_file import FrontFile
from bstsearch.pareto import MEASURED, Candidate

ID_WIDTH = 14  # of a layer-wise id, which names every layer's choice
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, kw_only=True)
class Table:
    """Heads (title, unit, whether it is a number), rows, and the index of the marked row."""

    title: str
    heads: Sequence[tuple[str, str, bool]]
    rows: Sequence[Sequence[str]]
    marked: int | None = None


def front_table(file: FrontFile) -> Table:
    """The front, one row per submodel, the recommended one marked.

    Layer-wise ids are cut short, and their widths and depths left out: the id begins with them.
    """
    is_layerwise = file.origin.space.is_layerwise
    macs, parameters = _Scale(one.macs for one in file.front), _Scale(one.parameters for one in file.front)
    shape = [] if is_layerwise else [("width", "", True), ("depth", "", True)]
    heads = [
        ("row", "", True),
        ("id", "", False),
        *shape,
        ("accuracy\n95 % interval", "%", True),
        ("latency", "ms", True),
        ("GFLOPs", "", True),
        ("MACs", macs.prefix, True),
        ("params", parameters.prefix, True),
        ("size", "MB", True),
    ]
    rows = [
        [
            str(number),
            shorten(one.id, ID_WIDTH),
            *([] if is_layerwise else [str(one.submodel.width), str(one.submodel.depth)]),
            accuracy_text(one),
            latency_text(one),
            digits(one.gflops),
            macs.text(one.macs),
            parameters.text(one.parameters),
            digits(one.size_bytes / 1e6),
        ]
        for number, one in enumerate(file.front, start=1)
    ]
    kind = "exact" if file.is_exact else f"{file.trials} submodels scored, {file.sampler}"
    within = f", within {file.budget}" if file.budget else ""
    title = f"Pareto front on {file.origin.device['name']} ({kind}{within})"
    return Table(title=title, heads=heads, rows=rows, marked=file.front.index(file.recommended))


def corner_table(corners: Sequence[Candidate], budget: Budget) -> Table:
    """The smallest, middle and largest submodel: what they cost, and which limits they meet."""
    macs, parameters = _Scale(one.macs for one in corners), _Scale(one.parameters for one in corners)
    limits = [(f"<= {digits(limit)}", COSTS[name].unit, True) for name, limit in budget.limits.items()]
    heads = [
        ("", "", False),
        ("id", "", False),
        ("params", parameters.prefix, True),
        ("MACs", macs.prefix, True),
        ("latency", "ms", True),
        ("memory", "MB", True),
        *limits,
    ]
    rows = [
        [
            name,
            shorten(one.id, ID_WIDTH),
            parameters.text(one.parameters),
            macs.text(one.macs),
            latency_text(one),
            digits(one.safe_memory_bytes / 1e6),
            *("yes" if COSTS[limited].of(one) <= limit else "no" for limited, limit in budget.limits.items()),
        ]
        for name, one in zip(("smallest", "middle", "largest"), corners, strict=True)
    ]
    return Table(title="Before scoring", heads=heads, rows=rows)


def accuracy_text(candidate: Candidate) -> str:
    """Accuracy and its interval, in per cent: "97.9 (97.2-98.4)"."""
    low, high = candidate.interval
    return f"{candidate.share:.1%} ({low:.1%}-{high:.1%})".replace("%", "")


def latency_text(candidate: Candidate) -> str:
    """Milliseconds; of an estimate also the upper end, which counts against a budget: "2.31 (<2.75)"."""
    ms = digits(candidate.latency.ms)
    return ms if candidate.latency.source == MEASURED else f"{ms} (<{digits(candidate.safe_ms)})"


def digits(value: float) -> str:
    """`value` with three significant digits, and never an exponent.

    >>> digits(0.012345), digits(12.345), digits(12345.0)
    ('0.0123', '12.3', '12345')
    """
    decimals = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(0, decimals)}f}"


def shorten(text: str, width: int) -> str:
    """`text`, cut with two dots where it is longer than `width`."""
    return text if len(text) <= width else f"{text[: width - 2]}.."


class _Scale:
    """The one unit prefix that suits a column of whole numbers."""

    def __init__(self, values: Iterable[int]) -> None:
        largest = max(values)
        self.factor, self.prefix = next((scale for scale in _PREFIXES if largest >= scale[0]), (1.0, ""))

    def text(self, value: int) -> str:
        return digits(value / self.factor)
