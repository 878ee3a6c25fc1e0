"""Imports go one way, down the list of rooms, and what promises to be light starts without heavy libraries."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bstsearch

ROOT = Path(bstsearch.__file__).parent
HEAVY = {"matplotlib", "onnx", "onnxruntime", "optuna", "pandas", "torch"}

# A room imports only those before it, so no two import each other. Families come in through doors, by name: nothing
# but their own room and tests names one. Measuring lies before training, which asks it how many cores there are.
# Answering lies before export, which writes what is read there. Nothing imports testing: it is for tests.
ROOMS = (
    *(
        "errors",
        "reading",
        "environment",
        "exchange",
        "holding",
        "writing",
        "space",
        "space_names",
        "space_sample",
        "score",
        "listener",
        "doors",
        "inputs",
        "model",
        "layers",
        "stock",
        "families",
        "formats",
        "tasks",
    ),
    *("published", "profiles", "graphs", "measuring", "training", "searching", "answering", "serving"),
    *("report", "exporting"),
    *("", "cli", "__main__", "testing"),
)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}


def _imports(module: str, *, at_start_only: bool) -> Iterator[str]:
    """Full names of what `module` imports; `at_start_only` leaves out what its functions import when they run."""
    nodes = list(ast.iter_child_nodes(MODULES[module]))
    while nodes:
        node = nodes.pop()
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (at_start_only and (is_function or is_for_types)):
            nodes += ast.iter_child_nodes(node)


def _ours(imported: str) -> str | None:
    """The module of the package that an import names, itself or something in it; None for other packages."""
    package, _, rest = imported.partition(".")
    if package != "bstsearch":
        return None
    return rest if rest in MODULES else rest.rpartition(".")[0]


def _room(module: str) -> str:
    return module.partition(".")[0]


def _arrows() -> dict[tuple[str, str], list[str]]:
    """From room to room: the imports, those for types and inside functions included."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for module in MODULES:
        for imported in _imports(module, at_start_only=False):
            target = _ours(imported)
            if target and _room(target) != _room(module):
                arrows.setdefault((_room(module), _room(target)), []).append(f"{module} -> {target}")
    return arrows


def test_imports_run_down_the_list_of_rooms() -> None:
    assert {_room(module) for module in MODULES} == set(ROOMS)
    place = {room: index for index, room in enumerate(ROOMS)}
    back_up = [line for (one, other), lines in _arrows().items() if place[other] > place[one] for line in lines]
    to_a_family = [line for (_, other), lines in _arrows().items() if other == "families" for line in lines]
    assert back_up + to_a_family == []


def test_nothing_imports_click() -> None:
    # Typer carries its own, which is not ours to use.
    assert "click" not in {
        name.partition(".")[0] for module in MODULES for name in _imports(module, at_start_only=False)
    }


def test_there_is_one_validator() -> None:
    assert "pydantic" not in {
        name.partition(".")[0] for module in MODULES for name in _imports(module, at_start_only=False)
    }


def _libraries(module: str) -> set[str]:
    """Every other package that is loaded as soon as `module` is imported."""
    found, seen, ahead = set[str](), set[str](), {module}
    while ahead:
        name = ahead.pop()
        seen.add(name)
        parts = name.split(".")
        ahead |= {".".join(parts[:length]) for length in range(1, len(parts))} - seen
        for imported in _imports(name, at_start_only=True):
            target = _ours(imported)
            if target is None:
                found.add(imported.partition(".")[0])
            elif target not in seen:
                ahead.add(target)
    return found


def _promises_no_torch(module: str) -> bool:
    first_line = (ast.get_docstring(MODULES[module]) or "").partition("\n\n")[0]
    return "(no torch)" in first_line or "without torch" in first_line


LIGHT = [name for name in MODULES if _promises_no_torch(name) or _room(name) in ("profiles", "cli")]


def test_light_rooms_load_no_heavy_library() -> None:
    expected = {
        "space",
        "space_names",
        "space_sample",
        "reading",
        "environment",
        "writing",
        "doors",
        "searching.pareto",
        "searching.front_file",
        "measuring.runner",
    }
    assert expected <= set(LIGHT)
    assert {name: _libraries(name) & HEAVY for name in LIGHT if _libraries(name) & HEAVY} == {}


@pytest.mark.parametrize("module", ["bstsearch", "bstsearch.cli.app"])
def test_the_command_line_starts_without_heavy_libraries(module: str) -> None:
    code = f"import sys, {module}; print(*set({sorted(HEAVY)}) & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
