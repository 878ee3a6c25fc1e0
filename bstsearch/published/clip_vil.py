"""CLIP-ViL_p as clip-vil/CLIP-ViL saves it, fine-tuned on VQA-v2 or GQA, with the whole of CLIP inside."""

from __future__ import annotations

from typing import Any

from bstsearch.published.configurations import Configuration
from bstsearch.published.shapes import Shapes

CONFIGURATIONS = (Configuration(name="CLIP-ViL_p's BERT-base", hidden=768, heads=12, layers=12),)
ALSO_ASSUMED = {"image_size": "images of {image_height} x {image_width} pixels, as published"}
QUESTION_LENGTHS = {"vqa-v2": 20, "gqa": 20}
GQA_ANSWERS = 1842
SIGN = "encoder.visual_model."
PREFIXES = ("lxrt_encoder.model.bert.", "lxrt_encoder.model.", "bert.")  # the last one in pre-training's files
VISUAL = "encoder.visual_model.visual."
DEAD = {
    "CLIP's text side": r"encoder\.visual_model\.(?!visual\.)",
    "CLIP's attention pooling": r"encoder\.visual_model\.visual\.attnpool\.",
    "boxes of a detector": r"encoder\.visn_fc\.box_",
    "heads of pre-training": r"(cls|answer_head|obj_predict_head)\.",
    "counters of BatchNorm": r".*\.num_batches_tracked$",
}
LAYERS = "encoder.layer."


def own_name(name: str) -> str:
    """Our name of a tensor."""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
    return name.removeprefix(prefix)


def data_of(shapes: Shapes) -> tuple[str, str]:
    """The data set that the model is for, by the number of its answers, and why."""
    answers = shapes.of("logit_fc.3.weight", 2)[0]
    return "gqa" if answers == GQA_ANSWERS else "vqa-v2", f"since it has {answers:,} answers"


def hidden_of(shapes: Shapes) -> int:
    """The size that all layers share."""
    return shapes.of("embeddings.word_embeddings.weight", 2)[1]


def sizes_of(shapes: Shapes, heads: int) -> dict[str, Any]:
    """The fields of a ClipVilConfig, read off the shapes; `heads` is that of every layer."""
    vocab, hidden = shapes.of("embeddings.word_embeddings.weight", 2)
    ffn = shapes.sizes_by_layer("layer", LAYERS, "intermediate.dense.weight")
    return {
        "answers": shapes.of("logit_fc.3.weight", 2)[0],
        "vocab": vocab,
        "positions": shapes.of("embeddings.position_embeddings.weight", 2)[0],
        "hidden": hidden,
        "head_dim": hidden // heads,
        "heads": (heads,) * len(ffn),
        "ffn": ffn,
        "head_hidden": shapes.of("logit_fc.0.weight", 2)[0],
        "tower_layers": _tower_layers(shapes),
        "tower_width": shapes.of(f"{VISUAL}conv3.weight", 4)[0],
        "visual_positions": shapes.of("encoder.visual_pos.x_position_embedding.weight", 2)[0],
    }


def _tower_layers(shapes: Shapes) -> tuple[int, ...]:
    """How many blocks each stage of the tower has."""
    stages = shapes.layers("stage of the tower", f"{VISUAL}layer", first=1)
    return tuple(
        shapes.layers(f"block of the tower's stage {stage}:", f"{VISUAL}layer{stage}.")
        for stage in range(1, stages + 1)
    )
