"""Writes small folders as LXMERT's and CLIP-ViL's public code lay them out: question lists and JPEG files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ANSWERS = ("net", "pitcher", "", "yes")
LYING, STANDING = (40, 20), (20, 40)  # width and height


def question(number: int | str, image: str, label: Mapping[str, float] | None) -> dict[str, Any]:
    """An entry of a list; no label for a test list."""
    entry: dict[str, Any] = {"question_id": number, "img_id": image, "sent": "What is this?"}
    return entry if label is None else {**entry, "label": dict(label)}


def write_lists(
    folder: Path, lists: Mapping[str, Sequence[Mapping[str, Any]]], answers: Iterable[str] = ANSWERS
) -> None:
    """The lists by name, and both files of answers."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = list(answers)
    for name, entries in lists.items():
        (folder / f"{name}.json").write_text(json.dumps(entries))
    (folder / "trainval_label2ans.json").write_text(json.dumps(answers))
    (folder / "trainval_ans2label.json").write_text(json.dumps({answer: i for i, answer in enumerate(answers)}))


def write_jpeg(folder: Path, name: str, size: tuple[int, int]) -> Path:
    """An image of one colour, decided by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    red, green, blue = np.random.default_rng(list(name.encode())).integers(0, 256, 3).tolist()
    path = folder / f"{name}.jpg"
    Image.new("RGB", size, (red, green, blue)).save(path, quality=95)
    return path


def write_sizes(path: Path, sizes: Mapping[str, tuple[int, int]]) -> None:
    """The list of image sizes; like the public code's it has the height first, under paths of another machine."""
    listed = {f"data/mscoco/val2014/{name}.jpg": [height, width] for name, (width, height) in sizes.items()}
    path.write_text(json.dumps(listed))
