from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import bstsearch
from bstsearch.answering.exported_folder import open_session
from bstsearch.errors import BstsearchError, InputError, UsageError
from bstsearch.exporting import elastic as exporting
from bstsearch.exporting.bundle_card import card
from bstsearch.exporting.bundle_checks import check_folded, check_same_outputs
from bstsearch.exporting.elastic import export_elastic
from bstsearch.graphs.onnx_file import write_onnx
from bstsearch.graphs.onnx_precision import write_at
from bstsearch.model.supernet import Supernet
from bstsearch.searching.pick import read_rows
from bstsearch.space import PRECISIONS, Submodel

GRAPHS = {"w1of2-d1of2.onnx", "w1of4-d1of4.onnx"}
BESIDE = {"README.md", "config.json", "elastic.json", "pictures.py", "preprocessor.json", "run.py", "run_script.py"}
BESIDE |= {"sample.json", "texts.py", "vocabulary.json", "weights.bin"}


def test_the_folder_holds_the_weights_once_and_a_graph_for_each_row(bundle_folder: Path, yes_folder: Path) -> None:
    assert {path.name for path in bundle_folder.iterdir()} - {"__pycache__"} == GRAPHS | BESIDE
    data = json.loads((bundle_folder / "elastic.json").read_text())
    assert [(one["id"], one["row"]) for one in data["submodels"]] == [("w1of4-d1of4", 1), ("w1of2-d1of2", 2)]
    numbers = sum(parameter.numel() for parameter in Supernet.load(yes_folder).model.parameters())
    assert data["sizes"]["weights"] < 4 * numbers + 20_000
    assert data["sizes"]["graphs"] == sum((bundle_folder / name).stat().st_size for name in GRAPHS)
    assert sorted(data["files"]) == sorted(GRAPHS | BESIDE - {"README.md", "elastic.json"})
    assert data["submodels"][1]["latencies"] == {
        "local": {"ms": 0.5, "low_ms": 0.5, "high_ms": 0.5, "source": "measured"}
    }
    assert data["submodels"][0]["accuracy"]["low"] < data["submodels"][0]["accuracy"]["value"]


@pytest.mark.parametrize("name", ["w1of4-d1of4", "w1of2-d1of2"])
def test_outputs_are_those_of_the_submodel_s_own_export(
    bundle_folder: Path, yes_folder: Path, tmp_path: Path, name: str
) -> None:
    supernet = Supernet.load(yes_folder)
    inputs = supernet.family.example_inputs(supernet.config, 5)
    write_onnx(supernet.materialise(Submodel.from_id(name)), inputs, tmp_path / "own.onnx")
    feed = {key: tensor.numpy() for key, tensor in inputs.items()}
    found = [open_session(path).run(None, feed)[0] for path in (bundle_folder / f"{name}.onnx", tmp_path / "own.onnx")]
    np.testing.assert_array_equal(*found)


def test_the_card_names_every_submodel(bundle_folder: Path) -> None:
    text = (bundle_folder / "README.md").read_text()
    assert all(f"| `{name.removesuffix('.onnx')}` |" in text for name in GRAPHS)
    assert str(bundle_folder.parent) not in text


def test_the_card_s_command_has_a_budget_that_a_submodel_keeps(bundle_folder: Path) -> None:
    data = json.loads((bundle_folder / "elastic.json").read_text())
    for times in ((0.1234, 0.4181), (12.34, 217.3)):
        for one, ms in zip(data["submodels"], times, strict=True):
            one["latencies"]["local"]["high_ms"] = ms
        (command,) = (line for line in card(data).splitlines() if line.startswith("$ python run.py picture.png"))
        budget = float(command.partition("--budget-ms ")[2].split()[0])
        assert times[1] <= budget < 1.1 * times[1]


def test_rows_are_picked_by_number_or_id_in_their_order(easy_front: Path) -> None:
    for names in ([], ["2", "1"], ["w1of2-d1of2", "1"]):
        assert [pick.row for pick in read_rows(easy_front, names)] == [1, 2]
    recommended = json.loads(easy_front.read_text())["recommended"]
    assert [pick.candidate.id for pick in read_rows(easy_front, ["recommended", "recommended"])] == [recommended]


@pytest.mark.parametrize(
    ("picks", "message"),
    [
        (["w1-d1"], r"front\.json: 'w1-d1' is not on the front; give rows of 1 to 2"),
        (["1", "3"], "the front has rows 1 to 2, no row 3"),
        (["w1of4-d1of2"], "the front has no submodel 'w1of4-d1of2'"),
        ([""], "the front has no submodel ''"),
    ],
)
def test_what_is_not_on_the_front_is_refused(easy_front: Path, tmp_path: Path, picks: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_elastic(picks, front=easy_front, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_questions")
def test_each_row_is_in_its_own_precision(
    easy_front: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yes_folder: Path
) -> None:
    rows = read_rows(easy_front)
    picks = [
        dataclasses.replace(row, candidate=dataclasses.replace(row.candidate, submodel=row.candidate.submodel.at(one)))
        for row in rows
        for one in PRECISIONS
    ]
    monkeypatch.setattr(exporting, "read_rows", lambda *_, **__: picks)
    found = export_elastic(front=easy_front, out=tmp_path / "out").elastic
    assert [one["id"] for one in found["submodels"]] == [pick.candidate.id for pick in picks]
    numbers = sum(parameter.numel() for parameter in Supernet.load(yes_folder).model.parameters())
    assert 5.5 * numbers < found["sizes"]["weights"] < 8 * numbers  # four bytes, two, and what int8 has of the picked
    supernet = Supernet.load(yes_folder)
    inputs = supernet.family.example_inputs(supernet.config, 1)
    feed = {key: tensor.numpy() for key, tensor in inputs.items()}
    for pick in picks:
        own, submodel = tmp_path / "own.onnx", pick.candidate.submodel
        write_onnx(supernet.materialise(submodel.at("float32")), inputs, own)
        write_at(submodel.precision, own, own)
        paths = (tmp_path / "out" / f"{submodel.id}.onnx", own)
        np.testing.assert_array_equal(*(open_session(path).run(None, feed)[0] for path in paths))
    run = [sys.executable, "run.py", "sample.json", "--submodel", picks[0].candidate.id]
    told = subprocess.run(run, cwd=tmp_path / "out", capture_output=True, text=True, check=True).stdout
    assert "largest difference" in told
    assert [one.get("tolerance", 0) > 0 for one in found["submodels"]] == 2 * [True, True, False]
    evaluated = bstsearch.evaluate(tmp_path / "out", [picks[0].candidate.id])
    assert evaluated.submodels[0].id == picks[0].candidate.id


def test_a_folder_that_is_taken_stays(easy_front: Path, exported_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported_folder, tmp_path / "out")
    with pytest.raises(UsageError, match="out exists; give --force"):
        export_elastic(front=easy_front, out=folder)
    with pytest.raises(UsageError, match=r"out holds no elastic\.json"):
        export_elastic(front=easy_front, out=folder, is_forced=True)
    assert (folder / "manifest.json").exists()


@pytest.mark.usefixtures("few_questions")
def test_force_leaves_nothing_of_an_older_bundle_but_what_was_put_there(
    easy_front: Path, bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(bundle_folder, tmp_path / "out")
    (folder / "notes.txt").write_text("mine")
    found = export_elastic([1], front=easy_front, out=folder, is_forced=True)
    assert [one["id"] for one in found.elastic["submodels"]] == ["w1of4-d1of4"]
    names = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert names == {"w1of4-d1of4.onnx", "notes.txt"} | BESIDE


@pytest.mark.usefixtures("few_questions")
def test_a_graph_that_is_not_the_submodel_s_leaves_nothing(
    easy_front: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    materialise = Supernet.materialise

    def other(self: Supernet, submodel: Submodel) -> torch.nn.Module:
        model = materialise(self, submodel)
        with torch.no_grad():
            model.get_parameter("proj.bias").add_(1)
        return model

    monkeypatch.setattr(Supernet, "materialise", other)
    with pytest.raises(BstsearchError, match=r"w1of4-d1of4\.onnx differs from torch"):
        export_elastic([1], front=easy_front, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_other_bits_are_told_apart(bundle_folder: Path, yes_folder: Path) -> None:
    supernet = Supernet.load(yes_folder)
    one, other = (bundle_folder / name for name in sorted(GRAPHS))
    with pytest.raises(BstsearchError, match="expected equal bits; nothing was written"):
        check_same_outputs(one, other, supernet.family.example_inputs(supernet.config, 1))


def test_a_slice_that_is_left_to_run_time_is_noticed(
    bundle_folder: Path, yes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bstsearch.exporting import bundle_checks

    path, own, supernet = bundle_folder / "w1of2-d1of2.onnx", tmp_path / "own.onnx", Supernet.load(yes_folder)
    inputs = supernet.family.example_inputs(supernet.config, 1)
    write_onnx(supernet.materialise(Submodel.from_id("w1of2-d1of2")), inputs, own)
    check_folded(path, own)
    monkeypatch.setattr(bundle_checks, "_optimise", lambda source, target: shutil.copy(source, target))
    assert "Slice" in {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    with pytest.raises(BstsearchError, match=r"leaves a \w+ of weights to every run"):
        check_folded(path, own)
