"""Checkpoints as the published codes write them, small with golden weights, or full-size with next to no bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"
KEYS = Path(__file__).parent.parent / "published" / "keys"
CLIP = "lxrt_encoder.model.bert."
# Two norms as TensorFlow's BERT calls their numbers.
GAMMA = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
OPENVQA = ((r"^img_adapter\.", "adapter."), (r"^(attflat_\w+)\.(fc|linear)\.", r"\1.mlp.\2."))

Weights = dict[str, Tensor]
Golden = Mapping[str, np.ndarray]


def golden(family: str) -> Golden:
    with np.load(GOLDEN / f"{family}.npz") as file:
        return dict(file)


def weights(family: str) -> Weights:
    """The golden weights under the published names, with what the published model holds but never uses."""
    named = {
        name.removeprefix("weights/"): torch.from_numpy(value)
        for name, value in golden(family).items()
        if name.startswith("weights/")
    }
    if family == "uniter":
        named["uniter.img_embeddings.mask_embedding.weight"] = torch.zeros(2, 24)
    if family == "clip_vil":
        named = {name if name.startswith("logit_fc.") else CLIP + name: value for name, value in named.items()}
        named |= {CLIP + name: torch.zeros(size) for name, size in DEAD_OF_CLIP.items()}
    return named


DEAD_OF_CLIP = {
    "encoder.visual_model.positional_embedding": (77, 8),
    "encoder.visual_model.logit_scale": (),
    "encoder.visual_model.transformer.resblocks.0.ln_1.weight": (8,),
    "encoder.visual_model.visual.attnpool.k_proj.weight": (8, 8),
    "encoder.visn_fc.box_fc.weight": (32, 4),
    "encoder.visn_fc.box_layer_norm.weight": (32,),
}


def as_openvqa(named: Weights) -> Weights:
    """MCAN's weights under the names of openvqa, with its name for a norm's numbers."""
    renamed = {}
    for name, value in named.items():
        for pattern, replacement in OPENVQA:
            name = re.sub(pattern, replacement, name)
        if ".norm" in name or name.startswith("proj_norm."):
            name = name.replace(".weight", ".a_2").replace(".bias", ".b_2")
        renamed[name] = value
    return renamed


def as_tensorflow(named: Weights) -> Weights:
    renamed = {}
    for name, value in named.items():
        end = next((end for end in GAMMA if name.endswith(end)), "")
        renamed[name.removesuffix(end) + GAMMA.get(end, "")] = value
    return renamed


def full_size(family: str) -> Weights:
    """Every tensor of the published model, in its shape; all its numbers are one and the same in memory."""
    number = torch.tensor(0.01)
    return {name: number.expand(shape) for name, shape in _listed(family)}


def _listed(family: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes; a line of the list says `name.[0-5].more 512x300`, or no shape for a single number."""
    for line in (KEYS / f"{family}.txt").read_text(encoding="utf-8").splitlines():
        pattern, _, sizes = line.partition(" ")
        shape = tuple(map(int, sizes.split("x"))) if sizes else ()
        found = re.fullmatch(r"(.*)\[(\d+)-(\d+)\](.*)", pattern)
        if found is None:
            yield pattern, shape
        else:
            before, first, last, after = found.groups()
            yield from ((f"{before}{layer}{after}", shape) for layer in range(int(first), int(last) + 1))
