"""Run one of the models in this folder; needs Python 3.10 or newer, numpy and onnxruntime, nothing else.

    python run.py sample.json                                            # the most accurate submodel
    python run.py sample.json --submodel w1of4-d1of4                     # this one
    python run.py picture.png "what color is the circle?" --budget-ms 2  # needs Pillow, too

All submodels read their weights from weights.bin; elastic.json says what there is, how good and how fast. A picture and
a question become inputs as preprocessor.json says. bstsearch copies these files into every bundle.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from bstsearch.answering.run_script import FOLDER, TOLERANCE, compare, open_model, parsing, read_needed, run, show
from bstsearch.errors import InputError

ELASTIC = FOLDER / "elastic.json"
WEIGHTS = "weights.bin"
STOCK = "stock"  # the one folder in a bundle
CHUNK = 1 << 20  # bytes that are read at once


def main() -> None:
    """Reads the command line, chooses a submodel, runs it once, prints what it answers."""
    options = read_command_line()
    try:
        with parsing(ELASTIC):
            bundle = json.loads(ELASTIC.read_text(encoding="utf-8"))
            chosen = choose(bundle, options)
            digests = needed(bundle, chosen)
            tolerance = float(chosen.get("tolerance", TOLERANCE))
        for name, expected in digests.items():
            check(name, expected)
        session = open_model(FOLDER / chosen["file"])
        arrays = read_needed(session, options.input, options.question)
        output, values = run(session, arrays, options.input)
        sys.stdout.write(f"submodel: {chosen['id']}\n")
        show(values[0], options.top)
        if chosen["id"] in arrays:
            compare(values, arrays[chosen["id"]], output, tolerance)
    except InputError as error:
        sys.exit(f"run.py: {error}")


def read_command_line() -> argparse.Namespace:
    """The options; see `python run.py --help`."""
    parser = argparse.ArgumentParser(prog="run.py", description="Run one of the models in this folder once.")
    parser.add_argument("input", type=Path, help="an image, or a .json or .npz file with the model's inputs by name")
    parser.add_argument("question", nargs="?", help="the question, where the input is an image")
    parser.add_argument("--top", type=int, default=3, help="how many answers to print (default: 3)")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--submodel", metavar="ID", help="which submodel to run (default: the most accurate)")
    one.add_argument("--budget-ms", metavar="MS", type=float, help="run the most accurate submodel within this latency")
    parser.add_argument("--device", metavar="NAME", help="whose latencies the budget is for (default: the first)")
    return parser.parse_args()


def choose(bundle: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The entry of elastic.json that the options ask for; exits with a line where there is none."""
    submodels = bundle["submodels"]
    if options.device is not None and options.budget_ms is None:
        sys.exit("run.py: --device says whose latencies a budget is for; give --budget-ms, too")
    if options.submodel is not None:
        found = [one for one in submodels if one["id"] == options.submodel]
        if not found:
            ids = ", ".join(one["id"] for one in submodels)
            sys.exit(f"run.py: no submodel {options.submodel!r}; choose one of {ids}")
        return dict(found[0])
    if options.budget_ms is not None:
        submodels = within(submodels, options.budget_ms, options.device)
    sign = 1 if bundle.get("metric", {}).get("is_higher_better", True) else -1
    return dict(max(submodels, key=lambda one: sign * one["accuracy"]["value"]))


def within(submodels: list[dict[str, Any]], budget_ms: float, device: str | None) -> list[dict[str, Any]]:
    """Those whose latency on the device, at the upper end of its range, is within the budget; exits where none is."""
    device = device or next(iter(submodels[0]["latencies"]))
    if device not in submodels[0]["latencies"]:
        sys.exit(f"run.py: no latencies of device {device!r}; choose one of {', '.join(submodels[0]['latencies'])}")
    times = [one["latencies"][device]["high_ms"] for one in submodels]
    found = [one for one, ms in zip(submodels, times, strict=True) if ms <= budget_ms]
    if not found:
        sys.exit(f"run.py: no submodel answers within {budget_ms:g} ms on {device}; the fastest takes {min(times):.3g}")
    return found


def needed(bundle: dict[str, Any], chosen: dict[str, Any]) -> dict[str, str]:
    """The digest of each file of the bundle, but for the graphs of other submodels; ValueError where one lacks."""
    others = {one["file"] for one in bundle["submodels"]} - {chosen["file"]}
    digests = {name: entry["sha256"] for name, entry in bundle["files"].items() if name not in others}
    if lacking := {WEIGHTS, chosen["file"]} - digests.keys():
        raise ValueError(f"no digest of {min(lacking)}")
    return digests


def check(name: str, expected: str) -> None:
    """Passes where the file is the one that was exported; InputError where it is missing or another one."""
    parts = name.split("/")
    is_inside = parts[0] == STOCK or len(parts) == 1
    if not is_inside or not all(Path(part).name == part != ".." for part in parts) or not (FOLDER / name).is_file():
        raise InputError(f"{name} does not exist; export the bundle again")
    digest = hashlib.sha256()
    with (FOLDER / name).open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        raise InputError(f"{name} is not the file that was exported with this bundle; export it again")


if __name__ == "__main__":
    main()
