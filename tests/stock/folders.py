"""A small stock folder that reads pictures and questions, with its processor's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers

from bstsearch.stock.configuration import Found, StockConfig
from bstsearch.stock.inputs import find_reads
from bstsearch.stock.module import build, full_settings

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (*SPECIAL, "?", "a", "is", "the", "there", "red", "blue", "circle", "what", "color")


def write_seeing(folder: Path, *, side: int = 32, **settings: Any) -> Path:
    """A ViLT of one picture size, without weights; pictures have `side` pixels for its processor."""
    tokenizer = transformers.BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)})
    pictures = transformers.ViltImageProcessor(size={"shortest_edge": side}, size_divisor=16)
    transformers.ViltProcessor(pictures, tokenizer).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    sizes |= {"image_size": 32, "patch_size": 16, "vocab_size": len(WORDS), "max_position_embeddings": 12}
    config = transformers.ViltConfig(**(sizes | settings), architectures=["ViltForQuestionAnswering"])
    config.save_pretrained(folder)
    return folder


def config_of(architecture: str, settings: dict[str, Any]) -> StockConfig:
    """The configuration with what the class reads; nothing of it shrinks."""
    config = StockConfig(architecture=architecture, settings=full_settings(architecture, settings))
    reads = find_reads(config, build)
    return StockConfig(architecture=architecture, settings=config.settings, found=Found(reads=reads))
