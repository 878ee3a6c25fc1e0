from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bstsearch.answering.exported_folder import is_exported, open_session, read_exported, sha256
from bstsearch.errors import InputError


@pytest.fixture
def folder(exported_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported_folder, tmp_path / "exported")


def change_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def test_reads_what_was_exported(exported_folder: Path) -> None:
    exported = read_exported(exported_folder)
    assert exported.submodel_id == "w1of2-d1of2"
    assert exported.threads == 1
    assert exported.onnx == exported_folder / "model.onnx"
    assert [submodel.id for submodel in exported.folder.space] == ["w1-d1"]


def test_a_supernet_folder_is_no_exported_folder(exported_folder: Path, yes_folder: Path) -> None:
    assert is_exported(exported_folder)
    assert not is_exported(yes_folder)
    with pytest.raises(InputError, match=r"manifest\.json does not exist"):
        read_exported(yes_folder)


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "vocabulary.json", "run.py"])
def test_a_file_that_was_truncated_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(InputError, match=f"{name} is not the file that was exported"):
        read_exported(folder)


def test_a_file_that_is_gone_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(InputError, match=r"model\.onnx does not exist; export"):
        read_exported(folder)


def test_another_format_is_refused(folder: Path) -> None:
    change_manifest(folder, format=2)
    with pytest.raises(InputError, match="has format 2; this version reads format 1"):
        read_exported(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": None},
        {"files": []},
        {"files": {}},
        {"files": {"model.onnx": {}}},
        {"files": {"model.onnx": "abc"}},
        {"submodel": {}},
        {"checks": {}},
        {"checks": {"model.onnx": {"latency": {"threads": "many"}}}},
        {"files": {"model.onnx": {"sha256": ""}, "../x": {"sha256": ""}}},
        {"files": {"/etc/hostname": {"sha256": ""}, "model.onnx": {"sha256": ""}}},
        {"files": {"model.onnx": {"sha256": ""}, "..": {"sha256": ""}}},
    ],
)
def test_a_malformed_manifest_is_refused(folder: Path, changes: dict[str, object]) -> None:
    change_manifest(folder, **changes)
    with pytest.raises(InputError, match="export the submodel again"):
        read_exported(folder)


def test_a_truncated_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 1,')
    with pytest.raises(InputError, match=r"manifest\.json: malformed"):
        read_exported(folder)


def test_no_file_outside_the_folder_is_looked_at(folder: Path) -> None:
    (folder.parent / "x").write_text("secret")
    manifest = json.loads((folder / "manifest.json").read_text())
    change_manifest(folder, files={"../x": {"sha256": sha256(folder.parent / "x")}, **manifest["files"]})
    with pytest.raises(InputError, match=r"manifest\.json, files: '\.\./x' is no name of a file in this folder"):
        read_exported(folder)


@pytest.mark.parametrize("content", [b"not a model", b"", b"\xff" * 1000], ids=["text", "empty", "bytes"])
def test_a_file_that_is_no_model_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read by ONNX Runtime") as found:
        open_session(path)
    assert str(found.value).startswith(str(path))
    assert len(str(found.value)) - len(str(path)) < 300


def test_half_a_model_is_an_input_error(exported_folder: Path, tmp_path: Path) -> None:
    whole = (exported_folder / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read by ONNX Runtime"):
        open_session(tmp_path / "model.onnx")
