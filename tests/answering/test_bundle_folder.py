from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

import bstsearch
from bstsearch.answering import asking, evaluation
from bstsearch.answering.bundle_folder import is_bundle, read_bundle
from bstsearch.answering.exported_folder import sha256
from bstsearch.errors import InfeasibleBudgetError, InputError, UsageError
from bstsearch.searching.budget import Bound


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle_folder, tmp_path / "elastic")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (90, 30), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def change(folder: Path, **changes: object) -> None:
    data = json.loads((folder / "elastic.json").read_text())
    (folder / "elastic.json").write_text(json.dumps(data | changes))


def change_files(folder: Path, **changes: object) -> None:
    change(folder, files=json.loads((folder / "elastic.json").read_text())["files"] | changes)


def test_a_bundle_is_read(bundle_folder: Path, exported_folder: Path) -> None:
    bundle = read_bundle(bundle_folder)
    assert [one.id for one in bundle.bundle.submodels] == ["w1of4-d1of4", "w1of2-d1of2"]
    assert is_bundle(bundle_folder)
    assert not is_bundle(exported_folder)


@pytest.mark.parametrize(
    ("bound", "name"),
    [(Bound(value=0.4), "w1of4-d1of4"), (Bound(value=0.5, is_share=True), "w1of4-d1of4"), (Bound(value=0.6), None)],
)
def test_the_best_within_a_budget_is_chosen(bundle_folder: Path, bound: Bound, name: str | None) -> None:
    bundle = read_bundle(bundle_folder)
    assert bundle.choose(bound) == (bundle.get(name) if name else bundle.most_accurate, "local")
    with pytest.raises(InfeasibleBudgetError, match=r"nearest is w1of4-d1of4 with 0\.1 ms; raise the budget"):
        bundle.choose(Bound(value=0.01))
    with pytest.raises(UsageError, match="knows no latency of w1of4-d1of4 on 'phone'; choose one of local"):
        bundle.choose(bound, "phone")
    with pytest.raises(UsageError, match="holds no submodel 'w1-d1'; choose one of w1of4-d1of4, w1of2-d1of2"):
        bundle.get("w1-d1")


def test_of_another_metric_the_lower_score_is_the_better_one(folder: Path) -> None:
    change(folder, metric={"name": "error", "unit": "m", "is_higher_better": False})
    bundle = read_bundle(folder)
    scores = {one.id: one.accuracy.value for one in bundle.bundle.submodels}
    assert scores[bundle.most_accurate.id] == min(scores.values())


@pytest.mark.parametrize("name", ["weights.bin", "w1of2-d1of2.onnx", "sample.json", "run.py"])
def test_a_changed_a_truncated_and_a_missing_file_are_named_before_any_session(
    folder: Path, picture: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "open_session", None)  # none is opened
    content = (folder / name).read_bytes()
    for damaged in (content[:-1], bytes([content[0] ^ 1]) + content[1:]):
        (folder / name).write_bytes(damaged)
        with pytest.raises(InputError, match=f"{name} is not the file that was exported with this bundle; export the"):
            bstsearch.ask("what colour is it?", picture, model=folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} does not exist; export the bundle again"):
        read_bundle(folder)


def test_a_graph_of_another_bundle_is_named(folder: Path) -> None:
    shutil.copy(folder / "w1of4-d1of4.onnx", folder / "w1of2-d1of2.onnx")
    with pytest.raises(InputError, match=r"w1of2-d1of2\.onnx is not the file that was exported with this bundle"):
        read_bundle(folder)


@pytest.mark.parametrize(
    "changes",
    [{"files": {}}, {"submodels": []}, {"submodels": None}, {"format": 2}],
)
def test_a_malformed_list_is_refused(folder: Path, changes: dict[str, object]) -> None:
    change(folder, **changes)
    with pytest.raises(InputError, match=r"elastic\.json.*export the bundle again"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["../x", "stock/../../x", "stock/../x", "a/x", "/etc/hostname", ".."])
def test_a_file_outside_is_none_of_the_bundle_s(folder: Path, name: str) -> None:
    change_files(folder, **{name: {"sha256": sha256(folder / "run.py")}})
    with pytest.raises(InputError, match=r"elastic\.json, files: .* is no name of a file in this folder; export the"):
        read_bundle(folder)


def test_files_of_a_stock_model_are_held_against_their_digests_where_there_are_any(folder: Path) -> None:
    (folder / "stock" / "1_Pooling").mkdir(parents=True)
    for name in ("tokenizer.json", "1_Pooling/config.json"):
        (folder / "stock" / name).write_text("{}")
    read_bundle(folder)  # as older versions wrote it
    names = ("stock/tokenizer.json", "stock/1_Pooling/config.json")
    change_files(folder, **{name: {"sha256": sha256(folder / name)} for name in names})
    read_bundle(folder)
    (folder / names[1]).write_text("{} ")
    with pytest.raises(InputError, match=r"stock/1_Pooling/config\.json is not the file that was exported with this"):
        read_bundle(folder)


def test_every_submodel_needs_a_latency_on_the_first_device(folder: Path) -> None:
    data = json.loads((folder / "elastic.json").read_text())
    latencies = data["submodels"][1]["latencies"]
    latencies["phone"] = latencies.pop("local")
    change(folder, submodels=data["submodels"])
    with pytest.raises(
        InputError, match=r"elastic\.json, submodels: w1of2-d1of2 has no latency on 'local'; export the"
    ):
        read_bundle(folder)


def test_a_bundle_is_asked(bundle_folder: Path, picture: Path) -> None:
    for options, name in (
        ({}, read_bundle(bundle_folder).most_accurate.id),
        ({"submodel": "w1of4-d1of4"}, "w1of4-d1of4"),
        ({"budget_ms": 0.2}, "w1of4-d1of4"),
    ):
        reply = bstsearch.ask("what colour is it?", picture, model=bundle_folder, top=2, **options)
        assert (reply.submodel, reply.runtime, len(reply.answers)) == (name, "ONNX Runtime", 2)


@pytest.mark.usefixtures("few_questions")
def test_a_bundle_is_scored(bundle_folder: Path) -> None:
    data = json.loads((bundle_folder / "elastic.json").read_text())
    found = evaluation.evaluate(bundle_folder, is_all=True)
    assert [(one.id, one.score.value) for one in found.submodels] == [
        (one["id"], one["accuracy"]["value"]) for one in data["submodels"]
    ]
    assert [one.id for one in evaluation.evaluate(bundle_folder, ["w1of4-d1of4"]).submodels] == ["w1of4-d1of4"]
    with pytest.raises(UsageError, match="submodels have a precision each; name some with --submodel"):
        evaluation.evaluate(bundle_folder, precisions=["int8"])
