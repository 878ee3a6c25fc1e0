from __future__ import annotations

import collections
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_safetensors_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    save_file(WEIGHTS, tmp_path / name)
    assert_weights(read_tensors(tmp_path / name))


def test_names_lose_wrappers_and_have_the_endings_of_today(path: Path) -> None:
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
