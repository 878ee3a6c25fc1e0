from __future__ import annotations

import argparse
import collections
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file

from bstsearch.errors import InputError
from bstsearch.published.tensors import read_tensors

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


def assert_weights(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("holder", ["", "state_dict", "model"])
def test_pytorchs_formats_new_and_old(path: Path, holder: str, is_zip: bool) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))]).state_dict()
    content = {holder: collections.OrderedDict(WEIGHTS), "optimizer": optimizer, "lr_base": 1e-4, "epoch": 15}
    torch.save(content if holder else WEIGHTS, path, _use_new_zipfile_serialization=is_zip)
    assert_weights(read_tensors(path))


@pytest.mark.parametrize("holders", [("state_dict", "model"), ("model", "module"), ("ema",), ("net", "state_dict")])
def test_mappings_in_one_another(path: Path, holders: tuple[str, ...]) -> None:
    content: Any = WEIGHTS
    for holder in reversed(holders):
        content = {holder: content, "epoch": 3, "args": {"lr": 0.1, "name": "mcan", "ids": [1, 2], "none": None}}
    torch.save(content, path)
    assert_weights(read_tensors(path))


def test_a_name_or_settings_under_a_holders_name_are_no_weights(path: Path) -> None:
    torch.save({"model": {"name": "mcan", "layers": 6}, "net": "mcan", "state_dict": WEIGHTS}, path)
    assert_weights(read_tensors(path))
    torch.save({"model": {"name": "mcan"}, **WEIGHTS}, path)
    assert_weights(read_tensors(path))


def test_a_moving_average_beside_the_weights_is_taken_only_where_it_is_the_same(path: Path) -> None:
    torch.save({"model": WEIGHTS, "ema": {f"module.{name}": value.clone() for name, value in WEIGHTS.items()}}, path)
    assert_weights(read_tensors(path))
    torch.save({"state_dict": {"model": WEIGHTS, "ema": {**WEIGHTS, "a.bias": torch.ones(2)}}}, path)
    message = r"^/.*: holds two sets of weights, state_dict.model and state_dict.ema; save the one that is meant alone$"
    with pytest.raises(InputError, match=message):
        read_tensors(path)


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("beside", [3, 0.1, True, None, "mcan", numpy.float64(0.1), numpy.int64(3), numpy.float32(1)])
@pytest.mark.parametrize("is_nested", [True, False])
def test_plain_values_and_numpys_numbers_beside_the_weights(
    path: Path, beside: object, is_nested: bool, is_zip: bool
) -> None:
    content = {"state_dict": WEIGHTS, "best": beside} if is_nested else {**WEIGHTS, "best": beside}
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    assert_weights(read_tensors(path))


def test_numpys_old_name_of_a_number(path: Path) -> None:
    torch.save({**WEIGHTS, "best": numpy.float64(0.1)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert_weights(read_tensors(path))


@pytest.mark.parametrize("is_zip", [True, False])
def test_means_and_a_commands_options_beside_the_weights(path: Path, is_zip: bool) -> None:
    options = argparse.Namespace(lr=0.1, out=Path("runs"), steps=[3], mean=numpy.zeros(3))
    torch.save({"state_dict": WEIGHTS, "args": options}, path, _use_new_zipfile_serialization=is_zip)
    assert_weights(read_tensors(path))


def test_nothing_of_numpys_is_run_for_a_number(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({**WEIGHTS, "best": numpy.float64(0.1)}, path)
    monkeypatch.setattr("numpy.dtype", lambda *_: pytest.fail("numpy.dtype was called"))
    assert_weights(read_tensors(path))


class _Called:
    """Unpickled without care, it calls `function`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.args


@pytest.mark.parametrize(
    "hostile",
    [
        lambda target: _Called(os.system, f"touch {target}"),
        lambda target: _Called(eval, f"open({str(target)!r}, 'w')"),
        lambda target: _Called(open, str(target), "w"),
        lambda target: _Called(numpy.fromfile, str(target)),
        lambda target: _Called(numpy.load, str(target), None, True),
        lambda target: _Called(getattr, numpy.float64(1), "tofile"),
        lambda target: collections.defaultdict(int),
    ],
    ids=["system", "eval", "open", "fromfile", "load", "getattr", "defaultdict"],
)
def test_a_number_of_numpys_opens_no_door_to_anything_else(path: Path, tmp_path: Path, hostile: Any) -> None:
    target = tmp_path / "was-run"
    torch.save({**WEIGHTS, "best": numpy.float64(0.1), "worst": hostile(target)}, path)
    with pytest.raises(InputError, match=r"^/.*: asks for [\w.]+, which is no tensor, so it was not opened"):
        read_tensors(path)
    assert not target.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_safetensors_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    save_file(WEIGHTS, tmp_path / name)
    assert_weights(read_tensors(tmp_path / name))


@pytest.mark.parametrize("wrapper", ["_orig_mod.", "module.", "model.", "net.", "_orig_mod.module.", "model.net."])
def test_wrappers_of_the_whole_model_are_none_of_its_name(path: Path, wrapper: str) -> None:
    torch.save({f"{wrapper}{name}": value for name, value in WEIGHTS.items()}, path)
    assert_weights(read_tensors(path))


def test_names_lose_wrappers_and_have_the_endings_of_today(path: Path) -> None:
    torch.save({"_orig_mod.x.model.net": torch.ones(1), "x._orig_mod.module.y": torch.ones(1)}, path)
    assert read_tensors(path).keys() == {"x.model.net", "x.y"}
    torch.save({"module.n.gamma": torch.ones(2), "n.module.beta": torch.zeros(2), "x.gamma_ray": torch.ones(1)}, path)
    assert read_tensors(path).keys() == {"n.weight", "n.bias", "x.gamma_ray"}


class Hostile:
    """Unpickled without care, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("kind", ["new", "old", "plain"])
def test_nothing_in_a_file_is_run(path: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "was-run"
    hostile = Hostile(target)
    if kind == "plain":
        path.write_bytes(pickle.dumps(hostile, protocol=2))
    else:
        content = {"state_dict": WEIGHTS, "optimizer": hostile}
        torch.save(content, path, _use_new_zipfile_serialization=kind == "new")
    with pytest.raises(InputError, match=r"asks for (posix|nt).system, which is no tensor, so it was not") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)
    assert not target.exists()


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_one_line(path: Path, share: float, is_zip: bool) -> None:
    torch.save({"state_dict": {"a": torch.zeros(2000)}}, path, _use_new_zipfile_serialization=is_zip)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"^/.*model.pt:? cannot be read: .*(truncated|damaged\?)$") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_safetensors_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"^/.*model.safetensors cannot be read: .*; is it damaged\?$"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list; expected a state dict"),
        (torch.zeros(1), "holds a Tensor; expected a state dict"),
        ({}, "holds no tensor"),
        ({"state_dict": {}}, "holds no tensor"),
        ({"state_dict": {"a": 3}}, "holds no tensor, but 'state_dict'; expected a state dict, alone or under one of"),
        ({"epoch": 3, "lr": 0.1}, "holds no tensor, but 'epoch', 'lr'"),
        ({3: torch.zeros(1)}, "holds a tensor under 3, which is no name"),
        ({"a": torch.zeros(2).to_sparse()}, "'a' is a torch.float32 tensor of a special kind"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "'a' is a torch.complex64 tensor of a special kind"),
        ({"a": torch.zeros(2, device="meta")}, "'a' is a torch.float32 tensor of a special kind"),
        ({"module.a": torch.zeros(1), "a": torch.ones(1)}, "holds a twice"),
        ({"a": torch.zeros(1).expand(10**9, 10**6)}, "holds 1,000,000,000,000,000 numbers; expected 1,073,741,824"),
    ],
)
def test_what_is_no_state_dict_is_refused(path: Path, content: object, message: str) -> None:
    torch.save(content, path)
    with pytest.raises(InputError, match=message):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02garbage", b"PK\x03\x04", b"{}" * 9])
@pytest.mark.parametrize("name", ["model.pkl", "model.safetensors"])
def test_any_other_file_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^/.*{name}:? .*(truncated|damaged\?|empty)$") as caught:
        read_tensors(tmp_path / name)
    assert "index" not in str(caught.value)


def test_one_tensor_under_two_names_is_one(path: Path) -> None:
    torch.save({**WEIGHTS, "module.a.bias": WEIGHTS["a.bias"]}, path)
    assert_weights(read_tensors(path))


# Damage that PyTorch does not notice


def test_an_archive_that_was_packed_again_is_unpacked(path: Path, tmp_path: Path) -> None:
    torch.save(WEIGHTS, path)
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    assert_weights(read_tensors(packed))


def test_a_flipped_bit_is_noticed(path: Path) -> None:
    torch.save(WEIGHTS, path)
    content = bytearray(path.read_bytes())
    content[content.index(WEIGHTS["a.weight"].numpy().tobytes()) + 9] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^/.*model.pt cannot be read: Bad CRC-32 .*; is it damaged\?$"):
        read_tensors(path)


def test_an_archive_without_checksums_is_read(path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(WEIGHTS, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert_weights(read_tensors(path))


# Sizes that lie


def test_an_archive_that_is_huge_when_unpacked_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(WEIGHTS, path)
    monkeypatch.setattr("bstsearch.published.tensors.DATA", 100)
    with pytest.raises(InputError, match=r"^/.*model.pt: [\d,]+ bytes when unpacked; expected 100 at most$"):
        read_tensors(path)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_storage_that_says_it_is_huge_is_refused(path: Path, is_zip: bool) -> None:
    torch.save({"a": torch.zeros(0x01010101 >> 12)}, path, _use_new_zipfile_serialization=is_zip)
    content = path.read_bytes()
    number = (0x01010101 >> 12).to_bytes(2, "little")
    for size in (b"J\xff\xff\xff\x7f", b"\x8a\x08" + (10**18).to_bytes(8, "little")):
        path.write_bytes(content.replace(b"M" + number, size))
        with pytest.raises(InputError, match=r"^/.*model.pt"):
            read_tensors(path)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]}},
        {"a": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 4]}},
        {"a": 3},
        [],
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: object) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    for length in (len(text), 10**15):
        path.write_bytes(length.to_bytes(8, "little") + text + bytes(4))
        with pytest.raises(InputError, match=r"^/.*model.safetensors cannot be read: .*; is it damaged\?$"):
            read_tensors(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    for place in (tmp_path / "pipe.pt", Path("/dev/zero")):
        with pytest.raises(InputError, match=rf"^{place}: a device, pipe or socket; expected a file$"):
            read_tensors(place)


def test_a_zip_of_something_else_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"cannot be read"):
        read_tensors(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.pt does not exist$"):
        read_tensors(tmp_path / "none.pt")
    with pytest.raises(InputError, match=r": a folder; expected a file$"):
        read_tensors(tmp_path)
