"""A submodel of a stock supernet as a stock folder: a smaller model of the same class, which needs no bstsearch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from bstsearch.errors import BstsearchError, InputError
from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.model.sizes import size_of
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import read_folder
from bstsearch.model.zero_padding import difference
from bstsearch.reading import read_json
from bstsearch.space import Submodel
from bstsearch.stock.configuration import BESIDE, FILE, StockConfig
from bstsearch.stock.family import FAMILY
from bstsearch.stock.importing import read_model, say_missing
from bstsearch.stock.module import StockModel
from bstsearch.writing import write_json, write_text, writing_folder

TOLERANCE = 1e-5  # of outputs in float32, read back from disk: the same numbers
OF_POOLING = "word_embedding_dimension"  # what sentence-transformers keeps of the hidden size, in a folder of its own
CARD = "README.md"
OWN = (
    FILE,
    "model.safetensors",
    CARD,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def export_stock(
    supernet: Path, pick: str, out: Path, *, is_forced: bool = False, listener: Listener = SILENT
) -> dict[str, Any]:
    """Writes the submodel of that id as a stock folder into `out`, whole or not at all; returns what the card says.

    What was written is read back by transformers alone, and must give the same outputs, else BstsearchError.
    UsageError where `out` is taken or the supernet's space has no such submodel; InputError where it is no stock one.
    """
    folder = read_folder(supernet)
    submodel = folder.get_submodel(pick)
    if folder.family != FAMILY.name:
        raise InputError(f"{supernet} is a {folder.family}, no stock model; use 'bstsearch export' without --stock")
    with holding(out), writing_folder(out, marker=FILE, own=OWN, is_forced=is_forced) as new:
        full = Supernet.load(supernet)
        say_missing(full.config, supernet / BESIDE, listener)
        return write_stock(full, submodel, supernet / BESIDE, new)


def write_stock(supernet: Supernet, submodel: Submodel, beside: Path, folder: Path) -> dict[str, Any]:
    """Writes the submodel into the empty `folder`, with the files of `beside`; returns what the card says."""
    config: StockConfig = FAMILY.shrink(supernet.config, submodel)
    model = supernet.materialise(submodel)
    assert isinstance(model, StockModel)
    if beside.exists():
        shutil.copytree(beside, folder, dirs_exist_ok=True)
    model.model.config.architectures = [config.architecture]  # type: ignore[union-attr]
    model.model.save_pretrained(folder)  # type: ignore[operator]
    _follow(folder, beside, supernet.config, config)
    error = _read_back(model, config, folder)
    told = {
        "class": config.architecture,
        "submodel": submodel.id,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "of": sum(weight.numel() for weight in supernet.model.parameters()),
        "difference": error,
    }
    write_text(folder / CARD, _card(told, config))
    return told


def _follow(folder: Path, beside: Path, full: StockConfig, small: StockConfig) -> None:
    """Keeps the generation settings that came with the model, and tells sentence-transformers the new width."""
    if (beside / "generation_config.json").exists():
        shutil.copyfile(beside / "generation_config.json", folder / "generation_config.json")
    for file in folder.glob(f"*/{FILE}"):
        data = read_json(file)
        if data.get(OF_POOLING) == full.settings.get("hidden_size"):
            write_json(file, {**data, OF_POOLING: small.settings["hidden_size"]})


def _read_back(model: StockModel, config: StockConfig, folder: Path) -> float:
    """How far the outputs of what lies in `folder` are from those of `model`; BstsearchError beyond rounding."""
    found = StockModel(read_model(config, folder), model.names, model.pooling, is_drawing=True).eval()
    inputs = FAMILY.example_inputs(config, 2)
    with torch.inference_mode():
        error = difference(found(**inputs), model.eval()(**inputs))
    if error > TOLERANCE:
        raise BstsearchError(f"what was written gives other outputs, off by {error:.1e}; nothing was written")
    return error


def _card(told: dict[str, Any], config: StockConfig) -> str:
    sizes = {name: size_of(config, name) for name in (*config.found.units, *(one.count for one in config.found.stacks))}
    return f"""---
library_name: transformers
tags: [bstsearch, slimmable]
---
# {told["class"]}, {told["submodel"]}

A slice of a larger model of the same class: {told["parameters"]:,} of {told["of"]:,} parameters, cut out by bstsearch.
It loads with `{told["class"]}.from_pretrained` and needs nothing of bstsearch. Sizes of this one:

```json
{json.dumps(sizes, indent=2)}
```

Each of them was proved to be a slice by the zero-padding oracle, on a small configuration of the class. What was
written was read back: its outputs differ by {told["difference"]:.1e} of the largest one.
"""
