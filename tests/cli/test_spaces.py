"""`--space` means the same in all verbs: the part of what was trained, by a name or by a file."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from bstsearch.families.mcan import FAMILY
from bstsearch.model.supernet_folder import SupernetFolder, read_folder
from bstsearch.profiles.profile import DeviceProfile
from bstsearch.profiles.profile_file import load_profile, save_profile
from bstsearch.searching.front_file import read_front, write_front
from bstsearch.space import Submodel
from bstsearch.tasks.easy_vqa import EasyVqa
from bstsearch.training import order

Invoke = Callable[..., Any]
MakeProfile = Callable[..., DeviceProfile]

HALF = {"widths": ["1/4", "1/2"], "layer_heads": ["1/4", "1/2"], "layer_ffn": ["1/4", "1/2"]}
FREE = "w1of2-d1.2of2-h121212of4-f221122of4"  # depths, heads and FFN units of its own, at most half of each


@pytest.fixture
def net(invoke: Invoke, yes_folder: Path, make_profile: MakeProfile, tmp_path: Path) -> Path:
    """A supernet that was trained on ten submodels, and a profile of it, in the current folder."""
    shutil.copytree(yes_folder, tmp_path / "net")
    save_profile(make_profile(tmp_path / "net"), tmp_path / "profiles")
    return Path("net")


@pytest.fixture
def elastic(net: Path) -> SupernetFolder:
    """The same, as if it had been trained on all of its submodels."""
    folder = read_folder(net)
    dataclasses.replace(folder, space=folder.space.elastic).write()
    return read_folder(net)


def write(data: Any, name: str = "space.json") -> str:
    Path(name).write_text(data if isinstance(data, str) else json.dumps(data))
    return name


@pytest.fixture
def front(easy_front: Path, elastic: SupernetFolder) -> Path:
    """A front of the elastic supernet."""
    from bstsearch.reading import digest

    file = read_front(easy_front)
    supernet = {**file.origin.supernet, "path": str(elastic.path.resolve()), "digest": elastic.digest()}
    device = {**file.origin.device, "digest": digest(Path("profiles/local.json"))}
    origin = dataclasses.replace(file.origin, supernet=supernet, device=device)
    write_front(dataclasses.replace(file, origin=origin), Path("front.json"))
    return Path("front.json")


VERBS = {
    "space": ("space", "--supernet", "net"),
    "profile": ("profile", "--supernet", "net"),
    "pareto": ("pareto", "--supernet", "net", "--device", "local"),
    "eval": ("eval", "--model", "net"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("net")
def test_what_was_not_trained_is_refused_in_one_line(invoke: Invoke, verb: str) -> None:
    result = invoke(*VERBS[verb], "--space", "elastic")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: net was not trained on all of the space 'elastic', but on 10 submodels: widths 1/4, 1/2, 3/4, 1, "
        "depths 1/4, 1/2, 3/4, 1; choose a part of that, or train it with --space elastic\n"
    )
    assert [path.name for path in Path().iterdir() if path.name.startswith("front")] == []


BAD = [
    ({"widht": ["1/2"]}, 4, "object contains unknown field widht"),
    ({"layer_heads": ["1/2", "half"]}, 4, "layer_heads"),
    ({"widths": []}, 4, "space.widths must hold at least one share"),
    ({"depths": ["1/3", "1"]}, 4, "depth 1/3 of 4 layers is not a whole number of layers"),
    ({"stacks": [6, 6]}, 4, "object contains unknown field stacks"),
    ({"least_depths": ["1/4"]}, 4, "space.least_depths must be one of space.depths for each width"),
    ([], 4, "expected"),
    ("{", 4, ""),
    ({"widths": ["1/8"]}, 2, "net was not trained on all of the space 'space.json'"),
]


@pytest.mark.parametrize(("data", "code", "message"), BAD)
@pytest.mark.usefixtures("net")
def test_a_bad_file_is_one_clear_line(invoke: Invoke, data: Any, code: int, message: str) -> None:
    result = invoke(*VERBS["space"], "--space", write(data))
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (code, "", 1)
    assert message in result.stderr
    assert result.stderr.startswith("error: space.json" if code == 4 else "error: net")


@pytest.mark.usefixtures("net")
def test_a_space_that_is_not_there_is_one_clear_line(invoke: Invoke) -> None:
    missing = invoke(*VERBS["eval"], "--space", "none.json")
    assert (missing.exit_code, missing.stderr) == (4, "error: none.json does not exist\n")
    unknown = invoke(*VERBS["eval"], "--space", "layerwise")
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (2, 1)
    assert (
        "unknown space 'layerwise'; there are trained, bst, elastic, elastic-tokens, or give a JSON file"
        in unknown.stderr
    )


def test_sizes_that_do_not_fit_a_preset_are_one_clear_line(invoke: Invoke) -> None:
    path = write({"widths": ["3/8", "1"]})
    result = invoke("space", "--preset", "mcan-easy-vqa", "--space", path)
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert result.stderr.startswith("error: space.json: encoder_heads=4 times 3/8 is not a whole number; choose other")


# space


def test_an_elastic_space_is_counted_on_a_part_of_it(invoke: Invoke, elastic: SupernetFolder) -> None:
    result = invoke(*VERBS["space"])
    assert result.exit_code == 0, result.stderr
    rows = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("w")]
    assert rows[:10] == [one.id for one in elastic.space.grid()]
    assert 20 <= len(rows) <= 25
    assert all(Submodel.from_id(row) in elastic.space for row in rows)
    assert max(map(len, result.stdout.splitlines()[: len(rows) + 5])) <= 80
    assert "of each stack by itself, each layer with its own share of heads (1/4, 1/2, 3/4, 1)" in result.stdout
    data = json.loads(invoke(*VERBS["space"], "--json").stdout)
    assert data["size"] == elastic.space.size > 10**9
    assert data["corners"]["largest"] == "w1-d1"
    assert [one["id"] for one in data["submodels"]] == rows


def test_a_part_without_the_full_model_is_counted_in_shares_of_it(invoke: Invoke, elastic: SupernetFolder) -> None:
    write(HALF, "half.json")
    arguments = (*VERBS["space"], "--space", "half.json", "--device", "local", "--budget-ms", "50%", "--json")
    data = json.loads(invoke(*arguments).stdout)
    assert data["corners"]["largest"] == "w1of2-d1"
    assert "w1-d1" not in [one["id"] for one in data["submodels"]]
    assert max(one["macs_ratio"] for one in data["submodels"]) < 0.5
    assert data["devices"][0]["budget_ms"] == pytest.approx(0.5 * 1.01)
    assert elastic.space.size > data["size"]


# profile


@pytest.mark.usefixtures("elastic")
def test_a_profile_shows_the_rows_of_the_part(invoke: Invoke) -> None:
    result = invoke(*VERBS["profile"], "--space", write(HALF))
    assert result.exit_code == 0, result.stderr
    rows = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("w")]
    assert rows == [name for name in rows if name.startswith(("w1of4", "w1of2"))] != []


# eval and export


@pytest.mark.usefixtures("few_questions", "elastic")
def test_all_of_a_small_space_are_scored_and_the_uniform_ones_of_a_large_one(invoke: Invoke) -> None:
    small = write({"widths": ["1/4"], "depths": ["1/4"], "layer_heads": ["1/4", "1/2"], "layer_ffn": ["1/4"]})
    data = json.loads(invoke(*VERBS["eval"], "--space", small, "--all", "--json").stdout)
    assert [one["id"] for one in data["submodels"]] == [
        "w1of4-d1of4",
        "w1of4-d1of4-h12of4",
        "w1of4-d1of4-h21of4",
        "w1of4-d1of4-h11of2",
    ]
    largest = json.loads(invoke(*VERBS["eval"], "--space", write(HALF), "--json").stdout)
    assert [one["id"] for one in largest["submodels"]] == ["w1of2-d1"]
    named = json.loads(invoke(*VERBS["eval"], "--submodel", FREE, "--json").stdout)
    assert [one["id"] for one in named["submodels"]] == [FREE]


@pytest.mark.usefixtures("few_questions")
def test_any_trained_submodel_is_exported_by_its_id(invoke: Invoke, front: Path) -> None:
    result = invoke("export", "--front", front, "--pick", FREE, "--space", write(HALF))
    assert result.exit_code == 0, result.stderr
    assert f"took {FREE} (not in {front}): not scored yet, " in result.stderr
    manifest = json.loads(Path(f"export/{FREE}/manifest.json").read_text())
    assert manifest["submodel"]["id"] == FREE
    assert manifest["accuracy"]["correct"] == manifest["checks"]["model.onnx"]["accuracy"]["correct"] > 0
    assert invoke("eval", "--model", f"export/{FREE}").exit_code == 0


@pytest.mark.usefixtures("few_questions")
def test_an_untrained_or_other_submodel_is_not_exported(invoke: Invoke, front: Path) -> None:
    def refused(*arguments: str) -> str:
        result = invoke("export", "--front", front, *arguments)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert not Path("export").exists()
        return str(result.stderr)

    assert "has no submodel 'w1of3-d1', but " in refused("--pick", "w1of3-d1")
    bst = refused("--pick", FREE, "--space", "bst")
    assert "has no submodel 'w1of2-d1.2of2-h121212of4-f221122of4', but 10 submodels: widths" in bst
    assert "choose one of them, such as w1of4-d1of4, w1of4-d1of2" in bst
    assert "has no submodel 'w1of2-d1of2'" in refused("--pick", "2", "--space", write({"widths": ["1/4"]}))


@pytest.mark.usefixtures("few_questions")
def test_what_it_costs_is_told_by_the_profile_of_the_front(
    invoke: Invoke, front: Path, elastic: SupernetFolder
) -> None:
    path = Path("profiles/local.json")
    path.write_text(path.read_text().replace("Test CPU", "Another CPU"))
    result = invoke("export", "--front", front, "--pick", FREE)
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert f"{front} was made with another profile than profiles/local.json" in result.stderr
    path.unlink()
    result = invoke("export", "--front", front, "--pick", FREE)
    assert (result.exit_code, "no profile of device 'local'" in result.stderr) == (4, True)
    assert elastic.path.exists()


# From training to the page


@pytest.mark.slow
@pytest.mark.usefixtures("few_questions")
def test_a_part_of_what_was_trained_is_searched_and_exported(
    invoke: Invoke, make_profile: MakeProfile, tiny_easy_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = EasyVqa.split
    monkeypatch.setattr(EasyVqa, "split", lambda *args: few(*args).head(32))
    monkeypatch.setitem(FAMILY.presets, "mcan-easy-vqa", tiny_easy_config)
    monkeypatch.setattr(order, "COUPLES", 2)
    options = ("--teacher-epochs", 1, "--epochs", 1, "--batch-size", 16, "--threads", 1, "--device", "cpu")
    trained = invoke("train", "--out", "net", "--space", "elastic", *options)
    assert trained.exit_code == 0, trained.stderr
    folder = read_folder(Path("net"))
    assert folder.space == folder.space.elastic
    card = " ".join(Path("net/README.md").read_text().split())
    assert "each layer with its own share of heads (1/4, 1/2, 3/4, 1) and of FFN units" in card
    assert "Order: of " in card
    save_profile(make_profile(Path("net")), Path("profiles"))
    half = ("--space", write(HALF, "half.json"))
    found = invoke(*VERBS["pareto"], *half, "--trials", 6, "--budget-ms", "60%")
    assert found.exit_code == 0, found.stderr
    file = read_front(Path("front/front.json"))
    assert file.full.accuracy is None
    assert file.budget.limits["latency_ms"] == pytest.approx(0.6 * file.full.latency.high_ms)
    assert all(one.submodel.width <= Fraction(1, 2) for one in file.front)
    assert {"front.csv", "front.html", "front.png"} <= {path.name for path in Path("front").iterdir()}
    again = invoke(*VERBS["pareto"], *half, "--trials", 6, "--budget-ms", "50%")
    assert again.exit_code == 0, again.stderr
    assert invoke("export", "--pick", "recommended", "--out", "small").exit_code == 0
    assert invoke("export", "--pick", FREE, *half, "--out", "other").exit_code == 0


def test_a_precision_is_searched_and_exported_as_a_submodel_of_its_own(
    invoke: Invoke, net: Path, few_questions: None
) -> None:
    folder = ("--supernet", net, "--device", "local")
    refused = invoke("pareto", *folder, "--precision", "float32,int8")
    assert (refused.exit_code, "'bstsearch profile --device local --precision int8 --measure'" in refused.stderr) == (
        4,
        True,
    )
    profile = load_profile(Path("profiles/local.json"))
    (exact,) = profile.models
    rows = [structs.replace(row, latency_ms=row.low_ms, weight_bytes=1000) for row in exact.submodels]
    int8 = structs.replace(exact, precision="int8", submodels=tuple(rows))
    save_profile(structs.replace(profile, models=(exact, int8)), Path("profiles"))
    result = invoke("pareto", *folder, "--precision", "float32,int8", "--objectives", "accuracy,latency")
    assert result.exit_code == 0, result.stderr
    front = read_front(Path("front/front.json"))
    assert (front.origin.space.size, len(front.candidates)) == (20, 20)
    assert [one.id for one in front.front] == ["w1of4-d1of4-int8"]  # all answer alike
    assert "precision" in result.stdout
    assert "left out for width: precision" not in result.stdout
    exported = invoke("export", "--pick", "recommended", "--json")
    assert exported.exit_code == 0, exported.stderr
    manifest = json.loads(exported.stdout)
    assert (manifest["path"], manifest["submodel"]["precision"]) == ("export/w1of4-d1of4-int8", "int8")
    assert list(manifest["checks"]) == ["model.onnx", "model.int8.onnx"]
    assert "`model.int8.onnx` differ" in Path("export/w1of4-d1of4-int8/README.md").read_text()
    usual = invoke("pareto", *folder, "--out", "usual")
    assert (usual.exit_code, "precision" in usual.stdout) == (0, False)
    assert "accuracies that an earlier search found are taken over" in usual.stderr
