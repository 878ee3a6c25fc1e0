"""CLIP-ViL_p as clip-vil/CLIP-ViL saves it, fine-tuned on VQA-v2 or GQA, with the whole of CLIP inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]

HEAD_DIM = 64
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
LAYER = "encoder.layer.{}.intermediate.dense.weight"


def own_name(name: str) -> str:
    """Our name of a tensor."""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
    return name.removeprefix(prefix)


def data_of(shapes: Shapes) -> str:
    """The data set that the model is for, by the number of its answers."""
    return "gqa" if shapes["logit_fc.3.weight"][0] == GQA_ANSWERS else "vqa-v2"


def sizes_of(shapes: Shapes, heads: int | None) -> dict[str, Any]:
    """The fields of a ClipVilConfig, read off the shapes; `heads` is that of every layer (None: of 64 each)."""
    vocab, hidden = shapes["embeddings.word_embeddings.weight"]
    count = heads or max(1, hidden // HEAD_DIM)
    ffn: list[int] = []
    while (name := LAYER.format(len(ffn))) in shapes:
        ffn.append(shapes[name][0])
    return {
        "answers": shapes["logit_fc.3.weight"][0],
        "vocab": vocab,
        "positions": shapes["embeddings.position_embeddings.weight"][0],
        "hidden": hidden,
        "head_dim": hidden // count,
        "heads": (count,) * len(ffn),
        "ffn": tuple(ffn),
        "head_hidden": shapes["logit_fc.0.weight"][0],
        "tower_layers": _tower_layers(shapes),
        "tower_width": shapes[f"{VISUAL}conv3.weight"][0],
        "visual_positions": shapes["encoder.visual_pos.x_position_embedding.weight"][0],
    }


def _tower_layers(shapes: Shapes) -> tuple[int, ...]:
    """How many blocks each stage of the tower has."""
    blocks = re.compile(rf"{re.escape(VISUAL)}layer(\d+)\.(\d+)\.conv1\.weight")
    found = [int(match[1]) for match in map(blocks.fullmatch, shapes) if match]
    return tuple(found.count(stage) for stage in range(1, max(found, default=0) + 1))
