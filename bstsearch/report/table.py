"""A front as rows of text, narrow enough for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bstsearch.budget import COSTS, Budget
from bstsearch.front_file import FrontFile
from bstsearch.latency import digits as digits
from bstsearch.latency import range_text as range_text
from bstsearch.pareto import Candidate

ID_WIDTH = 12  # of a layer-wise id, which names every layer's choice
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

_Column = tuple[tuple[str, str, bool], Callable[[Candidate], str]]  # title, unit, whether it is a number; its cells


@dataclass(frozen=True, kw_only=True)
class Table:
    """Heads (title, unit, whether it is a number), rows, and the index of the marked row."""

    title: str
    heads: Sequence[tuple[str, str, bool]]
    rows: Sequence[Sequence[str]]
    marked: int | None = None


def front_table(file: FrontFile) -> Table:
    """The front, one row per submodel, the recommended one marked.

    Layer-wise ids are cut short, and their widths and depths left out: the id begins with them. Latencies that
    were not measured bring their range and their source, and MACs and sizes, which GFLOPs and params tell, make room.
    """
    is_layerwise = file.origin.space.is_layerwise
    has_ranges = _has_ranges(file.front)
    macs, parameters = _Scale(one.macs for one in file.front), _Scale(one.parameters for one in file.front)
    columns: list[_Column] = [
        (("id", "", False), lambda one: shorten(one.id, ID_WIDTH)),
        (("accuracy\n95 % interval", "%", True), accuracy_text),
        (("latency", "ms", True), latency_text),
        (("GFLOPs", "", True), lambda one: digits(one.gflops)),
        (("params", parameters.prefix, True), lambda one: parameters.text(one.parameters)),
    ]
    if has_ranges:
        columns.insert(3, (("latency is", "", False), lambda one: one.latency.source))
    else:
        columns.insert(4, (("MACs", macs.prefix, True), lambda one: macs.text(one.macs)))
        columns.append((("size", "MB", True), lambda one: digits(one.size_bytes / 1e6)))
    if not (is_layerwise or has_ranges):
        columns.insert(1, (("width", "", True), lambda one: str(one.submodel.width)))
        columns.insert(2, (("depth", "", True), lambda one: str(one.submodel.depth)))
    heads = [("row", "", True), *(head for head, _ in columns)]
    rows = [[str(number), *(cell(one) for _, cell in columns)] for number, one in enumerate(file.front, start=1)]
    kind = "exact" if file.is_exact else f"{file.trials} submodels scored, {file.sampler}"
    within = f", within {file.budget}" if file.budget else ""
    title = f"Pareto front on {file.origin.device['name']} ({kind}{within})"
    return Table(title=title, heads=heads, rows=rows, marked=file.front.index(file.recommended))


def corner_table(corners: Sequence[Candidate], budget: Budget) -> Table:
    """The smallest, middle and largest submodel: what they cost, and which limits they meet.

    MACs make room for ranges, as in `front_table`.
    """
    macs, parameters = _Scale(one.macs for one in corners), _Scale(one.parameters for one in corners)
    columns: list[_Column] = [
        (("id", "", False), lambda one: shorten(one.id, ID_WIDTH)),
        (("params", parameters.prefix, True), lambda one: parameters.text(one.parameters)),
        (("latency", "ms", True), latency_text),
        (("memory", "MB", True), lambda one: digits(one.safe_memory_bytes / 1e6)),
    ]
    if not _has_ranges(corners):
        columns.insert(2, (("MACs", macs.prefix, True), lambda one: macs.text(one.macs)))
    limits = [(f"<= {digits(limit)}", COSTS[name].unit, True) for name, limit in budget.limits.items()]
    heads = [("", "", False), *(head for head, _ in columns), *limits]
    rows = [
        [
            name,
            *(cell(one) for _, cell in columns),
            *("yes" if budget.cost(limited, one) <= limit else "no" for limited, limit in budget.limits.items()),
        ]
        for name, one in zip(("smallest", "middle", "largest"), corners, strict=True)
    ]
    return Table(title="Before scoring", heads=heads, rows=rows)


def accuracy_text(candidate: Candidate) -> str:
    """Accuracy and its interval, in per cent: "97.9 (97.2-98.4)"."""
    low, high = candidate.interval
    return f"{candidate.share:.1%} ({low:.1%}-{high:.1%})".replace("%", "")


def latency_text(candidate: Candidate) -> str:
    """Milliseconds, and where it says more their range, in two digits: "2.31 (2.1-2.8)"."""
    return range_text(candidate.latency)


def latency_kind(candidates: Iterable[Candidate]) -> str:
    """Where their latencies come from: "estimated", or of several kinds "composed or measured"."""
    return " or ".join(sorted({one.latency.source for one in candidates}))


def shorten(text: str, width: int) -> str:
    """`text`, cut with two dots where it is longer than `width`."""
    return text if len(text) <= width else f"{text[: width - 2]}.."


def _has_ranges(candidates: Iterable[Candidate]) -> bool:
    return any(one.latency.has_range for one in candidates)


class _Scale:
    """The one unit prefix that suits a column of whole numbers."""

    def __init__(self, values: Iterable[int]) -> None:
        largest = max(values)
        self.factor, self.prefix = next((scale for scale in _PREFIXES if largest >= scale[0]), (1.0, ""))

    def text(self, value: int) -> str:
        return digits(value / self.factor)
