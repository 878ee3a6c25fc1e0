"""The wheel holds what a user needs and nothing else."""

from __future__ import annotations

import email
import email.message
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import bstsearch

ROOT = Path(__file__).parent.parent
MEGABYTE = 1_000_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel built from the working tree, by the build backend itself (so without network)."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def files(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if not name.endswith("/")}


def test_every_source_file_is_inside(wheel: zipfile.ZipFile) -> None:
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "bstsearch").rglob("*.py")}
    assert sources <= files(wheel)
    assert "bstsearch/py.typed" in files(wheel)


def test_profiles_and_the_supernets_are_inside(wheel: zipfile.ZipFile) -> None:
    names = files(wheel)
    profiles = {f"bstsearch/profiles/shipped/{path.name}" for path in (ROOT / "profiles").glob("*.json")}
    assert profiles
    assert profiles <= names
    supernet = {"config.json", "model.safetensors", "vocabulary.json", "metrics.json", "README.md"}
    assert {f"bstsearch/supernets/{data}/{name}" for data in ("easy-vqa", "shapes") for name in supernet} <= names


def test_nothing_else_is_inside(wheel: zipfile.ZipFile) -> None:
    metadata = f"bstsearch-{bstsearch.__version__}.dist-info/"
    others = [name for name in files(wheel) if not name.startswith(("bstsearch/", metadata))]
    assert others == []
    data = {Path(name).suffix for name in files(wheel) if name.startswith("bstsearch/")}
    assert data <= {".py", ".typed", ".html", ".css", ".js", ".mjs", ".json", ".csv", ".safetensors", ".md"}
    assert sum(info.file_size for info in wheel.infolist()) < 12 * MEGABYTE


def test_no_file_names_the_machine_it_was_made_on(wheel: zipfile.ZipFile) -> None:
    for name in files(wheel):
        assert f"{ROOT}/".encode() not in wheel.read(name), name


def test_the_metadata_say_what_pyproject_says(wheel: zipfile.ZipFile) -> None:
    metadata = email.message_from_bytes(wheel.read(f"bstsearch-{bstsearch.__version__}.dist-info/METADATA"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert metadata["Version"] == bstsearch.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    required = [entry for entry in metadata.get_all("Requires-Dist", []) if "extra ==" not in entry]
    assert len(required) == len(project["dependencies"])
    entry_points = wheel.read(f"bstsearch-{bstsearch.__version__}.dist-info/entry_points.txt").decode()
    assert "bstsearch = bstsearch.cli.app:main" in entry_points
