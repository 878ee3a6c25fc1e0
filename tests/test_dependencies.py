"""What is required is imported, and the other way round; what only published data need may be absent."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bstsearch.errors import InputError
from bstsearch.formats.gqa_h5 import INFO, open_h5
from bstsearch.formats.lmdb_folder import open_lmdb
from bstsearch.formats.uniter_texts import read_text_record
from bstsearch.inputs.tokenizers import SPECIAL, piece_tokenizer

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[]", requirement)[0].lower() for requirement in requirements}


REQUIRED = _distributions(PROJECT["dependencies"])
PUBLISHED = _distributions(PROJECT["optional-dependencies"]["published"])
STOCK = _distributions(PROJECT["optional-dependencies"]["transformers"])
DATASETS = _distributions(PROJECT["optional-dependencies"]["datasets"])
SERVE = _distributions(PROJECT["optional-dependencies"]["serve"])
TESTING = _distributions(PROJECT["optional-dependencies"]["testing"])


def _imported(node: ast.AST, *, at_start_only: bool = False) -> Iterator[str]:
    """The first part of every name imported in `node`; `at_start_only` leaves out functions and what is for types."""
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module.partition(".")[0]
    elif not (at_start_only and (is_function or is_for_types)):
        for inner in ast.iter_child_nodes(node):
            yield from _imported(inner, at_start_only=at_start_only)


MODULES = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "bstsearch").rglob("*.py")]


def test_what_is_required_is_imported_and_nothing_else() -> None:
    homes = importlib.metadata.packages_distributions()
    imported = {name for module in MODULES for name in _imported(module)}
    others = imported - sys.stdlib_module_names - {"bstsearch"}
    found = {homes.get(name, [name])[0].lower().replace("_", "-") for name in others}
    assert found == REQUIRED | PUBLISHED | STOCK | DATASETS | SERVE | TESTING
    assert not REQUIRED & (PUBLISHED | STOCK | DATASETS | SERVE)


def test_what_may_be_absent_is_imported_where_it_is_needed() -> None:
    at_start = {name for module in MODULES for name in _imported(module, at_start_only=True)}
    assert "torch" in at_start
    assert not at_start & (PUBLISHED | STOCK | DATASETS)


def test_what_serves_is_imported_by_its_own_room_only() -> None:
    others = [path for path in (ROOT / "bstsearch").rglob("*.py") if path.parent.name != "serving"]
    imported = {name for path in others for name in _imported(ast.parse(path.read_text(encoding="utf-8")))}
    assert not imported & {"prometheus_client", "python_multipart", "starlette", "uvicorn"}


def _read_h5(folder: Path) -> object:
    (folder / INFO).write_text('{"1": {"file": 3, "idx": 0, "objectsNum": 1, "width": 1, "height": 1}}')
    return open_h5(folder, 8).regions("1")


@pytest.mark.usefixtures("without_published")
@pytest.mark.parametrize(
    ("read", "what"),
    [
        (_read_h5, "reading {folder}/gqa_objects_3.h5 needs h5py"),
        (lambda folder: open_lmdb(folder / "all"), "reading {folder}/all needs lmdb"),
        (lambda _: read_text_record(b"", "question 7"), "reading question 7 needs lz4"),
        (lambda _: piece_tokenizer(SPECIAL, is_cased=True, length=4), "cutting questions into word pieces needs tok"),
    ],
)
def test_a_library_that_is_absent_is_one_line(read: Callable[[Path], object], what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(what.format(folder=tmp_path))) as error:
        read(tmp_path)
    assert error.value.remedy == "install it with pip install 'bstsearch[published]'"


def test_what_does_not_count_does_not_load_fvcore() -> None:
    modules = "model.supernet, tasks.evaluation, training.run, searching.study, exporting.run, answering.asking"
    imports = "; ".join(f"import bstsearch.{module}" for module in modules.split(", "))
    code = f"import sys; {imports}; print('torch' in sys.modules, 'fvcore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
