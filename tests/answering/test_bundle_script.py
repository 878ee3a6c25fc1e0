"""run.py of a bundle: it needs numpy and onnxruntime, and chooses as bstsearch does."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BLOCKED = ("bstsearch", "onnx", "pandas", "safetensors", "torch", "typer", "PIL")


def run(folder: Path, *args: object) -> subprocess.CompletedProcess[str]:
    block = f"import runpy, sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); sys.argv = sys.argv[1:]; "
    script = block + f"sys.path.insert(0, {str(folder)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", script, str(folder / "run.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ((), None),
        (("--submodel", "w1of4-d1of4"), "w1of4-d1of4"),
        (("--budget-ms", "0.3"), "w1of4-d1of4"),
        (("--budget-ms", "9", "--device", "local"), None),
    ],
)
def test_the_sample_gives_the_saved_outputs(bundle_folder: Path, options: tuple[str, ...], name: str | None) -> None:
    from bstsearch.answering.bundle_folder import read_bundle

    result = run(bundle_folder, bundle_folder / "sample.json", *options)
    assert result.returncode == 0, result.stderr
    first, *answers, last = result.stdout.splitlines()
    assert first == f"submodel: {name or read_bundle(bundle_folder).most_accurate.id}"
    assert len(answers) == 3
    assert last.startswith("largest difference from the expected logits: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--submodel", "w1-d1"), "no submodel 'w1-d1'; choose one of w1of4-d1of4, w1of2-d1of2"),
        (("--budget-ms", "0.01"), "no submodel answers within 0.01 ms on local; the fastest takes 0.1"),
        (("--budget-ms", "1", "--device", "x"), "no latencies of device 'x'; choose one of local"),
        (("--device", "local"), "--device says whose latencies a budget is for; give --budget-ms, too"),
    ],
)
def test_what_is_not_there_is_one_line(bundle_folder: Path, options: tuple[str, ...], message: str) -> None:
    result = run(bundle_folder, bundle_folder / "sample.json", *options)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [f"run.py: {message}"]


NAMES = ["weights.bin", "w1of4-d1of4.onnx", "vocabulary.json", "preprocessor.json", "sample.json", "stock/a/b.json"]


def listed(folder: Path, name: str, content: bytes) -> None:
    """Writes another file of the bundle, which elastic.json knows."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    data = json.loads((folder / "elastic.json").read_text())
    data["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "elastic.json").write_text(json.dumps(data))


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_or_missing_file_is_one_line(bundle_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(bundle_folder, tmp_path / "elastic")
    listed(folder, "stock/a/b.json", b"{}")
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    options = (folder / "sample.json", "--submodel", "w1of4-d1of4")
    lines = [run(folder, *options).stderr]
    (folder / name).unlink()
    lines.append(run(folder, *options).stderr)
    assert lines == [
        f"run.py: {name} is not the file that was exported with this bundle; export it again\n",
        f"run.py: {name} does not exist; export the bundle again\n",
    ]


def test_only_the_chosen_graph_must_be_the_one_that_was_exported(bundle_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle_folder, tmp_path / "elastic")
    listed(folder, "stock/tokenizer.json", b"{}")
    (folder / "w1of2-d1of2.onnx").write_bytes(b"")
    result = run(folder, folder / "sample.json", "--submodel", "w1of4-d1of4")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["../x", "stock/../../x", "a/x", "/etc/hostname", "stock", ""])
def test_no_other_file_is_taken_for_one_of_the_bundle(bundle_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(bundle_folder, tmp_path / "elastic")
    for place in (folder / "stock", folder / "a"):
        place.mkdir()
        (place / "x").write_bytes(b"")
    (tmp_path / "x").write_bytes(b"")
    data = json.loads((folder / "elastic.json").read_text())
    data["files"][name] = {"sha256": hashlib.sha256(b"").hexdigest()}
    (folder / "elastic.json").write_text(json.dumps(data))
    result = run(folder, folder / "sample.json")
    assert result.stderr == f"run.py: {name} does not exist; export the bundle again\n"


def test_inputs_that_do_not_fit_are_one_line(bundle_folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", question=np.ones((1, 10), np.int64), image=np.zeros((1, 3, 3), np.uint8))
    result = run(bundle_folder, tmp_path / "a.npz")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"run.py: {tmp_path / 'a.npz'} cannot be read: ")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"submodels": []}'])
def test_a_damaged_list_is_one_line(bundle_folder: Path, tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(bundle_folder, tmp_path / "elastic")
    (folder / "elastic.json").write_text(content)
    result = run(folder, folder / "sample.json")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"run.py: {folder / 'elastic.json'} cannot be read: ")
