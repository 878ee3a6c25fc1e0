"""MCAN as three public codes save it: MILVLG/bst; openvqa and mcan-vqa, which have no adapters and other names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bstsearch.errors import InputError
from bstsearch.published.configurations import Configuration
from bstsearch.published.shapes import Shapes

CONFIGURATIONS = (
    Configuration(name="BST's, openvqa's and mcan-vqa's small model", hidden=512, heads=8, layers=6),
    Configuration(name="openvqa's and mcan-vqa's large model", hidden=1024, heads=8, layers=6),
)
ALSO_ASSUMED = {"regions": "at most {regions} regions, as published"}
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
FFN = "ffn.mlp.fc.linear.weight"
BOXES = "img_adapter.bbox_linear.weight"
GRID = "img_adapter.grid_linear.weight"


def own_name(name: str) -> str:
    """Our name of a tensor."""
    for pattern, replacement in OTHER_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def data_of(shapes: Shapes) -> tuple[str, str]:
    """The data set that the model is for, as far as its shapes tell, and why."""
    return ("gqa", "since it reads boxes") if BOXES in shapes else ("vqa-v2", "since it reads no boxes")


def hidden_of(shapes: Shapes) -> int:
    """The size that all layers share."""
    return shapes.of("attflat_img.fc.linear.weight", 2)[1]


def sizes_of(shapes: Shapes, heads: int) -> dict[str, Any]:
    """The fields of a McanConfig, read off the shapes; `heads` is that of every layer."""
    _check_importable(shapes)
    hidden = hidden_of(shapes)
    boxes = shapes.of(BOXES, 2)[0] if BOXES in shapes else 0
    features = shapes.of("img_adapter.frcn_linear.weight", 2)[1] - boxes
    if features < 1:
        raise InputError(f"reads {features + boxes} values of a region, {boxes} of them of its box; is it whole?")
    encoder = shapes.sizes_by_layer("encoder layer", "backbone.enc_list.", FFN)
    decoder = shapes.sizes_by_layer("decoder layer", "backbone.dec_list.", FFN)
    vocab, word_dim = shapes.of("embedding.weight", 2)
    return {
        "vocab": vocab,
        "answers": shapes.of("proj.weight", 2)[0],
        "word_dim": word_dim,
        "lstm_hidden": shapes.of("lstm.weight_hh_l0", 2)[1],
        "hidden": hidden,
        "head_dim": hidden // heads,
        "encoder_heads": (heads,) * len(encoder),
        "encoder_ffn": encoder,
        "decoder_heads": (heads,) * len(decoder),
        "decoder_ffn": decoder,
        "flat_mlp": shapes.of("attflat_img.fc.linear.weight", 2)[0],
        "flat_out": shapes.of("attflat_img.linear_merge.weight", 2)[0],
        "region_features": features,
        "box_features": boxes,
        "has_image_norm": "img_adapter.frcn_ln.weight" in shapes,
        "has_language_adapter": "lang_adapter.lang_linear.weight" in shapes,
    }


def _check_importable(shapes: Shapes) -> None:
    glimpses = shapes.of("attflat_img.linear.weight", 2)[0]
    if glimpses != 1:
        # Their results lie side by side in what is merged, where a leading slice would mix them up.
        raise InputError(f"pools by {glimpses} glimpses; only a model with one can be slimmed")
    if GRID in shapes:
        raise InputError("reads grid features, too; only models of regions and boxes can be imported")
