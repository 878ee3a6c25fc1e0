"""Run the model in this folder; needs Python 3.10 or newer, numpy and onnxruntime, nothing else.

    python run.py sample.json                              # inputs and expected outputs, as saved at export
    python run.py picture.png "what color is the circle?"  # needs Pillow, too

How a picture and a question become inputs is said by preprocessor.json, which pictures.py and texts.py follow.
bstsearch copies these files into every exported folder.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from bstsearch.errors import InputError
from bstsearch.inputs.pictures import PictureReader
from bstsearch.inputs.texts import text_reader

FOLDER = Path(__file__).resolve().parent
MODELS = {"float32": "model.onnx", "float16": "model.float16.onnx", "int8": "model.int8.onnx"}
TOLERANCE = 1e-4  # float32 outputs on another machine agree to rounding; others are not compared
SAID = 200  # characters of what a library says
SILENT = 4  # ONNX Runtime's fatal errors; of others its exceptions tell
SHOWN = 8  # numbers of an output that are no answers


def main() -> None:
    """Reads the command line, runs the model once, prints what it answers."""
    options = read_command_line()
    try:
        session = open_model(FOLDER / MODELS[options.precision])
        arrays = read_needed(session, options.input, options.question)
        output, values = run(session, arrays, options.input)
        show(values[0], options.top)
        if output in arrays and options.precision == "float32":
            compare(values, arrays[output], output)
    except InputError as error:
        sys.exit(f"run.py: {error}")


def read_command_line() -> argparse.Namespace:
    """The options; see `python run.py --help`."""
    parser = argparse.ArgumentParser(prog="run.py", description="Run the model in this folder once.")
    parser.add_argument("input", type=Path, help="an image, or a .json or .npz file with the model's inputs by name")
    parser.add_argument("question", nargs="?", help="the question, where the input is an image")
    parser.add_argument("--top", type=int, default=3, help="how many answers to print (default: 3)")
    own = own_precision()
    parser.add_argument("--precision", choices=MODELS, default=own, help=f"which file to run (default: {own})")
    return parser.parse_args()


def own_precision() -> str:
    """What the model was picked in; float32 where the manifest does not tell."""
    try:
        found = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["submodel"].get("precision")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return "float32"
    return found if found in MODELS else "float32"


def open_model(path: Path) -> Any:
    """An ONNX Runtime session on the processor; InputError where the file does not exist, or is no model."""
    if not path.exists():
        raise InputError(f"{path.name} does not exist; was it exported?")
    with parsing(path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turns whatever a library raises in the block into one InputError that begins with the file's name."""
    try:
        yield
    except Exception as error:  # a damaged file can make a parser raise anything
        reason = " ".join(str(error).split())[:SAID] or type(error).__name__
        raise InputError(f"{path} cannot be read: {reason}") from error


def read_needed(session: Any, path: Path, question: str | None) -> dict[str, Any]:
    """What `read_inputs` reads; InputError where the model reads something that is not there."""
    arrays = read_inputs(path, question)
    names = [value.name for value in session.get_inputs()]
    if missing := [name for name in names if name not in arrays]:
        raise InputError(f"{path} holds no {missing[0]!r}; the model reads {', '.join(names)}")
    return arrays


def run(session: Any, arrays: dict[str, Any], path: Path) -> tuple[str, Any]:
    """The name of the model's output, and its values; InputError where the arrays, which are of `path`, do not fit."""
    output = session.get_outputs()[0].name
    with parsing(path):
        values = session.run([output], {value.name: arrays[value.name] for value in session.get_inputs()})[0]
        if not len(values):
            raise ValueError("it holds no example")
    return output, values


def read_inputs(path: Path, question: str | None) -> dict[str, Any]:
    """The model's inputs by name, and a file's expected output; InputError where the file cannot be read."""
    if path.suffix in (".json", ".npz"):
        with parsing(path):
            if path.exists() and not path.is_file():
                raise ValueError("it is no file")
            return read_sample(path) if path.suffix == ".json" else dict(np.load(path))
    if not question:
        raise InputError("an image needs a question; write it behind the file name")
    with parsing(FOLDER / "preprocessor.json"):
        data = json.loads((FOLDER / "preprocessor.json").read_text(encoding="utf-8"))
        own, reads_both = data.get("processor"), bool(data["picture"] and data["text"])
        if reads_both:
            picture, text = PictureReader.from_json(data["picture"]), text_reader(data["text"], FOLDER)
    if own:
        raise InputError(
            f"transformers reads pictures and questions here, by the files in {own}; give a file of inputs"
        )
    if not reads_both:
        raise InputError("the model reads no pictures with questions; give a file of inputs, as sample.json is")
    return {text.input: text.read(question)[None], picture.input: picture.read(path)[None]}


def read_sample(path: Path) -> dict[str, Any]:
    """The tensors in a file such as sample.json by name; numbers are listed, or their bytes written in base64."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {name: read_tensor(entry) for name, entry in {**data["inputs"], **data["outputs"]}.items()}


def read_tensor(entry: dict[str, Any]) -> Any:
    """The array that an entry of sample.json describes."""
    kind = np.dtype(entry["dtype"]).newbyteorder("<")
    is_bytes = "base64" in entry
    flat = np.frombuffer(base64.b64decode(entry["base64"]), kind) if is_bytes else np.array(entry["values"], kind)
    return flat.reshape(entry["shape"]).astype(entry["dtype"])


def show(values: Any, top: int) -> None:
    """Prints the `top` most probable answers, or where the model has no list of answers, its numbers.

    InputError where the list is malformed, or of another model.
    """
    vocabulary = FOLDER / "vocabulary.json"
    if not vocabulary.exists():
        numbers = " ".join(f"{value:.6g}" for value in values.ravel()[:SHOWN])
        sys.stdout.write(numbers + (" ...\n" if values.size > SHOWN else "\n"))
        return
    with parsing(vocabulary):
        answers = json.loads(vocabulary.read_text(encoding="utf-8"))["answers"]
        if values.shape != (len(answers),):
            raise ValueError(f"{len(answers)} answers, and the model gives numbers of shape {values.shape}")
    weights = np.exp(values - values.max())
    for index in np.argsort(-values, kind="stable")[:top]:
        sys.stdout.write(f"{answers[index]:<12} {100 * weights[index] / weights.sum():6.2f} %\n")


def compare(values: Any, expected: Any, name: str, tolerance: float = TOLERANCE) -> None:
    """Prints how far the output lies from the expected one; exits with 1 where that is too far.

    InputError where the two cannot be compared.
    """
    if values.shape != expected.shape or expected.dtype.kind not in "fiu":
        kinds = [f"{array.dtype} {array.shape}" for array in (expected, values)]
        raise InputError(f"the expected {name} is {kinds[0]}; the model gives {kinds[1]}")
    difference = float(np.abs(values - expected).max())
    sys.stdout.write(f"largest difference from the expected {name}: {difference:.1e}\n")
    if not difference <= tolerance:
        sys.exit(f"run.py: expected at most {tolerance:.0e}; is this runtime faulty?")


if __name__ == "__main__":
    main()
