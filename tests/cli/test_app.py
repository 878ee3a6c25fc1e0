from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bstsearch
from bstsearch.cli.app import DEVICES
from bstsearch.cli.app import VERBS as VERB_FILES
from bstsearch.measuring import runner

VERBS = (
    *("space", "inspect", "import", "train", "profile", "pareto", "worker", "export", "eval", "ask", "serve"),
    "devices",
)
HEAVY = {"torch", "numpy", "pandas", "optuna", "matplotlib", "onnx", "onnxruntime", "rich", "PIL"}


def run(code: str) -> str:
    """What a fresh interpreter prints when it runs `code`."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def imported_by(code: str) -> set[str]:
    """The top-level modules that are loaded after `code`."""
    return {
        name.partition(".")[0]
        for name in json.loads(run(f"{code}\nimport json, sys; print(json.dumps([*sys.modules]))"))
    }


def test_the_help_names_every_verb_in_the_order_of_use(invoke: Callable[..., Any]) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    commands = result.stdout.partition("Commands:")[2]
    assert tuple(line.split()[0] for line in commands.strip().splitlines()) == VERBS


@pytest.mark.parametrize(("quota", "threads"), [(0.5, "1"), (None, "")])
def test_torch_is_kept_to_a_quota(
    quota: float | None, threads: str, invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "restored at the end")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(runner, "cpu_quota", lambda: quota)
    invoke("devices")
    assert os.environ.get("OMP_NUM_THREADS", "") == threads


def test_the_users_own_threads_hold(invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(runner, "cpu_quota", lambda: 0.5)
    invoke("devices")
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_no_arguments_show_the_help(invoke: Callable[..., Any]) -> None:
    assert "Commands:" in invoke().output


def test_the_version_is_printed(invoke: Callable[..., Any]) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"bstsearch {bstsearch.__version__}\n")


def test_python_m_runs_the_command_line() -> None:
    command = [sys.executable, "-m", "bstsearch", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("bstsearch ")


def test_an_unknown_verb_is_wrong_usage_and_names_a_near_one(invoke: Callable[..., Any]) -> None:
    result = invoke("pareot")
    assert result.exit_code == 2
    assert "No such command 'pareot'. Did you mean 'pareto'?" in result.stderr


@pytest.mark.parametrize("arguments", [("--nonsense",), ("pareto", "--nonsense"), ("pareto", "--seed", "x"), ("ask",)])
def test_wrong_usage_is_one_line_below_the_usage(arguments: tuple[str, ...], invoke: Callable[..., Any]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    usage, *_, line = result.stderr.splitlines()
    assert usage.startswith("Usage: ")
    assert line.startswith("Error: ")


@pytest.mark.parametrize("arguments", [("pareot",), ("pareto", "--nonsense"), ("ask",), ("devices", "show")])
def test_wrong_usage_is_an_object_with_json(arguments: tuple[str, ...], invoke: Callable[..., Any]) -> None:
    result = invoke(*arguments, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == ("usage", 2)
    assert error["message"] in result.stderr


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in VERBS)], ids=str)
def test_the_help_imports_nothing_heavy(verb: tuple[str, ...]) -> None:
    arguments = [*verb, "--help"]
    help_of = "from typer.testing import CliRunner; from bstsearch.cli.app import app; CliRunner().invoke(app, {})"
    assert not imported_by(help_of.format(arguments)) & HEAVY


def test_the_help_of_all_verbs_does_without_pydantic() -> None:
    # Typer needs it for the options of one verb, so only here does leaving it out save time.
    assert "pydantic" not in imported_by("from bstsearch.cli.app import app")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_runs_without_the_files_of_the_others(verb: str) -> None:
    start = f"import sys; sys.argv = ['bstsearch', '{verb}', '--help']; from bstsearch.cli.app import main"
    loaded = run(f"{start}\ntry: main()\nexcept SystemExit: print(*sys.modules)").splitlines()[-1].split()
    own = VERB_FILES[verb].partition(".")[0]
    others = {f"bstsearch.cli.{place.partition('.')[0]}" for place in VERB_FILES.values()} - {f"bstsearch.cli.{own}"}
    assert f"bstsearch.cli.{own}" in loaded
    assert not others & set(loaded)


@pytest.mark.parametrize("place", [*VERB_FILES.values(), *DEVICES.values()])
def test_a_verb_parses_calls_and_shows_in_fifteen_statements(place: str) -> None:
    file, _, name = place.partition(".")
    tree = ast.parse((Path(bstsearch.__file__).parent / "cli" / f"{file}.py").read_text(encoding="utf-8"))
    (verb,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    work = [node for node in ast.walk(verb) if isinstance(node, ast.stmt) and node is not verb][1:]  # but the help
    assert len(work) <= 15


def test_importing_bstsearch_imports_no_torch() -> None:
    assert not imported_by("import bstsearch") & HEAVY


def test_debug_shows_a_traceback_for_this_run_only(invoke: Callable[..., Any]) -> None:
    arguments = ("eval", "--model", "nowhere")
    assert "Traceback" in invoke("--debug", *arguments).stderr
    assert "Traceback" not in invoke(*arguments).stderr
