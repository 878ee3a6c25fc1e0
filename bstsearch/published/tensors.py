"""The tensors of a checkpoint file, and nothing else of it: nothing in the file is ever run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from bstsearch.errors import InputError
from bstsearch.reading import DATA, check_file, opened, parsing, shown

# Under which a training script's checkpoint holds the weights, beside optimiser states and counters.
HOLDERS = ("state_dict", "model", "model_state_dict", "module", "net", "network", "weights", "ema", "model_ema")
DEEPEST = 3  # of such mappings, one in another
# Where the model, or a part of it, was wrapped: for several GPUs, by a compiler, or as the field of another module.
WRAPPER = re.compile(r"^((module|model|net|network|_orig_mod)\.)+|(?<=\.)((module|_orig_mod)\.)+")
OLD_NAMES = {"gamma": "weight", "beta": "bias"}  # of a LayerNorm, in checkpoints converted from TensorFlow
MOST = 1 << 30  # numbers of a checkpoint; the largest published one has a third of it. A shape may say anything
# What scripts save beside the weights: a learning rate as a number of numpy's, an image mean, a command's options.
BESIDE = (
    *("numpy.dtype", "numpy.ndarray", "_codecs.encode"),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath"),
)


class _Unread:
    """Stands for such a value, which nobody reads: so nothing of its own class runs either."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The weights in `path` (PyTorch's formats, or safetensors) by name; InputError where there are none.

    Names lose a wrapper's prefix and have the endings of today. PyTorch's files are read by its restricted
    reader, which builds tensors and plain containers only and refuses all else. Where a file holds two sets of
    weights that differ, as of a model and of its moving average, none is taken.
    """
    check_file(path)
    with parsing(path):
        return _one_of(dict(_weights(_content(path), ())))


def _weights(content: Mapping[Any, Any], place: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every state dict in `content`, with where it stands there."""
    below: list[tuple[str, dict[str, Tensor]]] = []
    if len(place) < DEEPEST:
        for name in HOLDERS:
            if isinstance(inner := content.get(name), Mapping):
                below += _weights(inner, (*place, name))
    if below:
        yield from below
    elif any(isinstance(value, Tensor) for value in content.values()):
        yield ".".join(place) or "the file", _named(content)
    elif not place:
        holds = f", but {', '.join(shown(name) for name in list(content)[:3])}" if content else ""
        raise InputError(f"holds no tensor{holds}; expected a state dict, alone or under one of {', '.join(HOLDERS)}")


def _one_of(found: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    (first, tensors), *others = found.items()
    for other, rest in others:
        if rest.keys() != tensors.keys() or not all(_are_same(rest[name], tensors[name]) for name in tensors):
            raise InputError(f"holds two sets of weights, {first} and {other}; save the one that is meant alone")
    return tensors


def _named(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of a state dict under their plain names; other values beside them are nobody's weights."""
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        if not isinstance(value, Tensor):
            continue
        _check_tensor(name, value)
        plain = _plain(name)
        if plain in tensors and not _are_same(tensors[plain], value):
            raise InputError(f"holds {plain} twice, under different names; which is meant?")
        tensors[plain] = value
    if (numbers := sum(tensor.numel() for tensor in tensors.values())) > MOST:
        raise InputError(f"holds {numbers:,} numbers; expected {MOST:,} at most")
    return tensors


def _plain(name: str) -> str:
    stem, dot, leaf = WRAPPER.sub("", name).rpartition(".")
    return f"{stem}{dot}{OLD_NAMES.get(leaf, leaf)}"


def _are_same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def _check_tensor(name: object, value: Tensor) -> None:
    if not isinstance(name, str):
        raise InputError(f"holds a tensor under {shown(name)}, which is no name; expected a state dict")
    if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
        raise InputError(f"{shown(name)} is a {value.dtype} tensor of a special kind; save it as float32")


def _content(path: Path) -> Mapping[Any, Any]:
    content = load_file(path) if _is_safetensors(path) else _load_pytorch(path)
    if not isinstance(content, Mapping):
        raise InputError(f"holds a {type(content).__name__}; expected a state dict")
    return content


def _is_safetensors(path: Path) -> bool:
    """By its name, or by the JSON object that follows the eight bytes of its length."""
    with opened(path) as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _load_pytorch(path: Path) -> Any:
    is_mapped = zipfile.is_zipfile(path) and _is_stored(path)
    with warnings.catch_warnings(), torch.serialization.safe_globals([(_Unread, name) for name in BESIDE]):
        warnings.simplefilter("ignore")  # about old formats; the file is as it is
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
        except pickle.UnpicklingError as error:
            raise InputError(_refusal(str(error))) from error
        except (IndexError, KeyError, ValueError, EOFError, OSError) as error:  # of a reader that lost its way
            raise InputError(_refusal("")) from error
        except RuntimeError as error:
            raise InputError(_refusal("")) if "PytorchStreamReader" in str(error) else error from None


def _is_stored(path: Path) -> bool:
    """Whether an archive's parts lie in it as they are, not compressed; raises where one is damaged.

    PyTorch checks neither: of a compressed part it would map the compressed bytes.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if (size := sum(part.file_size for part in parts)) > DATA:
            raise InputError(f"{size:,} bytes when unpacked; expected {DATA:,} at most")
        for part in parts:
            if part.CRC:  # PyTorch may leave it out, and then writes a zero
                with archive.open(part) as file:
                    while file.read(1 << 20):
                        pass
        return all(part.compress_type == zipfile.ZIP_STORED for part in parts)


def _refusal(reason: str) -> str:
    """What to say of a pickle that asks for more than tensors, or is none."""
    found = re.search(r"GLOBAL ([\w.]+)", reason)
    if found is None:
        return "cannot be read: it is no checkpoint of PyTorch, or truncated"
    return (
        f"asks for {shown(found[1])[1:-1]}, which is no tensor, so it was not opened; if you trust it, save its "
        "state dict alone"
    )
