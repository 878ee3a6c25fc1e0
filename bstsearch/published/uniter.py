"""UNITER as ChenRocks/UNITER saves it, fine-tuned on VQA-v2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]

HEAD_DIM = 64
QUESTION_LENGTHS = {"vqa-v2": 16, "gqa": 16}
SIGN = "uniter.encoder.layer."
DEAD = {
    "masked regions of pre-training": r"uniter\.img_embeddings\.mask_embedding\.",
    "heads of pre-training": r"(cls|feat_regress|region_classifier|itm_output)\.",
}
LAYER = "uniter.encoder.layer.{}.intermediate.dense.weight"


def own_name(name: str) -> str:
    """Our name of a tensor: the same."""
    return name


def data_of(_: Shapes) -> str:
    """VQA-v2: the public code has no other task with a classifier of answers."""
    return "vqa-v2"


def sizes_of(shapes: Shapes, heads: int | None) -> dict[str, Any]:
    """The fields of a UniterConfig, read off the shapes; `heads` is that of every layer (None: of 64 each)."""
    vocab, hidden = shapes["uniter.embeddings.word_embeddings.weight"]
    count = heads or max(1, hidden // HEAD_DIM)
    ffn: list[int] = []
    while (name := LAYER.format(len(ffn))) in shapes:
        ffn.append(shapes[name][0])
    return {
        "answers": shapes["vqa_output.3.weight"][0],
        "vocab": vocab,
        "positions": shapes["uniter.embeddings.position_embeddings.weight"][0],
        "hidden": hidden,
        "head_dim": hidden // count,
        "heads": (count,) * len(ffn),
        "ffn": tuple(ffn),
        "head_hidden": shapes["vqa_output.0.weight"][0],
        "region_features": shapes["uniter.img_embeddings.img_linear.weight"][1],
    }
