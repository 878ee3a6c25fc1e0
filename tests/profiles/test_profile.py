from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bstsearch.errors import InputError
from bstsearch.profiles.profile import Cluster, DeviceProfile
from bstsearch.profiles.profile_file import load_profile

MakeProfile = Callable[..., DeviceProfile]
Data = dict[str, Any]

ERROR = {"median": 0.1, "p90": 0.2, "worst": 0.3, "interval": 0.3, "rank_correlation": None, "rows": 9}
RATES = {"gflops_per_s": 10.0, "exponent": 0.9, "gb_per_s": 3.0, "smallest_gflops": 0.6, "largest_gflops": 6.0}


@pytest.fixture
def data(tiny_folder: Path, make_profile: MakeProfile) -> Data:
    """A sound profile as plain data."""
    return make_profile(tiny_folder).to_json()


@pytest.fixture
def estimated(data: Data) -> Data:
    """A sound profile of a device that nobody measured, as plain data."""
    return data | {
        "obtained": "estimated",
        "via": None,
        "sources": [{"what": "specifications", "where": "https://example.org"}],
        "error": ERROR | {"computed_on": "other devices"},
        "rates": RATES | {"arithmetic": "made up"},
        "models": [],
    }


def load(data: object, tmp_path: Path) -> DeviceProfile:
    path = tmp_path / "local.json"
    path.write_text(json.dumps(data))
    return load_profile(path)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("latency_ms", -1.0, "input should be greater than 0, not -1.0"),
        ("latency_ms", 0, "input should be greater than 0, not 0"),
        ("latency_ms", math.nan, "input should be a finite number, not nan"),
        ("latency_ms", math.inf, "input should be a finite number, not inf"),
        ("latency_ms", "0.5", "input should be a valid number, not '0.5'"),
        ("latency_ms", None, "input should be a valid number, not None"),
        ("times_ms", [], "tuple should have at least 1 item after validation, not 0"),
        ("peak_memory_bytes", 1.5, "input should be a valid integer"),
        ("weight_bytes", 0, "input should be greater than 0"),
        ("role", "train", "input should be 'fit' or 'check', not 'train'"),
        ("id", "w2-d1", "'w2-d1' is not a submodel id"),
        ("surprise", 1, "extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_of_a_row_is_named(field: str, value: object, problem: str, data: Data, tmp_path: Path) -> None:
    row = data["models"][0]["submodels"][2]
    row[field] = value
    with pytest.raises(InputError) as caught:
        load(data, tmp_path)
    place = f"models, entry 1, submodels, row 3 ({row['id']}), {field}"
    assert str(caught.value).startswith(f"device profile {tmp_path / 'local.json'}, {place}: {problem}")
    assert "\n" not in str(caught.value)


def test_a_wrong_time_is_named_by_its_place(data: Data, tmp_path: Path) -> None:
    data["models"][0]["submodels"][0]["times_ms"][1] = -2
    with pytest.raises(InputError, match=r"row 1 \(w1of4-d1of4\), times_ms, entry 2: input should be greater than 0"):
        load(data, tmp_path)


def test_a_missing_latency_is_named(data: Data, tmp_path: Path) -> None:
    del data["models"][0]["submodels"][0]["latency_ms"]
    with pytest.raises(InputError, match=r"submodels, row 1 \(w1of4-d1of4\), latency_ms: field required$"):
        load(data, tmp_path)


def test_a_latency_outside_its_interval_is_refused(data: Data, tmp_path: Path) -> None:
    row = data["models"][0]["submodels"][0]
    row["low_ms"] = 2 * row["latency_ms"]
    with pytest.raises(InputError, match=r"row 1 \(w1of4-d1of4\): latency_ms .* must lie between low_ms and high_ms$"):
        load(data, tmp_path)


@pytest.mark.parametrize("row", ["w1-d1", None, []])
def test_a_row_that_is_no_object_is_named(row: object, data: Data, tmp_path: Path) -> None:
    data["models"][0]["submodels"][1] = row
    with pytest.raises(InputError, match=r"submodels, entry 2: input should be"):
        load(data, tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("latency_ms", math.nan, "input should be a finite number, not nan"),
        ("width", "0.5", "string should match pattern"),
        ("heads", "0/2", "string should match pattern"),
        ("weight_bytes", -1, "input should be greater than or equal to 0, not -1"),
        ("surprise", 1, "extra inputs are not permitted"),
    ],
)
def test_a_wrong_field_of_a_block_is_named(field: str, value: object, problem: str, data: Data, tmp_path: Path) -> None:
    data["models"][0]["blocks"][4][field] = value
    with pytest.raises(InputError, match=rf"models, entry 1, blocks, entry 5, {field}: {problem}"):
        load(data, tmp_path)


def test_a_block_may_cost_less_than_nothing(data: Data, tmp_path: Path) -> None:
    """It is a share of a sum, and a fit may give one share too much."""
    data["models"][0]["blocks"][0]["latency_ms"] = -0.001
    assert load(data, tmp_path).models[0].blocks[0].latency_ms == -0.001


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("units", "latency"), "s", r"units, latency: input should be 'ms', not 's'"),
        (("units", "memory"), "MB", r"units, memory: input should be 'bytes', not 'MB'"),
        (("obtained",), "guessed", r"obtained: input should be 'measured', 'calibrated' or 'estimated', not 'guessed'"),
        (("via",), "tel net", r"via: string should match pattern .*, not 'tel net'"),
        (("runtime", "threads"), 0, r"runtime, threads: input should be greater than 0"),
        (("runtime", "precision"), "int8", r"runtime, precision: input should be 'float32', not 'int8'"),
        (("models", 0, "architecture"), "x", r"models, entry 1, architecture: string should match pattern"),
        (("hardware",), None, r"hardware: input should be"),
        (("hardware", "cores"), 0, r"hardware, cores: input should be greater than 0"),
        (("date",), "yesterday", r"date: input should be a valid datetime"),
        (("date",), "2025-01-31T12:00:00", r"date: input should have timezone info"),
        (("models", 0, "submodels"), [], r"models, entry 1, submodels: tuple should have at least 1 item"),
        (("models",), None, r"models: input should be a valid tuple"),
        (
            ("models", 0, "error", "worst"),
            -0.1,
            r"models, entry 1, error, worst: input should be greater than",
        ),
        (("models", 0, "memory", "weight_copies"), -1.0, r"models, entry 1, memory, weight_copies: input should be"),
        (("device",), "phone", r"device: 'phone', expected 'local', the file's name$"),
    ],
)
def test_a_wrong_field_of_the_head_is_named(
    place: tuple[Any, ...], value: object, problem: str, data: Data, tmp_path: Path
) -> None:
    inner: Any = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(InputError, match=rf"^device profile .*local\.json, {problem}") as caught:
        load(data, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", DeviceProfile.__struct_fields__)
def test_every_key_is_required(key: str, data: Data, tmp_path: Path) -> None:
    del data[key]
    with pytest.raises(InputError, match=r"has format None" if key == "format" else rf", {key}: field required$"):
        load(data, tmp_path)


def test_an_id_that_occurs_twice_is_named(data: Data, tmp_path: Path) -> None:
    rows = data["models"][0]["submodels"]
    rows.append(rows[0])
    with pytest.raises(InputError, match=r"entry 1, submodels: 'w1of4-d1of4' occurs 2 times, expected once$"):
        load(data, tmp_path)


def test_a_block_that_occurs_twice_is_named(data: Data, tmp_path: Path) -> None:
    blocks = data["models"][0]["blocks"]
    blocks.append(blocks[0])
    with pytest.raises(InputError, match=r"blocks: 'base width 1/4 heads None ffn None' occurs 2 times"):
        load(data, tmp_path)


def test_a_model_that_occurs_twice_is_named(data: Data, tmp_path: Path) -> None:
    data["models"].append(data["models"][0])
    with pytest.raises(InputError, match=rf"'{data['models'][0]['architecture']}' occurs 2 times, expected once$"):
        load(data, tmp_path)


def test_an_estimated_profile_has_rates_in_place_of_models(estimated: Data, tmp_path: Path) -> None:
    assert load(estimated, tmp_path).rates is not None
    assert load(estimated | {"obtained": "calibrated"}, tmp_path).obtained == "calibrated"


@pytest.mark.parametrize("lost", ["rates", "error", "sources"])
def test_an_estimate_without_its_grounds_is_refused(lost: str, estimated: Data, tmp_path: Path) -> None:
    estimated[lost] = [] if lost == "sources" else None
    with pytest.raises(InputError, match=r"a profile that is estimated has rates, error and sources, and no models$"):
        load(estimated, tmp_path)


def test_a_profile_is_measured_or_predicted_not_both(data: Data, estimated: Data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a measured profile has models, and no rates or error beside theirs"):
        load(data | {"rates": estimated["rates"]}, tmp_path)
    with pytest.raises(InputError, match="a measured profile has models"):
        load(data | {"models": []}, tmp_path)
    with pytest.raises(InputError, match="a profile that is estimated has rates, error and sources, and no models"):
        load(estimated | {"models": data["models"]}, tmp_path)


def test_only_the_same_architecture_is_found(tiny_folder: Path, make_profile: MakeProfile) -> None:
    profile = make_profile(tiny_folder, "phone")
    (model,) = profile.models
    assert profile.get_model(model.architecture, "mcan") is model
    for architecture, family in (("0" * 16, "mcan"), (model.architecture, "uniter")):
        with pytest.raises(InputError) as caught:
            profile.get_model(architecture, family)
        assert str(caught.value) == (
            f"device profile 'phone' holds no measurement of this model ({family} {architecture}), only of: mcan "
            f"{model.architecture}; measure it with 'bstsearch profile --device phone --measure' and the same "
            "--supernet"
        )


def test_the_peak_of_a_cluster_is_a_sum_to_check() -> None:
    cluster = Cluster(core="Cortex-A72", cores=4, clock_ghz=1.5, fp32_flop_per_cycle=8, evidence="theory")
    assert cluster.peak_gflops == 12.0
    assert cluster.arithmetic == "4 x 1.5 GHz x 8 FLOP/cycle = 48 GFLOP/s"
    unknown = structs.replace(cluster, fp32_flop_per_cycle=None)
    assert (unknown.peak_gflops, unknown.arithmetic) == (None, "4 x 1.5 GHz, peak not known")
