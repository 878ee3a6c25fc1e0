"""A stock folder as a supernet: inspected, its weights read, its tokenizer kept beside them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import torch

from bstsearch.errors import InputError
from bstsearch.holding import holding
from bstsearch.listener import SILENT, Listener
from bstsearch.model.supernet import Supernet, check_finite
from bstsearch.model.supernet_folder import CONFIG, OWN
from bstsearch.reading import parsing, read_json, shown
from bstsearch.stock.configuration import BESIDE, FILE, KEPT, StockConfig, files_beside, read_settings, usual_orders
from bstsearch.stock.deadline import Deadline
from bstsearch.stock.family import FAMILY
from bstsearch.stock.inspecting import SECONDS, Inspection, inspect
from bstsearch.stock.module import get_class, stock_config, transformers_version
from bstsearch.stock.own_code import run_own_code
from bstsearch.stock.report import described
from bstsearch.writing import check_free, write_json, writing_folder

# Weights in all the formats that people publish, and what says where they lie.
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".gguf", ".index.json", ".ot")
TOKENIZER = "tokenizer.json"  # which tasks of texts look for beside a model's weights
POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}  # of sentence-transformers
NEEDED = {
    "input_ids": ("tokenizer", ("tokenizer.json", "vocab.*", "*.model", "tokenizer_config.json")),
    "pixel_values": ("picture processor", ("preprocessor_config.json", "processor_config.json")),
}
MOST = 50_000_000  # bytes of one file that is kept beside the weights: a tokenizer's


def inspect_folder(
    folder: Path, *, deadline: Deadline | None = None, is_trusted: bool = False, listener: Listener = SILENT
) -> Inspection:
    """What of the model in a stock folder can shrink; InputError, which begins with the folder, where none can.

    Code that comes with it is run only where it `is_trusted`.
    """
    settings = read_settings(folder, is_trusted=is_trusted)
    if "auto_map" in settings:
        run_own_code(folder, settings)
    with parsing(folder / FILE):
        return inspect(str(settings["architectures"][0]), settings, deadline=deadline, listener=listener)


def inspect_model(
    folder: Path, *, seconds: float = SECONDS, is_trusted: bool = False, listener: Listener = SILENT
) -> dict[str, Any]:
    """What of the model in a stock folder, or an imported one, can shrink; InputError as of `inspect_folder`."""
    folder = folder / BESIDE if (folder / BESIDE / FILE).exists() else folder
    deadline = Deadline.after(seconds)
    found = inspect_folder(folder, deadline=deadline, is_trusted=is_trusted, listener=listener)
    return described(found, deadline, listener)


def import_folder(
    folder: Path, out: Path, *, is_random: bool = False, is_forced: bool = False, listener: Listener = SILENT
) -> dict[str, Any]:
    """Writes the model in a stock folder as a supernet into the folder `out`, whole or not at all.

    With `is_random` its weights are as its class draws them, always the same; those in the folder are not read.
    What is returned tells what was found of its class, as the file inspection.json there does. UsageError where `out`
    is taken; InputError where the class cannot be slimmed, or a weight is missing or not finite.
    """
    with holding(out):
        check_free(out, marker=CONFIG, is_forced=is_forced)
        if not is_random:
            check_weights(folder)
        found = inspect_folder(folder, listener=listener)
        listener.progress("making the weights" if is_random else "reading the weights")
        config = dataclasses.replace(found.config, orders=usual_orders(found.config), pooling=pooling_of(folder))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            supernet = Supernet(FAMILY, config).eval()
        if not is_random:
            fill(supernet.model, config, folder)
        listener.progress("writing the supernet")
        with writing_folder(out, marker=CONFIG, own=OWN, is_forced=is_forced) as new:
            supernet.save(new)
            told = described(found, Deadline(), listener)
            write_json(new / KEPT, told)
            copy_beside(folder, new / BESIDE)
            say_missing(config, new / BESIDE, listener)
            if (folder / TOKENIZER).exists():
                shutil.copyfile(folder / TOKENIZER, new / TOKENIZER)
    return told


def check_weights(folder: Path) -> None:
    """Passes where the folder holds files of weights, or is none; else InputError."""
    if folder.is_dir() and not any(file.name.endswith(WEIGHTS) for file in folder.iterdir()):
        raise InputError(f"{folder} has no weights; copy them there, or give --random to train from scratch")


def pooling_of(folder: Path) -> str:
    """How sentence-transformers makes one vector of a text: "mean", "cls", or "" where the folder does not say."""
    for file in sorted(folder.glob(f"*/{FILE}")):
        data = read_json(file)
        for name, pooling in POOLINGS.items():
            if data.get(name) is True:
                return pooling
    return ""


def fill(model: Any, config: StockConfig, folder: Path) -> None:
    """Gives `model` the weights in `folder`, in float32, however they are split, tied or named there."""
    loaded = read_model(config, folder)
    model.model.load_state_dict(loaded.state_dict())
    check_finite(dict(model.named_parameters()), folder)


def read_model(config: StockConfig, folder: Path) -> Any:
    """The stock model in `folder`; InputError where a weight is missing there, or of another shape. Nothing is run."""
    kind = get_class(config.architecture)
    with parsing(folder):
        model, found = kind.from_pretrained(
            folder,
            config=stock_config(kind, config.settings),
            dtype="float32",
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        for what in ("missing_keys", "mismatched_keys"):
            if found[what]:
                first = shown(sorted(map(str, found[what]))[0])
                raise InputError(f"its weights do not fill a {config.architecture}: {what.replace('_', ' ')} {first}")
    return model.eval()


def copy_beside(folder: Path, out: Path) -> None:
    """Copies what lies beside the weights of a stock folder, such as the files of its tokenizer."""
    out.mkdir()
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in place.parts)
        if file.is_file() and not is_hidden and not file.name.endswith(WEIGHTS) and file.stat().st_size <= MOST:
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, out / place)


def say_missing(config: StockConfig, beside: Path, listener: Listener) -> None:
    """Notes what a model of these inputs needs, and `beside` lacks: nobody can hand it a text or a picture there."""
    for name, (what, files) in NEEDED.items():
        if name in config.found.reads.names and not any(any(beside.glob(file)) for file in files):
            listener.note(f"no {what} was found to copy ({', '.join(files)}), which {config.architecture} needs")


def carry_beside(source: Path, folder: Path) -> list[str]:
    """Copies what an imported supernet keeps of its stock folder, where it does, to one that is made of it.

    Returns the names of the copied files, with those of their folders.
    """
    if not (source / BESIDE).is_dir():
        return []
    shutil.copytree(source / BESIDE, folder / BESIDE)
    shutil.copyfile(source / KEPT, folder / KEPT)
    return [KEPT, *files_beside(folder)]


def kept_inspection(folder: Path) -> dict[str, Any] | None:
    """What was found when the supernet in `folder` was imported, by this version of transformers; else None."""
    if not (folder / KEPT).exists():
        return None
    found: dict[str, Any] = read_json(folder / KEPT)
    return found if found.get("transformers") == transformers_version() else None
