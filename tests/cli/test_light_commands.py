"""Whatever shows or re-solves what is stored loads no library that computes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.model.supernet_folder import SUPERNETS

Invoke = Callable[..., Any]

EASY_VQA = SUPERNETS / "easy-vqa"
HEAVY = {"torch", "fvcore", "numpy", "pandas", "onnx", "onnxruntime", "optuna", "matplotlib", "plotly"}
RUN = """
import sys
from bstsearch.cli.app import main
code = 0
try:
    main()
except SystemExit as end:
    code = end.code or 0
print(code, *sys.modules)
"""


def loaded(folder: Path, *arguments: object, cache: Path | None = None) -> set[str]:
    """The modules that `bstsearch ARGUMENTS...` loads; it must end well."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache or folder / "cache")}
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        "profile --device pixel7",
        f"profile --supernet {EASY_VQA} --device x86-xeon-2core",
        "devices",
        "devices show pixel7",
        "space --preset mcan-vqa-v2 --device pixel7,raspberrypi4 --budget-ms 60",
        f"space --supernet {EASY_VQA} --device x86-xeon-2core,pixel7",
    ],
)
def test_showing_what_is_stored_computes_nothing(arguments: str, tmp_path: Path) -> None:
    assert not loaded(tmp_path, *arguments.split()) & HEAVY


@pytest.mark.parametrize("arguments", ["space", "space --preset mcan-vqa-v2", "space --preset clip-vil-rn50x4 --all"])
def test_counts_that_ship_are_only_read(arguments: str, tmp_path: Path) -> None:
    assert not loaded(tmp_path, *arguments.split()) & HEAVY
    assert not (tmp_path / "cache").exists()


def test_counts_of_other_supernets_are_read_the_second_time(
    invoke: Invoke, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("bstsearch.searching.pricing.known_costs", _fresh_costs)
    monkeypatch.setattr("bstsearch.searching.counted_space.known_costs", _fresh_costs)
    first = invoke("space", "--supernet", tiny_folder)
    assert first.exit_code == 0, first.stderr
    assert not loaded(tmp_path, "space", "--supernet", tiny_folder) & HEAVY


def test_another_budget_on_the_demos_scores_computes_little(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("pareto", "--device", "pixel7").exit_code == 0
    drawing = {"matplotlib", "PIL"}  # the picture shows the budget
    comparing = {"numpy"}  # rows are held against each other, question by question
    assert not loaded(tmp_path, "pareto", "--device", "pixel7", "--budget-ms", "50%") & HEAVY - drawing - comparing
    assert not loaded(tmp_path, "pareto", "--device", "pixel7", "--budget-ms", "50%") & HEAVY - comparing


def _fresh_costs(folder: Any) -> Any:
    from bstsearch.searching.known_costs import KnownCosts

    return KnownCosts(folder)
