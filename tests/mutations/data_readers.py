"""Readers of data sets: questions and answers, region features, pictures, words."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from reader import Reader
from synthetic import write_gqa, write_json, write_vqa_v2
from synthetic_lxmert import LYING, STANDING, question, write_jpeg, write_lists, write_sizes
from synthetic_uniter import ANSWERS, CLS, Asked, write_images, write_text

from bstsearch.inputs import reader as inputs
from bstsearch.inputs.pictures import LETTERBOX, PictureReader
from bstsearch.tasks.gqa import Gqa
from bstsearch.tasks.task import Split
from bstsearch.tasks.vqa import VqaTask
from bstsearch.tasks.vqa_v2 import VqaV2

LIKE = {"question": torch.zeros(1, 14), "regions": torch.zeros(1, 5, 8), "boxes": torch.zeros(1, 5, 4)}
REGIONS = inputs.Reader(like=LIKE)
OF_UNITER = {**LIKE, "question": torch.zeros(1, 6), "boxes": torch.zeros(1, 5, 7)}
PICTURE = PictureReader(height=16, width=32, fit=LETTERBOX, mean=(0.5,) * 3, std=(0.5,) * 3)
PICTURES = inputs.Reader(like={"question": torch.zeros(1, 4)}, picture=PICTURE)
PIECES = (
    "[PAD]",
    "[UNK]",
    "what",
    "is",
    "this",
    "?",
    *(f"piece{number}" for number in range(6, CLS)),
    "[CLS]",
    "[SEP]",
)
TRAIN, VAL, TEST = (f"COCO_{part}_00000000000" for part in ("train2014", "val2014", "test2015"))
OF_COCO = "coco_val2014_00000000000"


def use(split: Split) -> str:
    """Reads all of a split and scores the first answer to every question."""
    rows = sum(len(next(iter(batch.inputs.values()))) for batch in split.batches(4))
    first = torch.zeros(rows, dtype=torch.int64)
    if split.has_targets:
        split.score(first)
        split.details(first)
    return json.dumps(list(split.results(first)))


def built(task: type[VqaTask], folder: Path, reader: inputs.Reader, *names: str) -> str:
    """Words and answers of the data set, and its parts."""
    found = task.build(folder)
    return "".join(use(found.split(name, reader)) for name in names)


def make_vqa(folder: Path) -> None:
    write_vqa_v2(folder, questions=12, images=2)
    write_json(folder / "answer_dict.json", [{"yes": 0, "no": 1, "red": 2}, {"0": "yes", "1": "no", "2": "red"}])


def make_tables(folder: Path) -> None:
    """Bottom-up attention's tables in place of a file for each image."""
    make_vqa(folder)
    lines = []
    for path in sorted((folder / "feats").rglob("*.npz")):
        with np.load(path) as file:
            arrays = [base64.b64encode(np.ascontiguousarray(one)).decode() for one in (file["bbox"], file["x"].T)]
            lines.append("\t".join([path.name[-16:-8].lstrip("0"), "200", "100", str(len(file["bbox"])), *arrays]))
        path.unlink()
    (folder / "feats" / "one.tsv").write_text("\n".join(lines) + "\n")


def make_packed(folder: Path) -> None:
    """The same with .npz files that are packed."""
    make_vqa(folder)
    for path in (folder / "feats").rglob("*.npz"):
        np.savez_compressed(path, **dict(np.load(path)))


def make_gqa(folder: Path) -> None:
    write_gqa(folder, questions=12, images=2)
    words = {word: place for place, word in enumerate(("PAD", "UNK", "CLS", "is", "it"))}
    answers = {"dog": 0, "t shirt": 1, "no": 2, "yes": 3}
    write_json(folder / "raw" / "dicts.json", [answers, {str(i): name for name, i in answers.items()}, words, 6])


def make_gqa_h5(folder: Path) -> None:
    write_gqa(folder, questions=12, images=2, is_h5=True)


def make_lxmert(folder: Path) -> None:
    lists = {
        "train": [question(10, f"{TRAIN}1", {"net": 1})],
        "nominival": [question(12, f"{VAL}1", {})],
        "minival": [question(20, f"{VAL}1", {"net": 1}), question(21, f"{VAL}2", {"pitcher": 0.3, "yes": 0.9})],
        "test": [question(30, f"{TEST}1", None)],
    }
    write_lists(folder / "vqa", lists)
    sizes = {f"{TRAIN}1": LYING, f"{VAL}1": LYING, f"{VAL}2": STANDING, f"{TEST}1": LYING}
    for name, size in sizes.items():
        write_jpeg(folder / "mscoco" / name.split("_")[1], name, size)
    write_sizes(folder / "mscoco" / "width_heigths.json", sizes)
    write_pieces(folder)


def make_gqa_lists(folder: Path) -> None:
    asked = [question("a1", "n1", {"net": 1}), question("a2", "n2", {"yes": 1})]
    write_lists(folder / "gqa", dict.fromkeys(("train", "valid", "testdev"), asked))
    for name in ("n1", "n2"):
        write_jpeg(folder / "gqa" / "images", name, LYING)
    write_pieces(folder)


def make_uniter(folder: Path) -> None:
    write_uniter(folder, "feat_th0.2_max100_min10_compressed")


def make_uniter_records(folder: Path) -> None:
    write_uniter(folder, "all")


def make_uniter_files(folder: Path) -> None:
    write_uniter(folder, "")


def write_uniter(folder: Path, database: str) -> None:
    """UNITER's questions with images in that database."""
    asked = [
        Asked(id=str(10 + row), pieces=(5, 6), image=f"{OF_COCO}{row + 1}.npz", target={row: 1.0, 3: 0.3})
        for row in range(3)
    ]
    for name in ("vqa_train.db", "vqa_devval.db"):
        write_text(folder / "txt_db" / name, asked)
    write_images(folder / "img_db" / "coco_val2014", database, {one.image: 11 for one in asked})
    write_json(folder / "ans2label.json", {answer: number for number, answer in enumerate(ANSWERS)})
    write_pieces(folder)


def write_pieces(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")


def make_pictures(folder: Path) -> None:
    write_jpeg(folder, "a", LYING)
    Image.new("RGB", (9, 5), "red").save(folder / "a.png")


def read_openvqa(folder: Path) -> str:
    return built(VqaV2, folder, REGIONS, "validation", "test")


def read_uniter(folder: Path) -> str:
    return built(VqaV2, folder, inputs.Reader(like=OF_UNITER), "validation")


def read_lists(folder: Path) -> str:
    return built(VqaV2, folder, PICTURES, "validation", "test")


def read_gqa(folder: Path) -> object:
    """GQA's validation part of a model that reads regions."""
    return built(Gqa, folder, REGIONS, "validation")


def read_pictures(folder: Path) -> list[object]:
    return [PICTURE.read(folder / name) for name in ("a.jpg", "a.png")]


PART, IMAGE = "raw/devval_{}.json", "feats/val2014/COCO_val2014_000000000200.jpg.npz"
DEVVAL, BOXES = "txt_db/vqa_devval.db", "img_db/coco_val2014"
STORES = (
    Reader(name="npz", make=make_vqa, read=read_openvqa, files={IMAGE: "npz"}),
    Reader(name="packed", make=make_packed, read=read_openvqa, files={IMAGE: "npz"}),
    Reader(name="tables", make=make_tables, read=read_openvqa, files={"feats/one.tsv": "tsv"}),
    Reader(
        name="gqa-h5",
        make=make_gqa_h5,
        read=read_gqa,
        files={"gqa_objects_0.h5": "h5", "gqa_objects_info.json": "json"},
    ),
    Reader(
        name="uniter-images",
        make=make_uniter,
        read=read_uniter,
        files={
            f"{BOXES}/feat_th0.2_max100_min10_compressed/data.mdb": "lmdb of npz",
            f"{BOXES}/nbb_th0.2_max100_min10.json": "json",
        },
    ),
    Reader(
        name="uniter-records",
        make=make_uniter_records,
        read=read_uniter,
        files={f"{BOXES}/all/data.mdb": "lmdb of records"},
    ),
    Reader(name="uniter-files", make=make_uniter_files, read=read_uniter, files={f"{BOXES}/{OF_COCO}1.npz": "npz"}),
    Reader(name="sizes", make=make_lxmert, read=read_lists, files={"mscoco/width_heigths.json": "json"}),
    Reader(name="pictures", make=make_pictures, read=read_pictures, files={"a.jpg": "jpeg", "a.png": "png"}),
)
QUESTIONS = (
    Reader(
        name="vqa-v2",
        make=make_vqa,
        read=read_openvqa,
        files={PART.format("questions"): "json", PART.format("annotations"): "json", "answer_dict.json": "json"},
    ),
    Reader(
        name="gqa",
        make=make_gqa,
        read=read_gqa,
        files={"raw/val_balanced_questions.json": "json", "raw/dicts.json": "json"},
    ),
    Reader(
        name="lists",
        make=make_lxmert,
        read=read_lists,
        files={
            "vqa/minival.json": "json",
            "vqa/test.json": "json",
            "vqa/trainval_label2ans.json": "json",
            "vqa/trainval_ans2label.json": "json",
            f"mscoco/val2014/{VAL}2.jpg": "jpeg",
            "vocab.txt": "lines",
        },
    ),
    Reader(
        name="gqa-lists",
        make=make_gqa_lists,
        read=lambda folder: built(Gqa, folder, PICTURES, "validation"),
        files={"gqa/valid.json": "json"},
    ),
    Reader(
        name="uniter-questions",
        make=make_uniter,
        read=read_uniter,
        files={
            f"{DEVVAL}/data.mdb": "lmdb of questions",
            f"{DEVVAL}/meta.json": "json",
            f"{DEVVAL}/txt2img.json": "json",
            f"{DEVVAL}/id2len.json": "json",
            "ans2label.json": "json",
        },
    ),
)
