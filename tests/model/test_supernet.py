from __future__ import annotations

import contextlib
import gc
import itertools
import json
import math
import os
import pickle
import resource
import shutil
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from toy import FAMILY, ToyConfig

from bstsearch.errors import DeviceError, InputError
from bstsearch.model.supernet import SMALL_MODELS, Supernet, check_finite
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Submodel

HALF = Submodel(width=Fraction(1, 2))
Tensors = dict[str, Tensor]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A supernet folder to damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "supernet"))


# Binding, beyond the contract of every family


def _gradient(supernet: Supernet) -> Tensor:
    return torch.cat([torch.zeros(1) if w.grad is None else w.grad.flatten() for w in supernet.parameters()])


@pytest.mark.parametrize("inner", [HALF, Submodel(width=Fraction(1, 4))], ids=["same", "other"])
def test_blocks_may_lie_within_each_other(inner: Submodel) -> None:
    torch.manual_seed(0)
    supernet, inputs = Supernet(FAMILY, ToyConfig()), FAMILY.example_inputs(ToyConfig(), 2)
    for submodel in (HALF, inner):
        with supernet.bind(submodel) as model:
            model(**inputs).square().sum().backward()
    expected = _gradient(supernet)
    supernet.zero_grad()
    with supernet.bind(HALF) as outer_model:
        outer_loss = outer_model(**inputs).square().sum()
        with supernet.bind(inner) as inner_model:
            inner_model(**inputs).square().sum().backward()
        outer_loss.backward()
    torch.testing.assert_close(_gradient(supernet), expected)


def test_a_submodel_outside_the_space_can_be_bound_where_its_sizes_are_whole() -> None:
    supernet = Supernet(FAMILY, ToyConfig())
    layerwise = Submodel(heads=(Fraction(1, 4),) * 4)
    assert layerwise not in supernet.space
    with supernet.bind(layerwise) as model:
        assert model.layers[0].merge.weight.shape == (8, 2)
    with pytest.raises(InputError, match="hidden=8 times 1/3 is not a whole number"):
        supernet.materialise(Submodel(width=Fraction(1, 3)))


def test_only_so_many_small_models_are_kept() -> None:
    supernet = Supernet(FAMILY, ToyConfig())
    shares = [Fraction(n, 4) for n in (1, 2, 3, 4)]
    submodels = [Submodel(heads=heads) for heads in itertools.product(shares, repeat=4)][: 2 * SMALL_MODELS]
    models = []
    for submodel in submodels:
        with supernet.bind(submodel) as model:
            models.append(weakref.ref(model))
    del model
    gc.collect()
    assert [model() is not None for model in models] == [False] * SMALL_MODELS + [True] * SMALL_MODELS


# Saving


def test_saving_twice_gives_the_same_bytes(tiny_supernet: Supernet, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        tiny_supernet.save(tmp_path / name)
    assert read_folder(tmp_path / "one").digest() == read_folder(tmp_path / "other").digest()


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Lets no file grow beyond 10 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_line_and_leaves_the_old_weights(tiny_supernet: Supernet, folder: Path) -> None:
    before = sorted(folder.iterdir()), read_folder(folder).digest()
    message = r"cannot write .*model\.safetensors: .*; nothing there was changed"
    with small_disk(), pytest.raises(DeviceError, match=message):
        tiny_supernet.save(folder)
    assert (sorted(folder.iterdir()), read_folder(folder).digest()) == before


# Loading


def test_a_loaded_supernet_is_the_saved_one(tiny_supernet: Supernet, tiny_folder: Path) -> None:
    loaded = Supernet.load(tiny_folder)
    assert not loaded.training
    assert (loaded.config, loaded.space) == (tiny_supernet.config, tiny_supernet.space)
    for name, tensor in tiny_supernet.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_truncated_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    for length in (0, 4, 1000, weights.stat().st_size - 1):
        weights.write_bytes(weights.read_bytes()[:length])
        with pytest.raises(InputError, match=r"model\.safetensors cannot be read: .*; is it damaged\?$"):
            Supernet.load(folder)


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize("write", [lambda bomb, file: pickle.dump(bomb, file), torch.save])
def test_a_pickle_is_not_opened(folder: Path, write: Callable[..., None]) -> None:
    with (folder / "model.safetensors").open("wb") as file:
        write(_Bomb(), file)
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read: "):
        Supernet.load(folder)


def test_missing_weights_are_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"^/.*model\.safetensors does not exist$"):
        Supernet.load(folder)


def test_a_folder_in_place_of_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    with pytest.raises(InputError, match=r"model\.safetensors: a folder; expected a file$"):
        Supernet.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("proj.bias"), r"lacks 'proj\.bias'; is it of another model\?"),
        (lambda tensors: tensors.pop("stem.layers.1.running_var"), r"lacks 'stem\.layers\.1\.running_var'"),
        (
            lambda tensors: tensors.update({"proj.bias": torch.zeros(14)}),
            r"'proj\.bias' has shape \(14,\), expected \(13,\); another model\?",
        ),
        (
            lambda tensors: tensors.update({"head.bias": torch.zeros(1)}),
            r"holds 'head\.bias', which the model does not",
        ),
    ],
)
def test_weights_of_another_model_are_refused(folder: Path, change: Callable[[Tensors], object], message: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=rf"^/.*model\.safetensors: {message}"):
        Supernet.load(folder)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"proj.bias": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]}}, "cannot be read: .*"),
        ({"proj.bias": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4]}}, "cannot be read: .*"),
        ({"proj.bias": {"dtype": "NEW", "shape": [1], "data_offsets": [0, 4]}}, "cannot be read: .*"),
        ({"x" * 10**5: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, "lacks '"),
    ],
)
def test_a_header_that_lies_is_one_line(folder: Path, header: object, message: str) -> None:
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    with pytest.raises(InputError, match=rf"^/.*model\.safetensors:? {message}") as caught:
        Supernet.load(folder)
    assert len(str(caught.value)) < 300


def test_a_pipe_in_place_of_weights_is_refused_at_once(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: a device, pipe or socket; expected a file$"):
        Supernet.load(folder)


@pytest.mark.parametrize("name", ["proj.bias", "stem.layers.1.running_var"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_named_and_counted(folder: Path, name: str, value: float) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[name][-1] = value
    save_file(tensors, folder / "model.safetensors")
    message = rf"^/.*model\.safetensors: '{name}' has 1 of {len(tensors[name])} numbers that is NaN or infinite; "
    with pytest.raises(InputError, match=message):
        Supernet.load(folder)


def test_the_largest_numbers_are_finite() -> None:
    most = torch.finfo(torch.float32).max
    check_finite({"a": torch.tensor([most, most, -most]), "empty": torch.zeros(0), "ids": torch.arange(3)}, "here")
    with pytest.raises(InputError, match=r"^here: 'b' has 2 of 4 numbers that are NaN or infinite; "):
        check_finite({"a": torch.zeros(1), "b": torch.tensor([[0, math.nan], [math.inf, 1]])}, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format=2), "has format 2; this version reads format 1"),
        (lambda data: data.update(family="resnet"), "unknown family 'resnet'; known are "),
        (lambda data: data["config"].update(colour=1), r"config\.json: McanConfig: unknown field 'colour'"),
        (lambda data: data["config"].update(hidden=-16), r"config\.json: config, hidden: expected int >= 0"),
        (lambda data: data["config"].update(hidden=18), "hidden=18 times 1/4 is not a whole number"),
        (lambda data: data.update(config=[]), r"config\.json, config: expected object, got array"),
        (lambda data: data["space"].update(stacks=[8, 8]), r"the space is for stacks of \(8, 8\) layers"),
        (lambda data: data["config"].update(hidden=32), "has shape .*; another model"),
        (
            lambda data: data["config"].update(hidden=8_000_000, lstm_hidden=8_000_000),
            r"config\.json: a model of .* GB",
        ),
        (lambda data: data["config"].update(regions=10**15), r"config\.json: config, regions: expected int <= "),
        (
            lambda data: data["config"].update(dropout=7),
            r"config\.json: mcan cannot be built of these sizes: dropout prob",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    data = json.loads((folder / "config.json").read_text())
    change(data)
    (folder / "config.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        Supernet.load(folder)
