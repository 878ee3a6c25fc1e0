"""MCAN as three public codes save it: MILVLG/bst; openvqa and mcan-vqa, which have no adapters and other names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bstsearch.errors import InputError

Shapes = Mapping[str, tuple[int, ...]]

HEAD_DIM = 64
QUESTION_LENGTHS = {"vqa-v2": 14, "gqa": 29}
SIGN = "backbone.enc_list."
OTHER_NAMES = (
    (r"^adapter\.", "img_adapter."),  # openvqa
    (r"^img_feat_linear\.", "img_adapter.frcn_linear."),  # mcan-vqa
    (r"^(attflat_\w+)\.mlp\.", r"\1."),  # both
    (r"\.a_2$", ".weight"),
    (r"\.b_2$", ".bias"),
)
DEAD: Mapping[str, str] = {}
GRID = "img_adapter.grid_linear.weight"


def own_name(name: str) -> str:
    """Our name of a tensor."""
    for pattern, replacement in OTHER_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def data_of(shapes: Shapes) -> str:
    """The data set that the model is for, as far as its shapes tell: GQA's model has boxes."""
    return "gqa" if "img_adapter.bbox_linear.weight" in shapes else "vqa-v2"


def sizes_of(shapes: Shapes, heads: int | None) -> dict[str, Any]:
    """The fields of a McanConfig, read off the shapes; `heads` is that of every layer (None: of 64 each)."""
    _check_importable(shapes)
    hidden = shapes["backbone.enc_list.0.norm1.weight"][0]
    boxes = shapes.get("img_adapter.bbox_linear.weight", (0,))[0]
    encoder, decoder = (_ffn(shapes, f"backbone.{stack}_list") for stack in ("enc", "dec"))
    count = heads or max(1, hidden // HEAD_DIM)
    return {
        "vocab": shapes["embedding.weight"][0],
        "answers": shapes["proj.weight"][0],
        "word_dim": shapes["embedding.weight"][1],
        "lstm_hidden": shapes["lstm.weight_hh_l0"][1],
        "hidden": hidden,
        "head_dim": hidden // count,
        "encoder_heads": (count,) * len(encoder),
        "encoder_ffn": encoder,
        "decoder_heads": (count,) * len(decoder),
        "decoder_ffn": decoder,
        "flat_mlp": shapes["attflat_img.fc.linear.weight"][0],
        "flat_out": shapes["attflat_img.linear_merge.weight"][0],
        "region_features": shapes["img_adapter.frcn_linear.weight"][1] - boxes,
        "box_features": boxes,
        "has_image_norm": "img_adapter.frcn_ln.weight" in shapes,
        "has_language_adapter": "lang_adapter.lang_linear.weight" in shapes,
    }


def _check_importable(shapes: Shapes) -> None:
    glimpses = shapes["attflat_img.linear.weight"][0]
    if glimpses != 1:
        # Their results lie side by side in what is merged, where a leading slice would mix them up.
        raise InputError(f"the checkpoint pools by {glimpses} glimpses; only a model with one can be slimmed")
    if GRID in shapes:
        raise InputError("the checkpoint reads grid features, too; only models of regions and boxes can be imported")


def _ffn(shapes: Shapes, stack: str) -> tuple[int, ...]:
    sizes: list[int] = []
    while (name := f"{stack}.{len(sizes)}.ffn.mlp.fc.linear.weight") in shapes:
        sizes.append(shapes[name][0])
    return tuple(sizes)
