"""A small stock folder that reads pictures and questions, with its processor's files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import transformers

from bstsearch.stock.configuration import HERE, Found, Layers, Settings, StockConfig
from bstsearch.stock.depths import Depth
from bstsearch.stock.inputs import find_reads
from bstsearch.stock.inspecting import Inspection
from bstsearch.stock.module import build, full_settings
from bstsearch.stock.trial import Stage, Trial

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (*SPECIAL, "?", "a", "is", "it", "the", "there", "red", "blue", "circle", "what", "color")


GROUPS = ("intermediate_size", "hidden_size")  # the first name of each


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


def seeing_inspection(architecture: str, settings: Settings, **_: Any) -> Inspection:
    """What `inspect` finds of a folder of `write_seeing`, without looking for it."""
    config = config_of(architecture, settings)
    found = dataclasses.replace(
        config.found,
        units={f"{HERE}intermediate_size": (1,), f"{HERE}hidden_size": (1, 2), f"{HERE}num_attention_heads": (1,)},
        groups=({f"{HERE}intermediate_size": 1}, {f"{HERE}hidden_size": 8, f"{HERE}num_attention_heads": 1}),
        stacks=(Layers(prefix="model.vilt.encoder.layer", count=f"{HERE}num_hidden_layers"),),
    )
    return Inspection(
        config=dataclasses.replace(config, found=found),
        groups=tuple(
            Trial(names=(name,), stage=Stage.PROVED, error=0.0) for name in ("intermediate_size", "hidden_size")
        ),
        depths=(Depth(name="num_hidden_layers", layers=found.stacks, error=0.0),),
        error=0.0,
        fixed={},
        unproved=(),
        left=(),
        seconds=0.0,
    )
