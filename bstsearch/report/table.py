"""A front as rows of text, and which of its columns a narrow terminal does without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bstsearch.profiles.latency import digits as digits
from bstsearch.profiles.latency import range_text as range_text
from bstsearch.report.shapes import ID_WIDTH, has_long_ids, shape_cells, shape_heads
from bstsearch.score import Metric
from bstsearch.searching.budget import Budget
from bstsearch.searching.costs import COSTS, Cost, by_name
from bstsearch.searching.front_file import FrontFile
from bstsearch.searching.pareto import Candidate

NEAR = "~"  # before the score of a row that is not significantly apart from the row above
TEST = "test"
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

# Title, unit, whether it is a number; and its rank, the higher the sooner a narrow terminal does without it.
Head = tuple[str, str, bool] | tuple[str, str, bool, int]
_Column = tuple[Head, Callable[[Candidate], str]]  # and what its cells say


@dataclass(frozen=True, kw_only=True)
class Table:
    """Heads, rows, the index of the marked row, and what its signs mean, in lines to stand below."""

    title: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[str]]
    marked: int | None = None
    legend: Sequence[str] = ()


def front_table(file: FrontFile) -> Table:
    """The front, one row per submodel, the recommended one marked.

    Where ids are long, the sizes that they stand for are told in their place. Latencies that were not measured bring
    their range and their source. A row that is not significantly apart from the one above has a sign before its
    score. Where members have a score on the test part, it stands beside the one that they were chosen by.
    """
    columns = _front_columns(file)
    kind = "exact" if file.is_exact else f"{file.trials} submodels scored, {file.sampler}"
    asked = f", {file.asked}" if file.asked else ""
    parts = f", {file.objectives.metric.name} on {file.origin.split} and {TEST}" if file.has_tests else ""
    near = [] if all(file.apart) else [f"{NEAR} not significantly apart from the row above (95 %)"]
    ids = ["ids: front.csv; --pick takes the row, too"] if has_long_ids(file.front) else []
    return Table(
        title=f"Pareto front on {file.origin.device['name']} ({kind}{asked}){parts}",
        heads=[("row", "", True), *(head for head, _ in columns)],
        rows=[[str(number), *(cell(one) for _, cell in columns)] for number, one in enumerate(file.front, start=1)],
        marked=file.front.index(file.recommended),
        legend=(f"* recommended: {file.rule}", *near, *ids),
    )


def _front_columns(file: FrontFile) -> list[_Column]:
    """What other columns and the id tell already is dispensable first, then what front.csv tells."""
    objectives = file.objectives
    metric, part = objectives.metric, file.origin.split if file.has_tests else objectives.metric.name
    others = [cost for cost in COSTS.values() if cost not in objectives.costs and cost.rank is not None]
    columns = [column for cost in (*objectives.costs, *others) for column in _cost_columns(file.front, cost)]
    columns[0] = ((*columns[0][0][:3],), columns[0][1])  # the first cost is never left out
    near = {one.id for one, is_apart in zip(file.front, file.apart, strict=True) if not is_apart}

    def score(one: Candidate) -> str:
        return f"{NEAR}{objectives.score_text(one)}" if one.id in near else objectives.score_text(one)

    test: list[_Column] = [(_score_head(TEST, metric), objectives.test_text)] if file.has_tests else []
    return [*_name_columns(file), (_score_head(part, metric), score), *test, *columns]


def _name_columns(file: FrontFile) -> list[_Column]:
    """The id with width and depth, or where ids are long all sizes without it."""
    if not has_long_ids(file.front):
        return [
            (("id", "", False), lambda one: one.id),
            (("width", "", True, 4), lambda one: str(one.submodel.width)),
            (("depth", "", True, 4), lambda one: str(one.submodel.depth)),
        ]
    space = file.origin.space

    def column(index: int, title: str, unit: str) -> _Column:
        is_dispensable = index > 1 and title != "precision"  # without which two rows may look the same
        return (title, unit, True, 2 if is_dispensable else 0), lambda one: shape_cells(space, one.submodel)[index]

    return [column(index, *head) for index, head in enumerate(shape_heads(space))]


def _score_head(title: str, metric: Metric) -> Head:
    return f"{title}\n95 % interval", metric.unit, True


def _cost_columns(candidates: Sequence[Candidate], cost: Cost) -> list[_Column]:
    """The column of that cost, and where some have a range the one that tells their source; MACs beside GFLOPs."""
    title, unit = cost.head
    scale = None if cost.unit else _Scale(cost.of(one).value for one in candidates)

    def text(one: Candidate) -> str:
        return scale.text(cost.of(one).value) if scale else cost.text(one)

    columns: list[_Column] = [((title, scale.prefix if scale else unit, True, cost.rank or 0), text)]
    if any(cost.of(one).has_range for one in candidates):
        columns.append(((f"{title}\nis", "", False, 1), lambda one: cost.of(one).source))
    if cost.key == "gflops":
        macs = _Scale(one.macs for one in candidates)
        columns.append((("MACs", macs.prefix, True, 5), lambda one: macs.text(one.macs)))
    return columns


def corner_table(corners: Sequence[Candidate], budget: Budget) -> Table:
    """The smallest, middle and largest submodel: what they cost, and which limits they meet."""
    macs, parameters = _Scale(one.macs for one in corners), _Scale(one.parameters for one in corners)
    columns: list[_Column] = [
        (("id", "", False), lambda one: shorten(one.id, ID_WIDTH)),
        (("params", parameters.prefix, True, 2), lambda one: parameters.text(one.parameters)),
        (("MACs", macs.prefix, True, 3), lambda one: macs.text(one.macs)),
        (("latency", "ms", True), lambda one: range_text(one.latency)),
        (("memory", "MB", True, 1), lambda one: digits(one.memory.safe_bytes / 1e6)),
    ]
    limits = [(f"<=\n{digits(limit)}", by_name()[name].unit, True) for name, limit in budget.limits.items()]
    rows = [
        [
            name,
            *(cell(one) for _, cell in columns),
            *("yes" if budget.cost(limited, one) <= limit else "no" for limited, limit in budget.limits.items()),
        ]
        for name, one in zip(("smallest", "middle", "largest"), corners, strict=True)
    ]
    return Table(title="Before scoring", heads=[("", "", False), *(head for head, _ in columns), *limits], rows=rows)


def cost_kind(candidates: Iterable[Candidate], cost: Cost) -> str:
    """Where their costs come from: "estimated", or of several kinds "composed or measured"; empty where counted."""
    return " or ".join(sorted({cost.of(one).source for one in candidates} - {""}))


def shorten(text: str, width: int) -> str:
    """`text`, cut with two dots where it is longer than `width`."""
    return text if len(text) <= width else f"{text[: width - 2]}.."


class _Scale:
    """The one unit prefix that suits a column of plain numbers."""

    def __init__(self, values: Iterable[float]) -> None:
        largest = max(values)
        self.factor, self.prefix = next((scale for scale in _PREFIXES if largest >= scale[0]), (1.0, ""))

    def text(self, value: float) -> str:
        return digits(value / self.factor)
