"""Imports go one way, from what is above to what is below, and the command line starts without heavy libraries."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bstsearch

ROOT = Path(bstsearch.__file__).parent
HEAVY = {"matplotlib", "onnx", "onnxruntime", "optuna", "pandas", "torch"}
CORE = {"family", "slicing", "supernet"}


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
        elif not is_for_types and not (is_function and at_start_only):
            nodes += ast.iter_child_nodes(node)


def _ours(imported: str) -> str | None:
    """The module of the package that an import names, itself or something in it; None for other packages."""
    package, _, rest = imported.partition(".")
    if package != "bstsearch":
        return None
    return rest if rest in MODULES else rest.rpartition(".")[0]


def _direct(module: str, *, at_start_only: bool) -> set[str]:
    named = {_ours(imported) for imported in _imports(module, at_start_only=at_start_only)} - {None}
    packages = {package for name in named for package in _parents(name)}
    return (named | packages) - {module, *_parents(module)}


def _parents(name: str) -> list[str]:
    """The packages that `name` lies in; they are imported before it."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def reached(module: str, *, at_start_only: bool = False) -> set[str]:
    """Every module of the package that `module` leads to, directly or not."""
    found, ahead = set(), {module, *_parents(module)}
    while ahead:
        name = ahead.pop()
        found.add(name)
        ahead |= _direct(name, at_start_only=at_start_only) - found
    return found - {module}


def libraries(module: str) -> set[str]:
    """Every other package that is loaded as soon as `module` is imported."""
    modules = {module, *reached(module, at_start_only=True)}
    return {imported.partition(".")[0] for name in modules for imported in _imports(name, at_start_only=True)}


def in_room(room: str) -> list[str]:
    return [name for name in MODULES if name == room or name.startswith(f"{room}.")]


# Going down only

BELOW = {
    "errors": set(),
    "space": {"errors"},
    "files": {"errors"},
    "folder": {"errors", "files", "space"},
    "family": {"errors", "space", "families"},
    **{name: {"errors", "layers"} for name in in_room("layers")},
    "layers.bert_sizes": {"errors", "space", "families", "family", "layers", "layers.bert", "layers.keep_order"},
    "slicing": {"errors", "space", "families", "family"},
    "supernet": {"errors", "files", "folder", "space", "families", "family", "slicing"},
    "cost_table": {"errors", "files", "folder", "space"},
    "cost": {"errors", "files", "folder", "space", "families", "family", "cost_table"},
    **{
        name: {"errors", "space", "families", "family", *in_room("layers")}
        for name in in_room("families")
        if name != "families"
    },
}


@pytest.mark.parametrize("module", BELOW)
def test_the_core_sees_only_what_lies_below(module: str) -> None:
    assert reached(module) <= BELOW[module]


SEARCHING = ["space", "pareto", "latency", *in_room("search"), *in_room("report")]
STAGES = ["training_run", "search", "export"]


@pytest.mark.parametrize("module", [name for name in SEARCHING if name in MODULES])
def test_searching_sees_no_supernet(module: str) -> None:
    assert not reached(module) & {*CORE, "cost", "evaluation", "training", "export"}


@pytest.mark.parametrize("module", in_room("devices"))
def test_measuring_needs_no_trained_supernet(module: str) -> None:
    assert not reached(module) & {"slicing", "supernet", "evaluation", "training", "search", "export"}


@pytest.mark.parametrize("module", [name for name in STAGES if name in MODULES])
def test_stages_pass_files_and_never_call_each_other(module: str) -> None:
    assert not reached(module) & set(STAGES)


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("__main__", *in_room("cli"))])
def test_only_the_command_line_sees_the_command_line(module: str) -> None:
    assert not reached(module) & set(in_room("cli"))


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: _direct(name, at_start_only=True) for name in MODULES}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("module", MODULES)
def test_nothing_names_a_family(module: str) -> None:
    assert not {name for name in _direct(module, at_start_only=False) if name.startswith("families.")}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_click(module: str) -> None:
    # Typer carries its own, which is not ours to use.
    assert "click" not in {name.partition(".")[0] for name in _imports(module, at_start_only=False)}


# Staying light


def promises_no_torch(module: str) -> bool:
    first_line = (ast.get_docstring(MODULES[module]) or "").partition("\n\n")[0]
    return "(no torch)" in first_line or "without torch" in first_line


LIGHT = [*(module for module in MODULES if promises_no_torch(module)), "data", "data.images", "data.vocabulary"]


def test_the_torch_free_rooms_promise_it() -> None:
    assert {"space", "files", "folder", "pareto", "latency", "budget", "front_file"} <= set(LIGHT)
    assert {f"devices.{name}" for name in ("profile", "profile_file", "stored", "driver", "rounds", "runner")} <= set(
        LIGHT
    )
    assert {"composition", "estimate", "cli.remembered", "cli.front_folder"} <= set(LIGHT)


@pytest.mark.parametrize("module", [*LIGHT, *in_room("cli")])
def test_light_modules_and_commands_load_no_heavy_library(module: str) -> None:
    assert not libraries(module) & HEAVY


@pytest.mark.parametrize("module", ["bstsearch", "bstsearch.cli.app"])
def test_the_command_line_starts_without_heavy_libraries(module: str) -> None:
    code = f"import sys, {module}; print(*set({sorted(HEAVY)}) & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
