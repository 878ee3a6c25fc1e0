"""Small stock classifiers with random weights, as folders of transformers, and labelled texts and pictures for them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("a", "the", "film", "plot", "was", "is", "very", "good", "bad", "fine", "poor")
GOOD, BAD = ("good", "fine"), ("bad", "poor")
COLOURS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}
SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
SIDE = 16


def write_bert(folder: Path, labels: Sequence[str] = ("LABEL_0", "LABEL_1")) -> Path:
    """A `BertForSequenceClassification` of a few words, with its tokenizer."""
    vocab = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    transformers.BertTokenizer(vocab=vocab).save_pretrained(folder)
    config = transformers.BertConfig(**SIZES, vocab_size=len(vocab), max_position_embeddings=16, **_named(labels))
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def write_vit(folder: Path, labels: Sequence[str] = tuple(COLOURS)) -> Path:
    """A `ViTForImageClassification` of small pictures, with its image processor."""
    transformers.ViTImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    config = transformers.ViTConfig(**SIZES, image_size=SIDE, patch_size=8, **_named(labels))
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    return folder


def _named(labels: Sequence[str]) -> dict[str, object]:
    return {"id2label": dict(enumerate(labels)), "label2id": {name: place for place, name in enumerate(labels)}}


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many texts, "neg" and "pos" in turn, which a word in them gives away."""
    source = np.random.default_rng(seed)
    found = []
    for row in range(count):
        words = [*source.choice(WORDS[:7], source.integers(2, 8)), source.choice(GOOD if row % 2 else BAD)]
        found.append((" ".join(source.permutation(words)), "pos" if row % 2 else "neg"))
    return found


def write_csv(file: Path, rows: Sequence[Sequence[object]], columns: Sequence[str] = ("text", "label")) -> Path:
    """A table with these columns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([columns, *rows])
    return file


def picture(colour: str, seed: int) -> NDArray[np.uint8]:
    """The pixels of a picture of about that colour."""
    noise = np.random.default_rng(seed).integers(-20, 20, (12, 20, 3))
    return (np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)


def write_pictures(folder: Path, count: int, seed: int = 0) -> Path:
    """So many pictures of each colour, in a folder of its name."""
    for colour in COLOURS:
        (folder / colour).mkdir(parents=True)
        for row in range(count):
            Image.fromarray(picture(colour, 1000 * seed + row)).save(folder / colour / f"{row}.png")
    return folder
