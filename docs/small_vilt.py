"""Writes the folder of a small ViltForQuestionAnswering for easy-VQA: its configuration and processor, no weights.

    python docs/small_vilt.py my-vilt

It is what `save_pretrained` of a larger one would write, but for the weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import easy_vqa
import transformers

from bstsearch.inputs.tokenizers import words_of

SIDE, PATCH = 64, 16  # pixels of a picture, and of a patch
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write_folder(folder: Path) -> None:
    """Writes the configuration, and the tokenizer and image processor that the model reads by, into `folder`."""
    questions, _, _ = easy_vqa.get_train_questions()
    words = sorted({word for question in questions for word in words_of(question)})
    tokens = (*SPECIAL, "?", *words)
    tokenizer = transformers.BertTokenizer(vocab={token: index for index, token in enumerate(tokens)})
    pictures = transformers.ViltImageProcessor(size={"shortest_edge": SIDE}, size_divisor=PATCH)
    transformers.ViltProcessor(pictures, tokenizer).save_pretrained(folder)
    config = transformers.ViltConfig(
        architectures=["ViltForQuestionAnswering"],
        hidden_size=64,
        num_attention_heads=4,
        intermediate_size=128,
        num_hidden_layers=4,
        image_size=SIDE,
        patch_size=PATCH,
        vocab_size=len(tokens),
        max_position_embeddings=2 + max(len(tokenizer.tokenize(question)) for question in set(questions)),
    )
    config.save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where it is written")
    write_folder(parser.parse_args().folder)
