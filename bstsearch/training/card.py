"""The model card of a trained supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bstsearch.files import write_text
from bstsearch.model.supernet import Supernet
from bstsearch.score import Accuracy
from bstsearch.space import Submodel

PARTS = {"validation": "validation questions", "test": "test questions, which took no part in any choice"}


def write_card(folder: Path, supernet: Supernet, metrics: Mapping[str, Any]) -> None:
    """Writes README.md into `folder`: recipe, provenance, and every submodel's cost and accuracy."""
    recipe = "\n".join(f"| {name} | {value} |" for name, value in metrics["recipe"].items())
    splits = [split for split in PARTS if split in metrics]  # VQA-v2's test part has no answers
    rows = "\n".join(_row(supernet, submodel_id, metrics, splits) for submodel_id in metrics["validation"])
    totals = " and of ".join(f"{next(iter(metrics[split].values()))['total']:,} {PARTS[split]}" for split in splits)
    text = f"""---
library_name: bstsearch
tags: [visual-question-answering, slimmable, supernet]
datasets: [{metrics["data"]}]
---

# A slimmable {supernet.family.name.upper().replace("_", "-")} trained on {metrics["data"]}

One set of weights; every row below is a submodel of it. Trained as the bilaterally slimmable
Transformer (Yu et al., arXiv 2203.12814): a teacher, which is the full model alone, then the sandwich of
smallest, largest and three random submodels, all taught by that teacher.

## Accuracy

Percent correct of {totals}; in brackets the 95 % interval.

| submodel | parameters | MACs | {" | ".join(splits)} |
|---|---:|---:|{"---:|" * len(splits)}
{rows}

## Recipe

| setting | value |
|---|---|
{recipe}

Made by bstsearch {metrics["bstsearch"]}, commit {metrics["commit"] or "unknown"}, torch {metrics["torch"]}, on
{metrics["machine"]}. The same recipe and seed on the same machine and threads give the same weights.
"""
    write_text(folder / "README.md", text)


def _row(supernet: Supernet, submodel_id: str, metrics: Mapping[str, Any], splits: Sequence[str]) -> str:
    from bstsearch.model.counting import count  # here, since it loads fvcore

    cost = count(supernet.family, supernet.config, Submodel.from_id(submodel_id))
    shares = [_percent(Accuracy(**metrics[split][submodel_id])) for split in splits]
    return f"| {' | '.join([f'`{submodel_id}`', f'{cost.parameters:,}', f'{cost.macs:,}', *shares])} |"


def _percent(accuracy: Accuracy) -> str:
    low, high = accuracy.interval
    return f"{100 * accuracy.value:.2f} ({100 * low:.2f}-{100 * high:.2f})"
