"""A bundle of full-size MCANs over drawn pictures, with random weights and assigned accuracies, for serving.py.

Ten submodels of one supernet (6 and 6 layers, width 512, 100 cells of a grid), as the paper's, over one file.
Nothing is trained: the accuracies are those of the demo's ten uniform submodels, in the same order.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch

from bstsearch import DEMO, Submodel, Supernet, Vocabulary
from bstsearch.answering.bundle_folder import ELASTIC, FORMAT, WEIGHTS, BundleFolder
from bstsearch.exporting.manifest import file_json
from bstsearch.exporting.preprocessing import BUNDLE_SCRIPTS, write_preprocessing
from bstsearch.families.mcan import FAMILY, McanConfig
from bstsearch.graphs.onnx_file import locate
from bstsearch.graphs.shared_weights import SharedWeights
from bstsearch.writing import write_json
from timing import tell

FULL = "w1-d1"
ACCURACIES = {
    "w1of4-d1of6": 0.8401,
    "w1of4-d1of3": 0.8551,
    "w1of4-d2of3": 0.8609,
    "w1of4-d1": 0.8620,
    "w1of2-d1of3": 0.8993,
    "w1of2-d2of3": 0.9095,
    "w1of2-d1": 0.9118,
    "w3of4-d2of3": 0.9155,
    "w3of4-d1": 0.9161,
    "w1-d1": 0.9171,
}


def full_size_bundle(folder: Path) -> Path:
    """The bundle in `folder`, which is made if it is not there yet."""
    if (folder / ELASTIC).exists():
        return folder
    folder.mkdir(parents=True)
    vocabulary = Vocabulary.load(DEMO)
    torch.manual_seed(0)
    config = McanConfig(
        vocab=vocabulary.size,
        answers=len(vocabulary.answers),
        question_length=14,
        image_side=80,
        stem_channels=(16, 32, 64),
        dropout=0.0,
    )
    supernet = Supernet(FAMILY, config).eval()
    supernet.save(folder)
    words = dataclasses.replace(vocabulary, question_length=14)
    words.save(folder)
    for name, _ in write_graphs(supernet, folder):
        tell(f"{name} is written")
    write_preprocessing(FAMILY.reader(config), words, folder, BUNDLE_SCRIPTS)
    (folder / "model.safetensors").unlink()
    names = [WEIGHTS, "config.json", "vocabulary.json", "preprocessor.json", *(f"{name}.onnx" for name in ACCURACIES)]
    write_json(
        folder / ELASTIC,
        {
            "format": FORMAT,
            "threads": 1,
            "submodels": [
                {
                    "id": name,
                    "file": f"{name}.onnx",
                    "parameters": sum(one.numel() for one in supernet.materialise(Submodel.from_id(name)).parameters()),
                    "accuracy": {"value": accuracy},
                    "latencies": {"none": {"ms": 1.0, "high_ms": 1.0}},
                }
                for name, accuracy in ACCURACIES.items()
            ],
            "files": {name: file_json(folder / name) for name in names},
        },
    )
    return folder


def write_graphs(supernet: Supernet, folder: Path) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Writes ten submodels over one file of weights; after each come its id and the graph that it has by itself."""
    family, config = supernet.family, supernet.config
    weights = SharedWeights(folder / WEIGHTS, sum(one.numel() for one in supernet.model.parameters()))
    for name in reversed(ACCURACIES):  # the full model first
        model, positions = supernet.numbered(Submodel.from_id(name))
        small = family.shrink(config, Submodel.from_id(name))
        located = locate(model, family.example_inputs(small, 1), positions, family.free_axes(small))
        if name == FULL:
            weights.add_full(located)
        onnx.save(weights.graph(located), folder / f"{name}.onnx")
        yield name, located.model


def one_alone(bundle: BundleFolder, name: str, folder: Path) -> Path:
    """A bundle in `folder` that holds but that submodel of another."""
    folder.mkdir()
    elastic = json.loads((bundle.path / ELASTIC).read_text())
    elastic["submodels"] = [one for one in elastic["submodels"] if one["id"] == name]
    others = {f"{one}.onnx" for one in bundle.by_accuracy if one != name}
    elastic["files"] = {file: entry for file, entry in elastic["files"].items() if file not in others}
    for file in elastic["files"]:
        (folder / file).symlink_to(bundle.path.resolve() / file)
    write_json(folder / ELASTIC, elastic)
    return folder


if __name__ == "__main__":
    import sys

    shutil.rmtree(sys.argv[1], ignore_errors=True)
    print(full_size_bundle(Path(sys.argv[1])))
