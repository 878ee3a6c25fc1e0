from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bstsearch.errors import InputError
from bstsearch.measuring import workload
from bstsearch.model import counting
from bstsearch.model.cost_table import Cost, shipped_preset
from bstsearch.model.lookup import restored
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.searching import known_costs
from bstsearch.searching.known_costs import KnownCosts, cache_file
from bstsearch.space import Submodel

HALF = Submodel.from_id("w1of2-d1")


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is counted in this test: ids, "fixed", and ids behind "live"."""
    found: list[str] = []

    def noting(module: Any, function: str, name: Callable[..., str]) -> None:
        real = getattr(module, function)
        monkeypatch.setattr(module, function, lambda *args: found.append(name(*args)) or real(*args))

    noting(counting, "count", lambda family, config, submodel, *_: submodel.id)
    noting(counting, "fixed_macs", lambda family, config: "fixed")
    noting(workload, "live_set", lambda folder, submodel: f"live {submodel.id}")
    return found


@pytest.fixture
def folder(tiny_folder: Path) -> SupernetFolder:
    return read_folder(tiny_folder)


def test_what_ships_is_not_counted(counted: list[str], caches: Path) -> None:
    folder = shipped_preset("mcan-vqa-v2")
    assert folder is not None
    known = KnownCosts(folder)
    assert known.cost(Submodel.from_id("w1-d1of6")) == Cost(
        parameters=21_295_115, macs=596_260_864, recurrent_macs=14 * 4 * 512 * 512
    )
    assert known.fixed_macs == 14 * 4 * 512 * (300 + 512)
    assert known.live_bytes(folder.space.largest) > known.live_bytes(folder.space.smallest) > 1_000_000
    assert (counted, caches.exists()) == ([], False)


def test_the_rest_is_counted_once_for_all_processes(folder: SupernetFolder, counted: list[str]) -> None:
    first = KnownCosts(folder)
    found = [(first.cost(HALF), first.fixed_macs, first.live_bytes(HALF)) for _ in range(2)]
    assert counted == [HALF.id, "fixed", "live w1of2-d1of2"]
    second = KnownCosts(folder)
    assert (second.cost(HALF), second.fixed_macs, second.live_bytes(HALF)) == found[0] == found[1]
    assert len(counted) == 3
    family, config = restored(folder.family, folder.config)
    assert found[0][:2] == (counting.count(family, config, HALF), counting.fixed_macs(family, config))


def test_of_mixed_layers_the_hungriest_share_counts(folder: SupernetFolder, counted: list[str]) -> None:
    known = KnownCosts(folder)
    mixed = Submodel.from_id("w1of4-d1of4-h1.4of4")
    assert known.live_bytes(mixed) >= known.live_bytes(Submodel.from_id("w1of4-d1of4"))
    assert set(counted) == {"live w1of4-d1of4", "live w1of4-d1of4-h11of1-f11of1"}


def test_what_ships_is_completed_by_what_is_kept(counted: list[str]) -> None:
    folder = shipped_preset("mcan-easy-vqa")
    assert folder is not None
    layered = Submodel.from_id("w1-d1of4-h1.2of2")
    found = KnownCosts(folder).cost(layered)
    assert KnownCosts(folder).cost(layered) == found
    assert counted == [layered.id]
    assert list(json.loads(cache_file(folder).read_text())["costs"]) == [layered.id]


def test_two_processes_keep_what_both_counted(folder: SupernetFolder, counted: list[str]) -> None:
    one, other = KnownCosts(folder), KnownCosts(folder)
    one.cost(HALF)
    other.cost(folder.space.smallest)
    one.cost(folder.space.largest)
    assert set(json.loads(cache_file(folder).read_text())["costs"]) == {HALF.id, "w1of4-d1of4", "w1-d1"}
    assert [path.name for path in cache_file(folder).parent.iterdir()] == [cache_file(folder).name]


def wrong_cost(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "costs": {HALF.id: [1, 2, 0]}}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: json.dumps(data)[:-40],
        lambda data: "",
        lambda data: "[]",
        lambda data: "[" * 100_000,
        lambda data: json.dumps({**wrong_cost(data), "counted_by": "another version"}),
        lambda data: json.dumps({**wrong_cost(data), "config": {}}),
        lambda data: json.dumps({**wrong_cost(data), "family": "uniter"}),
        lambda data: json.dumps({**data, "costs": {HALF.id: [1, 2]}}),
        lambda data: json.dumps({**data, "costs": {HALF.id: [1, float("nan"), 0]}}),
    ],
)
def test_a_file_that_cannot_be_trusted_is_as_good_as_none(
    damage: Callable[[dict[str, Any]], str], folder: SupernetFolder, counted: list[str]
) -> None:
    found = KnownCosts(folder).cost(HALF)
    path = cache_file(folder)
    path.write_text(damage(json.loads(path.read_text())))
    assert KnownCosts(folder).cost(HALF) == KnownCosts(folder).cost(HALF) == found
    assert counted == [HALF.id] * 2


def test_another_architecture_s_file_under_this_name_is_not_believed(
    folder: SupernetFolder, tiny_easy_folder: Path, counted: list[str]
) -> None:
    other = read_folder(tiny_easy_folder)
    KnownCosts(other).cost(HALF)
    cache_file(folder).write_bytes(cache_file(other).read_bytes())
    assert KnownCosts(folder).cost(HALF) != KnownCosts(other).cost(HALF)
    assert counted == [HALF.id] * 2


def test_where_nothing_can_be_written_it_is_counted_each_time(
    folder: SupernetFolder, counted: list[str], caches: Path
) -> None:
    caches.write_text("a file, where a folder is needed")
    assert KnownCosts(folder).cost(HALF) == KnownCosts(folder).cost(HALF)
    assert counted == [HALF.id] * 2


def test_a_folder_in_the_file_s_place_does_no_harm(folder: SupernetFolder, counted: list[str]) -> None:
    cache_file(folder).mkdir(parents=True)
    assert KnownCosts(folder).cost(HALF) == KnownCosts(folder).cost(HALF)
    assert counted == [HALF.id] * 2


def test_without_a_home_it_is_counted_each_time(
    folder: SupernetFolder, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", homeless)
    assert KnownCosts(folder).cost(HALF) == KnownCosts(folder).cost(HALF)
    assert counted == [HALF.id] * 2


@pytest.mark.parametrize("value", ["", "relative/caches"])
def test_the_cache_lies_in_the_user_s_home(
    value: str, folder: SupernetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_file(folder) == tmp_path / ".cache" / "bstsearch" / "costs" / f"{folder.architecture}.json"


def test_what_cannot_be_counted_is_an_error_and_not_kept(folder: SupernetFolder) -> None:
    broken = dataclasses.replace(folder, config={**folder.config, "hidden": 18})
    with pytest.raises(InputError, match="hidden=18 times 1/4 is not a whole number"):
        KnownCosts(broken).cost(Submodel.from_id("w1of4-d1"))
    assert not cache_file(broken).exists()


def test_the_code_that_counts_is_part_of_the_key(
    folder: SupernetFolder, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    KnownCosts(folder).cost(HALF)
    monkeypatch.setattr(known_costs, "_counted_by", lambda: "0" * 16)
    KnownCosts(folder).cost(HALF)
    assert counted == [HALF.id] * 2


def test_every_file_that_a_model_is_made_of_is_part_of_the_key() -> None:
    for pattern in (*known_costs.COUNTING, *known_costs.MODELS):
        assert list(known_costs.PACKAGE.glob(pattern)), pattern


def test_sizes_that_cannot_be_counted_are_one_line(folder: SupernetFolder) -> None:
    other = dataclasses.replace(folder, config={**folder.config, "dropout": 7.0})
    with pytest.raises(InputError, match=r"^mcan cannot be counted at these sizes: dropout probability"):
        KnownCosts(other).cost(HALF)
