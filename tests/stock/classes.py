"""Small configurations of the stock classes that are tried, and the groups that must be found of each."""

from __future__ import annotations

import functools
from typing import Any

from bstsearch.stock.inspecting import Inspection, inspect

TEXT = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 80}
TEXT |= {"max_position_embeddings": 24}
PICTURE = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": 16, "patch_size": 4}
VISION = PICTURE | {"intermediate_size": 80}
DECODER = {
    "vocab_size": 50,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}
DECODER |= {
    "intermediate_size": 80,
    "max_position_embeddings": 24,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
SEEING = {
    "vision_config": VISION,
    "text_config": DECODER | {"model_type": "llama"},
    "scale_factor": 2,
    "image_token_id": 40,
}
QWEN_VISION = {
    "depth": 4,
    "hidden_size": 32,
    "out_hidden_size": 64,
    "num_heads": 4,
    "intermediate_size": 80,
    "patch_size": 4,
}
QWEN_VISION |= {"spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 8, "fullatt_block_indexes": [1, 3]}
QWEN_TOKENS = {"image_token_id": 40, "vision_start_token_id": 41, "vision_end_token_id": 42, "video_token_id": 43}
SIDES = ("encoder", "decoder")

# Class -> settings, and the groups of sizes that shrink together.
CLASSES: dict[str, tuple[dict[str, Any], set[frozenset[str]]]] = {}


def _add(name: str, settings: dict[str, Any], *groups: str) -> None:
    CLASSES[name] = settings, {frozenset(group.split()) for group in groups}


BERT = ("intermediate_size", "hidden_size num_attention_heads")
GROUPED = ("hidden_size", "intermediate_size", "num_attention_heads num_key_value_heads")
_add("BertForSequenceClassification", TEXT, *BERT)
_add("RobertaForSequenceClassification", TEXT, *BERT)
_add(
    "DistilBertForSequenceClassification",
    {"vocab_size": 50, "dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 80, "max_position_embeddings": 24},
    *("hidden_dim", "dim n_heads"),
)
_add("ElectraForSequenceClassification", TEXT | {"embedding_size": 24}, *BERT, "embedding_size")
_add(
    "DebertaV2ForSequenceClassification",
    TEXT | {"pooler_hidden_size": 32},
    *("intermediate_size", "hidden_size num_attention_heads pooler_hidden_size"),
)
_add(
    "ModernBertForSequenceClassification",
    TEXT
    | {
        "pad_token_id": 0,
        "cls_token_id": 1,
        "sep_token_id": 2,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "local_attention": 8,
    },
    *BERT,
)
_add("VisualBertForQuestionAnswering", TEXT | {"visual_embedding_dim": 20}, *BERT)
_add("ViTForImageClassification", VISION, *BERT)
_add("DeiTForImageClassification", VISION, *BERT)
_add("Dinov2ForImageClassification", PICTURE, "hidden_size num_attention_heads")
TOWERS = ("text_config.intermediate_size", "vision_config.intermediate_size")
TOWERS += ("text_config.hidden_size text_config.num_attention_heads",)
SEEN = "vision_config.hidden_size vision_config.num_attention_heads"
_add(
    "CLIPModel",
    {
        "text_config": TEXT | {"eos_token_id": 49, "bos_token_id": 0, "pad_token_id": 1, "projection_dim": 24},
        "vision_config": VISION | {"projection_dim": 24},
        "projection_dim": 24,
    },
    *TOWERS,
    *(SEEN, "projection_dim"),
)
_add(
    "SiglipModel",
    {"text_config": TEXT | {"projection_size": 32}, "vision_config": VISION},
    *TOWERS,
    f"{SEEN} text_config.projection_size",
)
_add("ViltForQuestionAnswering", VISION | TEXT, *BERT)
_add(
    "LxmertForQuestionAnswering",
    {
        "vocab_size": 50,
        "hidden_size": 32,
        "num_attention_heads": 4,
        "intermediate_size": 80,
        "max_position_embeddings": 24,
    }
    | {"l_layers": 4, "x_layers": 2, "r_layers": 2, "visual_feat_dim": 20, "num_qa_labels": 5},
    *BERT,
)
_add(
    "BlipForQuestionAnswering",
    {
        "text_config": TEXT
        | {"encoder_hidden_size": 32, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 2},
        "vision_config": VISION,
    },
    *TOWERS[:2],
    f"{TOWERS[2]} {SEEN}",
)
_add(
    "T5EncoderModel",
    {"vocab_size": 50, "d_model": 48, "d_kv": 8, "d_ff": 80, "num_layers": 4, "num_heads": 4},
    *("d_ff", "d_model", "num_heads"),
)
_add(
    "GPT2LMHeadModel",
    {
        "vocab_size": 50,
        "n_positions": 24,
        "n_embd": 32,
        "n_layer": 4,
        "n_head": 4,
        "bos_token_id": 1,
        "eos_token_id": 2,
    },
    *("n_inner", "n_embd n_head"),
)
_add("Phi3ForCausalLM", DECODER | {"original_max_position_embeddings": 24}, *GROUPED)
_add("LlamaForCausalLM", DECODER, *GROUPED)
_add("Qwen2ForCausalLM", DECODER, *GROUPED)
_add("Qwen3ForCausalLM", DECODER | {"head_dim": 8}, *GROUPED)
VLM = ("text_config.hidden_size", *TOWERS[:2], "text_config.num_attention_heads text_config.num_key_value_heads", SEEN)
_add("Idefics3ForConditionalGeneration", SEEING, *VLM)
_add("SmolVLMForConditionalGeneration", SEEING, *VLM)
_add(
    "Qwen2_5_VLForConditionalGeneration",
    dict(text_config=DECODER | {"rope_parameters": ROPE}, vision_config=QWEN_VISION, **QWEN_TOKENS),
    *TOWERS[:2],
    "vision_config.hidden_size vision_config.num_heads",
    "text_config.hidden_size text_config.num_attention_heads text_config.num_key_value_heads "
    "vision_config.out_hidden_size",
)


@functools.cache
def inspected(name: str) -> Inspection:
    """What is found of that class, once for all tests."""
    return inspect(name, CLASSES[name][0])
