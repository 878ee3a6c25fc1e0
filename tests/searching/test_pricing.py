from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from bstsearch.errors import InputError
from bstsearch.model.counting import count
from bstsearch.model.supernet import Supernet
from bstsearch.model.supernet_folder import read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import save_profile
from bstsearch.searching.pricing import extrapolations, known_costs, make_pricer, read_profile
from bstsearch.searching.scoring import make_scorer
from bstsearch.space import Submodel
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.tasks.evaluation import evaluate
from bstsearch.tasks.split import ImageSplit

MakeProfile = Callable[..., DeviceProfile]


def test_price_is_fvcores_count_and_the_profiles_row(tiny_folder: Path, make_profile: MakeProfile) -> None:
    profile = make_profile(tiny_folder)
    supernet = Supernet.load(tiny_folder)
    submodel = supernet.space.middle
    candidate = make_pricer(read_folder(tiny_folder), profile)(submodel)
    cost = count(supernet.family, supernet.config, submodel)
    (row,) = (row for row in profile.models[0].submodels if row.id == submodel.id)
    assert (candidate.macs, candidate.parameters) == (cost.macs, cost.parameters)
    assert (candidate.latency.ms, candidate.memory.bytes) == (row.latency_ms, row.peak_memory_bytes)
    assert candidate.accuracy is None


def test_price_of_a_layerwise_submodel_is_composed(tiny_folder: Path, make_profile: MakeProfile) -> None:
    candidate = make_pricer(read_folder(tiny_folder), make_profile(tiny_folder))(Submodel.from_id("w1-d1of4-h1.4of4"))
    assert candidate.latency.source == candidate.memory.source == "composed"
    assert candidate.latency.safe_ms == candidate.latency.high_ms > candidate.latency.ms


def test_scorer_evaluates_with_the_supernets_weights(
    tiny_easy_folder: Path, small_split: ImageSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    monkeypatch.setattr(EasyVqa, "split", lambda self, name, reader: loads.append(name) or small_split)
    score = make_scorer(tiny_easy_folder, "validation")
    assert loads == []
    supernet = Supernet.load(tiny_easy_folder)
    for submodel in (supernet.space.smallest, supernet.space.largest):
        assert score.score(submodel).score == evaluate(supernet, submodel, small_split)
    assert loads == ["validation"]


def test_origin_says_what_everything_was(tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> None:
    path = save_profile(make_profile(tiny_folder, "laptop"), tmp_path)
    folder = read_folder(tiny_folder)
    profile, origin = read_profile(folder, "laptop", tmp_path, folder.space, "validation")
    assert origin.supernet["digest"] == folder.digest()
    assert origin.device["name"] == profile.device == path.stem
    assert origin.device["runtime"]["threads"] == 2
    assert (origin.device["via"], origin.device["latency_error"]) == ("local", 0.25)
    path.write_text(path.read_text().replace("Test CPU", "Another CPU"))
    _, other = read_profile(folder, "laptop", tmp_path, folder.space, "validation")
    assert other.device["digest"] != origin.device["digest"]


def test_what_is_estimated_says_so_in_price_and_origin(
    tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile, tmp_path: Path
) -> None:
    folder = read_folder(tiny_folder)
    save_profile(make_estimated(tiny_folder), tmp_path)
    profile, origin = read_profile(folder, "phone", tmp_path, folder.space, "validation")
    assert (origin.device["obtained"], origin.device["via"], origin.device["latency_error"]) == ("estimated", None, 0.4)
    candidate = make_pricer(folder, profile)(folder.space.middle)
    assert candidate.latency.source == candidate.memory.source == "estimated"
    assert candidate.latency.high_ms == pytest.approx(1.4 * candidate.latency.ms)
    assert candidate.memory.safe_bytes == candidate.memory.high_bytes > candidate.memory.bytes > candidate.size_bytes


def test_what_the_rates_were_not_made_for_is_told(
    tiny_folder: Path, make_profile: MakeProfile, make_estimated: MakeProfile
) -> None:
    folder = read_folder(tiny_folder)
    costs = known_costs(folder)
    gflops = {submodel: costs.cost(submodel).gflops for submodel in folder.space}
    (warning,) = extrapolations(folder, make_estimated(tiny_folder), gflops)
    assert warning.startswith("w1of4-d1of4 has ")
    assert "the published models behind the rates of phone have 0.6 to 6" in warning
    rates = make_estimated(tiny_folder).rates
    assert rates is not None
    wide = structs.replace(rates, smallest_gflops=1e-9)
    assert extrapolations(folder, make_estimated(tiny_folder, rates=wide), gflops) == []
    assert extrapolations(folder, make_profile(tiny_folder), gflops) == []


def test_the_data_set_is_told_only_where_it_is_not_the_supernets(
    tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_folder), tmp_path)
    folder = read_folder(tiny_folder)
    named = [read_profile(folder, "local", tmp_path, folder.space, "test", data=data)[1] for data in (None, "easy-vqa")]
    assert [origin.data_set for origin in named] == [None, None]
    _, other = read_profile(folder, "local", tmp_path, folder.space, "test", data="sort-of-clevr")
    assert other.data_set == "sort-of-clevr"


def test_each_precision_has_its_own_latencies_and_sizes(tiny_folder: Path, make_profile: MakeProfile) -> None:
    profile, folder = make_profile(tiny_folder), read_folder(tiny_folder)
    (exact,) = profile.models
    rows = [structs.replace(row, latency_ms=row.low_ms, weight_bytes=777) for row in exact.submodels]
    int8 = structs.replace(exact, precision="int8", submodels=tuple(rows))
    both, one = structs.replace(profile, models=(exact, int8)), folder.space.middle
    price = make_pricer(folder, both)
    usual, quick = price(one), price(one.at("int8"))
    assert (quick.parameters, quick.macs) == (usual.parameters, usual.macs)
    assert quick.latency.ms == usual.latency.low_ms < usual.latency.ms
    assert (quick.size_bytes, usual.size_bytes) == (777, 4 * usual.parameters)
    with pytest.raises(InputError, match=r"in float16.* measure it with 'bstsearch profile .*--precision float16"):
        price(one.at("float16"))


def test_rates_tell_nothing_of_other_precisions(tiny_folder: Path, make_estimated: MakeProfile) -> None:
    price = make_pricer(read_folder(tiny_folder), make_estimated(tiny_folder))
    assert price(Submodel()).latency.source == "estimated"
    with pytest.raises(InputError, match="is estimated, for float32 only, and w1-d1-int8 computes in int8; measure it"):
        price(Submodel(precision="int8"))


def test_a_search_needs_each_precision_of_its_space(
    tiny_folder: Path, make_profile: MakeProfile, tmp_path: Path
) -> None:
    save_profile(make_profile(tiny_folder, "laptop"), tmp_path)
    folder = read_folder(tiny_folder).part("trained", ["int8"])
    with pytest.raises(InputError, match="--device laptop --precision int8 --measure"):
        read_profile(folder, "laptop", tmp_path, folder.space, "validation")
