"""A tiny GPT-2 with a tokenizer of words, as a stock folder, and lines for it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch

WORDS = (
    "a",
    "the",
    "cat",
    "dog",
    "bird",
    "sees",
    "hears",
    "likes",
    "small",
    "large",
    "red",
    "blue",
    "and",
    "then",
    "runs",
)
SETTINGS = {"vocab_size": 32, "n_positions": 24, "n_embd": 32, "n_layer": 4, "n_head": 4, "bos_token_id": 1}
SETTINGS |= {"eos_token_id": 2}


def write_model(folder: Path) -> Path:
    """The model with random weights, its tokenizer, and settings for generation."""
    from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**SETTINGS))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # so that what it writes depends on what it reads
    model.generation_config = GenerationConfig(max_new_tokens=7, bos_token_id=1, eos_token_id=2, pad_token_id=2)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """Cuts at blanks; a line's end is a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = {word: number for number, word in enumerate(["<unk>", "<s>", "</s>", "\n", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    split: Any = pre_tokenizers.Split("\n", "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.Split(" ", "removed")])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)


def write_lines(path: Path, count: int = 400) -> Path:
    """Different lines of these words."""
    source = random.Random(0)
    lines = [" ".join(source.choices(WORDS, k=source.randint(4, 9))) for _ in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path
