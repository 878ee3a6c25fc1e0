"""Answer questions about images with the model in this folder; needs numpy and onnxruntime, nothing else.

    python run.py sample.npz                               # inputs and expected logits, as saved at export
    python run.py picture.png "what color is the circle?"  # needs Pillow, too

bstsearch copies this file into every exported folder, as run.py.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

FOLDER = Path(__file__).resolve().parent
MODELS = {"float32": "model.onnx", "int8": "model.int8.onnx"}
UNKNOWN, FIRST_WORD = 1, {"words": 2, "openvqa": 3}  # token ids; 0 is padding
SPELLINGS = {"colour": "color", "grey": "gray"}
# openvqa's words: every character of the first string becomes that of the second, those of the third go.
OPENVQA = str.maketrans("-/", "  ", ".,'!?\"()*#:;")
# Of the RGB values between 0 and 1 in CLIP's training data (public code openai/CLIP).
CLIP_MEAN = np.array((0.48145466, 0.4578275, 0.40821073), dtype=np.float32)
CLIP_STD = np.array((0.26862954, 0.26130258, 0.27577711), dtype=np.float32)
TOLERANCE = 1e-4  # float32 logits on another machine agree to rounding; int8 ones are not compared


def main() -> None:
    """Reads the command line, runs the model once, prints the top answers."""
    options = read_command_line()
    vocabulary = json.loads((FOLDER / "vocabulary.json").read_text(encoding="utf-8"))
    session = open_model(FOLDER / MODELS[options.precision])
    if options.input.suffix == ".npz":
        arrays = read_arrays(options.input)
    elif options.question:
        arrays = read_question(options.input, options.question, vocabulary, session.get_inputs())
    else:
        sys.exit("run.py: an image needs a question; write it behind the file name")
    names = [value.name for value in session.get_inputs()]
    if missing := [name for name in names if name not in arrays]:
        sys.exit(f"run.py: {options.input} holds no {missing[0]!r}; the model reads {', '.join(names)}")
    logits = session.run(["logits"], {name: arrays[name] for name in names})[0]
    show(logits[0], vocabulary["answers"], options.top)
    if "logits" in arrays and options.precision == "float32":
        compare(logits, arrays["logits"])


def read_command_line() -> argparse.Namespace:
    """The options; see `python run.py --help`."""
    parser = argparse.ArgumentParser(prog="run.py", description="Answer a question about an image.")
    parser.add_argument("input", type=Path, help="an image, or an .npz file with the model's inputs by name")
    parser.add_argument("question", nargs="?", help="the question, where the input is an image")
    parser.add_argument("--top", type=int, default=3, help="how many answers to print (default: 3)")
    parser.add_argument("--precision", choices=MODELS, default="float32", help="which file to run (default: float32)")
    return parser.parse_args()


def open_model(path: Path) -> Any:
    """An ONNX Runtime session on the processor."""
    if not path.exists():
        sys.exit(f"run.py: {path.name} does not exist; was it exported?")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays in an .npz file by name."""
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except (OSError, ValueError) as error:
        sys.exit(f"run.py: {path} cannot be read: {error}")


def read_question(path: Path, question: str, vocabulary: dict[str, Any], inputs: Any) -> dict[str, Any]:
    """The model's inputs for a question about the image in `path`."""
    image = next((value for value in inputs if value.name == "image"), None)
    if image is None or tokenizer_of(vocabulary) not in FIRST_WORD:
        others = [value.name for value in inputs if value.name not in ("question", "image")]
        what = " and ".join(others) or "word pieces"
        sys.exit(f"run.py: the model reads {what}, which this script cannot make; give an .npz file, as sample.npz is")
    tokens = encode(question, vocabulary)
    is_clip = image.type == "tensor(float)"
    pixels = read_clip_image(path, *image.shape[2:]) if is_clip else read_image(path, image.shape[1])
    return {"question": tokens[None], "image": pixels[None]}


def tokenizer_of(vocabulary: dict[str, Any]) -> str:
    """How questions are cut into words."""
    return str(vocabulary.get("tokenizer", "words"))


def split_words(question: str, tokenizer: str) -> list[str]:
    """The words of a question, as the vocabulary holds them."""
    if tokenizer == "openvqa":
        return question.lower().translate(OPENVQA).split()
    return [SPELLINGS.get(word, word) for word in re.findall(r"[^\W_]+", question.lower())]


def encode(question: str, vocabulary: dict[str, Any]) -> Any:
    """The token ids of a question, cut or padded to the model's length."""
    tokenizer = tokenizer_of(vocabulary)
    words = split_words(question, tokenizer)
    ids = {word: index for index, word in enumerate(vocabulary["words"], start=FIRST_WORD[tokenizer])}
    tokens = [ids.get(word, UNKNOWN) for word in words][: vocabulary["question_length"]]
    if not set(tokens) - {UNKNOWN}:
        sys.exit(f"run.py: no word of the question is known; some that are: {', '.join(vocabulary['words'][:12])}")
    return np.array(tokens + [0] * (vocabulary["question_length"] - len(tokens)), dtype=np.int64)


def open_rgb(path: Path) -> Any:
    """The picture in `path`, as Pillow holds it."""
    try:
        from PIL import Image
    except ImportError:
        sys.exit("run.py: images need Pillow: pip install pillow")
    try:
        return Image.open(path).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        sys.exit(f"run.py: {path} cannot be read as an image: {error}")


def resized(rgb: Any, width: int, height: int) -> Any:
    """The picture at another size."""
    from PIL import Image

    return rgb if rgb.size == (width, height) else rgb.resize((width, height), Image.Resampling.BILINEAR)


def read_image(path: Path, side: int) -> Any:
    """RGB values (side, side, 3)."""
    return np.asarray(resized(open_rgb(path), side, side), dtype=np.uint8)


def read_clip_image(path: Path, height: int, width: int) -> Any:
    """RGB values (3, height, width) as CLIP reads them, of the picture in the middle of a black canvas."""
    rgb = open_rgb(path)
    if rgb.width > rgb.height:
        inner_height = max(1, min(height, round(width * rgb.height / rgb.width)))
        inner_width = min(width, int(inner_height * rgb.width / rgb.height))
    else:
        inner_width = max(1, min(width, round(height * rgb.width / rgb.height)))
        inner_height = min(height, int(inner_width * rgb.height / rgb.width))
    # An odd border is wider at the left and the top.
    top, left = -((inner_height - height) // 2), -((inner_width - width) // 2)
    canvas = np.zeros((height, width, 3), dtype=np.float32)
    canvas[top : top + inner_height, left : left + inner_width] = resized(rgb, inner_width, inner_height)
    return ((canvas / 255 - CLIP_MEAN) / CLIP_STD).transpose(2, 0, 1)


def show(logits: Any, answers: list[str], top: int) -> None:
    """Prints the `top` most probable answers."""
    weights = np.exp(logits - logits.max())
    for index in np.argsort(-logits, kind="stable")[:top]:
        sys.stdout.write(f"{answers[index]:<12} {100 * weights[index] / weights.sum():6.2f} %\n")


def compare(logits: Any, expected: Any) -> None:
    """Prints how far the logits lie from those expected; exits with 1 where that is too far."""
    difference = float(np.abs(logits - expected).max())
    sys.stdout.write(f"largest difference from the expected logits: {difference:.1e}\n")
    if not difference <= TOLERANCE:
        sys.exit(f"run.py: expected at most {TOLERANCE:.0e}; is this runtime faulty?")


if __name__ == "__main__":
    main()
