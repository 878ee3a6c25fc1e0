"""Opening a data set of VQA-v2's size: 658,111 questions with ten answers each (as many as training and validation
have), made up, in BST's files. Prints seconds and the process's peak memory; and what reading the regions of a question
costs beside a sandwich step of the full-size MCAN on it (targets: under 1 GB; at most 0.1).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bstsearch.inputs.reader import Reader
from bstsearch.model.lookup import get_preset
from bstsearch.model.supernet import Supernet
from bstsearch.tasks.vqa_v2 import VqaV2
from bstsearch.training.recipes import get_recipe
from bstsearch.training.sandwich import draw_sandwich, sandwich_step
from timing import report

IMAGES, FEATURES, REGIONS = 200, 2048, (36, 100)
BATCH, STEP_BATCH = 64, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=658_111)
    questions = parser.parse_args().questions
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write(folder, questions)
        like = {"question": torch.zeros(1, 14), "regions": torch.zeros(1, 100, FEATURES)}
        before = peak_mb()
        start = time.perf_counter()
        task = VqaV2.build(folder)
        built = time.perf_counter()
        split = task.split("train", Reader(like=like))
        opened = time.perf_counter()
        peak = peak_mb()
        batches = split.batches(BATCH, torch.randperm(len(split))[: BATCH * 12])
        next(batches)
        waits = [seconds_of(lambda: next(batches)) for _ in range(10)]
    loader_ms, step_ms = 1000 * float(np.median(waits)) / BATCH, 1000 * seconds_of_step() / STEP_BATCH
    report(
        "data_index",
        {
            "questions": len(split),
            "json_mb": round(size / 1e6),
            "vocabulary_s": round(built - start, 1),
            "open_s": round(opened - built, 1),
            "peak_mb": round(peak),
            "peak_before_mb": round(before),
            "loader_ms_per_question": round(loader_ms, 2),
            "step_ms_per_question": round(step_ms, 1),
            "loader_over_step": round(loader_ms / step_ms, 4),
        },
    )


def write(folder: Path, questions: int) -> int:
    """Question and annotation files of `questions`, and IMAGES feature files; returns the JSON's bytes."""
    source = random.Random(0)
    words = [f"word{index}" for index in range(20_000)]
    answers = [f"answer {index}" for index in range(3_000)]
    (folder / "raw").mkdir()
    asked, annotated = (folder / "raw" / f"train_trainval_{name}.json" for name in ("questions", "annotations"))
    with asked.open("w") as first, annotated.open("w") as second:
        first.write('{"info": {}, "questions": [')
        second.write('{"info": {}, "annotations": [')
        for row in range(questions):
            comma = ", " if row else ""
            text = " ".join(source.choices(words, k=7)) + "?"
            question = {"image_id": row % IMAGES, "question": text, "question_id": row}
            first.write(comma + json.dumps(question))
            second.write(comma + json.dumps(annotation(row, source, answers)))
        first.write("]}")
        second.write("]}")
    for image in range(IMAGES):
        regions = source.randint(*REGIONS)
        path = folder / "feats" / "train2014" / f"COCO_train2014_{image:012d}.jpg.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        x = np.random.default_rng(image).standard_normal((FEATURES, regions)).astype(np.float32)
        np.savez(path, x=x, bbox=np.ones((regions, 4), np.float32), image_w=2, image_h=2)
    return asked.stat().st_size + annotated.stat().st_size


def annotation(row: int, source: random.Random, answers: list[str]) -> dict[str, object]:
    first, second = source.choices(answers, k=2)
    texts = [first] * 6 + [second] * 4
    return {
        "question_type": "what is",
        "multiple_choice_answer": first,
        "answers": [{"answer": text, "answer_confidence": "yes", "answer_id": i + 1} for i, text in enumerate(texts)],
        "image_id": row % IMAGES,
        "answer_type": "other",
        "question_id": row,
    }


def seconds_of_step() -> float:
    """The median time of a sandwich step of the full-size MCAN."""
    torch.manual_seed(0)
    supernet = Supernet(*get_preset("mcan-vqa-v2")).train()
    inputs = supernet.family.example_inputs(supernet.config, STEP_BATCH)
    submodels, loss = draw_sandwich(supernet.space, random.Random(0)), get_recipe("bst").sandwich.loss

    def step() -> None:
        with torch.no_grad():
            target = supernet.model(**inputs)
        sandwich_step(supernet, submodels, inputs, target, loss)

    step()
    return float(np.median([seconds_of(step) for _ in range(3)]))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def seconds_of(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
