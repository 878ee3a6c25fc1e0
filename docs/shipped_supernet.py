"""Puts a trained supernet into the package, with float16 weights: `python docs/shipped_supernet.py runs/shapes`.

They take half of the bytes. The scores, and the order of submodels, are taken again, of what is shipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from pathlib import Path

import torch

from bstsearch.model.supernet import Supernet, save_weights
from bstsearch.model.supernet_folder import CONFIG, METRICS, SUPERNETS, WEIGHTS
from bstsearch.reading import read_json
from bstsearch.score import Accuracy
from bstsearch.space import Submodel
from bstsearch.tasks import load_split
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.vocabulary import FILE as VOCABULARY
from bstsearch.training.card import PARTS, metric_of, write_card
from bstsearch.training.order import measure_order
from bstsearch.writing import write_json


def scores(supernet: Supernet, source: Path, part: str, ids: list[str]) -> dict[str, dict[str, int]]:
    """How many questions of that part of the data each of these submodels answers."""
    split, found = load_split(source, part), {}
    for name in ids:
        score = evaluate(supernet, Submodel.from_id(name), split)
        assert isinstance(score, Accuracy)
        found[name] = dataclasses.asdict(score)
    return found


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description="Put a trained supernet into the package, with float16 weights.")
    parser.add_argument("source", type=Path)
    source = parser.parse_args().source
    torch.set_num_threads(1)
    out = SUPERNETS / source.name
    out.mkdir(exist_ok=True)
    for name in (CONFIG, VOCABULARY):
        shutil.copyfile(source / name, out / name)
    supernet = Supernet.load(source)
    save_weights(supernet.model.half(), out / WEIGHTS)
    supernet.model.float()
    metrics = read_json(source / METRICS)
    metrics |= {part: scores(supernet, source, part, list(metrics[part])) for part in PARTS}
    order = measure_order(supernet, load_split(source, "validation"), metric_of(metrics))
    metrics |= {} if order is None else {"order": order.to_json()}
    write_json(out / METRICS, metrics)
    write_card(out, supernet, metrics, is_vqa=True)


if __name__ == "__main__":
    main()
