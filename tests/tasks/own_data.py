"""The data sets of docs/data.md: the code as it stands there, and files for it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from PIL import Image

from bstsearch import doors
from bstsearch.tasks import get_task
from bstsearch.tasks.task import Task

DOCUMENT = Path(__file__).parents[2] / "docs" / "data.md"
COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}
ROWS = {"train": 12, "validation": 6, "test": 6}


def code_of(name: str) -> str:
    """The block of the document that defines the class `name`."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if f"class {name}(" in block)
    return found


def from_the_document(folder: Path, name: str) -> type[Task]:
    """That class, run from a file in `folder`."""
    path = folder / f"{name.lower()}.py"
    path.write_text(code_of(name), encoding="utf-8")
    doors._admitted.pop(("task", name.lower()), None)
    return get_task(f"{path}:{name}")


def write_pets(folder: Path) -> Path:
    """A folder as the document says: pictures of one colour, which the questions ask for."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for split, count in ROWS.items():
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            for row in range(count):
                colour = list(COLOURS)[row % len(COLOURS)]
                image = f"{split}-{row}.png"
                noise = random.integers(-20, 20, (12, 20, 3))
                pixels = (np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "images" / image)
                writer.writerow([image, "what color is it?", colour])
                writer.writerow([image, "is it red?", "yes" if colour == "red" else "no"])
    return folder
