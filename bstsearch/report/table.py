"""A front as rows of text, and which of its columns a narrow terminal does without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bstsearch.profiles.latency import digits as digits
from bstsearch.profiles.latency import range_text as range_text
from bstsearch.search.budget import COSTS, Budget
from bstsearch.search.front_file import FrontFile
from bstsearch.search.pareto import Candidate

ID_WIDTH = 12  # of a layer-wise id, which names every layer's choice
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

# Title, unit, whether it is a number; and its rank, the higher the sooner a narrow terminal does without it.
Head = tuple[str, str, bool] | tuple[str, str, bool, int]
_Column = tuple[Head, Callable[[Candidate], str]]  # and what its cells say


@dataclass(frozen=True, kw_only=True)
class Table:
    """Heads, rows, and the index of the marked row."""

    title: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[str]]
    marked: int | None = None


def front_table(file: FrontFile) -> Table:
    """The front, one row per submodel, the recommended one marked.

    Layer-wise ids are cut short, and their widths and depths left out: the id begins with them. Latencies that
    were not measured bring their range and their source.
    """
    columns = _front_columns(file)
    kind = "exact" if file.is_exact else f"{file.trials} submodels scored, {file.sampler}"
    within = f", within {file.budget}" if file.budget else ""
    return Table(
        title=f"Pareto front on {file.origin.device['name']} ({kind}{within})",
        heads=[("row", "", True), *(head for head, _ in columns)],
        rows=[[str(number), *(cell(one) for _, cell in columns)] for number, one in enumerate(file.front, start=1)],
        marked=file.front.index(file.recommended),
    )


def _front_columns(file: FrontFile) -> list[_Column]:
    """What GFLOPs, params and the id tell already is dispensable first, then what front.csv tells."""
    macs, parameters = _Scale(one.macs for one in file.front), _Scale(one.parameters for one in file.front)
    shape: list[_Column] = [
        (("width", "", True, 4), lambda one: str(one.submodel.width)),
        (("depth", "", True, 4), lambda one: str(one.submodel.depth)),
    ]
    source: list[_Column] = [(("latency\nis", "", False, 1), lambda one: one.latency.source)]
    return [
        (("id", "", False), lambda one: shorten(one.id, ID_WIDTH)),
        *([] if file.origin.space.is_layerwise else shape),
        (("accuracy\n95 % interval", "%", True), accuracy_text),
        (("latency", "ms", True), latency_text),
        *(source if _has_ranges(file.front) else []),
        (("GFLOPs", "", True, 2), lambda one: digits(one.gflops)),
        (("MACs", macs.prefix, True, 5), lambda one: macs.text(one.macs)),
        (("params", parameters.prefix, True, 3), lambda one: parameters.text(one.parameters)),
        (("size", "MB", True, 5), lambda one: digits(one.size_bytes / 1e6)),
    ]


def corner_table(corners: Sequence[Candidate], budget: Budget) -> Table:
    """The smallest, middle and largest submodel: what they cost, and which limits they meet."""
    macs, parameters = _Scale(one.macs for one in corners), _Scale(one.parameters for one in corners)
    columns: list[_Column] = [
        (("id", "", False), lambda one: shorten(one.id, ID_WIDTH)),
        (("params", parameters.prefix, True, 2), lambda one: parameters.text(one.parameters)),
        (("MACs", macs.prefix, True, 3), lambda one: macs.text(one.macs)),
        (("latency", "ms", True), latency_text),
        (("memory", "MB", True, 1), lambda one: digits(one.safe_memory_bytes / 1e6)),
    ]
    limits = [(f"<=\n{digits(limit)}", COSTS[name].unit, True) for name, limit in budget.limits.items()]
    rows = [
        [
            name,
            *(cell(one) for _, cell in columns),
            *("yes" if budget.cost(limited, one) <= limit else "no" for limited, limit in budget.limits.items()),
        ]
        for name, one in zip(("smallest", "middle", "largest"), corners, strict=True)
    ]
    return Table(title="Before scoring", heads=[("", "", False), *(head for head, _ in columns), *limits], rows=rows)


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
