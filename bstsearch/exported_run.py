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
UNKNOWN, FIRST_WORD = 1, 2  # token ids; 0 is padding
SPELLINGS = {"colour": "color", "grey": "gray"}
TOLERANCE = 1e-4  # float32 logits on another machine agree to rounding; int8 ones are not compared


def main() -> None:
    """Reads the command line, runs the model once, prints the top answers."""
    options = read_command_line()
    vocabulary = json.loads((FOLDER / "vocabulary.json").read_text(encoding="utf-8"))
    session = open_model(FOLDER / MODELS[options.precision])
    if options.input.suffix == ".npz":
        arrays = read_arrays(options.input)
    elif options.question:
        side = {value.name: value.shape[1] for value in session.get_inputs()}["image"]
        arrays = {
            "question": encode(options.question, vocabulary)[None],
            "image": read_image(options.input, side)[None],
        }
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


def encode(question: str, vocabulary: dict[str, Any]) -> Any:
    """The token ids of a question, cut or padded to the model's length."""
    words = [SPELLINGS.get(word, word) for word in re.findall(r"[^\W_]+", question.lower())]
    ids = {word: index for index, word in enumerate(vocabulary["words"], start=FIRST_WORD)}
    tokens = [ids.get(word, UNKNOWN) for word in words][: vocabulary["question_length"]]
    if not set(tokens) - {UNKNOWN}:
        sys.exit(f"run.py: no word of the question is known; some that are: {', '.join(vocabulary['words'][:12])}")
    return np.array(tokens + [0] * (vocabulary["question_length"] - len(tokens)), dtype=np.int64)


def read_image(path: Path, side: int) -> Any:
    """RGB values (side, side, 3)."""
    try:
        from PIL import Image
    except ImportError:
        sys.exit("run.py: images need Pillow: pip install pillow")
    try:
        rgb = Image.open(path).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        sys.exit(f"run.py: {path} cannot be read as an image: {error}")
    if rgb.size != (side, side):
        rgb = rgb.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(rgb, dtype=np.uint8)


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
