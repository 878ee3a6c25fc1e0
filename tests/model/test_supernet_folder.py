from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.model.supernet_folder import read_folder
from bstsearch.space import Space

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A supernet folder to damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "supernet"))


def edit(folder: Path, change: Change) -> None:
    data = json.loads((folder / "config.json").read_text())
    change(data)
    (folder / "config.json").write_text(json.dumps(data))


def test_a_folder_says_what_it_is_without_torch(tiny_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bstsearch.model.supernet_folder import read_folder; "
        f"folder = read_folder(Path({str(tiny_folder)!r})); folder.digest(); folder.architecture; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_was_written_is_read(tiny_folder: Path) -> None:
    found = read_folder(tiny_folder)
    assert (found.path, found.family) == (tiny_folder, "mcan")
    assert found.config["hidden"] == 16
    assert found.space == Space.bst(stacks=(4, 4))
    assert found.weights.is_file()


def test_the_digest_changes_with_any_weight_and_any_size_and_the_architecture_with_sizes_only(folder: Path) -> None:
    before = read_folder(folder)
    digest, architecture = before.digest(), before.architecture
    weights = before.weights.read_bytes()
    before.weights.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert before.digest() != digest
    assert before.architecture == architecture
    before.weights.write_bytes(weights)
    assert before.digest() == digest
    edit(folder, lambda data: data["config"].update(answers=14))
    after = read_folder(folder)
    assert after.digest() != digest
    assert after.architecture != architecture


def test_another_space_changes_the_digest_but_not_the_architecture(folder: Path) -> None:
    before = read_folder(folder)
    digest = before.digest()
    edit(folder, lambda data: data["space"].update(has_triangle_filter=False))
    assert read_folder(folder).digest() != digest
    assert read_folder(folder).architecture == before.architecture


def test_a_missing_folder_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist; 'bstsearch train --out .*nowhere'"):
        read_folder(tmp_path / "nowhere")


def test_a_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json does not exist"):
        read_folder(tmp_path)


def test_a_truncated_configuration_is_refused(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"config\.json: malformed .*; is it truncated\?"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format=2), r"config\.json has format 2; this version reads format 1"),
        (lambda data: data.pop("format"), r"config\.json has format None; this version reads format 1"),
        (lambda data: data.pop("family"), r"config\.json: object missing required field family"),
        (lambda data: data.update(colour="blue"), r"config\.json: object contains unknown field colour"),
        (lambda data: data["space"].update(colour="blue"), r"config\.json: space: unknown field 'colour'"),
        (lambda data: data.update(space=None), r"config\.json, space: expected object, got null"),
        (lambda data: data["space"].update(stacks=[10**9]), r"config\.json: space\.stacks must be layer"),
        (lambda data: data["config"].update(hidden=10**15), r"config\.json: config, hidden: expected int <= 10000000"),
        (
            lambda data: data["config"].update(hidden="x" * 300_000),
            r"config\.json: config, hidden: expected str of len",
        ),
        (lambda data: data.update(config=[]), r"config\.json, config: expected object, got array"),
    ],
)
def test_a_malformed_configuration_is_refused(folder: Path, change: Change, message: str) -> None:
    edit(folder, change)
    with pytest.raises(InputError, match=message):
        read_folder(folder)


def test_a_folder_whose_name_no_front_could_hold_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    place = shutil.copytree(tiny_folder, tmp_path / "n\udcff")
    with pytest.raises(InputError, match="the name is no UTF-8, so no file can hold it; rename it"):
        read_folder(place)
