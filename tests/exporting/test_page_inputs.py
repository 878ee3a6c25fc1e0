"""The page's scripts make the same tensors of a picture and a question as pictures.py and texts.py."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from node import NODE, run_module
from numpy.typing import NDArray
from PIL import Image

from bstsearch.answering.run_script import read_tensor
from bstsearch.exporting import page
from bstsearch.exporting.preprocessing import write_preprocessing
from bstsearch.inputs.pictures import FILTERS, PictureReader, rgb_of
from bstsearch.inputs.reader import Reader
from bstsearch.inputs.texts import text_reader
from bstsearch.tasks.vocabulary import Vocabulary

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node on this computer")

SCRIPTS = page.PARTS.as_uri()
CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
WORDS = ("circle", "color", "gray", "is", "red", "constructor")
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "is", "red", "##dish", "?", "e", "##e", "caf", "##é", "ß", "中", "$")
PROGRAM = f"""
const {{ readPicture }} = await import("{SCRIPTS}/pictures.mjs");
const {{ readText }} = await import("{SCRIPTS}/texts.mjs");
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const written = ({{ type, dims, data }}) => ({{
  dtype: type, shape: dims, base64: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
}});
"""


def random_picture(rng: np.random.Generator, mode: str) -> Image.Image:
    width, height = (int(side) for side in rng.integers(1, 90, 2))
    pixels = rng.integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
    if rng.random() < 0.5:  # as flat as drawings are
        pixels[:, : width // 2] = rng.integers(0, 256, len(mode))
    return Image.fromarray(pixels, mode)


def read_by_node(cases: list[tuple[PictureReader, Image.Image]]) -> list[NDArray[Any]]:
    given = [
        {
            "how": how.to_json(),
            "picture": {"width": one.width, "height": one.height},
            "bytes": base64.b64encode(np.asarray(one).tobytes()).decode(),
        }
        for how, one in cases
    ]
    each = "(({ how, picture, bytes: text }) => written(readPicture(how, { ...picture, data: bytes(text) })))"
    return [read_tensor(entry) for entry in run_module(f"{PROGRAM} tell(given.map({each}))", given)]


@pytest.mark.skipif(PIL.__version__ < "13", reason="older Pillow resizes some pictures in another order")
@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize("fit", ["squash", "letterbox"])
def test_pictures_become_the_same_numbers(fit: str, resample: int) -> None:
    rng = np.random.default_rng(resample)
    cases = []
    for number in range(12):
        height, width = (int(side) for side in rng.integers(8, 50, 2))
        how = PictureReader(height=height, width=width, fit=fit, resample=resample, **(CLIP if number % 2 else {}))
        cases.append((how, random_picture(rng, "RGBA" if number % 3 == 0 else "RGB")))
    for (how, one), found in zip(cases, read_by_node(cases), strict=True):
        expected = how.values(how.pixels(rgb_of(one))[None])
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_a_canvas_with_one_pixel_and_a_picture_of_the_right_size_stay_exact() -> None:
    rng = np.random.default_rng(9)
    how = PictureReader(height=7, width=5)
    one = Image.fromarray(rng.integers(0, 256, (7, 5, 3), dtype=np.uint8))
    (found,) = read_by_node([(how, one)])
    np.testing.assert_array_equal(found[0], np.asarray(one))


def vocabulary(tokenizer: str) -> Vocabulary:
    words = PIECES if tokenizer.startswith("wordpiece") else WORDS
    return Vocabulary(data="test", words=words, answers=("no",), question_length=6, tokenizer=tokenizer)


def questions() -> list[str]:
    rng = random.Random(0)
    known = [
        *WORDS,
        "Colour",
        "GREY",
        "?",
        "is,it",
        "_",
        "T'shirt",
        "reddish",
        "RED?is",
        "café",
        "CAFÉ",
        "中",
        "ß",
        "$",
    ]
    drawn = [" ".join(rng.choices(known, k=rng.randint(0, 5))) for _ in range(30)]
    strange = [
        "".join(chr(rng.choice([rng.randint(1, 0x250), rng.randint(1, 0xD7FF)])) for _ in range(9)) for _ in range(200)
    ]
    white = ["is\x1cred", "is\x85red", "is\ufeffred", "is\xa0red", "İs ΟΔΟΣ", "is\x00red", "is\ufffdred", "x" * 101]
    return [f"red {one}" for one in [*drawn, *strange, *white]]


@pytest.mark.parametrize("tokenizer", ["words", "openvqa", "wordpiece-cased", "wordpiece-uncased"])
def test_questions_become_the_same_ids(tokenizer: str, tmp_path: Path) -> None:
    write_preprocessing(Reader(like={}), vocabulary(tokenizer), tmp_path)
    how = json.loads((tmp_path / "preprocessor.json").read_text())["text"]
    path = tmp_path / "tokenizer.json"
    pieces = json.loads(path.read_text()) if path.exists() else None
    given = {"how": how, "pieces": pieces, "texts": questions()}
    each = "(text) => written(readText(given.how, text, given.pieces))"
    found = run_module(f"{PROGRAM} tell(given.texts.map({each}))", given)
    reader = text_reader(how, tmp_path)
    wrong = [
        text
        for text, entry in zip(questions(), found, strict=True)
        if read_tensor(entry)[0].tolist() != reader.read(text).tolist()
    ]
    assert wrong == []
