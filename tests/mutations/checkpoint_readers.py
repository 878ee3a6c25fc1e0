"""Readers of other people's checkpoints, of their words and answers, and of a training that goes on."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from pathlib import Path

import checkpoints
import torch
from model_readers import CONFIG, few_questions
from reader import Reader
from safetensors.torch import save_file

from bstsearch.families.mcan import FAMILY
from bstsearch.model.supernet import Supernet
from bstsearch.published.checkpoint import Imported, read_checkpoint
from bstsearch.published.tensors import read_tensors
from bstsearch.published.words import build_words
from bstsearch.training.loop import teacher_stage
from bstsearch.training.recipes import DEMO

WORDS = {name: number for number, name in enumerate(("PAD", "UNK", "CLS", *(f"word{place}" for place in range(47))))}
ANSWERS = {f"answer {number}": number for number in range(30)}


def make_tensors(folder: Path) -> None:
    tensors = {"a.weight": torch.arange(6.0).view(2, 3), "module.a.bias": torch.zeros(2)}
    torch.save(tensors, folder / "new.pt")
    torch.save(tensors, folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(tensors, folder / "model.safetensors")


def read_all_tensors(folder: Path) -> list[object]:
    return [read_tensors(folder / name) for name in ("new.pt", "old.pt", "model.safetensors")]


def make_checkpoint(folder: Path) -> None:
    torch.save(checkpoints.weights("uniter"), folder / "model.pt")


def make_words(folder: Path) -> None:
    reverse = {str(number): name for name, number in ANSWERS.items()}
    for name, content in {"dicts": [ANSWERS, reverse, WORDS, 14], "words": WORDS, "answers": list(ANSWERS)}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


@functools.cache
def _imported() -> Imported:
    with tempfile.TemporaryDirectory() as folder:
        torch.save(checkpoints.weights("mcan"), Path(folder) / "model.pt")
        return read_checkpoint(Path(folder) / "model.pt", "mcan", heads=4)


def read_words(folder: Path) -> list[object]:
    dicts, words, answers = (folder / f"{name}.json" for name in ("dicts", "words", "answers"))
    return [
        build_words(_imported(), vocabulary=dicts, answers=None, folder=None),
        build_words(_imported(), vocabulary=words, answers=answers, folder=None),
    ]


def train(folder: Path) -> Supernet:
    """Trains, or goes on with, two steps."""
    stage = dataclasses.replace(DEMO.teacher, epochs=2, batch_size=8)
    recipe = dataclasses.replace(DEMO, checkpoint_every=1, teacher=stage)
    torch.manual_seed(0)
    supernet = Supernet(FAMILY, CONFIG)
    for _ in teacher_stage(supernet, recipe, folder).run(few_questions()):
        pass
    return supernet


PUBLISHED = (
    Reader(
        name="tensors",
        make=make_tensors,
        read=read_all_tensors,
        files={"new.pt": "torch", "old.pt": "torch", "model.safetensors": "safetensors"},
    ),
    Reader(
        name="checkpoint",
        make=make_checkpoint,
        read=lambda folder: read_checkpoint(folder / "model.pt", "uniter", heads=4),
        files={"model.pt": "torch"},
        step=2,
    ),
    Reader(
        name="words",
        make=make_words,
        read=read_words,
        files={"dicts.json": "json", "words.json": "json", "answers.json": "json"},
    ),
    Reader(
        name="training",
        make=train,
        read=train,
        files={"teacher-checkpoint.safetensors": "safetensors", "teacher-log.csv": "csv"},
    ),
)
