"""The model card of a trained supernet."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.model.supernet import Supernet
from bstsearch.score import ACCURACY, PERCENT, Accuracy, Metric, Score, Value
from bstsearch.space import Submodel
from bstsearch.space_names import describe
from bstsearch.training.order import Order
from bstsearch.writing import write_text

PARTS = {"validation": "validation {}", "test": "test {}, which took no part in any choice"}


def write_card(folder: Path, supernet: Supernet, metrics: Mapping[str, Any], *, is_vqa: bool) -> None:
    """Writes README.md into `folder`: recipe, provenance, and every submodel's cost and score."""
    recipe = "\n".join(f"| {name} | {value} |" for name, value in metrics["recipe"].items())
    tags = "visual-question-answering, slimmable, supernet" if is_vqa else "slimmable, supernet"
    text = f"""---
library_name: bstsearch
tags: [{tags}]
datasets: [{metrics["data"]}]
---

# A slimmable {supernet.family.name.upper().replace("_", "-")} trained on {metrics["data"]}

One set of weights; every row below is a submodel of it. Trained as the bilaterally slimmable
Transformer (Yu et al., arXiv 2203.12814): a teacher, which is the full model alone, then the sandwich of
smallest, largest and three random submodels, all taught by that teacher.

{_space(supernet, metrics)}

{_scores(supernet, metrics, "questions" if is_vqa else "examples")}

## Recipe

| setting | value |
|---|---|
{recipe}

Made by bstsearch {metrics["bstsearch"]}, commit {metrics["commit"] or "unknown"}, torch {metrics["torch"]}, on
{metrics["machine"]}. The same recipe and seed on the same machine and threads give the same weights.
"""
    write_text(folder / "README.md", text)


def _space(supernet: Supernet, metrics: Mapping[str, Any]) -> str:
    """What was trained, and how often a larger submodel is worse than a smaller one."""
    order = Order(**metrics["order"]) if "order" in metrics else None
    only = "These, and no others, can be searched. " if supernet.space.is_elastic else ""
    lines = [f"The space that was trained has {describe(supernet.space)}. {only}".rstrip()]
    if order is not None:
        some = "uniform ones and others drawn at random" if supernet.space.is_elastic else "all"
        lines.append(
            f"Order: {order.words} (paired differences beyond 1.96 standard errors). {order.submodels} submodels "
            f"({some}), {order.rows:,} rows of the validation part; in the mean over all pairs the larger one is "
            f"{_size(metric_of(metrics), order.loss)} worse."
        )
    return "\n".join(textwrap.fill(line, 120) for line in lines)


def _size(metric: Metric, loss: float) -> str:
    """A difference of scores in words."""
    return f"{100 * loss:.2g} points" if metric.unit == PERCENT else f"{loss:.2g} {metric.unit}".rstrip()


def metric_of(metrics: Mapping[str, Any]) -> Metric:
    """What kind of number the scores in a `metrics.json` are."""
    return Metric.from_json(metrics["metric"]) if "metric" in metrics else ACCURACY


def score_of(record: Mapping[str, Any]) -> Score:
    """A score as `metrics.json` holds it."""
    return Accuracy(**record) if "correct" in record else Value(**record)


def _scores(supernet: Supernet, metrics: Mapping[str, Any], rows: str) -> str:
    """The part of the card with a table of all submodels."""
    metric, splits = metric_of(metrics), [split for split in PARTS if split in metrics]  # some targets are kept back
    counts = {split: f"{next(iter(metrics[split].values()))['total']:,} " for split in splits}
    of = " and of ".join(counts[split] + PARTS[split].format(rows) for split in splits) or "no split: none has targets"
    table = "\n".join(_row(supernet, submodel, metrics, splits) for submodel in supernet.space.grid())
    return f"""## {metric.name.capitalize()}

{_what(metric)} of {of}; in brackets the 95 % interval.

| submodel | parameters | MACs |{"".join(f" {split} |" for split in splits)}
|---|---:|---:|{"---:|" * len(splits)}
{table}"""


def _what(metric: Metric) -> str:
    if metric == ACCURACY:
        return "Percent correct"
    name = "Percent" if metric.unit == PERCENT else f"{metric.name.capitalize()} in {metric.unit or 'its own unit'}"
    return f"{name} ({'more' if metric.is_higher_better else 'less'} is better)"


def _row(supernet: Supernet, submodel: Submodel, metrics: Mapping[str, Any], splits: Sequence[str]) -> str:
    from bstsearch.model.counting import count  # here, since it loads fvcore

    cost, metric = count(supernet.family, supernet.config, submodel), metric_of(metrics)
    scores = [_text(metric, score_of(metrics[split][submodel.id])) for split in splits]
    return f"| {' | '.join([f'`{submodel.id}`', f'{cost.parameters:,}', f'{cost.macs:,}', *scores])} |"


def _text(metric: Metric, score: Score) -> str:
    low, high = score.interval
    return f"{metric.text(score.value)} ({metric.text(low)}-{metric.text(high)})"
