from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bstsearch.errors import InputError
from bstsearch.profiles.profile import Cluster, DeviceProfile
from bstsearch.profiles.profile_file import load_profile
from bstsearch.reading import checked

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


def refusal(data: object, tmp_path: Path) -> str:
    """Why the file with these data is refused, in one line."""
    with pytest.raises(InputError) as caught:
        load(data, tmp_path)
    return str(caught.value)


def load(data: object, tmp_path: Path) -> DeviceProfile:
    path = tmp_path / "local.json"
    path.write_text(json.dumps(data))
    return load_profile(path)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("latency_ms", -1.0, "expected float > 0.0"),
        ("latency_ms", 0, "expected float > 0.0"),
        ("latency_ms", 10**400, "number out of range"),
        ("latency_ms", "0.5", "expected float, got str"),
        ("latency_ms", None, "expected float, got null"),
        ("latency_ms", True, "expected float, got bool"),
        ("times_ms", [], "expected array of length >= 1"),
        ("peak_memory_bytes", 1.5, "expected int | null, got float"),
        ("weight_bytes", 0, "expected int >= 1"),
        ("weight_bytes", 2**64, "expected int <= 9223372036854775807"),
        ("role", "train", "invalid enum value 'train'"),
    ],
)
def test_a_wrong_field_of_a_row_is_named(field: str, value: object, problem: str, data: Data, tmp_path: Path) -> None:
    data["models"][0]["submodels"][2][field] = value
    assert refusal(data, tmp_path) == f"{tmp_path / 'local.json'}, models[0].submodels[2].{field}: {problem}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_latency_that_is_no_number_is_refused(value: float, data: Data, tmp_path: Path) -> None:
    """JSON has no such numbers, though Python writes them."""
    data["models"][0]["submodels"][2]["latency_ms"] = value
    assert f"{tmp_path / 'local.json'}: malformed (invalid character (byte " in refusal(data, tmp_path)
    with pytest.raises(InputError, match=r"models\[0\]\.submodels\[2\]\.latency_ms: expected float"):
        checked(data, DeviceProfile, "made up")


@pytest.mark.parametrize("text", ["w2-d1", "", "w1-d1\x1b[2J", "w" * 10_000])
def test_an_id_of_no_submodel_is_refused_without_moving_the_cursor(text: str, data: Data, tmp_path: Path) -> None:
    data["models"][0]["submodels"][2]["id"] = text
    line = refusal(data, tmp_path)
    assert "models[0].submodels[2]: id: " in line
    assert line.isprintable()
    assert len(line) < 300


def test_a_field_that_there_is_not_is_named(data: Data, tmp_path: Path) -> None:
    data["models"][0]["submodels"][2]["surprise"] = 1
    told = "models[0].submodels[2]: object contains unknown field surprise"
    assert refusal(data, tmp_path) == f"{tmp_path / 'local.json'}, {told}"


def test_a_wrong_time_is_named_by_its_place(data: Data, tmp_path: Path) -> None:
    data["models"][0]["submodels"][0]["times_ms"][1] = -2
    assert refusal(data, tmp_path).endswith("models[0].submodels[0].times_ms[1]: expected float > 0.0")


def test_a_missing_latency_is_named(data: Data, tmp_path: Path) -> None:
    del data["models"][0]["submodels"][0]["latency_ms"]
    assert refusal(data, tmp_path).endswith("models[0].submodels[0]: object missing required field latency_ms")


def test_a_latency_outside_its_interval_is_refused(data: Data, tmp_path: Path) -> None:
    row = data["models"][0]["submodels"][0]
    row["low_ms"] = 2 * row["latency_ms"]
    told = f"models[0].submodels[0]: latency_ms {row['latency_ms']} must lie between low_ms and high_ms"
    assert refusal(data, tmp_path).endswith(told)


@pytest.mark.parametrize(("row", "kind"), [("w1-d1", "str"), (None, "null"), ([], "array")])
def test_a_row_that_is_no_object_is_named(row: object, kind: str, data: Data, tmp_path: Path) -> None:
    data["models"][0]["submodels"][1] = row
    assert refusal(data, tmp_path).endswith(f"models[0].submodels[1]: expected object, got {kind}")


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("latency_ms", None, r"\.latency_ms: expected float, got null$"),
        ("width", "0.5", r"\.width: expected str matching regex "),
        ("width", "1/" + "9" * 5000, r"\.width: expected str "),
        ("heads", "0/2", r"\.heads: expected str matching regex "),
        ("weight_bytes", -1, r"\.weight_bytes: expected int >= 0$"),
        ("surprise", 1, r": object contains unknown field surprise$"),
    ],
)
def test_a_wrong_field_of_a_block_is_named(field: str, value: object, problem: str, data: Data, tmp_path: Path) -> None:
    data["models"][0]["blocks"][4][field] = value
    with pytest.raises(InputError, match=rf"local\.json, models\[0\]\.blocks\[4\]{problem}"):
        load(data, tmp_path)


def test_a_block_may_cost_less_than_nothing(data: Data, tmp_path: Path) -> None:
    """It is a share of a sum, and a fit may give one share too much."""
    data["models"][0]["blocks"][0]["latency_ms"] = -0.001
    assert load(data, tmp_path).models[0].blocks[0].latency_ms == -0.001


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("units", "latency"), "s", r", units\.latency: invalid enum value 's'$"),
        (("units", "memory"), "MB", r", units\.memory: invalid enum value 'MB'$"),
        (("obtained",), "guessed", r", obtained: invalid enum value 'guessed'$"),
        (("via",), "tel net", r", via: expected str matching regex "),
        (("runtime", "threads"), 0, r", runtime\.threads: expected int >= 1$"),
        (("runtime", "precision"), "int8", r", runtime\.precision: invalid enum value 'int8'$"),
        (("models", 0, "architecture"), "x", r", models\[0\]\.architecture: expected str matching regex "),
        (("hardware",), None, r", hardware: expected object, got null$"),
        (("hardware", "title"), "", r", hardware\.title: expected str of length >= 1$"),
        (("hardware", "title"), "a" * 300_000, r", hardware\.title: expected str of length <= 4000$"),
        (("hardware", "cores"), 0, r", hardware\.cores: expected int >= 1$"),
        (("notes",), ["a" * 300_000], r", notes\[0\]: expected str of length <= 4000$"),
        (("date",), "yesterday", r", date: invalid RFC3339 encoded datetime$"),
        (("date",), "2025-01-31T12:00:00", r", date: expected datetime with a timezone component$"),
        (("models", 0, "submodels"), [], r", models\[0\]\.submodels: expected array of length >= 1$"),
        (("models",), None, r", models: expected array, got null$"),
        (("models", 0, "error", "worst"), -0.1, r", models\[0\]\.error\.worst: expected float >= 0.0$"),
        (("models", 0, "memory", "weight_copies"), -1.0, r", models\[0\]\.memory\.weight_copies: expected float >="),
        (("device",), "phone", r", device: 'phone', expected 'local', the file's name$"),
        (("device",), "a" * 300_000, r", device: expected str of length <= 4000$"),
    ],
)
def test_a_wrong_field_of_the_head_is_named(
    place: tuple[Any, ...], value: object, problem: str, data: Data, tmp_path: Path
) -> None:
    inner: Any = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    line = refusal(data, tmp_path)
    assert re.search(rf"^{tmp_path / 'local.json'}{problem}", line)
    assert line.isprintable()


@pytest.mark.parametrize("key", DeviceProfile.__struct_fields__)
def test_every_key_is_required(key: str, data: Data, tmp_path: Path) -> None:
    del data[key]
    told = " has format None; this" if key == "format" else f": object missing required field {key}"
    assert refusal(data, tmp_path).startswith(f"{tmp_path / 'local.json'}{told}")


def test_an_id_that_occurs_twice_is_named(data: Data, tmp_path: Path) -> None:
    rows = data["models"][0]["submodels"]
    rows.append(rows[0])
    assert refusal(data, tmp_path).endswith("models[0]: submodels: 'w1of4-d1of4' occurs 2 times, expected once")


def test_a_block_that_occurs_twice_is_named(data: Data, tmp_path: Path) -> None:
    blocks = data["models"][0]["blocks"]
    blocks.append(blocks[0])
    assert "models[0]: blocks: 'base width 1/4 heads None ffn None' occurs 2 times" in refusal(data, tmp_path)


def test_a_model_that_occurs_twice_is_named(data: Data, tmp_path: Path) -> None:
    data["models"].append(data["models"][0])
    told = f"models: '{data['models'][0]['architecture']}' occurs 2 times, expected once"
    assert refusal(data, tmp_path).endswith(told)


@pytest.mark.parametrize("title", ["a\x1b[31mb", "a\x07b", "a\u202eb", "<b>a&b"])
def test_a_notebook_shows_no_more_than_text_of_a_shared_profile(title: str, data: Data, tmp_path: Path) -> None:
    data["hardware"]["title"] = title
    shown = load(data, tmp_path)._repr_html_().partition("</p>")[0]
    assert shown.isprintable()
    assert "<b>" not in shown


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


def test_a_precision_that_was_not_measured_is_told_with_what_measures_it(
    tiny_folder: Path, make_profile: MakeProfile
) -> None:
    profile = make_profile(tiny_folder, "phone", model={"precision": "float16"})
    (model,) = profile.models
    assert profile.get_model(model.architecture, "mcan", "float16") is model
    with pytest.raises(InputError) as caught:
        profile.get_model(model.architecture, "mcan", "int8")
    assert str(caught.value) == (
        f"device profile 'phone' holds no measurement of this model (mcan {model.architecture} in int8), only of: mcan "
        f"{model.architecture} in float16; measure it with 'bstsearch profile --device phone --precision int8 "
        "--measure' and the same --supernet"
    )


def test_a_model_of_older_files_was_measured_in_float32(data: Data, tmp_path: Path) -> None:
    data["models"][0].pop("precision", None)
    assert load(data, tmp_path).models[0].precision == "float32"


def test_a_phase_that_was_not_measured_is_told_with_what_measures_it(
    tiny_folder: Path, make_profile: MakeProfile
) -> None:
    profile = make_profile(tiny_folder, "phone", model={"phase": "decode"})
    (model,) = profile.models
    assert profile.get_model(model.architecture, "mcan", phase="decode") is model
    with pytest.raises(InputError) as caught:
        profile.get_model(model.architecture, "mcan")
    assert (
        f"only of: mcan {model.architecture}, decode; measure it with 'bstsearch profile --device phone --mea"
        in str(caught.value)
    )
    with pytest.raises(InputError, match="--device phone --precision int8 --phase prefill --measure'"):
        profile.get_model(model.architecture, "mcan", "int8", "prefill")


def test_phases_of_one_architecture_stand_beside_each_other_and_files_without_are_of_the_whole(
    data: Data, tmp_path: Path
) -> None:
    (whole,) = data["models"]
    both = load({**data, "models": [whole, whole | {"phase": "decode"}]}, tmp_path)
    assert [model.phase for model in both.models] == ["whole", "decode"]
    del whole["phase"]
    assert load(data, tmp_path).models[0].phase == "whole"
    with pytest.raises(InputError, match=r"models: '[0-9a-f]{16}, decode' occurs 2 times"):
        load({**data, "models": [whole | {"phase": "decode"}] * 2}, tmp_path)
