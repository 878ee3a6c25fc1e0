from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bstsearch.answering.choice import choose, read_accuracies
from bstsearch.errors import InfeasibleBudgetError, InputError
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.latency import LatencyTable
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.searching.budget import Bound

MakeProfile = Callable[..., DeviceProfile]

# Of two equally good ones, w1of4-d1 and w1of2-d1of2, the second is the faster.
CORRECT = {"w1of4-d1of4": 80, "w1of4-d1": 90, "w1of2-d1of2": 90, "w1of2-d1": 88, "w1-d1": 95}


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> SupernetFolder:
    path = shutil.copytree(tiny_folder, tmp_path / "supernet")
    know(path, {name: {"correct": correct, "total": 100} for name, correct in CORRECT.items()})
    return read_folder(path)


@pytest.fixture
def table(tiny_folder: Path, make_profile: MakeProfile) -> LatencyTable:
    return LatencyTable("local", make_profile(tiny_folder).models[0])


def know(path: Path, validation: Any) -> None:
    (path / "metrics.json").write_text(json.dumps({"validation": validation}))


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("10", "w1-d1"),
        ("100%", "w1-d1"),
        ("99%", "w1of2-d1of2"),
        ("0.5", "w1of2-d1of2"),  # 0.45 ms
        ("0.44", "w1of4-d1of4"),
        ("22%", "w1of4-d1of4"),  # 0.2125 of 1 ms
    ],
)
def test_most_accurate_within_the_budget(
    folder: SupernetFolder, table: LatencyTable, budget: str, expected: str
) -> None:
    submodel, latency = choose(folder, table, Bound.parse(budget, "--budget-ms"))
    assert submodel.id == expected
    assert latency == table.latency(submodel)


def test_infeasible_budget_names_the_fastest(folder: SupernetFolder, table: LatencyTable) -> None:
    with pytest.raises(InfeasibleBudgetError, match=r"within 0\.1 ms; the nearest is w1of4-d1of4 with 0\.21"):
        choose(folder, table, Bound(value=0.1))


def test_what_is_composed_counts_with_its_upper_end(
    folder: SupernetFolder, tiny_folder: Path, make_profile: MakeProfile
) -> None:
    model = make_profile(tiny_folder).models[0]
    rows = tuple(row for row in model.submodels if row.id != "w1-d1")
    table = LatencyTable("local", structs.replace(model, submodels=rows))
    full = table.latency(folder.space.largest)
    assert full.source == "composed"
    between = Bound(value=(full.ms + full.high_ms) / 2)
    assert choose(folder, table, between)[0] != folder.space.largest
    assert choose(folder, table, Bound(value=full.high_ms))[0] == folder.space.largest


@pytest.mark.parametrize("validation", [None, {}])
def test_without_accuracies_nothing_can_be_chosen(folder: SupernetFolder, validation: object) -> None:
    know(folder.path, validation)
    with pytest.raises(InputError, match="knows no validation accuracy to choose by"):
        read_accuracies(folder)


@pytest.mark.parametrize(
    "validation", [[1], {"w1-d1": 3}, {"w1-d1": {"correct": 1}}, {"w9": {"correct": 1, "total": 2}}]
)
def test_malformed_accuracies_are_an_input_error(folder: SupernetFolder, validation: object) -> None:
    know(folder.path, validation)
    with pytest.raises(InputError, match=r"metrics\.json[:,] .*\w"):
        read_accuracies(folder)


def test_accuracies_of_another_space_are_an_input_error(folder: SupernetFolder) -> None:
    know(folder.path, {"w1-d1of4": {"correct": 1, "total": 2}})
    with pytest.raises(InputError, match="'w1-d1of4' is not in the supernet's space"):
        read_accuracies(folder)


def test_missing_metrics_are_an_input_error(folder: SupernetFolder) -> None:
    (folder.path / "metrics.json").unlink()
    with pytest.raises(InputError, match="does not exist"):
        read_accuracies(folder)
