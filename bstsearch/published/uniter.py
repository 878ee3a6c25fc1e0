"""UNITER as ChenRocks/UNITER saves it, fine-tuned on VQA-v2."""

from __future__ import annotations

from typing import Any

from bstsearch.published.configurations import Configuration
from bstsearch.published.shapes import Shapes

CONFIGURATIONS = (
    Configuration(name="uniter-base", hidden=768, heads=12, layers=12),
    Configuration(name="uniter-large", hidden=1024, heads=16, layers=24),
)
ALSO_ASSUMED = {"regions": "at most {regions} regions, as published"}
QUESTION_LENGTHS = {"vqa-v2": 16, "gqa": 16}
SIGN = "uniter.encoder.layer."
DEAD = {
    "masked regions of pre-training": r"uniter\.img_embeddings\.mask_embedding\.",
    "heads of pre-training": r"(cls|feat_regress|region_classifier|itm_output)\.",
}
LAYERS = "uniter.encoder.layer."


def own_name(name: str) -> str:
    """Our name of a tensor: the same."""
    return name


def data_of(_: Shapes) -> tuple[str, str]:
    """VQA-v2, and why."""
    return "vqa-v2", "since the public code classifies answers of no other"


def hidden_of(shapes: Shapes) -> int:
    """The size that all layers share."""
    return shapes.of("uniter.embeddings.word_embeddings.weight", 2)[1]


def sizes_of(shapes: Shapes, heads: int) -> dict[str, Any]:
    """The fields of a UniterConfig, read off the shapes; `heads` is that of every layer."""
    vocab, hidden = shapes.of("uniter.embeddings.word_embeddings.weight", 2)
    ffn = shapes.sizes_by_layer("layer", LAYERS, "intermediate.dense.weight")
    return {
        "answers": shapes.of("vqa_output.3.weight", 2)[0],
        "vocab": vocab,
        "positions": shapes.of("uniter.embeddings.position_embeddings.weight", 2)[0],
        "hidden": hidden,
        "head_dim": hidden // heads,
        "heads": (heads,) * len(ffn),
        "ffn": ffn,
        "head_hidden": shapes.of("vqa_output.0.weight", 2)[0],
        "region_features": shapes.of("uniter.img_embeddings.img_linear.weight", 2)[1],
    }
