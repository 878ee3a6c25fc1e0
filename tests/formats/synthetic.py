"""Small data sets in the layouts of openvqa and BST, with random features and made-up questions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WORDS = ("what", "is", "this", "color", "the", "how", "many", "dogs")
ANSWERS = ("yes", "no", "red", "2")


def write_vqa_v2(
    folder: Path, *, questions: int = 12, images: int = 4, features: int = 8, upright: bool = False
) -> Path:
    """BST's files: train_trainval, devval and test; every image has 3 regions or a few more."""
    random = np.random.default_rng(0)
    for split, name in (("train_trainval", "train2014"), ("devval", "val2014"), ("test", "test2015")):
        first = {"train2014": 100, "val2014": 200, "test2015": 300}[name]
        asked = [
            {
                "image_id": first + row % images,
                "question": f"{WORDS[row % 8]} {WORDS[(row + 1) % 8]} it?",
                "question_id": 1000 * first + row,
            }
            for row in range(questions)
        ]
        write_json(folder / "raw" / f"{split}_questions.json", question_file(asked))
        if name != "test2015":
            annotations = [annotation(one, ANSWERS[row % 4]) for row, one in enumerate(asked)]
            write_json(folder / "raw" / f"{split}_annotations.json", {"info": {}, "annotations": annotations})
        for image in range(first, first + images):
            path = folder / "feats" / name / f"COCO_{name}_{image:012d}.jpg.npz"
            write_npz(path, random, 3 + image % images, features, upright=upright)
    return folder


def question_file(asked: list[dict[str, Any]]) -> dict[str, Any]:
    return {"info": {}, "task_type": "Open-Ended", "data_type": "mscoco", "data_subtype": "x", "questions": asked}


def annotation(asked: Mapping[str, Any], answer: str, others: str = "maybe") -> dict[str, Any]:
    """Seven people give one answer, three another."""
    texts = [answer] * 7 + [others] * 3
    return {
        "question_id": asked["question_id"],
        "image_id": asked["image_id"],
        "question_type": "what is",
        "answer_type": "number" if answer.isdigit() else "other",
        "multiple_choice_answer": answer,
        "answers": [{"answer": text, "answer_confidence": "yes", "answer_id": i + 1} for i, text in enumerate(texts)],
    }


def write_npz(
    path: Path, random: np.random.Generator, regions: int, features: int, *, upright: bool = False, is_gqa: bool = False
) -> None:
    """Features and boxes of an image of 200 x 100 pixels; `upright` features are (n, F), else (F, n)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x = random.standard_normal((regions, features)).astype(np.float32)
    corners = np.sort(random.uniform(0, 1, (regions, 2, 2)), axis=1) * (200, 100)
    names = ("width", "height") if is_gqa else ("image_w", "image_h")
    sizes = dict(zip(names, (200, 100), strict=True))
    np.savez(path, x=x if upright else x.T, bbox=corners.reshape(regions, 4).astype(np.float32), **sizes)


def write_gqa(folder: Path, *, questions: int = 12, images: int = 4, features: int = 8, is_h5: bool = False) -> Path:
    """GQA's own question files of three parts, with .npz files or GQA's .h5 files."""
    random = np.random.default_rng(0)
    names = [str(2000 + image) for image in range(images)]
    for part in ("train", "val", "testdev"):
        records = {f"{part}{row:04d}": gqa_record(row, names[row % images]) for row in range(questions)}
        write_json(folder / "raw" / f"{part}_balanced_questions.json", records)
    if is_h5:
        _write_h5(folder, random, names, features)
    else:
        for image in names:
            path = folder / "feats" / "gqa-frcn" / f"{image}.npz"
            write_npz(path, random, 5, features, upright=True, is_gqa=True)
    return folder


def gqa_record(row: int, image: str) -> dict[str, Any]:
    answer = ("t-shirt", "yes", "no", "dog")[row % 4]
    return {
        "question": f"{WORDS[row % 8]} is it?",
        "answer": answer,
        "imageId": image,
        "isBalanced": row % 6 != 5,
        "types": {"structural": "query" if row % 4 in (0, 3) else "verify", "semantic": "obj", "detailed": "x"},
        "groups": {"global": "thing", "local": "x"},
        "semantic": [{"operation": "select", "argument": "it (1)"}, {"operation": "query", "argument": "name"}],
        "entailed": [],
        "equivalent": [],
        "fullAnswer": "",
    }


def _write_h5(folder: Path, random: np.random.Generator, names: list[str], features: int) -> None:
    h5py = pytest.importorskip("h5py")
    info = {}
    for number in range(2):
        mine = names[number::2]
        with h5py.File(folder / f"gqa_objects_{number}.h5", "w") as file:
            file["features"] = random.standard_normal((len(mine), 100, features)).astype(np.float32)
            corners = np.sort(random.uniform(0, 1, (len(mine), 100, 2, 2)), axis=2) * (200, 100)
            file["bboxes"] = corners.reshape(len(mine), 100, 4).astype(np.float32)
        for place, name in enumerate(mine):
            info[name] = {"file": number, "idx": place, "objectsNum": 5 + place, "width": 200, "height": 100}
    write_json(folder / "gqa_objects_info.json", info)


def write_json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
