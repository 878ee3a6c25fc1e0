"""Import, eval, pareto and export at the published sizes, on made-up files in every layout that the data come in.

Weights are random, so accuracies mean nothing; shapes, names, files and what goes where are the real ones.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import synthetic
import synthetic_lxmert
import synthetic_uniter
import torch
from checkpoints import Weights, as_openvqa, full_size

from bstsearch.answering.exported_folder import read_exported
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile_file import save_profile

Invoke = Callable[..., Any]
IMAGES = 2
WORDS, ANSWERS = 20_572 - 3, 3_129  # of MCAN on VQA-v2; three of its words are special


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """A published checkpoint, and how the files that belong to it lie."""

    family: str
    checkpoint: Callable[[], Any]
    write: Callable[[Path], None]
    name: str = "model.pt"
    options: tuple[str, ...] = ()
    budget: tuple[str, ...] = ()  # for what the search has to score


def random_weights(family: str, sizes: Mapping[str, tuple[int, ...]] | None = None, without: str = "-") -> Weights:
    """Random numbers under a published model's names; `sizes` are those of tensors that differ in this variant."""
    source = torch.Generator().manual_seed(0)
    shapes = {name: tuple(tensor.shape) for name, tensor in full_size(family).items() if without not in name}
    return {name: random_tensor(name, shape, source) for name, shape in (shapes | dict(sizes or {})).items()}


def random_tensor(name: str, shape: tuple[int, ...], source: torch.Generator) -> torch.Tensor:
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return torch.ones(shape)
    return torch.randn(shape, generator=source) * 0.02


# MCAN


def write_words(folder: Path) -> None:
    """BST's files, with as many words and answers as the published model knows."""
    synthetic.write_vqa_v2(folder, questions=4, images=IMAGES, features=2048)
    path = folder / "raw" / "train_trainval_questions.json"
    asked = json.loads(path.read_text())
    known = len({word for file in folder.glob("raw/*questions.json") for word in words_of(file)})
    new = [f"word{index}" for index in range(WORDS - known)]
    asked["questions"] += [
        {"image_id": 100, "question": " ".join(new[first : first + 14]), "question_id": 10**7 + first}
        for first in range(0, len(new), 14)
    ]
    synthetic.write_json(path, asked)
    numbers = {answer: index for index, answer in enumerate(names(ANSWERS, synthetic.ANSWERS))}
    synthetic.write_json(folder / "answer_dict.json", [numbers, {index: answer for answer, index in numbers.items()}])


def words_of(path: Path) -> list[str]:
    text = " ".join(one["question"] for one in json.loads(path.read_text())["questions"])
    return text.lower().replace("?", "").split()


def names(count: int, first: tuple[str, ...] = ()) -> list[str]:
    return [*first, *(f"answer {index}" for index in range(len(first), count))]


def write_gqa(folder: Path, *, is_h5: bool) -> None:
    synthetic.write_gqa(folder, questions=4, images=IMAGES, features=2048, is_h5=is_h5)
    answers = {answer: index for index, answer in enumerate(names(1_843, ("t shirt", "yes", "no", "dog")))}
    words = ["PAD", "UNK", "CLS", *synthetic.WORDS]
    words += [f"word{index}" for index in range(2_933 - len(words))]
    tokens = {word: index for index, word in enumerate(words)}
    synthetic.write_json(folder / "dicts.json", [answers, {}, tokens, 29])


GQA = {
    "embedding.weight": (2_933, 300),
    "proj.weight": (1_843, 1_024),
    "proj.bias": (1_843,),
    "img_adapter.frcn_linear.weight": (512, 4_096),
    "img_adapter.bbox_linear.weight": (2_048, 5),
    "img_adapter.bbox_linear.bias": (2_048,),
}


def bst(weights: Weights) -> dict[str, Any]:
    return {"state_dict": weights, "optimizer": {}, "lr_base": 1e-4, "epoch": 15}


def openvqa() -> dict[str, Any]:
    return bst(
        as_openvqa({n: w for n, w in random_weights("mcan", without="lang_adapter").items() if "frcn_ln" not in n})
    )


# UNITER and CLIP-ViL


def write_uniter(folder: Path) -> None:
    for database, part in (("vqa_train", "train2014"), ("vqa_trainval", "train2014"), ("vqa_devval", "val2014")):
        asked = [
            synthetic_uniter.Asked(
                id=str(row), pieces=(7, 8, 9), image=f"coco_{part}_{row % IMAGES:012d}.npz", target={row: 1.0}
            )
            for row in range(4)
        ]
        synthetic_uniter.write_text(folder / "txt_db" / f"{database}.db", asked)
    for part in ("train2014", "val2014"):
        boxes = {f"coco_{part}_{image:012d}.npz": 40 for image in range(IMAGES)}
        synthetic_uniter.write_images(
            folder / "img_db" / f"coco_{part}", "feat_th0.2_max100_min10", boxes, features=2048
        )
    answers = {answer: index for index, answer in enumerate(names(ANSWERS))}
    synthetic.write_json(folder / "ans2label.json", answers)
    write_pieces(folder, 28_996)


def write_pieces(folder: Path, count: int) -> None:
    """A BERT's vocabulary of that size."""
    pieces = ["[PAD]", "[UNK]", "what", "is", "this", "?", *(f"piece{index}" for index in range(count))]
    pieces[synthetic_uniter.CLS : synthetic_uniter.MASK + 1] = ["[CLS]", "[SEP]", "[MASK]"]
    del pieces[count:]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")


def write_lxmert(folder: Path, data: str) -> None:
    answers = names(ANSWERS if data == "vqa-v2" else 1_842, ("net", "pitcher"))
    lists = {"vqa-v2": ("train", "minival"), "gqa": ("train", "valid", "testdev")}[data]
    images = [f"COCO_val2014_{image:012d}" if data == "vqa-v2" else str(2000 + image) for image in range(IMAGES)]
    asked = [synthetic_lxmert.question(row, images[row], {answers[row]: 1.0}) for row in range(IMAGES)]
    place = folder / {"vqa-v2": "vqa", "gqa": "gqa"}[data]
    synthetic_lxmert.write_lists(place, dict.fromkeys(lists, asked), answers)
    for image, size in zip(images, (synthetic_lxmert.LYING, synthetic_lxmert.STANDING), strict=True):
        where = folder / "mscoco" / "val2014" if data == "vqa-v2" else folder / "gqa" / "images"
        synthetic_lxmert.write_jpeg(where, image, size)
    write_pieces(folder, 30_522)


# The image tower, in every submodel, takes seconds for each image.
FEW = ("--budget-ms", "40%")
CLIP_GQA = {"logit_fc.3.weight": (1_842, 1_536), "logit_fc.3.bias": (1_842,)}


def wrapped(weights: Weights) -> Weights:
    return {f"module.{name}": tensor for name, tensor in weights.items()}


SYSTEMS = {
    "BST's MCAN, VQA-v2": System(
        family="mcan", name="epoch15.pkl", checkpoint=lambda: bst(random_weights("mcan")), write=write_words
    ),
    "openvqa's MCAN, VQA-v2": System(family="mcan", name="epoch13.pkl", checkpoint=openvqa, write=write_words),
    "BST's MCAN, GQA, .npz": System(
        family="mcan",
        name="epoch11.pkl",
        checkpoint=lambda: bst(random_weights("mcan", GQA, without="frcn_ln")),
        write=lambda folder: write_gqa(folder, is_h5=False),
    ),
    "BST's MCAN, GQA, .h5": System(
        family="mcan",
        name="epoch11.pkl",
        checkpoint=lambda: bst(random_weights("mcan", GQA, without="frcn_ln")),
        write=lambda folder: write_gqa(folder, is_h5=True),
    ),
    "UNITER, VQA-v2": System(family="uniter", checkpoint=lambda: random_weights("uniter"), write=write_uniter),
    "CLIP-ViL, VQA-v2": System(
        family="clip-vil",
        name="best.pth",
        checkpoint=lambda: wrapped(random_weights("clip_vil")),
        write=lambda folder: write_lxmert(folder, "vqa-v2"),
        budget=FEW,
    ),
    "CLIP-ViL, GQA": System(
        family="clip-vil",
        name="best.pth",
        checkpoint=lambda: wrapped(random_weights("clip_vil", CLIP_GQA)),
        write=lambda folder: write_lxmert(folder, "gqa"),
        budget=FEW,
    ),
}


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """An empty folder for gigabytes, which are not left behind."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_import_eval_pareto_and_export(
    name: str, invoke: Invoke, large: Path, make_profile: Callable[..., Any]
) -> None:
    system = SYSTEMS[name]

    def run(*arguments: object) -> Any:
        result = invoke(*arguments)
        assert result.exit_code == 0, result.stderr
        return result

    system.write(large / "data")
    torch.save(system.checkpoint(), large / system.name)
    where = ("--data-dir", "data")
    run("import", "--family", system.family, "--checkpoint", system.name, "--out", "supernet", *where, *system.options)
    save_profile(make_profile(Path("supernet")), Path("profiles"))
    front = json.loads(run("pareto", "--supernet", "supernet", *where, *system.budget, "--json").stdout)
    found = {one["id"]: one["correct"] for one in front["candidates"] if one["correct"] is not None}
    both = ("--submodel", "w1-d1", "--submodel", front["front"][0])
    scored = json.loads(run("eval", "--model", "supernet", *both, *where, "--json").stdout)["submodels"]
    assert {one["id"] for one in scored} & set(found) >= {front["front"][0]}
    assert all(found.get(one["id"], one["correct"]) == one["correct"] for one in scored)
    assert system.budget or len(found) == len(front["candidates"])
    run("export", "--pick", "1", "--out", "picked")
    assert read_exported(Path("picked")).submodel_id == front["front"][0]
    assert read_folder(Path("picked")).family == read_folder(Path("supernet")).family
